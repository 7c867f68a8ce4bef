"""In charge of the parts of the benchmark of speed that decide what its figures say."""

import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from benchmarks.speed import answers, figures, platform, report
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.contract import RESIDENT_FIELDS, VEHICLE_FIELDS, Call, Draw, graphql_call
from benchmarks.speed.data import LINKED, statements
from benchmarks.speed.draws import draws
from benchmarks.speed.load import Cpu, Figures, LoadError, TooShort, command, read_figures, write_table
from benchmarks.speed.platform import Asker
from benchmarks.speed.run import takes_part
from benchmarks.speed.subjects import ours, raw
from tanglai.catalogue.checks import Severity, check, load_draft
from tanglai.catalogue.identity import is_credit_code, is_resident_number

CASE = Case("list_100", 100, {"raw": 0.7, "postgraphile": 1.4})
ASKERS = tuple(Asker(f"d{n}", f"c{n}", f"640{n}", (f"t{n}a", f"t{n}b")) for n in range(1, 5))
PRINTED = 'figures {{"requests": {}, "seconds": 2.5, "p50_ms": 1.5, "p99_ms": 9.25, "refused": {}, "broken": {}}}\n'


def figure(rps: float) -> Figures:
    return Figures(100, rps, 10.0, 20.0, Cpu(0.5, 0.25, 0.125))


def rounds(*pairs: tuple[float, float], other: str = "raw") -> list[Mapping[str, Figures]]:
    return [{"ours": figure(mine), other: figure(theirs)} for mine, theirs in pairs]


@pytest.mark.parametrize(
    ("count", "place", "sure"),
    [(1, 0, 0.0), (2, 0, 0.5), (5, 0, 0.9375), (6, 0, 0.96875), (9, 1, 0.9609375), (20, 5, 0.958610534)],
)
def test_the_interval_of_a_median_is_that_of_order_statistics(count: int, place: int, sure: float) -> None:
    found = figures.interval(count)
    assert found[0] == place
    assert found[1] == pytest.approx(sure)


def test_an_interval_holds_the_median_as_often_as_it_says() -> None:
    chance = random.Random(5)
    place, sure = figures.interval(9)
    held = 0
    for _ in range(4_000):
        drawn = sorted(chance.expovariate(1.0) for _ in range(9))
        held += drawn[place] <= 0.6931471805599453 <= drawn[-1 - place]
    assert held / 4_000 == pytest.approx(sure, abs=0.015)


def test_a_ratio_is_of_paired_rounds() -> None:
    # The machine slows down meanwhile: medians of each alone would say 2.0.
    found = figures.ratio(rounds((100, 100), (10, 10), (20, 5), (8, 8), (30, 25)), "ours", "raw")
    assert found.median == 1.0
    assert (found.low, found.high) == (1.0, 4.0)
    assert found.confidence == pytest.approx(0.9375)


@pytest.mark.parametrize(("mine", "met"), [(70, True), (69, False)])
def test_a_bar_is_met_by_the_median(mine: float, met: bool) -> None:
    result = figures.summary(CASE, rounds((1, 100), (mine, 100), (500, 100)), {"postgraphile": "no Node"})
    assert result["met"] is met
    assert result["vs_raw"] == mine / 100
    assert result["vs_raw_interval"] == [0.01, 5.0]
    assert result["vs_raw_cpu"] == 1.0
    assert result["vs_postgraphile"] is None
    assert result["vs_postgraphile_reason"] == "no Node"
    assert result["bars"] == {"raw": 0.7, "postgraphile": 1.4}
    cpu = {"subject": 0.5, "sources": 0.25, "platform": 0.125, "total": 0.875}
    assert result["subjects"]["ours"] == {"rps": mine, "p50_ms": 10.0, "p99_ms": 20.0, "cpu_ms": cpu}
    orjson.dumps(result)


def test_cpu_time_of_all_servers_makes_a_ratio_of_its_own() -> None:
    cheap, dear = Figures(1, 5.0, 1.0, 1.0, Cpu(1.0, 2.0, 0.0)), Figures(1, 5.0, 1.0, 1.0, Cpu(2.0, 2.0, 2.0))
    untold = Figures(1, 5.0, 1.0, 1.0)
    assert figures.summary(CASE, [{"ours": dear, "raw": cheap}], {})["vs_raw_cpu"] == 0.5
    assert figures.summary(CASE, [{"ours": dear, "raw": untold}], {})["vs_raw_cpu"] is None


