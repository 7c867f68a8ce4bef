"""Links of the documentation lead somewhere: to a file of the project, to a heading in it, to a test that exists."""

import ast
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.documents import DOCS, HOW_TO, ROOT, anchors, headings, links, pages, prose, read

PAGES = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages()]
_PLACE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: Path) -> None:
    broken: list[str] = []
    for line, target in links(page):
        if re.match(r"\w+:", target):
            continue
        path, _, fragment = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_relative_to(ROOT) or not file.exists():
            broken.append(f"line {line}: there is no `{target}`")
        elif fragment and (file.suffix != ".md" or fragment not in anchors(file)):
            broken.append(f"line {line}: `{target}` names no heading")
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    """`folder/file.py` and `folder/test_file.py::test_name`, from the root or from the page."""
    broken: list[str] = []
    for line, text in prose(page):
        for path, test in _PLACE.findall(text):
            file = next((f for f in (ROOT / path, page.parent / path) if f.exists()), None)
            top = path.partition("/")[0]
            if file is None and ((ROOT / top).is_dir() or "::" in text):
                broken.append(f"line {line}: there is no `{path}`")
            elif test and file is not None and test not in functions(file):
                broken.append(f"line {line}: `{path}` has no `{test}`")
    assert broken == []


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", PAGES)
def test_headings_of_a_page_are_different(page: Path) -> None:
    found = headings(page)
    assert sorted(set(found)) == sorted(found)


def test_the_index_lists_every_page() -> None:
    listed = {(DOCS / unquote(target).partition("#")[0]).resolve() for _, target in links(DOCS / "README.md")}
    wanted = {*DOCS.glob("*.md"), *HOW_TO.glob("*.md"), DOCS / "decisions" / "README.md"} - {DOCS / "README.md"}
    assert {page.resolve() for page in wanted} <= listed


def test_every_kind_of_reader_has_a_way_from_the_readme() -> None:
    """The users of the product: each row of the table has one link."""
    rows = re.findall(r"^\| ([a-z ]+?) +\| .*\]\((\S+)\).*\|$", read(ROOT / "README.md"), re.MULTILINE)
    assert {reader for reader, _ in rows} >= {
        "frontend developer",
        "department app",
        "analyst",
        "data steward",
        "reviewer",
        "competent department",
        "auditor",
        "operator",
    }
    assert len({reader for reader, _ in rows}) == len(rows)
