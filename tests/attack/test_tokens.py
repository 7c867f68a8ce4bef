"""Tokens that claim more than was signed, or sign less than is claimed."""

import base64
import hashlib
import hmac
import time
from typing import Any

import orjson
import pytest

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server.identity import TokenVerifier, bearer, principal_from_claims
from tanglai.server.keys import FixedKeys
from tests.attack.book import Book
from tests.cases import case
from tests.unit.server import samples
from tests.unit.server.samples import EC, OTHER_EC, POLICE, RSA, claims, token

book = Book(__name__, "Tokens claim nothing that was not signed")
row = book.row

KEYS = samples.jwks(("a", EC), ("c", RSA))


def verifier() -> TokenVerifier:
    return TokenVerifier(FixedKeys(KEYS), issuer=samples.ISSUER, audience=samples.AUDIENCE)


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    return f"{encoded(header)}.{encoded(claims())}.{signature}"


def by_secret(secret: bytes, algorithm: str = "HS256") -> str:
    text = f"{encoded({'alg': algorithm, 'kid': 'a', 'typ': 'at+jwt'})}.{encoded(claims())}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def other_payload(**changes: Any) -> str:
    """A good signature over other claims."""
    header, _, signature = token(claims()).split(".")
    return f"{header}.{encoded(claims(**changes))}.{signature}"


GOOD_KEY = {**OTHER_EC.as_dict(private=False), "kid": "a"}
PEM = EC.as_pem(private=False)
NOW = int(time.time())

FORGED = [
    row(601, "`alg: none`", "three algorithms", unsigned({"alg": "none", "kid": "a"})),
    row(602, "`alg: None`", "three algorithms", unsigned({"alg": "None", "kid": "a"})),
    row(603, "HS256 with the public key as the secret", "three algorithms", by_secret(PEM)),
    row(604, "HS256 under the name of ES256", "the key has its algorithm", by_secret(PEM, "ES256")),
    row(605, "A key of one's own in the header (`jwk`)", "only `alg`, `kid` and `typ` are read",
        token(claims(), OTHER_EC, jwk=GOOD_KEY)),
    row(606, "A key set of one's own in the header (`jku`)", "only `alg`, `kid` and `typ` are read",
        token(claims(), OTHER_EC, jku="https://evil.example.invalid/jwks")),
    row(607, "A certificate of one's own (`x5u`)", "only `alg`, `kid` and `typ` are read",
        token(claims(), OTHER_EC, x5u="https://evil.example.invalid/x")),
    row(608, "`kid` as a path", "a name among the keys", token(claims(), OTHER_EC, kid="../../dev/null")),
    row(609, "`kid` of another algorithm's key", "a key has its algorithm", token(claims(), EC, kid="c")),
    row(610, "`kid` as a number", "a text", unsigned({"alg": "ES256", "kid": 1}, "AAAA")),
    row(611, "Unknown critical headers (`crit`)", "refused", unsigned({"alg": "ES256", "crit": ["x"], "x": 1}, "AAAA")),
    row(612, "An unencoded payload (`b64: false`)", "refused", unsigned({"alg": "ES256", "b64": False}, "AAAA")),
    row(613, "A token of another type (`typ: dpop+jwt`)", "three types", token(claims(), typ="dpop+jwt")),
    row(614, "Another department under a good signature", "the signature covers the claims",
        other_payload(dept="11640000MB1A000034")),
    row(615, "More roles under a good signature", "the signature covers the claims", other_payload(roles=["admin"])),
    row(616, "A signature of zeros", "the signature", unsigned({"alg": "ES256", "kid": "a"}, "A" * 86)),
    row(617, "No signature", "the signature", token(claims()).rpartition(".")[0] + "."),
    row(618, "Another issuer", "compared exactly", token(claims(iss=samples.ISSUER + "/"))),
    row(619, "Another audience", "compared exactly", token(claims(aud="Tanglai"))),
    row(620, "An audience that holds ours in a longer text", "compared exactly", token(claims(aud="tanglai other"))),
    row(621, "An expired token", "30 s of leeway", token(claims(exp=NOW - 100, iat=NOW - 200))),
    row(622, "No end", "`exp` is needed", token(claims(exp=None))),
    row(623, "An end that is a text, true or infinite", "a number", token(claims(exp="9999999999"))),
    row(624, "An end of true", "a number", token(claims(exp=True))),
    row(625, "A beginning tomorrow", "`nbf`", token(claims(nbf=NOW + 86_400))),
    row(626, "Two departments in a list", "one text", token(claims(dept=[POLICE, "11640000MB1A000034"]))),
    row(627, "Roles as a text that holds the role", "a list", token(claims(roles="data.own"))),
    row(628, "Roles as an object", "a list", token(claims(roles={"data.own": True}))),
    row(629, "Purposes as a text", "a list", token(claims(purpose="verify"))),
    row(630, "A purpose that is no text", "texts", token(claims(purpose=[["verify"]]))),
    row(631, "A scope as a list", "a text", token(claims(scope=["1010101/1"]))),
    row(632, "A scope of null", "a text", token({**claims(), "scope": None})),
    row(633, "A scope with nothing after the colon", "refused", token(claims(scope="1010101/1:"))),
    row(634, "A scope with two spaces, a tab or a line", "refused", token(claims(scope="1010101/1  1010101/2"))),
    row(635, "A scope with a tab", "refused", token(claims(scope="1010101/1\t1010101/2"))),
    row(636, "No client", "`client_id` is needed", token(claims(client_id=None))),
    row(637, "A client with a line in it, for the log", "printable", token(claims(client_id="a\nb"))),
    row(638, "A client of 10,000 letters", "256 at most", token(claims(client_id="a" * 300))),
]  # fmt: skip


