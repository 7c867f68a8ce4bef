"""In charge of the platform's secrets: kept in the database, sealed under a master key that the database never sees."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyStoreError(Exception):
    """A secret cannot be opened: another master key, or a row that somebody changed. For operators."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One generation of a named key. `secret` has 32 bytes; `id` is safe to show and stands beside what it sealed."""

    id: str
    secret: bytes = field(repr=False)
    created: datetime


class MasterKey:
    """The key of 32 bytes under which the others are sealed (AES-256-GCM)."""

    __slots__ = ("_cipher", "fingerprint")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self.fingerprint = hmac.new(key, b"tanglai key store", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: str) -> "MasterKey":
        """From base64 (standard or URL-safe, padded or not) of 32 bytes. Raises ValueError, without the text in it."""
        plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
        try:
            key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except ValueError:
            raise ValueError("a master key is written in base64") from None
        return cls(key)

    def seal(self, place: str, secret: bytes) -> bytes:
        """Nonce and ciphertext of `secret`; only opens at the same `place`, so that rows cannot be exchanged."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, place.encode())

    def open(self, place: str, sealed: bytes) -> bytes:
        """Raises KeyStoreError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError):
            raise KeyStoreError(f"key `{place}` was changed in the database") from None


_READ = "SELECT id, generation, sealed, sealed_under, created FROM key_store WHERE name = $1 ORDER BY generation DESC"
_ADD = """
INSERT INTO key_store (id, name, generation, sealed, sealed_under, created)
VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT (name, generation) DO NOTHING
"""


async def read(connection: Any, master: MasterKey, name: str) -> list[KeyRecord]:
    """All generations of key `name`, the newest first; the first one is made where there is none."""
    rows = await connection.fetch(_READ, name)
    if not rows:
        await _add(connection, master, name, 1)
        rows = await connection.fetch(_READ, name)
    return [KeyRecord(row["id"], _open(master, name, row), row["created"]) for row in rows]


async def rotate(connection: Any, master: MasterKey, name: str) -> list[KeyRecord]:
    """A new generation of key `name`; of rotations at the same moment one counts. Returns all, the newest first."""
    newest = await connection.fetchval("SELECT coalesce(max(generation), 0) FROM key_store WHERE name = $1", name)
    await _add(connection, master, name, newest + 1)
    return await read(connection, master, name)


async def reseal(connection: Any, master: MasterKey, former: Sequence[MasterKey]) -> int:
    """Seal every key anew under `master` that one of `former` sealed; how many. Within the caller's transaction."""
    masters = {key.fingerprint: key for key in (*former, master)}
    rows = await connection.fetch("SELECT id, name, generation, sealed, sealed_under FROM key_store FOR UPDATE")
    count = 0
    for row in rows:
        if row["sealed_under"] == master.fingerprint:
            continue
        old = masters.get(row["sealed_under"])
        if old is None:
            raise KeyStoreError(f"key `{row['name']}` is sealed under a master key that was not given")
        secret = _open(old, row["name"], row)
        await connection.execute(
            "UPDATE key_store SET sealed = $2, sealed_under = $3 WHERE id = $1",
            row["id"],
            master.seal(_place(row["name"], row["generation"], row["id"]), secret),
            master.fingerprint,
        )
        count += 1
    return count


async def _add(connection: Any, master: MasterKey, name: str, generation: int) -> None:
    identity = secrets.token_hex(8)
    sealed = master.seal(_place(name, generation, identity), secrets.token_bytes(KEY_BYTES))
    await connection.execute(_ADD, identity, name, generation, sealed, master.fingerprint)


def _open(master: MasterKey, name: str, row: Any) -> bytes:
    if row["sealed_under"] != master.fingerprint:
        raise KeyStoreError(f"key `{name}` is sealed under another master key (`TANGLAI_KEY`)")
    return master.open(_place(name, row["generation"], row["id"]), row["sealed"])


def _place(name: str, generation: int, identity: str) -> str:
    return f"{name}/{generation}/{identity}"
