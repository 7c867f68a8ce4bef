"""Case 35: quotas under aliases, pages, roots, relations, retries, failures: no overshoot, no trimming."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.protocol import Arguments, Row, SourceQuery, SourceUnavailable
from resolvers.metering import group_bound
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantState, Period, Quota, Statistics, Usage
from tanglai.catalogue.quotas import Counts, day_of
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case
from tests.catalogues import CONDITIONAL, make_item, make_resource, make_snapshot, population
from tests.gateways import NOW, Answer, World, make_grant
from tests.memory import MemoryConnector
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, VEHICLE, follow_all, rows

DAY = day_of(NOW)
PEOPLE = "{ data { population { residents(first: %d) { %s } } } }"
ONE = '{ data { population { resident(idNumber: "id%d") { %s } } } }'


def phones(number: int, fields: str = "name phone") -> str:
    return PEOPLE % (number, f"nodes {{ {fields} }}")


def limited(items: str = "phone", id: str = "g1", resource: str = RESIDENT, **quota: int) -> Grant:
    return make_grant(resource, items, id, quota=Quota(**quota))


def world_of(*grants: Grant) -> World:
    return World(population(), rows(), grants)


def used(world: World, id: str = "g1") -> Counts:
    """What the operations so far used, as the ledger has it: what lies unused in a block is not."""
    taken = world.quotas.taken.get((id, DAY), Counts())
    block = world.ledger._blocks.get(id)
    return taken - block.spare if block is not None else taken


def nodes(answer: Answer) -> list[dict[str, Any]]:
    return list(answer.data["data"]["population"]["residents"]["nodes"])


async def counted(world: World) -> None:
    """Waits until subjects are counted, which is done after the answer."""
    while world.ledger._tasks:
        await asyncio.gather(*world.ledger._tasks)


# --- what is counted -----------------------------------------------------------------------------------------------


@case(35, twin=True)
async def test_rows_are_answered_until_the_quota_is_used() -> None:
    world = world_of(limited(rows=10))
    for _ in range(2):
        answer = await world.ask(phones(5))
        assert answer.errors == []
        assert [row["phone"] for row in nodes(answer)] == [f"1380000000{n}" for n in range(1, 6)]
    answer = await world.ask(phones(1))
    assert nodes(answer) == [{"name": "n1", "phone": None}]
    (error,) = answer.errors
    assert error["path"] == ["data", "population", "residents", "nodes"]
    told = error["extensions"]
    assert (told["code"], told["article"]) == ("QUOTA_EXCEEDED", "Art. 11(3)")
    assert (told["item"], told["fieldPath"]) == ("phone", "data.population.residents.nodes.phone")
    assert told["grants"] == ["g1"]
    assert told["remedy"]["action"] == "CONTACT_PROVIDER"
    assert answer.extensions["grants"] == []
    record = world.audit.records[-1]
    assert (record.outcome, record.codes, record.grants) == ("PARTIAL", ("QUOTA_EXCEEDED",), ())
    assert used(world) == Counts(rows=10)


async def test_a_page_that_does_not_fit_is_not_trimmed() -> None:
    world = world_of(limited(rows=4))
    answer = await world.ask(phones(5))
    assert [row["phone"] for row in nodes(answer)] == [None] * 5
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts()
    assert (await world.ask(phones(4))).errors == []


async def test_what_is_delivered_counts_not_the_page() -> None:
    world = world_of(limited(rows=100))
    assert len(nodes(await world.ask(phones(50)))) == 7
    assert used(world) == Counts(rows=7)
    assert (await world.ask(ONE % (99, "phone"))).data["data"]["population"]["resident"] is None
    assert used(world) == Counts(rows=7)


async def test_who_does_not_use_the_grant_pays_nothing_and_makes_no_statement() -> None:
    world = world_of(limited(rows=1), make_grant(RESIDENT, "height", "g2"))
    for fields in ("name", "name height", "id __typename"):
        assert (await world.ask(phones(7, fields))).errors == []
    assert world.quotas.statements == []
    assert used(world) == Counts()


@pytest.mark.parametrize(
    "arguments",
    [
        'first: 3, where: {phone: {startsWith: "138"}}',
        'first: 3, where: {or: [{not: {phone: {eq: "x"}}}]}',
        "first: 3, orderBy: [{phone: DESC}]",
        'first: 3, search: "138"',
    ],
)
async def test_filters_orders_and_searches_use_the_grant_too(arguments: str) -> None:
    world = world_of(limited(rows=5))
    query = f"{{ data {{ population {{ residents({arguments}) {{ nodes {{ name }} }} }} }} }}"
    assert len(nodes(await world.ask(query))) == 3
    assert used(world) == Counts(rows=3)
    answer = await world.ask(query)
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert answer.response.status == 429
    assert "data" not in answer.body
    assert world.sources.calls == []
    assert world.audit.records[-1].outcome == "DENIED"
    assert used(world) == Counts(rows=3)


async def test_a_search_does_not_rest_on_what_is_masked_everywhere() -> None:
    """It skips such an item, so the used-up grant of it denies the item alone."""
    world = world_of(make_grant(RESIDENT, "phone", masks={"phone": "middle"}, quota=Quota(rows=2)))
    answer = await world.ask('{ data { population { residents(first: 3, search: "n1") { nodes { name phone } } } } }')
    assert nodes(answer) == [{"name": "n1", "phone": None}]
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts()


async def test_a_key_look_up_uses_the_grant() -> None:
    world = world_of(limited("number", resource=HOUSEHOLD, rows=2))
    query = '{ data { population { household(number: "h%d") { address } } } }'
    for number in (0, 1):
        assert (await world.ask(query % number)).data["data"]["population"]["household"] == {
            "address": f"street {number}"
        }
    answer = await world.ask(query % 2)
    assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    entity = (
        '{ _entities(representations: [{__typename: "Household", number: "h2"}]) { ... on Household { address } } }'
    )
    answer = await world.ask(entity)
    assert answer.data == {"_entities": [None]}
    assert answer.codes == ["QUOTA_EXCEEDED"]


@case(35)
async def test_entities_reserve_as_many_as_they_name() -> None:
    world = world_of(limited(rows=2))
    entity = '{__typename: "Resident", idNumber: "id%d"}'
    query = "{ _entities(representations: [%s]) { ... on Resident { phone } } }"
    answer = await world.ask(query % ", ".join(entity % n for n in (1, 99)))
    assert answer.data == {"_entities": [{"phone": "13800000001"}, None]}
    assert answer.errors == []
    assert used(world) == Counts(rows=1)
    answer = await world.ask(query % ", ".join(entity % n for n in (2, 3)))
    assert answer.codes == ["QUOTA_EXCEEDED"]


async def test_a_node_by_id_uses_the_grant() -> None:
    world = world_of(limited(rows=1))
    row = (await world.ask(ONE % (1, "id"))).data["data"]["population"]["resident"]["id"]
    query = "query($id: ID!) { node(id: $id) { ... on Resident { phone } } }"
    assert (await world.ask(query, {"id": row})).data == {"node": {"phone": "13800000001"}}
    answer = await world.ask(query, {"id": row})
    assert (answer.data, answer.codes) == ({"node": {"phone": None}}, ["QUOTA_EXCEEDED"])


# --- shapes of operations ------------------------------------------------------------------------------------------


@case(35)
async def test_aliases_and_roots_of_one_operation_add_up() -> None:
    world = world_of(limited(rows=9))
    part = "{ nodes { phone } }"
    query = f"{{ data {{ population {{ a: residents(first: 5) {part} b: residents(last: 5) {part} }} }} }}"
    answer = await world.ask(query)
    assert answer.codes == ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]
    assert [error["path"][2] for error in answer.errors] == ["a", "b"]
    assert used(world) == Counts()
    world = world_of(limited(rows=10))
    assert (await world.ask(query)).errors == []
    assert used(world) == Counts(rows=10)


async def test_equal_roots_run_once_and_count_once() -> None:
    world = world_of(limited(rows=7))
    part = "{ nodes { phone } }"
    query = f"{{ data {{ population {{ a: residents(first: 7) {part} b: residents(first: 7) {part} }} }} }}"
    answer = await world.ask(query)
    assert answer.errors == []
    assert len(world.sources.calls) == 1
    assert used(world) == Counts(rows=7)


@pytest.mark.parametrize("parts", ["totalCount", "pageInfo { hasNextPage hasPreviousPage }", "__typename"])
async def test_totals_and_page_flags_cost_no_row(parts: str) -> None:
    """Not even where less is left than a page; they are requests that use the grant."""
    world = world_of(limited(rows=3, requests=2))
    query = f'{{ data {{ population {{ residents(where: {{phone: {{startsWith: "138"}}}}) {{ {parts} }} }} }} }}'
    assert (await world.ask(query)).errors == []
    assert used(world) == Counts(rows=0, requests=1)
    assert (await world.ask(query.replace(parts, f"{parts} edges {{ cursor }}"))).codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts(rows=0, requests=1)


@case(35)
async def test_every_page_counts_anew() -> None:
    world = world_of(limited(rows=6))
    query = (
        "query($after: String) { data { population { residents(first: 3, after: $after) "
        "{ nodes { phone } pageInfo { hasNextPage endCursor } totalCount } } } }"
    )
    after, pages = None, []
    for _ in range(3):
        answer = await world.ask(query, {"after": after})
        page = answer.data["data"]["population"]["residents"]
        # Page flags and counts are those of V, whatever is left.
        assert page["totalCount"] == 7
        after = page["pageInfo"]["endCursor"]
        pages.append(([row["phone"] is None for row in page["nodes"]], page["pageInfo"]["hasNextPage"], answer.codes))
    assert pages == [
        ([False] * 3, True, []),
        ([False] * 3, True, []),
        ([True], False, ["QUOTA_EXCEEDED"]),
    ]


async def test_the_rows_of_v_stay_the_same_when_the_quota_is_used() -> None:
    """No item of a household is open but its number, so that only the grant makes rows visible."""
    some = Compare(CompareOp.NE, ItemRef("number", ScalarType.TEXT), Value("h1", ScalarType.TEXT))
    snapshot = make_snapshot(
        [
            make_resource(
                "household",
                [make_item("number", share_class=CONDITIONAL), make_item("address", share_class=CONDITIONAL)],
                keys=[("number",)],
            )
        ]
    )
    code = next(iter(snapshot.resources))
    world = World(snapshot, rows(), [make_grant(code, "number", scope=some, quota=Quota(rows=2))])
    query = "{ data { population { households(first: 2) { totalCount nodes { id %s } pageInfo { hasNextPage } } } } }"
    before = await world.ask(query % "number")
    after = await world.ask(query % "number")
    one, two = (answer.data["data"]["population"]["households"] for answer in (before, after))
    assert [row["number"] for row in one["nodes"]] == ["h0", "h2"]
    assert [row["number"] for row in two["nodes"]] == [None, None]
    assert [row["id"] for row in one["nodes"]] == [row["id"] for row in two["nodes"]]
    assert (one["totalCount"], one["pageInfo"]) == (two["totalCount"], two["pageInfo"])
    assert (before.codes, after.codes) == ([], ["QUOTA_EXCEEDED"])


async def test_the_denial_is_the_same_for_a_list_that_is_empty() -> None:
    world = world_of(limited(rows=0))
    answer = await world.ask(
        '{ data { population { residents(where: {name: {eq: "x"}}) { nodes { phone } } '
        'resident(idNumber: "x") { phone } } } }'
    )
    assert answer.data["data"]["population"] == {"residents": {"nodes": []}, "resident": None}
    assert answer.codes == ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]


async def test_all_or_nothing_gets_nothing() -> None:
    world = world_of(limited(rows=4), limited("height", "g2", rows=100))
    answer = await world.ask(phones(5, "phone height"), extensions={"onDenied": "REFUSE"})
    assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    assert world.sources.calls == []
    assert used(world, "g2") == Counts()
    assert (await world.ask(phones(4, "phone height"), extensions={"onDenied": "REFUSE"})).errors == []


async def test_the_grants_of_one_operation_are_short_each_for_itself() -> None:
    world = world_of(limited(rows=5), limited("height", "g2", rows=4), limited("income", "g3", rows=20))
    answer = await world.ask(phones(5, "phone height income"))
    assert nodes(answer)[0] == {"phone": "13800000001", "height": None, "income": "0.5"}
    assert [error["extensions"]["item"] for error in answer.errors] == ["height"]
    assert (used(world), used(world, "g2"), used(world, "g3")) == (Counts(5), Counts(), Counts(5))


async def test_no_other_grant_steps_in() -> None:
    odd = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    world = world_of(replace(limited(rows=5), scope=odd), make_grant(RESIDENT, "phone", "g2"))
    assert [row["phone"] is None for row in nodes(await world.ask(phones(5)))] == [False] * 5
    answer = await world.ask(phones(5))
    assert [row["phone"] for row in nodes(answer)] == [None] * 5
    assert answer.errors[0]["extensions"]["grants"] == ["g1"]


# --- relations -----------------------------------------------------------------------------------------------------

VEHICLES = "{ data { population { residents(first: %d) { nodes { name vehicles(first: %d) { nodes { plate } } } } } } }"


def followed(near: Quota | None = None, far: Quota | None = None) -> list[Grant]:
    ends = {"r1": near, "r2": far}
    return [replace(grant, quota=ends.get(grant.id)) for grant in follow_all()]


async def test_the_near_end_counts_parents_the_far_end_what_lies_beyond() -> None:
    world = world_of(*followed(Quota(rows=100), Quota(rows=100)))
    answer = await world.ask(VEHICLES % (5, 2))
    assert answer.errors == []
    assert used(world, "r1") == Counts(rows=5)
    assert used(world, "r2") == Counts(rows=3)


@pytest.mark.parametrize(("near", "far", "short"), [(5, 10, False), (4, 10, True), (5, 9, True)])
async def test_what_can_lie_beyond_is_reserved(near: int, far: int, short: bool) -> None:
    world = world_of(*followed(Quota(rows=near), Quota(rows=far)))
    answer = await world.ask(VEHICLES % (5, 2))
    first = nodes(answer)[0]
    if not short:
        assert answer.errors == []
        assert [vehicle["plate"] for vehicle in first["vehicles"]["nodes"]] == ["P1", "P2"]
        return
    assert first == {"name": "n1", "vehicles": None}
    (error,) = answer.errors
    assert error["extensions"]["code"] == "QUOTA_EXCEEDED"
    assert error["path"] == ["data", "population", "residents", "nodes"]
    assert len(world.sources.calls) == 1
    assert used(world, "r1") == used(world, "r2") == Counts()


async def test_what_lies_beyond_a_denied_relation_is_not_reserved() -> None:
    world = world_of(*followed(Quota(rows=4)), limited("owner", "v1", VEHICLE, rows=10))
    query = "{ data { population { residents(first: 5) { nodes { vehicles(first: 2) { nodes { owner } } } } } } }"
    answer = await world.ask(query)
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert world.quotas.taken.get(("v1", DAY), Counts()) == Counts(rows=10)  # asked for, and left unused
    assert used(world, "v1") == Counts()


async def test_a_filter_through_a_relation_uses_the_grants_of_both_ends() -> None:
    world = world_of(
        *[replace(grant, quota=Quota(rows=100)) for grant in follow_all()], limited("owner", "v1", VEHICLE, rows=2)
    )
    there_and_back = (
        '{ data { population { residents(first: 2, where: {household: {some: {members: {some: {name: {ne: "x"}}}}}}) '
        "{ nodes { name } } } } }"
    )
    answer = await world.ask(there_and_back)
    assert answer.errors == []
    assert (used(world, "r1"), used(world, "r3"), used(world, "v1")) == (Counts(2), Counts(2), Counts())
    through = (
        '{ data { population { residents(first: 2, where: {vehicles: {some: {owner: {eq: "id1"}}}}) '
        "{ nodes { name } } } } }"
    )
    assert len(nodes(await world.ask(through))) == 1  # another source: its keys are read, and not delivered
    assert used(world, "v1") == Counts(rows=1)
    assert used(world, "r2") == Counts(rows=1)
    assert (await world.ask(through)).codes == ["QUOTA_EXCEEDED"]


# --- figures -------------------------------------------------------------------------------------------------------

FIGURES = "{ data { population { residentsAggregate%s { count %s } } } }"


async def test_a_group_of_figures_is_a_row() -> None:
    world = world_of(limited("income", rows=5))
    answer = await world.ask(FIGURES % ("(groupBy: [SEX])", "key { sex } sum { income }"))
    assert len(answer.data["data"]["population"]["residentsAggregate"]) == 2
    assert used(world) == Counts(rows=2)
    answer = await world.ask(FIGURES % ("", "sum { income }"))
    assert answer.errors == []
    assert used(world) == Counts(rows=3)
    # Two sexes and none make three groups, as far as the catalogue tells.
    answer = await world.ask(FIGURES % ("(groupBy: [SEX])", "sum { income }"))
    assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    assert world.sources.calls == []
    assert (await world.ask(FIGURES % ("(groupBy: [SEX])", ""))).errors == []


async def test_groups_that_no_code_list_bounds_need_the_whole_limit() -> None:
    query = FIGURES % ("(groupBy: [PHONE])", "key { phone }")
    assert (await world_of(limited(rows=9_999)).ask(query)).codes == ["QUOTA_EXCEEDED"]
    world = world_of(limited(rows=10_000))
    assert len((await world.ask(query)).data["data"]["population"]["residentsAggregate"]) == 7
    assert used(world) == Counts(rows=7)


def test_what_the_catalogue_tells_of_groups() -> None:
    sex, married, name = make_item("sex", codes="12"), make_item("m", ScalarType.BOOLEAN), make_item("name")
    assert [group_bound(items, 1_000) for items in ((), (sex,), (sex, married), (sex, name))] == [1, 3, 9, 1_000]


async def test_groups_beyond_the_code_lists_are_not_delivered() -> None:
    data = rows()
    for number, row in enumerate(data["main"]["resident"]):
        row["sex"] = str(number)
    world = World(population(), data, [limited("income", rows=1_000)])
    answer = await world.ask(FIGURES % ("(groupBy: [SEX])", "sum { income }"))
    assert answer.data["data"]["population"]["residentsAggregate"] is None
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts()
    assert len((await world.ask(FIGURES % ("(groupBy: [SEX])", ""))).data["data"]["population"]["residentsAggregate"])


async def test_published_figures_count_too() -> None:
    grant = make_grant(
        RESIDENT,
        "sex income",
        usage=Usage.STATISTICS,
        statistics=Statistics(("sex",), ("income",), Period.DAY, 3, 1),
        quota=Quota(rows=5, requests=2),
    )
    snapshot = replace(population(), rule_set="order-809")  # nothing can be read without a grant
    world = World(snapshot, rows(), [grant])
    query = FIGURES % ("(groupBy: [SEX])", "key { sex } sum { income }")
    answer = await world.ask(query)
    assert len(answer.data["data"]["population"]["residentsAggregate"]) == 2
    assert used(world) == Counts(rows=2, requests=1)
    assert (await world.ask(query)).errors == []
    answer = await world.ask(FIGURES % ("", ""))
    assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    assert answer.errors[0]["extensions"]["grants"] == ["g1"]


# --- requests and subjects -----------------------------------------------------------------------------------------


async def test_an_operation_is_one_request_of_each_grant_it_uses() -> None:
    world = world_of(limited(requests=2), limited("height", "g2", requests=9))
    many = '{ data { population { a: residents { nodes { phone } } b: resident(idNumber: "id1") { phone } } } }'
    assert (await world.ask(many)).errors == []
    assert (await world.ask(phones(1, "phone height"))).errors == []
    assert (await world.ask(phones(1, "phone height"))).codes == ["QUOTA_EXCEEDED"]
    assert (used(world), used(world, "g2")) == (Counts(requests=2), Counts(requests=2))


@case(35)
async def test_a_client_that_tries_again_pays_again() -> None:
    world = world_of(limited(requests=3, rows=100))
    world.sources.connectors["main"].fault = SourceUnavailable("main")
    for _ in range(2):
        assert (await world.ask(phones(7))).codes == ["SOURCE_UNAVAILABLE"]
    assert used(world) == Counts(requests=2)
    world.sources.connectors["main"].fault = None
    assert (await world.ask(phones(7))).errors == []
    assert (await world.ask(phones(7))).codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts(7, 3)


async def test_what_is_refused_costs_nothing() -> None:
    world = world_of(limited(requests=1, rows=7))
    for query in (
        "{ data { population { residents(first: 5000) { nodes { phone } } } } }",
        '{ data { population { residents(after: "x") { nodes { phone } } } } }',
        '{ data { population { residents(where: {passport: {eq: "x"}}) { nodes { phone } } } } }',
        "{ data { population { residents { nodes { phone unknown } } } } }",
    ):
        assert "data" not in (await world.ask(query)).body
    assert world.quotas.statements == []
    assert (await world.ask(phones(7))).errors == []


async def test_distinct_subjects_are_counted_once_a_day() -> None:
    world = world_of(limited(subjects=4))
    assert (await world.ask(ONE % (1, "phone"))).errors == []
    await counted(world)
    assert (await world.ask(phones(3))).errors == []  # the first of them is known already
    await counted(world)
    assert used(world) == Counts(subjects=3)
    for _ in range(5):
        assert (await world.ask(ONE % (2, "phone"))).errors == []
        await counted(world)
    assert used(world) == Counts(subjects=3)
    assert (await world.ask(phones(2))).codes == ["QUOTA_EXCEEDED"]  # they could be new, and there is room for one
    assert (await world.ask(ONE % (7, "phone"))).errors == []
    await counted(world)
    assert (await world.ask(ONE % (1, "phone"))).codes == ["QUOTA_EXCEEDED"]
    (hashes,) = world.quotas.subjects.values()
    assert len(hashes) == 4


async def test_subjects_are_reserved_before_they_are_known() -> None:
    world = world_of(limited(subjects=4))
    assert (await world.ask(phones(5))).codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts()
    assert (await world.ask(phones(4))).errors == []


@pytest.mark.parametrize("clear", [True, False])
async def test_without_a_handle_a_clear_key_tells_subjects_apart(clear: bool) -> None:
    key = make_item("number", share_class=CONDITIONAL)
    snapshot = make_snapshot(
        [
            make_resource(
                "household", [key, make_item("address", share_class=CONDITIONAL)], keys=[("number",)], handle=None
            )
        ]
    )
    code = next(iter(snapshot.resources))
    world = World(
        snapshot, rows(), [make_grant(code, "number address" if clear else "address", quota=Quota(subjects=6))]
    )
    query = "{ data { population { households(first: 3) { nodes { address } } } } }"
    for expected in ([], [], [] if clear else ["QUOTA_EXCEEDED"]):
        assert (await world.ask(query)).codes == expected
        await counted(world)
    assert used(world) == Counts(subjects=3 if clear else 6)


async def test_groups_count_as_subjects_once_for_the_same_question() -> None:
    world = world_of(limited("income", subjects=6))
    grouped = FIGURES % ("(groupBy: [SEX])", "sum { income }")
    for _ in range(3):
        assert (await world.ask(grouped)).errors == []
        await counted(world)
    assert used(world) == Counts(subjects=2)
    one = (
        "query($id: String!) { data { population { residentsAggregate(where: {idNumber: {eq: $id}}) "
        "{ max { income } } } } }"
    )
    for number in (1, 2, 2, 1):
        assert (await world.ask(one, {"id": f"id{number}"})).errors == []
        await counted(world)
    assert used(world) == Counts(subjects=4)


async def test_equal_figures_filtered_through_another_source_are_one_question() -> None:
    world = world_of(limited("income", rows=100, subjects=100), *follow_all())
    figures = 'residentsAggregate(where: {vehicles: {some: {plate: {startsWith: "P"}}}}) { max { income } }'
    answer = await world.ask(f"{{ data {{ population {{ a: {figures} b: {figures} }} }} }}")
    assert answer.errors == []
    await counted(world)
    assert len(world.sources.calls) == 2  # the keys and the figures
    assert used(world) == Counts(rows=1, subjects=1)


# --- time, change, failure -----------------------------------------------------------------------------------------


async def test_a_new_day_in_shanghai_begins_with_the_whole_quota() -> None:
    world = world_of(replace(limited(rows=7), valid_to=NOW + timedelta(days=9)))
    world.replica.now = NOW.replace(hour=15, minute=59, second=59)
    assert (await world.ask(phones(7))).errors == []
    assert (await world.ask(phones(1))).codes == ["QUOTA_EXCEEDED"]
    world.replica.now += timedelta(seconds=1)
    assert (await world.ask(phones(7))).errors == []
    assert (await world.ask(phones(1))).codes == ["QUOTA_EXCEEDED"]


async def test_plans_are_kept_with_and_without_the_grant() -> None:
    world = world_of(limited(rows=14))
    answers = [(await world.ask(phones(7))).codes for _ in range(4)]
    assert answers == [[], [], ["QUOTA_EXCEEDED"], ["QUOTA_EXCEEDED"]]
    served = world.gateway._served
    assert served is not None
    assert len(served.plans._plans) == 2


async def test_a_changed_grant_is_planned_and_counted_anew() -> None:
    world = world_of(limited(rows=7))
    requester = next(iter(world.replica.held))
    assert (await world.ask(phones(7))).errors == []
    assert (await world.ask(phones(1))).codes == ["QUOTA_EXCEEDED"]
    world.replica.held[requester] = (limited(rows=8),)
    assert (await world.ask(phones(1))).errors == []
    assert (await world.ask(phones(1))).codes == ["QUOTA_EXCEEDED"]
    world.replica.held[requester] = (replace(limited(rows=8), state=GrantState.SUSPENDED),)
    assert (await world.ask(phones(1))).codes == ["GRANT_SUSPENDED"]
    world.replica.held[requester] = (make_grant(RESIDENT, "phone"),)
    assert (await world.ask(phones(7))).errors == []


async def test_what_is_left_is_told() -> None:
    world = world_of(limited(rows=20, requests=9), make_grant(RESIDENT, "height", "g2"))
    await world.ask(phones(5))
    await world.ask(phones(50))  # short of 50, so that nothing is used
    query = "{ me { grants { nodes { id usedToday { day rows requests subjects remaining { rows requests } } } } } }"
    first, second = (await world.ask(query)).data["me"]["grants"]["nodes"]
    assert first["usedToday"] == {
        "day": "2026-05-06",
        "rows": 5,
        "requests": 1,
        "subjects": None,
        "remaining": {"rows": 15, "requests": 8},
    }
    assert second == {"id": "g2", "usedToday": None}


async def test_no_ledger_no_data() -> None:
    world = world_of(limited(rows=70))
    world.quotas.down = True
    answer = await world.ask(phones(7))
    assert (answer.codes, answer.response.status) == (["POLICY_UNAVAILABLE"], 503)
    assert "data" not in answer.body
    assert world.sources.calls == []
    assert world.audit.records[-1].outcome == "FAILED"
    assert (await world.ask(phones(7, "name"))).errors == []  # who uses no quota is not concerned
    world.quotas.down = False
    assert (await world.ask(phones(7))).errors == []
    world.gateway._quotas = None
    assert (await world.ask(phones(7))).codes == ["POLICY_UNAVAILABLE"]


async def test_no_record_still_counts() -> None:
    world = world_of(limited(rows=70, requests=5))
    world.audit.down = True
    assert (await world.ask(phones(7))).codes == ["AUDIT_UNAVAILABLE"]
    assert used(world) == Counts(7, 1)


class _Slow(MemoryConnector):
    """Holds every answer back until it is let go."""

    def __init__(self, inner: MemoryConnector) -> None:
        super().__init__(inner.tables)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        self.asked.set()
        await self.go.wait()
        return await super().fetch(query, arguments, timeout=timeout)


def slow(world: World) -> _Slow:
    connector = world.sources.connectors["main"] = _Slow(world.sources.connectors["main"])
    return connector


async def test_a_cancelled_operation_gives_back_what_it_reserved() -> None:
    world = world_of(limited(rows=10, requests=3))
    source = slow(world)
    task = asyncio.create_task(world.ask(phones(7)))
    await asyncio.wait_for(source.asked.wait(), 10)
    assert used(world) == Counts(7, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert used(world) == Counts(requests=1)
    source.go.set()
    assert (await world.ask(phones(7))).errors == []


@case(35)
async def test_operations_at_the_same_time_never_overshoot() -> None:
    """Each may deliver 5 rows and there are 12: two get them, whoever else asks at that moment is told so."""
    world = world_of(limited(rows=12))
    source = slow(world)
    tasks = [asyncio.create_task(world.ask(phones(5))) for _ in range(20)]
    await asyncio.wait_for(source.asked.wait(), 10)
    await asyncio.sleep(0.05)
    source.go.set()
    answers: Sequence[Answer] = await asyncio.gather(*tasks)
    assert sorted(len(answer.errors) for answer in answers) == [0] * 2 + [1] * 18
    assert sum(row["phone"] is not None for answer in answers for row in nodes(answer)) == 10
    assert used(world) == Counts(rows=10)
