"""In charge of how many source calls an operation may make: counted on its text, without plan and planner."""

from typing import Any

from graphql import (
    FieldNode,
    GraphQLSchema,
    InlineFragmentNode,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    visit,
)

from schema.fields import (
    AggregateField,
    ListField,
    LookupField,
    Part,
    PartField,
    RelationField,
    RootField,
    WhereRelation,
    meaning,
)
from tanglai.catalogue.model import Snapshot

_CALLS = (ListField, LookupField, AggregateField, RelationField)


class _Count(Visitor):
    def __init__(self, snapshot: Snapshot, types: TypeInfo) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.types = types
        self.path: list[str] = []
        self.found: set[tuple[str, ...]] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.path.append(node.alias.value if node.alias else node.name.value)
        definition = self.types.get_field_def()
        what = meaning(definition) if definition is not None else None
        if isinstance(what, _CALLS) or what == PartField(Part.TOTAL_COUNT):
            self.found.add(tuple(self.path))
        if node.name.value == RootField.ENTITIES:
            selections = node.selection_set.selections if node.selection_set is not None else ()
            for kind in (part for part in selections if isinstance(part, InlineFragmentNode)):
                assert kind.type_condition is not None
                self.found.add((*self.path, kind.type_condition.name.value))

    def leave_field(self, *_: Any) -> None:
        self.path.pop()

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        self.path.append(node.name.value)
        kind = self.types.get_parent_input_type()
        fields = getattr(kind, "fields", {})
        what = meaning(fields[node.name.value]) if node.name.value in fields else None
        if isinstance(what, WhereRelation):
            resources = self.snapshot.resources
            far = resources[what.relation.target]
            near = next(resources[r.target] for r in far.relations if r.name == what.relation.inverse)
            if near.binding.source != far.binding.source:
                self.found.add(tuple(self.path))

    def leave_object_field(self, *_: Any) -> None:
        self.path.pop()


def most_calls(query: str, schema: GraphQLSchema, snapshot: Snapshot) -> int:
    """One per merged root or relation field, one more per `totalCount`, and one per relation to another source by which
    a filter goes."""
    types = TypeInfo(schema)
    count = _Count(snapshot, types)
    visit(parse(query), TypeInfoVisitor(types, count))
    return len(count.found)
