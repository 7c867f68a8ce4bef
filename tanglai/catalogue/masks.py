"""In charge of masks: what part of a value a masked rendering keeps, as data, with the reference rendering in Python.

Connectors render the same masks in the source's own query; tests/contract holds them to the functions here.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

HIDDEN = "*"


class MaskKind(StrEnum):
    KEEP = "KEEP"  # first `prefix` and last `suffix` characters, a star for each character between
    FIRST = "FIRST"  # the first character and two stars, whatever the length; of a one-character text, stars only
    DOMAIN = "DOMAIN"  # of an e-mail address, the part from the last @ on
    REGION = "REGION"  # of an address, the first `prefix` characters (those of the region), then three stars
    PSEUDONYM = "PSEUDONYM"  # HMAC-SHA-256 under a key of the requesting department, 32 hexadecimal digits
    REDACT = "REDACT"  # three stars


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask of a text item. `key` is the pseudonym's secret of 32 bytes, filled in at decision time, else empty."""

    kind: MaskKind
    prefix: int = 0
    suffix: int = 0
    key: bytes = b""
    key_id: str = ""


def hmac_pads(key: bytes) -> tuple[bytes, bytes]:
    """Inner and outer pad of HMAC-SHA-256 (RFC 2104), for sources that have SHA-256 but no HMAC."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def render(mask: Mask, value: str | None) -> str | None:
    """The masked rendering of `value`; null stays null.

    KEEP of a text of at most `prefix + suffix` characters hides all of it, so that short values are not revealed.
    """
    if value is None:
        return None
    match mask.kind:
        case MaskKind.KEEP:
            hidden = len(value) - mask.prefix - mask.suffix
            if hidden <= 0:
                return HIDDEN * len(value)
            return value[: mask.prefix] + HIDDEN * hidden + value[len(value) - mask.suffix :]
        case MaskKind.FIRST:
            return (value[0] if len(value) > 1 else "") + HIDDEN * 2
        case MaskKind.DOMAIN:
            _, at, domain = value.rpartition("@")
            return HIDDEN * 3 + at + domain if at else HIDDEN * 3
        case MaskKind.REGION:
            return (value[: mask.prefix] if len(value) > mask.prefix else "") + HIDDEN * 3
        case MaskKind.PSEUDONYM:
            return hmac.new(mask.key, value.encode(), hashlib.sha256).hexdigest()[:32]
        case MaskKind.REDACT:
            return HIDDEN * 3
