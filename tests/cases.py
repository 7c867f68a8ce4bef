"""In charge of the register of the cases that must hold: tests say which they show, and docs/cases.md is that list.

`@case(12)` marks a test in which the attack of case 12 fails, `@case(12, twin=True)` one in which the allowed
counterpart works: the same shape of operation, with the right grant, gives data. A test that shows both has both.
`@hole("name")` marks a test that shows that a hole which others shipped is none here. `python -m tests.cases` writes
the document anew; tests/docs/test_cases.py keeps it complete.
"""

import ast
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "cases.md"


@dataclass(frozen=True, slots=True)
class Case:
    """What must hold, in a few words. `pending` names the parts whose path does not exist yet, each with the reason."""

    number: int
    part: str
    text: str
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """What others shipped: `where` names product and report, `what` the hole."""

    key: str
    where: str
    what: str
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A decorated test: its file below the project's root, its name (`Class::test` in a class), what it is for."""

    file: str
    name: str
    case: int | None
    hole: str | None
    twin: bool

    @property
    def node(self) -> str:
        """The test's id for pytest, parameters left out."""
        return f"{self.file}::{self.name}"


STORED = "stored documents: an operation is sent as text only"
DEFER = "`@defer` and `@stream` themselves: the schema does not have them, so they are refused"

_CASES: dict[str, tuple[str | tuple[str, tuple[str, ...]], ...]] = {
    "Clauses": (
        "A filter over a denied item is an error, and no source is called",
        "So it is through `and`, `or`, `not`, `in`, `isNull`, and with operands of odd shapes",
        "So it is through relations, two steps away",
        "A denied structured item (a geometry) opens no part of itself",
        "No order by a denied item; no cursor holds a value that the principal may not read",
        "No groups and no distinct values of a denied or masked item",
        "No `sum`, `min`, `max`, `avg`, `countDistinct` of a denied item",
        "`search` passes over what is not granted",
        "Where the join key may not be read, the relation needs its own grant, and the key never comes back",
        "Two contents that differ in raw values behind masks only answer alike",
        "So they do under limits and in top-N lists",
        "A row scope holds through relations, in filters and orders",
        "`totalCount`, page flags and aggregates obey the row scope",
        "An argument that is not declared and a variable without value never widen",
        "Empty and all-embracing selections never widen",
        "Names of items and operators are no way into SQL",
    ),
    "Shapes": (
        "An alias changes no verdict and no rendering",
        "Inline, named and nested fragments change no verdict",
        "One response key from two fragments, one of them denied: the denied one brings nothing",
        "The verdict is that of the item, through an interface as through its implementing type",
        "So it is through members of a union; `__typename` tells no hidden row",
        "Keys that are fetched for the program's own use stay gated",
        "`@skip` and `@include` are part of the plan's key",
        ("`@defer` and `@stream` bring nothing", (DEFER,)),
        "Directives of other names fetch nothing",
        "`__schema` beside data skips no check",
        "A denied leaf never takes its siblings along",
    ),
    "Paths": (
        "`_entities` with forged, unknown or further keys: null and one generic error",
        (
            "Every path gives the same verdict: list, edges, keys, `node`, relations, counts, aggregates, `_entities`, "
            "GET, WebSocket, export; subscriptions lead to no rows",
            (STORED,),
        ),
        "Schema text, introspection, suggestions and errors tell the catalogue only, and outsiders nothing",
        "WebSocket: init first, the token's end closes, `Origin` is checked, bounds, no legacy protocol",
    ),
    "Grants": (
        "Two grants never multiply",
        "Expired, future and revoked grants open nothing, also in the middle of pages with an old cursor",
        "A purpose that is missing, wrong or swapped opens nothing",
        "A quota is not overshot by aliases, parallel calls, retries, batches, pages, several workers",
        "Nobody learns whether a hidden row exists",
        "Statistics-only grants keep to their cube: smallest cell, differencing pair, sum by average",
        "Headers and roles cannot be spoofed",
    ),
    "Sharing": (
        "Two principals at the same time get each their own",
        "One principal with other variables gets other answers from warm caches",
        "A change of policy purges plan and result, also when the insert races it",
        "No state of a session in cached SQL",
    ),
    "Abuse": (
        "One field 500 times, grids of fragments, alias bombs, depth, thousands of invalid aliases: bounded work",
        "Equal roots under several aliases run once",
        "Requests forged by other sites: GET, text/plain and forms are refused",
        "No SQL, host or stack in a response; no literals in the log",
        "When a source or the policy store fails, nothing opens",
        "Statuses and media types of GraphQL over HTTP",
    ),
}


