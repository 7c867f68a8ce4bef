"""In charge of the opaque texts of the fixed part: global ids of catalogue nodes, and cursors of its lists.

Both are public data in base64url, of the alphabet `A-Za-z0-9_-`; the ids of data rows begin with `r.` and are sealed.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from tanglai.catalogue.errors import ErrorCode, TanglaiError


def _encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def _decode(text: str) -> str | None:
    """The text that `_encode` made `text` from; None for all else, other spellings of the same bytes included."""
    try:
        plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (UnicodeError, binascii.Error):
        return None
    return plain if _encode(plain) == text else None


def global_id(kind: str, key: str) -> str:
    """The id of the `kind` node (a GraphQL type name) that `key` names."""
    return _encode(f"{kind}:{key}")


def read_global_id(id: str) -> tuple[str, str] | None:
    """Type name and key of a global id, or None for what is none."""
    kind, colon, key = (_decode(id) or "").partition(":")
    return (kind, key) if colon else None


def cursor(key: str) -> str:
    """The cursor of the entry that sorts by `key`."""
    return _encode(f"after {key}")


def read_cursor(text: str) -> str:
    """The sort key in a cursor. Raises BAD_CURSOR for what is none."""
    word, _, key = (_decode(text) or "").partition(" ")
    if word != "after":
        raise TanglaiError(ErrorCode.BAD_CURSOR, "the cursor is none of this list")
    return key
