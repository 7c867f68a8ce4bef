"""What is HTTP's own: what is asked of the endpoint, pages, bounds, faults, retries."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

from connectors.http import HttpConnector, HttpKind, converter
from connectors.http_endpoint import Endpoint
from connectors.protocol import (
    KEYS,
    CapabilityMissing,
    ColumnStructure,
    Order,
    RawOutput,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
    keyset_path,
)
from tanglai.catalogue.expressions import (
    TRUE,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    Not,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.scalars import ScalarType
from tests.capture import captured_logs
from tests.contract.dataset import CODE, FLAG, ID, NAME, PEOPLE_COLUMNS

SECONDS = 20.0
IDS = {"id": {"parameter": "ids", "op": "in", "most": 3}}
PAGED: dict[str, Any] = {"items": "data.items", "paging": {"kind": "page", "size": 9, "total": ["total"]}}


@pytest_asyncio.fixture(loop_scope="session")
async def source(interface_url: str) -> AsyncIterator[HttpConnector]:
    connector = opened(interface_url)
    yield connector
    await connector.close()


def opened(url: str, **changes: Any) -> HttpConnector:
    options = {"url": url, "token": {"env": "KEY"}, "max_response_bytes": 1_000_000, **changes}
    return HttpKind().open("people", options, {"KEY": "right"})


def reading(path: str, *columns: Column, where: Expression = TRUE, **changes: Any) -> SourceQuery:
    given: dict[str, Any] = {"max_rows": 100, "order": (Order(ID),), **changes}
    options = {"path": path, **given.pop("options", {})}
    outputs = tuple(RawOutput(column) for column in columns or (ID,))
    return SourceQuery("people", None, "people", outputs, where=where, options=MappingProxyType(options), **given)


async def asked(url: str) -> list[str]:
    """Every request that the interface has seen, path and query."""

    def ask() -> list[str]:
        with urllib.request.urlopen(f"{url}/log") as response:
            log: list[str] = json.load(response)
            return log

    return await asyncio.to_thread(ask)


class Watched:
    """The requests made while it is entered."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> "Watched":
        self._before = len(await asked(self._url))
        return self

    async def __aexit__(self, *error: object) -> None:
        self.requests = (await asked(self._url))[self._before :]

    @property
    def parameters(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(request).query, keep_blank_values=True) for request in self.requests]


@pytest.mark.parametrize(
    ("path", "options", "requests"),
    [
        ("plain/people", {}, 1),
        ("paged/people", {**PAGED, "paging": {"kind": "page"}}, 6),
        ("paged/people", PAGED, 5),
        ("offset/people", {"items": "items", "paging": {"kind": "offset", "size": 3}}, 6),
        ("cursor/people", {"items": "items", "paging": {"kind": "cursor", "next": "page.next"}}, 5),
    ],
    ids=["none", "page to the empty one", "page to the total", "offset", "cursor"],
)
async def test_all_pages_are_read(
    source: HttpConnector, interface_url: str, path: str, options: dict[str, Any], requests: int
) -> None:
    async with Watched(interface_url) as watched:
        rows = await source.fetch(reading(path, options=options), {}, timeout=SECONDS)
    assert [row[0] for row in rows] == list(range(1, 15))
    assert len(watched.requests) == requests


async def test_columns_are_found_at_their_paths(source: HttpConnector) -> None:
    columns = {"id": ["attributes", "a.b", "id"], "name": "attributes.list.0.name", "code": "attributes.list.7.code"}
    query = reading("nested/people", ID, NAME, CODE, options={"items": "items", "columns": columns}, limit=2)
    assert await source.fetch(query, {}, timeout=SECONDS) == [(1, "张三", None), (2, "张三丰", None)]


def equal(cell: Expression, value: Any, kind: ScalarType) -> Compare:
    return Compare(CompareOp.EQ, cell, Value(value, kind))


MINE = Case(((equal(FLAG, True, FLAG.type), NAME),), NAME.type)
NAME_FILTER = {"name": {"parameter": "name"}}