@pytest.mark.parametrize(
    ("ratios", "slower"),
    [
        ((0.8, 0.85, 0.95), True),
        ((0.8, 0.85, 1.01), False),  # not surely slower
        ((0.91, 0.92, 0.95), False),  # surely, but little
    ],
)
def test_an_earlier_state_is_lost_to_by_much_and_for_sure(ratios: tuple[float, ...], slower: bool) -> None:
    result = figures.summary(CASE, rounds(*((one, 1.0) for one in ratios), other="reference"), {})
    assert result["slower"] is slower
    assert result["met"] is not slower
    assert ("slower" if slower else "not slower") in report.table(CASE, result)


def test_what_wrk_printed_is_read() -> None:
    found = read_figures("Running 2s test\n" + PRINTED.format(500, 0, 0))
    assert found == Figures(500, 200.0, 1.5, 9.25)


def test_a_round_without_an_answer_was_too_short() -> None:
    with pytest.raises(TooShort):
        read_figures(PRINTED.format(0, 0, 0))


@pytest.mark.parametrize("told", [(500, 1, 0), (500, 0, 1), (0, 64, 0)])
def test_a_round_with_failures_counts_for_nothing(told: tuple[int, int, int]) -> None:
    with pytest.raises(LoadError, match="refused") as raised:
        read_figures(PRINTED.format(*told))
    assert not isinstance(raised.value, TooShort)
    with pytest.raises(LoadError, match="unable to connect"):
        read_figures("unable to connect to 127.0.0.1:1 Connection refused")


def test_without_wrk_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LoadError, match="Debian package `wrk`"):
        command("http://127.0.0.1:1", tmp_path / "calls.lua", connections=64, seconds=3)


def test_a_table_for_lua_holds_every_character(tmp_path: Path) -> None:
    nasty = 'a "quoted" \\ back\nslash\t姓名 ]] \x00'
    call = Call("/graphql", nasty, {"Authorization": "Bearer x"})
    write_table([call, Call("/list", "{}")], tmp_path / "calls.lua")
    text = (tmp_path / "calls.lua").read_text()
    strings = [
        re.sub(r"\\(\d{3})", lambda found: chr(int(found[1])), quoted)
        for quoted in re.findall(r'"((?:[^"\\]|\\\d{3})*)"', text)
    ]
    assert strings == [
        "/graphql",
        "Authorization",
        "Bearer x",
        nasty,
        "/list",
        "Content-Type",
        "application/json",
        "{}",
    ]
    assert text.count("\n") == 4
    assert re.sub(r'"(?:[^"\\]|\\\d{3})*"', "S", text) == (
        "return {\n{path=S,headers={[S]=S},body=S},\n{path=S,headers={[S]=S},body=S}\n}\n"
    )


ROW: dict[str, Any] = {"idNumber": "1", "income": "10.50", "registeredAt": "2005-02-22T17:42:00.000000Z", "phone": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"income": 10.5}, None),
        ({"registeredAt": "2005-02-23T01:42:00+08:00"}, None),
        ({"income": 10.51}, "`income`"),
        ({"registeredAt": "2005-02-22T17:42:00+08:00"}, "`registeredAt`"),
        ({"phone": ""}, "`phone`"),
        ({"name": "x"}, "`name`"),
    ],
)
def test_answers_are_compared_as_values(change: dict[str, Any], told: str | None) -> None:
    found = answers.difference([ROW], [ROW | change])
    assert found is None if told is None else told in str(found)


def test_answers_differ_in_number_order_and_inner_rows() -> None:
    other = ROW | {"idNumber": "2"}
    assert answers.difference([ROW], [ROW, other]) == "1 rows and 2"
    assert "row 0" in str(answers.difference([ROW, other], [other, ROW]))
    with_vehicles = [ROW | {"vehicles": [{"plate": "A"}]}]
    assert answers.difference(with_vehicles, [ROW | {"vehicles": [{"plate": "A"}]}]) is None
    assert "`vehicles`" in str(answers.difference(with_vehicles, [ROW | {"vehicles": []}]))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_requests_differ_in_variables_and_principal(case: Case) -> None:
    made = draws(case, ASKERS)
    assert made == draws(case, ASKERS)
    assert len({draw.since if case.name == "aggregate" else draw.start for draw in made}) > 0.9 * len(made)
    assert {draw.token for draw in made} == {token for asker in ASKERS for token in asker.tokens}
    areas = {asker.key: (asker.area, asker.tokens) for asker in ASKERS}
    for draw in made:
        assert draw.count == case.count
        assert draw.area == areas[draw.department][0]
        assert draw.token in areas[draw.department][1]
    assert len({ours.call(draw).body for draw in made}) > 0.9 * len(made)


