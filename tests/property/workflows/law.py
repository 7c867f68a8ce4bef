"""In charge of the law's work written down a second time, by hand: who may do what, who is told, when it is due.

INVARIANT: nothing here comes from the machines, rule sets or calendar of the program: the two are held together.
"""

from dataclasses import dataclass
from datetime import date, timedelta

MEASURES, ORDER = "ningxia-measures", "order-809"
BOTH = (MEASURES, ORDER)

OFFICE = "11640000MB1A00001X"
POLICE = "11640000MB1A000021"
HEALTH = "11640000MB1A000034"
CITY_OFFICE = "11640100MB1A00005Q"
CITY_POLICE = "11640100MB1A000064"
OTHER_CITY = "11640200MB1A00007X"
COUNTY = "11640104MB1A000085"
DEPARTMENTS = (HEALTH, POLICE, OFFICE, CITY_POLICE, CITY_OFFICE, OTHER_CITY, COUNTY)

COMPETENT = {
    OFFICE: OFFICE,
    POLICE: OFFICE,
    HEALTH: OFFICE,
    CITY_OFFICE: CITY_OFFICE,
    CITY_POLICE: CITY_OFFICE,
    COUNTY: CITY_OFFICE,
    OTHER_CITY: OFFICE,
}
"""Who supervises a department (M4, M8): the nearest competent one; a city without one is the region's."""

_IN_THE_CITY = {CITY_OFFICE, CITY_POLICE, COUNTY}


def superior(*parties: str) -> str | None:
    """The lowest competent department above all `parties` that is none of them (M11 paragraph 4, O28)."""
    if set(parties) <= _IN_THE_CITY and CITY_OFFICE not in parties:
        return CITY_OFFICE
    return OFFICE if OFFICE not in parties else None


def overseer(provider: str, requester: str) -> str | None:
    """Who looks after a grant besides its parties."""
    above = COMPETENT[provider]
    return superior(provider, requester) if above == requester else above


# --- days ------------------------------------------------------------------------------------------------------------

LAST_DAY = date(2026, 12, 31)
_REST = {date(2026, 9, 25) + timedelta(n) for n in range(3)} | {date(2026, 10, 1) + timedelta(n) for n in range(7)}
_MAKE_UP = {date(2026, 9, 20), date(2026, 10, 10)}
"""Of the last four months of 2026: mid-autumn, the national day, and the Sundays and Saturdays worked for them."""


def worked(day: date) -> bool:
    assert date(2026, 8, 1) <= day <= LAST_DAY, day
    return day in _MAKE_UP or (day.weekday() < 5 and day not in _REST)


def due(event: date, days: int) -> date:
    """Day by day: the day of the event does not count; 0 days end on the next day worked, that one included."""
    day = event
    if not days:
        while not worked(day):
            day += timedelta(1)
    while days:
        day += timedelta(1)
        days -= worked(day)
    return day


def passed(event: date, end: date) -> int:
    """Days worked after `event` up to and with `end`."""
    return sum(worked(event + timedelta(n)) for n in range(1, (end - event).days + 1))


# Working days by rule set; what has no line has no deadline there.
DAYS = {
    (MEASURES, "REPLY"): 10,
    (ORDER, "REPLY"): 10,
    (MEASURES, "OBLIGATION"): 15,
    (ORDER, "OBLIGATION"): 10,
    (ORDER, "AUDIT"): 2,
    (ORDER, "CORRECTION"): 10,
    (MEASURES, "CONSULTATION"): 10,
    (ORDER, "CONSULTATION"): 10,
}
EXTENDABLE = {"REPLY": 10, "OBLIGATION": 5}
"""Working days by which Order 809 lets a deadline run longer, once."""

REMINDERS = (5, 2, 0)
"""Working days before a due date."""

# --- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    event: str
    source: str
    target: str
    by: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    apart: tuple[str, ...]


_A, _R, _H, _C = "requester/applicant", "provider/reviewer", "provider/head", "coordinator/coordinator"
_K, _S, _RH, _P = "provider/cataloguer", "coordinator/supervisor", "requester/head", "platform/operator"
_SHORT = {"a": _A, "r": _R, "h": _H, "c": _C, "k": _K, "s": _S, "rh": _RH, "p": _P}

