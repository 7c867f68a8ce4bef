"""In charge of what an operation selects: fragments expanded, directives evaluated, fields merged by response key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.language import BooleanValueNode


@dataclass(slots=True)
class Selected:
    """One field of an answer: its response key and every AST node that asks for it (same name and arguments)."""

    key: str
    name: str
    nodes: list[FieldNode] = field(default_factory=list)

    @property
    def node(self) -> FieldNode:
        return self.nodes[0]

    @property
    def selection_sets(self) -> list[SelectionSetNode]:
        return [node.selection_set for node in self.nodes if node.selection_set is not None]


class Collector:
    """Collects the fields of selection sets for one operation, one set of variables and one concrete type."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables

    def fields(self, runtime: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> list[Selected]:
        """Fields in response order (GraphQL specification, CollectFields), for an object of type `runtime`."""
        found: dict[str, Selected] = {}
        seen: set[str] = set()
        for selection_set in sets:
            self._collect(runtime, selection_set, found, seen)
        return list(found.values())

    def _collect(
        self, runtime: GraphQLObjectType, selection_set: SelectionSetNode, found: dict[str, Selected], seen: set[str]
    ) -> None:
        for selection in selection_set.selections:
            if not self._included(selection.directives):
                continue
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                found.setdefault(key, Selected(key, selection.name.value)).nodes.append(selection)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                if condition is None or self._applies(condition.name.value, runtime):
                    self._collect(runtime, selection.selection_set, found, seen)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in seen:
                    continue
                seen.add(name)
                fragment = self._fragments[name]
                if self._applies(fragment.type_condition.name.value, runtime):
                    self._collect(runtime, fragment.selection_set, found, seen)

    def _applies(self, condition: str, runtime: GraphQLObjectType) -> bool:
        if condition == runtime.name:
            return True
        kind: GraphQLNamedType | None = self._schema.get_type(condition)
        return isinstance(kind, GraphQLInterfaceType | GraphQLUnionType) and self._schema.is_sub_type(kind, runtime)

    def _included(self, directives: Iterable[DirectiveNode] | None) -> bool:
        for directive in directives or ():
            if directive.name.value in ("skip", "include"):
                value = (directive.arguments or ())[0].value
                if isinstance(value, VariableNode):
                    flag = self._variables[value.name.value]
                elif isinstance(value, BooleanValueNode):
                    flag = value.value
                else:
                    flag = None
                if flag is not (directive.name.value == "include"):
                    return False
        return True
