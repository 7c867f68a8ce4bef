"""In charge of reading a workbook in a process of its own: XLSX on standard input, its sheets on standard output.

A file of a few megabytes takes half a minute of one core and hundreds of megabytes; a node that answers queries keeps
both from them.
"""

import contextlib
import os
import sys

from tanglai.catalogue.guide.transfer import send, send_error
from tanglai.catalogue.guide.workbook import WorkbookError, read_workbook

MAX_MEMORY = 3 * 1024**3
"""Bytes of address space, where the system has such a bound."""
NICENESS = 10
"""So much behind the node, which has others to answer."""


def main() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICENESS)
    content = sys.stdin.buffer.read()
    try:
        send(read_workbook(content), sys.stdout.buffer)
    except WorkbookError as error:
        send_error(error, sys.stdout.buffer)


if __name__ == "__main__":
    main()
