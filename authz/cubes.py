"""In charge of published cubes: which figures a statistics grant publishes, and what they answer. Pure, no I/O.

INVARIANT: an answer is a function of the published cells alone; no row of the source reaches it any other way.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeAlias

from authz.denial import Denial
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.expressions import Expression, IsTrue
from tanglai.catalogue.model import Grant, Item, Period, Resource, Statistics
from tanglai.catalogue.predicates import predicate_to_document
from tanglai.catalogue.scalars import ScalarType, convert, parse, plain_decimal, to_json
from tanglai.catalogue.statistics import code_values, statistics_faults

_FEW = 10  # a tenth of the rows: by so much an average may be too low
_DIGITS = 400  # of sums of sums: nothing is rounded but by the grant's base

Key: TypeAlias = tuple[Any, ...]
"""A cell's values by dimension; None for no value, and for one that is not on the code list."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A published sum of one measure and the published number of its values."""

    total: Decimal
    values: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One published cell: its key, its number of rows, and a figure by measure, None where too few have a value."""

    key: Key
    count: int
    figures: tuple[Figure | None, ...]


Cube: TypeAlias = tuple[Cell, ...]
"""The published cells of one grant and period, ordered by key, nulls last."""


@dataclass(frozen=True, slots=True)
class CubeRule:
    """A statistics grant that may be used now. `rows`: the rows that are counted, two-valued over items.

    `items` are those of its dimensions and measures that the token's scope leaves; `terms` is a digest of everything
    by which the cube is made, so that other terms are another cube. `denial` is set when the grant's quota is used up.
    """

    grant: str
    statistics: Statistics
    dimensions: tuple[Item, ...]
    measures: tuple[Item, ...]
    rows: Expression
    items: frozenset[str]
    terms: str
    denial: Denial | None = None


def cube_rule(grant: Grant, resource: Resource, rows: Expression, items: frozenset[str]) -> CubeRule | None:
    """The rule of a grant that is usable but for being for statistics; None where its statistics cannot be made."""
    statistics = grant.statistics
    if statistics is None or any(True for _ in statistics_faults(statistics, resource)):
        return None  # INVARIANT: a grant that cannot be read opens nothing
    dimensions = tuple(resource.item_by_name[name] for name in statistics.dimensions)
    measures = tuple(resource.item_by_name[name] for name in statistics.measures)
    try:
        terms = _terms(resource, statistics, dimensions + measures, rows)
    except ValueError:
        return None
    return CubeRule(grant.id, statistics, dimensions, measures, rows, items & statistics.items, terms)


def _terms(resource: Resource, statistics: Statistics, items: Sequence[Item], rows: Expression) -> str:
    scope = predicate_to_document(rows.part if isinstance(rows, IsTrue) else rows)
    parts = [
        resource.code,
        scope,
        [[item.name, item.type.value] for item in items],
        len(statistics.dimensions),
        statistics.period.value,
        statistics.minimum_cell,
        statistics.base,
        plain_decimal(statistics.sum_base.normalize()),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def period_of(period: Period, now: datetime) -> str:
    """The name of the period that `now` lies in, by days of Asia/Shanghai: 2026-05-06, 2026-05, 2026-Q2 or 2026."""
    day = now.astimezone(SHANGHAI).date()
    match period:
        case Period.DAY:
            return day.isoformat()
        case Period.MONTH:
            return f"{day.year:04d}-{day.month:02d}"
        case Period.QUARTER:
            return f"{day.year:04d}-Q{(day.month + 2) // 3}"
        case _:
            return f"{day.year:04d}"


# --- publishing ----------------------------------------------------------------------------------------------------


def publish(rule: CubeRule, rows: Sequence[Sequence[Any]]) -> Cube:
    """What may be published of the source's groups: key values, number of rows, then sum and number per measure.

    Cells and figures of fewer than the minimum are left out, and so are those that round to none; counts and sums are
    rounded half-even to a multiple of their base. A few that lack a value are no figure either: see `_values`.
    """
    statistics, offset = rule.statistics, len(rule.dimensions)
    codes = [frozenset(code_values(item)) for item in rule.dimensions]
    merged: dict[Key, list[Fraction]] = {}
    for row in rows:
        key = tuple(value if value in known else None for value, known in zip(row[:offset], codes, strict=True))
        numbers = _numbers(row[offset:])
        before = merged.get(key)
        merged[key] = numbers if before is None else [a + b for a, b in zip(before, numbers, strict=True)]
    cells = [cell for key, numbers in merged.items() if (cell := _cell(key, numbers, statistics)) is not None]
    return tuple(sorted(cells, key=lambda cell: _order(cell.key)))


def _numbers(row: Sequence[Any]) -> list[Fraction]:
    """Rows, then sum and number per measure; of a sum that is no number there are no values."""
    numbers = [Fraction(row[0])]
    for total, values in zip(row[1::2], row[2::2], strict=True):
        exact = convert(ScalarType.DECIMAL, total)
        numbers += [Fraction(0), Fraction(0)] if exact is None else [Fraction(exact), Fraction(values)]
    return numbers


def _cell(key: Key, numbers: Sequence[Fraction], statistics: Statistics) -> Cell | None:
    count = _count(numbers[0], statistics)
    if count is None:
        return None
    figures: list[Figure | None] = []
    for total, values in zip(numbers[1::2], numbers[2::2], strict=True):
        number = _values(numbers[0], values, statistics)
        figures.append(None if number is None else Figure(_rounded(total, statistics.sum_base), number))
    return Cell(key, count, tuple(figures))


def _values(rows: Fraction, values: Fraction, statistics: Statistics) -> int | None:
    """The number of values that is published with a sum, of a cell of `rows` rows; None where there is no figure.

    INVARIANT: the number of rows less that of values is never the number of a few rows. Where fewer than the minimum
    lack a value, they are counted as having one if they are at most a tenth, else the figure is left out.
    """
    number = _count(values, statistics)
    lacking = rows - values
    if number is None or not 0 < lacking < statistics.minimum_cell:
        return number
    return _count(rows, statistics) if lacking * _FEW <= rows else None


def _count(number: Fraction, statistics: Statistics) -> int | None:
    if number < statistics.minimum_cell:
        return None
    return round(number / statistics.base) * statistics.base or None


def _rounded(total: Fraction, base: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return round(total / Fraction(base)) * base


def _order(key: Key) -> tuple[Any, ...]:
    return tuple((value is None, value if value is not None else 0) for value in key)


# --- answering -----------------------------------------------------------------------------------------------------


def answer(rule: CubeRule, cube: Cube, where: Sequence[tuple[int, Sequence[Any]]], by: Sequence[int]) -> list[Key]:
    """The groups of the cells that pass `where`, by the dimensions at `by`, ordered by key, nulls last.

    `where` holds positions of dimensions with the values allowed there; all must hold, and no value is ever null. A
    row is the key, the number of rows, then per measure its sum (None of none) and number of values. Without `by`
    there is one row, even over no cell.
    """
    groups: dict[Key, list[Cell]] = {} if by else {(): []}
    for cell in cube:
        if all(cell.key[position] is not None and cell.key[position] in allowed for position, allowed in where):
            groups.setdefault(tuple(cell.key[position] for position in by), []).append(cell)
    return [_group(rule, key, groups[key]) for key in sorted(groups, key=_order)]


def _group(rule: CubeRule, key: Key, cells: Sequence[Cell]) -> Key:
    row: list[Any] = [*key, sum(cell.count for cell in cells)]
    for position, item in enumerate(rule.measures):
        figures = [figure for cell in cells if (figure := cell.figures[position]) is not None]
        with localcontext() as context:
            context.prec = _DIGITS
            total = sum((figure.total for figure in figures), Decimal(0)) if figures else None
        if total is not None and item.type is ScalarType.FLOAT:
            row += [float(total), sum(figure.values for figure in figures)]
        else:
            row += [total, sum(figure.values for figure in figures)]
    return tuple(row)


# --- as text -------------------------------------------------------------------------------------------------------


def cube_to_json(rule: CubeRule, cube: Cube) -> str:
    """The cube as it is kept; equal cubes have equal texts."""
    cells = [
        [
            [to_json(item.type, value) for item, value in zip(rule.dimensions, cell.key, strict=True)],
            cell.count,
            [figure and [plain_decimal(figure.total), figure.values] for figure in cell.figures],
        ]
        for cell in cube
    ]
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))


def cube_from_json(rule: CubeRule, text: str) -> Cube:
    """The cube in a text of `cube_to_json` under equal terms. Raises ValueError for what is none."""
    try:
        return tuple(
            Cell(
                tuple(
                    None if value is None else parse(item.type, value)
                    for item, value in zip(rule.dimensions, key, strict=True)
                ),
                count,
                tuple(figure and Figure(Decimal(figure[0]), figure[1]) for figure in figures),
            )
            for key, count, figures in json.loads(text)
        )
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ValueError("not a published cube") from error
