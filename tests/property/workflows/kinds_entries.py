"""In charge of catalogue entries and obligations in the model (Art. 8; Order 809 Art. 13, 16, 17)."""

from typing import Any

from hypothesis import strategies as st

from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.workflow.entry import EntryChange, entry_draft
from tanglai.storage.workflow import entries, matters, obligations
from tanglai.storage.workflow.entries import EntryInput
from tanglai.storage.workflow.impact import impact
from tanglai.storage.workflow.obligations import LegalChange
from tests.property.workflows.catalogue import RESOURCES, register
from tests.property.workflows.kinds_application import reason_drawn
from tests.property.workflows.law import COMPETENT, DEPARTMENTS, POLICE
from tests.property.workflows.model import RUNNING, Act, Attempt, Draw, Given, Matter, Published, World
from tests.property.workflows.stage import days

LACKING = "shareClass"
"""What an incomplete draft does not say."""

TITLES = st.integers(1, 10**6).map(lambda n: f"许可{n}")


# --- entries ---------------------------------------------------------------------------------------------------------


def _draft_drawn(d: Draw, world: World) -> Given:
    return {"title": d(TITLES), "lacks": not d(st.integers(0, 7))}


def _create_drawn(d: Draw, world: World) -> Given:
    change = d(st.sampled_from(("REVISION", "REVISION", "REVISION", "NEW", "RETIREMENT")))
    code = d(st.sampled_from([*world.resources])) if change != "NEW" else None
    who = world.resources[code].provider if code is not None else POLICE
    owed = [m.id for m in world.open("OBLIGATION") if m.provider == who]
    closed = [m.id for m in world.matters if m.kind == "OBLIGATION" and m.closed]
    named = d(st.sampled_from([*[[id] for id in owed * 4], *[[id] for id in closed[:1]], [], []]))
    return {"change": change, "code": code, "obligations": named, **_draft_drawn(d, world)}


def _cataloguer(d: Draw, world: World, given: Given) -> tuple[str, str]:
    return (world.resources[given["code"]].provider if given["code"] is not None else POLICE), "cataloguer"


def _next_code(world: World) -> str:
    taken = [*world.resources, *(m.resource or "" for m in world.matters if m.kind == "ENTRY")]
    return f"301/{1 + max(int(code.partition('/')[2]) for code in taken if code.startswith('301/'))}"


def _create(a: Attempt, _: None, given: Given) -> None:
    change, code, me = given["change"], given["code"], a.who.department
    published = a.world.published(code)
    a.wrong(change == "RETIREMENT" and not published)
    if change == "REVISION" and not published:
        change = "NEW"
    if code is None:
        code = _next_code(a.world)
        a.wrong(me != POLICE, "NotPermitted")  # by the document, it is the police's
    else:
        a.wrong(a.world.resources[code].provider != me, "NotPermitted")
    for id in given["obligations"]:
        owed = a.world.matter(id)
        a.wrong(owed is None or owed.closed or owed.provider != me)
    a.wrong(any(m.resource == code for m in a.world.open("ENTRY")))
    a.open(
        *("ENTRY", "CREATE"),
        provider=me,
        resource=code,
        doc={"change": change, "title": given["title"], "lacks": given["lacks"], "obligations": given["obligations"]},
    )


def _document(resource: Any, given: Given) -> dict[str, Any]:
    document = resource_to_document(resource, stamped=False) | {"title": given["title"]}
    return {name: value for name, value in document.items() if name != LACKING or not given["lacks"]}


async def _run_create(desk: Any, by: Any, given: Given, key: str | None) -> Any:
    named = tuple(given["obligations"])
    if given["change"] == "RETIREMENT":
        note = "" if given["lacks"] else "no more"
        return await entries.create(
            desk, by, EntryInput(note=note, obligations=named), code=given["code"], retire=True, key=key
        )
    if given["change"] == "NEW":
        document = _document(register(given["title"]), given)
        del document["code"]
    else:
        published = by.snapshot.resources.get(given["code"]) or next(it for it in RESOURCES if it.code == given["code"])
        document = _document(published, given)
    return await entries.create(desk, by, EntryInput(document, obligations=named), key=key)


