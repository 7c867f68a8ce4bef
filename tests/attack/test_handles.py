"""Ids and cursors: forged, swapped, replayed, read."""

import base64
import string
from dataclasses import replace
from typing import Any

import pytest

from resolvers.seals import CURSOR, ROW, SealKey, Seals
from tests.attack.book import Book
from tests.attack.worlds import SEALS, Pair, grants, row_id, snapshot
from tests.cases import case, hole
from tests.catalogues import MARKET_REGULATION
from tests.gateways import World, requester
from tests.unit.resolvers.conftest import RESIDENT, VEHICLE, rows

book = Book(__name__, "Ids and cursors tell nothing and open nothing")
row = book.row

PAGE = "query($c: String) {{ data {{ population {{ residents({}after: $c) {{ nodes {{ name }} }} }} }} }}"
NODE = "query($i: ID!) { node(id: $i) { id ... on Resident { name } ... on Vehicle { plate } } }"


async def cursor(world: World, arguments: str = "first: 1, ", **more: Any) -> str:
    query = f"{{ data {{ population {{ residents({arguments}) {{ pageInfo {{ endCursor }} }} }} }} }}"
    answer = await world.ask(query, **more)
    return str(answer.data["data"]["population"]["residents"]["pageInfo"]["endCursor"])


CHANGES = [
    row(501, "A cursor under another order", "bound to the order", "orderBy: [{name: ASC}], ", {}),
    row(502, "A cursor under the order turned round", "bound to the order", "orderBy: [{income: DESC}], ", {}),
    row(503, "A cursor under another filter", "bound to the filter", 'where: {name: {startsWith: "n"}}, ', {}),
    row(504, "A cursor under an empty filter", "bound to the filter", "where: {}, ", {}),
    row(505, "A cursor under another purpose", "bound to the purpose", "", {"purpose": "statistics"}),
    row(506, "A cursor of another department", "bound to the department", "",
        {"who": requester(department=MARKET_REGULATION, purposes=frozenset({"assistance", "statistics"}))}),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "more"), CHANGES)
async def test_a_cursor_of_another_list(arguments: str, more: dict[str, Any]) -> None:
    held = grants() + [replace(grant, id=f"{grant.id}s", purpose="statistics") for grant in grants()]
    world = World(snapshot(), rows(), held)
    who = requester(purposes=frozenset({"assistance", "statistics"}))
    given: dict[str, Any] = {"who": who, "purpose": "assistance"}
    query = PAGE.format("orderBy: [{income: ASC}], ")
    kept = await cursor(world, "orderBy: [{income: ASC}], first: 1, ", **given)
    assert (await world.ask(query, {"c": kept}, **given)).codes == []
    query = PAGE.format(arguments) if arguments else query
    answer = await world.ask(query, {"c": kept}, **given | more)
    assert "data" not in answer.body
    assert answer.codes in (["BAD_CURSOR"], ["GRANT_REQUIRED"])
    assert world.sources.calls == []


def forged(token: str) -> list[str]:
    prefix, body = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    flipped = [bytes(raw[:n] + bytes((raw[n] ^ 1,)) + raw[n + 1 :]) for n in (0, 1, 16, len(raw) - 1)]
    respelt = [one for one in string.ascii_letters if one != body[-1]]
    return [
        *(f"{prefix}.{base64.urlsafe_b64encode(one).decode().rstrip('=')}" for one in flipped),
        *(f"{prefix}.{body[:-1]}{one}" for one in respelt),
        f"{prefix}.{body}=",
        f"{prefix}.{body[:-1]}",
        f"{prefix}.{body}AAAA",
        f"{prefix}. {body}",
        f"{prefix.upper()}.{body}",
        body,
        f"{prefix}.",
        prefix,
        "",
    ]


@book.attempt(
    507, "Ids with a bit, a letter, the padding, the prefix or the case changed", "AES-SIV, one spelling only"
)
async def test_forged_ids() -> None:
    world = Pair().worlds[0]
    good = row_id(1)
    assert (await world.ask(NODE, {"i": good})).data["node"]["name"] == "n1"
    for token in forged(good):
        answer = await world.ask(NODE, {"i": token})
        assert answer.body.get("data", {"node": None}) == {"node": None}, token
        assert world.sources.calls == []


