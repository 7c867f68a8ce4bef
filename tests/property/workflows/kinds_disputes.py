"""In charge of consultation, coordination and corrections in the model (Art. 11 paragraph 4; Order 809 Art. 26, 28)."""

from typing import Any

from hypothesis import strategies as st

from tanglai.catalogue.workflow.correction import CorrectionAnswer
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.storage.workflow import consultations, coordinations, corrections
from tests.property.workflows.kinds_application import FULL, narrowed, reason_drawn, terms, terms_drawn
from tests.property.workflows.law import DEPARTMENTS, MEASURES, ORDER, superior
from tests.property.workflows.model import (
    NOT_SHARED,
    RUNNING,
    UNCONDITIONAL,
    Act,
    Attempt,
    Draw,
    Given,
    Grant,
    Matter,
    World,
)

# --- consultation ----------------------------------------------------------------------------------------------------


def _opening(d: Draw, world: World) -> Given:
    """On a refused application, often; else on what is not shared."""
    refused = [m for m in world.matters if m.kind == "APPLICATION" and m.state in ("REFUSED", "PARTLY_APPROVED")]
    others = [m for m in world.matters if m.kind == "APPLICATION"]
    need = d(st.sampled_from((*["needed"] * 9, " ")))
    on = d(st.sampled_from((refused, refused, refused, others, [])))
    if on:
        return {"application": d(st.sampled_from([m.id for m in on])), "need": need}
    items = d(st.sampled_from((["note"], ["note"], ["note"], ["note"], ["note", "phone"], ["phone"])))
    lacks = d(st.sampled_from((*[None] * 8, "duty", "scenario")))
    return {"resource": d(st.sampled_from([*world.resources])), "items": items, "need": need, "lacks": lacks}


def _suits(d: Draw, world: World, given: Given) -> tuple[str, str]:
    application = world.matter(given.get("application"))
    if application is not None:
        assert application.requester is not None
        return application.requester, "applicant"
    owner = world.resources[given["resource"]].provider
    return d(st.sampled_from([one for one in DEPARTMENTS if one != owner])), "applicant"


def _document(given: Given) -> dict[str, Any]:
    if "application" in given:
        return {"application": given["application"], "need": given["need"]}
    said = {name: value for name, value in FULL.items() if name != given["lacks"]}
    return said | {"resource": given["resource"], "items": given["items"], "need": given["need"]}


def _open(a: Attempt, _: None, given: Given) -> None:
    rules, me = a.world.rules, a.who.department
    refused: set[str] = set()
    application = None
    a.wrong(not given["need"].strip())
    if "application" in given:
        application = a.world.matter(given["application"])
        if application is None or application.requester != me or application.kind != "APPLICATION":
            a.wrong(True)
            return
        a.wrong(application.state not in ("REFUSED", "PARTLY_APPROVED"))
        code, lacks = application.resource, application.doc["lacks"]
        refused = set(application.doc["items"]) - (application.grant.items if application.grant is not None else set())
        items = sorted(refused)
    else:
        code, items, lacks = given["resource"], given["items"], given["lacks"]
    a.wrong(lacks == "duty" or (lacks == "scenario" and rules == ORDER))
    a.wrong(not a.world.grantable(code, me, items, hidden=True))
    asked_anew = set(items) - refused
    a.wrong(bool(asked_anew - NOT_SHARED))
    a.wrong(rules == MEASURES and bool(asked_anew & UNCONDITIONAL))
    provider = a.world.resources[code].provider if code in a.world.resources else None
    m = a.open(
        *("CONSULTATION", "OPEN"),
        requester=me,
        provider=provider,
        resource=code,
        parent=application,
        doc={"items": items},
    )
    a.start(m, "CONSULTATION", provider)


def _heard(a: Attempt, m: Matter) -> bool:
    """Whether the provider has spoken, or let its time pass."""
    spoke = any(e[3] == m.provider for e in m.events if e[0] in ("STATE_POSITION", "PROPOSE"))
    late = any(c.kind == "CONSULTATION" and c.due < a.world.day for c in m.clocks if c.runs)
    return spoke or late


def _provider_heard(a: Attempt, m: Matter) -> None:
    if a.who.department == m.provider:
        a.done(m, "CONSULTATION")