def _amend(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(m.doc.get("change") == "RETIREMENT")
    a.step(m, "AMEND")
    m.doc = m.doc | given


async def _run_amend(desk: Any, by: Any, id: str, version: int, given: Given) -> Any:
    found = await desk.read(lambda connection: matters.find(connection, id))
    said = found.document["resource"] if found is not None and found.kind == "ENTRY" else {}
    document = {**said, LACKING: resource_to_document(RESOURCES[0])[LACKING], "title": given["title"]}
    if given["lacks"]:
        del document[LACKING]
    return await entries.amend(desk, by, id, version, EntryInput(document))


def _lawful(a: Attempt, m: Matter) -> None:
    a.wrong(bool(m.doc.get("lacks")))
    a.wrong(m.doc.get("change") != "NEW" and not a.world.published(m.resource))


def _meet(a: Attempt, m: Matter) -> None:
    for id in m.doc["obligations"]:
        owed = a.world.matter(id)
        if owed is not None and owed.state == "OPEN" and not a.faults:
            a.step(owed, "MEET", brought_about=True)
            a.met(owed, "OBLIGATION")
            m.doc["met"] = True


def _approve(a: Attempt, m: Matter, given: Given) -> None:
    _lawful(a, m)
    a.step(m, "APPROVE")


def _submit(a: Attempt, m: Matter, given: Given) -> None:
    _lawful(a, m)
    a.step(m, "SUBMIT")
    if not a.faults:
        m.coordinator = COMPETENT[m.provider or ""]
        a.start(m, "AUDIT", m.coordinator)
        _meet(a, m)


def _publish(a: Attempt, m: Matter, given: Given) -> None:
    _lawful(a, m)
    code = m.resource or ""
    retires = m.doc.get("change") == "RETIREMENT"
    old = a.world.resources.get(code)
    a.wrong(retires and not given["accepts"])
    a.wrong(not retires and old is not None and not old.retired and old.title == m.doc.get("title"))
    a.step(m, "PUBLISH", "RETIRED" if retires else "PUBLISHED")
    if a.faults:
        return
    m.coordinator = m.coordinator or COMPETENT[m.provider or ""]
    a.met(m, "AUDIT")
    _meet(a, m)
    if m.provider != a.who.department:
        a.tell(m.provider, "ENTRY_PUBLISHED", m)
    if not retires:
        assert m.provider is not None
        a.world.resources[code] = Published(m.provider, m.doc["title"], old.version + 1 if old is not None else 1)
        return
    a.world.resources[code].retired = True
    for grant in a.world.grants:
        if grant.resource == code and grant.state in RUNNING:
            a.tell(grant.requester, "RESOURCE_RETIRED", grant)
    waiting = [one for one in a.world.open("APPLICATION") if one.resource == code]
    for requester in {one.requester for one in waiting}:
        first = min((one for one in waiting if one.requester == requester), key=lambda one: str(one.id))
        a.tell(requester, "RESOURCE_RETIRED", first)


async def _run_publish(desk: Any, by: Any, id: str, version: int, given: Given) -> Any:
    async def mark(connection: Any) -> str | None:
        found = await matters.find(connection, id)
        if found is None or found.kind != "ENTRY" or entry_draft(found.document).change is not EntryChange.RETIREMENT:
            return None
        return (await impact(connection, by.snapshot, {found.resource or "": None})).mark

    accepted = await desk.read(mark) if given["accepts"] else None
    return await entries.publish(desk, by, id, version, accept_breaking=accepted)


def _return(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "RETURN")
    a.done(m, "AUDIT")
    a.tell(m.provider, "ENTRY_RETURNED", m)


def _withdraw(a: Attempt, m: Matter, given: Given) -> None:
    a.wrong(bool(m.doc.get("met")))
    submitted = m.state == "SUBMITTED"
    a.step(m, "WITHDRAW")
    if submitted:
        a.tell(m.coordinator, "ENTRY_WITHDRAWN", m)


# --- obligations -----------------------------------------------------------------------------------------------------


def _law_drawn(d: Draw, world: World) -> Given:
    departments = d(st.sampled_from(([POLICE], [POLICE], *([one] for one in DEPARTMENTS), list(DEPARTMENTS[:2]))))
    return {"departments": departments, "on": world.day - days(d(st.integers(-1, 30)))}


def _supervisor(d: Draw, world: World, given: Given) -> tuple[str, str]:
    first = given["departments"][0]
    department, role = d(st.sampled_from(((COMPETENT[first], "supervisor"), (first, "cataloguer"))))
    return department, role


def _oblige(a: Attempt, _: None, given: Given) -> None:
    me, roles = a.who.department, a.who.roles
    a.wrong(given["on"] > a.world.day)
    for department in given["departments"]:
        above = COMPETENT[department]
        may = ("supervisor" in roles and above == me) or ("cataloguer" in roles and department == me)
        a.wrong(not may, "NotPermitted")
    opened = []
    for department in given["departments"]:
        above = COMPETENT[department]
        m = a.open("OBLIGATION", "OPEN", provider=department, coordinator=above)
        opened.append(m)
        a.start(m, "OBLIGATION", department, since=given["on"])
        for clock in m.clocks:
            clock.flagged = clock.due < a.world.day
            if department != me:
                a.tell(department, "OBLIGATION_OVERDUE" if clock.flagged else "OBLIGATION_OPENED", m)
    a.main = opened[0]


async def _run_oblige(desk: Any, by: Any, given: Given, key: str | None) -> Any:
    change = LegalChange("New law", given["on"], tuple(given["departments"]))
    return (await obligations.open_all(desk, by, change, key=key))[0]


def _cancel(a: Attempt, m: Matter, given: Given) -> None:
    a.malformed(not given["reason"].strip())
    a.step(m, "CANCEL")
    a.tell(m.provider, "OBLIGATION_CANCELLED", m)


def _drop_entry(desk: Any, by: Any, id: str, v: int, g: Given) -> Any:
    return entries.withdraw(desk, by, id, v)


ACTS = (
    Act(*("ENTRY", "create", (), _create), _run_create, _create_drawn, _cataloguer),
    Act(*("ENTRY", "amend", ("AMEND",), _amend), _run_amend, _draft_drawn),
    Act(
        *("ENTRY", "approve", ("APPROVE",), _approve),
        lambda desk, by, id, v, g: entries.approve(desk, by, id, v),
    ),
    Act(
        *("ENTRY", "submit", ("SUBMIT",), _submit),
        lambda desk, by, id, v, g: entries.submit(desk, by, id, v),
    ),
    Act(
        *("ENTRY", "publish", ("PUBLISH",), _publish),
        _run_publish,
        lambda d, world: {"accepts": bool(d(st.integers(0, 5)))},
    ),
    Act(
        *("ENTRY", "return", ("RETURN",), _return),
        lambda desk, by, id, v, g: entries.return_(desk, by, id, v, g["reason"]),
        reason_drawn,
    ),
    Act(*("ENTRY", "withdraw", ("WITHDRAW",), _withdraw), _drop_entry, rare=True),
    Act(*("OBLIGATION", "open", (), _oblige), _run_oblige, _law_drawn, _supervisor),
    Act(
        *("OBLIGATION", "cancel", ("CANCEL",), _cancel),
        lambda desk, by, id, v, g: obligations.cancel(desk, by, id, v, g["reason"]),
        reason_drawn,
        rare=True,
    ),
)
