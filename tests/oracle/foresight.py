"""In charge of what an operation may ask, before any row is read: denials, request errors, and what is told of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tanglai.catalogue.model import Item, Key, Relation, Resource
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tanglai.catalogue.scalars import ScalarType
from tests.oracle.calls import Call, most_groups, page_size
from tests.oracle.cubes import Publication, Question, answers, question
from tests.oracle.language import (
    ABSENT,
    ById,
    Entities,
    Field,
    Figures,
    Inline,
    Listing,
    Operation,
    Pick,
    Place,
    Selection,
    Var,
    value_of,
)
from tests.oracle.sight import Sight, Situation, see

LOGIC = ("and", "or", "not")
ANY_TYPE = "*"
"""Stands for every type at once."""


@dataclass(frozen=True)
class At:
    """Where a field stands. `cut`: the path up to the first list, which is what a response path can say."""

    whole: tuple[str, ...] = ()
    cut: tuple[str, ...] | None = None

    def child(self, key: str) -> "At":
        return At((*self.whole, key), self.cut)

    def rows(self) -> "At":
        return At(self.whole, self.whole if self.cut is None else self.cut)

    @property
    def path(self) -> tuple[str, ...]:
        return self.whole if self.cut is None else self.cut

    def __str__(self) -> str:
        return ".".join(self.whole)


@dataclass
class Expected:
    """What is right. `errors` are (code, path, fieldPath); `refusals` are (code, fieldPath or None for any)."""

    data: Any = None
    errors: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    refusals: set[tuple[str, str | None]] = field(default_factory=set)
    grants: set[str] = field(default_factory=set)
    masked: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)


class Foresight:
    """Reads an operation for one situation."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.snapshot = situation.snapshot
        self.sights = {code: see(situation, resource) for code, resource in self.snapshot.resources.items()}
        self.operation = Operation(())
        self.expected = Expected()
        self.calls: list[Call] = []
        self.call: Call | None = None
        self.spent: frozenset[str] = frozenset()
        """Grants whose quota does not cover the operation."""

    # --- selections --------------------------------------------------------------------------------------------------

    def collect(self, kind: str, is_node: bool, selections: Iterable[Selection]) -> list[Field]:
        """Fields for an object of type `kind` in response order, merged by key; `is_node`: it has a row handle."""
        found: dict[str, Field] = {}
        self._collect(kind, is_node, selections, found, set())
        return list(found.values())

    def _collect(
        self,
        kind: str,
        is_node: bool,
        selections: Iterable[Selection],
        found: dict[str, Field],
        spread: set[str],
    ) -> None:
        for selection in selections:
            if not all(only.kept for only in selection.only):
                continue
            if isinstance(selection, Field):
                before = found.get(selection.key)
                merged = selection.selections if before is None else before.selections + selection.selections
                found[selection.key] = Field(selection.name, selection.alias, selection.arguments, merged)
                continue
            condition: str | None
            if isinstance(selection, Inline):
                condition, inner = selection.condition, selection.selections
            else:
                if selection.fragment in spread:
                    continue
                spread.add(selection.fragment)
                fragment = self.operation.fragments[selection.fragment]
                condition, inner = fragment.condition, fragment.selections
            if kind == ANY_TYPE or condition in (None, kind) or (condition == "Node" and is_node):
                self._collect(kind, is_node, inner, found, spread)

    def row_fields(self, resource: Resource, selections: Iterable[Selection]) -> list[Field]:
        return self.collect(resource.names.type, resource.binding.handle is not None, selections)

    # --- what is known before any row is read: denials and request errors --------------------------------------------

    def deny(self, code: str, at: At) -> None:
        self.expected.errors.append((code, at.path, str(at)))

    def refuse(self, code: str, at: At | None = None) -> None:
        self.expected.refusals.add((code, None if at is None else str(at)))

    def rest_on(self, grants: Iterable[str]) -> None:
        """What is being foreseen uses `grants`."""
        self.expected.grants |= set(grants)
        if self.call is not None:
            self.call.grants |= set(grants)

    @contextmanager
    def calling(self, kind: str, resource: Resource, at: At, asked: Field, most: int = 1) -> Iterator[Call]:
        """What is foreseen within is asked of the sources by one call, beyond the call around it if there is one."""
        call = Call(kind, resource, str(at), asked, most)
        around, self.call = self.call, call
        (self.calls if around is None else around.children).append(call)
        try:
            yield call
        finally:
            self.call = around

    def foresee(self, operation: Operation) -> None:
        for root in self.collect("Query", False, operation.selections):
            at = At((root.key,))
            if root.name == "node":
                assert isinstance(root.arguments, ById)
                if root.arguments.resource not in self.snapshot.resources:
                    continue  # retired
                resource = self.snapshot.resources[root.arguments.resource]
                gone = self.sights[resource.code].gone
                if gone is not None:
                    self.deny(gone, at)
                    continue
                with self.calling("node", resource, at, root):
                    self.foresee_row(resource, root.selections, at)
                continue
            if root.name == "_entities":
                self.foresee_entities(root, at.rows())
                continue
            for group in self.collect("Data", False, root.selections):
                if group.name in ("__typename", "id"):
                    continue
                there = at.child(group.key)
                for member in self.collect(group_type(group.name), False, group.selections):
                    if member.name not in ("__typename", "id"):
                        self.foresee_member(group.name, member, there.child(member.key))

    def foresee_entities(self, root: Field, at: At) -> None:
        assert isinstance(root.arguments, Entities)
        whole = [one for one in root.arguments.representations if one.values is not None]
        selected: set[str] = set()
        told: set[tuple[str, str]] = set()
        for code, key in sorted({(one.resource, one.key) for one in whole}):
            sight = self.sights[code]
            denied = self.key_denied(sight, key)
            if denied is not None:  # one error for each item that keys are denied by
                if (code, denied[0]) not in told:
                    self.deny(denied[1], at)
                told.add((code, denied[0]))
                continue
            told_before = list(self.expected.errors)
            with self.calling("entities", sight.resource, at, root, len(root.arguments.representations)) as call:
                call.key = key
                for name in key:
                    self.rest_on(sight.grants[name])
                self.foresee_row(sight.resource, root.selections, at)
            if code in selected:  # a denied field is told once, by however many keys its rows are named
                self.expected.errors = told_before
            selected.add(code)

    def key_denied(self, sight: Sight, key: tuple[str, ...]) -> tuple[str, str] | None:
        """The item (empty: the resource) for which rows may not be looked up by `key`, and the code; None: they may."""
        if sight.gone is not None:
            return "", sight.gone
        return next(((name, code) for name in key if (code := sight.use(name)) is not None), None)

    def foresee_member(self, group: str, member: Field, at: At) -> None:
        resource, what = self.member(group, member.name)
        sight = self.sights[resource.code]
        if sight.gone is not None:
            self.deny(sight.gone, at)
        elif what == "list":
            self.foresee_list(resource, member, at)
        elif what == "aggregate":
            self.foresee_aggregate(resource, member, at)
        else:
            assert isinstance(what, Key)
            with self.calling("one", resource, at, member) as call:
                call.key = what.items
                for name in what.items:
                    self.use(sight, name, at)
                self.foresee_row(resource, member.selections, at)

    def member(self, group: str, name: str) -> tuple[Resource, Any]:
        """The resource of a group's field, and what the field is: `list`, `aggregate`, or the key of a look-up."""
        for resource in self.snapshot.resources.values():
            if resource.names.group != group:
                continue
            if name == resource.names.list:
                return resource, "list"
            if name == aggregate_field_name(resource.names):
                return resource, "aggregate"
            for key in resource.keys:
                if name == lookup_field_name(resource, key):
                    return resource, key
        raise AssertionError(name)

    def use(self, sight: Sight, item: str, at: At) -> bool:
        """Whether `item` may be used outside selection; if not, the operation is refused."""
        code = sight.use(item)
        if code is not None:
            self.refuse(code, at)
            return False
        self.rest_on(sight.grants[item])
        return True

    def foresee_row(self, resource: Resource, selections: Iterable[Selection], at: At) -> None:
        sight = self.sights[resource.code]
        for selected in self.row_fields(resource, selections):
            here = at.child(selected.key)
            if selected.name in ("__typename", "id"):
                continue
            item = item_of(resource, selected.name)
            if item is not None:
                code = sight.denied[item.name]
                if code is not None:
                    self.deny(code, here)
                    continue
                self.rest_on(sight.grants[item.name])
                if item.name in sight.masked:
                    self.expected.masked.add(str(here))
                continue
            relation = relation_of(resource, selected.name)
            code = self.not_linked(resource, relation)
            if code is not None:
                self.deny(code, here)
                continue
            self.rest_on(self.sights[resource.code].grants[relation.name])
            target = self.snapshot.resources[relation.target]
            beyond = self.sights[target.code].grants[relation.inverse]
            if relation.many:
                self.foresee_list(target, selected, here, relation, beyond)
                continue
            with self.calling("one", target, here, selected) as call:
                call.relation = relation
                self.rest_on(beyond)
                self.foresee_row(target, selected.selections, here)

    def not_linked(self, resource: Resource, relation: Relation) -> str | None:
        """Why a relation cannot be followed: this end's denial, else the other end's."""
        here, there = self.sights[resource.code], self.sights[relation.target]
        return here.not_followed[relation.name] or there.not_followed[relation.inverse]

    def foresee_list(
        self,
        resource: Resource,
        asked: Field,
        at: At,
        relation: Relation | None = None,
        grants: Iterable[str] = (),
    ) -> None:
        """A list, maybe beyond `relation`, whose far end rests on `grants`."""
        assert isinstance(asked.arguments, Listing)
        parts = {selected.name for selected in self.collect(ANY_TYPE, False, asked.selections)}
        most = page_size(asked.arguments) if parts & {"nodes", "edges"} else 0  # totals and flags are no rows
        with self.calling("list", resource, at, asked, most) as call:
            call.relation = relation
            self.rest_on(grants)
            self._foresee_list(resource, asked.arguments, asked.selections, at)

    def _foresee_list(self, resource: Resource, listing: Listing, selections: Iterable[Selection], at: At) -> None:
        sight = self.sights[resource.code]
        self.foresee_where(resource, listing.where, at.child("where"))
        if none(listing.search) is not None:
            for item in self.searched(resource):
                self.use(sight, item.name, at.child("search"))
            if none(listing.search) == "":
                self.refuse("BAD_INPUT")
        by_graphql = {item.graphql: item.name for item in resource.items}
        for name, _ in none(listing.order) or ():
            self.use(sight, by_graphql[name], at.child("orderBy").child(name))
        first, last = none(listing.first), none(listing.last)
        after, before = none(listing.after), none(listing.before)
        if first is not None and last is not None:
            self.refuse("BAD_INPUT")
        for size in (first, last):
            if size is not None and not 0 <= size <= 1000:
                self.refuse("BAD_INPUT")
        if self.tie(resource) is None and not (after is None and before is None and last is None):
            self.refuse("CAPABILITY_MISSING")
        for cursor in (after, before):
            assert not isinstance(cursor, Pick)
            if isinstance(cursor, Place) and cursor.row is None:
                self.refuse("BAD_CURSOR")
        for selected in self.collect(resource.names.type + "Connection", False, selections):
            here = at.child(selected.key).rows()
            if selected.name == "nodes":
                self.foresee_row(resource, selected.selections, here)
            elif selected.name == "edges":
                for inner in self.collect(resource.names.type + "Edge", False, selected.selections):
                    if inner.name == "node":
                        self.foresee_row(resource, inner.selections, here.child(inner.key))

    def searched(self, resource: Resource) -> list[Item]:
        """The text items that are clear on some row; a search skips the others without an error."""
        sight = self.sights[resource.code]
        return [i for i in resource.items if i.type is ScalarType.TEXT and i.name in sight.clear_somewhere]

    def foresee_where(self, resource: Resource, where: Any, at: At) -> None:
        where = none(where)
        if where is None:
            return
        sight = self.sights[resource.code]
        for name, operand in where.items():
            here = at.child(name)
            operand = value_of(operand)
            if operand is None or operand is ABSENT:
                self.refuse("BAD_INPUT")
            elif name == "not":
                self.foresee_where(resource, operand, here)
            elif name in LOGIC:
                for part in operand:
                    self.foresee_where(resource, part, here)
            elif item_of(resource, name) is not None:
                self.use(sight, item_of(resource, name).name, here)  # type: ignore[union-attr]
                for value in operand.values():
                    values = value_of(value) if isinstance(value_of(value), list) else [value]
                    if any(value_of(one) is None or value_of(one) is ABSENT for one in values):
                        self.refuse("BAD_INPUT")
            else:
                self.foresee_linked(resource, relation_of(resource, name), operand, here)

    def foresee_linked(self, resource: Resource, relation: Relation, quantifiers: Mapping[str, Any], at: At) -> None:
        code = self.not_linked(resource, relation)
        if code is not None:
            self.refuse(code, at)
            if _has_no_value(quantifiers):  # an argument is read before it is judged
                self.refuse("BAD_INPUT")
            return
        target = self.snapshot.resources[relation.target]
        self.rest_on(self.sights[resource.code].grants[relation.name])
        self.rest_on(self.sights[target.code].grants[relation.inverse])
        # Only tables of PostgreSQL are looked into together; of other kinds the link keys are read first.
        kind = self.snapshot.sources[target.binding.source].kind
        across = kind != "postgresql" or target.binding.source != resource.binding.source
        for quantifier, operand in quantifiers.items():
            here = at.child(quantifier)
            if operand is None:
                self.refuse("BAD_INPUT")
                continue
            self.foresee_where(target, operand, here)
            if across and len(relation.items) > 1:
                self.refuse("CAPABILITY_MISSING")

    def publication(self, resource: Resource, member: Field) -> tuple[Publication, Question] | None:
        """The published cube that answers an aggregate: one that has all its items, where reading does not have them.

        Reading comes first where a row may be visible and every used item is clear on some row.
        """
        assert isinstance(member.arguments, Figures)
        sight = self.sights[resource.code]
        asked = question(resource, member.arguments, self._figures(resource, member))
        if asked is None or (sight.any_row and asked.items <= sight.clear_somewhere):
            return None
        return next(((one, asked) for one in sight.publications if answers(one, asked)), None)

    def _figures(self, resource: Resource, member: Field) -> list[tuple[str, str]]:
        """Function and item (GraphQL name) of every figure that is selected; counts of rows and keys are none."""
        return [
            (selected.name, inner.name)
            for selected in self.collect(resource.names.type + "Aggregate", False, member.selections)
            if selected.name not in ("__typename", "count", "key")
            for inner in self.collect("figures", False, selected.selections)
            if inner.name != "__typename" or selected.name not in ("sum", "avg")
        ]

    def foresee_aggregate(self, resource: Resource, member: Field, at: At) -> None:
        assert isinstance(member.arguments, Figures)
        names = none(member.arguments.group) or ()
        most = most_groups({item_of(resource, name) or fail(name) for name in names})
        published = self.publication(resource, member)
        with self.calling("figures" if published is None else "cube", resource, at, member, most):
            if published is None:
                self._foresee_figures(resource, member, at)
                return
            self.rest_on({published[0].grant.id})
            if published[0].grant.id in self.spent:
                self.refuse("QUOTA_EXCEEDED", at)

    def _foresee_figures(self, resource: Resource, member: Field, at: At) -> None:
        assert isinstance(member.arguments, Figures)
        sight = self.sights[resource.code]
        self.foresee_where(resource, member.arguments.where, at.child("where"))

        def used(item: Item, here: At) -> None:
            if self.use(sight, item.name, here) and item.name in sight.partial:
                self.expected.partial.add(str(here))

        for name in none(member.arguments.group) or ():
            used(item_of(resource, name) or fail(name), at.child("groupBy").child(name))
        rows = at.rows()
        for selected in self.collect(resource.names.type + "Aggregate", False, member.selections):
            if selected.name in ("__typename", "count", "key"):
                continue
            for inner in self.collect("figures", False, selected.selections):
                if inner.name != "__typename":
                    used(item_of(resource, inner.name) or fail(inner.name), rows.child(selected.key).child(inner.key))

    def tie(self, resource: Resource) -> list[Callable[[int], Any]] | None:
        """What breaks ties: the row handle, else a key without nulls that is clear wherever a row is visible."""
        sight = self.sights[resource.code]
        handle = resource.binding.handle
        if handle is not None:
            return [lambda row: sight.rows[row][handle.name]]
        for key in resource.keys:
            items = [item for item in resource.items if item.name in key.items]
            if any(i.name not in sight.clear_somewhere or i.name in sight.partial or i.nullable for i in items):
                continue
            return [cell_of(sight, name) for name in key.items]
        return None


def _has_no_value(where: Any) -> bool:
    """Whether a variable without value stands in a filter."""
    if isinstance(where, dict):
        return any(_has_no_value(part) for part in where.values())
    return any(_has_no_value(part) for part in where) if isinstance(where, list) else where == Var(ABSENT)


def none(value: Any) -> Any:
    """An argument's value, None where it is left out."""
    value = value_of(value)
    return None if value is ABSENT else value


def cell_of(sight: Sight, item: str) -> Callable[[int], Any]:
    return lambda row: sight.compare[item][row]


def item_of(resource: Resource, graphql: str) -> Item | None:
    return next((item for item in resource.items if item.graphql == graphql), None)


def relation_of(resource: Resource, graphql: str) -> Relation:
    return next(relation for relation in resource.relations if relation.graphql == graphql)


def column_of(resource: Resource, name: str) -> str:
    return next(item.column.name for item in resource.items if item.name == name)


def group_type(group: str) -> str:
    return group[0].upper() + group[1:] + "Data"


def fail(name: str) -> Any:
    raise AssertionError(f"`{name}` is no item")
