"""Cases 10 to 13 of docs/cases.md: what is hidden behind masks and row scopes changes no answer."""

from collections.abc import Sequence
from typing import Any

import pytest

from authz.principal import Principal
from tanglai.catalogue.expressions import TRUE
from tanglai.catalogue.model import Grant, Snapshot
from tests.cases import case, hole
from tests.catalogues import population
from tests.gateways import World, make_grant
from tests.unit.resolvers.asking import ODD, aggregate, closed, members, residents, scoped
from tests.unit.resolvers.conftest import RESIDENT, follow_all, rows

# --- 10 and 11: contents that differ in what is hidden -------------------------------------------------------------


def renumbered() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Other phones with the same masked renderings, in another order, one of them twice."""
    contents = rows()
    for row in contents["main"]["resident"]:
        last = row["phone"][-4:]
        row["phone"] = f"138{9 - row['handle']:04}{last}"
    return contents


BY_PHONE = [
    residents('where: {phone: {eq: "13800000001"}}', "nodes { name phone } totalCount"),
    residents('where: {not: {phone: {startsWith: "1380000"}}}', "nodes { name phone } totalCount"),
    residents('where: {or: [{name: {eq: "n1"}}, {phone: {gt: "13800050000"}}]}', "nodes { name phone }"),
    residents("orderBy: [{phone: DESC}], first: 2", "nodes { name phone } pageInfo { endCursor }"),
    residents("orderBy: [{phone: ASC}], last: 3", "nodes { name phone }"),
    residents('search: "13800000001"', "nodes { name phone }"),
    residents("first: 4", "nodes { name phone } pageInfo { endCursor hasNextPage }"),
    aggregate("groupBy: [PHONE]", "count"),
    aggregate("", "countDistinct { phone }"),
    '{ data { population { households(where: {members: {some: {phone: {eq: "13800000001"}}}}) { totalCount } } } }',
    members("orderBy: [{phone: DESC}], first: 1"),
]


async def answers(
    snapshot: Snapshot, contents: Sequence[Any], grants: Sequence[Grant], query: str, who: Principal | None = None
) -> list[tuple[bytes, list[Any]]]:
    found = []
    for one in contents:
        world = World(snapshot, one, grants)
        response = (await world.ask(query, who=who)).response
        found.append((response.body, [(repr(q), arguments) for q, arguments in world.sources.calls]))
    return found


@case(10, 11)
@pytest.mark.parametrize("query", BY_PHONE)
async def test_two_contents_with_the_same_masked_renderings_answer_alike(query: str) -> None:
    """Filters, orders, top-N, search, groups: the same bytes, and the same source calls."""
    grants = [*follow_all(), make_grant(RESIDENT, "phone", masks={"phone": "middle"})]
    one, other = await answers(population(), (rows(), renumbered()), grants, query)
    assert one == other


@case(10, twin=True)
async def test_with_clear_phones_the_same_questions_tell_the_contents_apart() -> None:
    grants = [*follow_all(), make_grant(RESIDENT, "phone")]
    for query in (one for one in BY_PHONE if "groupBy" not in one and "countDistinct" not in one):
        one, other = await answers(population(), (rows(), renumbered()), grants, query)
        assert one[0] != other[0], query


TOPS = [
    residents("orderBy: [{height: DESC}], first: 2", "nodes { name height } pageInfo { hasNextPage endCursor }"),
    residents("orderBy: [{height: ASC}], first: 3", "nodes { name height }"),
    residents("orderBy: [{height: DESC}], last: 2", "nodes { name height } pageInfo { startCursor }"),
    residents("orderBy: [{sex: DESC}, {height: DESC}], first: 2", "nodes { name } totalCount"),
    aggregate("", "max { height } min { height } avg { height }"),
    members("orderBy: [{height: DESC}], first: 1"),
]


def grown() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Other heights on the rows of sex 2: the largest and the smallest of all are among them."""
    contents = rows()
    for row in contents["main"]["resident"]:
        if row["sex"] == "2":
            row["height"] = 999 - 200 * row["handle"]
    return contents


