"""In charge of the grants view of both sides: what each sees, what is known of a grant, and what that costs."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tanglai.catalogue.model import GrantState, Quota
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import grants_view
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.grants_view import GivenFilter
from tests.gateways import make_grant
from tests.granted import END, START, granted
from tests.office import CITY_OFFICE, CITY_POLICE, DEPARTMENTS, HEALTH, OFFICE, OTHER_CITY, POLICE, Office, permits
from tests.unit.schema.workflow.test_applications import INPUT

FIELDS = """id state resourceCode resource { code } requester { key } provider { key } scope scopeWords
  masks { item mask } quota { rows } basisMatter { __typename number } history { before after by reason }
  use { requests rows lastUse asOf remainingQuota { rows } }
  openSuspension { number state } openServiceChange { number } disposal { number }"""
GIVEN = """query ($resource: String, $requester: String, $states: [GrantState!], $supervised: Boolean! = false,
    $first: Int, $after: String, $last: Int) {
  grantsGiven(resource: $resource, requester: $requester, states: $states, supervised: $supervised, first: $first,
              after: $after, last: $last) {
    totalCount pageInfo { hasNextPage endCursor } nodes { %s } } }"""
ONE = "query ($id: ID!) { grant(id: $id) { %s } }"


async def given(office: Office, department: str, fields: str = "id", **variables: Any) -> Any:
    found = await office.ask(department, GIVEN.replace("%s", fields), roles="reviewer", **variables)
    return found["grantsGiven"]


async def ids(office: Office, department: str, **variables: Any) -> list[str]:
    return [node["id"] for node in (await given(office, department, **variables))["nodes"]]


@pytest.fixture
async def here(platform: PlatformDatabase) -> Office:
    """Two resources, of the region's police and of the city's; the latter's third one is retired."""
    city = DEPARTMENTS[4]
    resources = (
        permits(),
        permits("301/2", "raid", provider=city, source="city"),
        permits("301/3", "gone", provider=city, source="city"),
    )
    office = await Office.open(platform, resources)
    await granted(office, "g1", quota=Quota(rows=100))
    await granted(office, "g2", requester=OTHER_CITY)
    terms: dict[str, Any] = {"purpose": "care", "valid_from": START, "valid_to": END}
    others = [
        make_grant("301/2", "phone", "g3", requester=HEALTH, **terms),
        make_grant("301/3", "phone", "g4", requester=OTHER_CITY, **terms),
    ]
    await platform.put_grants(others)
    await platform.retire("301/3", by="test", note="over")
    return office


async def test_who_sees_which(here: Office) -> None:
    seen = {
        POLICE: ["g1", "g2"],
        CITY_POLICE: ["g3", "g4"],
        HEALTH: [],
        OFFICE: [],
        CITY_OFFICE: [],
    }
    for department, expected in seen.items():
        assert await ids(here, department) == expected
    supervised = {POLICE: [], OFFICE: ["g1", "g2"], CITY_OFFICE: ["g3", "g4"], CITY_POLICE: []}
    for department, expected in supervised.items():
        assert await ids(here, department, supervised=True) == expected
    allowed = {"g1": {HEALTH, POLICE, OFFICE}, "g4": {OTHER_CITY, CITY_POLICE, CITY_OFFICE}}
    for id, departments in allowed.items():
        for department in (POLICE, CITY_POLICE, HEALTH, OTHER_CITY, OFFICE, CITY_OFFICE):
            found = await here.ask(department, ONE.replace("%s", "id"), roles="reviewer", id=id)
            assert found["grant"] == ({"id": id} if department in departments else None), (id, department)
    result = await here.run(POLICE, GIVEN.replace("%s", "id"), roles="data.read")
    assert result.errors is not None
    assert "this takes a role" in result.errors[0].message


