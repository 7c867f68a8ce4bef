"""In charge of asking a document once more with other variables, so that plans are met in caches."""

from dataclasses import replace
from typing import Any

from tanglai.catalogue.model import Item, Resource
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tests.oracle.language import ABSENT, ByKey, Field, Figures, Listing, Only, Operation, Var, change
from tests.oracle.operations import Writer


def vary(writer: Writer, operation: Operation) -> Operation:
    """The same document, some of its variables with other values: scalars, lists, whole filters, flags."""
    return change(operation, _Variation(writer).field)


class _Variation:
    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.dice = writer.dice
        self.by_field: dict[str, Resource] = {}
        for resource in writer.resources.values():
            names = resource.names
            lookups = [lookup_field_name(resource, key) for key in resource.keys]
            for name in (names.list, aggregate_field_name(names), *lookups):
                self.by_field[name] = resource
            for relation in resource.relations:
                self.by_field[relation.graphql] = writer.resources[relation.target]

    def field(self, selected: Field) -> Field:
        only = tuple(self.only(one) for one in selected.only)
        arguments = selected.arguments
        resource = self.by_field.get(selected.name)
        if resource is not None:
            if isinstance(arguments, Listing):
                arguments = replace(
                    arguments,
                    where=self.where(resource, arguments.where),
                    order=self.whole(arguments.order, lambda: self.writer.order(resource)),
                    search=self.whole(arguments.search, lambda: self.dice.pick(("k", "张", "1"))),
                    first=self.whole(arguments.first, lambda: self.dice.pick((3, 0, 4))),
                    last=self.whole(arguments.last, lambda: self.dice.pick((3, 0, 4))),
                )
            elif isinstance(arguments, Figures):
                arguments = replace(arguments, where=self.where(resource, arguments.where))
            elif isinstance(arguments, ByKey):
                values = {name: self.value(resource, _item(resource, name), v) for name, v in arguments.values.items()}
                arguments = ByKey(values)
        return replace(selected, arguments=arguments, only=only)

    def only(self, only: Only) -> Only:
        return replace(only, flag=not only.flag) if only.variable and self.dice.chance(1, 2) else only

    def whole(self, value: Any, other: Any) -> Any:
        """Another value for an argument that is a variable."""
        if not isinstance(value, Var) or not self.dice.chance(1, 2):
            return value
        fresh = other()
        return fresh if isinstance(fresh, Var) else Var(ABSENT if fresh is ABSENT else fresh)

    def where(self, resource: Resource, where: Any) -> Any:
        if isinstance(where, Var):
            return self.whole(where, lambda: self.writer.where(resource, 2, literal=True))
        if not isinstance(where, dict):
            return where
        return {name: self.condition(resource, name, operand) for name, operand in where.items()}

    def condition(self, resource: Resource, name: str, operand: Any) -> Any:
        if name == "not":
            return self.where(resource, operand)
        if name in ("and", "or"):
            return [self.where(resource, part) for part in operand]
        item = next((item for item in resource.items if item.graphql == name), None)
        if item is None:
            return {quantifier: self.where(self.by_field[name], inner) for quantifier, inner in operand.items()}
        return {operator: self.value(resource, item, value) for operator, value in operand.items()}

    def value(self, resource: Resource, item: Item, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(resource, item, one) for one in value]
        if not isinstance(value, Var) or not self.dice.chance(2, 3):
            return value
        if isinstance(value.value, list):
            return Var([self.writer.operand(resource, item) for _ in range(self.dice.number(0, 3))])
        return Var(self.writer.operand(resource, item))


def _item(resource: Resource, graphql: str) -> Item:
    return next(item for item in resource.items if item.graphql == graphql)
