"""In charge of one operation from request to response bytes: the pipeline of architecture.md, a step each."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    OperationType,
)

from authz.decide import Asking, MaskKey, choose_purpose
from authz.explain import AccessReport, explain
from authz.visible import VisibleRelation
from authz.words import Language
from connectors.lines import CALLER, Caller
from connectors.pool import SourcePool
from resolvers.caches import Chosen, Decisions, Plans, decided_for
from resolvers.cells import Refused
from resolvers.document import Documents, InvalidDocument, coerce_variables
from resolvers.entities import BROKEN_KIND, ROW_KIND, node_kind
from resolvers.execution import Delivered, Execution
from resolvers.exporting import Export, Exports, Steps
from resolvers.introspection import SCHEMA_FIELDS, SchemaAnswers, sdl_parts, together
from resolvers.limits import Limits
from resolvers.messages import STATUS
from resolvers.metering import exhausted
from resolvers.plan import Plan
from resolvers.planner import Planning
from resolvers.publications import CubeStore, Publications
from resolvers.requests import GraphQLRequest, GraphQLResponse, LongResponse, as_of, refuses_denials, text_extension
from resolvers.roots import plan_operation
from resolvers.seals import ROW, BrokenSeal, Seals
from resolvers.selection import Collector, Selected
from resolvers.sightings import sightings
from resolvers.structures import describing
from resolvers.subscriptions import Subscriptions, is_subscription
from resolvers.under_way import (
    Context,
    Prepared,
    Read,
    Refusal,
    Roots,
    Served,
    Uses,
    WriteByGet,
    answer_refused,
    bare,
    extensions,
    replace_selections,
    root_type,
    text_hash,
)
from resolvers.values import SlottedVariables, Slotter
from schema import unified
from schema.context import LoadUsed, LoadVersions, RequestContext, Stream
from schema.execution import execute_fixed
from schema.fields import RootField
from schema.unified import UnifiedSchema
from tanglai.audit.log import AuditLog, AuditUnavailable
from tanglai.audit.records import EXPORT, AuditRecord, Outcome
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import Grant, Resource, Snapshot
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import rule_set
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.quota_ledger import QuotaLedger, Reservation
from tanglai.storage.replica import Moment, Replica
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.webhooks import Hooks

_log = logging.getLogger(__name__)

A = TypeVar("A")
E = TypeVar("E", bound=Execution)


class Gateway:
    """Answers operations. Stateless but for caches; safe for concurrent use within one event loop."""

    def __init__(
        self,
        replica: Replica,
        sources: SourcePool,
        audit: AuditLog,
        seals: Seals,
        mask_key: MaskKey,
        limits: Limits | None = None,
        node: str = "tanglai",
        load_versions: LoadVersions | None = None,
        cubes: CubeStore | None = None,
        quotas: QuotaLedger | None = None,
        desk: Desk | None = None,
        hooks: Hooks | None = None,
        feed: Feed | None = None,
    ) -> None:
        self._replica = replica
        self._sources = sources
        self._audit = audit
        self._seals = seals
        self._mask_key = mask_key
        self._limits = limits or Limits()
        self._node = node
        self._load_versions = load_versions
        self._publications = Publications(cubes)
        self._quotas = quotas
        self._desk = desk
        self._hooks = hooks
        self._subscriptions = Subscriptions(feed, self._limits, self._execute) if feed is not None else None
        self._decisions = Decisions(self._limits.decisions_cached)
        steps = Steps(self._read, self._prepare, self._record, self._asking)
        self._exports = Exports(steps, replica, self._decisions, self._limits)
        self._slotter = Slotter(self._id_kind, self._limits.list_values)
        self._served: Served | None = None
        self._former: Served | None = None
        self._building: asyncio.Task[Served] | None = None

    # --- what belongs to a snapshot --------------------------------------------------------------------------------

    async def schema(self) -> UnifiedSchema:
        """The schema of the newest confirmed snapshot."""
        moment = await self._replica.confirm()
        return (await self._serve(moment.snapshot)).schema

    async def _serve(self, snapshot: Snapshot) -> Served:
        """The schema of `snapshot`, built off the event loop once, however many requests wait for it."""
        while self._served is None or self._served.schema.snapshot is not snapshot:
            if self._former is not None and self._former.schema.snapshot is snapshot:
                return self._former  # a request that began just before a publication
            if self._served is not None and self._served.schema.snapshot.number > snapshot.number:
                return await self._build(snapshot)
            if self._building is None:
                self._building = asyncio.create_task(self._build(snapshot))
            building = self._building
            try:
                built = await asyncio.shield(building)
            finally:
                if building.done() and self._building is building:
                    self._building = None
            if self._served is not built:
                self._former, self._served = self._served, built
        return self._served

    async def prepare(self, snapshot: Snapshot) -> None:
        """Builds what belongs to `snapshot`, so that no request has to wait for it (`Replica.prepare`)."""
        try:
            await self._serve(snapshot)
        except Exception:
            _log.exception("the schema of snapshot %d cannot be built", snapshot.number)

    async def _build(self, snapshot: Snapshot) -> Served:
        former = self._served.schema if self._served is not None else None
        schema = await asyncio.to_thread(unified.build, snapshot, reuse=former)
        limits = self._limits
        return Served(
            schema,
            Documents(schema.graphql, limits),
            Plans(limits.plans_cached),
            Chosen(limits.plans_cached),
            SchemaAnswers(schema),
        )

    def _id_kind(self, value: str) -> str:
        """What an id names: `row:<resource>`, `broken`, or `catalogue` for ids of the fixed part."""
        if not isinstance(value, str) or not value.startswith(f"{ROW}."):
            return "catalogue"
        try:
            code, _ = self._seals.open(ROW, b"", value)
        except (BrokenSeal, ValueError):
            return BROKEN_KIND
        return f"{ROW_KIND}{code}"

    # --- one operation ---------------------------------------------------------------------------------------------

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        """Answers `request`. Every failure that can be foreseen is a typed error; nothing leaves without its record."""
        return await self._asked(request, self._answer)

    def streams(self, request: GraphQLRequest) -> bool:
        """Whether `request` is for `subscribe`: a subscription, where this gateway has the feed of changes."""
        return self._subscriptions is not None and is_subscription(request, self._limits)

    def subscribe(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        """The events of the subscription `request`, each decided anew; raises TanglaiError for what ends it."""
        assert self._subscriptions is not None
        return self._subscriptions.responses(request)

    async def export(self, request: GraphQLRequest) -> Export | GraphQLResponse:
        """The export that `request` asks for, begun, or the response that refuses it."""
        return await self._asked(request, self._exports.begin, kind=EXPORT)

    async def _execute(self, request: GraphQLRequest, stream: Stream | None) -> GraphQLResponse:
        return await self._asked(request, self._answer, stream)

    async def _asked(
        self,
        request: GraphQLRequest,
        answer: Callable[[Context], Awaitable[A]],
        stream: Stream | None = None,
        kind: str = "text",
    ) -> A | GraphQLResponse:
        """What `answer` gives, or the response to whatever refuses the operation, with its record."""
        began = time.perf_counter()
        try:
            moment = await self._replica.confirm()
            principal = as_of(moment.snapshot, request.principal)
            if principal is not request.principal:
                request = replace(request, principal=principal)
            CALLER.set(Caller(request.principal.department.code))
        except TanglaiError as error:
            return answer_refused([bare(error, request.request_id)], error.code)
        served = self._served
        if served is None or served.schema.snapshot is not moment.snapshot:
            served = await self._serve(moment.snapshot)
        context = Context(request, began, moment, served, stream, kind=kind)
        try:
            return await answer(context)
        except Refusal as refusal:
            return await self._refuse(context, refusal)
        except InvalidDocument as invalid:
            return answer_refused([context.messages.invalid(error) for error in invalid.errors], ErrorCode.BAD_INPUT)
        except Refused as refused:
            denied = context.messages.denial(refused.denial, refused.at, path=False)
            return await self._refuse(context, Refusal((denied,), refused.denial.code))
        except WriteByGet as failure:
            return GraphQLResponse(orjson.dumps({"errors": [context.messages.error(failure)]}), False, 405)
        except TanglaiError as failure:
            return await self._refuse(context, Refusal((context.messages.error(failure),), failure.code))

    async def _answer(self, context: Context) -> GraphQLResponse:
        refuse_denials = refuses_denials(context.request.extensions)
        read = await self._read(context)
        prepared: Prepared[Execution] | None = None
        delivered: Delivered | None
        rest: ExecutionResult | None
        if read.roots.planned:
            prepared = await self._prepare(context, read, refuse_denials, Execution)
        try:
            if prepared is not None and not read.roots.fixed:
                delivered, rest = await prepared.execution.run(), None
            else:
                delivered, rest = await asyncio.gather(_run(prepared), self._fixed(context, read))
        finally:
            if prepared is not None:
                prepared.settle()
        return await self._respond(context, read.roots, prepared.plan if prepared else None, delivered, rest)

    async def _read(self, context: Context) -> Read:
        """What the operation asks for and what its principal is shown. Raises what refuses it."""
        request, snapshot = context.request, context.moment.snapshot
        context.purpose = choose_purpose(
            request.principal, snapshot, request.purpose, text_extension(request.extensions, "purpose")
        )
        document = context.document = context.served.documents.document(request.query)
        operation = context.operation = document.operation(request.operation_name)
        if request.read_only and operation.kind is not OperationType.QUERY:
            raise WriteByGet
        if operation.kind is OperationType.SUBSCRIPTION and context.stream is None:
            raise BadInput("subscriptions need a connection that can carry them")
        schema, principal = context.served.schema.graphql, request.principal
        coerced = coerce_variables(schema, operation, request.variables)
        slotted = self._slotter.slot(operation.types, coerced)
        grants = await self._replica.grants(principal.department.code, snapshot)
        roots: Roots | None = operation.roots.get(slotted.shape)
        if roots is None:
            roots = self._roots(context, Collector(schema, document.fragments, slotted.values), slotted)
            operation.roots.put(slotted.shape, roots)
        context.paths = roots.paths
        decisions = partial(self._visible, context, grants)
        who = decided_for(principal, context.purpose)
        return Read(document, operation, slotted, schema, who, grants, roots, decisions)

    async def _prepare(
        self, context: Context, read: Read, refuse_denials: bool, execute: Callable[..., E]
    ) -> Prepared[E]:
        """The plan, ready to run, with what it can use of quotas reserved; without the grants that are short.

        `execute` makes the execution. Raises what refuses the operation; then nothing is held.
        """
        snapshot = context.moment.snapshot
        reservation: Reservation | None = None
        short: frozenset[str] = frozenset()
        try:
            while True:
                plan = self._plan(context, read, short)
                context.uses = plan.used
                if refuse_denials and plan.errors:
                    errors = tuple(context.messages.denial(e.denial, e.at, path=False) for e in plan.errors)
                    raise Refusal(errors, plan.errors[0].denial.code)
                execution = execute(
                    plan,
                    read.slotted.arguments,
                    snapshot,
                    self._sources,
                    self._seals,
                    self._limits,
                    context.request.principal.department.code,
                    context.purpose,
                    self._publications,
                    context.moment.now,
                )
                execution.prepare()
                if not plan.quotas and reservation is None:
                    break
                if reservation is None:
                    reservation = self._reservation(context.moment)
                more = await reservation.cover(execution.meter.needs())
                if not more:
                    break
                if more <= short:
                    raise TanglaiError(ErrorCode.INTERNAL, "internal error")  # INVARIANT: what is short is not used
                short |= more
        except BaseException:
            if reservation is not None:
                reservation.settle()
            raise
        context.grants = plan.grants  # those of a plan that is not run are not used
        return Prepared(plan, execution, reservation)

    def _reservation(self, moment: Moment) -> Reservation:
        if self._quotas is None:
            raise PolicyUnavailable("quotas are counted nowhere")
        return self._quotas.reservation(day_of(moment.now))

    def _visible(self, context: Context, grants: tuple[Grant, ...]) -> Callable[[Resource], VisibleRelation]:
        return self._decisions.visible(self._asking(context, grants))

    def _asking(self, context: Context, grants: tuple[Grant, ...]) -> Asking:
        """Everything that the decisions of this request depend on."""
        snapshot = context.moment.snapshot
        return Asking(
            snapshot,
            rule_set(snapshot.rule_set),
            context.request.principal,
            context.purpose,
            grants,
            context.moment.now,
            self._mask_key,
        )

    def _roots(self, context: Context, collector: Collector, slotted: SlottedVariables) -> Roots:
        """Root fields that the planner answers, and those of the fixed part."""
        assert context.operation is not None
        root = root_type(context.served.schema, context.operation)
        selections = collector.fields(root, [context.operation.node.selection_set])
        if len(selections) > self._limits.roots:
            raise TanglaiError(ErrorCode.LIMIT_EXCEEDED, f"more than {self._limits.roots} root fields")
        planned: list[Selected] = []
        fixed: list[Selected] = []
        planning = self._planning(context, collector, slotted, _undecided)
        for selected in selections:
            is_planned = selected.name in (RootField.DATA, RootField.ENTITIES)
            if selected.name == RootField.NODE:
                kind = node_kind(planning, root, selected)
                is_planned = kind == BROKEN_KIND or kind.startswith(ROW_KIND)
            (planned if is_planned else fixed).append(selected)
        return Roots(
            tuple(planned),
            tuple(fixed),
            tuple(selected.key for selected in planned),
            tuple(selected.key for selected in selections),
        )

    def _planning(
        self,
        context: Context,
        collector: Collector,
        slotted: SlottedVariables,
        visible: Callable[[Resource], VisibleRelation],
    ) -> Planning:
        return Planning(
            context.moment.snapshot,
            context.served.schema.graphql,
            self._limits,
            slotted.values,
            collector,
            visible,
            self._id_kind,
        )

    def _plan(self, context: Context, read: Read, short: frozenset[str]) -> Plan:
        """The plan without the grants that are `short`: the one that was chosen before, a cached one, or a new one."""
        served, snapshot = context.served, context.moment.snapshot
        key = (read.document.hash, read.operation.name, read.slotted.shape)
        chosen, who = served.chosen, (key, read.who)
        plan = chosen.get(who, read.grants, context.moment.now) if not short else None
        if plan is not None:
            return plan
        plans, resources = served.plans, snapshot.resources
        visible = exhausted(read.visible, short, snapshot)
        plan = plans.find(key, resources, visible)
        if plan is None:
            planning = self._planning(context, read.collector, read.slotted, visible)
            context.uses = Uses(planning)
            plan = plan_operation(planning, root_type(context.served.schema, read.operation), read.roots.planned)
            plans.keep(key, plan, resources, visible)
        if not short:
            chosen.put(who, plan, read.grants, context.moment.now, resources, visible)
        return plan

    async def _fixed(self, context: Context, read: Read) -> ExecutionResult | None:
        """The fixed part, by graphql-core, on the operation without the planned roots."""
        if not read.roots.fixed:
            return None
        request = context.request
        told: ExecutionResult | None = None
        if tells := [selected for selected in read.roots.fixed if selected.name in SCHEMA_FIELDS]:
            told = await context.served.answers.answer(read.document, read.operation, request.variables, tells)
            if len(tells) == len(read.roots.fixed):
                return told
        nodes = tuple(n for selected in read.roots.fixed if selected.name not in SCHEMA_FIELDS for n in selected.nodes)
        rest = replace_selections(read.operation, nodes)
        executed = await execute_fixed(
            context.served.schema.graphql,
            DocumentNode(definitions=(rest, *read.document.fragments.values())),
            self._request_context(context, read.grants),
            request.variables,
        )
        return together(told, executed)

    def _request_context(self, context: Context, grants: tuple[Grant, ...]) -> RequestContext:
        snapshot, request = context.moment.snapshot, context.request
        asking = self._asking(context, grants)
        language: Language = "zh" if request.language == "zh" else "en"

        def access(resource: Resource, purpose: str | None) -> AccessReport:
            return explain(replace(asking, purpose=purpose), resource, language)

        return RequestContext(
            snapshot=snapshot,
            principal=request.principal,
            purpose=context.purpose,
            language=language,
            now=context.moment.now,
            explain=access,
            load_versions=self._load_versions,
            grants=grants,
            load_used=self._used(context.moment),
            stream=context.stream,
            desk=self._desk,
            hooks=self._hooks,
            sees=sightings(self.execute, request, context.purpose),
            describe=describing(self._sources, snapshot),
            request_id=request.request_id,
            node=self._node,
        )

    def _used(self, moment: Moment) -> LoadUsed | None:
        quotas = self._quotas
        return None if quotas is None else lambda ids: quotas.used(ids, day_of(moment.now))

    # --- the answer ------------------------------------------------------------------------------------------------

    async def _respond(
        self,
        context: Context,
        roots: Roots,
        plan: Plan | None,
        delivered: Delivered | None,
        rest: ExecutionResult | None,
    ) -> GraphQLResponse:
        errors: list[dict[str, Any]] = []
        values: dict[str, Sequence[bytes]] = {}
        broken = long = False
        if plan is not None and delivered is not None:
            codes: list[ErrorCode] = []
            if plan.errors or delivered.failures:
                messages = context.messages
                errors += [messages.denial(e.denial, e.at) for e in plan.errors]
                errors += [messages.failure(f) for f in delivered.failures]
                codes = [e.denial.code for e in plan.errors] + [f.error.code for f in delivered.failures]
            values.update(delivered.roots)
            context.rows = delivered.rows
            await self._record(context, Outcome.PARTIAL if codes else Outcome.ALLOWED, codes)
        if rest is not None:
            messages = context.messages
            for error in rest.errors or ():
                if error.original_error is not None and not isinstance(error.original_error, TanglaiError):
                    _log.error("fixed part failed", exc_info=error.original_error)
                errors.append(messages.fixed(error))
            broken = rest.data is None
            for key, value in (rest.data or {}).items():
                long = long or type(value) is tuple
                if type(value) is not tuple:
                    value = (value if type(value) is bytes else orjson.dumps(value),)
                values[key] = value
        parts = [b'{"data":']
        if broken:
            parts.append(b"null")
        else:
            for key in [key for key in roots.keys if key in values]:
                parts += (b',"' if len(parts) > 1 else b'{"', key.encode(), b'":', *values[key])
            parts.append(b"}" if len(parts) > 1 else b"{}")
        if errors:
            parts += (b',"errors":', orjson.dumps(errors))
        parts += (b',"extensions":', extensions(context, plan), b"}")
        return LongResponse(tuple(parts), True, 200) if long else GraphQLResponse(b"".join(parts), True, 200)

    async def _refuse(self, context: Context, refusal: Refusal) -> GraphQLResponse:
        """A request error. One that asked for data is recorded like any answer."""
        if context.paths:
            denied = STATUS[refusal.code] in (403, 429)
            codes = [ErrorCode(error["extensions"]["code"]) for error in refusal.errors]
            try:
                await self._record(context, Outcome.DENIED if denied else Outcome.FAILED, codes)
            except AuditUnavailable as error:
                return answer_refused([context.messages.error(error)], error.code)
        return answer_refused(list(refusal.errors), refusal.code)

    async def _record(self, context: Context, outcome: Outcome, codes: Sequence[ErrorCode]) -> None:
        """Durable before the response leaves. Raises AuditUnavailable: then no data leaves."""
        request = context.request
        principal = request.principal
        await self._audit.append(
            AuditRecord(
                request_id=request.request_id,
                at=datetime.now(UTC),
                department=principal.department.code,
                client=principal.client,
                person=principal.person,
                purpose=context.purpose,
                operation_name=context.operation.name if context.operation else None,
                operation_hash=context.document.hash if context.document else text_hash(request.query),
                document_kind=context.kind,
                paths=context.paths,
                items=context.uses,
                grants=context.grants,
                rows=dict(context.rows),
                outcome=outcome,
                codes=tuple(dict.fromkeys(code.value for code in codes)),
                duration_us=int((time.perf_counter() - context.began) * 1_000_000),
                node=self._node,
                export=context.export,
            )
        )

    # --- for the server --------------------------------------------------------------------------------------------

    async def sdl(self) -> Sequence[bytes]:
        """The SDL of the schema that is served as UTF-8 in parts, printed once per snapshot and off the event loop."""
        return await sdl_parts(await self.schema())

    async def ready(self) -> Mapping[str, str]:
        """State of what the gateway needs, for /readyz: `up`, or `down`."""
        try:
            await self._serve((await self._replica.confirm()).snapshot)
        except TanglaiError:
            return {"platform database": "down"}
        return {"platform database": "up"}


def _undecided(resource: Resource) -> VisibleRelation:
    raise AssertionError(f"no decision is taken on {resource.code} here")


async def _run(prepared: Prepared[Execution] | None) -> Delivered | None:
    return await prepared.execution.run() if prepared is not None else None
