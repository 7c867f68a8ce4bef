"""In charge of sending to webhooks: one POST to a host that the operator allows, its status alone is read."""

import asyncio
import hashlib
import hmac
import ssl

import httpx

from tanglai.catalogue.workflow.webhooks import AllowedHosts

SEND_SECONDS = 10.0
CONNECTIONS = 32


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The header `Tanglai-Signature`: HMAC-SHA256 under `secret` of the timestamp, a full stop and the body."""
    signed = str(timestamp).encode("ascii") + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class WebhookClient:
    """Sends to the hosts of `hosts` and to no others, whatever a URL says; certificates are those of the system."""

    def __init__(self, hosts: AllowedHosts, *, seconds: float = SEND_SECONDS) -> None:
        self._hosts, self._seconds = hosts, seconds
        self._client = httpx.AsyncClient(
            headers={"user-agent": "tanglai-webhooks", "accept": "*/*"},
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            timeout=seconds,
        )

    async def send(
        self, url: str, body: bytes, *, id: str, secret: str, timestamp: int
    ) -> tuple[int | None, str | None]:
        """The status that came back, or None and why there is none; it never raises and takes `seconds` at most."""
        refusal = self._hosts.refusal(url)
        if refusal is not None:
            return None, refusal
        headers = {
            "content-type": "application/json",
            "tanglai-delivery": id,
            "tanglai-timestamp": str(timestamp),
            "tanglai-signature": signature(secret, timestamp, body),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("POST", url, content=body, headers=headers) as response,
            ):
                return response.status_code, None
        except (TimeoutError, httpx.TimeoutException):
            return None, f"no answer within {self._seconds:g} seconds"
        except httpx.ConnectError:
            return None, "no connection, or a certificate that is not accepted"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError, OSError):
            return None, "no HTTP answer"

    async def close(self) -> None:
        await self._client.aclose()
