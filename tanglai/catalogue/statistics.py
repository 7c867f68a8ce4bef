"""In charge of what statistics a grant may publish, and of whether two grants would publish the same figures twice."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.documents_grant import MINIMUM_CELL
from tanglai.catalogue.model import Grant, GrantState, Item, Resource, Statistics, Usage
from tanglai.catalogue.scalars import parse

MAX_CELLS = 10_000
"""Most cells of a cube, by the code lists of its dimensions."""

_LIVE = (GrantState.ACTIVE, GrantState.SUSPENDED)


def code_values(item: Item) -> tuple[Any, ...]:
    """The values on the code list of `item`, of its type. Raises ValueError for a code that is none."""
    return tuple(dict.fromkeys(parse(item.type, code.value) for code in item.codes))


def statistics_faults(statistics: Statistics, resource: Resource) -> Iterator[tuple[Path, str]]:
    """Why `resource` has no such cube: where, within the grant's `statistics`, and what is wrong."""
    if not statistics.items:
        yield ("dimensions",), "statistics of no item at all"
    if statistics.minimum_cell < MINIMUM_CELL:
        yield ("minimumCell",), f"a cell has at least {MINIMUM_CELL} rows"
    if statistics.base < 1:
        yield ("base",), "counts are rounded to a multiple of 1 or more"
    if not statistics.sum_base.is_finite() or statistics.sum_base <= 0:
        yield ("sumBase",), "sums are rounded to a multiple of a positive number"
    names = statistics.dimensions + statistics.measures
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("dimensions",), f"`{name}` stands twice"
    cells = 1
    dimensions, measures = (
        (("dimensions", n) for n in statistics.dimensions),
        (("measures", n) for n in statistics.measures),
    )
    for kind, name in chain(dimensions, measures):
        item = resource.item_by_name.get(name)
        if item is None:
            yield (kind,), f"resource `{resource.code}` has no item `{name}`"
        elif kind == "measures":
            if not item.type.numeric:
                yield (kind,), f"a measure is a number, `{name}` is of type {item.type}"
        elif not item.codes:
            yield (kind,), f"a dimension has a code list, `{name}` has none"
        else:
            try:
                cells *= len(code_values(item)) + 1
            except ValueError:
                yield (kind,), f"the code list of `{name}` does not fit its type {item.type}"
    if cells > MAX_CELLS:
        yield ("dimensions",), f"the code lists make {cells} cells, more than {MAX_CELLS}"


def overlap(one: Grant, other: Grant) -> tuple[str, ...]:
    """The items of which both grants publish statistics to one requester at some same time, whatever the purposes.

    Two cubes of the same rows, cut or rounded otherwise, are a differencing pair. Suspended grants may be resumed, so
    they count.
    """
    if one.id == other.id or (one.requester, one.resource) != (other.requester, other.resource):
        return ()
    if one.statistics is None or other.statistics is None:
        return ()
    if Usage.READ in (one.usage, other.usage) or one.state not in _LIVE or other.state not in _LIVE:
        return ()
    ends_before = one.valid_to is not None and one.valid_to <= other.valid_from
    begins_after = other.valid_to is not None and other.valid_to <= one.valid_from
    if ends_before or begins_after:
        return ()
    return tuple(sorted(one.statistics.items & other.statistics.items))
