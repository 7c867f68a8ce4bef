"""In charge of what an operation does step by step: the uses that the rules are asked about, as they are planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tanglai.catalogue.model import Item, Resource
from tanglai.catalogue.scalars import ScalarType


class Usage(StrEnum):
    """What a step does. The first four are answered with null where they are denied, the others refuse everything."""

    ROOT = "root"  # a field that leads to a resource
    ENTITY = "entity"  # the key of a representation
    FOLLOW = "follow"
    SELECT = "select"
    WHERE = "where"
    ORDER = "order"
    GROUP = "group"
    AGGREGATE = "aggregate"
    KEY = "key"
    THROUGH = "through"  # a relation in a filter
    SEARCH = "search"  # skips what it may not use
    ROWS = "rows"  # rows as such: handles, cursors, counts


NULLED = frozenset({Usage.ROOT, Usage.ENTITY, Usage.FOLLOW, Usage.SELECT})


@dataclass(frozen=True, slots=True)
class Step:
    """A use of `name`, an item or relation of `resource`; None: of the resource as such. `at`: its response field."""

    usage: Usage
    resource: str
    name: str | None = None
    at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the matrix for one subject: the operation that reaches it, and what that operation does.

    `name` is the same for all subjects that are reached alike. The subject's own step is the last one, unless `own`
    says otherwise. `figure`: a cube can answer the aggregate where the subject is a `dimension`, a `measure`, or
    (`count`) any of both.
    """

    name: str
    text: str
    steps: tuple[Step, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    figure: str = ""
    own: Step | None = None

    @property
    def subject(self) -> Step | None:
        """The use of the subject; None where there is none: constants."""
        return self.own or (self.steps[-1] if self.steps else None)


class Samples:
    """Operands of operations: a value for each item, an id for each resource. Of a running node these are real ones."""

    def value(self, resource: Resource, item: Item) -> Any:
        """A value of `item` in its JSON form."""
        return _SAMPLES[item.type]

    def row_id(self, resource: Resource) -> str:
        """An id of a row; planning reads from it which resource it is of."""
        return f"row:{resource.code}"


_SAMPLES: Mapping[ScalarType, Any] = {
    ScalarType.TEXT: "x",
    ScalarType.BOOLEAN: True,
    ScalarType.INTEGER: 7,
    ScalarType.LONG: "7",
    ScalarType.DECIMAL: "7.5",
    ScalarType.FLOAT: 0.5,
    ScalarType.DATE: "2001-02-03",
    ScalarType.TIME: "04:05:06",
    ScalarType.DATETIME: "2001-02-03T04:05:06Z",
}