async def test_narrowed_and_paged(here: Office) -> None:
    assert await ids(here, POLICE, requester="other-city") == ["g2"]
    assert await ids(here, POLICE, requester=HEALTH) == ["g1"]
    assert await ids(here, POLICE, resource="301/2") == []
    assert await ids(here, CITY_POLICE, resource="301/3") == ["g4"]
    assert await ids(here, CITY_POLICE, states=["ENDED"]) == []
    await here.platform.set_grant_state("g3", GrantState.ENDED, by="test", reason="test")
    assert await ids(here, CITY_POLICE, states=["ENDED", "EXPIRED"]) == ["g3"]
    page = await given(here, POLICE, first=1)
    assert (page["totalCount"], page["nodes"], page["pageInfo"]["hasNextPage"]) == (2, [{"id": "g1"}], True)
    page = await given(here, POLICE, first=1, after=page["pageInfo"]["endCursor"])
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"id": "g2"}], False)
    assert await ids(here, POLICE, last=1) == ["g2"]


async def test_what_is_known_of_a_grant(here: Office) -> None:
    applied = await here.ask(
        HEALTH,
        "mutation ($input: ApplicationInput!) { apply(input: $input) { ... on Application { id number } } }",
        roles="applicant",
        input=INPUT,
    )
    approve = """mutation ($id: ID!) { approveApplication(id: $id, version: 2, confirmDisclosure: ["name"]) {
      ... on Application { grant { id } } } }"""
    approved = await here.ask(POLICE, approve, roles="reviewer", id=applied["apply"]["id"])
    id = approved["approveApplication"]["grant"]["id"]
    async with here.platform.session() as connection:
        await connection.execute(
            "INSERT INTO grant_use VALUES ($1, '2026-09-17', 2, 30, '2026-09-17T01:00:00Z'), "
            "($1, '2026-09-18', 1, 5, '2026-09-18T01:00:00Z')",
            id,
        )
        await connection.execute("UPDATE usage_progress SET as_of = '2026-09-18T01:30:00Z'")
    suspend = """mutation ($id: ID!) { suspendGrant(grant: $id, code: OVERUSE, reason: "too much", correctionDays: 5) {
      ... on Suspension { number } } }"""
    suspension = (await here.ask(POLICE, suspend, roles="reviewer", id=id))["suspendGrant"]
    for department, role in ((HEALTH, "applicant"), (POLICE, "reviewer")):
        grant = (await here.ask(department, ONE.replace("%s", FIELDS), roles=role, id=id))["grant"]
        assert (grant["requester"], grant["provider"]) == ({"key": "health"}, {"key": "public-security"})
        assert grant["scope"] == '{"name": {"startsWith": "马"}}'
        assert "马" in grant["scopeWords"]
        assert grant["basisMatter"] == {"__typename": "Application", "number": applied["apply"]["number"]}
        assert [step["after"] for step in grant["history"]] == ["ACTIVE", "SUSPENDED"]
        assert grant["use"] == {
            "requests": 3,
            "rows": 35,
            "lastUse": "2026-09-18T01:00:00.000000Z",
            "asOf": "2026-09-18T01:30:00.000000Z",
            "remainingQuota": None,
        }
        assert grant["openSuspension"] == {"number": suspension["number"], "state": "OPEN"}
        assert (grant["openServiceChange"], grant["disposal"], grant["state"]) == (None, None, "SUSPENDED")
    # The competent department is no party to the application, and is one to the suspension.
    grant = (await here.ask(OFFICE, ONE.replace("%s", FIELDS), roles="coordinator", id=id))["grant"]
    assert grant["basisMatter"] is None
    assert grant["openSuspension"]["number"] == suspension["number"]
    some = 'use(since: "2026-09-18") { rows }'
    found = await here.ask(HEALTH, "{ me { grants(states: [SUSPENDED]) { nodes { id %s } } } }".replace("%s", some))
    assert found["me"]["grants"]["nodes"] == [{"id": id, "use": {"rows": 5}}]


async def test_a_grant_on_what_is_retired_is_told(here: Office) -> None:
    grant = (await here.ask(CITY_POLICE, ONE.replace("%s", FIELDS), roles="reviewer", id="g4"))["grant"]
    assert (grant["resource"], grant["resourceCode"], grant["scopeWords"]) == (None, "301/3", None)
    assert (grant["provider"], grant["scope"]) == ({"key": "city-police"}, "{}")


