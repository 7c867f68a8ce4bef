"""In charge of the verdict on masks: whether they hide enough from somebody who can read all that some grants open."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.mask_candidates import FEWEST, LENGTH, Birth, Known, candidates
from tanglai.catalogue.mask_kinds import words
from tanglai.catalogue.mask_people import ItemKey, People
from tanglai.catalogue.mask_sight import Circle, Sight, Told
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Grant, Item, Snapshot


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a mask does not do what it should. `left`: how many values remain for what it hides.

    Where an item has a verdict beside some grants, it is never greater beside more of them, though there may be no
    verdict: a mask that shows no more than what is clear takes nothing away.
    """

    left: int
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something known of an identity number besides the masks that are judged, and in words what tells it."""

    words: str
    known: Known


@dataclass(frozen=True, slots=True)
class _Summary:
    """What a circle tells, so that its masks are judged one by one without going over all of its items for each.

    `clear`: content -> the first item that shows it, and the first of another resource than that one's. `facts`: known
    -> the last two items that tell it, the later one first: place, item, fact.
    """

    clear: Mapping[Content, Sequence[ItemKey]]
    facts: Mapping[Known, Sequence[tuple[int, ItemKey, _Fact]]]

    def shown_elsewhere(self, key: ItemKey, content: Content) -> ItemKey | None:
        """The first item in another resource than that of `key` that shows `content`."""
        return next((other for other in self.clear.get(content, ()) if other[0] != key[0]), None)

    def facts_for(self, key: ItemKey, own: Sequence[_Fact]) -> list[_Fact]:
        """The facts that `key` is judged beside: `own`, told by itself, then all others; of equal ones the last."""
        last = {fact.known: (place - len(own), fact) for place, fact in enumerate(own)}
        for known, told in self.facts.items():
            others = ((place, fact) for place, other, fact in told if other != key)
            if (found := next(others, None)) is not None:
                last[known] = found
        return [fact for _, fact in sorted(last.values(), key=lambda pair: pair[0])]


@dataclass(frozen=True, slots=True)
class _View:
    """A sight, with what is already known of its circles."""

    sight: Sight
    summaries: dict[Circle, _Summary] = field(default_factory=dict)


class Judge:
    """Judges masks of `catalogue` on `day`."""

    def __init__(self, catalogue: Snapshot, day: date) -> None:
        self.catalogue = catalogue
        self.day = day
        self.divisions = frozenset(catalogue.divisions)
        self.people = People(catalogue.resources)

    def verdicts(self, grants: Sequence[Grant], only: Collection[ItemKey] | None = None) -> Mapping[ItemKey, Verdict]:
        """Masks that hide too little from somebody who can read all that `grants`, of one requester, open.

        `only`: the items to judge, all by default.
        """
        if not grants:
            return {}
        view = _View(Sight(grants, self.catalogue, self.people))
        found: dict[ItemKey, Verdict] = {}
        for key, masks in sorted(view.sight.masks.items()):
            item = self.catalogue.resources[key[0]].item_by_name[key[1]]
            if item.content is None or (only is not None and key not in only):
                continue
            verdict = self._verdict(view, key, item, item.content, masks)
            if verdict is not None:
                found[key] = verdict
        return found

    def _verdict(
        self, view: _View, key: ItemKey, item: Item, content: Content, masks: Sequence[Mask]
    ) -> Verdict | None:
        code, name = key
        if view.sight.always_clear(key):
            message = f"the mask of `{name}` hides nothing: the item is clear to the requester anyway"
            return Verdict(1, message, Severity.NOTICE)
        summary = self._summary(view, view.sight.joined(key))
        # Two names in one row are of two people, or one of them is an earlier one.
        shown = summary.shown_elsewhere(key, content)
        if shown is not None:
            certain = content in (Content.IDENTITY_NUMBER, Content.NAME)  # of other contents somebody has several
            message = f"what the mask of `{name}` of `{code}` hides, {_named(shown)} shows of the same person"
            return Verdict(1, message, Severity.ERROR if certain else Severity.NOTICE)
        if content is not Content.IDENTITY_NUMBER:
            return None
        own = _shown(masks)
        facts = summary.facts_for(key, list(self._facts(view.sight, key)))
        if not self._too_few(own, facts):
            return None
        for fact in list(facts):  # what the number does not depend on is not told
            fewer = [other for other in facts if other is not fact]
            if self._too_few(own, fewer) and self._left(own, fewer) == self._left(own, facts):
                facts = fewer
        left = self._left(own, facts)
        beside = " and ".join(dict.fromkeys(fact.words for fact in facts))
        together = f" beside {beside}" if beside else ""
        message = (
            f"`{name}` of `{code}`, shown as {' and '.join(words(mask) for mask in masks)},{together} leaves "
            f"{left:,} {'number' if left == 1 else 'numbers'}, fewer than {FEWEST:,}"
        )
        return Verdict(left, message)

    def _summary(self, view: _View, circle: Circle) -> _Summary:
        if circle in view.summaries:
            return view.summaries[circle]
        clear: dict[Content, list[ItemKey]] = defaultdict(list)
        facts: dict[Known, list[tuple[int, ItemKey, _Fact]]] = defaultdict(list)
        place = 0
        for key in circle.items:
            content = self.people.content(key)
            if content is not None and view.sight.clear(key):
                shown = clear[content]
                if not shown or (len(shown) == 1 and shown[0][0] != key[0]):
                    shown.append(key)
            for fact in self._facts(view.sight, key):
                place += 1
                earlier = [told for told in facts[fact.known] if told[1] != key]
                facts[fact.known] = [(place, key, fact), *earlier[:1]]
        view.summaries[circle] = _Summary(clear, facts)
        return view.summaries[circle]

    def _facts(self, sight: Sight, key: ItemKey) -> Iterator[_Fact]:
        """What item `key` tells of a number: by what is shown of it, and by the scopes over it."""
        content = self.people.content(key)
        for known in _of_item(content, sight.clear(key), sight.masks.get(key, ())):
            yield _Fact(_named(key), known)
        for told in dict.fromkeys(sight.scopes.get(key, ())):
            for known in _of_scope(content, told):
                yield _Fact(f"a scope over {_named(key)}", known)

    def _left(self, own: Known, facts: Iterable[_Fact]) -> int:
        return candidates(_together([own, *(fact.known for fact in facts)]), self.divisions, self.day)

    def _too_few(self, own: Known, facts: Iterable[_Fact]) -> bool:
        """Whether too few numbers remain, and fewer than without what is shown of the number itself."""
        known = _together([own, *(fact.known for fact in facts)])
        left = candidates(known, self.divisions, self.day)
        return left < FEWEST and left < candidates(known.unmasked, self.divisions, self.day)


def _of_item(content: Content | None, clear: bool, masks: Iterable[Mask]) -> Iterator[Known]:
    shown = _shown(masks)
    match content:
        case Content.IDENTITY_NUMBER if shown != Known():
            yield shown
        case Content.BIRTH_DATE if clear:
            yield Known(birth=Birth.DATE)
        case Content.BIRTH_YEAR if clear:
            yield Known(birth=Birth.YEAR)
        case Content.SEX if clear:
            yield Known(sex=True)
        case Content.DIVISION if clear:
            yield Known(division=6)
        case Content.DIVISION if shown.prefix:
            yield Known(division=min(6, shown.prefix))
        case Content.ADDRESS if clear or any(mask.kind is MaskKind.REGION for mask in masks):
            yield Known(division=6)


def _of_scope(content: Content | None, told: Told) -> Iterator[Known]:
    match content:
        case Content.IDENTITY_NUMBER:
            yield Known(min(LENGTH - 1, told.start if told.start is not None else LENGTH))
        case Content.BIRTH_DATE if told.value:
            yield Known(birth=Birth.DATE)
        case Content.BIRTH_DATE | Content.BIRTH_YEAR:
            yield Known(birth=Birth.YEAR)
        case Content.SEX:
            yield Known(sex=True)
        case Content.DIVISION | Content.ADDRESS:
            yield Known(division=6)


def _shown(masks: Iterable[Mask]) -> Known:
    """What `masks` show together of an identity number or of a division. What is no longer is hidden whole."""
    kept = [m for m in masks if m.kind is MaskKind.KEEP and m.prefix + m.suffix < LENGTH]
    return Known(max((m.prefix for m in kept), default=0), max((m.suffix for m in kept), default=0))


def _together(all_known: Sequence[Known]) -> Known:
    return Known(
        max(known.prefix for known in all_known),
        max(known.suffix for known in all_known),
        max(known.division for known in all_known),
        max(known.birth for known in all_known),
        any(known.sex for known in all_known),
    )


def _named(key: ItemKey) -> str:
    return f"`{key[1]}` of `{key[0]}`"