def _numbered() -> Iterator[Case]:
    number = 0
    for part, texts in _CASES.items():
        for entry in texts:
            number += 1
            text, pending = entry if isinstance(entry, tuple) else (entry, ())
            yield Case(number, part, text, pending)


CASES: dict[int, Case] = {one.number: one for one in _numbered()}

HOLES: dict[str, Hole] = {
    one.key: one
    for one in (
        Hole("hasura-exists", "Hasura v3, AISLE-2026-0087", "`where` and `exists` reached fields that may not be read"),
        Hole("hasura-relations", "Hasura v3, v2024.12.04", "row filters were lost through relationships"),
        Hole("dab-cursor", "Data API Builder #3553", "`endCursor` held the value of an `orderBy` field in clear"),
        Hole(
            "apollo-interface",
            "Apollo Federation, GHSA-mx7m",
            "rules of interface fields were passed by in fragments on the implementing type",
        ),
        Hole(
            "apollo-requires",
            "Apollo Federation, GHSA-m8jr",
            "fields that another one needs (`@requires`, in steps) were fetched without a check",
        ),
        Hole(
            "apollo-names",
            "Apollo Router, GHSA-x33c and GHSA-g8jh",
            "access control hung on names of directives and on abstract types, and was lost with them",
        ),
        Hole("directus-alias", "Directus, CVE-2024-34708", "an alias brought the raw value of a masked field"),
        Hole("directus-search", "Directus, CVE-2025-30352", "`search` matched fields that may not be read"),
        Hole("cosmo-flight", "Cosmo #2521", "requests with other variables shared one flight and its answer"),
        Hole("trino-nested", "Trino #15659", "a mask was lost on a nested field, or computed from masked neighbours"),
        Hole("fraiseql-entities", "fraiseql", "`_entities` had no row filter"),
        Hole("fraiseql-node", "fraiseql", "`node(id)` had no row filter"),
        Hole("fraiseql-pages", "fraiseql", "pages of a connection had no row filter"),
        Hole("fraiseql-count", "fraiseql", "counts had no row filter"),
        Hole("fraiseql-subscriptions", "fraiseql", "subscriptions had no row filter"),
    )
}


def case(*numbers: int, twin: bool = False) -> Callable[[F], F]:
    """Marks a test of the cases `numbers`; with `twin`, of their allowed counterparts."""
    if not numbers or not set(numbers) <= set(CASES):
        raise ValueError(f"no such case: {numbers}")
    return lambda test: test


def hole(*keys: str) -> Callable[[F], F]:
    """Marks a test that shows that what `HOLES` describe is not so here."""
    if not keys or not set(keys) <= set(HOLES):
        raise ValueError(f"no such hole: {keys}")
    return lambda test: test


# --- reading the register ------------------------------------------------------------------------------------------


def shown(folder: Path = TESTS) -> list[Shown]:
    """Every decorated test below `folder`, by file and line. Raises ValueError where a mark stands on no test.

    The files are read, not imported: what is decorated is what stands there.
    """
    return [one for file in sorted(folder.rglob("test_*.py")) for one in _of(file)]