class Counted(Desk):
    """A desk that counts the statements of its reads."""

    statements = 0

    async def read(self, read: Callable[[Any], Awaitable[Any]]) -> Any:
        async def counted(connection: Any) -> Any:
            return await read(Counter(connection, self))

        return await super().read(counted)


class Counter:
    def __init__(self, connection: Any, desk: Counted) -> None:
        self._connection, self._desk = connection, desk

    def __getattr__(self, name: str) -> Any:
        self._desk.statements += 1
        return getattr(self._connection, name)


async def test_a_page_of_fifty_is_a_handful_of_statements(office: Office) -> None:
    many = [make_grant("301/1", "phone", f"m{n:03}", requester=HEALTH, purpose="care", valid_to=END) for n in range(60)]
    await office.platform.put_grants(many)
    office.desk = desk = Counted(office.platform)
    page = await given(office, POLICE, FIELDS, first=50)
    assert (page["totalCount"], len(page["nodes"])) == (60, 50)
    assert desk.statements == 7  # page, count, basis, history, use, as of, open matters
    desk.statements = 0
    text = f"{{ me {{ grants(first: 50) {{ nodes {{ {FIELDS} }} }} }} }}"
    found = await office.ask(HEALTH, text, roles="applicant")
    assert len(found["me"]["grants"]["nodes"]) == 50
    assert desk.statements == 5
    page = await given(office, POLICE, "id", first=50)
    assert page["nodes"][0]["id"] == "m000"


async def test_masks_and_quotas_left(office: Office) -> None:
    await granted(office, quota=Quota(rows=100))
    fields = "masks { item } quota { rows } use { remainingQuota { rows } }"
    (grant,) = (await given(office, POLICE, fields))["nodes"]
    assert grant == {"masks": [], "quota": {"rows": 100}, "use": {"remainingQuota": None}}  # nobody counts here


async def test_many_grants_are_read_by_their_index(office: Office) -> None:
    """3,000 grants on 50 resources: a page reads no table as a whole."""
    fill = """
    INSERT INTO resource (code, version, changed) SELECT '302/' || n, NULL, 1 FROM generate_series(1, 50) n;
    INSERT INTO resource_version SELECT '302/' || n, 1, 'many', 'CONDITIONAL', v.provider, NULL, v.category, v.source,
        jsonb_set(v.document, '{code}', to_jsonb('302/' || n)), '', 'test', now(), NULL, NULL, NULL, 1
        FROM resource_version v, generate_series(1, 50) n WHERE v.code = '301/1';
    UPDATE resource SET version = 1 WHERE code LIKE '302/%';
    INSERT INTO data_grant SELECT 'x' || lpad(n::text, 5, '0'), g.requester, '302/' || (n % 50 + 1), g.purpose,
        'ACTIVE', g.valid_from, g.valid_to, g.document || jsonb_build_object(
            'id', 'x' || lpad(n::text, 5, '0'), 'resource', '302/' || (n % 50 + 1))
        FROM data_grant g, generate_series(1, 3000) n;
    ANALYZE data_grant, resource, resource_version"""
    await granted(office)
    async with office.platform.session() as connection:
        await connection.execute(fill)
    snapshot = await office.snapshot()
    wanted = GivenFilter(frozenset({POLICE}))
    codes = sorted(code for code, resource in snapshot.resources.items() if resource.provider == POLICE)
    assert len(codes) == 51

    async def plan(connection: Any) -> str:
        seen: list[tuple[str, tuple[Any, ...]]] = []

        class Spy:
            async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
                seen.append((sql, arguments))
                return []

        await grants_view.page(Spy(), snapshot, wanted, after="x01000", before=None, limit=51, last=False)
        sql, arguments = seen[0]
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", *arguments)
        return "\n".join(row[0] for row in rows)

    told = await office.desk.read(plan)
    assert "data_grant_of_resource" in told
    assert "Seq Scan on data_grant" not in told
    found = await office.desk.read(
        lambda connection: grants_view.page(
            connection, snapshot, wanted, after="x01000", before=None, limit=51, last=False
        )
    )
    assert [grant.id for grant in found] == [f"x{n:05}" for n in range(1_001, 1_052)]
    assert await office.desk.read(lambda connection: grants_view.count(connection, snapshot, wanted)) == 3_001
