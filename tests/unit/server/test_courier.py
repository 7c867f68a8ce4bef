"""Webhooks from end to end: registered through the schema, delivered by the courier to a real receiver."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from authz.decide import MaskKey
from authz.principal import Principal
from connectors.webhooks import WebhookClient
from resolvers.gateway import Gateway
from resolvers.requests import GraphQLRequest
from resolvers.seals import SealKey, Seals
from schema.fixed.ids import read_global_id
from tanglai.catalogue.model import Zone
from tanglai.catalogue.workflow.webhooks import MAX_ATTEMPTS, AllowedHosts
from tanglai.server import courier
from tanglai.server.courier import Courier
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.webhooks import WAKE_KEY, Hooks
from tests.gateways import Answer, ListedAudit, requester
from tests.memory import MemorySources
from tests.receivers import Receiver, Sent, receiving
from tests.unit.storage.sample import DEPARTMENTS, HEALTH, change, until

NOW = 1_780_000_000.5
NOTICE = "INSERT INTO notice (department, kind, at, document) VALUES ($1, 'TEST', now(), $2)"
DELIVERIES = (
    "{ webhooks { id url kinds deliveries { totalCount nodes { key event state attempts lastStatus lastProblem } } } }"
)
REGISTER = (
    "mutation ($url: String!, $kinds: [String!]) { registerWebhook(url: $url, kinds: $kinds) { __typename "
    "... on RegisteredWebhook { secret webhook { id } } ... on ActError { code message } "
    "... on InvalidAct { problems { field code } } } }"
)
RETRY = (
    "mutation ($id: ID!) { retryWebhookDelivery(id: $id) { __typename ... on WebhookDelivery { state attempts } "
    "... on ActError { code } ... on WrongState { currentState } } }"
)
REMOVE = "mutation ($id: ID!) { removeWebhook(id: $id) { __typename ... on ActError { code } } }"


@dataclass
class Node:
    """A gateway over a platform database, and the courier beside it."""

    platform: PlatformDatabase
    gateway: Gateway
    feed: Feed
    receiver: Receiver

    async def ask(self, query: str, *roles: str, **variables: Any) -> Answer:
        who: Principal = requester(department=DEPARTMENTS[1], roles=frozenset(roles or ("client-administrator",)))
        return Answer(
            await self.gateway.execute(GraphQLRequest(query, None, variables, {}, who, None, "en", "request-1", False))
        )

    async def register(self, *kinds: str) -> str:
        """The secret."""
        answer = await self.ask(REGISTER, url=f"{self.receiver.url}/hook", kinds=list(kinds))
        return str(answer.data["registerWebhook"]["secret"])

    async def deliveries(self) -> list[dict[str, Any]]:
        return list((await self.ask(DELIVERIES)).data["webhooks"][0]["deliveries"]["nodes"])

    async def notify(self, document: str = "{}") -> None:
        async with self.platform.session() as connection:
            await connection.execute(NOTICE, HEALTH, document)

    async def pass_time(self) -> None:
        async with self.platform.session() as connection:
            await connection.execute(
                "UPDATE webhook_delivery SET next_attempt_at = clock_timestamp() WHERE state = 'PENDING'"
            )
        self.feed.hear(WAKE_KEY)


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Node]:
    await upgrade(url)
    async with (
        receiving() as receiver,
        await PlatformDatabase.open(url, master_key=MasterKey(bytes(32))) as platform,
        Feed(platform) as feed,
    ):
        await platform.publish(change())
        hosts = AllowedHosts.read([receiver.host])
        client = WebhookClient(hosts)
        async with Replica(platform, Zone.INTRANET) as replica, Courier(platform, feed, client, lambda: NOW):
            audit: Any = ListedAudit()
            gateway = Gateway(
                replica,
                MemorySources({}),  # type: ignore[arg-type]
                audit,
                Seals((SealKey(1, bytes(range(64))),)),
                MaskKey("m1", b"mask"),
                desk=Desk(platform),
                hooks=Hooks(platform, hosts),
                feed=feed,
            )
            yield Node(platform, gateway, feed, receiver)
        await client.close()


def verified(sent: Sent, secret: str, now: float) -> bool:
    """As docs/how-to/webhooks.md tells receivers to do it."""
    timestamp = sent.headers["tanglai-timestamp"]
    if abs(now - int(timestamp)) > 300:
        return False
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + sent.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(sent.headers["tanglai-signature"], f"v1={expected}")


async def test_a_notice_and_a_task_are_delivered(database: str) -> None:
    async with running(database) as node:
        secret = await node.register()
        await node.notify('{"person": "李四", "reason": "secret words"}')
        sent = await node.receiver.heard()
        assert sent.path == "/hook"
        assert verified(sent, secret, NOW)
        assert not verified(sent, secret, NOW + 301)
        assert not verified(Sent(sent.path, sent.headers, sent.body + b" "), secret, NOW)
        assert not verified(sent, "0" * 64, NOW)
        told = sent.json
        assert told.keys() == {"id", "event", "at", "department", "role", "matter", "notice", "dueOn"}
        assert (told["event"], told["matter"], told["department"]) == ("notice.TEST", None, HEALTH)
        assert sent.headers["tanglai-delivery"] == told["id"]
        assert "李四".encode() not in sent.body
        assert b"secret" not in sent.body
        draft = '(input: {resource: "1010101/1", duty: "duty"})'
        act = f"mutation {{ createApplication{draft} {{ ... on Application {{ id number }} }} }}"
        application = (await node.ask(act, "applicant")).data["createApplication"]
        sent = await node.receiver.heard()
        assert (sent.json["event"], sent.json["role"]) == ("task.APPLICATION", "applicant")
        assert sent.json["matter"] == application
        assert read_global_id(application["id"]) == ("Application", application["number"])

        async def done() -> bool:
            return [one["state"] for one in await node.deliveries()] == ["DELIVERED", "DELIVERED"]

        await until(done)
        assert [one["lastStatus"] for one in await node.deliveries()] == [204, 204]


def _refusal(status: int) -> bytes:
    return b"HTTP/1.1 %d Oops\r\ncontent-length: 0\r\n\r\n" % status


async def test_what_fails_is_tried_again_and_may_be_retried_once_dead(database: str) -> None:
    async with running(database) as node:
        secret = await node.register("notice")
        node.receiver.answer = _refusal(500)
        await node.notify()
        ids = set()
        for number in range(1, MAX_ATTEMPTS + 1):
            sent = await node.receiver.heard()
            node.receiver.answer = _refusal(500 + number)  # of the next try: its status tells that it is settled
            assert verified(sent, secret, NOW)
            ids.add(sent.headers["tanglai-delivery"])

            async def settled(number: int = number) -> bool:
                (one,) = await node.deliveries()
                return (one["attempts"], one["lastStatus"]) == (number, 499 + number) and (
                    one["state"] == ("PENDING" if number < MAX_ATTEMPTS else "DEAD")
                )

            await until(settled)
            await node.pass_time()
        assert len(ids) == 1  # receivers know it again by its id
        await asyncio.sleep(0.05)
        assert node.receiver.requests.empty()
        (dead,) = await node.deliveries()
        node.receiver.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        answer = await node.ask(RETRY, id=dead["key"])
        assert answer.data["retryWebhookDelivery"] == {
            "__typename": "WebhookDelivery",
            "state": "PENDING",
            "attempts": 0,
        }
        assert (await node.receiver.heard()).headers["tanglai-delivery"] in ids

        async def delivered() -> bool:
            return [one["state"] for one in await node.deliveries()] == ["DELIVERED"]

        await until(delivered)
        answer = await node.ask(RETRY, id=dead["key"])
        assert answer.data["retryWebhookDelivery"] == {
            "__typename": "WrongState",
            "code": "WRONG_STATE",
            "currentState": "DELIVERED",
        }


async def test_results_are_typed(database: str) -> None:
    async with running(database) as node:
        answer = await node.ask(REGISTER, url="https://elsewhere.example.org/", kinds=["nonsense"])
        refused = answer.data["registerWebhook"]
        assert (refused["__typename"], refused["code"]) == ("InvalidAct", "INVALID")
        assert refused["problems"] == [
            {"field": ["url"], "code": "NOT_ALLOWED"},
            {"field": ["kinds", "0"], "code": "UNKNOWN"},
        ]
        url = f"{node.receiver.url}/hook"
        answer = await node.ask(REGISTER, "head", url=url)
        assert answer.data["registerWebhook"]["code"] == "NOT_PERMITTED"
        assert (await node.ask("{ webhooks { id } }", "head")).codes == ["BAD_INPUT"]
        id = (await node.ask(REGISTER, url=url)).data["registerWebhook"]["webhook"]["id"]
        assert (await node.ask(REMOVE, "head", id=id)).data["removeWebhook"]["code"] == "NOT_PERMITTED"
        assert (await node.ask(REMOVE, id=id)).data["removeWebhook"] == {"__typename": "Webhook"}
        assert (await node.ask(REMOVE, id=id)).data["removeWebhook"]["code"] == "NOT_FOUND"
        assert (await node.ask("{ webhooks { id } }")).data == {"webhooks": []}


async def test_a_receiver_that_hangs_does_not_stop_the_others(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "AT_ONCE", 5)
    async with running(database) as node:
        await node.register("notice.MANY")
        await node.register("notice.TEST")
        node.receiver.answer = None  # it takes requests, and never answers
        async with node.platform.session() as connection:
            for _ in range(20):
                await connection.execute(NOTICE.replace("TEST", "MANY"), HEALTH, "{}")
        for _ in range(4):
            assert (await node.receiver.heard()).json["event"] == "notice.MANY"
        await node.notify()
        assert (await node.receiver.heard()).json["event"] == "notice.TEST"
        assert node.receiver.requests.empty()