@pytest.mark.parametrize(
    ("where", "filters", "expected", "sent"),
    [
        (equal(NAME, "张三", NAME.type), NAME_FILTER, [1], [{"name": ["张三"]}]),
        (Compare(CompareOp.EQ, Slot("n", NAME.type), NAME), NAME_FILTER, [14], [{"name": ["A"]}]),
        (IsTrue(And((TRUE, equal(NAME, "张三", NAME.type)))), NAME_FILTER, [1], [{"name": ["张三"]}]),
        (equal(MINE, "张三", NAME.type), NAME_FILTER, [1], [{"name": ["张三"]}]),
        (equal(MINE, "张三丰", NAME.type), NAME_FILTER, [], [{"name": ["张三丰"]}]),
        (Not(equal(MINE, "张三", NAME.type)), NAME_FILTER, [4, 9, 10, 14], [{}]),
        (Or((equal(NAME, "A", NAME.type), equal(ID, 2, ID.type))), {**NAME_FILTER, **IDS}, [2, 14], [{}]),
        (Or((equal(NAME, "A", NAME.type), equal(NAME, "z", NAME.type))), NAME_FILTER, [11, 14],
         [{"name": ["A"]}, {"name": ["z"]}]),
        (In(ID, (Slot("ids", ID.type, many=True),)), IDS, [1, 2, 3, 4], [{"ids": ["1,2,3"]}, {"ids": ["4"]}]),
        (In(ID, (Slot("none", ID.type, many=True),)), IDS, [], []),
        (In(ID, (Slot("null", ID.type, many=True),)), IDS, [], []),
        (And((equal(NAME, "A", NAME.type), In(ID, (Slot("ids", ID.type, many=True),)))), {**NAME_FILTER, **IDS}, [],
         [{"name": ["A"], "ids": ["1,2,3"]}, {"name": ["A"], "ids": ["4"]}]),
        (And((equal(NAME, "A", NAME.type), In(ID, (Slot("ids", ID.type, many=True),)))),
         {**NAME_FILTER, "id": {"parameter": "id"}}, [], [{"name": ["A"]}]),
        (equal(ID, 3, ID.type), {"id": {"parameter": "ids", "op": "in", "style": "repeat"}}, [3], [{"ids": ["3"]}]),
        (Compare(CompareOp.NE, NAME, Value("A", NAME.type)), NAME_FILTER, [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13],
         [{}]),
        (IsNull(NAME), NAME_FILTER, [6], [{}]),
    ],
)  # fmt: skip
async def test_only_what_is_implied_is_asked(
    source: HttpConnector,
    interface_url: str,
    where: Expression,
    filters: dict[str, Any],
    expected: list[int],
    sent: list[dict[str, list[str]]],
) -> None:
    arguments = {"n": "A", "ids": [1, 2, 3, 4, 1], "none": [], "null": [None]}
    for changes in ({"where": where}, {"visible": where}):
        async with Watched(interface_url) as watched:
            query = reading("plain/people", options={"filters": filters}, **changes)
            rows = await source.fetch(query, arguments, timeout=SECONDS)
        assert [row[0] for row in rows] == expected
        assert sorted(watched.parameters, key=repr) == sorted(sent, key=repr)


async def test_key_batches_are_asked_in_pieces(source: HttpConnector, interface_url: str) -> None:
    query = reading("paged/people", NAME, links=(ID,), options={"filters": IDS, **PAGED}, max_rows=None)
    async with Watched(interface_url) as watched:
        rows = await source.fetch(query, {KEYS: [14, 1, 2, 3, 99, 5, 7]}, timeout=SECONDS)
    assert sorted(rows) == [(1, "张三"), (2, "张三丰"), (3, "zhang"), (5, ""), (7, "e\u0301"), (14, "A")]
    assert sorted(one["ids"] for one in watched.parameters) == [["14,1,2"], ["3,99,5"], ["7"]]
    async with Watched(interface_url) as watched:
        assert await source.fetch(query, {KEYS: []}, timeout=SECONDS) == []
    assert watched.requests == []


async def test_an_endpoint_that_returns_too_much_gives_no_row_twice(source: HttpConnector) -> None:
    filters = {"id": {"parameter": "ignored", "op": "in", "most": 2}}
    query = reading("plain/people", links=(ID,), options={"filters": filters, "parameters": {"v": "2"}})
    assert sorted(await source.fetch(query, {KEYS: [1, 2, 3, 4, 5]}, timeout=SECONDS)) == [(i, i) for i in range(1, 6)]


async def test_texts_with_commas_are_not_asked_for(source: HttpConnector) -> None:
    filters = {"name": {"parameter": "names", "op": "in"}}
    where = In(NAME, (Slot("names", NAME.type, many=True),))
    with pytest.raises(CapabilityMissing):
        await source.fetch(
            reading("plain/people", where=where, options={"filters": filters}), {"names": ["A", "b,c"]}, timeout=SECONDS
        )


