"""In charge of row ids and cursors: sealed deterministically (AES-SIV, RFC 5297), padded, without readable content.

A token is `<prefix>.<base64url(key id, ciphertext)>`; the prefix `r` marks a row id, `c` a cursor.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from tanglai.catalogue.scalars import ScalarType, parse, to_json

ROW = "r"
CURSOR = "c"
_BLOCK = 32
_MAX = 8_192


class BrokenSeal(Exception):
    """The token was not sealed here, for this use, or under a key that is still known."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """One seal key of 64 bytes; `number` (0..255) stands in clear in each token, for rotation."""

    number: int
    secret: bytes


class Seals:
    """Seals with the newest key, opens with any known one."""

    def __init__(self, keys: tuple[SealKey, ...]) -> None:
        if not keys:
            raise ValueError("at least one seal key is needed")
        self._ciphers: Mapping[int, AESSIV] = {key.number: AESSIV(key.secret) for key in keys}
        self._newest = keys[-1].number

    def seal(self, prefix: str, context: bytes, content: Any) -> str:
        """Token of JSON-able `content`, openable only with the same prefix and `context`. Equal in, equal out."""
        plain = orjson.dumps(content)
        plain += b" " * (-len(plain) % _BLOCK)
        number = bytes((self._newest,))
        sealed = self._ciphers[self._newest].encrypt(plain, [prefix.encode(), number, context])
        return f"{prefix}.{base64.urlsafe_b64encode(number + sealed).rstrip(b'=').decode()}"

    def open(self, prefix: str, context: bytes, token: str) -> Any:
        """The content of `token`. Raises BrokenSeal, with nothing told about why."""
        if len(token) > _MAX or not token.startswith(f"{prefix}."):
            raise BrokenSeal
        body = token[len(prefix) + 1 :]
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BrokenSeal from None
        if len(raw) < 1 + 16 + _BLOCK or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != body:
            raise BrokenSeal
        cipher = self._ciphers.get(raw[0])
        if cipher is None:
            raise BrokenSeal
        try:
            return orjson.loads(cipher.decrypt(raw[1:], [prefix.encode(), raw[:1], context]))
        except (InvalidTag, ValueError):
            raise BrokenSeal from None


def pack(kind: ScalarType, value: Any) -> Any:
    """A Python value as JSON that `unpack` restores exactly."""
    if isinstance(value, Decimal | date | datetime | time):
        return to_json(kind, value)
    return value


def unpack(kind: ScalarType, value: Any) -> Any:
    """Reverse of `pack`. Raises BrokenSeal for a value that is not of `kind`."""
    if value is None:
        return None
    try:
        return parse(kind, value)
    except ValueError:
        raise BrokenSeal from None