def test_who_takes_part_in_a_case() -> None:
    known = frozenset(CASES)
    case = CASES["grants_100k"]
    assert takes_part(case, "many_grants", known)
    assert takes_part(case, "ours", known)
    assert takes_part(case, "reference", known)
    assert not takes_part(case, "raw", known)
    assert not takes_part(CASES["list_1"], "many_grants", known)
    assert not takes_part(CASES["list_1"], "raw", frozenset())


def test_the_plot_shows_every_case_and_subject() -> None:
    result = figures.summary(CASE, rounds((50, 100), (50, 100)), {"postgraphile": "no Node"})
    drawn = report.plot({"cases": {"list_100": result, "start": {"met": True}}, "machine": {"processor": "A & B"}})
    image = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    texts = [one.text or "" for one in image.iter(f"{space}text")]
    assert report.TITLES["list_100"] in texts
    assert {"Tanglai", "SQL by hand"} <= set(texts)
    assert any("A & B" in text for text in texts)
    bars = [float(one.attrib["width"]) for one in image.iter(f"{space}rect")][1:]
    assert bars[0] == pytest.approx(bars[1] / 2)
    assert set(report.TITLES) == set(CASES)


def test_the_catalogue_can_be_published_with_everyone_who_asks(tmp_path: Path) -> None:
    draft, unread = load_draft([platform.CATALOGUE, *platform.write_catalogue(tmp_path)], None)
    assert [one for one in (*unread, *check(draft, None)) if one.severity is Severity.ERROR] == []
    region, cities = platform.askers()
    assert {one.code for one in (*region, *cities)} <= {department.code for department in draft.departments}
    assert all(is_credit_code(one.code) for one in (*region, *cities))
    assert {grant.requester for grant in draft.grants} == {one.code for one in (*region, *cities)}
    resource = next(one for one in draft.resources if one.code == platform.RESIDENTS)
    assert set(RESIDENT_FIELDS) <= {item.name for item in resource.items}
    assert all(grant.quota is not None for grant in draft.grants)


async def test_rows_are_made_and_hand_written_sql_finds_them(database: str) -> None:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(database)
    try:
        for text in (*statements(600, 900), LINKED):
            await connection.execute(text)
        residents = await connection.fetch("SELECT * FROM population.residents ORDER BY id_number")
        assert len(residents) == 600
        assert len(residents[0]) >= 14
        assert all(is_resident_number(row["id_number"]) for row in residents)
        assert [row["handle"] for row in residents] != sorted(row["handle"] for row in residents)
        start = residents[100]["id_number"]
        draw = Draw("list_100", 20, start, "1990-01-05T00:00:00Z", "6401", "d", "t")
        listed = raw.rows(draw.case, orjson.loads(await connection.fetchval(raw.LIST, start, 20)))
        assert [row["idNumber"] for row in listed] == [row["id_number"] for row in residents[100:120]]
        assert tuple(listed[0]) == RESIDENT_FIELDS

        scoped = orjson.loads(await connection.fetchval(raw.SCOPED, start, 20, "6401%"))
        here = [row for row in residents[100:] if row["division"].startswith("6401")][:20]
        masked = [row["phone"] and f"{row['phone'][:3]}****{row['phone'][-4:]}" for row in here]
        assert [(row["idNumber"], row["phone"]) for row in scoped] == [
            (row["id_number"], phone) for row, phone in zip(here, masked, strict=True)
        ]

        children = dict(await connection.fetch(raw.CHILDREN, [row["id_number"] for row in residents]))
        vehicles = [one for text in children.values() for one in orjson.loads(text)]
        assert len(vehicles) == 900
        assert tuple(vehicles[0]) == VEHICLE_FIELDS

        since = datetime(1990, 1, 5, tzinfo=UTC)
        groups = orjson.loads(await connection.fetchval(raw.AGGREGATE, since))
        later = [row for row in residents if row["registered_at"] >= since]
        assert sum(group["count"] for group in groups) == len(later)
        assert len(later) < 600
        assert residents[0]["registered_at"] > datetime(1990, 1, 1, tzinfo=UTC) - timedelta(days=1)
    finally:
        await connection.close()


def test_a_subject_of_one_database_is_asked_as_clients_ask() -> None:
    call = graphql_call("{ a }", {"n": "姓"}, {"Authorization": "Bearer x"})
    assert call.path == "/graphql"
    assert orjson.loads(call.body) == {"query": "{ a }", "variables": {"n": "姓"}}
    assert call.headers == {"Content-Type": "application/json", "Authorization": "Bearer x"}


def test_an_answer_with_errors_is_no_answer() -> None:
    with pytest.raises(ValueError, match="GRANT_REQUIRED"):
        ours.rows("list_1", {"data": None, "errors": [{"extensions": {"code": "GRANT_REQUIRED"}}]})