def _position(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "STATE_POSITION")
    if m.kind == "CONSULTATION":
        _provider_heard(a, m)
    a.tell_others(m, "POSITION_STATED")


def _propose(a: Attempt, m: Matter, given: Given) -> None:
    left = narrowed(a, m, given, hidden=True)
    a.step(m, "PROPOSE")
    m.doc["proposed"] = left
    _provider_heard(a, m)


def _accept(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "ACCEPT")
    left = m.doc.get("proposed", set())
    a.wrong(not a.world.grantable(m.resource, m.requester, left, hidden=True))
    a.give(m, left)
    a.tell_others(m, "CONSULTATION_AGREED")


def _decline(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not given["reason"].strip())
    a.step(m, "DECLINE")


def coordinate(a: Attempt, m: Matter, wish: set[str] | None) -> None:
    """Opens the coordination that `m` is brought to. `wish`: items that the grant shall have, None: it shall end."""
    above = superior(m.requester or "", m.provider or "")
    a.wrong(above is None)
    new = a.open(
        *("COORDINATION", "OPEN"),
        main=False,
        rules=m.rules,
        requester=m.requester,
        provider=m.provider,
        coordinator=above,
        resource=m.resource,
        parent=m,
        grant=m.grant,
        doc={"items": m.doc.get("items", []), "wish": wish},
    )
    m.coordinator = above
    a.step(m, "ESCALATE")
    a.tell_others(new, "COORDINATION_OPENED", but=above)


def _escalate(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not given["reason"].strip())
    a.wrong(not _heard(a, m))
    coordinate(a, m, None)


def _withdraw(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "WITHDRAW")
    a.tell_others(m, f"{m.kind}_WITHDRAWN")


# --- coordination ----------------------------------------------------------------------------------------------------


def _deciding(d: Draw, world: World) -> Given:
    over = {m.parent.kind for m in world.open("COORDINATION") if m.parent is not None}
    fit = ["SHARE", "CLOSE"] * ("CONSULTATION" in over) + ["KEEP", "CHANGE", "END"] * ("SERVICE_CHANGE" in over)
    return {
        "decision": d(st.sampled_from(fit * 3 + ["SHARE", "END"])),
        **terms_drawn(d, world),
        **reason_drawn(d, world),
    }


def changed(a: Attempt, grant: Grant, items: set[str]) -> None:
    """Nothing against a running grant's getting `items`, or faults."""
    a.wrong(not a.world.grantable(grant.resource, grant.requester, items, hidden=not grant.by_application))
    a.wrong(items == grant.items)


def _decide(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not given["reason"].strip())
    over_data = m.parent is None or m.parent.kind == "CONSULTATION"
    decision = given["decision"]
    a.wrong((decision in ("SHARE", "CLOSE")) != over_data)
    if decision == "SHARE":
        a.step(m, "DECIDE", "GRANTED")
        a.give(m, narrowed(a, m, given, hidden=True))
    else:
        a.step(m, "DECIDE", "CLOSED" if decision in ("CLOSE", "END") else "GRANTED")
    grant = m.grant
    if decision == "CHANGE":
        wish = set(given["items"]) if given["items"] is not None else m.doc.get("wish")
        a.wrong(wish is None or grant is None or grant.state not in RUNNING)
        if grant is not None and wish is not None:
            changed(a, grant, wish)
            if not a.faults:
                grant.items = frozenset(wish)
    elif decision == "END" and grant is not None and grant.state in RUNNING:
        a.become(grant, "ENDED")
        a.spread(grant, m)
    a.tell_others(m, "COORDINATION_DECIDED")


def _give_up(a: Attempt, m: Matter, given: Given) -> None:
    wants = m.provider if m.parent is not None and m.parent.kind == "SERVICE_CHANGE" else m.requester
    a.wrong(a.who.department != wants, "NotPermitted")
    _withdraw(a, m, given)


# --- correction ------------------------------------------------------------------------------------------------------


def _report_drawn(d: Draw, world: World) -> Given:
    return {
        "resource": d(st.sampled_from([*world.resources] * 4 + ["9/9"])),
        "item": d(st.sampled_from(("name", "phone", "address", "note", "height"))),
        "doubt": d(st.sampled_from((*["wrong"] * 7, " "))),
        "sees": d(st.sampled_from((*[True] * 7, False))),
    }


