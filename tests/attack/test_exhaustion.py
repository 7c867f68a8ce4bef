"""Documents that cost more than they say. What is bounded here is counted, not timed."""

import pytest

from resolvers.document import MAX_PAIRS
from tests.attack.book import Book
from tests.attack.worlds import Pair
from tests.cases import case
from tests.catalogues import population
from tests.gateways import World
from tests.unit.resolvers.conftest import follow_all, rows

book = Book(__name__, "One request cannot take more than its share")
row = book.row

ONE = '{{ data {{ population {{ resident(idNumber: "id1") {{ {} }} }} }} }}'


def repeated(times: int, depth: int) -> str:
    """A document whose repeats multiply: `times` of each field on `depth` levels."""
    inner = "name"
    for level in range(depth):
        field = ("household", "members", "nodes")[(depth - 1 - level) % 3]
        inner = " ".join(f"{field} {{ {inner} }}" for _ in range(times))
    return ONE.format(inner)


def chain(length: int) -> str:
    links = " ".join(f"fragment f{n} on Resident {{ ...f{n + 1} }}" for n in range(length))
    return f"{ONE.format('...f0')} {links} fragment f{length} on Resident {{ name }}"


def spread(number: int) -> str:
    definitions = " ".join(f"fragment f{n} on Resident {{ a{n}: name }}" for n in range(number))
    return f"{ONE.format(' '.join(f'...f{n}' for n in range(number)))} {definitions}"


def grid(width: int) -> str:
    levels = [
        f"fragment f{n} on Resident {{ ...f{n + 1} ... on Resident {{ ...f{n + 1} }} a{n}: name }}"
        for n in range(width)
    ]
    return f"{ONE.format('...f0')} {' '.join(levels)} fragment f{width} on Resident {{ name }}"


def roots(number: int) -> str:
    return f"{{ {' '.join(f'r{n}: data {{ population {{ id }} }}' for n in range(number))} }}"


def nested(field: str, depth: int) -> str:
    return f"{{ data {{ population {{ residents(where: {field * depth}{{}}{'}' * depth}) {{ totalCount }} }} }} }}"


MEMBERS = (
    "household { members { nodes { household { members { nodes { household { members { nodes { name } } } } } } } } }"
)

ATTEMPTS = [
    row(401, "One field 500 times", "64 repeats of a key", ONE.format("name " * 500)),
    row(402, "Repeats that multiply with depth, 2 on 9 levels (12 KB held the node for 2 s)",
        f"{MAX_PAIRS} pairs of fields of one response path", repeated(2, 9), found=True),
    row(403, "Repeats that multiply with depth, 3 on 6 levels", "the same", repeated(3, 6), found=True),
    row(404, "Repeats that multiply within a fragment that nothing spreads", "the same",
        "{ __typename } fragment F on Resident { "
        + repeated(3, 6).removeprefix(ONE.format("")[:-8]).removesuffix(ONE.format("")[-8:]) + " }", found=True),
    row(405, "700 fragments in one object (34 KB held the node for 1 s)", "200 fragments", spread(700), found=True),
    row(406, "A chain of 900 fragments, deeper than the stack (an internal error)", "200 fragments",
        chain(900), found=True),
    row(407, "A grid of fragments, each twice in the one before", "fields are counted as executed", grid(40)),
    row(408, "Nested 40 deep", "depth", "{ data { population { resident(idNumber: \"id1\") { "
        + "household { members { nodes { " * 13 + "name" + " } } }" * 13 + " } } } }"),
    row(409, "65 root fields", "64 roots", roots(65)),
    row(410, "4,000 aliases", "2,000 fields", ONE.format(" ".join(f"a{n}: name" for n in range(4000)))),
    row(411, "More tokens than allowed", "8,000 tokens", "{" + " a" * 9000 + "}"),
    row(412, "More bytes than allowed, in a comment", "64 KB", "{ __typename } #" + "x" * 70_000),
    row(413, "65 source calls", "64 source calls",
        "{ data { population {" + " ".join(f"a{n}: residents(first: {n}) {{ totalCount }}" for n in range(60))
        + "} } }"),
    row(414, "Filters of 600 terms", "500 terms", "{ data { population { residents(where: {or: ["
        + "{name: {eq: \"x\"}}" * 600 + "]}) { totalCount } } } }"),
    row(415, "`not` 400 deep", "the parser's depth", nested("{not: ", 400)),
    row(416, "Relations in a filter, 60 deep", "the parser's depth", "{ data { population { residents(where: "
        + "{household: {some: {members: {some: " * 60 + "{}" + "}}}}" * 60 + ") { totalCount } } } }"),
    row(417, "Three relations of a thousand rows each", "rows of a whole answer",
        "{ data { population { residents(first: 1000) { nodes { household { members(first: 1000) { nodes { "
        "vehicles(first: 1000) { nodes { plate } } } } } } } } } }"),
    row(418, "2,000 representations in `_entities`", "1,000 representations",
        "{ _entities(representations: [" + '{__typename: "X"} ' * 1100 + "]) { __typename } }"),
    row(419, "Inline fragments 300 deep", "the parser's depth",
        "{" + "... on Query {" * 300 + "__typename" + "}" * 301),
]  # fmt: skip


@case(43)
@pytest.mark.parametrize("document", ATTEMPTS)
async def test_refused_whole_before_any_source(document: str) -> None:
    world = World(population(), rows(), follow_all())
    answer = await world.ask(document)
    assert "data" not in answer.body
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert world.sources.calls == []


@case(44)
@book.attempt(420, "The same root under sixty aliases", "equal calls run once")
async def test_equal_calls_run_once() -> None:
    world = Pair().worlds[0]
    fields = " ".join(f"a{n}: residents {{ nodes {{ name }} }}" for n in range(60))
    answer = await world.ask(f"{{ data {{ population {{ {fields} }} }} }}")
    assert len(answer.data["data"]["population"]) == 60
    assert len(world.sources.calls) == 1


def every_one_in_every_other(number: int) -> str:
    names = range(number)
    return " ".join(f"fragment A{n} on Resident {{ {' '.join(f'...A{m}' for m in names)} name }}" for n in names)


CYCLES = [
    row(421, "A fragment in itself", "cycles are looked for before anything is expanded",
        "fragment A0 on Resident { ...B } fragment B on Resident { ...A0 name }"),
    row(423, "A fragment below itself", "cycles are looked for before anything is expanded",
        "fragment A0 on Resident { name household { members { nodes { ...A0 } } } }"),
    row(424, "Forty fragments, each in each", "cycles are looked for before anything is expanded",
        every_one_in_every_other(40)),
]  # fmt: skip


@case(43)
@pytest.mark.parametrize("cycle", CYCLES)
async def test_cycles_of_fragments(cycle: str) -> None:
    world = Pair().worlds[0]
    answer = await world.ask(f"{ONE.format('...A0')} {cycle}")
    assert set(answer.codes) <= {"BAD_INPUT", "LIMIT_EXCEEDED"}
    assert "data" not in answer.body


@case(43, twin=True)
@book.attempt(422, "What a client may well send is not refused by these bounds", "positive twin")
async def test_reasonable_documents_pass() -> None:
    world = World(population(), rows(), follow_all())
    for document in (repeated(2, 6), spread(100), chain(50), ONE.format("name " * 60), ONE.format(MEMBERS)):
        answer = await world.ask(document)
        assert answer.data["data"]["population"]["resident"] is not None, document[:80]
        assert answer.codes == []
