"""In charge of finding resources by words: substrings of titles, items and summaries, ranked, without a tokenizer.

Chinese is written without spaces, so a word of the query is looked for as it stands, anywhere.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from schema.fixed.enums import MatchPlace
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.model import Item, Resource, Snapshot

MAX_TEXT = 200
MAX_WORDS = 10

_PLACES = tuple(MatchPlace)


def _fold(parts: Iterable[str | None]) -> str:
    return unicodedata.normalize("NFKC", "\n".join(part for part in parts if part)).casefold()


def _item_texts(item: Item) -> tuple[str, ...]:
    return item.title, item.name, item.graphql, item.description


@dataclass(frozen=True, slots=True)
class _Entry:
    """A resource and its folded texts, in the order of MatchPlace."""

    resource: Resource
    title: str
    texts: tuple[str, str, str]


def _entry(resource: Resource) -> _Entry:
    names = resource.names
    return _Entry(
        resource,
        _fold([resource.title]),
        (
            _fold([resource.title, resource.code, names.group, names.list, names.type]),
            _fold(text for item in resource.items for text in _item_texts(item)),
            _fold([resource.summary, resource.subject]),
        ),
    )


_INDICES: WeakKeyDictionary[Snapshot, Mapping[str, _Entry]] = WeakKeyDictionary()


def prepare(snapshot: Snapshot, former: Snapshot | None = None) -> Mapping[str, _Entry]:
    """The folded texts of `snapshot` by code, made once; at thousands of resources better not inside a request.

    Those of resources that `former` has too are taken over.
    """
    found = _INDICES.get(snapshot)
    if found is None:
        known = _INDICES.get(former, {}) if former is not None else {}
        found = {}
        for code, resource in sorted(snapshot.resources.items()):
            old = known.get(code)
            same = old is not None and (old.resource is resource or old.resource == resource)
            found[code] = old if same and old is not None else _entry(resource)
        _INDICES[snapshot] = found
    return found


@dataclass(frozen=True, slots=True)
class Hit:
    """A resource that has all words. `rank`: the smaller, the better; `place` is the best one of any word."""

    resource: Resource
    place: MatchPlace
    rank: int

    @property
    def key(self) -> str:
        """Sorts by rank, then by code."""
        return f"{self.rank:03d} {self.resource.code}"


def search_words(text: str) -> list[str]:
    """The folded words of a query. Raises BAD_INPUT for none, for too many or for too long a text."""
    words = list(dict.fromkeys(_fold([text]).split()))
    if not words:
        raise BadInput("a search needs a word")
    if len(text) > MAX_TEXT or len(words) > MAX_WORDS:
        raise BadInput(f"a search takes at most {MAX_WORDS} words of together {MAX_TEXT} characters")
    return words


def search(snapshot: Snapshot, text: str) -> list[Hit]:
    """Resources of both zones in which every word of `text` occurs, the best first.

    Rank: one point per word and per step down from title over items to summary; a title that is the text comes first.
    """
    words = search_words(text)
    whole = " ".join(words)
    hits: list[Hit] = []
    for entry in prepare(snapshot).values():
        steps: list[int] = []
        for word in words:
            step = next((step for step, haystack in enumerate(entry.texts) if word in haystack), None)
            if step is None:
                break
            steps.append(step)
        else:
            rank = 0 if entry.title == whole else 1 + sum(steps)
            hits.append(Hit(entry.resource, _PLACES[min(steps)], rank))
    return sorted(hits, key=lambda hit: hit.key)


def matching_items(resource: Resource, words: list[str]) -> list[Item]:
    """The items of `resource` in whose texts some of `words` occurs."""
    return [item for item in resource.items if any(word in _fold(_item_texts(item)) for word in words)]
