"""In charge of published cubes as the oracle sees them: who may use which, what it publishes, and what it answers.

Straight from the section on statistics-only grants; numbers are exact fractions, cells are counted one row at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from tanglai.catalogue.model import Grant, Item, Resource
from tanglai.catalogue.scalars import ScalarType, parse
from tests.oracle.language import ABSENT, Figures, value_of

EXACT = Context(prec=3000)
MOST_DIGITS = 100
"""Of a decimal number anywhere on the platform; a sum of more digits is no number."""


@dataclass(frozen=True)
class Publication:
    """A statistics grant that may be used now; `items` are those of its items that the token's scope leaves."""

    grant: Grant
    items: frozenset[str]


@dataclass(frozen=True)
class Cell:
    """A published cell: value by dimension, rows, and by measure the sum and the number of values (None: left out)."""

    key: Mapping[str, Any]
    count: int
    figures: Mapping[str, tuple[Decimal, int] | None]


@dataclass(frozen=True)
class Question:
    """What an aggregate asks of a cube. `conditions`: a dimension and the values that it may have."""

    groups: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[Any, ...]], ...]
    measures: tuple[str, ...]
    dimensions: frozenset[str]

    @property
    def items(self) -> frozenset[str]:
        return self.dimensions | frozenset(self.measures)


def question(resource: Resource, figures: Figures, asked: Sequence[tuple[str, str]]) -> Question | None:
    """What is asked of a cube; None for what no cube answers. `asked`: (function, item's GraphQL name) of figures."""
    by_graphql = {item.graphql: item.name for item in resource.items}
    if any(function not in ("sum", "avg") for function, _ in asked):
        return None
    group = value_of(figures.group)
    groups = [by_graphql[name] for name in (() if group in (None, ABSENT) else group)]
    conditions: list[tuple[str, tuple[Any, ...]]] = []
    named: set[str] = set(groups)

    def read(where: Any) -> bool:
        for name, operand in where.items():
            operand = value_of(operand)
            if operand in (None, ABSENT):
                return False
            if name == "and":
                if not all(read(value_of(part)) for part in operand):
                    return False
                continue
            if name not in by_graphql:
                return False
            named.add(by_graphql[name])
            for operator, given in operand.items():
                given = value_of(given)
                values = tuple(value_of(one) for one in (given if operator == "in" else [given]))
                if operator not in ("eq", "in") or any(one is None or one is ABSENT for one in values):
                    return False
                conditions.append((by_graphql[name], values))
        return True

    where = value_of(figures.where)
    if where not in (None, ABSENT) and not read(where):
        return None
    measures = tuple(by_graphql[name] for _, name in asked)
    return Question(tuple(dict.fromkeys(groups)), tuple(conditions), measures, frozenset(named))


def answers(publication: Publication, asked: Question) -> bool:
    """Whether this cube has every item that is used: grouped and filtered by dimensions, figures of measures."""
    statistics = publication.grant.statistics
    assert statistics is not None
    return (
        asked.items <= publication.items
        and asked.dimensions <= set(statistics.dimensions)
        and set(asked.measures) <= set(statistics.measures)
    )


def period(kind: str, now: datetime) -> str:
    """The period that `now` lies in, by the days of Asia/Shanghai."""
    day = (now + timedelta(hours=8)).date()
    names = {
        "DAY": f"{day}",
        "MONTH": f"{day.year}, month {day.month}",
        "QUARTER": f"{day.year}, quarter {(day.month - 1) // 3}",
        "YEAR": f"{day.year}",
    }
    return names[kind]


def publish(grant: Grant, resource: Resource, rows: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    """The cells that may be published of `rows`, those in the grant's scope (column -> raw value)."""
    statistics = grant.statistics
    assert statistics is not None
    dimensions = [resource.item_by_name[name] for name in statistics.dimensions]
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault(tuple(_coded(item, row[item.column.name]) for item in dimensions), []).append(row)
    published: list[Cell] = []
    for key, members in cells.items():
        count = _rounded_count(len(members), statistics.minimum_cell, statistics.base)
        if count is None:
            continue
        figures = {
            name: _figure(resource.item_by_name[name], members, statistics.minimum_cell, statistics.base,
                          statistics.sum_base)
            for name in statistics.measures
        }  # fmt: skip
        published.append(Cell(dict(zip(statistics.dimensions, key, strict=True)), count, figures))
    return tuple(published)


def _coded(item: Item, value: Any) -> Any:
    """A value on the code list, else none."""
    return value if value in [parse(item.type, code.value) for code in item.codes] else None


def _rounded_count(number: int, minimum: int, base: int) -> int | None:
    """Half-even to a multiple of `base`; None for what is too few, or rounds to none."""
    if number < minimum:
        return None
    return round(Fraction(number, base)) * base or None


def _figure(
    item: Item, rows: Sequence[Mapping[str, Any]], minimum: int, base: int, sum_base: Decimal
) -> tuple[Decimal, int] | None:
    values = [row[item.column.name] for row in rows if row[item.column.name] is not None]
    number = _rounded_count(len(values), minimum, base)
    if number is None:
        return None
    lacking = len(rows) - len(values)
    if 1 <= lacking <= minimum - 1:  # as few as no cell may have, told by nothing: all are counted, or none
        if Fraction(lacking, len(rows)) > Fraction(1, 10):
            return None
        number = _rounded_count(len(rows), minimum, base)
        assert number is not None
    total = Decimal(0)
    for value in values:  # exact, a float being the number that its shortest text says
        total = EXACT.add(total, Decimal(repr(value)) if item.type is ScalarType.FLOAT else Decimal(value))
    if item.type is ScalarType.FLOAT:
        whole = float(total)
        if whole in (float("inf"), float("-inf")):
            return None
        total = Decimal(repr(whole))
    if abs(total.adjusted()) > MOST_DIGITS:
        return None
    return EXACT.multiply(Decimal(round(Fraction(total) / Fraction(sum_base))), sum_base), number


@dataclass(frozen=True)
class Group:
    """One group of an answer: its key, its rows, and by measure the sum (None of none) and the number of values."""

    key: Mapping[str, Any]
    count: int
    figures: Mapping[str, tuple[Decimal | None, int]]


def ask(cells: Sequence[Cell], asked: Question) -> list[Group]:
    """The groups of the cells that fulfil every condition, nulls last; one group where nothing is grouped by."""
    passing = [
        cell
        for cell in cells
        if all(cell.key[name] is not None and cell.key[name] in values for name, values in asked.conditions)
    ]
    groups: dict[tuple[Any, ...], list[Cell]] = {} if asked.groups else {(): []}
    for cell in passing:
        groups.setdefault(tuple(cell.key[name] for name in asked.groups), []).append(cell)
    found: list[Group] = []
    for key in sorted(groups, key=lambda key: [(value is None, value) for value in key]):
        figures: dict[str, tuple[Decimal | None, int]] = {}
        for name in asked.measures:
            known = [figure for cell in groups[key] if (figure := cell.figures[name]) is not None]
            total: Decimal | None = None
            for part, _ in known:
                total = part if total is None else EXACT.add(total, part)
            figures[name] = total, sum(number for _, number in known)
        keyed = dict(zip(asked.groups, key, strict=True))
        found.append(Group(keyed, sum(cell.count for cell in groups[key]), figures))
    return found
