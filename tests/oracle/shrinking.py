"""In charge of making an example that fails as small as it can be while it fails in the same way."""

import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from tanglai.catalogue.model import Resource
from tests.oracle.stored import decode, encode
from tests.oracle.worlds import Drawn

Case = TypeVar("Case")
Check = Callable[[Any], Awaitable[None]]
"""Returns where a case holds, raises where it does not."""
Place = tuple[Any, ...]
Proposals = Generator[Any, bool | None, None]
"""Cases to be tried; what is sent back says whether the last one failed in the same way."""
_MISSING = object()


def way_of(error: BaseException) -> tuple[str, str, int]:
    """In which way something failed: the exception, and where its first cause was raised."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    trace = cause.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return type(cause).__name__, trace.tb_frame.f_code.co_qualname, trace.tb_lineno


async def shrink(case: Case, check: Check, error: BaseException, seconds: float) -> tuple[Case, BaseException]:
    """The smallest case found in `seconds` that fails in the way of `error`, and its own error.

    First whole resources, relations and items go, then whatever the written form of the case can do without.
    """
    attempt = _Attempt(check, way_of(error), time.monotonic() + seconds)
    best: Any = case
    failed: BaseException = error
    smaller = True
    while smaller and not attempt.over:
        smaller = False
        for propose in (_halves, _of_catalogue, _halves, _defaults):
            best, found = await _exhaust(best, propose, attempt)
            smaller |= found
        failed = attempt.error or failed
    return best, failed


class _Attempt:
    def __init__(self, check: Check, way: tuple[str, str, int], ends: float) -> None:
        self._check = check
        self._way = way
        self._ends = ends
        self.error: BaseException | None = None

    @property
    def over(self) -> bool:
        return time.monotonic() > self._ends

    async def fails(self, case: Any) -> bool:
        """Whether `case` fails in the same way. A case that makes no sense fails in another."""
        try:
            await self._check(case)
        except Exception as error:
            if way_of(error) == self._way:
                self.error = error
                return True
        return False


async def _exhaust(best: Any, propose: Callable[[Any], Proposals], attempt: _Attempt) -> tuple[Any, bool]:
    """Tries what is proposed for `best`: the last case that failed, and whether there was one."""
    found = False
    proposals = propose(best)
    taken: bool | None = None
    try:
        while not attempt.over:
            proposal = proposals.send(taken)
            taken = await attempt.fails(proposal)
            if taken:
                best, found = proposal, True
    except StopIteration:
        pass
    return best, found


# --- what the written form can do without --------------------------------------------------------------------------


def _halves(case: Any) -> Proposals:
    """Leaves out parts of every list of the written form, from the longest down: halves, quarters, single ones."""
    written = encode(case)
    lists = [
        place for place, value in _places(written) if isinstance(value, list) and value and not _link(written, place)
    ]
    for place in sorted(lists, key=lambda place: -len(repr(_at(written, place)))):
        whole = _at(written, place)
        if not isinstance(whole, list):  # what it stood in is gone
            continue
        size = max(len(whole) // 2, 1)
        while size:
            start = 0
            while start < len(whole):
                fewer = whole[:start] + whole[start + size :]
                proposal = _decoded(_with(written, place, fewer))
                if proposal is not None and (yield proposal):
                    written, whole = _with(written, place, fewer), fewer
                else:
                    start += size
            size //= 2


def _link(written: Any, place: Place) -> bool:
    """Whether a list names the items of a key or a relation, which are not any fewer."""
    within = _at(written, place[:-1])
    return isinstance(within, dict) and within.get("$") in ("Key", "Relation")


def _defaults(case: Any) -> Proposals:
    """Leaves out fields that have a default and parts of filters; puts the inside of things in their place."""
    written = encode(case)
    for place, _ in sorted(_places(written), key=lambda one: len(one[0])):
        value = _at(written, place)
        for other in _simpler(value) if value is not _MISSING else ():
            changed = _with(written, place, other)
            proposal = _decoded(changed)
            if proposal is not None and (yield proposal):
                written = changed
                break


def _simpler(value: Any) -> Iterator[Any]:
    if not isinstance(value, dict):
        return
    if value.get("$") == "Var":
        yield value["value"]
    if value.get("$") in ("Inline", "And", "Or", "Not", "IsTrue"):
        inside = value["selections"] if "selections" in value else value.get("parts", [value.get("part")])
        yield from (part for part in inside if isinstance(part, dict))
    if "$" not in value and set(value) == {"not"}:
        yield value["not"]
    for name in value:
        if name != "$":
            yield {key: part for key, part in value.items() if key != name}


def _places(written: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    yield place, written
    if isinstance(written, dict):
        for name, part in written.items():
            yield from _places(part, (*place, name))
    elif isinstance(written, list):
        for index, part in enumerate(written):
            yield from _places(part, (*place, index))


def _at(written: Any, place: Place) -> Any:
    for step in place:
        try:
            written = written[step]
        except (LookupError, TypeError):
            return _MISSING
    return written


def _with(written: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    step, *rest = place
    if isinstance(written, dict):
        return {**written, step: _with(written[step], tuple(rest), value)}
    return [*written[:step], _with(written[step], tuple(rest), value), *written[step + 1 :]]


def _decoded(written: Any) -> Any:
    try:
        return decode(written)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError):
        return None


# --- what hangs together in a catalogue ----------------------------------------------------------------------------


def _of_catalogue(case: Any) -> Proposals:
    """Leaves out a resource, both ends of a relation, or an item, with all that depends on them."""
    for code in list(case.drawn.snapshot.resources):
        if (yield (proposal := _changed(case, _without_resource(case.drawn, code)))):
            case = proposal
    for code, resource in list(case.drawn.snapshot.resources.items()):
        for name in [relation.name for relation in resource.relations]:
            if (
                code not in case.drawn.snapshot.resources
                or name not in case.drawn.snapshot.resources[code].relation_by_name
            ):
                continue
            if (yield (proposal := _changed(case, _without_relation(case.drawn, code, name)))):
                case = proposal
    for code, resource in list(case.drawn.snapshot.resources.items()):
        for name in [item.name for item in resource.items]:
            if (yield (proposal := _changed(case, _without_item(case.drawn, code, name)))):
                case = proposal


def _changed(case: Any, drawn: Drawn) -> Any:
    return replace(case, drawn=drawn)


def _without_resource(drawn: Drawn, code: str) -> Drawn:
    for name in [relation.name for relation in drawn.snapshot.resources[code].relations]:
        if name in drawn.snapshot.resources[code].relation_by_name:  # both ends may be here
            drawn = _without_relation(drawn, code, name)
    resources = {key: resource for key, resource in drawn.snapshot.resources.items() if key != code}
    grants = tuple(grant for grant in drawn.grants if grant.resource != code)
    return replace(_with_resources(drawn, resources), grants=grants)


def _without_relation(drawn: Drawn, code: str, name: str) -> Drawn:
    relation = drawn.snapshot.resources[code].relation_by_name[name]
    gone = {(code, name), (relation.target, relation.inverse)}
    resources = {
        key: replace(resource, relations=tuple(r for r in resource.relations if (key, r.name) not in gone))
        for key, resource in drawn.snapshot.resources.items()
    }
    grants = tuple(
        replace(grant, relations=frozenset(r for r in grant.relations if (grant.resource, r) not in gone))
        for grant in drawn.grants
    )
    return replace(_with_resources(drawn, resources), grants=grants)


def _without_item(drawn: Drawn, code: str, name: str) -> Drawn:
    resource = drawn.snapshot.resources[code]
    fewer = replace(
        resource,
        items=tuple(item for item in resource.items if item.name != name),
        keys=tuple(key for key in resource.keys if name not in key.items),
    )
    grants = tuple(
        replace(
            grant,
            items=grant.items - {name},
            masks={item: mask for item, mask in grant.masks.items() if item != name},
        )
        if grant.resource == code
        else grant
        for grant in drawn.grants
    )
    return replace(_with_resources(drawn, {**drawn.snapshot.resources, code: fewer}), grants=grants)


def _with_resources(drawn: Drawn, resources: Mapping[str, Resource]) -> Drawn:
    history = {code: versions for code, versions in drawn.snapshot.history.items() if code in resources}
    return replace(drawn, snapshot=replace(drawn.snapshot, resources=dict(resources), history=history))
