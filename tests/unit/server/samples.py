"""A small snapshot and signing keys that the server's tests share."""

import time
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tanglai.catalogue.model import Department, Level, OrganisationKind, Snapshot, Zone

ISSUER = "https://login.example.invalid/nx"
AUDIENCE = "tanglai"
POLICE = "11640000010083217D"
CLOSED = "11640000010083300K"
WATERWORKS = "91640100227680137G"


def department(code: str, key: str, **changes: Any) -> Department:
    values: dict[str, Any] = {"name": key, "name_en": key, "level": Level.REGION, "division": "640000"}
    return Department(code=code, key=key, **{**values, **changes})


def snapshot(number: int = 1, **changes: Any) -> Snapshot:
    departments = (
        department(POLICE, "public-security", name="公安厅", name_en="Public Security"),
        department(CLOSED, "closed", active=False),
        department(WATERWORKS, "waterworks", kind=OrganisationKind.PUBLIC_SERVICE_ENTERPRISE),
    )
    values: dict[str, Any] = {
        "zone": Zone.EXTRANET,
        "rule_set": "ningxia-measures",
        "departments": {one.code: one for one in departments},
        "divisions": {},
        "purposes": {},
        "categories": {},
        "sources": {},
        "resources": {},
    }
    return Snapshot(number=number, **{**values, **changes})


EC = ECKey.generate_key("P-256")
OTHER_EC = ECKey.generate_key("P-256")
OKP = OKPKey.generate_key("Ed25519")
RSA = RSAKey.generate_key(2048)
OCT = OctKey.generate_key(256)


def jwks(*keys: tuple[str | None, Any], **extra: Any) -> bytes:
    """A JWK Set of the public halves, one (kid, key) pair each."""
    entries = []
    for kid, key in keys:
        entry = {**key.as_dict(private=False), **extra}
        if kid is not None:
            entry["kid"] = kid
        entries.append(entry)
    return orjson.dumps({"keys": entries})


def claims(now: float | None = None, **changes: Any) -> dict[str, Any]:
    """Good claims; a change of None takes a claim away."""
    now = time.time() if now is None else now
    good: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "officer-7",
        "client_id": "desk",
        "dept": POLICE,
        "roles": ["data.own"],
        "scope": "1010101/1 1010101/2:name",
        "purpose": ["verify"],
        "iat": int(now),
        "exp": int(now) + 600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(
    payload: dict[str, Any], key: Any = EC, algorithm: str = "ES256", kid: str | None = "a", **header: Any
) -> str:
    full: dict[str, Any] = {"alg": algorithm, **header}
    if kid is not None:
        full["kid"] = kid
    return jwt.encode(full, payload, key, algorithms=[algorithm])