@book.attempt(508, "Cursors changed in the same ways", "AES-SIV, one spelling only")
async def test_forged_cursors() -> None:
    world = Pair().worlds[0]
    good = await cursor(world)
    for token in [*forged(good), row_id(1), "c." + row_id(1)[2:], "../../etc/passwd", "' OR 1=1 --", "c." + "A" * 9000]:
        answer = await world.ask(PAGE.format(""), {"c": token})
        assert answer.codes == ["BAD_CURSOR"], token
        assert world.sources.calls == []


@book.attempt(509, "A cursor as an id, an id as a cursor", "the prefix is sealed in")
async def test_other_uses() -> None:
    world = Pair().worlds[0]
    token = await cursor(world)
    for swapped in (token, "r." + token[2:]):
        assert (await world.ask(NODE, {"i": swapped})).body.get("data") in (None, {"node": None})


@book.attempt(510, "The id of a row of another resource of the same handle", "the resource is sealed in")
async def test_ids_name_their_resource() -> None:
    world = Pair().worlds[0]
    answer = await world.ask(NODE, {"i": row_id(1, VEHICLE)})
    assert answer.data["node"]["plate"] == "P1"
    assert row_id(1, VEHICLE) != row_id(1, RESIDENT)


@book.attempt(511, "The id of a row of an unknown or retired resource", "null")
async def test_ids_of_no_resource() -> None:
    world = Pair().worlds[0]
    for code in ("9999/1", "", "../1", RESIDENT + " "):
        assert (await world.ask(NODE, {"i": row_id(1, code)})).data == {"node": None}


@book.attempt(512, "An id whose handle is of another kind", "the same answer as any foreign id")
async def test_ids_of_another_kind() -> None:
    world = Pair().worlds[0]
    for handle in ("1; DROP TABLE resident", True, None, [1], {"a": 1}, "9" * 30, "１"):
        token = SEALS.seal(ROW, b"", [RESIDENT, handle])
        answer = await world.ask(NODE, {"i": token})
        assert answer.body.get("data", {"node": None}) == {"node": None}
        assert set(answer.codes) <= {"BAD_INPUT"}


@book.attempt(513, "Ids and cursors of another platform's key of the same number", "the key")
async def test_other_keys() -> None:
    other = Seals((SealKey(1, bytes(range(1, 65))),))
    world = Pair().worlds[0]
    answer = await world.ask(NODE, {"i": other.seal(ROW, b"", [RESIDENT, 1])})
    assert answer.body.get("data", {"node": None}) == {"node": None}
    assert (await world.ask(PAGE.format(""), {"c": other.seal(CURSOR, b"", [1])})).codes == ["BAD_CURSOR"]


@hole("dab-cursor")
@case(5)
@book.attempt(514, "Read a cursor, or learn the length of what is in it", "encrypted and padded")
async def test_cursors_are_opaque() -> None:
    lengths = {len(SEALS.seal(CURSOR, b"", [value, 1])) for value in ("", "a", "abcdefghij", "张三丰")}
    assert len(lengths) == 1
    token = await cursor(Pair().worlds[0], "orderBy: [{name: ASC}], first: 1, ")
    raw = base64.urlsafe_b64decode(token[2:] + "==")
    assert b"n1" not in raw


@book.attempt(515, "Tell from a literal id and one in a variable apart what exists", "both are planned alike")
async def test_literal_and_variable_ids() -> None:
    pair = Pair()
    for number in (1, 2, 10, 99):
        literal = await pair.alike(f'{{ node(id: "{row_id(number)}") {{ id ... on Resident {{ name }} }} }}')
        variable = await pair.alike(
            "query($i: ID!) { node(id: $i) { id ... on Resident { name } } }", {"i": row_id(number)}
        )
        assert literal.data == variable.data
