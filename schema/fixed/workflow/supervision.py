"""In charge of supervision and evaluation as GraphQL types: figures of departments, their violations, ranks, export."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.registers import Department, Purpose, department, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.longs import Long
from schema.fixed.workflow.results import InvalidAct, NotFound, NotPermitted, failure
from schema.fixed.workflow.usage_records import UsageRecordQueries
from tanglai.catalogue import model
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow import errors, evaluation
from tanglai.catalogue.workflow.errors import Problem, ProblemCode
from tanglai.catalogue.workflow.evaluation import CriterionCode, Figures, Scheme, Score, Side, Tally, ViolationCode
from tanglai.catalogue.workflow.evaluation_export import as_csv
from tanglai.catalogue.workflow.parties import Role
from tanglai.storage.workflow.supervision import Period, observe

LONGEST = timedelta(days=3 * 366)
"""The longest period that is told at once."""

EARLIEST = date(2004, 1, 1)
"""The first day of the calendar of working days."""


class ExportFormat(StrEnum):
    CSV = "CSV"


described(ExportFormat, "A form that a table is given in.", {"CSV": "UTF-8 with a byte order mark, for Excel."})
described(
    Side,
    "On which side of sharing a department stands.",
    {"PROVIDER": "It has the data.", "REQUESTER": "It uses the data."},
    "SharingSide",
)
described(
    ViolationCode,
    "A violation that Order 809 Art. 38-41 list.",
    {
        "CATALOGUE_LATE": "The catalogue was not brought up to date in time.",
        "ADDED_CONDITIONS": "Conditions were added to the published ones; the platform takes none and knows of none.",
        "LATE_REPLY": "An application was not answered in time.",
        "LATE_SUPPLY": "Data were not supplied in time; no grant starts too late, so the platform knows of none.",
        "NO_RETURN_FLOW": "An application of a lower level of its own area was refused.",
        "LATE_CORRECTION": "Doubts about data were not answered in time.",
        "UNILATERAL_ENDING": "A grant was ended though nothing was filed, sanctioned or decided.",
        "OVERUSE": "A grant was suspended for use beyond its scope or purpose.",
        "PASSING_ON": "A grant was suspended because data were passed on.",
        "NO_DISPOSAL": "What was taken under a grant that is over has not been disposed of.",
        "MISSING_RECORDS": "A grant was suspended for missing records of use.",
    },
)
described(
    CriterionCode,
    "What a department is judged by: a rate from 0 to 1.",
    {
        "UPDATES_ON_TIME": "Catalogue updates in time, of those decided.",
        "REPLIES_ON_TIME": "Replies in time, of those decided.",
        "CORRECTIONS_ON_TIME": "Answers to doubts in time, of those decided.",
        "CORRECTIONS_ANSWERED": "Doubts that were answered, of those reported.",
        "SOURCES_UP": "Sources that answer, of all.",
        "INTERFACES_RETIRED": "Old interfaces not beyond their retirement date, of all.",
        "GRANTS_USED": "Active grants that were used, of all.",
        "DISPOSALS_STATED": "Disposals stated, of those owed.",
    },
)


@strawberry.type(description="Deadlines of one kind that fall due in the period; dropped ones are left out.")
class DeadlineTally:
    kind: DeadlineKind = strawberry.field(description="What was due.")
    due: int = strawberry.field(description="All of them.")
    on_time: int = strawberry.field(description="Done by the due date.")
    late: int = strawberry.field(description="Done after it.")
    overdue: int = strawberry.field(description="Not done, though it is over.")
    running: int = strawberry.field(description="Not done, and not due yet or standing still.")
    extended: int = strawberry.field(description="Those that were extended.")
    median_working_days: float | None = strawberry.field(
        description="Median working days of those done, without those for which the clock stood; null where none is."
    )


@strawberry.type(description="How many there are of one kind.")
class DeadlineCount:
    kind: DeadlineKind = strawberry.field(description="What was due.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="How many there are for one reason.")
class ReasonCount:
    reason: str = strawberry.field(description="Code of the reason; empty where none was given.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="Requests for data under one purpose.")
class PurposeUse:
    purpose_code: str | None = strawberry.field(description="Code of the purpose; null where none was stated.")
    requests: Long = strawberry.field(description="Requests that named resources, denied ones too.")
    rows: Long = strawberry.field(description="Rows that were delivered.")
    denied: Long = strawberry.field(description="Requests that were denied as a whole.")

    @resolved("The purpose; null where none was stated, or the register does not have it.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, self.purpose_code)


@strawberry.type(description="Violations of one kind.")
class ViolationCount:
    code: ViolationCode = strawberry.field(description="What is against the law.")
    side: Side = strawberry.field(description="On which side of sharing it is.")
    article: str = strawberry.field(description="The article that it is against.")
    count: int | None = strawberry.field(description="How many are known; null where the platform cannot know.")


@strawberry.type(description="A criterion with the rate that was reached.")
class CriterionRate:
    code: CriterionCode = strawberry.field(description="What is judged.")
    weight: int = strawberry.field(description="Its weight among those that can be judged.")
    rate: Decimal | None = strawberry.field(description="From 0 to 1; null where there is nothing to judge.")


@strawberry.type(description="What the platform knows of one department for the period.")
class DepartmentFigures:
    rank: int | None = strawberry.field(
        description="1 for the most points, equal points have equal ranks; null where nothing can be judged."
    )
    points: Decimal | None = strawberry.field(
        description="0 to 100: the weighted mean of the rates, less the deductions; null where nothing can be judged."
    )
    deducted: Decimal = strawberry.field(description="Points taken off.")
    rates: list[CriterionRate] = strawberry.field(description="What the points are made of.")
    deadlines: list[DeadlineTally] = strawberry.field(description="What was due in the period, by kind.")
    overdue_now: list[DeadlineCount] = strawberry.field(description="What is overdue today, whenever it was due.")
    refusals: list[ReasonCount] = strawberry.field(description="Applications refused in the period, by reason.")
    corrections_reported: int = strawberry.field(description="Doubts about its data, not withdrawn.")
    corrections_answered: int = strawberry.field(description="Those of them that were answered.")
    grants: int = strawberry.field(description="Grants that it has, active today.")
    grants_unused: int = strawberry.field(
        description="Those of them that were valid when the period began and were not used in it."
    )
    asked: list[PurposeUse] = strawberry.field(description="What it asked for, by purpose.")
    provided: list[PurposeUse] = strawberry.field(description="What was asked of it, by purpose.")
    resources: int = strawberry.field(description="Resources that it has in the catalogue today.")
    sources: int = strawberry.field(description="Its sources.")
    sources_down: list[str] = strawberry.field(description="Keys of those whose last call failed.")
    interfaces: int = strawberry.field(description="Those of its sources that are old exchange interfaces.")
    interfaces_overdue: int = strawberry.field(description="Those of them whose retirement date is over.")
    suspensions: list[ReasonCount] = strawberry.field(description="Suspensions of its grants, by reason.")
    disposals: int = strawberry.field(description="Disposals that it came to owe.")
    disposals_stated: int = strawberry.field(description="Those of them that it has stated.")
    violations: list[ViolationCount] = strawberry.field(description="Every kind of violation.")
    _code: strawberry.Private[str]

    @resolved("The department.")
    def department(self, info: Info) -> Department:
        found = department(info, self._code)
        assert found is not None
        return found


@strawberry.type(description="Figures of a connected lower catalogue: no more than the catalogue's.")
class CatalogueFigures:
    resources: int = strawberry.field(description="Resources in the catalogue today.")
    updates: DeadlineTally = strawberry.field(description="Updates after changes of law or functions.")
    _code: strawberry.Private[str]

    @resolved("The department.")
    def department(self, info: Info) -> Department:
        found = department(info, self._code)
        assert found is not None
        return found


@strawberry.type(description="A weight of the evaluation.")
class CriterionWeight:
    code: CriterionCode = strawberry.field(description="What is judged.")
    weight: int = strawberry.field(description="Its weight; those of a rule set are 100 together.")
    article: str = strawberry.field(description="The article behind it.")


@strawberry.type(description="Points that a violation costs.")
class ViolationDeduction:
    violation: ViolationCode = strawberry.field(description="The violation.")
    points: int = strawberry.field(description="Points for each.")
    most: int = strawberry.field(description="Points for all of its kind at most.")


@strawberry.type(description="Supervision and evaluation of departments for a period of days of Asia/Shanghai.")
class Supervision:
    since: date = strawberry.field(name="from", description="First day.")
    until: date = strawberry.field(name="to", description="Last day.")
    rule_set: str = strawberry.field(description="The rule set whose weights count.")
    version: int = strawberry.field(description="Version of the weights.")
    use_as_of: datetime | None = strawberry.field(description="Up to when use is counted; null: not yet.")
    weights: list[CriterionWeight] = strawberry.field(description="What counts how much.")
    deductions: list[ViolationDeduction] = strawberry.field(description="What costs how much.")
    departments: list[DepartmentFigures] = strawberry.field(description="The departments, the best first.")
    connected: list[CatalogueFigures] = strawberry.field(
        description="Departments of lower levels that others supervise, by credit code."
    )
    _ranking: strawberry.Private[list[tuple[Figures, Score]]]
    _scheme: strawberry.Private[Scheme]

    @resolved("The departments as a table, one line each.")
    def export(self, info: Info, format: Annotated[ExportFormat, strawberry.argument(description="Its form.")]) -> str:
        return as_csv(self._ranking, self._scheme, info.context.snapshot, info.context.language)


SupervisionResult: TypeAlias = Annotated[
    Supervision | InvalidAct | NotFound | NotPermitted,
    strawberry.union("SupervisionResult", description="The figures, or why they are not for the requester."),
]


@strawberry.type
class SupervisionQueries(UsageRecordQueries):
    @resolved(
        "Figures of the departments that the requester supervises, or of its own: a competent department's "
        "`supervisor` sees those of its level and area, and the catalogue figures of lower levels (Art. 4, 8)."
    )
    async def supervision(
        self,
        info: Info,
        since: Annotated[date, strawberry.argument(name="from", description="First day.")],
        until: Annotated[date, strawberry.argument(name="to", description="Last day; at most three years on.")],
        department: Annotated[
            str | None, strawberry.argument(description="Credit code or key; only this department.")
        ] = None,
        level: Annotated[model.Level | None, strawberry.argument(description="Only departments of this level.")] = None,
    ) -> SupervisionResult:
        try:
            return await _supervision(info, since, until, department, level)
        except errors.WorkflowError as error:
            return failure(error)  # type: ignore[return-value]  # one of those that are raised here


async def _supervision(
    info: Info, since: date, until: date, named: str | None, level: model.Level | None
) -> Supervision:
    """Raises WorkflowError."""
    snapshot, today = info.context.snapshot, day_of(info.context.now)
    _require_period(since, until, today)
    full, lower = _seen(info, named, level)
    codes = [*full, *lower]
    observed = await info.context.office.read(
        lambda connection: observe(connection, snapshot, codes, Period(since, until), today)
    )
    by = evaluation.scheme(snapshot.rule_set)
    ranking = evaluation.ranked(observed.figures[: len(full)], by)
    return Supervision(
        since=since,
        until=until,
        rule_set=by.rule_set,
        version=by.version,
        use_as_of=observed.use_as_of,
        weights=[CriterionWeight(code=it.code, weight=it.weight, article=it.article) for it in by.criteria],
        deductions=[ViolationDeduction(violation=it.violation, points=it.points, most=it.most) for it in by.deductions],
        departments=[_figures(it, score, by) for it, score in ranking],
        connected=[
            CatalogueFigures(
                resources=it.resources,
                updates=_tally(DeadlineKind.OBLIGATION, it.tally(DeadlineKind.OBLIGATION)),
                _code=it.department,
            )
            for it in observed.figures[len(full) :]
        ],
        _ranking=ranking,
        _scheme=by,
    )


def _require_period(since: date, until: date, today: date) -> None:
    """Nothing, where the period can be told. Raises InvalidAct."""
    problems = []
    if not EARLIEST <= since <= today + LONGEST:
        problems.append(("from", f"a period begins between {EARLIEST} and three years from today"))
    elif until < since:
        problems.append(("to", "the period ends before it begins"))
    elif until > since + LONGEST:
        problems.append(("to", "the period is longer than three years"))
    if problems:
        raise errors.InvalidAct(Problem((field,), ProblemCode.NOT_ALLOWED, message) for field, message in problems)


def _seen(info: Info, named: str | None, level: model.Level | None) -> tuple[list[str], list[str]]:
    """Codes of the departments whose figures the requester sees, and of those whose catalogue figures. Raises."""
    snapshot, principal = info.context.snapshot, info.context.principal
    own = principal.department
    if not any(role.value in principal.roles for role in Role):
        raise errors.NotPermitted(
            "the figures are for those who do the department's work", roles=Role, article="Art. 8"
        )
    full, lower = [own], []
    if evaluation.supervises(snapshot, own.code, principal.roles):
        full = list(evaluation.supervised(snapshot, own.code))
        lower = list(evaluation.connected(snapshot, own.code))
    if named is not None:
        found = snapshot.department_by_key.get(named) or snapshot.departments.get(named)
        if found is None:
            raise errors.NotFound("department", named)
        full, lower = [it for it in full if it.code == found.code], [it for it in lower if it.code == found.code]
    if level is not None:
        full, lower = [it for it in full if it.level is level], [it for it in lower if it.level is level]
    if not full and not lower and (named is not None or level is not None):
        message = "the figures of a department are for itself and for the competent department of its level"
        raise errors.NotPermitted(message, roles=[Role.SUPERVISOR], article="Art. 8")
    return [it.code for it in full], [it.code for it in lower]


def _figures(it: Figures, score: Score, by: Scheme) -> DepartmentFigures:
    return DepartmentFigures(
        rank=score.rank,
        points=score.points,
        deducted=score.deducted,
        rates=[CriterionRate(code=c.code, weight=c.weight, rate=score.rates[c.code]) for c in by.criteria],
        deadlines=[_tally(kind, tally) for kind, tally in sorted(it.deadlines.items())],
        overdue_now=[DeadlineCount(kind=kind, count=count) for kind, count in sorted(it.overdue_now.items())],
        refusals=[ReasonCount(reason=reason, count=count) for reason, count in it.refusals.items()],
        corrections_reported=it.corrections_reported,
        corrections_answered=it.corrections_answered,
        grants=it.grants,
        grants_unused=it.grants_unused,
        asked=[_use(use) for use in it.asked],
        provided=[_use(use) for use in it.provided],
        resources=it.resources,
        sources=it.sources,
        sources_down=list(it.sources_down),
        interfaces=it.interfaces,
        interfaces_overdue=it.interfaces_overdue,
        suspensions=[ReasonCount(reason=reason, count=count) for reason, count in it.suspensions.items()],
        disposals=it.disposals,
        disposals_stated=it.disposals_stated,
        violations=[
            ViolationCount(code=found.code, side=found.code.side, article=found.article, count=found.count)
            for found in evaluation.violations(it, by)
        ],
        _code=it.department,
    )


def _tally(kind: DeadlineKind, tally: Tally) -> DeadlineTally:
    return DeadlineTally(
        kind=kind,
        due=tally.due,
        on_time=tally.on_time,
        late=tally.late,
        overdue=tally.overdue,
        running=tally.running,
        extended=tally.extended,
        median_working_days=tally.median_days,
    )


def _use(use: evaluation.PurposeUse) -> PurposeUse:
    return PurposeUse(
        purpose_code=use.purpose or None,
        requests=Long(use.requests),
        rows=Long(use.rows),
        denied=Long(use.denied),
    )
