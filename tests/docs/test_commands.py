"""docs/commands.md: one heading for each command and make target, each option in its table, examples that exist."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from tanglai.cli import app
from tests.docs.documents import DOCS, HOW_TO, ROOT, Block, blocks, headings, pages, read, section, table

PAGE = DOCS / "commands.md"
TARGETS: dict[str, str] = dict(re.findall(r"^([a-z-]+):.*?## *(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
"""Targets that are for people, with what they say of themselves."""


def commands(group: Any, *above: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)
        else:
            yield " ".join((*above, name)), command


COMMANDS = dict(commands(typer.main.get_command(app), "tanglai"))


def test_one_heading_each() -> None:
    assert headings(PAGE, 3) == [*COMMANDS, *(f"make {name}" for name in TARGETS)]


def test_options_of_the_program_itself_are_told() -> None:
    own = {max(p.opts, key=len) for p in typer.main.get_command(app).params} - {
        "--install-completion",
        "--show-completion",
    }
    assert own == set(re.findall(r"`tanglai (--[a-z-]+)`", read(PAGE)))


def test_every_target_is_phony_and_explained() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(TARGETS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_has_its_row_with_its_default(name: str) -> None:
    rows = {row[0]: row[1:] for row in table(section(PAGE, name))}
    wanted = {written(parameter): parameter for parameter in COMMANDS[name].params if parameter.name != "help"}
    assert set(rows) == set(wanted)
    for form, parameter in wanted.items():
        (default, meaning) = rows[form]
        assert default == default_of(parameter), form
        assert len(meaning) > 10


def written(parameter: Any) -> str:
    """`FILES…`, `[KEY]`, `--by TEXT`, `--json`: a parameter as the tables write it."""
    if parameter.param_type_name == "argument":
        form = parameter.name.upper() + ("…" if parameter.nargs == -1 else "")
        return form if parameter.required else f"[{form}]"
    return str(max(parameter.opts, key=len))


def default_of(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    if parameter.default in (None, "", ()) or parameter.default is False:
        return "–"
    return str(parameter.default)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does_and_shows_it(name: str) -> None:
    text = section(PAGE, name)
    assert re.search(rf"^{name}( |$)", text, re.MULTILINE), "no example"
    words = text.strip().partition("\n\n")[0]
    assert len(words.split()) >= 8


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_says_what_it_does(name: str) -> None:
    assert len(section(PAGE, f"make {name}").split()) >= 8


SHELL = [block for page in pages() for block in blocks(page) if block.language == "sh"]


def lines_of(block: Block) -> Iterator[list[str]]:
    """The words of each command in a shell block that calls `tanglai` or `make`, substitutions looked into."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for line in re.split(r"[\n;|)]|\$\(|&&", text):
        words = shlex.split(line, comments=True) if line.count('"') % 2 == 0 and line.count("'") % 2 == 0 else []
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
        if words and words[0].rpartition("/")[2] in ("tanglai", "make"):
            yield [words[0].rpartition("/")[2], *words[1:]]


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_in_the_documents_exist_with_their_options(block: Block) -> None:
    for words in lines_of(block):
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert set(targets) <= set(TARGETS), block
            continue
        name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)
        assert name is not None, f"{block}: {' '.join(words)}"
        known = {form for parameter in COMMANDS[name].params for form in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known, f"{block}: {given - known}"
        required = {written(p) for p in COMMANDS[name].params if p.required and written(p).startswith("--")}
        assert required <= given, f"{block}: {required - given}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_commands_in_prose_exist(page: Any) -> None:
    """`tanglai …` and `make …` between back ticks."""
    for words in re.findall(r"`(tanglai [a-z][^`]*|make [a-z][^`]*)`", read(page)):
        if words.startswith("make "):
            assert words.split()[1] in TARGETS, words
        else:
            assert any(f"{words} ".startswith(f"{name} ") or f"{name} ".startswith(f"{words} ") for name in COMMANDS), (
                words
            )


def test_examples_are_found() -> None:
    """Guards the tests above against finding nothing."""
    found = {words[0] for block in SHELL for words in lines_of(block)}
    assert found == {"tanglai", "make"}
    used = {" ".join(words[1:3]) for block in SHELL if block.file.parent == HOW_TO for words in lines_of(block)}
    assert {"source add", "source introspect", "catalogue check", "catalogue import"} <= used
