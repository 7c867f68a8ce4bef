"""In charge of applications in the model: what is asked for, answered, and granted (Art. 11; Order 809 Art. 20-22)."""

from typing import Any

from hypothesis import strategies as st

from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.storage.workflow import applications
from tests.property.workflows.law import DEPARTMENTS, MEASURES, ORDER
from tests.property.workflows.model import (
    UNCONDITIONAL,
    Act,
    Attempt,
    Draw,
    Given,
    Matter,
    World,
    pause,
    resume,
)

_LIKED = (["phone"], ["phone", "address"], ["address", "phone", "division"]) * 3
ASKED = st.sampled_from((*_LIKED, ["name"], ["name", "phone"], ["note", "phone"]))
LACKS = st.sampled_from((*[None] * 10, "duty", "scenario"))
TEXT = st.sampled_from((*["why"] * 7, " "))
FULL = {
    "purpose": "care",
    "duty": "medical aid to the poor",
    "legalBasis": "Social Assistance Measures Art. 3",
    "scenario": "check of entitlement",
    "method": "query",
    "validTo": "2099-09-18T00:00:00Z",
}


def _complete(world: World, matter: Matter, doc: Given) -> bool:
    """Whether it says all that the law wants, of what is applied for."""
    lacking = doc["lacks"] == "duty" or (doc["lacks"] == "scenario" and matter.rules == ORDER)
    needless = matter.rules == MEASURES and UNCONDITIONAL & set(doc["items"])
    grantable = world.grantable(matter.resource, matter.requester, doc["items"], hidden=False)
    return grantable and not lacking and not needless


def document(given: Given) -> dict[str, Any]:
    """What the program is given for a document of the model."""
    return {name: value for name, value in FULL.items() if name != given["lacks"]} | {
        name: given[name] for name in ("resource", "items") if name in given
    }


def _draft(d: Draw, world: World) -> Given:
    return {"items": d(ASKED), "lacks": d(LACKS)}


def _new(d: Draw, world: World) -> Given:
    return {"resource": d(st.sampled_from([*world.resources] * 6 + ["9/9"])), **_draft(d, world)}


def _applicant(d: Draw, world: World, given: Given) -> tuple[str, str]:
    owner = world.resources[given["resource"]].provider if given["resource"] in world.resources else ""
    return d(st.sampled_from([one for one in DEPARTMENTS if one != owner])), "applicant"


def _create(a: Attempt, _: None, given: Given) -> None:
    a.wrong(not a.world.published(given["resource"]))
    found = a.world.resources.get(given["resource"])
    doc = {"items": given["items"], "lacks": given["lacks"]}
    who = a.who.department
    provider = found.provider if found is not None else None
    a.open("APPLICATION", "CREATE", requester=who, provider=provider, resource=given["resource"], doc=doc)


def _apply(a: Attempt, _: None, given: Given) -> None:
    _create(a, None, given)
    assert a.main is not None
    _submit(a, a.main, {})


def _amend(a: Attempt, m: Matter, given: Given) -> None:
    a.step(m, "AMEND")
    m.doc = dict(given)