async def test_a_link_key_that_cannot_be_sent_is_not_told_by_a_failure(source: HttpConnector) -> None:
    """Link keys may be hidden from who asks: those of a batch, and those that a filter read from another source."""
    filters = {"name": {"parameter": "names", "op": "in"}}
    slot = Slot(keyset_path(0), NAME.type, many=True)
    for changes, path in (({"links": (NAME,)}, KEYS), ({"where": In(NAME, (slot,))}, slot.path)):
        query = reading("plain/people", options={"filters": filters}, **changes)
        plain = await source.fetch(query, {path: ["A"]}, timeout=SECONDS)
        assert len(plain) > 0
        assert await source.fetch(query, {path: ["A", "b,c"]}, timeout=SECONDS) == plain
        assert await source.fetch(query, {path: ["b,c"]}, timeout=SECONDS) == []


@pytest.mark.parametrize("most", [13, 14])
@pytest.mark.parametrize(("path", "options"), [("plain/people", {}), ("paged/people", PAGED)], ids=["one", "pages"])
async def test_more_rows_than_the_catalogue_says(
    source: HttpConnector, path: str, options: dict[str, Any], most: int
) -> None:
    query = reading(path, max_rows=most, options=options, limit=1)
    if most == 14:
        assert await source.fetch(query, {}, timeout=SECONDS) == [(1,)]
    else:
        with pytest.raises(SourceUnavailable):
            await source.fetch(query, {}, timeout=SECONDS)


CURSOR = {"items": "items", "paging": {"kind": "cursor", "next": "page.next"}}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("status/500", {}),
        ("status/404", {}),
        ("status/401", {}),
        ("status/503", {}),
        ("truncated/x", {}),
        ("short/x", {}),
        ("reset/x", {}),
        ("deep/x", {}),
        ("object/x", {"items": "items"}),
        ("object/x", {"items": "missing"}),
        ("object/x", {}),
        ("endless/x", {"paging": {"kind": "page"}}),
        ("circle/x", CURSOR),
        ("void/x", CURSOR),
        ("large/x", {}),
        ("moved/away", {}),
        ("moved/round", {}),
    ],
)
async def test_faults(source: HttpConnector, interface_url: str, path: str, options: dict[str, Any]) -> None:
    with captured_logs() as logs, pytest.raises(SourceUnavailable) as caught:
        await source.fetch(reading(path, options=options), {}, timeout=SECONDS)
    assert str(caught.value) == "source `people` is unavailable"
    failures = [entry for entry in logs if entry["event"] == "source call failed"]
    assert len(failures) == 1
    assert "secret" not in repr(logs)
    assert "127.0.0.1" not in repr(logs)
    assert await source.fetch(reading("plain/people", limit=1), {}, timeout=SECONDS) == [(1,)]


@pytest.mark.parametrize(
    ("status", "times", "answers"), [(503, 2, True), (429, 1, True), (502, 9, False), (500, 1, False)]
)
async def test_retries(source: HttpConnector, interface_url: str, status: int, times: int, answers: bool) -> None:
    query = reading(f"flaky/{status}/{times}/{uuid4()}", limit=1)
    async with Watched(interface_url) as watched:
        if answers:
            assert await source.fetch(query, {}, timeout=SECONDS) == [(1,)]
        else:
            with pytest.raises(SourceUnavailable):
                await source.fetch(query, {}, timeout=SECONDS)
    assert len(watched.requests) == (times + 1 if answers else {502: 4, 500: 1}[status])


async def test_nobody_waits_longer_than_the_call_may_take(source: HttpConnector, interface_url: str) -> None:
    async with Watched(interface_url) as watched:
        with pytest.raises(SourceUnavailable):  # it says: in an hour
            await source.fetch(reading("status/429"), {}, timeout=SECONDS)
    assert len(watched.requests) == 1


async def test_a_call_ends_in_its_time(source: HttpConnector) -> None:
    with pytest.raises(SourceTimeout):
        await source.fetch(reading("slow/30"), {}, timeout=0.2)
    calls = [asyncio.create_task(source.fetch(reading("slow/30"), {}, timeout=60)) for _ in range(8)]
    await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    assert {type(done) for done in await asyncio.gather(*calls, return_exceptions=True)} == {asyncio.CancelledError}
    assert await source.fetch(reading("plain/people", limit=1), {}, timeout=SECONDS) == [(1,)]


async def test_redirects_within_the_host_are_followed(source: HttpConnector) -> None:
    assert len(await source.fetch(reading("moved/here"), {}, timeout=SECONDS)) == 14


async def test_not_found_may_mean_nothing(source: HttpConnector) -> None:
    query = reading("status/404", options={"not_found_is_empty": True})
    assert await source.fetch(query, {}, timeout=SECONDS) == []


