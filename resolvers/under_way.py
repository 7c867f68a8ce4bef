"""In charge of what an operation is while it is on its way through the gateway."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson
from graphql import GraphQLObjectType, GraphQLSchema, SelectionSetNode

from authz.visible import VisibleRelation
from resolvers.caches import Chosen, Plans
from resolvers.document import Document, Documents, Operation
from resolvers.execution import Execution
from resolvers.introspection import SchemaAnswers
from resolvers.messages import STATUS, Messages
from resolvers.plan import Plan
from resolvers.planner import Planning
from resolvers.requests import GraphQLRequest, GraphQLResponse
from resolvers.selection import Collector, Selected
from resolvers.values import SlottedVariables
from schema.context import Stream
from schema.unified import UnifiedSchema
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import Grant, Resource
from tanglai.storage.quota_ledger import Reservation
from tanglai.storage.replica import Moment

E = TypeVar("E", bound=Execution)


@dataclass(frozen=True, slots=True)
class Roots:
    """The root fields of an operation: those that the planner answers, and those of the fixed part.

    `paths` are the response keys of the former, `keys` those of all in response order.
    """

    planned: tuple[Selected, ...]
    fixed: tuple[Selected, ...]
    paths: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """What belongs to one snapshot: schema, documents, root fields, plans and what it tells of itself go with it.

    `roots` are kept by operation and shape of its variables, of which `@skip` and `@include` are a part.
    """

    schema: UnifiedSchema
    documents: Documents
    plans: Plans
    chosen: Chosen
    answers: SchemaAnswers


@dataclass(slots=True)
class Context:
    """One request on its way; `stream` where it is an event of a subscription."""

    request: GraphQLRequest
    began: float
    moment: Moment
    served: Served
    stream: Stream | None
    purpose: str | None = None
    document: Document | None = None
    operation: Operation | None = None
    paths: tuple[str, ...] = ()
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grants: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    kind: str = "text"
    export: str | None = None

    @property
    def messages(self) -> Messages:
        """Writes its errors."""
        request = self.request
        return Messages(self.moment.snapshot, "zh" if request.language == "zh" else "en", request.request_id)


@dataclass(slots=True)
class Read:
    """An operation that is read: what it selects, and what its principal is shown.

    `who` is all of the principal that decisions depend on, purpose included. `decisions` gives the decision function.
    """

    document: Document
    operation: Operation
    slotted: SlottedVariables
    schema: GraphQLSchema
    who: tuple[Any, ...]
    grants: tuple[Grant, ...]
    roots: Roots
    decisions: Callable[[], Callable[[Resource], VisibleRelation]]
    _visible: Callable[[Resource], VisibleRelation] | None = None

    @property
    def visible(self) -> Callable[[Resource], VisibleRelation]:
        """What is shown of a resource; taken once."""
        if self._visible is None:
            self._visible = self.decisions()
        return self._visible

    @property
    def collector(self) -> Collector:
        """Reads its selections."""
        return Collector(self.schema, self.document.fragments, self.slotted.values)


@dataclass(slots=True)
class Prepared(Generic[E]):
    """A plan that may run now."""

    plan: Plan
    execution: E
    reservation: Reservation | None

    def settle(self) -> None:
        """Gives back what the execution did not use, however it ended."""
        if self.reservation is not None:
            self.reservation.settle(self.execution.meter.spent())


class Refusal(Exception):
    """A request error on its way out: no `data`."""

    def __init__(self, errors: tuple[dict[str, Any], ...], code: ErrorCode) -> None:
        super().__init__(code)
        self.errors = errors
        self.code = code


class WriteByGet(BadInput):
    """GraphQL over HTTP: status 405 whatever the media type."""

    def __init__(self) -> None:
        super().__init__("only queries may be sent by GET")


class Uses(Mapping[str, tuple[str, ...]]):
    """What a planning that did not finish had touched, in order, for the record of its refusal."""

    def __init__(self, planning: Planning) -> None:
        self._planning = planning

    def __getitem__(self, code: str) -> tuple[str, ...]:
        return tuple(sorted(self._planning.uses[code]))

    def __iter__(self) -> Any:
        return iter(self._planning.uses)

    def __len__(self) -> int:
        return len(self._planning.uses)


def root_type(schema: UnifiedSchema, operation: Operation) -> GraphQLObjectType:
    """The type of the operation's root fields; validation has seen that there is one."""
    root = schema.graphql.get_root_type(operation.kind)
    assert root is not None
    return root


def replace_selections(operation: Operation, nodes: Sequence[Any]) -> Any:
    """The operation with other root selections: fragments at the root are expanded already."""
    node = operation.node
    return type(node)(
        operation=node.operation,
        name=node.name,
        variable_definitions=node.variable_definitions,
        directives=node.directives,
        selection_set=SelectionSetNode(selections=tuple(nodes)),
        loc=node.loc,
    )


def extensions(context: Context, plan: Plan | None) -> bytes:
    """The entry `extensions` of a response, as JSON."""
    request_id = orjson.dumps(context.request.request_id)
    if plan is None:
        return b'{"requestId":%b}' % request_id
    return b'{"requestId":%b,"purpose":%b,%b' % (request_id, orjson.dumps(context.purpose), plan.told)


def text_hash(text: str) -> str:
    """SHA-256 in hexadecimal digits; of any text, also one that is not Unicode."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def bare(error: TanglaiError, request_id: str) -> dict[str, Any]:
    """An error before there is a snapshot to word it by."""
    return {"message": error.message, "extensions": {"code": error.code.value, "requestId": request_id}}


def answer_refused(errors: list[dict[str, Any]], code: ErrorCode) -> GraphQLResponse:
    """The response to a request error: no `data`."""
    return GraphQLResponse(orjson.dumps({"errors": errors}), False, STATUS[code])
