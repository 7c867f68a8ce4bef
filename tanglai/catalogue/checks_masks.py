"""In charge of judging masks where grants are given: against each other, and against what else the requester can read.

Art. 9(2), 11(3): what an answer hides, no other answer to the same department may give away (authorization.md, Masks).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import Finding
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.mask_judge import Judge, Verdict
from tanglai.catalogue.mask_kinds import comparable, least_length, words
from tanglai.catalogue.mask_people import ItemKey
from tanglai.catalogue.masks import Mask
from tanglai.catalogue.model import Grant, GrantState, Item, Snapshot, Usage

_LIVE = (GrantState.ACTIVE, GrantState.SUSPENDED)


def is_live(grant: Grant, now: datetime) -> bool:
    """Whether `grant` lets read something now or later. A suspended grant may be resumed."""
    return grant.usage is Usage.READ and grant.state in _LIVE and (grant.valid_to is None or grant.valid_to > now)


def mask_findings(
    new: Sequence[Grant], others: Iterable[Grant], catalogue: Snapshot, now: datetime, *, notices: bool = True
) -> Iterator[tuple[str, Finding]]:
    """What `new`, recorded at once, give away: of their own masks, or of earlier ones; errors alone without `notices`.

    What counts is what there is in the end beside what there was: nobody reads in between. So the order of `new` makes
    no difference but to the id beside each finding, that of the grant by which it came. `others` are grants that exist
    already, of any requester and in any state; one with the id of a new grant is replaced by it. Grants that name what
    `catalogue` does not have are looked at by other rules. `now` has a zone.
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
    judge: Judge | None = None
    for requester, grants in added.items():
        yield from _incomparable(grants, existing[requester], catalogue)
        if any(_masks_content(grant, catalogue) for grant in (*existing[requester], *grants)):
            judge = judge or Judge(catalogue, now.astimezone(SHANGHAI).date())
            yield from _given_away(grants, existing[requester], judge, notices)


def _incomparable(
    grants: Sequence[Grant], existing: Sequence[Grant], catalogue: Snapshot
) -> Iterator[tuple[str, Finding]]:
    """A mask of which, with one that the requester has already, both together show more than either."""
    new = {grant.id for grant in grants}
    seen: dict[ItemKey, dict[Mask, str]] = defaultdict(dict)
    for grant in [*existing, *grants]:
        for name, mask_name in sorted(grant.masks.items()):
            item = _item(catalogue, grant, name)
            mask = item.mask(mask_name) if item else None
            if item is None or mask is None:
                continue
            before = seen[grant.resource, name]
            clash = next((other for other in before if not comparable(mask, other, least_length(item))), None)
            before.setdefault(mask, grant.id)
            if clash is not None and grant.id in new:
                message = (
                    f"{words(mask)} cannot be compared with {words(clash)} of grant `{before[clash]}`: "
                    f"both together show more of `{name}` than either"
                )
                yield grant.id, Finding("mask-order", ("masks", name), message)


def _item(catalogue: Snapshot, grant: Grant, name: str) -> Item | None:
    resource = catalogue.resources.get(grant.resource)
    return resource.item_by_name.get(name) if resource else None


def _masks_content(grant: Grant, catalogue: Snapshot) -> bool:
    return any((item := _item(catalogue, grant, name)) and item.content for name in grant.masks)


def _given_away(
    grants: Sequence[Grant], existing: Sequence[Grant], judge: Judge, notices: bool
) -> Iterator[tuple[str, Finding]]:
    after = {
        key: verdict
        for key, verdict in judge.verdicts([*existing, *grants]).items()
        if notices or verdict.severity is Severity.ERROR
    }
    if not after:
        return
    worse = _not_yet(after, judge.verdicts(existing, after.keys()))
    for grant, (code, name), verdict in _by_grant(grants, existing, judge, worse):
        path: Path = ("items",)
        if code == grant.resource and name in grant.masks:
            path = ("masks", name)
        elif not grant.items:
            path = ("relations",)
        yield grant.id, Finding("mask-discloses", path, verdict.message, verdict.severity)


def _by_grant(
    grants: Sequence[Grant], before: Sequence[Grant], judge: Judge, worse: Mapping[ItemKey, Verdict]
) -> Iterator[tuple[Grant, ItemKey, Verdict]]:
    """For each of `worse`, none of which holds with `before` alone, the first of `grants` with which it does.

    By halves: a verdict that holds in the end holds from some grant on (`Verdict`).
    """
    if not worse:
        return
    if len(grants) == 1:
        yield from ((grants[0], key, verdict) for key, verdict in worse.items())
        return
    first, rest = grants[: len(grants) // 2], grants[len(grants) // 2 :]
    middle = [*before, *first]
    later = _not_yet(worse, judge.verdicts(middle, worse.keys()))
    yield from _by_grant(first, before, judge, {k: verdict for k, verdict in worse.items() if k not in later})
    yield from _by_grant(rest, middle, judge, later)


def _not_yet(after: Mapping[ItemKey, Verdict], before: Mapping[ItemKey, Verdict]) -> dict[ItemKey, Verdict]:
    """Those of `after` that do not hold in `before`, or are worse."""
    return {k: verdict for k, verdict in after.items() if k not in before or verdict.left < before[k].left}
