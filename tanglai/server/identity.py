"""In charge of who asks: a bearer token (RFC 6750, RFC 9068) verified into claims, claims turned into a principal."""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from authz.principal import Principal, TokenScope
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import OrganisationKind, Snapshot
from tanglai.server.keys import Keys

ALGORITHMS = ("ES256", "Ed25519", "RS256")
MAX_TOKEN_BYTES = 8192
MAX_CLAIM_CHARACTERS = 256
MAX_LIST = 256
LEEWAY_SECONDS = 30.0
MAX_TIME = 253_402_300_799.0  # the last second of the year 9999
CACHED_TOKENS = 10_000
TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})

_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `expires_at` is seconds since 1970; the token is dead LEEWAY_SECONDS after it."""

    department: str
    client: str
    person: str | None
    roles: frozenset[str]
    scopes: frozenset[TokenScope] | None
    purposes: frozenset[str]
    token_id: str | None
    expires_at: float

    @property
    def dead_at(self) -> float:
        return self.expires_at + LEEWAY_SECONDS


def unauthenticated() -> TanglaiError:
    """The one answer to every missing, malformed, forged, foreign or expired token."""
    return TanglaiError(ErrorCode.UNAUTHENTICATED, "a valid bearer token is needed")


class _Refused(Exception):
    """The token is not good; why is nobody's business."""


class TokenVerifier:
    """Verifies tokens of one issuer for one audience.

    INVARIANT: a token is accepted only under a key of `keys` that is in its current ring; verified tokens are
    remembered until they expire and forgotten together when the ring changes.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
        cached: int = CACHED_TOKENS,
    ) -> None:
        self._keys, self._issuer, self._audience, self._clock, self._cached = keys, issuer, audience, clock, cached
        self._known: OrderedDict[str, Claims] = OrderedDict()
        self._ring = -1

    async def verify(self, token: str) -> Claims:
        """The claims of `token`. Raises TanglaiError: UNAUTHENTICATED, or POLICY_UNAVAILABLE without usable keys."""
        ring = await self._keys.fresh()
        if ring.number != self._ring:
            self._known.clear()
            self._ring = ring.number
        claims = self._known.get(token)
        if claims is not None:
            if self._clock() < claims.dead_at:
                self._known.move_to_end(token)
                return claims
            del self._known[token]
            raise unauthenticated()
        try:
            algorithm, kid = _read_header(token)
            key = ring.find(kid, algorithm)
            if key is None:
                ring = await self._keys.missed()
                key = ring.find(kid, algorithm)
            if key is None:
                raise _Refused
            payload = jwt.decode(token, key, algorithms=[algorithm], registry=_REGISTRY).claims
            claims = self._judge(payload)
        except (_Refused, JoseError, ValueError, TypeError, RecursionError):
            raise unauthenticated() from None
        if ring.number == self._ring:
            self._known[token] = claims
            if len(self._known) > self._cached:
                self._known.popitem(last=False)
        return claims

    def _judge(self, payload: Mapping[str, Any]) -> Claims:
        now = self._clock()
        if payload.get("iss") != self._issuer:
            raise _Refused
        audience = payload.get("aud")
        if audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise _Refused
        expires = _moment(payload, "exp")
        if expires is None or now >= expires + LEEWAY_SECONDS:
            raise _Refused
        for name in ("nbf", "iat"):
            moment = _moment(payload, name)
            if moment is not None and (moment > now + LEEWAY_SECONDS or moment > expires):
                raise _Refused
        subject, client = _text(payload.get("sub")), _text(payload.get("client_id"))
        token_id = payload.get("jti")
        return Claims(
            department=_text(payload.get("dept")),
            client=client,
            person=None if subject == client else subject,
            roles=_texts(payload.get("roles")),
            scopes=_scopes(payload["scope"]) if "scope" in payload else None,
            purposes=_texts(payload.get("purpose")),
            token_id=None if token_id is None else _text(token_id),
            expires_at=expires,
        )


def _read_header(token: str) -> tuple[str, str | None]:
    """Algorithm and key id of a token that is worth looking at; nothing else of the header is ever used."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
        raise _Refused
    encoded = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        raise _Refused from None
    if not isinstance(header, dict) or header.keys() & {"crit", "b64", "zip"}:
        raise _Refused
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or not isinstance(kid, str | None):
        raise _Refused
    if not isinstance(kind, str) or kind.lower() not in TOKEN_TYPES:
        raise _Refused
    return algorithm, kid


