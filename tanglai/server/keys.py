"""In charge of the public keys that verify tokens: reading a JWK Set, keeping it fresh, outliving an outage."""

import asyncio
import os
import ssl
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tanglai.catalogue.errors import ErrorCode, TanglaiError

MAX_JWKS_BYTES = 1 << 20
MIN_RSA_BITS = 2048
FETCH_SECONDS = 5.0
MISS_SECONDS = 10.0
FILE_SECONDS = 1.0

VerificationKey = ECKey | OKPKey | RSAKey


class KeysError(Exception):
    """A JWK Set could not be had or holds no usable key."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Usable keys by (key id, algorithm); `number` grows with every change."""

    number: int
    keys: Mapping[tuple[str | None, str], VerificationKey]

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key named `kid` for `algorithm`; without `kid` the only key of that algorithm, if there is one only."""
        if kid is not None:
            return self.keys.get((kid, algorithm))
        fitting = [key for (_, name), key in self.keys.items() if name == algorithm]
        return fitting[0] if len(fitting) == 1 else None


class Keys(Protocol):
    """Where a verifier gets its keys."""

    @property
    def ring(self) -> KeyRing: ...

    async def fresh(self) -> KeyRing:
        """The keys to use now. Raises TanglaiError POLICY_UNAVAILABLE when none can be trusted any more."""

    async def missed(self) -> KeyRing:
        """Called when a token names an unknown key: looks again, but not more often than MISS_SECONDS."""


def read_jwks(document: bytes) -> dict[tuple[str | None, str], VerificationKey]:
    """The usable keys of a JWK Set (RFC 7517): signature keys of ES256, Ed25519 and RS256.

    Keys of other types and uses are passed over, as the RFC asks; private parts are dropped. Raises KeysError for a
    document that is no JWK Set, holds two different keys under one name, or has no usable key.
    """
    try:
        parsed = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise KeysError("the key set is not JSON") from None
    entries = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise KeysError("the key set has no list `keys`")
    found: dict[tuple[str | None, str], VerificationKey] = {}
    for entry in entries:
        usable = _usable(entry)
        if usable is None:
            continue
        name, key = usable
        if name in found:
            raise KeysError(f"the key set holds two keys named `{name[0]}`")
        found[name] = key
    if not found:
        raise KeysError("the key set has no usable key")
    return found


_PUBLIC = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}


def _usable(entry: Any) -> tuple[tuple[str | None, str], VerificationKey] | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind, kid, operations = entry.get("kty"), entry.get("kid"), entry.get("key_ops", ["verify"])
    if not isinstance(kind, str) or kind not in _PUBLIC or not isinstance(kid, str | None):
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public: dict[str, Any] = {"kty": kind, **{name: entry.get(name) for name in _PUBLIC[kind]}}
    key: VerificationKey
    try:
        if kind == "EC" and entry.get("crv") == "P-256":
            algorithm, key = "ES256", ECKey.import_key(public)
        elif kind == "OKP" and entry.get("crv") == "Ed25519":
            algorithm, key = "Ed25519", OKPKey.import_key(public)
        elif kind == "RSA" and int.from_bytes(urlsafe_b64decode(f"{entry.get('n')}==")).bit_length() >= MIN_RSA_BITS:
            algorithm, key = "RS256", RSAKey.import_key(public)
        else:
            return None
        key.get_op_key("verify")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if entry.get("alg", algorithm) != algorithm:
        return None
    return (kid, algorithm), key


class FixedKeys:
    """Keys that never change: those of the demo issuer in the same process."""

    def __init__(self, document: bytes) -> None:
        self.ring = KeyRing(1, MappingProxyType(read_jwks(document)))

    async def fresh(self) -> KeyRing:
        return self.ring

    async def missed(self) -> KeyRing:
        return self.ring


class KeptKeys:
    """Keys of a loader, looked at again every `every` seconds, kept through an outage of at most `outage` seconds.

    `load` returns the document, or None when it has not changed. One look at a time, however many ask. With `wait`
    a look that is due is waited for (a file: a withdrawn key is refused at once); without, it runs beside the
    requests (a URL: a slow issuer holds nobody up).
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[bytes | None]],
        *,
        every: float,
        outage: float,
        wait: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._every, self._outage, self._wait, self._monotonic = every, outage, wait, monotonic
        self._look: asyncio.Task[None] | None = None
        self._looked_at: float | None = None
        self._confirmed_at: float | None = None
        self.ring = KeyRing(0, MappingProxyType({}))
        self.problem: str | None = "the keys were never read"

    async def fresh(self) -> KeyRing:
        now = self._monotonic()
        if self._looked_at is None or now - self._looked_at >= self._every:
            self._start()
        if self._look is not None and (self._wait or self._expired(now)):
            await asyncio.shield(self._look)
            now = self._monotonic()
        if self._expired(now):
            raise TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "the keys of the token issuer cannot be had")
        return self.ring

    async def missed(self) -> KeyRing:
        if self._looked_at is None or self._monotonic() - self._looked_at >= min(MISS_SECONDS, self._every):
            self._start()
        if self._look is not None:
            await asyncio.shield(self._look)
        return self.ring

    def _expired(self, now: float) -> bool:
        return self._confirmed_at is None or now - self._confirmed_at > self._every + self._outage

    def _start(self) -> None:
        if self._look is None:
            self._looked_at = self._monotonic()
            self._look = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        started = self._monotonic()
        try:
            document = await self._load()
            if document is not None:
                keys = read_jwks(document)
                if _prints(keys) != _prints(self.ring.keys):
                    self.ring = KeyRing(self.ring.number + 1, MappingProxyType(keys))
        except KeysError as error:
            self.problem = str(error)
        else:
            self._confirmed_at, self.problem = started, None
        finally:
            self._look = None


