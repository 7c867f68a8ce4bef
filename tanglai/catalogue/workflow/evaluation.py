"""In charge of evaluating departments: figures in, violations, a score and a ranking out, by weights that are data."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from tanglai.catalogue.model import Department, Level, Snapshot
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.grant_life import SuspensionReason
from tanglai.catalogue.workflow.parties import Role, competent_department

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Tally:
    """Deadlines of one kind that fall due within a period, without those that nobody has to keep any more.

    `due` is the sum of `on_time`, `late` (done after the due date), `overdue` (not done, past the due date) and
    `running` (not done, not due yet or standing still). `median_days`: working days from the start to the end of those
    that were done, without those for which the clock stood; None where none was done.
    """

    due: int = 0
    on_time: int = 0
    late: int = 0
    overdue: int = 0
    running: int = 0
    extended: int = 0
    median_days: float | None = None

    @property
    def missed(self) -> int:
        return self.late + self.overdue

    @property
    def rate(self) -> Fraction | None:
        """On time of those that are decided; None where none is."""
        return _rate(self.on_time, self.on_time + self.missed)


@dataclass(frozen=True, slots=True)
class PurposeUse:
    """Requests for data under one purpose (empty: none stated); `denied` are among `requests`."""

    purpose: str
    requests: int
    rows: int
    denied: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one department for a period. Counts are of the period unless said otherwise.

    `refusals` are by reason code, `refusals_downwards` those of applications from lower levels of its area;
    `suspensions`, by reason code, are of grants that it has, `endings_alone` of grants on its data, on no ground.
    `overdue_now`, `grants`, `sources`, `sources_down`, `interfaces` and `interfaces_overdue` are of today.
    """

    department: str
    deadlines: Mapping[DeadlineKind, Tally] = field(default_factory=dict)
    overdue_now: Mapping[DeadlineKind, int] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)
    refusals_downwards: int = 0
    corrections_reported: int = 0
    corrections_answered: int = 0
    grants: int = 0
    grants_unused: int = 0
    asked: tuple[PurposeUse, ...] = ()
    provided: tuple[PurposeUse, ...] = ()
    resources: int = 0
    sources: int = 0
    sources_down: tuple[str, ...] = ()
    interfaces: int = 0
    interfaces_overdue: int = 0
    endings_alone: int = 0
    suspensions: Mapping[str, int] = field(default_factory=dict)
    disposals: int = 0
    disposals_stated: int = 0

    def tally(self, kind: DeadlineKind) -> Tally:
        return self.deadlines.get(kind, Tally())


class Side(StrEnum):
    PROVIDER = "PROVIDER"
    REQUESTER = "REQUESTER"


class ViolationCode(StrEnum):
    """The violations of Order 809 Art. 38-41."""

    CATALOGUE_LATE = "CATALOGUE_LATE"
    ADDED_CONDITIONS = "ADDED_CONDITIONS"
    LATE_REPLY = "LATE_REPLY"
    LATE_SUPPLY = "LATE_SUPPLY"
    NO_RETURN_FLOW = "NO_RETURN_FLOW"
    LATE_CORRECTION = "LATE_CORRECTION"
    UNILATERAL_ENDING = "UNILATERAL_ENDING"
    OVERUSE = "OVERUSE"
    PASSING_ON = "PASSING_ON"
    NO_DISPOSAL = "NO_DISPOSAL"
    MISSING_RECORDS = "MISSING_RECORDS"

    @property
    def side(self) -> Side:
        return Side.REQUESTER if self in _BY_REQUESTER else Side.PROVIDER


_BY_REQUESTER = frozenset(
    {ViolationCode.OVERUSE, ViolationCode.PASSING_ON, ViolationCode.NO_DISPOSAL, ViolationCode.MISSING_RECORDS}
)


class CriterionCode(StrEnum):
    """What a department is judged by, each a rate from 0 to 1."""

    UPDATES_ON_TIME = "UPDATES_ON_TIME"
    REPLIES_ON_TIME = "REPLIES_ON_TIME"
    CORRECTIONS_ON_TIME = "CORRECTIONS_ON_TIME"
    CORRECTIONS_ANSWERED = "CORRECTIONS_ANSWERED"
    SOURCES_UP = "SOURCES_UP"
    INTERFACES_RETIRED = "INTERFACES_RETIRED"
    GRANTS_USED = "GRANTS_USED"
    DISPOSALS_STATED = "DISPOSALS_STATED"


