"""Long answers leave in parts; what arrives is one JSON text."""

import gzip

import pytest

from resolvers.requests import GraphQLRequest, GraphQLResponse, LongResponse
from tests.http.platform import TinyGateway, running

PARTS = (b'{"data":{"text":"', *(b"%06d" % n * 1_000 for n in range(50)), b'"}}')


class LongGateway(TinyGateway):
    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        return LongResponse(PARTS, True, 200)


@pytest.mark.parametrize("threshold", [0, 1_000])
def test_a_long_answer_arrives_whole(threshold: int) -> None:
    with running(LongGateway(), compress_from_bytes=threshold) as platform:
        answer = platform.ask(headers={"Accept-Encoding": "gzip"})
        assert answer.status == 200
        assert ("content-encoding" in answer.headers) == bool(threshold)
        body = gzip.decompress(answer.body) if threshold else answer.body
        assert body == b"".join(PARTS)
        assert answer.headers["content-type"].startswith("application/graphql-response+json")


def test_the_schemas_text_arrives_whole() -> None:
    with running() as platform:
        answer = platform.send("GET", "/schema.graphql", headers={"Authorization": f"Bearer {platform.token()}"})
        assert answer.status == 200
        assert b"hello: String" in answer.body
        assert int(answer.headers["content-length"]) == len(answer.body)
