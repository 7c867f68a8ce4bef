"""In charge of the settings: one typed, frozen object read from the `TANGLAI_` environment variables."""

import base64
import ipaddress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tanglai.catalogue.model import Zone
from tanglai.catalogue.workflow.webhooks import AllowedHosts
from tanglai.storage.keys import KEY_BYTES

PREFIX = "TANGLAI_"


class SettingsError(ValueError):
    """The environment does not make valid settings; the message names the variables and never shows their values."""


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, brackets of IPv6 allowed) can only mean this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """Every setting of a node; docs/settings.md has one heading for each. An empty variable means the default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an error must not print a key or a database's password
    )

    # The node
    node: str = Field(default="node", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    zone: Zone = Zone.EXTRANET
    rule_set: str = Field(default="ningxia-measures", pattern=r"^[a-z0-9-]{1,64}$")

    # State
    database_url: str = Field(default="", repr=False)
    state_dir: Path = Path(".tanglai")
    key: str = Field(default="", repr=False)

    # Listening
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    shutdown_seconds: float = Field(default=20, ge=0)

    # Identity
    jwks: str = ""
    jwks_refresh_seconds: float = Field(default=300, ge=1)
    jwks_outage_seconds: float = Field(default=3600, ge=0)
    issuer: str = ""
    audience: str = "tanglai"
    demo_issuer: bool = False

    # Limits of one request
    max_body_bytes: int = Field(default=524_288, ge=1024)
    max_import_bytes: int = Field(default=16_777_216, ge=1024, le=33_554_432)
    max_document_bytes: int = Field(default=65_536, ge=256)
    max_variables_bytes: int = Field(default=262_144, ge=2)
    max_tokens: int = Field(default=8_000, ge=1)
    max_depth: int = Field(default=16, ge=1)
    max_fields: int = Field(default=2_000, ge=1)
    max_roots: int = Field(default=64, ge=1)
    max_page: int = Field(default=1_000, ge=1, le=1_000)
    source_seconds: float = Field(default=10, gt=0)
    request_seconds: float = Field(default=30, gt=0)
    body_seconds: float = Field(default=10, gt=0)
    max_export_rows: int = Field(default=1_000_000, ge=1, le=100_000_000)
    export_seconds: float = Field(default=3_600, gt=0)
    export_idle_seconds: float = Field(default=30, gt=0)

    # Limits of one process
    max_concurrent: int = Field(default=256, ge=1)
    max_websockets: int = Field(default=1_000, ge=0)
    max_operations: int = Field(default=32, ge=1)
    max_exports: int = Field(default=4, ge=0)
    max_subscriptions: int = Field(default=2_000, ge=0)
    websocket_init_seconds: float = Field(default=10, gt=0)
    audit_queue: int = Field(default=10_000, ge=1)
    audit_seconds: float = Field(default=10, gt=0)
    compress_from_bytes: int = Field(default=0, ge=0)

    # Webhooks
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = ()

    # Observation
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, tuple):
            for origin in value:
                parts = urlsplit(origin)
                if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin:
                    raise ValueError(f"an origin has the form `https://host[:port]`, not `{origin}`")
        return value

    @field_validator("webhook_hosts", mode="before")
    @classmethod
    def _webhook_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, tuple):
            AllowedHosts.read(value)
        return value

    @field_validator("key")
    @classmethod
    def _sealing_key(cls, value: str) -> str:
        if value:
            _decode_key(value)
        return value

    @field_validator("jwks")
    @classmethod
    def _jwks(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("keys are fetched by https, by http from this machine only")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.jwks and not self.issuer:
            raise ValueError("`jwks` needs `issuer`: the `iss` that tokens must carry")
        if self.demo_issuer and self.jwks:
            raise ValueError("`demo_issuer` and `jwks` exclude each other")
        if self.demo_issuer and not is_loopback(self.host):
            raise ValueError(f"`demo_issuer` hands tokens to anybody and refuses to listen on `{self.host}`")
        if self.metrics_port and self.metrics_port + self.workers > 65536:
            raise ValueError(f"`metrics_port` {self.metrics_port} leaves no ports for {self.workers} `workers`")
        return self

    @cached_property
    def key_bytes(self) -> bytes | None:
        """The 32 bytes of `key`, None when it is not set."""
        return _decode_key(self.key) if self.key else None


def load(**overrides: Any) -> Settings:
    """The settings of this process: the environment, overridden by `overrides`. Raises SettingsError."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = (
            f"{'.'.join((PREFIX + str(part)).upper() for part in problem['loc'][:1]) or 'settings'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError("; ".join(problems)) from None


def _decode_key(text: str) -> bytes:
    """Base64, standard or URL-safe, padded or not."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise ValueError("a key is base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return key
