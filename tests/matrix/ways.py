"""In charge of the rows of the matrix: every way in which an operation can come to an item, a relation, or mere rows.

A new entry path, argument, operator, quantifier, function or part of a connection has its row here. `registers.py` says
what there is in the program, and a test compares: what no operation of these uses has no row, and fails.
"""

from collections.abc import Iterator
from typing import Any

from tanglai.catalogue.model import Item, Relation, Resource, Snapshot
from tanglai.catalogue.naming import enum_value_name
from tanglai.catalogue.scalars import ScalarType
from tests.matrix.steps import Samples, Step, Usage, Way
from tests.matrix.trails import (
    SCALAR_NAMES,
    Trail,
    aggregate_trail,
    beyond,
    connections,
    inbound,
    list_trail,
    literal,
    objects,
    starts,
)

EQUALITY = ("eq", "ne", "in", "notIn")
ORDERED = ("lt", "lte", "gt", "gte")
MATCHING = ("startsWith", "contains")
QUANTIFIERS = ("some", "none", "every")
COUNTS = ("countValues", "countDistinct")
EXTREMES = ("min", "max")
SUMS = ("sum", "avg")
NUMBERS = (ScalarType.INTEGER, ScalarType.LONG, ScalarType.DECIMAL, ScalarType.FLOAT)


def operators(kind: ScalarType) -> tuple[str, ...]:
    """The operators of items of a type, as the reference says."""
    if kind is ScalarType.GEOMETRY:
        return ("isNull",)
    if kind is ScalarType.BOOLEAN:
        return ("isNull", *EQUALITY)
    return ("isNull", *EQUALITY, *ORDERED, *(MATCHING if kind is ScalarType.TEXT else ()))


def functions(kind: ScalarType) -> tuple[str, ...]:
    """The functions over items of a type."""
    if kind is ScalarType.GEOMETRY:
        return ()
    return (
        *COUNTS,
        *(EXTREMES if kind is not ScalarType.BOOLEAN else ()),
        *(SUMS if kind in NUMBERS else ()),
    )