@case(38)
@pytest.mark.parametrize("text", FORGED)
async def test_refused_in_one_way(text: str) -> None:
    with pytest.raises(TanglaiError) as caught:
        await verifier().verify(text)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    assert caught.value.message == "a valid bearer token is needed"


@case(38, twin=True)
async def test_the_good_token_passes() -> None:
    """Positive twin."""
    assert (await verifier().verify(token(claims()))).department == POLICE


DEPARTMENTS = [
    row(639, "A department in small letters", "compared exactly", POLICE.lower()),
    row(640, "A department in full-width digits", "compared exactly", POLICE.translate({48: "０"})),
    row(641, "A department with a space after it", "compared exactly", POLICE + " "),
    row(642, "A department with a zero-width letter", "printable characters only", POLICE + "\u200b"),
    row(643, "A closed department", "active departments", samples.CLOSED),
    row(644, "A public-service enterprise", "Measures Art. 4(3)", samples.WATERWORKS),
    row(645, "A department's key instead of its code", "compared exactly", "public-security"),
]  # fmt: skip


@pytest.mark.parametrize("code", DEPARTMENTS)
async def test_no_department(code: str) -> None:
    with pytest.raises(TanglaiError) as caught:
        principal_from_claims(await verifier().verify(token(claims(dept=code))), samples.snapshot())
    assert caught.value.code in (ErrorCode.NOT_A_DEPARTMENT, ErrorCode.UNAUTHENTICATED)


@book.attempt(646, "Narrow to nothing and get everything: `scope` empty", "an empty scope allows nothing")
async def test_an_empty_scope_is_no_missing_one() -> None:
    assert (await verifier().verify(token(claims(scope="")))).scopes == frozenset()
    assert (await verifier().verify(token(claims(scope=None)))).scopes is None


@book.attempt(647, "No purpose claim and get every purpose", "no claim, no purpose")
async def test_no_purpose_claim() -> None:
    assert (await verifier().verify(token(claims(purpose=None)))).purposes == frozenset()


@pytest.mark.parametrize("values", [[], ["Bearer a", "Bearer b"], ["Basic a"], ["Bearer"], ["Bearer "], ["a"]])
@book.attempt(648, "Two tokens, other schemes, none", "exactly one bearer token")
def test_authorization_headers(values: list[str]) -> None:
    with pytest.raises(TanglaiError):
        bearer(values)
