"""In charge of reading the documentation: its blocks of code and what a comment says of them, headings, links, tables.

A block is run by the tests that read it where an HTML comment stands right above it, which a reader does not see:
`as: DEPARTMENT PURPOSE` and roles above a query that is asked, `by: DEPARTMENT ROLE` above one that somebody in a
role sends, `variables` and `answer` above the JSON that belongs to it, `prints` above what a shell block prints,
`fails` above one that does, `file: PATH` above a file, `subgraph: PATH` above another graph's text, `not run: WHY`
above what is only read. A YAML block whose first line is `# PATH` is that file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOW_TO = DOCS / "how-to"
ANY = "…"
"""In an expected answer: any text; in what is printed: any text, or any lines."""

_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (.+) -->$")
_HEADING = re.compile(r"^(#{1,6}) (.+)$")
_LINK = re.compile(r"\]\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `note` is the comment right above it, empty where there is none, `line` that of the fence."""

    file: Path
    line: int
    language: str
    text: str
    note: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT).as_posix()}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read: those at the root, and those below docs/."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of `page`, in order."""
    found: list[Block] = []
    note, language, start = "", None, 0
    inside: list[str] = []
    for number, line in enumerate(read(page).splitlines(), start=1):
        fence = _FENCE.match(line)
        if language is not None:
            if line == "```":
                found.append(Block(page, start, language, "\n".join(inside) + "\n", note))
                note, language, inside = "", None, []
            else:
                inside.append(line)
        elif fence:
            language, start = fence[1], number
        elif comment := _COMMENT.match(line):
            note = comment[1]
        elif line:
            note = ""
    assert language is None, f"{page}: a block does not end"
    return tuple(found)


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines of `page` outside of its blocks, with their numbers."""
    kept: list[tuple[int, str]] = []
    inside = False
    for number, line in enumerate(read(page).splitlines(), start=1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            kept.append((number, line))
    return kept


def headings(page: Path, level: int | None = None) -> list[str]:
    """The headings of `page`, without code marks; of one `level` where that is given."""
    found = (_HEADING.match(line) for _, line in prose(page))
    return [match[2].replace("`", "") for match in found if match and level in (None, len(match[1]))]


def section(page: Path, heading: str) -> str:
    """What stands under `heading`, up to the next one of its level or above."""
    match = re.search(rf"^(#+) `?{re.escape(heading)}`?$", read(page), re.MULTILINE)
    assert match is not None, f"{page.name} has no heading `{heading}`"
    rest = read(page)[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def anchors(page: Path) -> set[str]:
    """The fragments by which headings of `page` can be linked to, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def links(page: Path) -> Iterator[tuple[int, str]]:
    """The targets of links and images in `page`, with their lines; code is left out."""
    for number, line in prose(page):
        for target in _LINK.findall(re.sub(r"`[^`]*`", "", line)):
            yield number, target


def table(text: str) -> list[list[str]]:
    """The rows of the tables in `text`, headers and rules left out; cells without code marks around the whole cell."""
    lines = text.splitlines()
    rows: list[list[str]] = []
    for number, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("|-: "):
            continue
        if number + 1 < len(lines) and lines[number + 1].startswith("|") and set(lines[number + 1]) <= set("|-: "):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        rows.append([re.sub(r"^`([^`]*)`$", r"\1", cell.replace("\\|", "|")) for cell in cells])
    return rows


def difference(expected: Any, got: Any, at: str = "") -> str | None:
    """None where `got` holds what `expected` shows: every entry of its objects, lists of equal length, `…` any text."""
    if expected == ANY and isinstance(got, str):
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            if name not in got:
                return f"{at}.{name} is missing"
            if (told := difference(value, got[name], f"{at}.{name}")) is not None:
                return told
        return None
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{at} has {len(got)} entries, not {len(expected)}"
        told_all = (
            difference(one, other, f"{at}[{n}]") for n, (one, other) in enumerate(zip(expected, got, strict=True))
        )
        return next((told for told in told_all if told is not None), None)
    same = type(expected) is type(got) and expected == got
    return None if same else f"{at}: expected {expected!r} got {got!r}"


def printed(expected: str, got: str) -> bool:
    """Whether a program printed `expected`; `…` stands for any text within a line, as a line for any lines."""
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*" if line == ANY else ".*".join(map(re.escape, line.split(ANY))) + r"[ \t]*\n" for line in lines
    )
    return re.fullmatch(pattern, got.strip("\n") + "\n") is not None
