"""In charge of random operations over a world: roots, selections, filters of any depth, orders, pages, figures."""

from dataclasses import replace
from typing import Any

from tanglai.catalogue.model import Item, Key, Relation, Resource
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tanglai.catalogue.scalars import ScalarType, parse, to_json
from tests.oracle.calls import has_variable
from tests.oracle.cubes import Publication
from tests.oracle.dice import Dice
from tests.oracle.language import (
    ABSENT,
    ById,
    ByKey,
    Entities,
    Field,
    Figures,
    Fragment,
    Inline,
    Listing,
    Only,
    Operation,
    Pick,
    Place,
    Representation,
    Selection,
    Spread,
    Var,
    Walk,
    fields,
    spelled_out,
)
from tests.oracle.pools import operands
from tests.oracle.probes import probing, torn_link
from tests.oracle.sight import Sight

RETIRED = "19/9"
"""A resource that ids were given out for, and that is published no more."""
_RESPECT = 30
"""Of how many uses outside selection all but one are of items that may be used, so that most operations answer."""


class Writer:
    """Writes one operation for a principal that sees `sights` (by resource code).

    Response keys are so chosen that fields never conflict.
    """

    def __init__(self, dice: Dice, sights: dict[str, Sight]) -> None:
        self.dice = dice
        self.sights = sights
        self.resources = {code: sight.resource for code, sight in sights.items() if sight.gone != "OUT_OF_ZONE"}
        self.fragments: dict[str, Fragment] = {}
        self.aliases = 0
        self.relations = 0

    def operation(self) -> Operation:
        dice = self.dice
        roots: list[Selection] = []
        for _ in range(1 if dice.chance(3, 4) else 2):
            form = dice.number(0, 9)
            roots.append(self._node() if form == 9 else self._entities(not roots) if form == 8 else self._data())
        if dice.chance(1, 10):
            roots.append(Field("__typename"))
        return Operation(tuple(roots), dict(self.fragments), dice.chance(1, 12))

    def walk(self) -> Walk | None:
        """A list to be read page by page, of a resource that can be; None where there is none."""
        pageable = [
            resource
            for code, resource in self.resources.items()
            if resource.binding.handle is not None and self.sights[code].gone is None
        ]
        if not pageable:
            return None
        resource = self.dice.pick(pageable)
        where, order = self.maybe_where(resource), self.order(resource)
        selections = (Field("id"), *self.row(resource, 2))
        return Walk(resource.code, where, order, selections, dict(self.fragments), self.dice.pick((2, 1, 3)))

    # --- roots -----------------------------------------------------------------------------------------------------

    def _data(self) -> Field:
        dice = self.dice
        groups: list[Selection] = []
        for _ in range(1 if dice.chance(4, 5) else 2):
            resource = dice.pick(list(self.resources.values()))
            members: list[Selection] = [self._member(resource)]
            (asked,) = members
            assert isinstance(asked, Field)
            if dice.chance(1, 8) and not self._varies(asked):  # asked twice, which is one call
                members.append(replace(asked, alias=self._alias()))
            mates = [r for r in self.resources.values() if r.names.group == resource.names.group]
            if dice.chance(1, 3):
                members.append(self._member(dice.pick(mates)))
            if dice.chance(1, 10):
                members += [Field("id"), Field("__typename")]
            groups.append(Field(resource.names.group, self._alias(), selections=tuple(members), only=self._only()))
        if dice.chance(1, 10):
            groups.append(Field("id"))
        return Field("data", self._alias(), selections=tuple(groups))

    def _varies(self, asked: Field) -> bool:
        """Whether a variable stands in it, so that the same once more is another question."""
        parts = fields(Operation((asked,), self.fragments))
        return any(one.arguments is not None and has_variable(list(vars(one.arguments).values())) for one in parts)

    def _node(self) -> Field:
        rows = [
            (sight.resource, row)
            for sight in self.sights.values()
            if sight.resource.binding.handle is not None
            for row in range(len(sight.rows))
        ]
        if not rows:
            return self._data()
        resource, row = self.dice.pick(rows)
        if resource.code not in self.resources or self.dice.chance(1, 12):  # of the other zone, or retired
            code = resource.code if resource.code not in self.resources else RETIRED
            return Field("node", self._alias(), ById(code, row), (Field("__typename"), Field("id")))
        inner: list[Selection] = [Field("id"), Field("__typename")] if self.dice.chance(1, 2) else []
        inner.append(Inline(resource.names.type, self.row(resource, 0)))
        return Field("node", self._alias(), ById(resource.code, row), tuple(inner))

    def _entities(self, alone: bool) -> Field:
        dice = self.dice
        keyed = [(resource, key) for resource in self.resources.values() for key in resource.keys]
        if not keyed:
            return self._data()
        named: dict[str, Resource] = {}
        representations: list[Representation] = []
        for _ in range(dice.number(1, 4)):
            if dice.chance(1, 12):
                json = dice.pick(
                    (
                        {},
                        {"__typename": "Person"},
                        {"__typename": "Nothing", "code": "k1"},
                        {"code": "k1"},
                        {"__typename": "Dossier", "code": "k1"},  # of the other zone, if anywhere
                    )
                )
                representations.append(Representation(json))
                continue
            resource, key = dice.pick(keyed)
            named[resource.names.type] = resource
            values = self._key_values(resource, key)
            json = {
                resource.item_by_name[n].graphql: to_json(resource.item_by_name[n].type, v) for n, v in values.items()
            }
            json["__typename"] = resource.names.type
            representations.append(Representation(json, resource.code, key.items, values))
        inner: list[Selection] = [Field("__typename")]
        inner += [Inline(name, self.row(resource, 1, apart=True)) for name, resource in named.items()]
        return Field(
            "_entities",
            self._alias(1, 2 if alone else 1),
            Entities(tuple(representations), dice.chance(1, 2)),
            tuple(inner),
        )

    def _member(self, resource: Resource) -> Field:
        form = self.dice.number(0, 9)
        if self.sights[resource.code].publications and self.dice.chance(1, 2):
            return self._aggregate(resource)
        if form == 9 and resource.keys:
            return self._lookup(resource)
        if form >= 7:
            return self._aggregate(resource)
        return self._list(resource, resource.names.list, 0)

    def _lookup(self, resource: Resource) -> Field:
        key = self._pick_key(resource)
        values = {
            resource.item_by_name[name].graphql: self._value(value)
            for name, value in self._key_values(resource, key).items()
        }
        name = lookup_field_name(resource, key)
        return Field(name, self._alias(), ByKey(values), self.row(resource, 0), self._only())

    def _key_values(self, resource: Resource, key: Key) -> dict[str, Any]:
        """Item -> value, mostly those of one row."""
        rows = self.sights[resource.code].rows
        row = self.dice.number(0, len(rows))
        values: dict[str, Any] = {}
        for name in key.items:
            item = resource.item_by_name[name]
            value = rows[row][item.column.name] if row < len(rows) else None
            values[name] = self.dice.pick(operands(item)) if value is None else value
        return values

    def _pick_key(self, resource: Resource) -> Key:
        sight = self.sights[resource.code]
        good = [k for k in resource.keys if sight.gone is None and all(sight.use(n) is None for n in k.items)]
        return self.dice.pick(good if good and self.dice.chance(_RESPECT - 1, _RESPECT) else resource.keys)

    # --- lists -----------------------------------------------------------------------------------------------------

    def _list(self, resource: Resource, name: str, depth: int) -> Field:
        return Field(
            name, self._alias(), self._listing(resource, depth), self._connection(resource, depth), self._only()
        )

    def _listing(self, resource: Resource, depth: int) -> Listing:
        dice = self.dice
        first: Any = ABSENT
        last: Any = ABSENT
        form = dice.number(0, 9)
        if form >= 6 or (depth and form >= 2):
            first = self._variable(dice.pick((2, 3, 5, 1, 4, 7, 0)))
        elif form == 5:
            last = self._variable(dice.pick((2, 3, 1, 4, 0)))
        elif form == 4 and dice.chance(1, 8):
            first, last = dice.pick(((1001, ABSENT), (-1, ABSENT), (1, 1), (None, 2), (Var(ABSENT), ABSENT)))
        after: Any = ABSENT
        before: Any = ABSENT
        if dice.chance(1, 4):
            after = Pick(dice.number(0, 3))
        if dice.chance(1, 8):
            before = Pick(dice.number(0, 4))
        if dice.chance(1, 60):
            after = dice.pick((None, Place("c.AAAA", None), Place("", None)))
        return Listing(
            self.maybe_where(resource), self.order(resource), self._search(resource), first, last, after, before
        )

    def maybe_where(self, resource: Resource) -> Any:
        dice = self.dice
        if dice.chance(2, 5):
            return ABSENT
        if dice.chance(1, 40):
            return dice.pick((None, Var(None), Var(ABSENT), {}))
        if dice.chance(1, 4):
            return Var(self.where(resource, 2, literal=True))
        return self.where(resource, 3)

    def _search(self, resource: Resource) -> Any:
        dice = self.dice
        if not dice.chance(1, 5):
            return ABSENT
        items = [item for item in resource.items if item.type is ScalarType.TEXT]
        hidden = [item for item in items if self.sights[resource.code].use(item.name) is not None]
        items = hidden if hidden and dice.chance(1, 3) else items
        text = self.operand(resource, dice.pick(items))
        start = dice.number(0, 2)
        return self._variable(
            dice.pick((text[start : start + 2] or "k", text or "k", "k", "1", "张", "" if dice.chance(1, 8) else None))
        )

    def order(self, resource: Resource) -> Any:
        dice = self.dice
        if dice.chance(1, 2):
            return ABSENT
        items = [item for item in resource.items if item.type.comparable]
        usable = self._usable(resource, items)
        entries = [
            (item.graphql, "DESC" if dice.chance(1, 2) else "ASC") for item in dice.shuffled(dice.some(usable, 0, 2))
        ]
        return Var(entries) if dice.chance(1, 5) else entries

    def _connection(self, resource: Resource, depth: int) -> tuple[Selection, ...]:
        dice = self.dice
        parts: list[Selection] = []
        form = dice.number(0, 7)
        if form != 7:
            parts.append(Field("nodes", self._alias(1, 6), selections=self.row(resource, depth), only=self._only()))
        if form >= 5:
            inner: list[Selection] = [Field("cursor")]
            if dice.chance(1, 2):
                inner.append(Field("node", self._alias(1, 6), selections=self.row(resource, depth)))
            parts.append(Field("edges", self._alias(1, 6), selections=tuple(inner)))
        if dice.chance(1, 3):
            names = ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename")
            inner = [Field(name) for name in dice.some(names, 1)]
            parts.append(Field("pageInfo", selections=tuple(inner)))
        if dice.chance(1, 3) or not parts:
            parts.append(Field("totalCount", self._alias(1, 6), only=self._only()))
        if dice.chance(1, 20):
            parts.append(Field("__typename"))
        return tuple(dice.shuffled(parts))

    # --- rows ------------------------------------------------------------------------------------------------------

    def row(self, resource: Resource, depth: int, apart: bool = False) -> tuple[Selection, ...]:
        """Fields of one row; `apart`: none has a name that a row of another resource could have too."""
        dice = self.dice
        items = dice.some(resource.items, 1, 4)
        fields: list[Selection] = [
            Field(item.graphql, self._alias(1, 1 if apart else 5), only=self._only()) for item in items
        ]
        if resource.binding.handle is not None and dice.chance(1, 3):
            fields.append(Field("id", self._alias(1, 6)))
        if dice.chance(1, 12):
            fields.append(Field("__typename"))
        if depth < 2 and self.relations < 3:
            relations = self._followed(resource) if dice.chance(4, 5) else list(resource.relations)
            if (torn := [r for r in relations if torn_link(self.sights, resource, r)]) and dice.chance(1, 2):
                relations = torn
            for relation in dice.some(relations, 1 if dice.chance(1, 3) else 0, 2 - depth):
                self.relations += 1
                fields.append(self._beyond(relation, depth + 1))
        fields = dice.shuffled(fields)
        return tuple(self._wrapped(resource, fields))

    def _beyond(self, relation: Relation, depth: int) -> Field:
        target = self.resources[relation.target]
        if relation.many:
            return self._list(target, relation.graphql, depth)
        return Field(relation.graphql, self._alias(1, 6), selections=self.row(target, depth), only=self._only())

    def _wrapped(self, resource: Resource, fields: list[Selection]) -> list[Selection]:
        """Some of `fields` in fragments of every kind."""
        dice = self.dice
        if not dice.chance(1, 4):
            return fields
        cut = dice.number(0, len(fields) - 1)
        outer, inner = fields[:cut], fields[cut:]
        kind = resource.names.type
        form = dice.number(0, 4)
        if form == 4 and resource.binding.handle is not None:
            wrapped: Selection = Inline("Node", (Field("id"), Inline(kind, tuple(inner))), self._only())
        elif form >= 2:
            name = self._named(kind, inner)
            wrapped = Spread(name, self._only())
            if dice.chance(1, 3):
                outer = [Spread(name, self._only()), *outer]
        else:
            wrapped = Inline(kind if form else None, tuple(inner), self._only())
        return [*outer, wrapped]

    def _named(self, kind: str, inner: list[Selection]) -> str:
        """A fragment of `inner`, maybe by way of another one; its name."""
        name = f"F{len(self.fragments)}"
        self.fragments[name] = Fragment(kind, tuple(inner))
        if not self.dice.chance(1, 3):
            return name
        outer = f"F{len(self.fragments)}"
        self.fragments[outer] = Fragment(kind, (Spread(name, self._only()), Field("__typename")))
        return outer

    # --- figures ---------------------------------------------------------------------------------------------------

    def _aggregate(self, resource: Resource) -> Field:
        dice = self.dice
        publications = self.sights[resource.code].publications
        if publications and dice.chance(2, 3):
            return self._of_cube(resource, dice.pick(publications))
        comparable = [item for item in resource.items if item.type.comparable]
        groupable = self._usable(resource, comparable)
        if (coded := [item for item in groupable if item.codes]) and dice.chance(1, 2):
            groupable = coded
        groups = [item.graphql for item in dice.some(groupable, 0, 2)]
        group: Any = ABSENT if not groups and dice.chance(1, 2) else groups
        if dice.chance(1, 6) and group is not ABSENT:
            group = Var(group)
        parts: list[Selection] = []
        if dice.chance(2, 3):
            parts.append(Field("count", self._alias(1, 6)))
        if dice.chance(1, 2):
            inner = [Field(item.graphql) for item in dice.some(comparable, 1, 2)]
            parts.append(Field("key", selections=tuple(inner)))
        for function in dice.some(("countValues", "countDistinct", "min", "max", "sum", "avg"), 0, 4):
            items = comparable
            if function in ("sum", "avg"):
                items = [item for item in comparable if item.type.numeric]
            elif function in ("min", "max"):
                items = [item for item in comparable if item.type is not ScalarType.BOOLEAN]
            if items := self._usable(resource, items):
                inner = [Field(item.graphql, self._alias(1, 6)) for item in dice.some(items, 1, 3)]
                parts.append(Field(function, self._alias(1, 6), selections=tuple(inner)))
        parts = parts or [Field("count")]
        name = aggregate_field_name(resource.names)
        return Field(name, self._alias(), Figures(self.maybe_where(resource), group), tuple(parts), self._only())

    def _of_cube(self, resource: Resource, publication: Publication) -> Field:
        """Figures that a published cube has; seldom with something that it has not."""
        dice, statistics = self.dice, publication.grant.statistics
        assert statistics is not None
        known = resource.item_by_name
        dimensions = [known[name] for name in statistics.dimensions]
        measures = [known[name] for name in statistics.measures]
        if dice.chance(1, 10):
            dimensions.append(dice.pick([item for item in resource.items if item.type.comparable]))
        groups = [item.graphql for item in dice.some(dimensions, 0, 2)]
        group: Any = Var(groups) if dice.chance(1, 6) else groups
        parts: list[Selection] = [Field("count", self._alias(1, 6))] if dice.chance(4, 5) else []
        if dice.chance(2, 3):
            parts.append(Field("key", selections=tuple(Field(item.graphql) for item in dice.some(dimensions, 1))))
        functions = dice.some(("sum", "avg", *(("max", "countDistinct") if dice.chance(1, 12) else ())), 1)
        for function in functions if measures else []:
            inner = [Field(item.graphql, self._alias(1, 6)) for item in dice.some(measures, 1)]
            parts.append(Field(function, self._alias(1, 6), selections=tuple(inner)))
        name = aggregate_field_name(resource.names)
        where: Any = self._of_dimensions(resource, dimensions) if dice.chance(1, 2) else ABSENT
        if isinstance(where, dict) and dice.chance(1, 4):
            where = Var(spelled_out(where))
        return Field(name, self._alias(), Figures(where, group), tuple(parts or [Field("count")]), self._only())

    def _of_dimensions(self, resource: Resource, dimensions: list[Item], depth: int = 1) -> dict[str, Any]:
        dice = self.dice
        where: dict[str, Any] = {}
        for item in dice.some(dimensions, 0, 2):
            values = [parse(item.type, code.value) for code in item.codes] or [self.operand(resource, item)]
            given = [dice.pick(values) for _ in range(dice.number(1, 2))]
            if dice.chance(1, 8):
                given.append(self.operand(resource, item))
            test: Any = {"in": Var(given) if dice.chance(1, 3) else given}
            if dice.chance(1, 2):
                test = {"eq": self._value(given[0])}
            where[item.graphql] = test if dice.chance(29, 30) else {"ne": given[0]}
        if depth and dice.chance(1, 4):
            joined = "and" if dice.chance(5, 6) else dice.pick(("or", "not"))
            inner = self._of_dimensions(resource, dimensions, 0)
            where[joined] = inner if joined == "not" else [inner, {}] if joined == "and" else [inner]
        return where

    # --- filters ---------------------------------------------------------------------------------------------------

    def _usable(self, resource: Resource, items: list[Item]) -> list[Item]:
        """Mostly those of `items` that may be used outside selection."""
        sight = self.sights[resource.code]
        usable = [item for item in items if sight.gone is None and sight.use(item.name) is None]
        if self.dice.chance(1, _RESPECT):
            return items
        return usable or (items if self.dice.chance(1, 10) else [])

    def _followed(self, resource: Resource) -> list[Relation]:
        relations = list(resource.relations)
        if self.dice.chance(1, _RESPECT):
            return relations
        return [
            relation
            for relation in relations
            if self.sights[resource.code].not_followed[relation.name] is None
            and self.sights[relation.target].not_followed[relation.inverse] is None
        ]

    def where(self, resource: Resource, depth: int, literal: bool = False) -> dict[str, Any]:
        """`literal`: a part of a variable, so that it holds no variable of its own."""
        dice = self.dice
        if depth > 1 and dice.chance(1, 3) and (probe := probing(dice, self.sights, resource, literal)):
            return probe
        where: dict[str, Any] = {}
        for _ in range(dice.pick((1, 1, 1, 2, 0))):
            form = dice.number(0, 11) if depth else 0
            if form >= 10:
                where["not"] = self.where(resource, depth - 1, literal)
            elif form >= 8:
                parts = [self.where(resource, depth - 1, literal) for _ in range(dice.pick((2, 1, 3, 0)))]
                where["or" if form == 9 else "and"] = parts
            elif form >= 4 and (relations := self._followed(resource)):
                torn = [relation for relation in relations if torn_link(self.sights, resource, relation)]
                relation = dice.pick(torn if torn and dice.chance(2, 3) else relations)
                target = self.resources[relation.target]
                quantifiers = dice.some(("some", "none", "every"), 1, 1 if dice.chance(5, 6) else 2)
                where[relation.graphql] = {
                    q: {} if dice.chance(1, 4) else self.where(target, depth - 1, literal) for q in quantifiers
                }
            else:
                items = self._usable(resource, list(resource.items))
                partial = [item for item in items if item.name in self.sights[resource.code].partial]
                if items:
                    item = dice.pick(partial if partial and dice.chance(1, 2) else items)
                    where[item.graphql] = self._test(resource, item, literal)
        return where

    def _test(self, resource: Resource, item: Item, literal: bool) -> dict[str, Any]:
        dice = self.dice
        if not item.type.comparable or dice.chance(1, 8):
            return {"isNull": dice.chance(1, 2)} if dice.chance(9, 10) else {}
        operators = ["eq", "ne", "in", "notIn"]
        if item.type is not ScalarType.BOOLEAN:
            operators += ["lt", "lte", "gt", "gte"]
        if item.type is ScalarType.TEXT:
            operators += ["startsWith", "contains"]
        test: dict[str, Any] = {}
        for operator in dice.some(operators, 1, 1 if dice.chance(4, 5) else 2):
            if operator in ("in", "notIn"):
                values = [self.operand(resource, item) for _ in range(dice.number(0, 3))]
                whole = not literal and dice.chance(1, 2)
                test[operator] = Var(values) if whole else [self._value(value, literal) for value in values]
            else:
                operand = self.operand(resource, item)
                if operator in ("startsWith", "contains"):
                    operand = operand[: dice.number(0, 3)]
                test[operator] = self._value(operand, literal)
        if not literal and dice.chance(1, 50):
            test[dice.pick(operators[:2])] = dice.pick((None, Var(None), Var(ABSENT)))
        return test

    def operand(self, resource: Resource, item: Item) -> Any:
        """A value to compare with: mostly one that stands in the column."""
        rows = self.sights[resource.code].rows
        if rows and self.dice.chance(2, 3):
            value = self.dice.pick(rows)[item.column.name]
            if value is not None:
                return value
        return self.dice.pick(operands(item))

    # --- small parts -----------------------------------------------------------------------------------------------

    def _value(self, value: Any, literal: bool = False) -> Any:
        return value if literal or self.dice.chance(1, 2) else Var(value)

    def _variable(self, value: Any) -> Any:
        return Var(value) if self.dice.chance(1, 2) else value

    def _alias(self, times: int = 1, of: int = 1) -> str | None:
        if not self.dice.chance(times, of):
            return None
        self.aliases += 1
        return f"x{self.aliases}"

    def _only(self) -> tuple[Only, ...]:
        dice = self.dice
        if not dice.chance(1, 14):
            return ()
        return tuple(
            Only(directive, dice.chance(2, 3) is (directive == "include"), dice.chance(2, 3))
            for directive in dice.some(("include", "skip"), 1, 2)
        )
