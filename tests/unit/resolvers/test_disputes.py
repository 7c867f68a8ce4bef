"""Disputes and corrections through the gateway, over a real platform database: who sees what, and what opens when."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from authz.decide import MaskKey
from authz.principal import Principal, TokenScope
from resolvers.gateway import Gateway
from resolvers.requests import GraphQLRequest, GraphQLResponse
from resolvers.seals import SealKey, Seals
from resolvers.sightings import sightings
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import TRUE
from tanglai.catalogue.model import Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.replica import Replica
from tanglai.storage.workflow.desk import Desk
from tests.disputes import CITY_AID, REGION_OFFICE, REGISTER, RESIDENTS, ROADS, Government, residents
from tests.gateways import Answer, ListedAudit
from tests.memory import MemorySources
from tests.unit.storage.sample import HEALTH, POLICE, grant

DEPARTMENTS = {department.code: department for department in REGISTER}
PAPER = b"%PDF-1.7 reasons"
NO_PROBLEM = "... on InvalidAct { problems { field code message } } ... on NotPermitted { roles ownAct }"
NOT_SHOWN = {
    "problems": [
        {
            "field": ["row"],
            "code": "NOT_ALLOWED",
            "message": "the item is not shown on that row: what one does not see one cannot doubt",
        }
    ]
}


@dataclass
class Town:
    """A gateway over a real platform database and two sources in memory."""

    here: Government
    gateway: Gateway
    sources: MemorySources
    audit: ListedAudit
    rows: list[dict[str, Any]]

    async def ask(
        self,
        department: str,
        query: str,
        roles: str = "applicant",
        purpose: str | None = "care",
        scopes: frozenset[TokenScope] | None = None,
        **variables: Any,
    ) -> Answer:
        person = roles.split()[0] if roles else None
        purposes = frozenset({"care", "audit"})
        who = Principal(DEPARTMENTS[department], "portal", person, frozenset(roles.split()), scopes, purposes)
        request = GraphQLRequest(query, None, variables, {}, who, purpose, "en", "request-7", False)
        return Answer(await self.gateway.execute(request))

    async def act(self, department: str, mutation: str, roles: str = "applicant", **variables: Any) -> dict[str, Any]:
        """The one field of a mutation, which has no errors."""
        answer = await self.ask(department, mutation, roles, **variables)
        assert not answer.errors, answer.errors
        (result,) = answer.data.values()
        return dict(result)

    async def ids(self, department: str = HEALTH) -> list[str]:
        """Ids of the residents in the order of their names."""
        answer = await self.ask(department, "{ data { population { allR10101011 { nodes { id } } } } }")
        return [node["id"] for node in answer.data["data"]["population"]["allR10101011"]["nodes"]]

    async def report(self, row: str, department: str = HEALTH, item: str = "phone", **more: Any) -> dict[str, Any]:
        given = {"resource": RESIDENTS, "item": item, "row": row, "doubt": "nobody answers"} | more.pop("given", {})
        return await self.act(department, REPORT, input=given, **more)


REPORT = f"""mutation ($input: CorrectionInput!) {{
    reportCorrection(input: $input) {{ ... on Correction {{ number version row state }} {NO_PROBLEM} }} }}"""


@pytest.fixture
async def town(platform: PlatformDatabase) -> AsyncIterator[Town]:
    """Phone is open to health in one city, and masked to the data office; row 3 of that city has none."""
    rows = [
        {"handle": 1, "name": "a", "phone": "13800000001", "division": "640100", "illness": "flu"},
        {"handle": 2, "name": "b", "phone": "13800000002", "division": "640200", "illness": None},
        {"handle": 3, "name": "c", "phone": None, "division": "640100", "illness": None},
        {"handle": 4, "name": "d", "phone": "13800000004", "division": "640100", "illness": None},
    ]
    roads = [{"handle": 1, "name": "r", "plan": "p"}]
    here = await Government.of(platform)
    await platform.put_grants(
        [
            grant("g1", masks={}, quota=None),
            grant("g2", CITY_AID, scope=TRUE, quota=None),
            grant("g3", resource=ROADS, items=frozenset({"name"}), scope=TRUE, masks={}, quota=None),
        ],
        by="test",
        reason="test",
    )
    sources = MemorySources({"police-db": {"residents": rows, "roads": roads}})
    audit = ListedAudit()
    async with Replica(platform, Zone.INTRANET, fresh=0.0) as replica:
        gateway = Gateway(
            replica,
            sources,  # type: ignore[arg-type]
            audit,  # type: ignore[arg-type]
            Seals((SealKey(1, bytes(range(64))),)),
            MaskKey("m1", b"mask"),
            desk=Desk(platform),
        )
        yield Town(here, gateway, sources, audit, rows)


# --- corrections ----------------------------------------------------------------------------------------------------


async def test_what_is_shown_on_that_very_row_is_doubted(town: Town) -> None:
    """A row that is visible for other items, absent, of another resource, no row at all: one and the same refusal."""
    ids = await town.ids()
    roads = await town.ask(HEALTH, "{ data { population { allR30101011 { nodes { id } } } } }")
    (road,) = [node["id"] for node in roads.data["data"]["population"]["allR30101011"]["nodes"]]
    catalogue = (await town.ask(HEALTH, "{ catalogue { id } }")).data["catalogue"]["id"]
    town.rows.pop()  # row 4 is gone
    for row in (ids[1], ids[3], road, catalogue, "r.forged", "nothing"):
        assert await town.report(row) == NOT_SHOWN
    assert await town.report(ids[0], purpose="audit") == NOT_SHOWN
    assert await town.report(ids[0], purpose=None, given={"purpose": "audit"}) == NOT_SHOWN
    assert await town.report(ids[0], scopes=frozenset({TokenScope(RESIDENTS, "name")})) == NOT_SHOWN
    assert await town.report(ids[0], item="illness") == NOT_SHOWN
    assert await town.here.rows("SELECT 1 FROM matter") == []
    assert (await town.report(ids[0]))["state"] == "REPORTED"
    assert (await town.report(ids[2]))["state"] == "REPORTED"  # shown, and nothing is there
    assert (await town.report(ids[0], purpose=None, given={"purpose": "care"}))["state"] == "REPORTED"
    whole, one = TokenScope(RESIDENTS), TokenScope(RESIDENTS, "phone")
    assert (await town.report(ids[0], scopes=frozenset({whole})))["state"] == "REPORTED"
    assert (await town.report(ids[0], scopes=frozenset({one})))["state"] == "REPORTED"
    assert (await town.report(ids[1], CITY_AID))["state"] == "REPORTED"  # masked is shown
    assert (await town.report(ids[1], item="name"))["state"] == "REPORTED"


async def test_the_look_up_is_on_record_and_the_provider_finds_the_row(town: Town) -> None:
    row = (await town.ids())[0]
    town.audit.records.clear()
    matter = await town.report(row, given={"proposed": "13811112222"})
    (record,) = town.audit.records
    assert (record.operation_name, record.paths, dict(record.items)) == ("Sighting", ("node",), {RESIDENTS: ("phone",)})
    assert (record.request_id, record.department, record.purpose, record.grants) == (
        "request-7",
        HEALTH,
        "care",
        ("g1",),
    )
    assert (dict(record.rows), "13811112222" in repr(record)) == ({RESIDENTS: 1}, False)

    read = "query ($id: ID!) { correction(id: $id) { row item doubt proposed answer purpose { code } } }"
    told = (await town.ask(POLICE, read, "reviewer", id=matter["number"])).data["correction"]
    assert (told["proposed"], told["purpose"]) == ("13811112222", {"code": "care"})
    find = "query ($row: ID!) { node(id: $row) { ... on R10101011 { name phone illness } } }"
    found = await town.ask(POLICE, find, "data.own reviewer", row=told["row"])
    assert found.data["node"] == {"name": "a", "phone": "13800000001", "illness": "flu"}
    for stranger in (CITY_AID, REGION_OFFICE):
        assert (await town.ask(stranger, read, "reviewer", id=matter["number"])).data == {"correction": None}

    begin = f"""mutation ($id: ID!) {{ beginCorrection(id: $id, version: 1) {{
        ... on Correction {{ state }} {NO_PROBLEM} }} }}"""
    assert await town.act(POLICE, begin, "reviewer", id=matter["number"]) == {"state": "VERIFYING"}
    answer = f"""mutation ($id: ID!) {{ answerCorrection(id: $id, version: 2, answer: CORRECTED, explanation: "old") {{
        ... on Correction {{ state answer positions {{ party text }} }} {NO_PROBLEM} }} }}"""
    assert await town.act(POLICE, answer, "reviewer", id=matter["number"]) == {
        "state": "CORRECTED",
        "answer": "CORRECTED",
        "positions": [{"party": "REQUESTER", "text": "nobody answers"}, {"party": "PROVIDER", "text": "old"}],
    }
    listed = '{ corrections(side: REQUESTER, states: ["CORRECTED"]) { totalCount nodes { number resource { code } } } }'
    assert (await town.ask(HEALTH, listed)).data["corrections"] == {
        "totalCount": 1,
        "nodes": [{"number": matter["number"], "resource": {"code": RESIDENTS}}],
    }


async def test_a_source_that_is_down_is_told_and_nothing_is_kept(town: Town) -> None:
    row = (await town.ids())[0]
    town.sources.connectors["police-db"].fault = TanglaiError(ErrorCode.SOURCE_UNAVAILABLE, "down")
    given = {"resource": RESIDENTS, "item": "phone", "row": row, "doubt": "nobody answers"}
    answer = await town.ask(HEALTH, REPORT, input=given)
    assert answer.codes == ["SOURCE_UNAVAILABLE"]
    assert await town.here.rows("SELECT 1 FROM matter") == []
    # Who may not report makes no look-up.
    town.sources.forget()
    refused = await town.act(HEALTH, REPORT, "reviewer", input=given)
    assert (refused["roles"], town.sources.calls) == (["applicant"], [])


async def test_a_used_up_quota_is_told_and_a_denial_is_not() -> None:
    who = Principal(DEPARTMENTS[HEALTH], "portal")
    request = GraphQLRequest("{ me { id } }", None, {}, {}, who, None, "en", "r", False)
    failures = (ErrorCode.QUOTA_EXCEEDED, ErrorCode.AUDIT_UNAVAILABLE, ErrorCode.SOURCE_TIMEOUT)
    denials = (ErrorCode.GRANT_REQUIRED, ErrorCode.GRANT_SUSPENDED, ErrorCode.BAD_INPUT)
    for code in (*failures, *denials):
        body = {"errors": [{"message": "m", "extensions": {"code": code.value}}], "data": {"node": {"shown": None}}}

        async def execute(_: GraphQLRequest, body: dict[str, Any] = body) -> GraphQLResponse:
            return GraphQLResponse(orjson.dumps(body), True, 200)

        sees = sightings(execute, request, "care")
        if code in failures:
            with pytest.raises(TanglaiError) as error:
                await sees(residents(), "phone", "r.x", None)
            assert error.value.code is code
        else:
            assert not await sees(residents(), "phone", "r.x", None)


# --- consultation and coordination --------------------------------------------------------------------------------

OPEN = f"""mutation ($input: ConsultationInput!, $documents: [DocumentInput!]) {{
    openConsultation(input: $input, documents: $documents) {{
        ... on Consultation {{ number version mySteps }} {NO_PROBLEM} }} }}"""
STATE = f"""mutation ($id: ID!, $version: Int!, $documents: [DocumentInput!]) {{
    stateConsultationPosition(id: $id, version: $version, text: "why not", documents: $documents) {{
        ... on Consultation {{ number version }} {NO_PROBLEM} }} }}"""
PROPOSE = f"""mutation ($id: ID!, $version: Int!, $terms: TermsInput, $confirm: [String!]) {{
    proposeTerms(id: $id, version: $version, terms: $terms, confirmDisclosure: $confirm, note: "less would do") {{
        ... on Consultation {{ version proposal {{ items scope quota {{ rows }} }} }} {NO_PROBLEM} }} }}"""
ACCEPT = f"""mutation ($id: ID!, $version: Int!) {{ acceptTerms(id: $id, version: $version) {{
    ... on Consultation {{ state grant {{ id basis items }} }} {NO_PROBLEM}
    ... on Conflict {{ version changedBy }} }} }}"""
ESCALATE = f"""mutation ($id: ID!, $version: Int!) {{
    escalateConsultation(id: $id, version: $version, reason: "needed") {{
        ... on Consultation {{ state coordinator {{ code }} coordination {{ number version }} }} {NO_PROBLEM} }} }}"""
DECIDE = f"""mutation ($id: ID!, $version: Int!, $decision: CoordinationDecision!, $confirm: [String!]) {{
    decideCoordination(
        id: $id, version: $version, decision: $decision, reason: "weighed", confirmDisclosure: $confirm
    ) {{
        ... on Coordination {{ state decision decisionReason grant {{ id basis }}
            over {{ ... on Consultation {{
                need positions {{ party text documents {{ name size sha256 content }} }} }} }} }}
        {NO_PROBLEM} }} }}"""
INPUT = {
    "resource": RESIDENTS,
    "items": ["illness"],
    "purpose": "care",
    "need": "treatment depends on it",
    "duty": "urgent medical aid",
    "legalBasis": "a law",
}
ILLNESS = "{ data { population { allR10101011 { nodes { name illness } } } } }"


def paper(content: bytes = PAPER, name: str = "依据.pdf") -> dict[str, str]:
    return {"name": name, "mediaType": "application/pdf", "content": base64.b64encode(content).decode()}


async def test_agreed_on_and_open_at_the_next_request(town: Town) -> None:
    refused = await town.ask(HEALTH, ILLNESS)
    assert refused.codes == ["NOT_SHARED"]
    wrong = await town.act(HEALTH, OPEN, input=INPUT, documents=[paper() | {"content": "***"}])
    assert [problem["field"] for problem in wrong["problems"]] == [["documents", "0", "content"]]
    matter = await town.act(HEALTH, OPEN, input=INPUT, documents=[paper()])
    assert matter["mySteps"] == ["STATE_POSITION", "ESCALATE", "WITHDRAW"]
    id = matter["number"]
    scope = '{"division": {"eq": "640100"}}'
    terms = {"items": ["illness"], "scope": scope}
    undisclosed = await town.act(POLICE, PROPOSE, "reviewer", id=id, version=1, terms=terms)
    assert [problem["field"] for problem in undisclosed["problems"]] == [["confirmDisclosure"]]
    proposed = await town.act(POLICE, PROPOSE, "reviewer", id=id, version=1, terms=terms, confirm=["division"])
    assert proposed["proposal"] == {"items": ["illness"], "scope": scope, "quota": None}
    stale = await town.act(HEALTH, ACCEPT, id=id, version=1)
    assert stale == {"version": 2, "changedBy": "reviewer"}
    assert (await town.ask(HEALTH, ILLNESS)).codes == ["NOT_SHARED"]
    agreed = await town.act(HEALTH, ACCEPT, id=id, version=2)
    assert (agreed["state"], agreed["grant"]["basis"], agreed["grant"]["items"]) == (
        "AGREED",
        "CONSULTATION",
        ["illness"],
    )
    answer = await town.ask(HEALTH, ILLNESS)
    assert answer.errors == []
    nodes = answer.data["data"]["population"]["allR10101011"]["nodes"]
    assert [node["illness"] for node in nodes] == ["flu", None, None, None]
    assert answer.extensions["grants"] == [agreed["grant"]["id"]]
    listed = '{ consultations(states: ["AGREED"]) { totalCount nodes { number need items } } }'
    assert (await town.ask(POLICE, listed, "reviewer")).data["consultations"]["totalCount"] == 1
    assert (await town.ask(CITY_AID, listed, "reviewer")).data["consultations"]["totalCount"] == 0


async def test_coordinated_with_the_documents_of_both(town: Town) -> None:
    matter = await town.act(HEALTH, OPEN, input=INPUT, documents=[paper()])
    id = matter["number"]
    early = await town.act(HEALTH, ESCALATE, id=id, version=1)
    assert [problem["code"] for problem in early["problems"]] == ["NOT_ALLOWED"]
    await town.act(POLICE, STATE, "reviewer", id=id, version=1, documents=[paper(b"no", "b.pdf")])
    escalated = await town.act(HEALTH, ESCALATE, id=id, version=2)
    assert (escalated["state"], escalated["coordinator"]) == ("ESCALATED", {"code": REGION_OFFICE})
    child = escalated["coordination"]["number"]
    inbox = (
        "{ inbox { tasks { nodes { role matter { number ... on Coordination { resourceCode terms { items } } } } } } }"
    )
    waits = (await town.ask(REGION_OFFICE, inbox, "coordinator")).data["inbox"]["tasks"]["nodes"]
    assert waits == [
        {
            "role": "coordinator",
            "matter": {"number": child, "resourceCode": RESIDENTS, "terms": {"items": ["illness"]}},
        }
    ]
    assert (await town.act(POLICE, DECIDE, "coordinator", id=child, version=1, decision="SHARE"))["roles"] == [
        "coordinator"
    ]
    wrong = await town.act(REGION_OFFICE, DECIDE, "coordinator", id=child, version=1, decision="KEEP")
    assert [problem["field"] for problem in wrong["problems"]] == [["decision"]]
    decided = await town.act(REGION_OFFICE, DECIDE, "coordinator", id=child, version=1, decision="SHARE")
    assert (decided["state"], decided["decision"], decided["decisionReason"]) == ("GRANTED", "SHARE", "weighed")
    assert decided["grant"]["basis"] == "COORDINATION"
    said = decided["over"]["positions"]
    assert [(it["party"], it["text"]) for it in said] == [
        ("REQUESTER", INPUT["need"]),
        ("PROVIDER", "why not"),
        ("REQUESTER", "needed"),
    ]
    (document,) = said[0]["documents"]
    assert base64.b64decode(document["content"]) == PAPER
    assert (document["size"], document["sha256"]) == (len(PAPER), hashlib.sha256(PAPER).hexdigest())
    nodes = (await town.ask(HEALTH, ILLNESS)).data["data"]["population"]["allR10101011"]["nodes"]
    assert nodes[0] == {"name": "a", "illness": "flu"}
    read = "query ($id: ID!) { coordination(id: $id) { decision } consultation(id: $id) { need } }"
    assert (await town.ask(CITY_AID, read, id=child)).data == {"coordination": None, "consultation": None}
    assert (await town.ask(POLICE, read, "reviewer", id=child)).data["coordination"] == {"decision": "SHARE"}


async def test_documents_of_one_request_are_bounded(town: Town) -> None:
    documents = [paper(bytes(2 * 1024 * 1024), f"{number}.bin") for number in range(5)]
    matter = await town.act(HEALTH, OPEN, input=INPUT, documents=documents)
    read = "query ($id: ID!) { consultation(id: $id) { positions { documents { size content } } } }"
    answer = await town.ask(POLICE, read, "reviewer", id=matter["number"])
    assert answer.codes == ["LIMIT_EXCEEDED"]
