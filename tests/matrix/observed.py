"""In charge of reading the verdict off responses, and of what no response may hold."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.matrix.asking import Reply
from tests.matrix.region import COUNT, IN_SCOPE, masked, rows
from tests.matrix.rules import NO_ROWS, NULL, PUBLISHED, REFUSED, SKIPPED, Cell, Verdict
from tests.matrix.states import Sight
from tests.matrix.steps import Usage, Way

_TELLING = (
    "where eq / list",
    "where in / list",
    "where startsWith / list",
    "search / list",
    "search by a variable / list",
)
"""Ways whose answer depends on whether the compare cell of the row that is named is the value."""


def raw(cell: Cell) -> list[Any]:
    """The subject's value in each row, in JSON form."""
    assert cell.name is not None
    return [row[cell.name] for row in rows()[cell.resource.names.one]]


def verdict(cell: Cell, way: Way, replies: Sequence[Reply], expected: Verdict) -> Verdict:
    """What `replies` say: the first names the first row, a second one the last, which grants for some rows leave out.

    Where an answer cannot tell on how many rows a cell is clear, `expected` is taken for it.
    """
    if any("data" not in reply.body for reply in replies):
        (extensions,) = {_told(reply, 0) for reply in replies}
        return Verdict(REFUSED, *extensions[:2])
    if any(reply.body.get("errors") for reply in replies):
        ((code, about, path),) = {_told(reply, n) for reply in replies for n in range(len(reply.body["errors"]))}
        values = [value for reply in replies for value in found(reply.body["data"], path)]
        assert all(value is None for value in values), "a field that is denied is not null"
        return Verdict(NULL, code, about, path)
    step = way.subject
    data = [reply.body["data"] for reply in replies]
    if expected.outcome == PUBLISHED:
        grants = {tuple(reply.body["extensions"]["grants"]) for reply in replies}
        return Verdict(PUBLISHED) if all(len(held) == 1 for held in grants) else Verdict("not from a cube")
    if step is None or step.usage in (Usage.FOLLOW, Usage.THROUGH):
        return expected
    if step.usage is Usage.SELECT:
        values = [list(found(part, step.at)) for part in data]
        own = any(use.usage in (Usage.KEY, Usage.ENTITY) and use.name == cell.name for use in way.steps)
        if own and len(values) == 2 and not values[1]:
            values[1] = [None]  # named by the very value that is hidden there: no row is found
        return Verdict(_selected(cell, [value for part in values for value in part]))
    if step.usage is Usage.ROWS:
        return Verdict(_rows(data, expected))
    if way.name in _TELLING and len({str(value) for value in raw(cell)}) == COUNT:
        return Verdict(_compared(way, data, expected))
    return expected


def _told(reply: Reply, number: int) -> tuple[str, tuple[str, str | None], tuple[str, ...]]:
    extensions = reply.body["errors"][number]["extensions"]
    about = (extensions.get("resource"), extensions.get("item"))
    return extensions["code"], about, tuple(extensions.get("fieldPath", "").split("."))


def found(data: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """The values at a field path, through lists; nothing below null."""
    if isinstance(data, list):
        for part in data:
            yield from found(part, path)
    elif not path:
        yield data
    elif data is not None:
        yield from found(data[path[0]], path[1:])


def _selected(cell: Cell, values: list[Any]) -> str:
    assert values, "the operation comes to no row"
    known = raw(cell)
    clear = [value for value in values if value in known]
    hidden = [value for value in values if value is None]
    covered = [value for value in values if isinstance(value, str) and value in map(masked, map(str, known))]
    assert len(clear) + len(hidden) + len(covered) == len(values), f"neither raw nor masked nor null: {values}"
    if covered:
        return Sight.MIXED if clear else Sight.MASKED
    if hidden and clear:
        return Sight.PARTLY
    return Sight.CLEAR if clear else "null without an error"


def _compared(way: Way, data: list[Any], expected: Verdict) -> str:
    counts = [_count(part) for part in data]
    if expected.outcome == SKIPPED:
        return SKIPPED if not any(counts) else "searched"
    if len(counts) == 2 and counts[0] == 1 and counts[1] == 0:
        return Sight.PARTLY
    return Sight.CLEAR if all(count == 1 for count in counts) else f"{counts} rows"


def _count(data: Any) -> int:
    listed = next(found(data, ("data", "town", "persons")))
    return int(listed["totalCount"]) if "totalCount" in listed else len(listed["nodes"])


def _rows(data: list[Any], expected: Verdict) -> str:
    numbers = [number for part in data for number in _numbers(part)]
    if expected.outcome == NO_ROWS:
        return NO_ROWS if not any(numbers) else f"{numbers} rows"
    whole = COUNT if expected.outcome == Sight.CLEAR else IN_SCOPE
    return expected.outcome if all(number <= whole for number in numbers) else f"{numbers} rows"


def _numbers(data: Any) -> Iterator[int]:
    """How many rows an answer tells of, wherever it does."""
    if isinstance(data, list):
        for part in data:
            yield from _numbers(part)
    elif isinstance(data, dict):
        for name, value in data.items():
            if name in ("totalCount", "count"):
                yield value
            elif name in ("nodes", "edges"):
                yield len(value)
            elif name == "node":
                yield int(value is not None)
            else:
                yield from _numbers(value)


def leaked(cell: Cell, expected: Verdict, reply: Reply) -> list[str]:
    """Values of the subject that stand in the bytes of a response and may not."""
    if cell.name not in cell.resource.item_by_name:
        return []
    known = raw(cell)
    if expected.outcome == Sight.CLEAR:
        return []
    secret = known[IN_SCOPE:] if expected.outcome in (Sight.PARTLY, Sight.MIXED) else known
    return [str(value) for value in secret if not isinstance(value, bool) and _written(value) in reply.raw]


def _written(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return str(text).encode()