async def test_values_of_wrong_types_are_null(source: HttpConnector) -> None:
    query = reading("types/x", *PEOPLE_COLUMNS)
    assert await source.fetch(query, {}, timeout=SECONDS) == [
        (1, *[None] * (len(PEOPLE_COLUMNS) - 1)),
        (2, *[None] * (len(PEOPLE_COLUMNS) - 1)),
    ]
    query = reading("numbers/x", *PEOPLE_COLUMNS)
    assert await source.fetch(query, {}, timeout=SECONDS) == [(1, *[None] * (len(PEOPLE_COLUMNS) - 1))]


async def test_an_unreachable_host() -> None:
    for url in ("http://127.0.0.1:9/", "https://127.0.0.1:9/", "http://nowhere.invalid/"):
        connector = opened(url)
        with pytest.raises(SourceUnavailable):
            await connector.fetch(reading("plain/people"), {}, timeout=SECONDS)
        await connector.close()


async def test_the_token_is_sent(interface_url: str) -> None:
    connector = opened(interface_url, token="wrong")
    with pytest.raises(SourceUnavailable):
        await connector.fetch(reading("plain/people"), {}, timeout=SECONDS)
    await connector.close()
    headers = {"Authorization": {"env": "HEADER"}}
    connector = HttpKind().open("people", {"url": interface_url, "headers": headers}, {"HEADER": "Bearer right"})
    assert len(await connector.fetch(reading("plain/people"), {}, timeout=SECONDS)) == 14
    await connector.close()


async def test_structure(interface_url: str) -> None:
    connector = opened(interface_url, structure="structure/x")
    columns = (
        ColumnStructure("id", "LONG", ScalarType.LONG, nullable=True, unique=False),
        ColumnStructure("name", "string", ScalarType.TEXT, nullable=True, unique=False),
        ColumnStructure("extra", "blob", None, nullable=True, unique=False),
    )
    assert await connector.introspect() == [TableStructure(None, "people", columns)]
    await connector.close()
    connector = opened(interface_url)
    with pytest.raises(CapabilityMissing):
        await connector.introspect()
    await connector.close()


def test_refusals() -> None:
    kind = HttpKind()
    assert kind.refusal(reading("x")) is None
    all_rows = "read all rows of `people`"
    unbounded: dict[str, Any] = {"max_rows": None, "options": {"filters": NAME_FILTER}}
    assert kind.refusal(reading("x", **unbounded)) == all_rows
    assert kind.refusal(reading("x", **unbounded, where=equal(NAME, "a", NAME.type))) is None
    assert kind.refusal(reading("x", **unbounded, where=Not(equal(NAME, "a", NAME.type)))) == all_rows
    assert kind.refusal(reading("x", **unbounded, visible=IsTrue(equal(MINE, "a", NAME.type)))) is None
    assert kind.refusal(reading("x", **unbounded, links=(NAME,))) is None
    assert kind.refusal(reading("x", **unbounded, links=(ID,))) == all_rows
    assert kind.refusal(reading("x", where=Exists(None, "cars", ((ID, ID),), TRUE))) is not None
    refusal = kind.refusal(reading("x", options={"paging": {"kind": "psychic"}}))
    assert refusal is not None
    assert refusal.startswith("read `people` as its binding says: option `paging`")


async def test_a_call_that_would_be_refused_is(source: HttpConnector) -> None:
    with pytest.raises(CapabilityMissing, match="cannot read all rows of `people`"):
        await source.fetch(reading("plain/people", max_rows=None), {}, timeout=SECONDS)


def test_the_declaration_has_a_schema() -> None:
    schema = Endpoint.model_json_schema()
    assert set(schema["properties"]) >= {"path", "items", "columns", "filters", "paging"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "option `url`"),
        ({"url": "ftp://h/"}, "option `url`"),
        ({"url": "http://h/", "token": {"env": "MISSING"}}, "`MISSING` is not set"),
        ({"url": "http://h/", "speed": 1}, "option `speed`"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HttpKind().open("s", options, {})


def test_times_without_zone() -> None:
    changed = converter(Column("changed", ScalarType.DATETIME, timezone="Asia/Shanghai"))
    assert changed("2024-02-29T08:00:00") == datetime(2024, 2, 29, tzinfo=UTC)
    assert changed("2024-02-29T08:00:00+00:00") == datetime(2024, 2, 29, 8, tzinfo=UTC)
    assert changed("1988-07-01T08:00:00") == datetime(1988, 6, 30, 23, tzinfo=UTC)  # summer time
    assert changed("0001-01-01T00:00:00") is None
    assert converter(Column("t", ScalarType.DATETIME))("2024-02-29 08:00") == datetime(2024, 2, 29, tzinfo=UTC)
    assert converter(Column("a", ScalarType.DECIMAL))(Decimal("1.50")) == Decimal("1.5")
