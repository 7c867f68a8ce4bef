"""In charge of secrets in the state folder: made once, readable by their owner only."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


class KeptSecretError(RuntimeError):
    """The file of a secret cannot be used; the message says why."""


def kept_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; what `make` gives, written there (0600), if there is no such file.

    Of several processes that make it at once the first wins and all get its secret. Raises KeptSecretError.
    """
    try:
        try:
            return _read(path)
        except FileNotFoundError:
            _write(path, make())
        return _read(path)
    except OSError as error:
        raise KeptSecretError(f"`{path}` cannot be used: {error.strerror}") from None


def _write(path: Path, secret: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # atomic, and the first of two processes wins
    finally:
        draft.unlink()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
            raise KeptSecretError(f"`{path}` is open to others: make it readable by its owner only")
        return file.read()
