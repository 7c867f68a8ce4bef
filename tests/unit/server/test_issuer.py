"""The demo issuer: off by default, one key per state folder, tokens that the verifier takes."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authz.principal import TokenScope
from tanglai.catalogue.errors import TanglaiError
from tanglai.server.identity import TokenVerifier
from tanglai.server.issuer import ISSUER, KEY_FILE, DemoIssuer, IssuerError
from tanglai.server.keys import FixedKeys
from tanglai.server.settings import Settings
from tests.unit.server.samples import POLICE


def settings(folder: Path, *, on: bool = True) -> Settings:
    return Settings(state_dir=folder, demo_issuer=on)


def verifier(issuer: DemoIssuer) -> TokenVerifier:
    return TokenVerifier(FixedKeys(issuer.jwks), issuer=ISSUER, audience="tanglai")


def test_off_unless_switched_on(tmp_path: Path) -> None:
    with pytest.raises(IssuerError, match="is off"):
        DemoIssuer.open(settings(tmp_path, on=False))
    assert not list(tmp_path.iterdir())


async def test_tokens_are_taken(tmp_path: Path) -> None:
    issuer = DemoIssuer.open(settings(tmp_path))
    text = issuer.issue(
        POLICE, client="desk", person="p", purposes=["b", "a"], scopes=["1/1:name"], roles=["data.own"], lifetime=60
    )
    got = await verifier(issuer).verify(text)
    assert (got.department, got.client, got.person) == (POLICE, "desk", "p")
    assert got.purposes == {"a", "b"}
    assert got.scopes == frozenset({TokenScope("1/1", "name")})
    assert got.roles == {"data.own"}
    plain = await verifier(issuer).verify(issuer.issue(POLICE))
    assert (plain.person, plain.scopes, plain.purposes) == (None, None, frozenset())
    assert (await verifier(issuer).verify(issuer.issue(POLICE, scopes=[]))).scopes == frozenset()


async def test_the_key_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = DemoIssuer.open(settings(folder))
    second = DemoIssuer.open(settings(folder))
    await verifier(second).verify(first.issue(POLICE))
    other = DemoIssuer.open(settings(tmp_path / "other"))
    with pytest.raises(TanglaiError):
        await verifier(other).verify(first.issue(POLICE))


def test_the_public_half_is_public(tmp_path: Path) -> None:
    assert b'"d"' not in DemoIssuer.open(settings(tmp_path)).jwks


def test_the_key_is_the_owners(tmp_path: Path) -> None:
    DemoIssuer.open(settings(tmp_path))
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [KEY_FILE]
    os.chmod(path, 0o644)
    with pytest.raises(IssuerError, match="open to others"):
        DemoIssuer.open(settings(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", '{"kty":"EC"}', '{"kty":"oct","k":"AAAA"}'])
def test_a_broken_key_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / KEY_FILE
    path.write_text(text)
    os.chmod(path, 0o600)
    with pytest.raises(IssuerError, match="no private key"):
        DemoIssuer.open(settings(tmp_path))


def test_starting_twice_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: DemoIssuer.open(settings(tmp_path)).jwks, range(16)))
    assert len(keys) == 1
