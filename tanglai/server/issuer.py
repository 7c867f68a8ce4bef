"""In charge of the demo issuer: a key pair kept in the state folder and the tokens it signs, on this machine only."""

import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from tanglai.server.kept import KeptSecretError, kept_secret
from tanglai.server.settings import Settings

ISSUER = "tanglai-demo"
ALGORITHM = "ES256"
KEY_FILE = "demo-issuer.json"
DEFAULT_LIFETIME = 3600


class IssuerError(RuntimeError):
    """The demo issuer is off or its key file cannot be used."""


class DemoIssuer:
    """Signs tokens for anybody who may read the state folder; exists only where `demo_issuer` is on."""

    def __init__(self, key: ECKey, *, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._key, self._audience, self._clock = key, audience, clock
        self._kid = key.thumbprint()

    @classmethod
    def open(cls, settings: Settings, *, clock: Callable[[], float] = time.time) -> "DemoIssuer":
        """The issuer of `settings.state_dir`, its key made on first use. Raises IssuerError."""
        if not settings.demo_issuer:
            raise IssuerError("the demo issuer is off: set `TANGLAI_DEMO_ISSUER=1` on a demo machine")
        return cls(_kept_key(settings.state_dir / KEY_FILE), audience=settings.audience, clock=clock)

    @property
    def jwks(self) -> bytes:
        """The public half as a JWK Set."""
        entry = {**self._key.as_dict(private=False), "kid": self._kid, "alg": ALGORITHM, "use": "sig"}
        return orjson.dumps({"keys": [entry]})

    def issue(
        self,
        department_code: str,
        *,
        client: str = "demo",
        person: str | None = None,
        purposes: Iterable[str] = (),
        scopes: Iterable[str] | None = None,
        roles: Iterable[str] = (),
        lifetime: int = DEFAULT_LIFETIME,
    ) -> str:
        """A signed token with the claims of authorization.md; `scopes` None narrows nothing; `lifetime` in seconds."""
        now = int(self._clock())
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": person or client,
            "client_id": client,
            "dept": department_code,
            "roles": sorted(set(roles)),
            "purpose": list(dict.fromkeys(purposes)),
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(16),
        }
        if scopes is not None:
            claims["scope"] = " ".join(scopes)
        header = {"alg": ALGORITHM, "kid": self._kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM], default_type="at+jwt")


def _kept_key(path: Path) -> ECKey:
    """The private key of `path`, made there if there is none. Raises IssuerError."""
    try:
        text = kept_secret(path, lambda: orjson.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    except KeptSecretError as error:
        raise IssuerError(str(error)) from None
    try:
        key = ECKey.import_key(orjson.loads(text))
        key.get_op_key("sign")
    except (JoseError, ValueError, TypeError, KeyError):
        raise IssuerError(f"`{path}` holds no private key") from None
    return key