def _reporter(d: Draw, world: World, given: Given) -> tuple[str, str]:
    found = world.resources.get(given["resource"])
    owner = found.provider if found is not None else None
    return d(st.sampled_from([one for one in DEPARTMENTS if one != owner])), "applicant"


def _report(a: Attempt, _: None, given: Given) -> None:
    code = given["resource"]
    provider = a.world.resources[code].provider if code in a.world.resources else None
    a.wrong(not a.world.published(code) or given["item"] == "height" or not given["doubt"].strip())
    a.wrong(provider == a.who.department or not given["sees"])
    m = a.open("CORRECTION", "REPORT", requester=a.who.department, provider=provider, resource=code)
    a.start(m, "CORRECTION", provider)


async def _run_report(desk: Any, by: Any, given: Given, key: str | None) -> Any:
    async def sees(*_: Any) -> bool:
        return bool(given["sees"])

    document = {"item": given["item"], "row": "r1", "doubt": given["doubt"]}
    return await corrections.report(desk, by, given["resource"], document, sees, key=key)


def _verify(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "VERIFY")
    a.tell_others(m, "CORRECTION_BEGUN")


def _answer(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "ANSWER", given["answer"])
    a.met(m, "CORRECTION")
    a.tell_others(m, "CORRECTION_ANSWERED")


def _answer_drawn(d: Draw, world: World) -> Given:
    return {"answer": d(st.sampled_from(("CORRECTED", "DISMISSED"))), **reason_drawn(d, world)}


ACTS = (
    Act(
        *("CONSULTATION", "open", (), _open),
        lambda desk, by, g, key: consultations.open_consultation(desk, by, _document(g), key=key),
        _opening,
        _suits,
    ),
    Act(
        *("CONSULTATION", "state_position", ("STATE_POSITION",), _position),
        lambda desk, by, id, v, g: consultations.state_position(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("CONSULTATION", "propose", ("PROPOSE",), _propose),
        lambda desk, by, id, v, g: consultations.propose(desk, by, id, v, terms(g)),
        terms_drawn,
    ),
    Act(
        *("CONSULTATION", "accept", ("ACCEPT",), _accept),
        lambda desk, by, id, v, g: consultations.accept(desk, by, id, v),
    ),
    Act(
        *("CONSULTATION", "decline", ("DECLINE",), _decline),
        lambda desk, by, id, v, g: consultations.decline(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("CONSULTATION", "escalate", ("ESCALATE",), _escalate),
        lambda desk, by, id, v, g: consultations.escalate(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("CONSULTATION", "withdraw", ("WITHDRAW",), _withdraw),
        lambda desk, by, id, v, g: consultations.withdraw(desk, by, id, v),
        rare=True,
    ),
    Act(
        *("COORDINATION", "state_position", ("STATE_POSITION",), _position),
        lambda desk, by, id, v, g: coordinations.state_position(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(
        *("COORDINATION", "decide", ("DECIDE",), _decide),
        lambda desk, by, id, v, g: coordinations.decide(
            desk, by, id, v, Decision(g["decision"]), g["reason"], terms=terms(g)
        ),
        _deciding,
    ),
    Act(
        *("COORDINATION", "withdraw", ("WITHDRAW",), _give_up),
        lambda desk, by, id, v, g: coordinations.withdraw(desk, by, id, v),
        rare=True,
    ),
    Act(*("CORRECTION", "report", (), _report), _run_report, _report_drawn, _reporter),
    Act(
        *("CORRECTION", "verify", ("VERIFY",), _verify),
        lambda desk, by, id, v, g: corrections.verify(desk, by, id, v),
    ),
    Act(
        *("CORRECTION", "answer", ("ANSWER",), _answer),
        lambda desk, by, id, v, g: corrections.answer(desk, by, id, v, CorrectionAnswer(g["answer"]), g["reason"]),
        _answer_drawn,
    ),
    Act(
        *("CORRECTION", "withdraw", ("WITHDRAW",), _withdraw),
        lambda desk, by, id, v, g: corrections.withdraw(desk, by, id, v),
        rare=True,
    ),
)
