"""In charge of the oracle: a slow evaluator of whole operations over all rows, straight from the written rules.

It shares no code with the gateway. `Oracle.answer` gives data with marks in the place of ids and cursors, the denials,
and every request error that would be right (a refused operation tells one of them).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tanglai.catalogue.model import Relation, Resource
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.oracle.books import Books
from tests.oracle.calls import DEFAULT_PAGE
from tests.oracle.cubes import EXACT, Cell, Group, Publication, Question, ask, period, publish
from tests.oracle.foresight import (
    At,
    Expected,
    Foresight,
    cell_of,
    column_of,
    fail,
    group_type,
    item_of,
    none,
    relation_of,
)
from tests.oracle.language import ById, ByKey, Entities, Field, Figures, Listing, Operation, Selection, value_of
from tests.oracle.predicates import Truth, compared, every, negation, some
from tests.oracle.reckoning import Reckoning, Unclear, bounded
from tests.oracle.sight import Sight, Situation


@dataclass(frozen=True)
class RowMark:
    """Stands for the sealed id of a row (its index in the table)."""

    resource: str
    row: int


@dataclass(frozen=True)
class CursorMark:
    """Stands for a cursor to a row."""

    row: int


class Oracle(Foresight):
    """Answers operations of one situation, on the books of one platform."""

    def __init__(self, situation: Situation, books: Books | None = None) -> None:
        super().__init__(situation)
        self.books = Books() if books is None else books
        self.whole_sights = self.sights
        self.bounded = bounded(situation.grants)

    def answer(self, operation: Operation) -> Expected:
        """What is right; raises nothing. What is answered is entered in the books, what is refused is not.

        Raises Unclear for an operation of which the written rules do not say what it uses of a quota.
        """
        self.operation = operation
        self.spent = frozenset()
        while True:  # what is short is left out, and the rest is reckoned anew
            self.sights = {code: sight.without(self.spent) for code, sight in self.whole_sights.items()}
            self.expected, self.calls = Expected(), []
            self.foresee(operation)
            if operation.refuse:
                self.expected.refusals |= {(code, path) for code, _, path in self.expected.errors}
            if self.expected.refusals:
                return self.expected
            reckoning = Reckoning(self)
            short = self.short(reckoning.most())
            if not short:
                break
            self.spent |= short
        self.expected.data = self.root(operation)
        if reckoning.used:
            used = [self.bounded[grant] for grant in reckoning.used]
            self.books.settle(used, self.situation.now, reckoning.delivered())
        return self.expected

    def short(self, most: Mapping[str, int]) -> frozenset[str]:
        """The grants that do not cover an operation that can deliver `most` rows of each."""
        covered = {grant: self.books.covers(self.bounded[grant], self.situation.now, n) for grant, n in most.items()}
        if None in covered.values():
            raise Unclear
        return frozenset(grant for grant, is_covered in covered.items() if not is_covered)

    # --- rows --------------------------------------------------------------------------------------------------------

    def linked(self, resource: Resource, relation: Relation, row: int) -> list[int]:
        """The rows beyond a relation: both visible, the rule holds at each end, raw keys equal and not null."""
        target = self.snapshot.resources[relation.target]
        here, there = self.sights[resource.code], self.sights[target.code]
        if not (here.visible[row] and here.follows[relation.name][row]):
            return []
        key = [here.rows[row][column_of(resource, name)] for name in relation.items]
        return [
            other
            for other in range(len(there.rows))
            if there.visible[other]
            and there.follows[relation.inverse][other]
            and None not in key
            and key == [there.rows[other][column_of(target, name)] for name in relation.target_items]
        ]

    def passes(self, resource: Resource, where: Any, row: int) -> Truth:
        """A filter on the compare cells of a row."""
        truths: list[Truth] = []
        for name, operand in (none(where) or {}).items():
            operand = value_of(operand)
            if name == "not":
                truths.append(negation(self.passes(resource, operand, row)))
            elif name == "and":
                truths.append(every([self.passes(resource, part, row) for part in operand]))
            elif name == "or":
                truths.append(some([self.passes(resource, part, row) for part in operand]))
            elif (item := item_of(resource, name)) is not None:
                cell = self.sights[resource.code].compare[item.name][row]
                for operator, value in operand.items():
                    value = value_of(value)
                    value = [value_of(one) for one in value] if isinstance(value, list) else value
                    truths.append(compared(operator, cell, value))
            else:
                relation = relation_of(resource, name)
                target = self.snapshot.resources[relation.target]
                for quantifier, inner in operand.items():
                    found = [self.passes(target, inner, other) for other in self.linked(resource, relation, row)]
                    matching = [one is True for one in found]
                    outcome = {"some": any(matching), "none": not any(matching), "every": all(matching)}
                    truths.append(outcome[quantifier])
        return every(truths)

    def found(self, resource: Resource, search: Any, row: int) -> bool:
        """Whether some text that may be searched holds the needle; without a needle every row is found."""
        needle, compare = none(search), self.sights[resource.code].compare
        return needle is None or any(
            compared("contains", compare[item.name][row], needle) is True for item in self.searched(resource)
        )

    def ordered(self, resource: Resource, listing: Listing, rows: Iterable[int]) -> list[int]:
        """Rows by the named cells, then by what breaks ties, else by all clear cells. Nulls are the greatest."""
        sight = self.sights[resource.code]
        keys: list[tuple[Callable[[int], Any], bool]] = []
        for name, direction in none(listing.order) or ():
            item = item_of(resource, name) or fail(name)
            keys.append((cell_of(sight, item.name), direction == "DESC"))
        tie = self.tie(resource)
        if tie is None:
            usable = [i for i in resource.items if i.name in sight.clear_somewhere and i.type.comparable]
            tie = [cell_of(sight, item.name) for item in usable]
        keys += [(value, False) for value in tie]
        found = list(rows)
        for value, descending in reversed(keys):
            found.sort(key=lambda row, value=value: (value(row) is None, value(row)), reverse=descending)  # type: ignore[misc]
        return found

    # --- data --------------------------------------------------------------------------------------------------------

    def root(self, operation: Operation) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for root in self.collect("Query", False, operation.selections):
            if root.name == "__typename":
                data[root.key] = "Query"
            elif root.name == "_entities":
                data[root.key] = self.entities(root)
            elif root.name == "node":
                assert isinstance(root.arguments, ById)
                data[root.key] = self.node(root.arguments, root.selections)
            else:
                data[root.key] = groups = {}
                for group in self.collect("Data", False, root.selections):
                    groups[group.key] = self.group(group, At((root.key, group.key)))
        return data

    def node(self, by_id: ById, selections: Iterable[Selection]) -> Any:
        """The row that an id names; null where it is hidden, or its resource is retired or of the other zone."""
        sight = self.sights.get(by_id.resource)
        if sight is None or sight.gone is not None or not sight.visible[by_id.row]:
            return None
        return self.row(sight.resource, by_id.row, selections)

    def entities(self, root: Field) -> list[Any]:
        """A row or null for each representation; a broken one is null, with one error for all of them."""
        assert isinstance(root.arguments, Entities)
        found: list[Any] = []
        for one in root.arguments.representations:
            if one.values is None:
                found.append(None)
                continue
            sight = self.sights[one.resource]
            denied = self.key_denied(sight, one.key) is not None
            row = None if denied else self.looked_up(sight, one.values)
            found.append(None if row is None else self.row(sight.resource, row, root.selections))
        if any(one.values is None for one in root.arguments.representations):
            self.deny("BAD_INPUT", At((root.key,)))
        return found

    def looked_up(self, sight: Sight, values: Mapping[str, Any]) -> int | None:
        """The visible row whose compare cells are `values`."""
        visible = [row for row, is_visible in enumerate(sight.visible) if is_visible]
        found = [row for row in visible if all(sight.compare[n][row] == value for n, value in values.items())]
        return self.ordered(sight.resource, Listing(), found)[0] if found else None

    def group(self, group: Field, at: At) -> Any:
        if group.name == "__typename":
            return "Data"
        if group.name == "id":
            return "data:"
        members: dict[str, Any] = {}
        for member in self.collect(group_type(group.name), False, group.selections):
            if member.name == "__typename":
                members[member.key] = group_type(group.name)
            elif member.name == "id":
                members[member.key] = f"data:{group.name}"
            else:
                members[member.key] = self.member_data(group.name, member, at.child(member.key))
        return members

    def member_data(self, group: str, member: Field, at: At) -> Any:
        resource, what = self.member(group, member.name)
        sight = self.sights[resource.code]
        if sight.gone is not None:
            return None
        visible = [row for row in range(len(sight.rows)) if sight.visible[row]]
        if what == "list":
            assert isinstance(member.arguments, Listing)
            return self.connection(resource, visible, member.arguments, member.selections)
        if what == "aggregate":
            return self.aggregate(resource, visible, member, at)
        assert isinstance(member.arguments, ByKey)
        wanted = {
            (item_of(resource, name) or fail(name)).name: value_of(v) for name, v in member.arguments.values.items()
        }
        row = self.looked_up(sight, wanted)
        return None if row is None else self.row(resource, row, member.selections)

    def row(self, resource: Resource, row: int, selections: Iterable[Selection]) -> dict[str, Any]:
        sight = self.sights[resource.code]
        shown: dict[str, Any] = {}
        for selected in self.row_fields(resource, selections):
            item = item_of(resource, selected.name)
            if selected.name == "__typename":
                shown[selected.key] = resource.names.type
            elif selected.name == "id":
                shown[selected.key] = RowMark(resource.code, row)
            elif item is not None:
                cell = None if sight.denied[item.name] is not None else sight.shown[item.name][row]
                shown[selected.key] = to_json(item.type, cell)
            else:
                shown[selected.key] = self.beyond(resource, row, selected)
        return shown

    def beyond(self, resource: Resource, row: int, selected: Field) -> Any:
        relation = relation_of(resource, selected.name)
        if self.not_linked(resource, relation) is not None:
            return None
        target = self.snapshot.resources[relation.target]
        rows = self.linked(resource, relation, row)
        if relation.many:
            assert isinstance(selected.arguments, Listing)
            return self.connection(target, rows, selected.arguments, selected.selections)
        rows = self.ordered(target, Listing(), rows)
        return self.row(target, rows[0], selected.selections) if rows else None

    def page(self, resource: Resource, rows: Sequence[int], listing: Listing) -> "Page":
        """The page of `rows` that a list shows."""
        listed = [
            row
            for row in rows
            if self.passes(resource, listing.where, row) is True and self.found(resource, listing.search, row)
        ]
        after, before = none(listing.after), none(listing.before)
        window = sorted({*listed, *(c.row for c in (after, before) if c is not None)})
        window = self.ordered(resource, listing, window)
        if before is not None:
            window = window[: window.index(before.row)]
        if after is not None:
            window = window[window.index(after.row) + 1 :] if after.row in window else []
        window = [row for row in window if row in listed]
        first, last = none(listing.first), none(listing.last)
        if last is not None:
            page = window[max(len(window) - last, 0) :]
            return Page(len(listed), page, before is not None, len(page) < len(window))
        page = window[: DEFAULT_PAGE if first is None else first]
        return Page(len(listed), page, len(page) < len(window), after is not None)

    def connection(
        self, resource: Resource, rows: Sequence[int], listing: Listing, selections: Iterable[Selection]
    ) -> dict[str, Any]:
        shown = self.page(resource, rows, listing)
        page = shown.rows
        ends = [CursorMark(row) for row in page] if self.tie(resource) is not None else [None] * len(page)
        kind = resource.names.type
        answer: dict[str, Any] = {}
        for selected in self.collect(kind + "Connection", False, selections):
            if selected.name == "nodes":
                answer[selected.key] = [self.row(resource, row, selected.selections) for row in page]
            elif selected.name == "edges":
                answer[selected.key] = [
                    {
                        inner.key: kind + "Edge"
                        if inner.name == "__typename"
                        else end
                        if inner.name == "cursor"
                        else self.row(resource, row, inner.selections)
                        for inner in self.collect(kind + "Edge", False, selected.selections)
                    }
                    for row, end in zip(page, ends, strict=True)
                ]
            elif selected.name == "pageInfo":
                values = {
                    "__typename": "PageInfo",
                    "hasNextPage": shown.more_after,
                    "hasPreviousPage": shown.more_before,
                    "startCursor": ends[0] if ends else None,
                    "endCursor": ends[-1] if ends else None,
                }
                answer[selected.key] = {
                    inner.key: values[inner.name] for inner in self.collect("PageInfo", False, selected.selections)
                }
            else:
                answer[selected.key] = kind + "Connection" if selected.name == "__typename" else shown.total
        return answer

    def aggregate(self, resource: Resource, rows: Sequence[int], member: Field, at: At) -> list[dict[str, Any]] | None:
        assert isinstance(member.arguments, Figures)
        published = self.publication(resource, member)
        if published is not None:
            return self.published(resource, member, *published)
        grouped = self.grouped(resource, rows, member.arguments)
        call = next(call for call in self.calls if call.at == str(at))
        if len(grouped) > call.most and call.grants & set(self.bounded):
            self.deny("QUOTA_EXCEEDED", at)  # more groups than the code lists allow
            return None
        return [self.figures(resource, key, members, member) for key, members in grouped]

    def grouped(
        self, resource: Resource, rows: Sequence[int], arguments: Figures
    ) -> list[tuple[dict[str, Any], list[int]]]:
        """The groups of the visible rows that pass, each with its key (item -> compare cell); nulls last."""
        sight = self.sights[resource.code]
        listed = [row for row in rows if self.passes(resource, arguments.where, row) is True]
        names = [(item_of(resource, name) or fail(name)).name for name in none(arguments.group) or ()]
        groups: dict[tuple[Any, ...], list[int]] = {} if names else {(): []}
        for row in listed:
            groups.setdefault(tuple(sight.compare[name][row] for name in names), []).append(row)
        keys = sorted(groups, key=lambda key: [(value is None, value) for value in key])
        return [(dict(zip(names, key, strict=True)), groups[key]) for key in keys]

    def figures(self, resource: Resource, key: Mapping[str, Any], rows: Sequence[int], member: Field) -> dict[str, Any]:
        kind, sight = resource.names.type, self.sights[resource.code]
        answer: dict[str, Any] = {}
        for selected in self.collect(kind + "Aggregate", False, member.selections):
            if selected.name == "__typename":
                answer[selected.key] = kind + "Aggregate"
                continue
            if selected.name == "count":
                answer[selected.key] = len(rows)
                continue
            inside: dict[str, Any] = {}
            for inner in self.collect("figures", False, selected.selections):
                if inner.name == "__typename":
                    inside[inner.key] = kind + _FIGURE_TYPES[selected.name]
                    continue
                item = item_of(resource, inner.name) or fail(inner.name)
                if selected.name == "key":
                    inside[inner.key] = to_json(item.type, key.get(item.name))
                else:
                    cells = [sight.compare[item.name][row] for row in rows]
                    inside[inner.key] = figure(selected.name, item.type, [c for c in cells if c is not None])
            answer[selected.key] = inside
        return answer

    # --- published cubes ---------------------------------------------------------------------------------------------

    def cube(self, publication: Publication, resource: Resource) -> tuple[Cell, ...]:
        """The cells of the current period: counted by whoever asks first, and kept."""
        grant, statistics = publication.grant, publication.grant.statistics
        assert statistics is not None
        items = [resource.item_by_name[name] for name in statistics.dimensions + statistics.measures]
        terms = (
            [(item.name, item.type) for item in items],
            statistics,
            grant.scope,
            sorted(self.situation.attributes.items()),
        )
        key = (grant.id, resource.code, repr(terms), period(statistics.period.value, self.situation.now))
        if key not in self.books.cubes:
            sight = self.sights[resource.code]
            rows = [row for row in sight.rows if sight.holds(grant.scope, row)]
            self.books.cubes[key] = publish(grant, resource, rows)
        return self.books.cubes[key]

    def published(
        self, resource: Resource, member: Field, publication: Publication, asked: Question
    ) -> list[dict[str, Any]]:
        groups = ask(self.cube(publication, resource), asked)
        return [self._published(resource, member, group) for group in groups]

    def _published(self, resource: Resource, member: Field, group: Group) -> dict[str, Any]:
        kind = resource.names.type
        answer: dict[str, Any] = {}
        for selected in self.collect(kind + "Aggregate", False, member.selections):
            if selected.name == "__typename":
                answer[selected.key] = kind + "Aggregate"
                continue
            if selected.name == "count":
                answer[selected.key] = group.count
                continue
            inside: dict[str, Any] = {}
            for inner in self.collect("figures", False, selected.selections):
                if inner.name == "__typename":
                    inside[inner.key] = kind + _FIGURE_TYPES[selected.name]
                    continue
                item = item_of(resource, inner.name) or fail(inner.name)
                if selected.name == "key":
                    inside[inner.key] = to_json(item.type, group.key.get(item.name))
                else:
                    inside[inner.key] = _of_published(selected.name, item.type, *group.figures[item.name])
            answer[selected.key] = inside
        return answer


@dataclass(frozen=True)
class Page:
    """A page of a list, and how many rows the list has in all."""

    total: int
    rows: list[int]
    more_after: bool
    more_before: bool


_FIGURE_TYPES = {
    "key": "GroupKey",
    "countValues": "Counts",
    "countDistinct": "Counts",
    "min": "Extremes",
    "max": "Extremes",
    "sum": "Sums",
    "avg": "Sums",
}


def figure(function: str, kind: ScalarType, values: list[Any]) -> Any:
    """The JSON value of an aggregate over values that are not null."""
    if function == "countValues":
        return len(values)
    if function == "countDistinct":
        return len(set(values))
    if not values:
        return None
    if function == "min":
        return to_json(kind, min(values))
    if function == "max":
        return to_json(kind, max(values))
    total = Decimal(0)
    for value in values:  # exact, a float being the number that its shortest text says
        total = EXACT.add(total, Decimal(repr(value)) if kind is ScalarType.FLOAT else Decimal(value))
    if kind is ScalarType.FLOAT:
        whole = float(total)
        if whole in (float("inf"), float("-inf")):
            return None
        return whole if function == "sum" else whole / len(values)
    if function == "avg":
        total = EXACT.divide(total, Decimal(len(values))).quantize(Decimal("0.000001"), ROUND_HALF_EVEN, EXACT)
    return to_json(ScalarType.DECIMAL, total)


def _of_published(function: str, kind: ScalarType, total: Decimal | None, values: int) -> Any:
    """The JSON value of a published sum, or of the sum over the published number of values."""
    if total is None:
        return None
    if kind is ScalarType.FLOAT:
        return float(total) if function == "sum" else float(total) / values
    if function == "avg":
        total = EXACT.divide(total, Decimal(values)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN, EXACT)
    return to_json(ScalarType.DECIMAL, total)
