"""In charge of commands beside a running demo: its environment, where nothing else was said."""

import os
import shlex
from collections.abc import MutableMapping
from pathlib import Path

from tanglai.server.settings import PREFIX

FILE = Path(".demo") / "env"


def join_demo(environment: MutableMapping[str, str], file: Path = FILE) -> bool:
    """Takes over what the demo of this folder wrote for commands, unless a `TANGLAI_` variable is set already.

    Lines are `NAME=value` as a shell reads them. True where it was taken over.
    """
    if any(name.startswith(PREFIX) for name in environment):
        return False
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return False
    for word in shlex.split(text, comments=True):
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            environment.setdefault(name, value)
    return True


def join() -> None:
    """As `join_demo` for this process and this folder."""
    join_demo(os.environ)
