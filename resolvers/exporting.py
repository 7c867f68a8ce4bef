"""In charge of exports: one list, decided like a query, whose rows leave as they arrive from its source.

Before the first row is given out, the most that may be delivered is reserved on every quota and stands in a durable
record. After the last one a second record says what was delivered. Whatever ends an export before that, its whole bound
counts as delivered, in the log and on the quotas.
"""

import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from authz.decide import Asking, choose_purpose
from authz.visible import VisibleRelation
from resolvers.caches import Decisions
from resolvers.export_columns import ExportedList, exported_list
from resolvers.export_run import ExportExecution
from resolvers.limits import Limits
from resolvers.plan import Plan
from resolvers.requests import as_of, refuses_denials, text_extension
from resolvers.under_way import Context, Prepared, Read, Refusal, root_type
from tanglai.audit.records import EXPORT_END, Outcome
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import Grant, Resource, Snapshot
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.quota_ledger import Spent
from tanglai.storage.replica import Replica

_log = logging.getLogger(__name__)
_MEMBERS = frozenset({"rows", "spreadsheet"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says of its export. `rows` None: all there are; `spreadsheet` is for CSV."""

    rows: int | None
    spreadsheet: bool


def wanted(extensions: Mapping[str, Any], limits: Limits) -> Wanted:
    """What `extensions.export` says. Raises BAD_INPUT; a number of rows is never clamped."""
    given = extensions.get("export")
    if given is None:
        return Wanted(None, False)
    if not isinstance(given, dict) or not given.keys() <= _MEMBERS:
        raise BadInput("`extensions.export` is an object with `rows` and `spreadsheet`")
    rows, spreadsheet = given.get("rows"), given.get("spreadsheet")
    if rows is not None and (type(rows) is not int or not 1 <= rows <= limits.export_rows):
        raise BadInput(f"`extensions.export.rows` lies between 1 and {limits.export_rows}")
    if spreadsheet is not None and not isinstance(spreadsheet, bool):
        raise BadInput("`extensions.export.spreadsheet` is true or false")
    return Wanted(rows, bool(spreadsheet))


@dataclass(frozen=True, slots=True)
class Steps:
    """What an export shares with every operation of a gateway."""

    read: Callable[[Context], Awaitable[Read]]
    prepare: Callable[..., Awaitable[Prepared[ExportExecution]]]
    record: Callable[[Context, Outcome, Sequence[ErrorCode]], Awaitable[None]]
    asking: Callable[[Context, tuple[Grant, ...]], Asking]


class Export:
    """One export that has begun: its bound is reserved and recorded, its first rows are there.

    `told` is what the principal is told of it: purpose, grants, field paths of masked, partly clear and denied items.
    Use it as a context manager: whoever leaves before `finish` leaves an export that broke off.
    """

    def __init__(
        self,
        steps: Steps,
        context: Context,
        prepared: Prepared[ExportExecution],
        listed: ExportedList,
        wanted: Wanted,
        still: "Still",
    ) -> None:
        self._steps, self._context, self._prepared, self._still = steps, context, prepared, still
        self._parts = prepared.execution.parts()
        self._first: list[str] | None = None
        self._begun = self._finished = False
        plan = prepared.plan
        self._codes = [error.denial.code for error in plan.errors]
        self._needs = prepared.execution.meter.needs()
        self.list = listed
        self.wanted = wanted
        self.rows = 0
        """Rows of the list that were given out."""
        self.told: dict[str, Any] = {
            "requestId": context.request.request_id,
            "purpose": context.purpose,
            "grants": plan.grants,
            "masked": plan.masked,
            "partial": plan.partial,
            "denied": [
                {
                    "code": error.denial.code.value,
                    "resource": error.denial.resource,
                    "item": error.denial.item,
                    "fieldPath": str(error.at),
                }
                for error in plan.errors
            ],
        }

    async def begin(self) -> None:
        """Waits for the first rows, then for the record. Raises TanglaiError; then nothing counts but the request."""
        context = self._context
        self._first = await anext(self._parts, None)
        await self._still.holds()
        context.export, context.rows = secrets.token_hex(16), self._prepared.execution.bounds()
        self._begun = True
        try:
            await self._steps.record(context, Outcome.PARTIAL if self._codes else Outcome.ALLOWED, self._codes)
        except TanglaiError:
            self._begun = False
            context.export, context.rows = None, {}
            raise

    async def parts(self) -> AsyncGenerator[list[str], None]:
        """Texts of the rows, some at a time, as long as what was decided holds. Raises TanglaiError."""
        part, self._first = self._first, None
        while part is not None:
            await self._still.holds()
            self.rows += len(part)
            yield part
            part = None  # memory: two parts at most
            await self._count_subjects()
            part = await anext(self._parts, None)

    async def _count_subjects(self) -> None:
        reservation, meter = self._prepared.reservation, self._prepared.execution.meter
        if reservation is not None:
            for grant, subjects in meter.take_subjects().items():
                meter.known(grant, await reservation.new_subjects(grant, subjects))

    async def finish(self) -> None:
        """Everything was given out: makes that durable and gives back what was not used. Raises AuditUnavailable."""
        context, execution = self._context, self._prepared.execution
        context.kind, context.rows = EXPORT_END, dict(execution.rows)
        await self._steps.record(context, Outcome.PARTIAL if self._codes else Outcome.ALLOWED, self._codes)
        self._finished = True
        self._prepared.settle()

    async def __aenter__(self) -> "Export":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what is still under way in the sources; of an export that broke off the whole bound counts."""
        execution, reservation = self._prepared.execution, self._prepared.reservation
        try:
            if not self._finished and reservation is not None:
                # INVARIANT: first of all, so that nothing on the way can give back what may have been delivered.
                needs = self._needs if self._begun else {}
                spent = {g: Spent(need.counts.rows, (), need.counts.subjects) for g, need in needs.items()}
                reservation.settle(spent)
        finally:
            execution.stop()
            await self._parts.aclose()
        if self._begun and not self._finished:
            _log.warning(
                "an export broke off after %d rows, its bound counts as delivered: %s", self.rows, self._context.rows
            )


class Still:
    """Whether what was decided for an export still holds: the same resources, sources and fingerprints."""

    def __init__(self, context: Context, plan: Plan, read: Read, exports: "Exports") -> None:
        self._context, self._codes, self._exports = context, plan.resources, exports
        self._decided = self._found(context.moment.snapshot, read.visible)

    def _found(self, snapshot: Snapshot, visible: Callable[[Resource], VisibleRelation]) -> list[tuple[Any, ...]]:
        resources = [snapshot.resources[code] for code in self._codes]
        return [(one, snapshot.sources[one.binding.source], visible(one).fingerprint) for one in resources]

    async def holds(self) -> None:
        """Raises TanglaiError where anything was changed, within the freshness of every decision."""
        exports, request = self._exports, self._context.request
        moment = await exports.replica.confirm()
        snapshot = moment.snapshot
        principal = as_of(snapshot, request.principal)
        purpose = choose_purpose(principal, snapshot, request.purpose, text_extension(request.extensions, "purpose"))
        now = replace(self._context, request=replace(request, principal=principal), moment=moment, purpose=purpose)
        grants = await exports.replica.grants(principal.department.code, snapshot)
        visible = exports.decisions.visible(exports.steps.asking(now, grants))
        known = all(code in snapshot.resources for code in self._codes)
        if not known or self._found(snapshot, visible) != self._decided:
            raise PolicyUnavailable("what may be read was changed while it was exported: ask again")


class Exports:
    """Begins exports for a gateway."""

    def __init__(self, steps: Steps, replica: Replica, decisions: Decisions, limits: Limits) -> None:
        self.steps, self.replica, self.decisions, self._limits = steps, replica, decisions, limits

    async def begin(self, context: Context) -> Export:
        """The export that the operation asks for. Raises what refuses it.

        A denied item refuses it, for a file has no place for an error, unless `extensions.onDenied` is "NULL"; a list
        that is denied as a whole refuses it always.
        """
        extensions = context.request.extensions
        asked = wanted(extensions, self._limits)
        refuses = refuses_denials(extensions) or extensions.get("onDenied") is None
        read = await self.steps.read(context)
        listed = exported_list(read, root_type(context.served.schema, read.operation))
        most = asked.rows or self._limits.export_rows
        execute = partial(ExportExecution, most=most, whole=asked.rows is None)
        prepared = await self.steps.prepare(context, read, refuses, execute)
        plan = prepared.plan
        export = Export(self.steps, context, prepared, listed, asked, Still(context, plan, read, self))
        try:
            if prepared.execution.call is None:
                denied = tuple(context.messages.denial(e.denial, e.at, path=False) for e in plan.errors)
                raise Refusal(denied, plan.errors[0].denial.code)
            await export.begin()
        except BaseException:
            await export.close()
            raise
        return export
