"""In charge of planning a whole operation: its roots, the groups of `data`, and the entry paths below."""

from collections.abc import Iterable

from graphql import GraphQLObjectType

from resolvers import entities, lookups, rows, statistics
from resolvers.entry_paths import GroupMember, group_path, root_path
from resolvers.plan import Answer, At, ObjectShape, Plan
from resolvers.planner import Planning, object_type, quoted
from resolvers.selection import Selected
from schema.fields import GroupField, GroupId, RootField, meaning

PATHS = (rows, lookups, statistics, entities)
"""The modules that register entry paths, imported here so that all are there before an operation is planned."""


def plan_operation(planning: Planning, root: GraphQLObjectType, roots: Iterable[Selected]) -> Plan:
    """The plan of the root fields `roots`, each a RootField of `root`.

    Raises Refused for a denied use outside selection, TanglaiError for what makes no sense or exceeds a bound.
    """
    return planning.plan(
        (selected.key, root_path.planners[RootField(selected.name)](planning, root, selected, At((selected.key,))))
        for selected in roots
    )


@root_path(RootField.DATA)
def plan_data(planning: Planning, root: GraphQLObjectType, selected: Selected, at: At) -> Answer:
    """`data` and its groups."""
    kind = object_type(root.fields[selected.name])
    groups: list[tuple[str, Answer]] = []
    for group in planning.collector.fields(kind, selected.selection_sets):
        definition = kind.fields.get(group.name)
        what = meaning(definition) if definition is not None else None
        if group.name == "__typename":
            groups.append((group.key, quoted(kind.name)))
        elif isinstance(what, GroupField):
            assert definition is not None
            groups.append((group.key, _group(planning, object_type(definition), group, at.child(group.key))))
        elif isinstance(what, GroupId):
            groups.append((group.key, quoted(what.id)))
    return ObjectShape(tuple(groups))


def _group(planning: Planning, kind: GraphQLObjectType, group: Selected, at: At) -> Answer:
    fields: list[tuple[str, Answer]] = []
    for selected in planning.collector.fields(kind, group.selection_sets):
        here = at.child(selected.key)
        definition = kind.fields.get(selected.name)
        what = meaning(definition) if definition is not None else None
        planning.used = set()
        answer: Answer
        if definition is None:
            answer = quoted(kind.name)
        elif isinstance(what, GroupId):
            answer = quoted(what.id)
        elif not isinstance(what, GroupMember):
            raise AssertionError(f"no meaning for {kind.name}.{selected.name}")
        elif planning.denied_whole(what.resource, here):
            answer = "null"
        else:
            answer = group_path.planners[type(what)](planning, what, definition, selected, here)
        fields.append((selected.key, answer))
    return ObjectShape(tuple(fields))
