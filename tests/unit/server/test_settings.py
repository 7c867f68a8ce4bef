"""Settings: read from the environment, refused when they cannot hold together, never printed with their secrets."""

import base64
from pathlib import Path

import pytest

from tanglai.catalogue.model import Zone
from tanglai.server.settings import Settings, SettingsError, is_loopback, load

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TANGLAI_{name.upper()}", raising=False)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PORT": "9000",
        "ZONE": "INTRANET",
        "STATE_DIR": "/var/lib/tanglai",
        "KEY": KEY,
        "ALLOWED_ORIGINS": "https://app.example.invalid, http://localhost:5173",
        "HOST": "",
    }.items():
        monkeypatch.setenv(f"TANGLAI_{name}", value)
    settings = load()
    assert (settings.port, settings.zone, settings.state_dir) == (9000, Zone.INTRANET, Path("/var/lib/tanglai"))
    assert settings.key_bytes == bytes(range(32))
    assert settings.allowed_origins == ("https://app.example.invalid", "http://localhost:5173")
    assert settings.host == "127.0.0.1"  # empty: the default
    assert load(port=1).port == 1


def test_a_key_may_be_written_for_urls() -> None:
    key = bytes([251, 255] * 16)
    assert Settings(key=base64.urlsafe_b64encode(key).decode().rstrip("=")).key_bytes == key
    assert Settings(key=base64.b64encode(key).decode()).key_bytes == key


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "70000"}, "TANGLAI_PORT"),
        ({"ZONE": "BOTH"}, "TANGLAI_ZONE"),
        ({"KEY": "secret-that-is-not-base64"}, "TANGLAI_KEY: a key is base64"),
        ({"KEY": "c2VjcmV0"}, "TANGLAI_KEY: a key has 32 bytes, not 6"),
        ({"MAX_PAGE": "1001"}, "TANGLAI_MAX_PAGE"),
        ({"JWKS": "/keys.json"}, "`jwks` needs `issuer`"),
        ({"JWKS": "http://keys.example.invalid/", "ISSUER": "x"}, "TANGLAI_JWKS: keys are fetched by https"),
        ({"JWKS": "k", "ISSUER": "x", "DEMO_ISSUER": "1"}, "exclude each other"),
        ({"DEMO_ISSUER": "1", "HOST": "0.0.0.0"}, "refuses to listen on `0.0.0.0`"),
        ({"DEMO_ISSUER": "1", "HOST": "192.168.1.5"}, "refuses to listen"),
        ({"ALLOWED_ORIGINS": "*"}, "TANGLAI_ALLOWED_ORIGINS"),
        ({"ALLOWED_ORIGINS": "https://a.b/path"}, "TANGLAI_ALLOWED_ORIGINS"),
        ({"ALLOWED_ORIGINS": "null"}, "TANGLAI_ALLOWED_ORIGINS"),
    ],
    ids=str,
)
def test_what_does_not_hold(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TANGLAI_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert message in str(caught.value)
    assert "secret-that" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings(key=KEY, database_url="postgresql://me:hidden@db/x")
    assert KEY not in repr(settings)
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.invalid", False),
        ("127.0.0.1.example.invalid", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
