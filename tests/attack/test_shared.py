"""Confusion between principals, purposes, moments and documents that share caches."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from tanglai.catalogue.expressions import Attribute, Compare, CompareOp, ItemRef, Within
from tanglai.catalogue.model import GrantState
from tests.attack.book import Book
from tests.attack.worlds import LATER, ODD, TEXT, grants, snapshot
from tests.cases import case
from tests.catalogues import MARKET_REGULATION, PUBLIC_SECURITY, YINCHUAN, population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import RESIDENT, rows

book = Book(__name__, "Nothing is shared between those who see differently")

LIST = "{ data { population { residents { nodes { name passport income } totalCount } } } }"


def passports(answer: Any) -> list[str]:
    nodes = answer.data["data"]["population"]["residents"]["nodes"]
    return [node["passport"] for node in nodes if node["passport"]]


@pytest.mark.parametrize("attribute", ["department.division", "within"])
@book.attempt(
    301,
    "Ask at the moment when the catalogue changes one's division: a decision by the old one, kept for the new",
    "the principal's department is that of the snapshot which decides",
    found=True,
)
async def test_a_decision_holds_no_department_of_another_snapshot(attribute: str) -> None:
    item = ItemRef("name", TEXT)
    scope = (
        Within(item, Attribute("department.division"))
        if attribute == "within"
        else Compare(CompareOp.EQ, item, Attribute(attribute))
    )
    moved = replace(YINCHUAN, division="640121")
    known = population()
    newer = replace(known, number=2, departments={**known.departments, YINCHUAN.code: moved})
    held = rows()
    held["main"]["resident"][0]["name"], held["main"]["resident"][1]["name"] = "640105", "640121"
    held["main"]["resident"][2]["name"] = "640100"
    world = World(newer, held, [make_grant(RESIDENT, "passport", scope=scope)])
    before = await world.ask(LIST, who=requester(department=YINCHUAN))  # admitted a moment before the change
    after = await world.ask(LIST, who=requester(department=moved))
    assert passports(before) == passports(after) == ["secret2"]


@book.attempt(302, "Ask with a token of a department that was closed a moment ago", "as above", found=True)
async def test_a_closed_department_decides_nothing() -> None:
    known = population()
    closed = replace(YINCHUAN, active=False)
    for departments in ({**known.departments, YINCHUAN.code: closed}, {}):
        world = World(replace(known, departments=departments), rows(), [make_grant(RESIDENT, "passport")])
        answer = await world.ask(LIST)
        assert answer.codes == ["NOT_A_DEPARTMENT"]
        assert "data" not in answer.body


async def seen(world: World, who: Principal, **more: Any) -> bytes:
    return (await world.ask(LIST, who=who, **more)).response.body


PEOPLE = {
    "granted": requester(),
    "stranger": requester(department=MARKET_REGULATION),
    "owner": requester(department=PUBLIC_SECURITY, roles=frozenset({OWN_DATA_ROLE})),
    "owner without the role": requester(department=PUBLIC_SECURITY),
    "stranger with the role": requester(department=MARKET_REGULATION, roles=frozenset({OWN_DATA_ROLE})),
    "case of the role": requester(department=PUBLIC_SECURITY, roles=frozenset({"Data.Own", "data.own "})),
    "narrowed": requester(scopes=frozenset({TokenScope(RESIDENT, "name")})),
    "narrowed to nothing": requester(scopes=frozenset()),
    "no purpose": requester(purposes=frozenset()),
    "other purpose": requester(purposes=frozenset({"statistics"})),
}


@case(40)
@book.attempt(
    303, "Ask after somebody who sees more, in a warm cache", "decisions and plans by everything that shapes V"
)
async def test_warm_caches_give_the_answers_of_cold_ones() -> None:
    held = [*grants(), make_grant(RESIDENT, "passport", id="p", scope=ODD)]
    cold = {name: await seen(World(snapshot(), rows(), held), who) for name, who in PEOPLE.items()}
    warm = World(snapshot(), rows(), held)
    for _ in range(2):
        for name, who in [*PEOPLE.items(), *reversed(PEOPLE.items())]:
            assert await seen(warm, who) == cold[name]
    assert len(set(cold.values())) >= 5
    assert b"secret" in cold["granted"]
    assert b"secret" in cold["owner"]
    for name in set(PEOPLE) - {"granted", "owner"}:
        assert b"secret" not in cold[name], name


@case(39)
@book.attempt(304, "Ask at the same time as somebody who sees more", "one request, one decision, one set of loaders")
async def test_two_principals_at_once() -> None:
    held = [*grants(), make_grant(RESIDENT, "passport", id="p", scope=ODD)]
    world = World(snapshot(), rows(), held)
    alone = {name: await seen(World(snapshot(), rows(), held), who) for name, who in PEOPLE.items()}
    names = list(PEOPLE) * 8
    together = await asyncio.gather(*(seen(world, PEOPLE[name]) for name in names))
    assert [body == alone[name] for name, body in zip(names, together, strict=True)] == [True] * len(names)


@case(34)
@book.attempt(305, "Use a grant for one purpose under another", "the purpose is compared exactly")
@pytest.mark.parametrize("purpose", ["statistics", "Assistance", "assistance ", "ａssistance", "assistance\u200b", ""])
async def test_another_purpose(purpose: str) -> None:
    who = requester(purposes=frozenset({"assistance", "statistics"}))
    world = World(snapshot(), rows(), grants())
    assert b"n1" in await seen(world, who, purpose="assistance")
    for more in ({"purpose": purpose}, {"extensions": {"purpose": purpose}}):
        answer = await world.ask(LIST, who=who, **more)
        assert b"n1" not in answer.response.body
        assert set(answer.codes) <= {"PURPOSE_MISMATCH", "GRANT_REQUIRED", "NOT_SHARED"}


@book.attempt(306, "Name one purpose in the header and another in the body", "they must agree")
async def test_two_purposes() -> None:
    who = requester(purposes=frozenset({"assistance", "statistics"}))
    world = World(snapshot(), rows(), grants())
    answer = await world.ask(LIST, who=who, purpose="statistics", extensions={"purpose": "assistance"})
    assert (answer.codes, "data" in answer.body) == (["BAD_INPUT"], False)


@pytest.mark.parametrize("purpose", [["assistance"], {"code": "assistance"}, 1, True])
@book.attempt(307, "A purpose in the body that is no text", "`extensions.purpose` is a text")
async def test_a_purpose_of_another_kind(purpose: Any) -> None:
    answer = await World(snapshot(), rows(), grants()).ask(LIST, extensions={"purpose": purpose})
    assert (answer.codes, "data" in answer.body) == (["BAD_INPUT"], False)


@case(34)
@book.attempt(308, "Swap purposes in a warm cache", "the purpose is part of the decision's key")
async def test_purposes_share_no_decision() -> None:
    held = [make_grant(RESIDENT, "name", id="a"), make_grant(RESIDENT, "name passport", id="s", purpose="statistics")]
    world = World(snapshot(), rows(), held)
    who = requester(purposes=frozenset({"assistance", "statistics"}))
    for purpose, count in (("assistance", 0), ("statistics", 7), ("assistance", 0)):
        assert len(passports(await world.ask(LIST, who=who, purpose=purpose))) == count


SEVERAL = """
query Few { data { population { residents { nodes { name } } } } }
query Many { data { population { residents { nodes { name passport } } } } }
"""


@book.attempt(309, "Several operations in one document, one of them denied", "the operation's name is part of the key")
async def test_operations_of_one_document() -> None:
    world = World(snapshot(), rows(), grants())
    for name, codes in (("Few", []), ("Many", ["GRANT_REQUIRED"]), ("Few", []), (None, ["BAD_INPUT"])):
        assert (await world.ask(SEVERAL, operation=name)).codes == codes


@case(23)
@book.attempt(310, "Toggle a denied item by `@skip` in a warm cache", "directives are part of the plan's key")
async def test_directives_share_no_plan() -> None:
    query = "query($a: Boolean!) { data { population { residents { nodes { name passport @skip(if: $a) } } } } }"
    world = World(snapshot(), rows(), grants())
    for given, codes in ((True, []), (False, ["GRANT_REQUIRED"]), (True, [])):
        assert (await world.ask(query, {"a": given})).codes == codes


@case(40)
@book.attempt(
    311, "Change the item of a filter by a variable in a warm cache", "the shape of variables is part of the key"
)
async def test_shapes_share_no_plan() -> None:
    query = "query($w: ResidentWhere) { data { population { residents(where: $w) { totalCount } } } }"
    world = World(snapshot(), rows(), grants())
    for item, codes in (("name", []), ("passport", ["GRANT_REQUIRED"]), ("phone", ["MASKED_USE"]), ("name", [])):
        assert (await world.ask(query, {"w": {item: {"eq": "n1"}}})).codes == codes


@case(33)
@pytest.mark.parametrize("state", [GrantState.SUSPENDED, GrantState.ENDED, GrantState.EXPIRED])
@book.attempt(
    312, "Go on paging with an old cursor after the grant is suspended or has ended", "every page decides anew"
)
async def test_no_page_after_the_end(state: GrantState) -> None:
    world = World(snapshot(), rows(), grants())
    page = "residents(first: 1, after: $c) { edges { cursor node { name } } }"
    query = f"query($c: String) {{ data {{ population {{ {page} }} }} }}"
    first = await world.ask(query)
    cursor = first.data["data"]["population"]["residents"]["edges"][0]["cursor"]
    world.replica.held[YINCHUAN.code] = tuple(replace(grant, state=state) for grant in grants())
    later = await world.ask(query, {"c": cursor})
    assert later.data["data"]["population"]["residents"]["edges"] == []
    assert world.sources.calls == []


@case(33)
@book.attempt(313, "Keep asking while the grant runs out by the clock alone", "a decision ends when a grant does")
async def test_the_clock_ends_a_decision() -> None:
    held = [replace(grant, valid_to=LATER) for grant in grants()]
    world = World(snapshot(), rows(), held)
    assert b"n1" in await seen(world, requester())
    world.replica.now = LATER
    assert b"n1" not in await seen(world, requester())


@case(33)
@book.attempt(314, "Use a grant before it begins", "from <= now")
async def test_not_yet() -> None:
    held = [replace(grant, valid_from=LATER, valid_to=None) for grant in grants()]
    answer = await World(snapshot(), rows(), held).ask(LIST)
    assert set(answer.codes) == {"GRANT_NOT_YET_VALID", "GRANT_REQUIRED"}
    assert answer.data["data"]["population"]["residents"]["totalCount"] == 0


@book.attempt(315, "Use the grant of another department", "grants are those of the principal's department")
async def test_foreign_grants() -> None:
    held = [replace(grant, requester=MARKET_REGULATION.code) for grant in grants()]
    assert b"n1" not in await seen(World(snapshot(), rows(), held), requester())


@book.attempt(316, "Be answered without an audit record", "no record, no data")
async def test_no_record_no_answer() -> None:
    world = World(snapshot(), rows(), grants())
    world.audit.down = True
    answer = await world.ask(LIST)
    assert (answer.codes, "data" in answer.body) == (["AUDIT_UNAVAILABLE"], False)


@book.attempt(317, "Be decided by what is known while the policy store is down", "POLICY_UNAVAILABLE")
async def test_no_policy_no_answer() -> None:
    world = World(snapshot(), rows(), grants())
    assert b"n1" in await seen(world, requester())
    world.replica.down = True
    assert "data" not in (await world.ask(LIST)).body


@book.attempt(318, "Widen a narrowed token by a relation into another resource", "the scope narrows both ends")
async def test_a_token_scope_holds_beyond_relations() -> None:
    who = requester(scopes=frozenset({TokenScope(RESIDENT)}))
    query = "{ data { population { residents { nodes { name household { number address } } } } } }"
    answer = await World(snapshot(), rows(), grants()).ask(query, who=who)
    assert answer.codes == ["SCOPE_EXCEEDED"]
    assert all(node["household"] is None for node in answer.data["data"]["population"]["residents"]["nodes"])


@pytest.mark.parametrize("scope", [RESIDENT.lower() + " ", RESIDENT[:-1], "*", "%", RESIDENT.split("/")[0]])
@book.attempt(319, "A token scope by wildcard, prefix or space", "compared exactly")
async def test_scopes_by_another_spelling(scope: str) -> None:
    who = requester(scopes=frozenset({TokenScope(scope)}))
    answer = await World(snapshot(), rows(), grants()).ask(LIST, who=who)
    assert answer.codes == ["SCOPE_EXCEEDED"]
    assert answer.data["data"]["population"]["residents"] is None