@dataclass(frozen=True, slots=True)
class Criterion:
    code: CriterionCode
    weight: int
    article: str


@dataclass(frozen=True, slots=True)
class Deduction:
    """`points` off the score for each violation, at most `most`."""

    violation: ViolationCode
    points: int
    most: int


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one rule set's evaluation is weighted; `articles` are those that the violations are against."""

    rule_set: str
    version: int
    criteria: tuple[Criterion, ...]
    deductions: tuple[Deduction, ...]
    articles: Mapping[ViolationCode, str]


@dataclass(frozen=True, slots=True)
class Violations:
    """How many violations of one kind are known; `count` None: the platform cannot know."""

    code: ViolationCode
    article: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """Points from 0 to 100 with two digits, None where nothing can be judged; `rates` what they are made of.

    `rank` is one more than the number of departments with more points; equal points have the same.
    """

    points: Decimal | None
    rates: Mapping[CriterionCode, Decimal | None]
    deducted: Decimal
    rank: int | None = None


@cache
def scheme(rule_set: str) -> Scheme:
    """The weights for `rule_set`. Raises KeyError for an unknown one."""
    text = files("tanglai.catalogue.workflow").joinpath("evaluation.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)[rule_set]
    return Scheme(
        rule_set,
        data["version"],
        tuple(Criterion(CriterionCode(it["code"]), it["weight"], it["article"]) for it in data["criteria"]),
        tuple(Deduction(ViolationCode(it["violation"]), it["points"], it["most"]) for it in data["deductions"]),
        MappingProxyType({ViolationCode(code): article for code, article in data["violations"].items()}),
    )


def violations(figures: Figures, by: Scheme) -> tuple[Violations, ...]:
    """Every kind of violation, in the order of the Order's articles, with what is known of it."""
    return tuple(Violations(code, by.articles[code], _COUNTS[code](figures)) for code in ViolationCode)


def score(figures: Figures, by: Scheme) -> Score:
    """The score without a rank: 100 times the weighted mean of the rates that there are, less the deductions."""
    rates = {criterion.code: _RATES[criterion.code](figures) for criterion in by.criteria}
    judged = [(criterion.weight, rate) for criterion in by.criteria if (rate := rates[criterion.code]) is not None]
    deducted = sum(min(it.points * (_COUNTS[it.violation](figures) or 0), it.most) for it in by.deductions)
    points = None
    if judged:
        mean = sum((weight * rate for weight, rate in judged), Fraction()) / sum(weight for weight, _ in judged)
        points = _rounded(max(Fraction(), 100 * mean - deducted))
    told = {code: None if rate is None else _rounded(rate, Decimal("0.0001")) for code, rate in rates.items()}
    return Score(points, told, Decimal(deducted))


def ranked(figures: Sequence[Figures], by: Scheme) -> list[tuple[Figures, Score]]:
    """The best first, by the points as they are shown; equal ones, and those without, by credit code."""
    scored = [(it, score(it, by)) for it in figures]
    points = [found.points for _, found in scored if found.points is not None]
    placed = []
    for it, found in scored:
        own = found.points
        rank = None if own is None else 1 + sum(other > own for other in points)
        placed.append((it, Score(found.points, found.rates, found.deducted, rank)))
    return sorted(placed, key=lambda pair: (pair[1].rank is None, pair[1].rank or 0, pair[0].department))


# --- who is supervised by whom ----------------------------------------------------------------------------------------


def supervised(snapshot: Snapshot, code: str) -> tuple[Department, ...]:
    """The departments that the competent department `code` supervises, itself among them, by credit code (Art. 4, 8).

    Those of its own level and area, and those of lower levels whose area has no competent department of its own.
    """
    answerable: dict[tuple[Level, str], str | None] = {}
    found = []
    for department in sorted(snapshot.departments.values(), key=lambda it: it.code):
        government = (department.level, department.division)
        if government not in answerable:
            competent = competent_department(snapshot, department.code)
            answerable[government] = competent.code if competent is not None else None
        if answerable[government] == code and department.active:
            found.append(department)
    return tuple(found)


def connected(snapshot: Snapshot, code: str) -> tuple[Department, ...]:
    """The departments of lower levels in the area of the competent department `code` that others supervise.

    Their catalogues are connected to its own (Art. 8), so it sees the figures of those, and no more.
    """
    own = snapshot.departments[code]
    digits = {Level.REGION: 2, Level.CITY: 4, Level.COUNTY: 6}[own.level]
    levels = list(Level)
    mine = {department.code for department in supervised(snapshot, code)}
    return tuple(
        department
        for department in sorted(snapshot.departments.values(), key=lambda it: it.code)
        if department.active
        and levels.index(department.level) > levels.index(own.level)
        and department.division[:digits] == own.division[:digits]
        and department.code not in mine
    )


def supervises(snapshot: Snapshot, code: str, roles: frozenset[str], role: Role = Role.SUPERVISOR) -> bool:
    """Whether somebody of the department `code` with `roles` acts for a competent department as `role`."""
    department = snapshot.departments.get(code)
    return department is not None and department.competent and role.value in roles


# --- rates and counts -------------------------------------------------------------------------------------------------


def _rate(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _rounded(value: Fraction, to: Decimal = _CENT) -> Decimal:
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(to, ROUND_HALF_EVEN)


_RATES: Mapping[CriterionCode, Callable[[Figures], Fraction | None]] = {
    CriterionCode.UPDATES_ON_TIME: lambda it: it.tally(DeadlineKind.OBLIGATION).rate,
    CriterionCode.REPLIES_ON_TIME: lambda it: it.tally(DeadlineKind.REPLY).rate,
    CriterionCode.CORRECTIONS_ON_TIME: lambda it: it.tally(DeadlineKind.CORRECTION).rate,
    CriterionCode.CORRECTIONS_ANSWERED: lambda it: _rate(it.corrections_answered, it.corrections_reported),
    CriterionCode.SOURCES_UP: lambda it: _rate(it.sources - len(it.sources_down), it.sources),
    CriterionCode.INTERFACES_RETIRED: lambda it: _rate(it.interfaces - it.interfaces_overdue, it.interfaces),
    CriterionCode.GRANTS_USED: lambda it: _rate(it.grants - it.grants_unused, it.grants),
    CriterionCode.DISPOSALS_STATED: lambda it: _rate(it.disposals_stated, it.disposals),
}


def _suspended(figures: Figures, *reasons: SuspensionReason) -> int:
    return sum(figures.suspensions.get(reason.value, 0) for reason in reasons)


_COUNTS: Mapping[ViolationCode, Callable[[Figures], int | None]] = {
    ViolationCode.CATALOGUE_LATE: lambda it: it.tally(DeadlineKind.OBLIGATION).missed,
    # The platform takes no reply that adds conditions; what is asked for on the telephone it does not hear.
    ViolationCode.ADDED_CONDITIONS: lambda it: None,
    ViolationCode.LATE_REPLY: lambda it: it.tally(DeadlineKind.REPLY).missed,
    # A grant is the supply, and the platform takes no reply whose grant starts too late.
    ViolationCode.LATE_SUPPLY: lambda it: None,
    ViolationCode.NO_RETURN_FLOW: lambda it: it.refusals_downwards,
    ViolationCode.LATE_CORRECTION: lambda it: it.tally(DeadlineKind.CORRECTION).missed,
    ViolationCode.UNILATERAL_ENDING: lambda it: it.endings_alone,
    ViolationCode.OVERUSE: lambda it: _suspended(it, SuspensionReason.OVERUSE, SuspensionReason.OTHER_PURPOSE),
    ViolationCode.PASSING_ON: lambda it: _suspended(it, SuspensionReason.PASSED_ON),
    ViolationCode.NO_DISPOSAL: lambda it: it.disposals - it.disposals_stated,
    ViolationCode.MISSING_RECORDS: lambda it: _suspended(it, SuspensionReason.NO_RECORDS),
}