# event, from, to (= the same), by whom, under which rules (M, O, MO), not by who did
_STEPS = {
    "APPLICATION": """
        CREATE         -                                   DRAFT              a     MO
        AMEND          DRAFT                               DRAFT              a     MO
        AMEND          CONSENTED                           DRAFT              a     O
        CONSENT        DRAFT                               CONSENTED          rh    O   CREATE,AMEND
        SUBMIT         DRAFT                               SUBMITTED          a     M
        SUBMIT         CONSENTED                           SUBMITTED          a     O
        TELL_MISSING   SUBMITTED                           SUBMITTED          r     M
        TELL_MISSING   SUBMITTED                           SUPPLEMENT_NEEDED  r     O
        SUPPLEMENT     SUBMITTED                           SUBMITTED          a     M
        SUPPLEMENT     SUPPLEMENT_NEEDED                   SUBMITTED          a     O
        REPLY          SUBMITTED                           APPROVED,PARTLY_APPROVED,REFUSED  r  M
        PROPOSE_REPLY  SUBMITTED                           REPLY_PROPOSED     r     O
        REPLY          REPLY_PROPOSED                      APPROVED,PARTLY_APPROVED,REFUSED  h  O  PROPOSE_REPLY
        SEND_BACK      REPLY_PROPOSED                      SUBMITTED          h     O
        EXTEND         SUBMITTED,REPLY_PROPOSED            =                  c     O
        WITHDRAW       DRAFT,CONSENTED,SUBMITTED,SUPPLEMENT_NEEDED,REPLY_PROPOSED  WITHDRAWN  a  MO
    """,
    "CONSULTATION": """
        OPEN            -              OPEN       a    MO
        STATE_POSITION  OPEN,PROPOSED  =          a,r  MO
        PROPOSE         OPEN           PROPOSED   r    M
        PROPOSE         OPEN           PROPOSED   h    O
        ACCEPT          PROPOSED       AGREED     a    MO
        DECLINE         PROPOSED       OPEN       a    MO
        ESCALATE        OPEN,PROPOSED  ESCALATED  a,r  MO
        WITHDRAW        OPEN,PROPOSED  WITHDRAWN  a    MO
    """,
    "COORDINATION": """
        OPEN            -     OPEN            a,r    MO
        STATE_POSITION  OPEN  OPEN            a,r,c  MO
        DECIDE          OPEN  GRANTED,CLOSED  c      MO  OPEN,STATE_POSITION
        WITHDRAW        OPEN  WITHDRAWN       a,r    MO
    """,
    "CORRECTION": """
        REPORT    -                   REPORTED             a  MO
        VERIFY    REPORTED            VERIFYING            r  MO
        ANSWER    REPORTED,VERIFYING  CORRECTED,DISMISSED  r  MO
        WITHDRAW  REPORTED,VERIFYING  WITHDRAWN            a  MO
    """,
    "SUSPENSION": """
        SUSPEND            -               OPEN                     r,c  MO
        REPORT_COMPLIANCE  OPEN            REPORTED,REPORTED_ABOVE  a    MO
        SEND_BACK          REPORTED        OPEN                     r,c  MO
        SEND_BACK          REPORTED_ABOVE  OPEN                     c    MO
        RESUME             OPEN,REPORTED   RESUMED                  r,c  MO
        RESUME             REPORTED_ABOVE  RESUMED                  c    MO
        END                OPEN,REPORTED   ENDED                    r,c  MO
        END                REPORTED_ABOVE  ENDED                    c    MO
        LAPSE              OPEN,REPORTED,REPORTED_ABOVE  RESUMED,ENDED  p  MO
    """,
    "SERVICE_CHANGE": """
        PROPOSE   -                         PROPOSED   r  MO
        CONSENT   PROPOSED                  AGREED     a  MO
        OBJECT    PROPOSED                  OBJECTED   a  MO
        FILE      AGREED                    FILED      r  MO
        ESCALATE  OBJECTED                  ESCALATED  r  MO
        WITHDRAW  PROPOSED,OBJECTED,AGREED  WITHDRAWN  r  MO
        LAPSE     PROPOSED,OBJECTED,AGREED  WITHDRAWN  p  MO
    """,
    "EXTENSION": """
        REQUEST   -          REQUESTED       r,k  O
        DECIDE    REQUESTED  GRANTED,DENIED  c    O  REQUEST
        WITHDRAW  REQUESTED  WITHDRAWN       r,k  O
        LAPSE     REQUESTED  WITHDRAWN       p    O
    """,
    "DISPOSAL": """
        OPEN   -     OPEN    p,r,c,a  O
        OPEN   -     OPEN    a        M
        STATE  OPEN  STATED  a        MO
    """,
    "ENTRY": """
        CREATE    -                  DRAFT              k  MO
        AMEND     DRAFT              DRAFT              k  MO
        AMEND     APPROVED,RETURNED  DRAFT              k  O
        APPROVE   DRAFT              APPROVED           h  O  CREATE,AMEND
        SUBMIT    APPROVED           SUBMITTED          k  O
        PUBLISH   DRAFT              PUBLISHED,RETIRED  k  M
        PUBLISH   SUBMITTED          PUBLISHED,RETIRED  c  O  CREATE,AMEND,APPROVE,SUBMIT
        RETURN    SUBMITTED          RETURNED           c  O
        WITHDRAW  DRAFT,APPROVED,SUBMITTED,RETURNED  WITHDRAWN  k  MO
    """,
    "OBLIGATION": """
        OPEN    -     OPEN       s,k  MO
        MEET    OPEN  MET        k    MO
        EXTEND  OPEN  OPEN       c    O
        CANCEL  OPEN  CANCELLED  s    MO
    """,
}

