"""A server in a process of its own, for the tests of signals: `python -m tests.http.served`, settings from outside.

Prints `ready URL`, and `closed` when its lifespan ended.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from tanglai.catalogue.model import Snapshot
from tanglai.server import logs
from tanglai.server.app import build_app
from tanglai.server.gateway import GraphQLRequest, GraphQLResponse
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.keys import FixedKeys
from tanglai.server.observations import Observations
from tanglai.server.serve import serve
from tanglai.server.settings import load
from tests.http.platform import TinyGateway
from tests.unit.server import samples


class SlowGateway(TinyGateway):
    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        if "slow" in request.query:
            print("begun", flush=True)
            await asyncio.sleep(0.5)
        return await super().execute(request)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    yield
    print("closed", flush=True)


async def snapshot() -> Snapshot:
    return samples.snapshot()


def main() -> None:
    settings = load()
    logs.configure(settings)
    observations = Observations()
    verifier = TokenVerifier(
        # The caller signs with a key that it passes in place of an issuer's name.
        FixedKeys(settings.issuer.encode()),
        issuer=samples.ISSUER,
        audience=samples.AUDIENCE,
    )
    app = build_app(settings, SlowGateway(), Entrance(verifier, snapshot), observations=observations, lifespan=lifespan)
    serve(app, settings, observations, on_ready=lambda url: print(f"ready {url}", flush=True))


if __name__ == "__main__":
    main()
