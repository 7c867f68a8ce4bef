"""In charge of reading a workbook in a process of its own: XLSX on standard input, its sheets, pickled, on the output.

A file of a few megabytes takes half a minute of one core and hundreds of megabytes; a node that answers queries keeps
both from them.
"""

import contextlib
import pickle
import sys

from tanglai.catalogue.guide.workbook import WorkbookError, read_workbook

MAX_MEMORY = 3 * 1024**3
"""Bytes of address space, where the system has such a bound."""


def main() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    content = sys.stdin.buffer.read()
    answer: object
    try:
        answer = read_workbook(content)
    except WorkbookError as error:
        answer = (error.message, error.message_zh)
    pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