@case(11)
@pytest.mark.parametrize("query", TOPS)
async def test_hidden_values_take_no_place_in_a_top_n_list(query: str) -> None:
    grants = [*follow_all(), make_grant(RESIDENT, "height", scope=ODD)]
    one, other = await answers(population(), (rows(), grown()), grants, query)
    assert one == other


@case(11, twin=True)
@pytest.mark.parametrize("query", TOPS)
async def test_granted_values_take_their_place_in_a_top_n_list(query: str) -> None:
    grants = [*follow_all(), make_grant(RESIDENT, "height")]
    one, other = await answers(population(), (rows(), grown()), grants, query)
    assert one[0] != other[0]


# --- 12 and 13: row scopes -----------------------------------------------------------------------------------------


THROUGH = [
    ("{ data { transport { vehicles(where: {keeper: {some: {}}}) { nodes { plate } } } } }", "P3"),
    ('{ data { transport { vehicles(where: {keeper: {some: {name: {eq: "n2"}}}}) { nodes { plate } } } } }', "P3"),
    ("{ data { transport { vehicles { nodes { plate keeper { name } } } } } }", '"n2"'),
    ('{ data { population { households(where: {members: {some: {height: {eq: 172}}}}) { nodes { address } } } } }',
     "street 2"),
    (members("orderBy: [{height: DESC}], first: 1"),
     '"n6"'),
    (members("where: {not: {height: {eq: 999}}}"),
     '"n2"'),
]  # fmt: skip


@hole("hasura-relations")
@case(12)
@pytest.mark.parametrize(("query", "hidden"), THROUGH)
async def test_rows_out_of_scope_are_not_found_through_relations(query: str, hidden: str) -> None:
    answer = await scoped(ODD).ask(query)
    assert answer.errors == []
    assert hidden not in answer.response.body.decode()


@case(12, twin=True)
@pytest.mark.parametrize(("query", "hidden"), THROUGH)
async def test_the_same_rows_are_found_where_the_scope_reaches_them(query: str, hidden: str) -> None:
    assert hidden in (await scoped(TRUE).ask(query)).response.body.decode()


COUNTED = (
    "{ data { population { residents(first: 4) { totalCount pageInfo { hasNextPage hasPreviousPage } nodes { name } } "
    "residentsAggregate { count countValues { height } max { height } countDistinct { name } } "
    "households { nodes { members(first: 2) { totalCount pageInfo { hasNextPage } } } } } } }"
)


@hole("fraiseql-count", "fraiseql-pages")
@case(13)
async def test_counts_flags_and_figures_are_those_of_the_scope() -> None:
    """Against a world in which the rows out of scope are not there at all."""
    contents = rows()
    contents["main"]["resident"] = [row for row in contents["main"]["resident"] if row["sex"] == "1"]
    world = scoped(ODD)
    answer = await world.ask(COUNTED)
    alone = World(closed(), contents, [grant for held in world.replica.held.values() for grant in held])
    assert answer.response.body == (await alone.ask(COUNTED)).response.body
    assert answer.data["data"]["population"]["residents"]["totalCount"] == 4
    assert answer.data["data"]["population"]["residents"]["pageInfo"]["hasNextPage"] is False


@case(13, twin=True)
async def test_counts_flags_and_figures_of_a_wider_scope_are_larger() -> None:
    found = (await scoped(TRUE).ask(COUNTED)).data["data"]["population"]
    assert found["residents"]["totalCount"] == 7
    assert found["residents"]["pageInfo"]["hasNextPage"] is True
    assert found["residentsAggregate"] == [
        {"count": 7, "countValues": {"height": 7}, "max": {"height": 177}, "countDistinct": {"name": 7}}
    ]
    assert [one["members"]["totalCount"] for one in found["households"]["nodes"]] == [2, 3, 2]