def _moment(payload: Mapping[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIME:
        raise _Refused
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CLAIM_CHARACTERS or not value.isprintable():
        raise _Refused
    return value


def _texts(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise _Refused
    return frozenset(_text(one) for one in value)


def _scopes(value: Any) -> frozenset[TokenScope]:
    """Token scopes `resource[:item]`; an empty claim allows nothing. A scope that cannot be read refuses the token."""
    if not isinstance(value, str) or len(value.split(" ")) > MAX_LIST:
        raise _Refused
    scopes = []
    for text in value.split(" ") if value else ():
        resource, colon, item = _text(text).partition(":")
        if not resource or (colon and not item):
            raise _Refused
        scopes.append(TokenScope(resource, item if colon else None))
    return frozenset(scopes)


def principal_from_claims(claims: Claims, snapshot: Snapshot) -> Principal:
    """Who asks, as the snapshot knows the department.

    Raises TanglaiError NOT_A_DEPARTMENT for a department that is not registered or not active, and for a
    public-service enterprise, which provides through its department and does not request (Art. 4(3)).
    """
    department = snapshot.departments.get(claims.department)
    if department is None or not department.active:
        raise TanglaiError(ErrorCode.NOT_A_DEPARTMENT, "the token names no active department of this platform")
    if department.kind is OrganisationKind.PUBLIC_SERVICE_ENTERPRISE:
        raise TanglaiError(
            ErrorCode.NOT_A_DEPARTMENT,
            "a public-service enterprise shares through its department and does not request",
            article="Measures Art. 4(3)",
        )
    return Principal(
        department=department,
        client=claims.client,
        person=claims.person,
        roles=claims.roles,
        scopes=claims.scopes,
        purposes=claims.purposes,
        token_id=claims.token_id,
    )


class Entrance:
    """Turns a token into a principal of the catalogue as it is now.

    `snapshot` gives the confirmed snapshot and raises TanglaiError POLICY_UNAVAILABLE when there is none.
    """

    def __init__(self, verifier: TokenVerifier, snapshot: Callable[[], Awaitable[Snapshot]]) -> None:
        self._verifier, self._snapshot = verifier, snapshot
        self._admitted: OrderedDict[str, tuple[Claims, Principal]] = OrderedDict()

    async def admit(self, token: str) -> tuple[Principal, Claims]:
        """Who holds `token`. Raises TanglaiError UNAUTHENTICATED, NOT_A_DEPARTMENT or POLICY_UNAVAILABLE.

        INVARIANT: a principal is used again only for the very claims it was made from and the very department: an
        active one, which the confirmed snapshot still has.
        """
        claims = await self._verifier.verify(token)
        snapshot = await self._snapshot()
        known = self._admitted.get(token)
        if (
            known is not None
            and known[0] is claims
            and known[1].department is snapshot.departments.get(claims.department)
        ):
            return known[1], claims
        principal = principal_from_claims(claims, snapshot)
        self._admitted[token] = claims, principal
        if len(self._admitted) > CACHED_TOKENS:
            self._admitted.popitem(last=False)
        return principal, claims


def bearer(values: list[str]) -> str:
    """The token of the `Authorization` headers of a request. Raises UNAUTHENTICATED unless there is exactly one."""
    if len(values) != 1:
        raise unauthenticated()
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated()
    return token
