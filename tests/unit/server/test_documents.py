"""Attached documents over HTTP: sent before, attached once by who sent them, read by the parties alone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.workflow.attachments import MOST_BYTES, MOST_UPLOADS, Uploaded
from tanglai.catalogue.workflow.errors import InvalidAct, ProblemCode
from tanglai.server.app import build_app
from tanglai.server.documents import DocumentRoutes
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.keys import FixedKeys
from tanglai.server.settings import Settings
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.replica import Moment
from tanglai.storage.workflow import consultations
from tanglai.storage.workflow.desk import Desk
from tests.disputes import CITY_AID, Government, wanted
from tests.http.platform import TinyGateway
from tests.unit.server import samples
from tests.unit.storage.sample import HEALTH, POLICE

PDF = b"%PDF-1.7 " + bytes(range(256)) * 400


@dataclass
class Office:
    """What the routes need of a node; `now` is the moment of requests."""

    here: Government
    now: datetime

    @property
    def desk(self) -> Desk:
        return self.here.desk

    async def moment(self) -> Moment:
        return Moment(self.here.snapshot, 1, self.now)


@dataclass
class Post:
    """The routes over a real platform database."""

    office: Office
    client: httpx.AsyncClient

    @property
    def here(self) -> Government:
        return self.office.here

    async def send(
        self, content: bytes = PDF, department: str = HEALTH, name: str = "依据 1.pdf", **more: Any
    ) -> httpx.Response:
        headers = {"content-type": "application/pdf", **authorized(department)} | more
        return await self.client.post("/documents", params={"name": name}, content=content, headers=headers)

    async def sent(self, content: bytes = PDF, department: str = HEALTH) -> Uploaded:
        answer = await self.send(content, department)
        assert answer.status_code == 201, answer.text
        return Uploaded(answer.json()["upload"])

    async def get(self, path: str, department: str, role: str = "reviewer") -> httpx.Response:
        return await self.client.get(path, headers=authorized(department, role))


def authorized(department: str, role: str = "applicant") -> dict[str, str]:
    claims = samples.claims(dept=department, roles=[role], scope=None, purpose=None)
    return {"authorization": f"Bearer {samples.token(claims)}"}


@pytest.fixture
async def post(platform: PlatformDatabase) -> AsyncIterator[Post]:
    here = await Government.of(platform)

    async def snapshot() -> Snapshot:
        return here.snapshot  # type: ignore[no-any-return]

    keys = FixedKeys(samples.jwks(("a", samples.EC)))
    entrance = Entrance(TokenVerifier(keys, issuer=samples.ISSUER, audience=samples.AUDIENCE), snapshot)
    office = Office(here, datetime.now(UTC))
    app = build_app(Settings(), TinyGateway(), entrance, documents=DocumentRoutes(office, entrance, Settings()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        yield Post(office, client)


async def test_sent_attached_and_read(post: Post) -> None:
    here = post.here
    document = await post.sent()
    matter = await consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=[document])
    path = f"/documents/{matter.id}/{HEALTH}/1"
    for department in (HEALTH, POLICE):
        answer = await post.get(path, department)
        assert (answer.status_code, answer.content) == (200, PDF)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%E4%BE%9D%E6%8D%AE%201.pdf"
        assert answer.headers["x-content-type-options"] == "nosniff"
    hidden = await post.get(path, CITY_AID)
    absent = await post.get(f"/documents/{matter.id}/{HEALTH}/2", HEALTH)
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.json()["errors"][0]["message"] == absent.json()["errors"][0]["message"]
    assert (await post.get(path, HEALTH, "data.read")).status_code == 403
    assert (await post.client.get(path)).status_code == 401
    assert (await post.client.post("/documents", content=PDF)).status_code == 401
    # It waits no longer.
    with pytest.raises(InvalidAct) as error:
        await consultations.state_position(here.desk, here.applicant(), matter.id, 1, "again", [document])
    assert [(it.field, it.code) for it in error.value.problems] == [(("documents", "0", "upload"), ProblemCode.UNKNOWN)]


async def test_of_its_department_alone_and_kept_when_the_act_fails(post: Post) -> None:
    here = post.here
    document = await post.sent()
    with pytest.raises(InvalidAct):
        await consultations.open_consultation(here.desk, here.applicant(CITY_AID), wanted(), attached=[document])
    with pytest.raises(InvalidAct):
        await consultations.open_consultation(
            here.desk, here.applicant(), wanted(), attached=[document, Uploaded("x\0")]
        )
    assert await here.rows("SELECT 1 FROM matter") == []
    matter = await consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=[document])
    assert (await here.rows("SELECT version FROM matter_attachment"))[0]["version"] == matter.version


async def test_what_is_no_document(post: Post) -> None:
    for content, more, status in (
        (b"", {}, 422),
        (PDF, {"content-type": "nothing"}, 422),
        (PDF, {"name": "../x"}, 422),
        (bytes(MOST_BYTES + 1), {}, 413),
    ):
        assert (await post.send(content, **more)).status_code == status

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65_536)

    answer = await post.client.post("/documents", params={"name": "a"}, content=endless(), headers=authorized(HEALTH))
    assert answer.status_code == 413
    assert (await post.send(bytes(MOST_BYTES))).status_code == 201


async def test_waiting_is_bounded_in_number_and_time(post: Post) -> None:
    for _ in range(MOST_UPLOADS):
        last = await post.sent(b"x")
    assert (await post.send(b"x")).status_code == 422
    await post.sent(b"x", POLICE)
    with pytest.raises(InvalidAct, match="no document"):
        await consultations.open_consultation(post.here.desk, post.here.applicant(days=2), wanted(), attached=[last])
    post.office.now += timedelta(days=1, seconds=1)
    await post.sent(b"x")
    assert len(await post.here.rows("SELECT 1 FROM document_upload")) == 1
