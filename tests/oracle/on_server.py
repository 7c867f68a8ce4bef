"""In charge of worlds behind a real server: every question goes through a socket, with a token that tells who asks."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlencode

from authz.principal import Principal, TokenScope
from tanglai.server.gateway import GraphQLRequest, GraphQLResponse
from tests.gateways import Answer, World, requester
from tests.http.platform import Platform, TinyGateway, running
from tests.oracle.grounds import LIMITS, Ground
from tests.oracle.worlds import Drawn
from tests.unit.server import samples

REQUEST_ID = "oracle-request"
OF_WORLDS = "r1"
"""The id of every request that a world in this process is asked."""
LONGEST_URL = 4000


class Switch:
    """The gateway of the server: that of the world in turn."""

    def __init__(self) -> None:
        self.world: World | None = None

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        assert self.world is not None
        return await self.world.gateway.execute(request)


class Served:
    """A running server; `ground` puts a world behind it."""

    def __init__(self, platform: Platform, switch: Switch) -> None:
        self._platform = platform
        self._switch = switch
        self._connection = http.client.HTTPConnection(*platform.address, timeout=60)
        self._asked = 0

    def ground(self, drawn: Drawn) -> Ground:
        world = ServedWorld(drawn.snapshot, drawn.rows, drawn.grants, limits=LIMITS)
        world.served = self
        self._switch.world = world
        self._platform.snapshot[0] = drawn.snapshot
        self._tokens: dict[Principal, str] = {}
        return Ground(drawn, world)

    def ask(
        self,
        who: Principal,
        purpose: str | None,
        query: str,
        variables: Mapping[str, Any],
        extensions: Mapping[str, Any],
    ) -> GraphQLResponse:
        """One request, by GET every other time where the URL is not too long."""
        self._asked += 1
        if who not in self._tokens:
            self._tokens[who] = samples.token(claims(who))
        headers = {
            "Authorization": f"Bearer {self._tokens[who]}",
            "Accept": "application/graphql-response+json",
            "X-Request-Id": REQUEST_ID,
            **({} if purpose is None else {"Purpose": purpose}),
        }
        members = {"query": query, "variables": variables, "extensions": extensions}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
        target = "/graphql?" + urlencode(texts)
        if self._asked % 2 and len(target) <= LONGEST_URL:
            self._connection.request("GET", target, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            self._connection.request("POST", "/graphql", json.dumps(members), headers)
        response = self._connection.getresponse()
        body = response.read().replace(REQUEST_ID.encode(), OF_WORLDS.encode())
        self._connection.close()  # one that stands idle while the oracle thinks is closed by the server
        return GraphQLResponse(body, "data" in json.loads(body), response.status)

    def close(self) -> None:
        self._connection.close()


class ServedWorld(World):
    """A world that is asked through its server."""

    served: Served

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        who: Principal | None = None,
        purpose: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        operation: str | None = None,
        language: str = "en",
        read_only: bool = False,
    ) -> Answer:
        self.sources.forget()
        answer = Answer(self.served.ask(who or requester(), purpose, query, variables or {}, extensions or {}))
        status = answer.response.status
        assert (status == 200) is answer.response.executed, f"status {status} for {answer.body}"
        return answer


def claims(who: Principal) -> dict[str, Any]:
    """The claims of a token that `who` would hold."""
    scopes = None if who.scopes is None else " ".join(sorted(map(_scope, who.scopes)))
    return samples.claims(
        sub=who.client,
        client_id=who.client,
        dept=who.department.code,
        roles=sorted(who.roles),
        scope=scopes,
        purpose=sorted(who.purposes),
        exp=4_000_000_000,
    )


def _scope(scope: TokenScope) -> str:
    return scope.resource if scope.item is None else f"{scope.resource}:{scope.item}"


@contextmanager
def serving() -> Iterator[Served]:
    """A server on a free port, in a thread of its own."""
    switch = Switch()
    with running(cast(TinyGateway, switch)) as platform:
        served = Served(platform, switch)
        try:
            yield served
        finally:
            served.close()