class Ways:
    """All ways to what `snapshot` serves, with operands from `samples`."""

    def __init__(self, snapshot: Snapshot, samples: Samples | None = None) -> None:
        self.snapshot = snapshot
        self.samples = samples or Samples()

    # --- items -----------------------------------------------------------------------------------------------------

    def of_item(self, resource: Resource, item: Item) -> Iterator[Way]:
        yield from self._selected(resource, item)
        yield from self._filtered(resource, item)
        if item.type is not ScalarType.GEOMETRY:
            yield from self._ordered(resource, item)
            yield from self._figured(resource, item)
        if item.type is ScalarType.TEXT:
            yield from self._searched(resource, item)
        yield from self._keyed(resource, item)

    def _selected(self, resource: Resource, item: Item) -> Iterator[Way]:
        name = item.graphql

        def way(trail: Trail, spelling: str, text: str, key: str = name, head: str = "", **variables: Any) -> Way:
            step = Step(Usage.SELECT, resource.code, item.name, (*trail.at, key))
            return Way(
                f"select{spelling} / {trail.name}",
                trail.text(text, head=head),
                (*trail.steps, step),
                {**trail.variables, **variables},
            )

        for trail in objects(self.snapshot, resource, self.samples):
            yield way(trail, "", name)
            if trail.name != "list nodes":
                continue
            yield way(trail, " by an alias", f"x: {name}", "x")
            yield way(trail, " in a fragment", f"... on {resource.names.type} {{ ... {{ {name} }} }}")
            yield way(trail, " twice", f"{name} ... {{ {name} }}")
            yield way(trail, " by a directive", f"{name} @include(if: $yes)", head="$yes: Boolean!", yes=True)
        base = list_trail(resource)
        at = (*base.at, "nodes", name)
        yield Way(
            "select in a named fragment / list nodes",
            f"{base.text('nodes { ...F }')} fragment F on {resource.names.type} {{ {name} }}",
            (*base.steps, Step(Usage.SELECT, resource.code, item.name, at)),
        )

    def _operand(self, resource: Resource, item: Item, operator: str) -> Any:
        if operator == "isNull":
            return False
        value = self.samples.value(resource, item)
        return [value] if operator in ("in", "notIn") else value

    def _filtered(self, resource: Resource, item: Item) -> Iterator[Way]:
        step = Step(Usage.WHERE, resource.code, item.name)
        main = "isNull" if item.type is ScalarType.GEOMETRY else "eq"
        operand = self._operand(resource, item, main)
        plain = literal({item.graphql: {main: operand}})
        base, figures = list_trail(resource), aggregate_trail(resource)

        def way(name: str, trail: Trail, where: str, body: str, figure: str = "") -> Way:
            steps = (*trail.steps, step)
            return Way(
                f"where {name} / {trail.name}", trail.text(body, f"where: {where}"), steps, trail.variables, figure
            )

        for operator in operators(item.type):
            condition = literal({item.graphql: {operator: self._operand(resource, item, operator)}})
            yield way(operator, base, condition, "totalCount nodes { __typename }")
            if operator in ("eq", "in", "ne"):
                yield way(operator, figures, condition, "count", "dimension" if operator != "ne" else "")
        yield way("isNull true", base, literal({item.graphql: {"isNull": True}}), "nodes { __typename }")
        yield way("isNull", figures, literal({item.graphql: {"isNull": False}}), "count")
        for logic, where, figure in (
            ("in and", f"{{and: [{plain}]}}", "dimension"),
            ("in or", f"{{or: [{plain}, {{not: {plain}}}]}}", ""),
            ("in not", f"{{not: {plain}}}", ""),
            ("in not or and", f"{{not: {{or: [{{and: [{plain}]}}]}}}}", ""),
        ):
            yield way(logic, base, where, "nodes { __typename }")
            fits = figure if main == "eq" else ""
            yield way(logic, figures, where, "count", fits)
        if main == "eq":
            yield self._filtered_by_variable(base, resource, item, step, "eq", operand)
        for trail in connections(self.snapshot, resource, self.samples):
            if trail.name != "list":
                yield way(main, trail, plain, "totalCount nodes { __typename }")
        yield from self._filtered_beyond(resource, item, plain, step)

    def _filtered_by_variable(
        self, base: Trail, resource: Resource, item: Item, step: Step, operator: str, operand: Any
    ) -> Way:
        return Way(
            "where by a variable / list",
            base.text(
                "nodes { __typename }",
                f"where: {{{item.graphql}: {{{operator}: $v}}}}",
                f"$v: {SCALAR_NAMES[item.type.value]}",
            ),
            (*base.steps, step),
            {"v": operand},
        )

    def _filtered_beyond(self, resource: Resource, item: Item, plain: str, step: Step) -> Iterator[Way]:
        """Filters of other resources that come to the item through relations."""
        for number, (start, relation) in enumerate(inbound(self.snapshot, resource)):
            through = Step(Usage.THROUGH, start.code, relation.name)
            for quantifier in QUANTIFIERS if number == 0 else ("some",):
                where = f"{{{relation.graphql}: {{{quantifier}: {plain}}}}}"
                for trail, body in ((list_trail(start), "nodes { __typename }"), (aggregate_trail(start), "count")):
                    if number == 0 or trail.name == "list":
                        yield Way(
                            f"where {quantifier} / {trail.name}",
                            trail.text(body, f"where: {where}"),
                            (*trail.steps, through, step),
                        )
            if number:
                continue
            for first, before in inbound(self.snapshot, start)[:1]:
                trail = list_trail(first)
                where = f"{{{before.graphql}: {{some: {{{relation.graphql}: {{some: {plain}}}}}}}}}"
                steps = (*trail.steps, Step(Usage.THROUGH, first.code, before.name), through, step)
                yield Way("where some some / list", trail.text("nodes { __typename }", f"where: {where}"), steps)

    def _ordered(self, resource: Resource, item: Item) -> Iterator[Way]:
        step = Step(Usage.ORDER, resource.code, item.name)
        for trail in connections(self.snapshot, resource, self.samples):
            for direction in ("ASC", "DESC") if trail.main else ("ASC",):
                yield Way(
                    f"orderBy {direction} / {trail.name}",
                    trail.text("nodes { __typename }", f"orderBy: [{{{item.graphql}: {direction}}}]"),
                    (*trail.steps, step),
                    trail.variables,
                )
        base = list_trail(resource)
        yield Way(
            "orderBy with cursors / list",
            base.text(
                "edges { cursor } pageInfo { endCursor startCursor }", f"orderBy: {{{item.graphql}: ASC}}, first: 1"
            ),
            (*base.steps, step),
        )

    def _figured(self, resource: Resource, item: Item) -> Iterator[Way]:
        trail = aggregate_trail(resource)
        group, name = enum_value_name(item.graphql), item.graphql
        step = Step(Usage.GROUP, resource.code, item.name)
        for body, figure in ((f"key {{ {name} }} count", "dimension"), ("count", "dimension")):
            way = "groupBy with key" if "key" in body else "groupBy"
            yield Way(f"{way} / aggregate", trail.text(body, f"groupBy: [{group}]"), (*trail.steps, step), {}, figure)
        for function in functions(item.type):
            figure = "measure" if function in SUMS else ""
            step = Step(Usage.AGGREGATE, resource.code, item.name, (*trail.at, function, name))
            yield Way(
                f"{function} / aggregate", trail.text(f"{function} {{ {name} }}"), (*trail.steps, step), {}, figure
            )

    def _searched(self, resource: Resource, item: Item) -> Iterator[Way]:
        step = Step(Usage.SEARCH, resource.code, item.name)
        needle = literal(self.samples.value(resource, item))
        for trail in connections(self.snapshot, resource, self.samples):
            if trail.name in ("list", "to many below list"):
                yield Way(
                    f"search / {trail.name}",
                    trail.text("nodes { __typename }", f"search: {needle}"),
                    (*trail.steps, step),
                    trail.variables,
                )
        base = list_trail(resource)
        yield Way(
            "search by a variable / list",
            base.text("totalCount", "search: $needle", "$needle: String"),
            (*base.steps, step),
            {"needle": self.samples.value(resource, item)},
        )

    def _keyed(self, resource: Resource, item: Item) -> Iterator[Way]:
        """Look-ups by a key that the item is part of, whatever is selected."""
        for trail in objects(self.snapshot, resource, self.samples):
            uses = [step for step in trail.steps if (step.resource, step.name) == (resource.code, item.name)]
            if uses and trail.steps[-1].usage in (Usage.KEY, Usage.ENTITY):
                yield Way(f"key / {trail.name}", trail.text("__typename"), trail.steps, trail.variables, own=uses[-1])

    # --- relations -------------------------------------------------------------------------------------------------

    def of_relation(self, resource: Resource, relation: Relation) -> Iterator[Way]:
        """Ways along `relation`; the last step is at its near end, and the far end is part of the same step."""
        body = "totalCount nodes { __typename }" if relation.many else "__typename"
        for trail in starts(resource, self.samples, every=True):
            there = beyond(trail, resource, relation)
            kind = "to many" if relation.many else "to one"
            yield Way(f"follow {kind} / {trail.name}", there.text(body), there.steps, there.variables)
        for number, (start, before) in enumerate(inbound(self.snapshot, resource)):
            trail = beyond(next(starts(start, self.samples, every=False)), start, before)
            if number == 0:
                inner = beyond(_nodes(trail) if before.many else trail, resource, relation)
                yield Way(f"follow {kind} / below a relation", inner.text(body), inner.steps)
        step = Step(Usage.THROUGH, resource.code, relation.name)
        for quantifier in QUANTIFIERS:
            for name, where in (
                ("", f"{{{relation.graphql}: {{{quantifier}: {{}}}}}}"),
                (" in not", f"{{not: {{{relation.graphql}: {{{quantifier}: {{}}}}}}}}"),
            ):
                for trail, selected in (
                    (list_trail(resource), "totalCount nodes { __typename }"),
                    (aggregate_trail(resource), "count"),
                ):
                    yield Way(
                        f"{quantifier}{name} / {trail.name}",
                        trail.text(selected, f"where: {where}"),
                        (*trail.steps, step),
                    )
        for start, before in inbound(self.snapshot, resource)[:1]:
            trail = list_trail(start)
            where = f"{{{before.graphql}: {{some: {{{relation.graphql}: {{none: {{}}}}}}}}}}"
            steps = (*trail.steps, Step(Usage.THROUGH, start.code, before.name), step)
            yield Way("none in some / list", trail.text("nodes { __typename }", f"where: {where}"), steps)

    # --- rows ------------------------------------------------------------------------------------------------------

    def of_rows(self, resource: Resource) -> Iterator[Way]:
        """Ways that name no item: how many rows there are, their handles and places."""
        step = Step(Usage.ROWS, resource.code)
        base, figures = list_trail(resource), aggregate_trail(resource)
        handle = resource.binding.handle is not None

        def way(name: str, trail: Trail, body: str, arguments: str = "", figure: str = "") -> Way:
            steps = (*trail.steps, step)
            return Way(f"{name} / {trail.name}", trail.text(body, arguments), steps, trail.variables, figure)

        pages = [("first", "first: 1"), ("first of none", "first: 0"), ("last", "last: 1")]
        pages += [("after", 'after: "c.x"'), ("before", 'before: "c.x"')]
        for trail in connections(self.snapshot, resource, self.samples):
            for name, arguments in pages:
                if trail.name in ("list", "to many below list"):
                    yield way(name, trail, "nodes { __typename }", arguments)
        for name, where in (
            ("where of nothing", "{}"),
            ("where and of nothing", "{and: []}"),
            ("where or of nothing", "{or: []}"),
            ("where not of nothing", "{not: {}}"),
        ):
            yield way(name, base, "nodes { __typename }", f"where: {where}")
            yield way(
                name, figures, "count", f"where: {where}", "count" if "not" not in where and "or" not in where else ""
            )
        yield way("count", figures, "count", figure="count")
        if any(item.type is not ScalarType.GEOMETRY for item in resource.items):
            yield way("groupBy of nothing", figures, "count", "groupBy: []", "count")
        for trail in connections(self.snapshot, resource, self.samples):
            yield way("totalCount", trail, "totalCount")
            yield way("cursors", trail, "edges { cursor }")
            yield way("pageInfo", trail, "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }")
        for trail in objects(self.snapshot, resource, self.samples):
            if any(use.usage in (Usage.KEY, Usage.ENTITY) and use.name for use in trail.steps):
                continue  # a key names an item
            yield way("__typename", trail, "__typename")
            if handle:
                yield way("id", trail, "id")
        yield Way(
            "constants / data",
            f"{{ data {{ id __typename {resource.names.group} {{ id __typename }} }} }}",
            (),
        )


def _nodes(trail: Trail) -> Trail:
    """The objects of a connection."""
    return Trail(
        f"{trail.name} nodes",
        f"{trail.before} {{ nodes",
        " }" + trail.after,
        trail.steps,
        (*trail.at, "nodes"),
        False,
        False,
        trail.head,
        trail.variables,
    )
