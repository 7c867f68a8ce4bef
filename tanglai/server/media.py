"""In charge of media types and languages: what a request's headers accept (RFC 9110, GraphQL over HTTP)."""

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

from resolvers.export_formats import Format
from tanglai.server.events import Framing, Framings

MAX_HEADER = 1024


class Media(Enum):
    """The media types of a response; the value is the `Content-Type` header."""

    GRAPHQL = b"application/graphql-response+json; charset=utf-8"
    JSON = b"application/json; charset=utf-8"


_TYPES = {Media.GRAPHQL: ("application", "graphql-response+json"), Media.JSON: ("application", "json")}


def response_media(accept: bytes | None) -> Media | None:
    """The media type to answer in, None when the client takes none that there is.

    Without `Accept`, and for a range that covers both, it is application/json, as the specification asks for clients
    from before 2025. Of two types that are named and liked alike, application/graphql-response+json.
    """
    if not accept:
        return Media.JSON
    return _negotiated(accept) if len(accept) <= MAX_HEADER else None


@lru_cache(maxsize=512)
def _negotiated(accept: bytes) -> Media | None:
    best: tuple[float, int, int] | None = None
    chosen = None
    for order, (media, (kind, subtype)) in enumerate(_TYPES.items()):
        match: tuple[int, float] | None = None
        for name, parameters, quality in _ranges(accept):
            if parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
                continue
            if name == f"{kind}/{subtype}":
                specific = 2
            elif name == f"{kind}/*":
                specific = 1
            elif name == "*/*":
                specific = 0
            else:
                continue
            if match is None or specific > match[0]:
                match = (specific, quality)
        if match is None or match[1] == 0:
            continue
        specific, quality = match
        rank = (quality, specific, -order if specific == 2 else order)
        if best is None or rank > best:
            best, chosen = rank, media
    return chosen


def _ranges(header: bytes) -> Iterator[tuple[str, dict[str, str], float]]:
    for part in header.decode("latin-1").split(","):
        name, *rest = part.split(";")
        parameters = {}
        for parameter in rest:
            key, _, value = parameter.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"').lower()
        yield name.strip().lower(), parameters, _quality(parameters.pop("q", "1"))


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


@lru_cache(maxsize=512)
def response_framing(accept: bytes | None) -> Framing | None:
    """The framing of events that the client names and likes best; None where it names none. No range names one."""
    best, chosen = 0.0, None
    for name, parameters, quality in _ranges(accept) if accept and len(accept) <= MAX_HEADER else ():
        if quality <= best:
            continue
        if name == "text/event-stream":
            best, chosen = quality, Framings.EVENTS.value
        elif name == "multipart/mixed" and parameters.get("subscriptionspec") == "1.0":
            best, chosen = quality, Framings.PARTS.value
    return chosen


@lru_cache(maxsize=512)
def export_format(accept: bytes | None) -> Format | None:
    """The format of an export that the client likes best: NDJSON where it likes several alike, None where none."""
    if not accept:
        return Format.NDJSON
    best, chosen = (0.0, 0), None
    for one in Format:
        kind = one.value.media.partition("/")[0]
        match = (-1, 0.0)
        for name, _, quality in _ranges(accept) if len(accept) <= MAX_HEADER else ():
            specific = {one.value.media: 2, f"{kind}/*": 1, "*/*": 0}.get(name, -1)
            if specific > match[0]:
                match = (specific, quality)
        rank = (match[1], match[0])
        if match[1] > 0 and rank > best:
            best, chosen = rank, one
    return chosen


@lru_cache(maxsize=128)
def is_json_body(content_type: bytes) -> bool:
    """Whether `Content-Type` is application/json in UTF-8."""
    if len(content_type) > MAX_HEADER or b"," in content_type:
        return False
    ((name, parameters, _),) = _ranges(content_type)
    return name == "application/json" and parameters.get("charset", "utf-8") in ("utf-8", "utf8")


@lru_cache(maxsize=512)
def language(accept_language: bytes | None) -> str:
    """`zh` or `en`, whichever the client likes better; `en` when it likes neither or both alike."""
    if accept_language is None or len(accept_language) > MAX_HEADER:
        return "en"
    liked = {"en": 0.0, "zh": 0.0}
    for name, _, quality in _ranges(accept_language):
        primary = name.partition("-")[0]
        if primary in liked:
            liked[primary] = max(liked[primary], quality)
    return "zh" if liked["zh"] > liked["en"] else "en"


@lru_cache(maxsize=128)
def takes_gzip(accept_encoding: bytes | None) -> bool:
    """Whether the client named gzip as an encoding that it takes."""
    if accept_encoding is None or len(accept_encoding) > MAX_HEADER:
        return False
    return any(name == "gzip" and quality > 0 for name, _, quality in _ranges(accept_encoding))
