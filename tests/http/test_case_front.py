"""Cases 24, 29, 31, 38, 45, 46 and 48 of docs/cases.md through a real server, with the real gateway behind it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest

from authz.principal import OWN_DATA_ROLE
from connectors.protocol import SourceUnavailable
from tanglai.catalogue.model import Quota
from tanglai.server.gateway import GraphQLRequest, GraphQLResponse
from tests.attack.worlds import row_id
from tests.cases import case
from tests.catalogues import MARKET_REGULATION, PUBLIC_SECURITY, YINCHUAN, population
from tests.gateways import World, make_grant
from tests.http.platform import Answer, Platform, TinyGateway, running
from tests.http.test_websocket import opened
from tests.unit.resolvers.asking import aggregate, residents
from tests.unit.resolvers.conftest import RESIDENT, follow_all, rows

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
PASSPORTS = residents("", "nodes { name passport }")
FILTERED = residents('where: {passport: {eq: "secret1"}}')
NAMES = residents("first: 2", "nodes { name }")


class RealGateway(TinyGateway):
    """Stands where the tiny one stands, and hands everything to the gateway of a world of tests."""

    def __init__(self) -> None:
        super().__init__()
        granted = {"requester": MARKET_REGULATION.code}
        self.world = World(
            population(),
            rows(),
            [
                *follow_all(),
                make_grant(RESIDENT, "passport", "p", **granted),
                make_grant(RESIDENT, "phone", "q", quota=Quota(rows=1), **granted),
            ],
        )

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        return await self.world.gateway.execute(request)

    async def sdl(self) -> Sequence[bytes]:
        return await self.world.gateway.sdl()

    async def ready(self) -> Mapping[str, str]:
        return await self.world.gateway.ready()


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with running(RealGateway()) as server:
        server.snapshot[0] = population()
        yield server


@pytest.fixture
def platform(shared: Platform) -> Iterator[Platform]:
    yield shared
    world = world_of(shared)
    world.replica.down = world.audit.down = False
    world.sources.connectors["main"].fault = None


def world_of(platform: Platform) -> World:
    assert isinstance(platform.gateway, RealGateway)
    return platform.gateway.world


def token(platform: Platform, department: str = YINCHUAN.code, **changes: Any) -> str:
    """A good token; no roles and no scope unless `changes` give some."""
    return platform.token(**{"dept": department, "purpose": ["assistance"], "scope": None, "roles": None, **changes})


def post(platform: Platform, query: str, *, by: str | None = None, accept: str = GRAPHQL, **headers: str) -> Answer:
    """A POST with the token `by`, of Yinchuan where none is given."""
    given = {"Authorization": f"Bearer {by or token(platform)}", **headers}
    return platform.ask(query, accept=accept, headers=given)


def get(platform: Platform, query: str, *, by: str | None = None) -> Answer:
    headers = {"Authorization": f"Bearer {by or token(platform)}", "Accept": GRAPHQL}
    return platform.send("GET", f"/graphql?{urlencode({'query': query})}", headers=headers)


def over_websocket(platform: Platform, query: str, *, by: str | None = None) -> Any:
    """What comes for one operation: `next` or `error`."""
    with opened(platform, by or token(platform)) as client:
        client.say(id="1", type="subscribe", payload={"query": query})
        return client.hear()


def codes(body: Any) -> list[str]:
    return [error["extensions"]["code"] for error in body.get("errors", [])]


# --- 29 and 31: the same verdict however an operation comes --------------------------------------------------------

ASKED = {
    "list": PASSPORTS,
    "node": f'{{ node(id: "{row_id(1)}") {{ ... on Resident {{ passport }} }} }}',
    "entities": '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) { ... on Resident '
    "{ passport } } }",
    "filter": FILTERED,
    "figures": aggregate("", "max { passport }"),
}


@case(29, 31)
@pytest.mark.parametrize("path", ASKED)
def test_post_get_and_websocket_give_the_same_verdict(platform: Platform, path: str) -> None:
    posted, got = post(platform, ASKED[path]), get(platform, ASKED[path])
    heard = over_websocket(platform, ASKED[path])
    refused = "data" not in posted.json
    assert (posted.status, got.status, heard["type"]) == ((403, 403, "error") if refused else (200, 200, "next"))
    assert posted.json.get("data") == got.json.get("data")
    for body in (posted.json, got.json, {"errors": heard["payload"]} if refused else heard["payload"]):
        assert codes(body) == ["GRANT_REQUIRED"]
        assert "secret" not in json.dumps(body)
    assert refused or heard["payload"]["data"] == posted.json["data"]


@case(29, 31, twin=True)
@pytest.mark.parametrize("path", ASKED)
def test_with_the_grant_post_get_and_websocket_give_the_same_data(platform: Platform, path: str) -> None:
    by = token(platform, MARKET_REGULATION.code)
    posted, got = post(platform, ASKED[path], by=by), get(platform, ASKED[path], by=by)
    heard = over_websocket(platform, ASKED[path], by=by)
    assert codes(posted.json) == []
    assert posted.json["data"] == got.json["data"] == heard["payload"]["data"]
    assert path == "filter" or "secret" in json.dumps(posted.json)


@case(31)
def test_one_socket_decides_each_operation_anew(platform: Platform) -> None:
    """A grant that is taken away between two operations of one connection is not used by the second."""
    world = world_of(platform)
    held = world.replica.held[MARKET_REGULATION.code]
    by = token(platform, MARKET_REGULATION.code)
    try:
        with opened(platform, by) as client:
            client.say(id="1", type="subscribe", payload={"query": PASSPORTS})
            assert "secret1" in json.dumps(client.hear())
            assert client.hear()["type"] == "complete"
            platform.call(lambda: world.replica.held.update({MARKET_REGULATION.code: ()}))
            client.say(id="2", type="subscribe", payload={"query": PASSPORTS})
            answer = client.hear()["payload"]
            assert codes(answer) == ["GRANT_REQUIRED"]
            assert "secret" not in json.dumps(answer)
    finally:
        world.replica.held[MARKET_REGULATION.code] = held


# --- 24: no incremental delivery -----------------------------------------------------------------------------------


@case(24)
@pytest.mark.parametrize("accept", ["multipart/mixed", "multipart/mixed;deferSpec=20220824"])
def test_nobody_can_ask_for_incremental_delivery(platform: Platform, accept: str) -> None:
    for query in (NAMES, residents("", "nodes { name ... @defer { passport } }")):
        answer = post(platform, query, accept=accept)
        assert answer.status == 406
        assert "data" not in answer.json


@case(24)
@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
def test_who_takes_events_gets_a_whole_answer_as_one(platform: Platform, accept: str) -> None:
    whole = post(platform, NAMES, accept=accept)
    assert whole.body.count(b'{"data":{"data":') == 1
    deferred = post(platform, residents("", "nodes { name ... @defer { passport } }"), accept=accept)
    assert deferred.body.count(b'"code":"BAD_INPUT"') == 1
    assert b'"data"' not in deferred.body
    assert b"secret" not in deferred.body


@case(24, twin=True)
def test_who_also_takes_a_whole_answer_gets_one(platform: Platform) -> None:
    answer = post(platform, NAMES, accept=f"multipart/mixed;deferSpec=20220824, {GRAPHQL}")
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, GRAPHQL)
    assert len(answer.json["data"]["data"]["population"]["residents"]["nodes"]) == 2


# --- 38: who asks --------------------------------------------------------------------------------------------------

SPOOFED = {
    "X-Department": PUBLIC_SECURITY.code,
    "X-Tanglai-Department": PUBLIC_SECURITY.code,
    "X-Roles": OWN_DATA_ROLE,
    "X-Hasura-Role": "admin",
    "X-Hasura-Admin-Secret": "x",
    "X-Forwarded-User": "public-security",
    "X-Forwarded-For": "127.0.0.1",
    "Forwarded": "for=127.0.0.1",
    "Cookie": f"dept={PUBLIC_SECURITY.code}; roles={OWN_DATA_ROLE}",
    "Role": OWN_DATA_ROLE,
}


@case(38)
def test_no_header_and_no_claim_beside_the_signed_ones_makes_an_owner(platform: Platform) -> None:
    plain = post(platform, PASSPORTS)
    for by in (
        token(platform),
        token(platform, roles=[OWN_DATA_ROLE]),
        token(platform, role=OWN_DATA_ROLE, department=PUBLIC_SECURITY.code, sub=PUBLIC_SECURITY.code),
        token(platform, PUBLIC_SECURITY.code, roles=None),
    ):
        answer = post(platform, PASSPORTS, by=by, **SPOOFED)
        assert codes(answer.json) == ["GRANT_REQUIRED"]
        assert answer.json["data"] == plain.json["data"]


@case(38, twin=True)
def test_the_signed_role_of_the_owner_reads_its_own_data(platform: Platform) -> None:
    by = token(platform, PUBLIC_SECURITY.code, roles=[OWN_DATA_ROLE])
    answer = post(platform, PASSPORTS, by=by, **{"X-Department": MARKET_REGULATION.code, "Role": "none"})
    assert codes(answer.json) == []
    assert b"secret1" in answer.body


# --- 45: requests that another site can forge ----------------------------------------------------------------------

FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]


@case(45)
def test_what_another_site_can_make_a_browser_send_is_refused(platform: Platform) -> None:
    """With cookies and without the `Authorization` header; a form with the header too, so that none ever works."""
    world_of(platform).sources.forget()
    body = json.dumps({"query": NAMES})
    from_elsewhere = {"Origin": "https://evil.example.invalid", "Cookie": f"token={token(platform)}"}
    answer = platform.send("GET", f"/graphql?{urlencode({'query': NAMES})}", headers=from_elsewhere)
    assert answer.status == 401
    for form in FORMS:
        kind = {"Content-Type": form} if form else {}
        assert platform.send("POST", "/graphql", body, {**from_elsewhere, **kind}).status == 401
        held = {"Authorization": f"Bearer {token(platform)}", **kind}
        assert platform.send("POST", "/graphql", body, held).status == 415
    assert world_of(platform).sources.calls == []


@case(45, twin=True)
def test_the_same_operation_with_its_token_is_answered_by_get_and_post(platform: Platform) -> None:
    for answer in (get(platform, NAMES), post(platform, NAMES)):
        assert answer.status == 200
        assert len(answer.json["data"]["data"]["population"]["residents"]["nodes"]) == 2


# --- 46 and 48: what a response says -------------------------------------------------------------------------------

SECRET = "SELECT passport FROM resident -- at db.internal:5432, line 17 of planner.py"


@case(46)
def test_no_failure_of_a_source_is_told_in_its_words(platform: Platform) -> None:
    source = world_of(platform).sources.connectors["main"]
    for fault, status in ((SourceUnavailable("main"), 200), (RuntimeError(SECRET), 500)):
        source.fault = fault  # type: ignore[assignment]  # what no connector should raise
        for answer in (post(platform, NAMES), get(platform, NAMES), post(platform, NAMES, accept=JSON)):
            assert answer.status == status
            assert codes(answer.json) == ["SOURCE_UNAVAILABLE" if status == 200 else "INTERNAL"]
            for word in (b"SELECT", b"resident --", b"db.internal", b"planner", b"Traceback", b"5432"):
                assert word not in answer.body
        heard = json.dumps(over_websocket(platform, NAMES))
        assert "SELECT" not in heard
        assert "db.internal" not in heard


@case(46, twin=True)
def test_a_failure_is_told_by_code_and_by_the_number_of_the_request(platform: Platform) -> None:
    world_of(platform).sources.connectors["main"].fault = SourceUnavailable("main")
    answer = post(platform, NAMES, **{"X-Request-Id": "request-17"})
    (error,) = answer.json["errors"]
    assert error["path"] == ["data", "population", "residents"]
    assert error["extensions"]["requestId"] == "request-17" == answer.headers["x-request-id"]


STATUSES: dict[str, tuple[str, int, int]] = {
    "refused by a denial": (FILTERED, 403, 200),
    "not readable": ("{", 400, 200),
    "not valid": (residents("", "nodes { nam }"), 400, 200),
    "a bad cursor": (residents('after: "x"'), 400, 200),
    "too much": (residents("", "nodes { " + "name " * 500 + "}"), 400, 200),
    "no policy store": (NAMES, 503, 503),
    "no audit log": (NAMES, 503, 503),
}


@case(48)
@pytest.mark.parametrize("what", STATUSES)
def test_a_request_error_has_no_data_and_its_status(platform: Platform, what: str) -> None:
    """As the specification has it: 4xx or 5xx under application/graphql-response+json, 200 under application/json."""
    query, status, plain = STATUSES[what]
    world = world_of(platform)
    world.replica.down, world.audit.down = what == "no policy store", what == "no audit log"
    for accept, expected in ((GRAPHQL, status), (JSON, plain)):
        answer = post(platform, query, accept=accept)
        assert answer.status == expected
        assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
        assert "data" not in answer.json
        assert answer.json["errors"]


@case(48)
def test_a_quota_that_is_used_has_status_429(platform: Platform) -> None:
    by = token(platform, MARKET_REGULATION.code)
    query = residents('where: {phone: {startsWith: "1"}}')
    answer = post(platform, query, by=by)
    assert (answer.status, codes(answer.json), "data" in answer.json) == (429, ["QUOTA_EXCEEDED"], False)


@case(48, twin=True)
def test_an_answer_has_status_200_also_where_a_field_of_it_is_denied(platform: Platform) -> None:
    for accept in (GRAPHQL, JSON):
        for query, denied in ((NAMES, []), (PASSPORTS, ["GRANT_REQUIRED"])):
            answer = post(platform, query, accept=accept)
            assert answer.status == 200
            assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
            assert "data" in answer.json
            assert codes(answer.json) == denied
