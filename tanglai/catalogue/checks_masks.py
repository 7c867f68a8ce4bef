"""In charge of judging masks where grants are given: against each other, and against what else the requester can read.

Art. 9(2), 11(3): what an answer hides, no other answer to the same department may give away (authorization.md, Masks).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import Finding
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.mask_candidates import FEWEST, LENGTH, Birth, Known, candidates
from tanglai.catalogue.mask_kinds import comparable, least_length, words
from tanglai.catalogue.mask_sight import ItemKey, Sight, Told, contents
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Grant, GrantState, Item, Snapshot, Usage

_LIVE = (GrantState.ACTIVE, GrantState.SUSPENDED)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a mask does not do what it should. `left`: how many values remain for what it hides."""

    left: int
    message: str
    severity: Severity = Severity.ERROR


def is_live(grant: Grant, now: datetime) -> bool:
    """Whether `grant` lets read something now or later. A suspended grant may be resumed."""
    return grant.usage is Usage.READ and grant.state in _LIVE and (grant.valid_to is None or grant.valid_to > now)


def mask_findings(
    new: Sequence[Grant], others: Iterable[Grant], catalogue: Snapshot, now: datetime
) -> Iterator[tuple[str, Finding]]:
    """For each of `new`, in this order, its id and what its masks give away, or what it gives away of earlier masks.

    `others` are grants that exist already, of any requester and in any state; one with the id of a new grant is
    replaced by it. Grants that name what `catalogue` does not have are looked at by other rules. `now` has a zone.
    """
    ids = {grant.id for grant in new}
    existing: dict[str, list[Grant]] = defaultdict(list)
    for grant in others:
        if grant.id not in ids and is_live(grant, now):
            existing[grant.requester].append(grant)
    added: dict[str, list[Grant]] = defaultdict(list)
    for grant in new:
        if is_live(grant, now):
            added[grant.requester].append(grant)
    day = now.astimezone(SHANGHAI).date()
    for requester, grants in added.items():
        yield from _incomparable(grants, existing[requester], catalogue)
        yield from _given_away(grants, existing[requester], catalogue, day)


def _incomparable(
    grants: Sequence[Grant], existing: Sequence[Grant], catalogue: Snapshot
) -> Iterator[tuple[str, Finding]]:
    """A mask of which, with one that the requester has already, both together show more than either."""
    new = {grant.id for grant in grants}
    seen: dict[ItemKey, list[tuple[str, Mask]]] = defaultdict(list)
    for grant in [*existing, *grants]:
        for name, mask_name in sorted(grant.masks.items()):
            item = _item(catalogue, grant, name)
            mask = item.mask(mask_name) if item else None
            if item is None or mask is None:
                continue
            before = seen[grant.resource, name]
            clash = next((pair for pair in before if not comparable(mask, pair[1], least_length(item))), None)
            before.append((grant.id, mask))
            if clash is not None and grant.id in new:
                message = (
                    f"{words(mask)} cannot be compared with {words(clash[1])} of grant `{clash[0]}`: "
                    f"both together show more of `{name}` than either"
                )
                yield grant.id, Finding("mask-order", ("masks", name), message)


def _item(catalogue: Snapshot, grant: Grant, name: str) -> Item | None:
    resource = catalogue.resources.get(grant.resource)
    return resource.item_by_name.get(name) if resource else None


def _given_away(
    grants: Sequence[Grant], existing: Sequence[Grant], catalogue: Snapshot, day: date
) -> Iterator[tuple[str, Finding]]:
    masked = [grant for grant in (*existing, *grants) if _masks_content(grant, catalogue)]
    if not masked:
        return
    judge = _Judge(catalogue, day)
    if not judge.verdicts([*existing, *grants]):
        return
    told = judge.verdicts(existing)
    so_far = list(existing)
    for grant in grants:
        so_far.append(grant)
        after = judge.verdicts(so_far)
        for (code, name), verdict in after.items():
            before = told.get((code, name))
            if before is None or verdict.left < before.left:
                path: Path = ("items",)
                if code == grant.resource and name in grant.masks:
                    path = ("masks", name)
                elif not grant.items:
                    path = ("relations",)
                yield grant.id, Finding("mask-discloses", path, verdict.message, verdict.severity)
        told = after


def _masks_content(grant: Grant, catalogue: Snapshot) -> bool:
    return any((item := _item(catalogue, grant, name)) and item.content for name in grant.masks)


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something known of an identity number besides the masks that are judged, and in words what tells it."""

    words: str
    known: Known


class _Judge:
    def __init__(self, catalogue: Snapshot, day: date) -> None:
        self.catalogue = catalogue
        self.day = day
        self.divisions = frozenset(catalogue.divisions)
        self.contents = contents(catalogue)

    def verdicts(self, grants: Sequence[Grant]) -> Mapping[ItemKey, _Verdict]:
        """Masks that hide too little from somebody who can read all that `grants`, of one requester, open."""
        if not grants:
            return {}
        sight = Sight(grants, self.catalogue, self.contents)
        found: dict[ItemKey, _Verdict] = {}
        for key, masks in sorted(sight.masks.items()):
            item = self.catalogue.resources[key[0]].item_by_name[key[1]]
            if item.content is None:
                continue
            verdict = self._verdict(sight, key, item, item.content, masks)
            if verdict is not None:
                found[key] = verdict
        return found

    def _verdict(
        self, sight: Sight, key: ItemKey, item: Item, content: Content, masks: Sequence[Mask]
    ) -> _Verdict | None:
        code, name = key
        if sight.always_clear(key):
            message = f"the mask of `{name}` hides nothing: the item is clear to the requester anyway"
            return _Verdict(1, message, Severity.NOTICE)
        joined = [other for other in sight.joined(key) if other != key]
        certain = content in (Content.IDENTITY_NUMBER, Content.NAME)  # of other contents somebody has several
        for other in joined:
            # Two names in one row are of two people, or one of them is an earlier one.
            if other[0] != code and self._content(other) is content and sight.clear(other):
                message = f"what the mask of `{name}` of `{code}` hides, {_named(other)} shows of the same person"
                return _Verdict(1, message, Severity.ERROR if certain else Severity.NOTICE)
        if content is not Content.IDENTITY_NUMBER:
            return None
        own = _shown(masks)
        facts = [fact for other in (key, *joined) for fact in self._facts(sight, other)]
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
        return _Verdict(left, message)

    def _content(self, key: ItemKey) -> Content | None:
        return self.catalogue.resources[key[0]].item_by_name[key[1]].content

    def _facts(self, sight: Sight, key: ItemKey) -> Iterator[_Fact]:
        """What item `key` tells of a number: by what is shown of it, and by the scopes over it."""
        content = self._content(key)
        for known in _of_item(content, sight.clear(key), sight.masks.get(key, ())):
            yield _Fact(_named(key), known)
        for told in sight.scopes.get(key, ()):
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
