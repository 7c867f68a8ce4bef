"""In charge of what becomes of running grants in the model: suspension, change, extension, disposal (O25, O27, O21)."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from tanglai.catalogue.workflow.grant_life import ServiceChangeKind, SuspensionReason
from tanglai.storage.workflow import disposals, extensions, service_changes, suspensions
from tests.property.workflows.kinds_application import reason_drawn
from tests.property.workflows.kinds_disputes import changed, coordinate
from tests.property.workflows.law import COMPETENT, EXTENDABLE, ORDER, overseer, steps, superior
from tests.property.workflows.model import RUNNING, Act, Attempt, Draw, Given, Grant, Matter, World

UNKNOWN = "G-2026-999999"


def _grant_drawn(d: Draw, world: World) -> Given:
    running = [grant.id for grant in world.running()]
    return {"grant": d(st.sampled_from(running * 8 + [grant.id for grant in world.grants] + [UNKNOWN]))}


def _side(d: Draw, world: World, given: Given, *sides: str) -> tuple[str, str]:
    """Somebody of one of the sides of a grant."""
    grant = world.grant(given["grant"])
    side = d(st.sampled_from(sides))
    if grant is None:
        return COMPETENT_OF_ALL, "coordinator"
    if side == "coordinator":
        return overseer(grant.provider, grant.requester) or grant.provider, "coordinator"
    return (grant.provider, "reviewer") if side == "provider" else (grant.requester, "applicant")


COMPETENT_OF_ALL = next(iter(COMPETENT.values()))


def _known(a: Attempt, given: Given) -> Grant | None:
    """The grant, if it is any business of the actor's."""
    grant = a.world.grant(given["grant"])
    if grant is not None:
        sides = (grant.requester, grant.provider, overseer(grant.provider, grant.requester))
        if a.who.department in sides:
            return grant
    a.wrong(True, "NotFound")
    return None


def _busy(a: Attempt, grant: Grant, kind: str) -> bool:
    return any(one.kind == kind and one.grant is grant for one in a.world.open())


def _about(grant: Grant) -> dict[str, Any]:
    return {"requester": grant.requester, "provider": grant.provider, "resource": grant.resource, "grant": grant}


# --- suspension ------------------------------------------------------------------------------------------------------

PERIOD = st.sampled_from((3, 5, 3, 5, 3, 5, 3, 5, 0))


def _suspend(a: Attempt, _: None, given: Given) -> None:
    grant = _known(a, given)
    if grant is None:
        return
    above = overseer(grant.provider, grant.requester)
    by_provider = a.who.department == grant.provider and "reviewer" in a.who.roles
    a.wrong(grant.state != "ACTIVE", "WrongState")
    a.wrong(not given["reason"].strip() or not given["days"])
    doc = {"above": a.who.department == above and not by_provider}
    m = a.open("SUSPENSION", "SUSPEND", coordinator=above, doc=doc, **_about(grant))
    a.start(m, "COMPLIANCE", grant.requester, days=given["days"])
    a.become(grant, "SUSPENDED")
    a.spread(grant, m)


