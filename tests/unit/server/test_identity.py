"""Tokens in, claims and principals out; everything else is refused in one way."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws

from authz.principal import TokenScope
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import identity
from tanglai.server.identity import LEEWAY_SECONDS, TokenVerifier, bearer, principal_from_claims
from tanglai.server.keys import FixedKeys, KeyRing, read_jwks
from tests.unit.server import samples
from tests.unit.server.samples import claims, jwks, token

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class ChangingKeys:
    """Keys that a test rotates; counts the looks for an unknown key."""

    def __init__(self, document: bytes) -> None:
        self.ring = KeyRing(1, read_jwks(document))
        self.next: bytes | None = None
        self.misses = 0

    def rotate(self, document: bytes) -> None:
        self.ring = KeyRing(self.ring.number + 1, read_jwks(document))

    async def fresh(self) -> KeyRing:
        return self.ring

    async def missed(self) -> KeyRing:
        self.misses += 1
        if self.next is not None:
            self.rotate(self.next)
            self.next = None
        return self.ring


ALL_KEYS = jwks(("a", samples.EC), ("b", samples.OKP), ("c", samples.RSA))


def verifier(keys: Any = None, clock: Clock | None = None, **options: Any) -> TokenVerifier:
    return TokenVerifier(
        keys or FixedKeys(ALL_KEYS),
        issuer=samples.ISSUER,
        audience=samples.AUDIENCE,
        clock=clock or Clock(),
        **options,
    )


async def refused(text: str, judge: TokenVerifier | None = None) -> None:
    with pytest.raises(TanglaiError) as caught:
        await (judge or verifier()).verify(text)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    assert caught.value.message == "a valid bearer token is needed"
    assert not caught.value.extensions
    assert caught.value.__cause__ is None


async def test_a_good_token_becomes_claims() -> None:
    got = await verifier().verify(token(claims(NOW, jti="t-1")))
    assert got.department == samples.POLICE
    assert (got.client, got.person) == ("desk", "officer-7")
    assert got.roles == {"data.own"}
    assert got.scopes == frozenset({TokenScope("1010101/1"), TokenScope("1010101/2", "name")})
    assert got.purposes == {"verify"}
    assert got.token_id == "t-1"
    assert got.dead_at == NOW + 600 + LEEWAY_SECONDS


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(samples.EC, "ES256", "a"), (samples.OKP, "Ed25519", "b"), (samples.RSA, "RS256", "c")],
    ids=["ES256", "Ed25519", "RS256"],
)
async def test_every_allowed_algorithm(key: Any, algorithm: str, kid: str) -> None:
    assert (await verifier().verify(token(claims(NOW), key, algorithm, kid))).client == "desk"


async def test_optional_claims_may_be_missing() -> None:
    got = await verifier().verify(token(claims(NOW, sub="desk", roles=None, scope=None, purpose=None, iat=None)))
    assert got.person is None
    assert got.roles == frozenset()
    assert got.scopes is None  # narrows nothing
    assert got.purposes == frozenset()


async def test_an_empty_scope_allows_nothing() -> None:
    assert (await verifier().verify(token(claims(NOW, scope="")))).scopes == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example.invalid"},
        {"iss": None},
        {"iss": [samples.ISSUER]},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": {"tanglai": 1}},
        {"exp": None},
        {"exp": NOW - LEEWAY_SECONDS},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": 1e300},
        {"exp": -1},
        {"nbf": NOW + LEEWAY_SECONDS + 1},
        {"nbf": "soon"},
        {"iat": NOW + LEEWAY_SECONDS + 1},
        {"iat": NOW + 500, "exp": NOW + 400},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"client_id": None},
        {"client_id": "a\nb"},
        {"client_id": "x" * 257},
        {"dept": None},
        {"dept": [samples.POLICE]},
        {"roles": "data.own"},
        {"roles": [1]},
        {"roles": ["r"] * 257},
        {"purpose": "verify"},
        {"purpose": [["verify"]]},
        {"scope": ["1010101/1"]},
        {"scope": "1010101/1  1010101/2"},
        {"scope": ":name"},
        {"scope": "1010101/1:"},
        {"jti": 5},
    ],
    ids=str,
)
async def test_claims_that_are_refused(changes: dict[str, Any]) -> None:
    await refused(token(claims(NOW, **changes)))


async def test_nan_is_no_time() -> None:
    text = json.dumps(claims(NOW) | {"exp": float("nan")})
    await refused(jws.serialize_compact({"alg": "ES256", "kid": "a"}, text, samples.EC, algorithms=["ES256"]))


@pytest.mark.parametrize("changes", [{"exp": NOW - LEEWAY_SECONDS + 1}, {"nbf": NOW + LEEWAY_SECONDS}], ids=str)
async def test_clocks_may_differ_a_little(changes: dict[str, Any]) -> None:
    await verifier().verify(token(claims(NOW, iat=None, **changes) | ({"exp": NOW + 600} if "nbf" in changes else {})))


async def test_several_audiences() -> None:
    await verifier().verify(token(claims(NOW, aud=["x", samples.AUDIENCE])))


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    return ".".join((part(json.dumps(header).encode()), part(json.dumps(payload).encode()), part(signature)))


async def test_algorithm_none() -> None:
    for name in ("none", "None", "NONE", ""):
        await refused(unsigned({"alg": name, "kid": "a"}, claims(NOW)))


async def test_a_public_key_is_no_shared_secret() -> None:
    plain = unsigned({"alg": "HS256", "kid": "c"}, claims(NOW)).removesuffix(".")
    seal = hmac.digest(samples.RSA.as_pem(private=False), plain.encode(), "sha256")
    await refused(f"{plain}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}")
    await refused(token(claims(NOW), samples.OCT, "HS256", "a"))


async def test_a_key_serves_its_own_algorithm_only() -> None:
    await refused(token(claims(NOW), samples.RSA, "PS256", "c"))
    await refused(token(claims(NOW), samples.RSA, "RS256", "a"))


async def test_a_foreign_key_under_a_known_name() -> None:
    await refused(token(claims(NOW), samples.OTHER_EC))


async def test_keys_in_the_header_are_not_followed() -> None:
    public = samples.OTHER_EC.as_dict(private=False)
    await refused(token(claims(NOW), samples.OTHER_EC, jwk=public))
    await refused(token(claims(NOW), samples.OTHER_EC, kid=None, jku="http://127.0.0.1:1/keys"))


async def test_critical_headers_are_refused() -> None:
    for header in ({"crit": ["exp"], "exp": 1}, {"b64": True}, {"zip": "DEF"}):
        await refused(unsigned({"alg": "ES256", "kid": "a", **header}, claims(NOW), b"x" * 64))


@pytest.mark.parametrize("kind", ["logout+jwt", "id_token", 7, ["JWT"]], ids=str)
async def test_other_kinds_of_token(kind: Any) -> None:
    await refused(unsigned({"alg": "ES256", "kid": "a", "typ": kind}, claims(NOW), b"x" * 64))


async def test_access_token_type() -> None:
    await verifier().verify(token(claims(NOW), typ="at+jwt"))


async def test_a_changed_payload() -> None:
    head, _, sign = token(claims(NOW)).split(".")
    body = unsigned({}, claims(NOW, dept="11640000010083000X")).split(".")[1]
    await refused(f"{head}.{body}.{sign}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        "é.é.é",
        "x" * 9000,
        ".".join(["A" * 3000] * 3),
        base64.urlsafe_b64encode(b"[" * 4000).decode() + ".e30.AA",
        base64.urlsafe_b64encode(b"[]").decode() + ".e30.AA",
        base64.urlsafe_b64encode(b"null").decode() + ".e30.AA",
        base64.urlsafe_b64encode(b'{"alg":"ES256","kid":1}').decode() + ".e30.AA",
        base64.urlsafe_b64encode(b'{"alg":["ES256"]}').decode() + ".e30.AA",
        base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"a"}').decode() + ".e30.",
        base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"a"}').decode() + ".\x00.\x00",
    ],
    ids=range(16),
)
async def test_what_is_no_token(text: str) -> None:
    await refused(text)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,90}"))
async def test_no_text_raises_anything_else(text: str) -> None:
    await refused(text)


@given(st.data())
async def test_no_flipped_character_passes(data: st.DataObject) -> None:
    good = GOOD
    position = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."))
    if other == good[position]:
        return
    changed = good[:position] + other + good[position + 1 :]
    head, _, sign = good.rpartition(".")
    if changed.rpartition(".")[0] == head and _decoded(changed.rpartition(".")[2]) == _decoded(sign):
        return  # the spare bits of the last base64 character
    await refused(changed)


GOOD = token(claims(NOW))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None


async def test_a_deeply_nested_signed_payload() -> None:
    text = "[" * 3000 + "]" * 3000
    await refused(jws.serialize_compact({"alg": "ES256", "kid": "a"}, text, samples.EC, algorithms=["ES256"]))


async def test_the_cache_ends_with_the_token() -> None:
    clock = Clock()
    judge, text = verifier(clock=clock), token(claims(NOW))
    await judge.verify(text)
    clock.now = NOW + 600 + LEEWAY_SECONDS - 1
    await judge.verify(text)
    clock.now += 1
    await refused(text, judge)
    clock.now = NOW
    await judge.verify(text)  # forgotten, verified anew


async def test_the_cache_ends_with_the_key() -> None:
    keys = ChangingKeys(jwks(("a", samples.EC)))
    judge, text = verifier(keys), token(claims(NOW))
    first = await judge.verify(text)
    assert await judge.verify(text) is first
    keys.rotate(jwks(("a", samples.OTHER_EC)))
    await refused(text, judge)
    keys.rotate(jwks(("a", samples.EC)))
    assert await judge.verify(text) is not first


async def test_an_unknown_key_is_looked_for() -> None:
    keys = ChangingKeys(jwks(("old", samples.OTHER_EC)))
    keys.next = jwks(("a", samples.EC))
    judge, text = verifier(keys), token(claims(NOW))
    await judge.verify(text)
    await judge.verify(text)
    assert keys.misses == 1


async def test_the_cache_is_bounded() -> None:
    judge = verifier(cached=3)
    texts = [token(claims(NOW, jti=str(number))) for number in range(5)]
    seen = [await judge.verify(text) for text in texts]
    again = [await judge.verify(text) for text in reversed(texts)]
    assert [one is other for one, other in zip(again, reversed(seen), strict=True)] == [True, True, True, False, False]


async def test_without_key_id_the_key_must_be_the_only_one() -> None:
    text = token(claims(NOW), kid=None)
    await verifier(FixedKeys(jwks(("x", samples.EC), ("y", samples.OKP)))).verify(text)
    await refused(text, verifier(FixedKeys(jwks(("x", samples.EC), ("y", samples.OTHER_EC)))))


async def test_principal() -> None:
    got = principal_from_claims(await verifier().verify(token(claims(NOW, jti="t"))), samples.snapshot())
    assert got.department.key == "public-security"
    assert (got.client, got.person, got.token_id) == ("desk", "officer-7", "t")
    assert got.purposes == {"verify"}


@pytest.mark.parametrize("code", ["11640000000000000A", samples.CLOSED, samples.WATERWORKS])
async def test_who_is_no_department(code: str) -> None:
    got = await verifier().verify(token(claims(NOW, dept=code)))
    with pytest.raises(TanglaiError) as caught:
        principal_from_claims(got, samples.snapshot())
    assert caught.value.code is ErrorCode.NOT_A_DEPARTMENT
    assert code not in caught.value.message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["Bearer abc"], "abc"),
        (["bearer abc"], "abc"),
        (["BEARER  abc "], "abc"),
        ([], None),
        (["Bearer a", "Bearer a"], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["Basic abc"], None),
        (["abc"], None),
        ([""], None),
    ],
    ids=str,
)
def test_authorization_header(values: list[str], expected: str | None) -> None:
    if expected is not None:
        assert bearer(values) == expected
        return
    with pytest.raises(TanglaiError) as caught:
        bearer(values)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


def test_the_allow_list() -> None:
    assert identity.ALGORITHMS == ("ES256", "Ed25519", "RS256")