def _consent(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(bool(m.doc) and not _complete(a.world, m, m.doc))
    a.step(m, "CONSENT")


def _submit(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(bool(m.doc) and not _complete(a.world, m, m.doc))
    a.step(m, "SUBMIT")
    direct = m.rules == ORDER and bool(m.doc) and set(m.doc["items"]) <= UNCONDITIONAL
    a.start(m, "REPLY", m.provider, days=1 if direct else None)


def _tell_missing(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["points"])
    a.wrong(any(event[0] == "TELL_MISSING" for event in m.events))
    a.step(m, "TELL_MISSING")
    if m.rules == ORDER and not a.faults:
        pause(m.clock("REPLY"), a.world.day)
    a.tell(m.requester, "APPLICATION_INCOMPLETE", m)


def _supplement(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(not any(event[0] == "TELL_MISSING" for event in m.events))
    doc = m.doc | given
    if "lacks" in doc and doc["lacks"] == "scenario":
        doc["lacks"] = None
    a.wrong(bool(m.doc) and not _complete(a.world, m, doc))
    a.step(m, "SUPPLEMENT")
    m.doc = doc
    if not a.faults:
        resume(m.clock("REPLY"), a.world.day)


def _withdraw(a: Attempt, m: Matter, given: Given) -> None:
    asked = m.state not in ("DRAFT", "CONSENTED")
    a.step(m, "WITHDRAW")
    if asked:
        a.tell(m.provider, "APPLICATION_WITHDRAWN", m)


def narrowed(a: Attempt, m: Matter, given: Given, *, hidden: bool = False) -> set[str]:
    """The items that a reply leaves of those asked for."""
    asked = set(m.doc.get("items", ()))
    left = set(given["items"]) if given["items"] is not None else asked
    a.wrong(not left <= asked)
    a.wrong(not a.world.grantable(m.resource, m.requester, left, hidden=hidden))
    return left


def _approve(a: Attempt, m: Matter, given: Given) -> None:
    left = narrowed(a, m, given)
    if m.rules == ORDER:
        a.step(m, "PROPOSE_REPLY")
        m.doc["reply"] = left
    else:
        _answer(a, m, left)


def _refuse(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    if m.rules == ORDER:
        a.step(m, "PROPOSE_REPLY")
        m.doc["reply"] = None
    else:
        _answer(a, m, None)


def _answer(a: Attempt, m: Matter, left: set[str] | None) -> None:
    state = "REFUSED" if left is None else "APPROVED" if left == set(m.doc["items"]) else "PARTLY_APPROVED"
    a.step(m, "REPLY", state)
    a.met(m, "REPLY")
    if left is not None:
        a.give(m, left)
    a.tell(m.requester, "APPLICATION_ANSWERED", m)


def _confirm(a: Attempt, m: Matter, given: Given) -> None:
    if m.state != "REPLY_PROPOSED":
        a.wrong(True)
        a.wrong(True, "WrongState")
        a.wrong(m.provider != a.who.department or not {"reviewer", "head"} <= a.who.roles, "NotPermitted")
        return
    left = m.doc["reply"]
    a.wrong(left is not None and not a.world.grantable(m.resource, m.requester, left, hidden=False))
    _answer(a, m, left)


def _send_back(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "SEND_BACK")


def terms(given: Given) -> dict[str, Any]:
    return {"items": given["items"]} if given["items"] is not None else {}


def terms_drawn(d: Draw, world: World) -> Given:
    few = st.sampled_from((*[None] * 4, ["phone"], ["phone"], ["address"], ["note"], ["phone", "name"]))
    return {"items": d(few)}


def reason_drawn(d: Draw, world: World) -> Given:
    return {"reason": d(TEXT)}


def _supplement_drawn(d: Draw, world: World) -> Given:
    return {"items": d(ASKED)} if d(st.booleans()) else {}


def _points(d: Draw, world: World) -> Given:
    return {"points": d(st.sampled_from((["SCENARIO"], ["SCENARIO"], ["DUTY", "DUTY"], [])))}


ACTS = (
    Act(
        "APPLICATION",
        "create",
        (),
        _create,
        lambda desk, by, g, key: applications.create(desk, by, document(g), key=key),
        _new,
        _applicant,
    ),
    Act(
        "APPLICATION",
        "apply",
        (),
        _apply,
        lambda desk, by, g, key: applications.apply(desk, by, document(g), key=key),
        _new,
        _applicant,
    ),
    Act(
        "APPLICATION",
        "amend",
        ("AMEND",),
        _amend,
        lambda desk, by, id, v, g: applications.amend(desk, by, id, v, document(g)),
        _draft,
    ),
    Act(
        "APPLICATION",
        "consent",
        ("CONSENT",),
        _consent,
        lambda desk, by, id, v, g: applications.consent(desk, by, id, v),
    ),
    Act("APPLICATION", "submit", ("SUBMIT",), _submit, lambda desk, by, id, v, g: applications.submit(desk, by, id, v)),
    Act(
        "APPLICATION",
        "tell_missing",
        ("TELL_MISSING",),
        _tell_missing,
        lambda desk, by, id, v, g: applications.tell_missing(
            desk, by, id, v, [MissingPoint(point) for point in g["points"]], "say how"
        ),
        _points,
    ),
    Act(
        "APPLICATION",
        "supplement",
        ("SUPPLEMENT",),
        _supplement,
        lambda desk, by, id, v, g: applications.supplement(desk, by, id, v, {"scenario": "more", **g}),
        _supplement_drawn,
    ),
    Act(
        "APPLICATION",
        "withdraw",
        ("WITHDRAW",),
        _withdraw,
        lambda desk, by, id, v, g: applications.withdraw(desk, by, id, v),
        rare=True,
    ),
    Act(
        "APPLICATION",
        "approve",
        ("REPLY", "PROPOSE_REPLY"),
        _approve,
        lambda desk, by, id, v, g: applications.approve(desk, by, id, v, terms(g)),
        terms_drawn,
    ),
    Act(
        "APPLICATION",
        "refuse",
        ("REPLY", "PROPOSE_REPLY"),
        _refuse,
        lambda desk, by, id, v, g: applications.refuse(desk, by, id, v, RefusalReason.NO_DUTY, g["reason"]),
        reason_drawn,
    ),
    Act(
        "APPLICATION",
        "confirm",
        ("REPLY",),
        _confirm,
        lambda desk, by, id, v, g: applications.confirm(desk, by, id, v),
    ),
    Act(
        "APPLICATION",
        "send_back",
        ("SEND_BACK",),
        _send_back,
        lambda desk, by, id, v, g: applications.send_back(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
)