def _report(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    above = m.doc.get("above")
    a.step(m, "REPORT_COMPLIANCE", "REPORTED_ABOVE" if above else "REPORTED")
    a.done(m, "COMPLIANCE")
    a.tell(m.coordinator if above else m.provider, "COMPLIANCE_REPORTED", m)


def _send_back(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not given["reason"].strip() or not given["days"])
    a.step(m, "SEND_BACK")
    a.start(m, "COMPLIANCE", m.requester, days=given["days"])
    a.tell(m.requester, "COMPLIANCE_SENT_BACK", m)


def _judged(a: Attempt, m: Matter) -> None:
    """What the competent department suspended, the provider does not judge."""
    mine = a.who.department == m.provider
    as_coordinator = a.who.department == m.coordinator and "coordinator" in a.who.roles
    a.wrong(bool(m.doc.get("above")) and mine and not as_coordinator, "NotPermitted")


def _resume(a: Attempt, m: Matter, given: Given) -> None:
    _judged(a, m)
    unreported = m.state == "OPEN"
    a.step(m, "RESUME")
    if unreported:
        a.met(m, "COMPLIANCE")
    if m.grant is not None:
        a.become(m.grant, "ACTIVE")
        a.spread(m.grant, m)


def _end(a: Attempt, m: Matter, given: Given) -> None:
    _judged(a, m)
    a.wrong(not given["reason"].strip())
    a.step(m, "END")
    if m.grant is not None:
        a.become(m.grant, "ENDED")
        a.spread(m.grant, m)


def _period(d: Draw, world: World) -> Given:
    return {"days": d(PERIOD), **reason_drawn(d, world)}


# --- change of a running service -------------------------------------------------------------------------------------


def _change_drawn(d: Draw, world: World) -> Given:
    items = d(st.sampled_from((None, None, ["phone"], ["address"], ["phone", "address"], ["division"], ["note"])))
    return {**_grant_drawn(d, world), "items": items, **reason_drawn(d, world)}


def _propose(a: Attempt, _: None, given: Given) -> None:
    grant = _known(a, given)
    if grant is None:
        return
    a.require(grant.provider, "reviewer")
    a.wrong(grant.state not in RUNNING, "WrongState")
    a.wrong(not given["reason"].strip() or _busy(a, grant, "SERVICE_CHANGE"))
    wish = set(given["items"]) if given["items"] is not None else None
    if wish is not None:
        changed(a, grant, wish)
    m = a.open("SERVICE_CHANGE", "PROPOSE", doc={"wish": wish, "before": grant.items}, **_about(grant))
    a.tell(m.requester, "SERVICE_CHANGE_PROPOSED", m)


def _consent(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "CONSENT")
    a.tell(m.provider, "SERVICE_CHANGE_AGREED", m)


def _object(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "OBJECT")
    a.tell(m.provider, "SERVICE_CHANGE_OBJECTED", m)


def _file(a: Attempt, m: Matter, given: Given) -> None:
    m.coordinator = overseer(m.provider, m.requester) if m.provider and m.requester else None
    a.step(m, "FILE")
    grant: Grant | None = m.grant
    wish: set[str] | None = m.doc.get("wish")
    if grant is not None and wish is None:
        a.become(grant, "ENDED")
        a.spread(grant, m)
    elif grant is not None and wish is not None:
        a.wrong(grant.items != m.doc["before"])
        changed(a, grant, wish)
        if not a.faults:
            grant.items = frozenset(wish)
    a.tell(m.requester, "SERVICE_CHANGE_FILED", m)
    if m.coordinator not in (m.requester, m.provider):
        a.tell(m.coordinator, "SERVICE_CHANGE_FILED", m)


def _escalate(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    coordinate(a, m, m.doc.get("wish"))


def _withdraw(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "WITHDRAW")
    a.tell(m.requester, "SERVICE_CHANGE_WITHDRAWN", m)


# --- extension -------------------------------------------------------------------------------------------------------

_OF = {"APPLICATION": ("REPLY", "reviewer"), "OBLIGATION": ("OBLIGATION", "cataloguer")}


def _extendable(world: World) -> list[str | None]:
    return [m.id for m in world.open() if m.kind in _OF and m.rules == ORDER and any(c.runs for c in m.clocks)]


def _request_drawn(d: Draw, world: World) -> Given:
    good = _extendable(world)
    parent = d(st.sampled_from(good * 20 + [m.id for m in world.matters] + ["A-2026-999999"]))
    return {"parent": parent, "days": d(st.sampled_from((3, 5, 3, 5, 3, 5, 10, 11))), **reason_drawn(d, world)}


def _asker(d: Draw, world: World, given: Given) -> tuple[str, str]:
    parent = world.matter(given["parent"])
    if parent is None or parent.provider is None:
        return COMPETENT_OF_ALL, "reviewer"
    return parent.provider, _OF.get(parent.kind, ("", "reviewer"))[1]


def _request(a: Attempt, _: None, given: Given) -> None:
    parent = a.world.matter(given["parent"])
    if parent is None or not parent.readable(a.who.department):
        a.wrong(True, "NotFound")
        return
    if parent.kind not in _OF:
        a.wrong(True)
        return
    kind, role = _OF[parent.kind]
    a.require(parent.provider, role)
    clock = parent.clock(kind)
    a.wrong(clock is None or not steps(parent.kind, parent.rules, parent.state, "EXTEND"), "WrongState")
    a.wrong(not given["reason"].strip() or given["days"] > EXTENDABLE[kind])
    if clock is not None:
        a.wrong(bool(clock.extended) or clock.due < a.world.day)
    a.wrong(any(one.kind == "EXTENSION" and one.parent is parent for one in a.world.open()))
    a.open(
        *("EXTENSION", "REQUEST"),
        rules=parent.rules,
        requester=parent.requester,
        provider=parent.provider,
        coordinator=_above(parent),
        resource=parent.resource,
        parent=parent,
        doc={"days": given["days"]},
    )


def _above(parent: Matter) -> str:
    """The competent department; who is a party leaves it to the one above, where there is one."""
    own = COMPETENT[parent.provider or ""]
    if own not in (parent.provider, parent.requester):
        return own
    return superior(*(one for one in (parent.provider, parent.requester) if one is not None)) or own


def _decide(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "DECIDE", "GRANTED" if given["granted"] else "DENIED")
    parent = m.parent
    if parent is None:
        return
    kind, _ = _OF[parent.kind]
    if given["granted"]:
        clock = parent.clock(kind)
        a.wrong(clock is not None and bool(clock.extended))
        a.step(parent, "EXTEND", brought_about=True)
        if clock is not None and not a.faults:
            clock.extended, clock.flagged, clock.reminded = m.doc["days"], False, None
        if parent.requester != parent.provider:
            a.tell(parent.requester, "DEADLINE_EXTENDED", parent)
    a.tell(parent.provider, "EXTENSION_DECIDED", parent)


def _give_up(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "WITHDRAW")


def _decide_drawn(d: Draw, world: World) -> Given:
    return {"granted": d(st.sampled_from((True, True, False))), **reason_drawn(d, world)}


# --- disposal --------------------------------------------------------------------------------------------------------


def _statement_drawn(d: Draw, world: World) -> Given:
    return {"method": d(st.sampled_from(("erased", "erased", "erased", "erased", "erased", " "))), "on": world.day}


def _dispose_drawn(d: Draw, world: World) -> Given:
    return {**_grant_drawn(d, world), **_statement_drawn(d, world)}


def _statement(given: Given) -> dict[str, Any]:
    on: date = given["on"]
    return {"method": given["method"], "disposedOn": on, "kept": []}


def _state(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not given["method"].strip())
    a.step(m, "STATE")
    if m.grant is not None:
        a.become(m.grant, "DISPOSED")
    a.tell(m.provider, "GRANT_DISPOSED", m)


def _dispose(a: Attempt, _: None, given: Given) -> None:
    grant = _known(a, given)
    if grant is None:
        return
    a.require(grant.requester, "applicant")
    a.wrong(grant.state == "DISPOSED", "WrongState")
    a.wrong(not given["method"].strip())
    if grant.state in RUNNING:
        a.become(grant, "ENDED")
        a.spread(grant)
    m = next((one for one in a.world.open("DISPOSAL") if one.grant is grant), None)
    if m is None and grant.state != "DISPOSED":
        m = a.open("DISPOSAL", "OPEN", **_about(grant))
    if m is not None:
        a.main = m
        _state(a, m, given)


async def _run_dispose(desk: Any, by: Any, given: Given, key: str | None) -> Any:
    return await disposals.dispose(desk, by, given["grant"], _statement(given))


ACTS = (
    Act(
        *("SUSPENSION", "suspend", (), _suspend),
        lambda desk, by, g, key: suspensions.suspend(
            desk, by, g["grant"], SuspensionReason.PASSED_ON, g["reason"], days=g["days"], key=key
        ),
        lambda d, world: {**_grant_drawn(d, world), **_period(d, world)},
        lambda d, world, given: _side(d, world, given, "provider", "coordinator"),
        apt=lambda world: any(grant.state == "ACTIVE" for grant in world.grants),
    ),
    Act(
        *("SUSPENSION", "report_compliance", ("REPORT_COMPLIANCE",), _report),
        lambda desk, by, id, v, g: suspensions.report_compliance(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("SUSPENSION", "send_back", ("SEND_BACK",), _send_back),
        lambda desk, by, id, v, g: suspensions.send_back(desk, by, id, v, g["reason"], days=g["days"]),
        _period,
    ),
    Act(
        *("SUSPENSION", "resume", ("RESUME",), _resume),
        lambda desk, by, id, v, g: suspensions.resume(desk, by, id, v),
    ),
    Act(
        *("SUSPENSION", "end", ("END",), _end),
        lambda desk, by, id, v, g: suspensions.end(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("SERVICE_CHANGE", "propose", (), _propose),
        lambda desk, by, g, key: service_changes.propose(
            *(desk, by, g["grant"]),
            ServiceChangeKind.END if g["items"] is None else ServiceChangeKind.CHANGE,
            g["reason"],
            terms={"items": g["items"]} if g["items"] is not None else None,
            key=key,
        ),
        _change_drawn,
        lambda d, world, given: _side(d, world, given, "provider"),
        apt=lambda world: bool(world.running()),
    ),
    Act(
        *("SERVICE_CHANGE", "consent", ("CONSENT",), _consent),
        lambda desk, by, id, v, g: service_changes.consent(desk, by, id, v),
    ),
    Act(
        *("SERVICE_CHANGE", "object_to", ("OBJECT",), _object),
        lambda desk, by, id, v, g: service_changes.object_to(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("SERVICE_CHANGE", "file", ("FILE",), _file),
        lambda desk, by, id, v, g: service_changes.file(desk, by, id, v),
    ),
    Act(
        *("SERVICE_CHANGE", "escalate", ("ESCALATE",), _escalate),
        lambda desk, by, id, v, g: service_changes.escalate(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("SERVICE_CHANGE", "withdraw", ("WITHDRAW",), _withdraw),
        lambda desk, by, id, v, g: service_changes.withdraw(desk, by, id, v),
        rare=True,
    ),
    Act(
        *("EXTENSION", "request", (), _request),
        lambda desk, by, g, key: extensions.request(desk, by, g["parent"], g["days"], g["reason"], key=key),
        _request_drawn,
        _asker,
        apt=lambda world: bool(_extendable(world)),
    ),
    Act(
        *("EXTENSION", "decide", ("DECIDE",), _decide),
        lambda desk, by, id, v, g: extensions.decide(desk, by, id, v, g["granted"], g["reason"]),
        _decide_drawn,
    ),
    Act(
        *("EXTENSION", "withdraw", ("WITHDRAW",), _give_up),
        lambda desk, by, id, v, g: extensions.withdraw(desk, by, id, v),
        rare=True,
    ),
    Act(
        *("DISPOSAL", "dispose", (), _dispose),
        _run_dispose,
        _dispose_drawn,
        lambda d, world, given: _side(d, world, given, "requester"),
        keyed=False,
        rare=True,
        apt=lambda world: any(grant.state != "DISPOSED" for grant in world.grants),
    ),
    Act(
        *("DISPOSAL", "state", ("STATE",), _state),
        lambda desk, by, id, v, g: disposals.state(desk, by, id, v, _statement(g)),
        _statement_drawn,
    ),
)
