"""Random expressions and queries over the suite's tables, with the values of their slots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from connectors.protocol import (
    KEYS,
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonRows,
    JsonText,
    Order,
    RawOutput,
    SourceQuery,
)
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Aggregate,
    AggregateFunction,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    Masked,
    Match,
    MatchOp,
    Not,
    Null,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.scalars import ScalarType
from tests.contract.dataset import (
    CARS,
    CARS_COLUMNS,
    CODE,
    ID,
    NAME,
    OWNER,
    OWNER_NAME,
    PEOPLE,
    PEOPLE_COLUMNS,
    PLATE,
    SHAPE,
)

MASKS = (
    Mask(MaskKind.KEEP, 1, 2),
    Mask(MaskKind.KEEP, 0, 0),
    Mask(MaskKind.KEEP, 3, 4),
    Mask(MaskKind.FIRST),
    Mask(MaskKind.DOMAIN),
    Mask(MaskKind.REGION, 3),
    Mask(MaskKind.PSEUDONYM, key=bytes(range(32))),
    Mask(MaskKind.PSEUDONYM, key=b"k" * 80),
    Mask(MaskKind.REDACT),
)
_COMPARED = tuple(column for column in PEOPLE_COLUMNS if column.type.comparable)
_CAR_COMPARED = CARS_COLUMNS
_LINKS = ((ID, OWNER), (NAME, OWNER_NAME), (CODE, PLATE))
_POOLS: dict[ScalarType, list[Any]] = {}
for _columns, _rows in ((PEOPLE_COLUMNS, PEOPLE), (CARS_COLUMNS, CARS)):
    for _column in _columns:
        _pool = _POOLS.setdefault(_column.type, [])
        _pool += [row[_column.name] for row in _rows if row[_column.name] is not None]
_OTHERS: dict[ScalarType, st.SearchStrategy[Any]] = {
    ScalarType.TEXT: st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    ScalarType.BOOLEAN: st.booleans(),
    ScalarType.INTEGER: st.integers(-(2**31), 2**31 - 1),
    ScalarType.LONG: st.integers(-(2**63), 2**63 - 1),
    ScalarType.DECIMAL: st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12
    )
    | st.sampled_from([Decimal("1E+50"), Decimal("-1E+50"), Decimal("1E-50"), Decimal("12.5"), Decimal("5.550000")]),
    ScalarType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ScalarType.DATE: st.dates(),
    ScalarType.TIME: st.times(),
    ScalarType.DATETIME: st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
}
_ALL_OPS = tuple(CompareOp)
_NEEDLES = ("", "%", "_", "\\", "张", "a", "A", "e", "\u0301", "@", "0")
_ON_ANY = (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT, AggregateFunction.MIN, AggregateFunction.MAX)


def values(kind: ScalarType) -> st.SearchStrategy[Any]:
    """A value of `kind`, often one that rows have."""
    return st.sampled_from(_POOLS[kind]) | _OTHERS[kind]


@dataclass
class Arguments:
    """Collects the values of the slots that are drawn."""

    values: dict[str, Any] = field(default_factory=dict)

    def slot(self, kind: ScalarType, value: Any, *, many: bool = False) -> Slot:
        path = f"slot{len(self.values)}"
        self.values[path] = value
        return Slot(path, kind, many)


@dataclass
class Drawing:
    """Draws expressions over one table's columns."""

    draw: st.DrawFn
    arguments: Arguments
    columns: Sequence[Column]
    nested: bool

    def pick(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def yes(self) -> bool:
        return self.draw(st.booleans())

    def operand(self, kind: ScalarType) -> Value | Slot:
        value = self.draw(values(kind))
        return Value(value, kind) if self.yes() else self.arguments.slot(kind, value)

    def cell(self, column: Column, depth: int = 2) -> Expression:
        """What authorization makes of a column: the column, guarded, by several grants, or null."""
        form = self.pick(("plain", "plain", "guarded", "union", "null"))
        if form == "plain" or depth <= 0:
            return column
        if form == "guarded":
            return Case(((self.predicate(depth - 1), column),), column.type)
        if form == "null":
            return Null(column.type)
        branches = tuple((self.predicate(depth - 1), column) for _ in range(2))
        return Case(branches, column.type)

    def shown(self, column: Column) -> Expression:
        """A cell as it is shown: masked texts too."""
        if column.type is ScalarType.TEXT and self.yes():
            masked = Masked(self.pick(MASKS), column)
            return (
                masked if self.yes() else Case(((self.predicate(1), column), (self.predicate(1), masked)), column.type)
            )
        return self.cell(column)

    def predicate(self, depth: int = 3) -> Expression:
        forms = ["compare", "compare", "in", "isNull", "match", "boolean"]
        if depth > 0:
            forms += ["and", "or", "not", "isTrue", "case", "and", "not"]
            if self.nested and self.columns is _COMPARED:
                forms.append("exists")
        form = self.pick(forms)
        column: Column = self.pick(self.columns)
        match form:
            case "compare":
                left, right = self.cell(column, depth - 1), self.operand(column.type)
                pair: tuple[Expression, Expression] = (left, right) if self.draw(st.integers(0, 4)) else (right, left)
                if self.draw(st.integers(0, 9)) == 0:
                    same = [other for other in self.columns if other.type is column.type]
                    pair = (left, self.cell(self.pick(same), depth - 1))
                return Compare(self.pick(_ALL_OPS), *pair)
            case "in":
                return self._in(column, depth)
            case "isNull":
                return IsNull(self.cell(column, depth - 1))
            case "match":
                text: Column = self.pick([column for column in self.columns if column.type is ScalarType.TEXT])
                needle = self.draw(st.sampled_from(_NEEDLES) | values(ScalarType.TEXT))
                operand = Value(needle, ScalarType.TEXT) if self.yes() else self.arguments.slot(ScalarType.TEXT, needle)
                return Match(self.pick(tuple(MatchOp)), self.cell(text, depth - 1), operand)
            case "boolean":
                known: Expression = self.pick((TRUE, FALSE, Null(ScalarType.BOOLEAN)))
                return known
            case "and" | "or":
                parts = tuple(self.predicate(depth - 1) for _ in range(self.pick((0, 1, 2, 2, 3))))
                return And(parts) if form == "and" else Or(parts)
            case "not":
                return Not(self.predicate(depth - 1))
            case "isTrue":
                return IsTrue(self.predicate(depth - 1))
            case "case":
                branches = tuple(
                    (self.predicate(depth - 1), self.predicate(depth - 1)) for _ in range(self.pick((0, 1, 2)))
                )
                return Case(branches, ScalarType.BOOLEAN)
            case _:
                inner = Drawing(self.draw, self.arguments, _CAR_COMPARED, self.nested)
                return Exists(None, "cars", (self.pick(_LINKS),), inner.predicate(depth - 1))

    def _in(self, column: Column, depth: int) -> In:
        nodes: list[Value | Slot] = [self.operand(column.type) for _ in range(self.pick((0, 1, 2)))]
        if self.yes():
            several = self.draw(st.lists(values(column.type), max_size=3))
            nodes.append(self.arguments.slot(column.type, several, many=True))
        return In(self.cell(column, depth - 1), tuple(nodes))

    def order(self) -> tuple[Order, ...]:
        """At most two keys, then the identity, so that the order is total."""
        keys = [Order(self.cell(self.pick(self.columns), 1), self.yes()) for _ in range(self.pick((0, 1, 2)))]
        return (*keys, Order(self.columns[0], self.yes()))

    def limit(self) -> int | Slot | None:
        number = self.draw(st.integers(0, 6))
        limit: int | Slot | None = self.pick((None, number, self.arguments.slot(ScalarType.INTEGER, number)))
        return limit

    def object(self) -> JsonObject:
        fields: list[tuple[str, JsonNode]] = [
            (f"f{index}", self.shown(self.pick(self.columns))) for index in range(self.draw(st.integers(1, 5)))
        ]
        if self.columns is _COMPARED:
            fields.append(("shape", SHAPE))
            if self.nested and self.yes():
                fields.append(("cars", self.rows()))
        fields.append(("__type", JsonText('"Person"')))
        return JsonObject(tuple(fields))

    def rows(self) -> JsonRows:
        inner = Drawing(self.draw, self.arguments, _CAR_COMPARED, nested=False)
        number = self.draw(st.integers(0, 3))
        return JsonRows(
            None,
            "cars",
            (self.pick(_LINKS),),
            visible=inner.predicate(1),
            where=inner.predicate(1) if self.yes() else TRUE,
            order=inner.order(),
            limit=number if self.yes() else self.arguments.slot(ScalarType.INTEGER, number),
            many=self.yes(),
            element=inner.object(),
            guard=self.predicate(1) if self.yes() else TRUE,
        )


@dataclass(frozen=True)
class Drawn:
    """A random query and the values of its slots."""

    query: SourceQuery
    arguments: dict[str, Any]


@st.composite
def lists(draw: st.DrawFn, *, nested: bool) -> Drawn:
    """Rows: filtered, ordered, limited, maybe by key batch."""
    arguments = Arguments()
    drawing = Drawing(draw, arguments, _COMPARED, nested)
    links = draw(st.sampled_from([(), (), (ID,), (NAME,), (CODE, NAME)]))
    if links:
        row_keys = st.sampled_from(PEOPLE).map(lambda row: tuple(row[link.name] for link in links))
        whole = row_keys.filter(lambda key: None not in key)
        keys = draw(st.lists(whole, min_size=1, max_size=5))
        arguments.values[KEYS] = [key if len(links) > 1 else key[0] for key in keys]
    raw = [RawOutput(drawing.cell(drawing.pick(_COMPARED))) for _ in range(draw(st.integers(0, 2)))]
    query = SourceQuery(
        "s",
        None,
        "people",
        outputs=(JsonOutput(drawing.object()), *raw),
        visible=drawing.predicate(),
        where=drawing.predicate() if drawing.yes() else TRUE,
        order=drawing.order(),
        limit=drawing.limit(),
        links=links,
        per_key=bool(links),
    )
    return Drawn(query, arguments.values)


@st.composite
def groups(draw: st.DrawFn) -> Drawn:
    """Groups with aggregates, or one over everything."""
    arguments = Arguments()
    drawing = Drawing(draw, arguments, _COMPARED, nested=False)
    keys = tuple(dict.fromkeys(drawing.cell(drawing.pick(_COMPARED)) for _ in range(draw(st.integers(0, 2)))))
    aggregates: list[Aggregate] = [Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)]
    for _ in range(draw(st.integers(0, 4))):
        column: Column = drawing.pick(_COMPARED)
        function = drawing.pick((*_ON_ANY, AggregateFunction.SUM) if column.type.numeric else _ON_ANY)
        kind = column.type
        if function in (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT):
            kind = ScalarType.LONG
        elif function is AggregateFunction.SUM:
            kind = drawing.pick((ScalarType.DECIMAL, ScalarType.FLOAT))
        aggregates.append(Aggregate(function, drawing.cell(column), kind))
    fields = tuple((f"a{index}", aggregate) for index, aggregate in enumerate(aggregates))
    query = SourceQuery(
        "s",
        None,
        "people",
        outputs=(*(RawOutput(key) for key in keys), JsonOutput(JsonObject(fields)), *map(RawOutput, aggregates)),
        visible=drawing.predicate(),
        order=tuple(Order(key, drawing.yes()) for key in keys),
        group_by=keys,
        limit=drawing.limit() if keys else None,
    )
    return Drawn(query, arguments.values)
