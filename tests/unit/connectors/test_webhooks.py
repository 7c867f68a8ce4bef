"""Sending to webhooks: signed, to allowed hosts alone, no redirect, no body read, within its time."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.webhooks import WebhookClient
from tanglai.catalogue.workflow.webhooks import AllowedHosts
from tests.receivers import Receiver, receiving

BODY = b'{"id":"d1"}'


@asynccontextmanager
async def client(*receivers: Receiver, seconds: float = 10) -> AsyncIterator[WebhookClient]:
    made = WebhookClient(AllowedHosts.read(receiver.host for receiver in receivers), seconds=seconds)
    try:
        yield made
    finally:
        await made.close()


async def send(client: WebhookClient, url: str) -> tuple[int | None, str | None]:
    async with asyncio.timeout(15):
        return await client.send(url, BODY, id="d1", secret="5ec4e7", timestamp=1_700_000_000)


async def test_what_is_sent() -> None:
    async with receiving() as receiver, client(receiver) as sender:
        assert await send(sender, f"{receiver.url}/hooks?a=1") == (204, None)
        sent = await receiver.heard()
        assert (sent.path, sent.body) == ("/hooks?a=1", BODY)
        headers = {name: value for name, value in sent.headers.items() if name not in ("host", "connection")}
        expected = hmac.new(b"5ec4e7", b"1700000000." + BODY, hashlib.sha256).hexdigest()
        assert headers == {
            "content-type": "application/json",
            "content-length": str(len(BODY)),
            "accept": "*/*",
            "accept-encoding": headers["accept-encoding"],
            "user-agent": "tanglai-webhooks",
            "tanglai-delivery": "d1",
            "tanglai-timestamp": "1700000000",
            "tanglai-signature": f"v1={expected}",
        }


async def test_no_redirect_is_followed() -> None:
    async with receiving() as receiver, receiving() as other, client(receiver, other) as sender:
        receiver.answer = f"HTTP/1.1 302 Found\r\nlocation: {other.url}/\r\ncontent-length: 0\r\n\r\n".encode()
        assert await send(sender, receiver.url) == (302, None)
        assert other.requests.empty()


async def test_no_other_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        async with client(receiver) as sender:
            status, problem = await send(sender, other.url)
            assert status is None
            assert problem == "the operator of this platform allows no webhooks to this host"
            assert await send(sender, receiver.url) == (204, None)
        assert other.requests.empty()


async def test_an_answer_without_end_is_not_read() -> None:
    async with receiving() as receiver, client(receiver) as sender:
        receiver.answer, receiver.endless = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n", True
        assert await send(sender, receiver.url) == (200, None)


async def test_no_answer() -> None:
    async with receiving() as receiver, client(receiver, seconds=0.05) as sender:
        receiver.answer = None
        assert await send(sender, receiver.url) == (None, "no answer within 0.05 seconds")
        receiver.answer = b"nonsense\r\n\r\n"
        assert await send(sender, receiver.url) == (None, "no HTTP answer")


async def test_nobody_is_there() -> None:
    async with receiving() as receiver:
        pass
    async with client(receiver) as sender:
        assert await send(sender, receiver.url) == (None, "no connection, or a certificate that is not accepted")


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(certificate.public_bytes(pem) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "both.pem")
    async with receiving(ssl=context) as receiver, client(receiver) as sender:
        assert await send(sender, receiver.url) == (None, "no connection, or a certificate that is not accepted")
        assert receiver.requests.empty()
