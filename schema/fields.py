"""In charge of what each generated field means: metadata by which the planner reads a document.

It stands in `extensions["tanglai"]`. The planner never guesses from names: a field without it does not reach `data`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from tanglai.catalogue.expressions import AggregateFunction
from tanglai.catalogue.model import Item, Key, Relation, Resource

EXTENSION = "tanglai"


class RootField(StrEnum):
    """Root fields that the planner answers; every other root field is executed by graphql-core."""

    DATA = "data"
    NODE = "node"
    ENTITIES = "_entities"


@dataclass(frozen=True, slots=True)
class GroupField:
    """`Data.<group>`."""

    group: str


@dataclass(frozen=True, slots=True)
class GroupId:
    """`<Group>Data.id`, and with the empty group `Data.id`: a constant."""

    group: str

    @property
    def id(self) -> str:
        """The field's value; neither a row's id nor a catalogue node's."""
        return f"data:{self.group}"


@dataclass(frozen=True, slots=True)
class ListField:
    """A connection over a resource's rows. Arguments: where, orderBy, first, after, last, before."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class LookupField:
    """One row by a catalogued key. Arguments: the GraphQL names of the key's items."""

    resource: Resource
    key: Key


@dataclass(frozen=True, slots=True)
class AggregateField:
    """Aggregates over a resource's rows. Arguments: where, groupBy."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class RowId:
    """`id` of a row: the sealed row handle."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class ItemField:
    resource: Resource
    item: Item


@dataclass(frozen=True, slots=True)
class RelationField:
    """A relation; `many` ones are connections with the arguments of ListField, others objects without arguments."""

    resource: Resource
    relation: Relation


class Part(StrEnum):
    """Fields of connections, edges and aggregates."""

    EDGES = "edges"
    NODES = "nodes"
    PAGE_INFO = "pageInfo"
    TOTAL_COUNT = "totalCount"
    NODE = "node"
    CURSOR = "cursor"
    HAS_NEXT_PAGE = "hasNextPage"
    HAS_PREVIOUS_PAGE = "hasPreviousPage"
    START_CURSOR = "startCursor"
    END_CURSOR = "endCursor"
    ROW_COUNT = "count"
    GROUP_KEY = "key"


@dataclass(frozen=True, slots=True)
class PartField:
    """`GROUP_KEY` leads to an object of ItemField leaves, one per item that may be grouped by."""

    part: Part


@dataclass(frozen=True, slots=True)
class FunctionField:
    """`min`, `max`, `sum`, `avg`, `countDistinct`, `countValues` of an aggregate: an object of ItemField leaves.

    `average` is a sum and a count divided by the gateway, so it has no AggregateFunction of its own: function is None.
    """

    function: AggregateFunction | None


FieldMeaning: TypeAlias = (
    RootField
    | GroupField
    | GroupId
    | ListField
    | LookupField
    | AggregateField
    | RowId
    | ItemField
    | RelationField
    | PartField
    | FunctionField
)


class WhereLogic(StrEnum):
    AND = "and"
    OR = "or"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class WhereItem:
    """A field of a `<Type>Where` that holds the operators of one item."""

    item: Item


@dataclass(frozen=True, slots=True)
class WhereRelation:
    """A field of a `<Type>Where` that holds `some`, `none` and `every` of one relation, each a where of the target."""

    relation: Relation


def meaning(field: Any) -> Any:
    """The metadata of a GraphQLField, GraphQLInputField, GraphQLEnumValue or argument, or None for the fixed part.

    Order inputs, group enum values and look-up arguments hold the ItemField of their item; the object type of a
    resource holds the Resource itself, other types hold nothing.
    """
    return field.extensions.get(EXTENSION)