def _of(file: Path) -> Iterator[Shown]:
    text = file.read_text(encoding="utf-8")
    if "tests.cases" not in text or file == TESTS / "docs" / "test_cases.py":
        return
    place = file.relative_to(TESTS.parent).as_posix() if file.is_relative_to(TESTS) else file.name
    tree = ast.parse(text)
    marks = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and _mark(node)}
    if marks and any("skip" in ast.unparse(node) for node in tree.body if _names(node, "pytestmark")):
        raise ValueError(f"{place}: tests that may be skipped show nothing")
    for prefix, test in _tests(tree):
        for decorator in test.decorator_list:
            if not isinstance(decorator, ast.Call) or not (kind := _mark(decorator)):
                continue
            marks.discard(id(decorator))
            name = f"{prefix}{test.name}"
            others = [ast.unparse(other) for other in test.decorator_list]
            if any(word in other for other in others for word in ("mark.skip", "mark.xfail")):
                raise ValueError(f"{place}::{name}: a test that may be skipped shows nothing")
            arguments = [ast.literal_eval(argument) for argument in decorator.args]
            twin = any(keyword.arg == "twin" and ast.literal_eval(keyword.value) for keyword in decorator.keywords)
            for argument in arguments:
                yield Shown(
                    place, name, argument if kind == "case" else None, argument if kind == "hole" else None, twin
                )
    if marks:
        raise ValueError(f"{place}: a mark stands on something that is no test")


def _mark(call: ast.Call) -> str | None:
    return call.func.id if isinstance(call.func, ast.Name) and call.func.id in ("case", "hole") else None


def _names(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)


def _tests(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield "", node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith("test_"):
                    yield f"{node.name}::", inner


# --- the document --------------------------------------------------------------------------------------------------

_HEAD = """# The cases that must hold

What people tried elsewhere to see more than they may, as 48 cases. Each has tests in which the attempt fails, and
tests of its allowed counterpart: the same kind of operation, with the right grant, gives data. So no case holds because
nothing works. The rules are in [authorization.md](authorization.md), further attempts in [attacks.md](attacks.md);
random operations against a slow evaluator of the same rules are in `tests/oracle/`.

The list is written by `python -m tests.cases` from the marks at the tests (`tests/cases.py`), and held complete by
`tests/docs/test_cases.py`.
"""

_HOLES_HEAD = """## Holes that others shipped

Reported against other products in exactly this place, and the tests that show that it is not so here.
"""

_PENDING_HEAD = """## Pending

Parts of cases whose path does not exist yet. They join when it does.

"""


def document(register: list[Shown] | None = None) -> str:
    """docs/cases.md as the tests have it."""
    register = shown() if register is None else register
    lines = [_HEAD]
    for part in _CASES:
        lines.append(f"## {part}\n")
        for one in (one for one in CASES.values() if one.part == part):
            mark = " (in part pending)" if one.pending else ""
            lines.append(f"### {one.number}. {one.text}{mark}\n")
            for title, wanted in (("Shown by", False), ("Its twin", True)):
                tests = _links([s for s in register if s.case == one.number and s.twin is wanted])
                lines.append(f"{title}:\n\n{tests}\n")
    lines.append(_HOLES_HEAD)
    for hole_ in HOLES.values():
        tests = _links([s for s in register if s.hole == hole_.key])
        shown_by = f"Shown by:\n\n{tests}" if tests else f"Pending: {'; '.join(hole_.pending)}."
        lines.append(f"### {hole_.where}: {hole_.what}\n\n{shown_by}\n")
    pending = [f"- Case {one.number}: {why}." for one in CASES.values() for why in one.pending]
    pending += [f"- {one.where}: {why}." for one in HOLES.values() for why in one.pending]
    lines.append(_PENDING_HEAD + "\n".join(pending) + "\n")
    return "\n".join(lines)


def _links(tests: list[Shown]) -> str:
    once = dict.fromkeys((one.file, one.name) for one in tests)
    return "\n".join(f"- [`{name}`]({os.path.relpath(file, 'docs')})" for file, name in once)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
