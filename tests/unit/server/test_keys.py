"""JWK Sets: what is usable, how changes and outages are met."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import keys
from tanglai.server.keys import FixedKeys, KeptKeys, KeyRing, KeysError, file_keys, read_jwks, url_keys
from tests.unit.server import samples
from tests.unit.server.samples import jwks


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_usable_keys() -> None:
    found = read_jwks(jwks(("a", samples.EC), ("b", samples.OKP), ("c", samples.RSA)))
    assert set(found) == {("a", "ES256"), ("b", "Ed25519"), ("c", "RS256")}
    assert not any(key.is_private for key in found.values())


def test_private_parts_are_dropped() -> None:
    document = orjson.dumps({"keys": [{**samples.EC.as_dict(private=True), "kid": "a"}]})
    assert not read_jwks(document)["a", "ES256"].is_private


UNUSABLE = {
    "symmetric": samples.OCT.as_dict(private=True),
    "for encryption": {**samples.EC.as_dict(private=False), "use": "enc"},
    "for signing only": {**samples.EC.as_dict(private=False), "key_ops": ["sign"]},
    "another algorithm": {**samples.RSA.as_dict(private=False), "alg": "RS512"},
    "another curve": ECKey.generate_key("P-384").as_dict(private=False),
    "an exchange key": OKPKey.generate_key("X25519").as_dict(private=False),
    "a short key": {"kty": "RSA", "e": "AQAB", "n": "sXch" * 43},
    "not on the curve": {**samples.EC.as_dict(private=False), "x": "AAAA"},
    "an odd id": {**samples.EC.as_dict(private=False), "kid": 7},
    "an odd type": {"kty": ["EC"]},
    "no type": {},
    "no object": "EC",
    "nothing": None,
    "numbers": {"kty": "RSA", "n": 5, "e": 3},
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_keys_are_passed_over(entry: Any) -> None:
    good = {**samples.OKP.as_dict(private=False), "kid": "good"}
    assert set(read_jwks(orjson.dumps({"keys": [entry, good]}))) == {("good", "Ed25519")}
    with pytest.raises(KeysError, match="no usable key"):
        read_jwks(orjson.dumps({"keys": [entry]}))


@pytest.mark.parametrize(
    "document", [b"", b"nonsense", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b"\xff"], ids=repr
)
def test_what_is_no_key_set(document: bytes) -> None:
    with pytest.raises(KeysError):
        read_jwks(document)


def test_two_keys_of_one_name() -> None:
    with pytest.raises(KeysError, match="two keys"):
        read_jwks(jwks(("a", samples.EC), ("a", samples.OTHER_EC)))
    assert len(read_jwks(jwks(("a", samples.EC), ("a", samples.RSA)))) == 2  # of two algorithms


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["keys", "kty", "n"]), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["EC", "OKP", "RSA", "oct"]) | json_values},
        optional={
            name: st.sampled_from(["AQAB", "", "P-256", "Ed25519", "sig", "verify", "***"]) | json_values
            for name in ("crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "d")
        },
    )
)
def test_no_entry_breaks_the_reader(entry: dict[str, Any]) -> None:
    try:
        found = read_jwks(orjson.dumps({"keys": [entry]}))
    except KeysError:
        return
    assert all(isinstance(key, ECKey | OKPKey | RSAKey) for key in found.values())


class Loader:
    def __init__(self, *answers: bytes | KeysError | None) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> bytes | None:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KeysError):
            raise answer
        return answer


FIRST, SECOND = jwks(("a", samples.EC)), jwks(("b", samples.OKP))


def kept(loader: Loader, clock: Clock, *, wait: bool = False) -> KeptKeys:
    return KeptKeys(loader, every=300, outage=3600, wait=wait, monotonic=clock)


async def settle(source: KeptKeys) -> None:
    if source._look is not None:
        await source._look


async def unavailable(source: KeptKeys) -> None:
    with pytest.raises(TanglaiError) as caught:
        await source.fresh()
    assert caught.value.code is ErrorCode.POLICY_UNAVAILABLE


async def test_one_look_for_many() -> None:
    loader, clock = Loader(FIRST), Clock()
    loader.gate = asyncio.Event()
    source = kept(loader, clock)
    waiting = [asyncio.ensure_future(source.fresh()) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    loader.gate.set()
    rings = await asyncio.gather(*waiting[1:])
    assert loader.calls == 1
    assert {ring.number for ring in rings} == {1}
    assert waiting[0].cancelled()


async def test_a_due_look_runs_beside_the_requests() -> None:
    loader, clock = Loader(FIRST, SECOND), Clock()
    source = kept(loader, clock)
    await source.fresh()
    clock.now += 299
    await source.fresh()
    assert loader.calls == 1
    clock.now += 1
    assert ("a", "ES256") in (await source.fresh()).keys  # the old ones, at once
    await settle(source)
    ring = await source.fresh()
    assert (ring.number, set(ring.keys)) == (2, {("b", "Ed25519")})


async def test_a_due_look_is_waited_for() -> None:
    loader, clock = Loader(FIRST, SECOND), Clock()
    source = kept(loader, clock, wait=True)
    await source.fresh()
    clock.now += 300
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}


async def test_equal_keys_keep_the_ring() -> None:
    loader, clock = Loader(FIRST, None, FIRST), Clock()
    source = kept(loader, clock, wait=True)
    numbers = []
    for _ in range(3):
        numbers.append((await source.fresh()).number)
        clock.now += 300
    assert (numbers, loader.calls) == ([1, 1, 1], 3)


async def test_an_outage_is_outlived_for_a_while() -> None:
    loader, clock = Loader(FIRST, KeysError("down")), Clock()
    source = kept(loader, clock)
    await source.fresh()
    clock.now += 3900
    await source.fresh()
    await settle(source)
    assert source.problem == "down"
    clock.now += 1
    await unavailable(source)
    loader.answers = [SECOND]
    clock.now += 300
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}
    assert source.problem is None


async def test_a_long_silence_is_no_outage() -> None:
    loader, clock = Loader(FIRST, SECOND), Clock()
    source = kept(loader, clock)
    await source.fresh()
    clock.now += 100_000
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}


async def test_nothing_without_keys() -> None:
    await unavailable(kept(Loader(KeysError("down")), Clock()))
    await unavailable(kept(Loader(b"nonsense"), Clock()))


async def test_a_bad_document_keeps_the_keys() -> None:
    loader, clock = Loader(FIRST, b'{"keys":[]}'), Clock()
    source = kept(loader, clock, wait=True)
    await source.fresh()
    clock.now += 300
    assert set((await source.fresh()).keys) == {("a", "ES256")}


async def test_unknown_keys_are_looked_for_rarely() -> None:
    loader, clock = Loader(FIRST), Clock()
    source = kept(loader, clock)
    await source.fresh()
    for _ in range(50):
        await source.missed()
    assert loader.calls == 1
    clock.now += keys.MISS_SECONDS
    await asyncio.gather(*(source.missed() for _ in range(50)))
    assert loader.calls == 2


async def test_a_file_is_watched(tmp_path: Path) -> None:
    path, clock = tmp_path / "jwks.json", Clock()
    source = file_keys(path, outage=60, monotonic=clock)
    await unavailable(source)
    path.write_bytes(FIRST)
    clock.now += 1
    assert set((await source.fresh()).keys) == {("a", "ES256")}
    path.write_bytes(SECOND)
    assert set((await source.fresh()).keys) == {("a", "ES256")}
    clock.now += 1
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}
    path.write_bytes(b'{"keys": [')  # caught in the middle of a write
    clock.now += 1
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}
    path.unlink()
    clock.now += 60
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}
    clock.now += 2
    await unavailable(source)
    path.write_bytes(b" " * (keys.MAX_JWKS_BYTES + 1))
    clock.now += 1
    await unavailable(source)


class Site:
    def __init__(self) -> None:
        self.status, self.body, self.paths = 200, FIRST, list[str]()
        self.headers: dict[str, str] = {}


@contextmanager
def served(site: Site) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.paths.append(self.path)
            self.send_response(site.status)
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(site.body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_url_is_fetched() -> None:
    site, clock = Site(), Clock()
    with served(site) as url:
        source = url_keys(url, every=10, outage=5, monotonic=clock)
        assert set((await source.fresh()).keys) == {("a", "ES256")}
        site.body = SECOND
        clock.now += 10
        assert set((await source.missed()).keys) == {("b", "Ed25519")}
    clock.now += 15
    await source.missed()
    assert source.problem == "the key set cannot be fetched"
    assert set((await source.fresh()).keys) == {("b", "Ed25519")}
    clock.now += 1
    await unavailable(source)


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (302, {"Location": "/elsewhere"}, b"", "status 302"),
        (500, {}, FIRST, "status 500"),
        (200, {}, b" " * (keys.MAX_JWKS_BYTES + 1), "more than"),
        (200, {}, b"<html>", "not JSON"),
    ],
    ids=["redirect", "failure", "too big", "no JSON"],
)
async def test_answers_that_are_not_taken(status: int, headers: dict[str, str], body: bytes, problem: str) -> None:
    site = Site()
    site.status, site.headers, site.body = status, headers, body
    with served(site) as url:
        source = url_keys(url, every=10, outage=5)
        await unavailable(source)
        assert site.paths == ["/keys"]
    assert problem in (source.problem or "")


async def test_fixed_keys() -> None:
    source = FixedKeys(FIRST)
    assert isinstance(source.ring, KeyRing)
    assert await source.fresh() is await source.missed()