def _prints(keys: Mapping[tuple[str | None, str], VerificationKey]) -> dict[tuple[str | None, str], str]:
    return {name: key.thumbprint() for name, key in keys.items()}


def file_keys(path: Path, *, outage: float, monotonic: Callable[[], float] = time.monotonic) -> KeptKeys:
    """Keys of a JWK Set file; a change of the file is seen within FILE_SECONDS."""
    seen: tuple[int, int, int] | None = None

    def read() -> bytes | None:
        nonlocal seen
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                mark = (status.st_mtime_ns, status.st_size, status.st_ino)
                if mark == seen:
                    return None
                document = file.read(MAX_JWKS_BYTES + 1)
        except OSError as error:
            seen = None
            raise KeysError(f"the key file cannot be read: {error.strerror}") from None
        if len(document) > MAX_JWKS_BYTES:
            raise KeysError(f"the key file has more than {MAX_JWKS_BYTES} bytes")
        read_jwks(document)  # a file that is half written is looked at again
        seen = mark
        return document

    async def load() -> bytes | None:
        return await asyncio.to_thread(read)

    return KeptKeys(load, every=FILE_SECONDS, outage=outage, wait=True, monotonic=monotonic)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def url_keys(url: str, *, every: float, outage: float, monotonic: Callable[[], float] = time.monotonic) -> KeptKeys:
    """Keys of a JWK Set at `url` (https, or http on this machine), fetched without following redirects."""
    opener = urllib.request.build_opener(
        _NoRedirect(), urllib.request.HTTPSHandler(context=ssl.create_default_context())
    )
    request = urllib.request.Request(url, headers={"Accept": "application/jwk-set+json, application/json"})

    def fetch() -> bytes:
        deadline = time.monotonic() + FETCH_SECONDS
        try:
            with opener.open(request, timeout=FETCH_SECONDS) as response:
                return _bounded(response, deadline)
        except urllib.error.HTTPError as error:
            error.close()
            raise KeysError(f"the key set answers with status {error.code}") from None
        except (OSError, HTTPException, ValueError):
            raise KeysError("the key set cannot be fetched") from None

    async def load() -> bytes:
        return await asyncio.to_thread(fetch)

    return KeptKeys(load, every=every, outage=outage, wait=False, monotonic=monotonic)


def _bounded(response: IO[bytes], deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read(65_536):
        parts.append(part)
        size += len(part)
        if size > MAX_JWKS_BYTES:
            raise KeysError(f"the key set has more than {MAX_JWKS_BYTES} bytes")
        if time.monotonic() > deadline:
            raise KeysError("the key set takes too long")
    return b"".join(parts)