# Whom an open state waits for; a state without a line is final.
WAITS = {
    "APPLICATION": {"DRAFT": _A, "CONSENTED": _A, "SUBMITTED": _R, "SUPPLEMENT_NEEDED": _A, "REPLY_PROPOSED": _H},
    "CONSULTATION": {"OPEN": _R, "PROPOSED": _A},
    "COORDINATION": {"OPEN": _C},
    "CORRECTION": {"REPORTED": _R, "VERIFYING": _R},
    "SUSPENSION": {"OPEN": _A, "REPORTED": _R, "REPORTED_ABOVE": _C},
    "SERVICE_CHANGE": {"PROPOSED": _A, "OBJECTED": _R, "AGREED": _R},
    "EXTENSION": {"REQUESTED": _C},
    "DISPOSAL": {"OPEN": _A},
    "ENTRY": {"DRAFT": _K, "APPROVED": _K, "SUBMITTED": _C, "RETURNED": _K},
    "OBLIGATION": {"OPEN": _K},
}
AUTHORS = {"APPLICATION": "requester", "ENTRY": "provider"}
DRAFTED = {"APPLICATION": {"DRAFT", "CONSENTED"}, "ENTRY": {"DRAFT", "APPROVED"}}
"""What is being drafted, or was given up before it was ever submitted, is its author's business alone."""


def _read(text: str) -> tuple[Step, ...]:
    found = []
    for line in text.strip().splitlines():
        event, sources, targets, by, rules, *apart = line.split()
        for source in sources.split(","):
            for target in targets.split(","):
                found.append(
                    Step(
                        event,
                        "" if source == "-" else source,
                        source if target == "=" else target,
                        tuple(_pair(_SHORT[one]) for one in by.split(",")),
                        tuple(rule for rule in BOTH if {MEASURES: "M", ORDER: "O"}[rule] in rules),
                        tuple(apart[0].split(",")) if apart else (),
                    )
                )
    return tuple(found)


def _pair(text: str) -> tuple[str, str]:
    party, role = text.split("/")
    return party, role


STEPS = {kind: _read(text) for kind, text in _STEPS.items()}


def steps(kind: str, rules: str, source: str, event: str | None = None) -> list[Step]:
    return [s for s in STEPS[kind] if rules in s.rules and s.source == source and event in (None, s.event)]


def waits(kind: str, state: str) -> tuple[str, str] | None:
    """Party and role that an open state waits for."""
    found = WAITS[kind].get(state)
    return _pair(found) if found is not None else None
