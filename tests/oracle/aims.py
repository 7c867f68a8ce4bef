"""In charge of operations aimed at what differs between two contents that look alike, one way to reach it each.

Random operations seldom touch the few cells that differ; these do, wherever their use is not refused anyway.
"""

from collections.abc import Mapping
from typing import Any

from tanglai.catalogue.model import Item, Key, Resource
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.oracle.dice import Dice
from tests.oracle.language import (
    ABSENT,
    ById,
    ByKey,
    Entities,
    Field,
    Figures,
    Inline,
    Listing,
    Operation,
    Representation,
    Selection,
    Var,
)
from tests.oracle.pools import operands
from tests.oracle.probes import followed, probing
from tests.oracle.sight import Sight

Table = list[dict[str, Any]]


class Aim:
    """Writes operations for who sees `sights` of one content; `others` are the tables of the other, by resource."""

    def __init__(self, dice: Dice, sights: Mapping[str, Sight], others: Mapping[str, Table]) -> None:
        self.dice = dice
        self.sights = sights
        self.others = others

    def operation(self) -> Operation | None:
        """One aimed operation; None where the asker sees nothing of anything."""
        seen = [sight for sight in self.sights.values() if sight.gone is None]
        if not seen:
            return None
        sight = self.dice.pick(seen)
        ways = [self.filtered, self.ordered, self.grouped, self.figures, self.searched, self.linked, self.filtered]
        ways += [self.looked_up, self.represented, self.named, self.through, self.linked] * 2
        root = self.dice.pick(ways)(sight) or self.filtered(sight)
        return Operation((root,))

    # --- the ways --------------------------------------------------------------------------------------------------

    def filtered(self, sight: Sight) -> Field:
        where = probing(self.dice, self.sights, sight.resource, False) or self.test(sight)
        return self._list(sight.resource, Listing(where, first=self.dice.pick((ABSENT, 2, 0))))

    def through(self, sight: Sight) -> Field | None:
        """A filter through a relation that may be followed from some rows."""
        relations = [r for r in sight.resource.relations if followed(self.sights, sight.resource, r)]
        if not relations:
            return None
        follows = {relation.name: sight.follows[relation.name] for relation in relations}
        torn = [relation for relation in relations if not all(follows[relation.name])]
        relation = self.dice.pick(torn or relations)
        inner = self.test(self.sights[relation.target]) if self.dice.chance(1, 3) else {}
        where: dict[str, Any] = {relation.graphql: {self.dice.pick(("some", "none", "every")): inner}}
        return self._list(sight.resource, Listing({"not": where} if self.dice.chance(1, 3) else where))

    def ordered(self, sight: Sight) -> Field | None:
        items = [item for item in self._partial(sight) if item.type.comparable]
        order = [(item.graphql, self.dice.pick(("ASC", "DESC"))) for item in self.dice.some(items, 1, 2)]
        return self._list(sight.resource, Listing(order=order, first=self.dice.pick((3, 1)))) if order else None

    def grouped(self, sight: Sight) -> Field | None:
        items = [item for item in self._partial(sight) if item.type.comparable]
        if not items:
            return None
        group = [item.graphql for item in self.dice.some(items, 1, 2)]
        key = Field("key", selections=tuple(map(Field, group)))
        return self._aggregate(sight.resource, Figures(group=group), (key, Field("count")))

    def figures(self, sight: Sight) -> Field | None:
        items = [item for item in self._partial(sight) if item.type.comparable]
        parts: list[Selection] = []
        for function in ("countValues", "countDistinct", "min", "max", "sum", "avg"):
            fit = items
            if function in ("sum", "avg"):
                fit = [item for item in items if item.type.numeric]
            elif function in ("min", "max"):
                fit = [item for item in items if item.type is not ScalarType.BOOLEAN]
            if fit:
                parts.append(Field(function, selections=tuple(Field(item.graphql) for item in fit)))
        where = self.test(sight) if self.dice.chance(1, 4) else ABSENT
        return self._aggregate(sight.resource, Figures(where), (Field("count"), *parts))

    def searched(self, sight: Sight) -> Field | None:
        rows = [*sight.rows, *self.others[sight.resource.code]]
        texts = [
            value
            for item in sight.resource.items
            if item.type is ScalarType.TEXT
            for row in rows
            if isinstance(value := row[item.column.name], str) and value
        ]
        if not texts:
            return None
        text = self.dice.pick(texts)
        start = self.dice.number(0, max(0, min(len(text), 12) - 2))
        return self._list(sight.resource, Listing(search=text[start : start + 2]))

    def linked(self, sight: Sight) -> Field | None:
        """What lies beyond every relation."""
        beyond: list[Selection] = []
        for relation in sight.resource.relations:
            target = self.sights[relation.target]
            inner = tuple(Field(item.graphql) for item in target.resource.items)
            if not relation.many:
                beyond.append(Field(relation.graphql, selections=inner))
                continue
            where = self.test(target) if target.gone is None and self.dice.chance(1, 3) else ABSENT
            parts = (Field("totalCount"), Field("nodes", selections=inner))
            beyond.append(Field(relation.graphql, f"{relation.graphql}Beyond", Listing(where), parts))
        return self._list(sight.resource, Listing(), tuple(beyond)) if beyond else None

    def looked_up(self, sight: Sight) -> Field | None:
        found = self._key(sight)
        if found is None:
            return None
        key, values = found
        by_graphql = {sight.resource.item_by_name[name].graphql: value for name, value in values.items()}
        name = lookup_field_name(sight.resource, key)
        return self._data(sight.resource, Field(name, None, ByKey(by_graphql), self._row(sight.resource)))

    def represented(self, sight: Sight) -> Field | None:
        representations = []
        for _ in range(self.dice.number(1, 3)):
            if (found := self._key(sight)) is not None:
                items = [sight.resource.item_by_name[name] for name in found[0].items]
                json = {item.graphql: to_json(item.type, found[1][item.name]) for item in items}
                json["__typename"] = sight.resource.names.type
                representations.append(Representation(json, sight.resource.code, found[0].items, found[1]))
        if not representations:
            return None
        inner = Inline(sight.resource.names.type, self._row(sight.resource))
        arguments = Entities(tuple(representations), self.dice.chance(1, 2))
        return Field("_entities", None, arguments, (Field("__typename"), inner))

    def named(self, sight: Sight) -> Field | None:
        """A row by its id, mostly a hidden one."""
        if sight.resource.binding.handle is None or not sight.rows:
            return None
        hidden = [row for row, seen in enumerate(sight.visible) if not seen]
        row = self.dice.pick(hidden) if hidden else self.dice.number(0, len(sight.rows) - 1)
        inner = Inline(sight.resource.names.type, self._row(sight.resource))
        return Field("node", None, ById(sight.resource.code, row), (Field("id"), inner))

    # --- parts -----------------------------------------------------------------------------------------------------

    def test(self, sight: Sight) -> dict[str, Any]:
        """A filter on a hidden value, maybe denied."""
        items = self._partial(sight)
        if not items:
            return {}
        item = self.dice.pick(items)
        operators = ["isNull"]
        if item.type.comparable:
            operators += ["eq", "ne", "in", "notIn"]
            if item.type is not ScalarType.BOOLEAN:
                operators += ["lt", "gte"]
            if item.type is ScalarType.TEXT:
                operators += ["contains", "startsWith"]
        operator = self.dice.pick(operators)
        value = self.dice.chance(1, 2) if operator == "isNull" else self._value(sight, item)
        if operator != "isNull" and self.dice.chance(1, 2):
            value = Var(value)
        test: dict[str, Any] = {item.graphql: {operator: [value] if operator in ("in", "notIn") else value}}
        return {"not": test} if self.dice.chance(1, 2) else test

    def _partial(self, sight: Sight) -> list[Item]:
        """Items that may be used and are hidden on some rows, else all that may be used."""
        usable = [item for item in sight.resource.items if sight.use(item.name) is None]
        return [item for item in usable if not all(sight.clear[item.name])] or usable

    def _value(self, sight: Sight, item: Item) -> Any:
        """A value that stands in one of the contents, if it is one of its type."""
        rows = [*sight.rows, *self.others[sight.resource.code]]
        values = [value for row in rows if (value := row[item.column.name]) in operands(item)]
        return self.dice.pick(values or operands(item))

    def _key(self, sight: Sight) -> tuple[Key, dict[str, Any]] | None:
        """A key that may be used, with the values of one row; mostly of a row on which it is not clear."""
        resource = sight.resource
        keys = [key for key in resource.keys if all(sight.use(name) is None for name in key.items)]
        if not keys:
            return None
        key = self.dice.pick(keys)
        items = [resource.item_by_name[name] for name in key.items]
        rows = [
            (row, all(sight.clear[item.name][number] for item in items) and sight.visible[number])
            for number, row in enumerate(sight.rows)
            if all(row[item.column.name] is not None for item in items)
        ]
        if not rows:
            return None
        hidden = [row for row, clear in rows if not clear]
        row = self.dice.pick(hidden) if hidden and self.dice.chance(3, 4) else self.dice.pick(rows)[0]
        return key, {item.name: row[item.column.name] for item in items}

    def _row(self, resource: Resource) -> tuple[Selection, ...]:
        handle = (Field("id"),) if resource.binding.handle is not None else ()
        return (*handle, *(Field(item.graphql) for item in resource.items))

    def _list(self, resource: Resource, listing: Listing, more: tuple[Selection, ...] = ()) -> Field:
        flags = Field("pageInfo", selections=(Field("hasNextPage"), Field("endCursor")))
        nodes = Field("nodes", selections=(*self._row(resource), *more))
        listed = Field(resource.names.list, None, listing, (nodes, flags, Field("totalCount")))
        return self._data(resource, listed)

    def _aggregate(self, resource: Resource, figures: Figures, parts: tuple[Selection, ...]) -> Field:
        return self._data(resource, Field(aggregate_field_name(resource.names), None, figures, parts))

    def _data(self, resource: Resource, member: Field) -> Field:
        return Field("data", selections=(Field(resource.names.group, selections=(member,)),))
