"""docs/performance.md and the README say of speed what benchmarks/results/latest.json has, rounded as they print it."""

import json
import re
from typing import Any

import pytest

from benchmarks.speed import pages
from benchmarks.speed.cases import CASES
from benchmarks.speed.report import plot
from benchmarks.stages import WRAPPED, Clock
from tests.docs.documents import DOCS, ROOT, read, section, table

PAGE, README = DOCS / "performance.md", ROOT / "README.md"
RESULTS: dict[str, Any] = json.loads(read(ROOT / "benchmarks" / "results" / "latest.json"))
CASES_KNOWN: dict[str, Any] = RESULTS["cases"]
WRITE = "python -m benchmarks.speed.report writes it anew"


@pytest.mark.parametrize("page", [PAGE, README], ids=lambda page: page.name)
def test_what_is_generated_is_that_of_the_results(page: Any) -> None:
    assert pages.filled(read(page), RESULTS) == read(page), WRITE


def test_every_part_stands_in_one_page() -> None:
    texts = [read(PAGE), read(README)]
    for name in pages.PARTS:
        assert sorted(text.count(f"<!-- {name} -->\n") for text in texts) == [0, 1], name
        assert sum(text.count(f"<!-- /{name} -->") for text in texts) == 1, name
    assert texts[0].count("<!-- missed -->\n") == 1


def test_the_plot_is_that_of_the_results() -> None:
    assert (DOCS / "performance.svg").read_text(encoding="utf-8") == plot(RESULTS), WRITE


def test_ratios_of_the_page_are_those_of_the_results() -> None:
    rows = [row for row in table(section(PAGE, "Ratios")) if len(row) == 6]
    assert [row[0] for row in rows] == [name for name, case in CASES.items() for _ in case.bars]
    given = iter(rows)
    for name, case in CASES.items():
        for other, bar in case.bars.items():
            row, ratio = next(given), CASES_KNOWN.get(name, {}).get(f"vs_{other}")
            assert row[2] == f"≥ {bar:g}"
            if ratio is None:
                assert row[3].startswith("not measured")
                assert row[5] == ""
            else:
                assert float(row[3]) == pytest.approx(ratio, abs=0.00501)
                assert row[5] == ("yes" if ratio >= bar else "**no**")


def test_numbers_of_the_readme_are_those_of_the_results() -> None:
    lines = re.findall(r"^- .+$", section(README, "Speed"), re.MULTILINE)
    assert len(lines) == 3
    found = CASES_KNOWN.get("list_100", {})
    for line, other in zip(lines, ("raw", "strawberry", "postgraphile"), strict=True):
        ratio = found.get(f"vs_{other}")
        printed = re.search(r"\*\*([\d.]+)\*\*", line)
        if ratio is None:
            assert printed is None
            assert line.endswith("not measured")
        else:
            assert printed is not None
            assert float(printed[1]) == pytest.approx(ratio, abs=0.00501)


def test_other_results_make_other_pages() -> None:
    """A ratio below its bar is told with both numbers; what could not be had, with its reason."""
    cpu = {"subject": 0.5, "sources": 0.25, "platform": 0.0, "total": 0.75}
    ours = {"rps": 1234.5, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_ms": cpu}
    list_100 = {
        "vs_raw": 0.654,
        "vs_raw_interval": [0.6, 0.7],
        "vs_raw_cpu": 0.68,
        "vs_strawberry": 9.0,
        "vs_strawberry_interval": [8.0, 10.0],
        "vs_postgraphile": None,
        "vs_postgraphile_reason": "Node is older than 22",
        "subjects": {"ours": ours},
    }
    results = {"cases": {"list_100": list_100}}
    page, readme = pages.filled(read(PAGE), results), pages.filled(read(README), results)
    assert "- `list_100` against SQL by hand: 0.65, the bar is 0.7; by CPU time alone 0.68." in page
    assert "not measured: Node is older than 22" in page
    assert re.search(r"`list_100` +\| SQL by hand +\| ≥ 0.7 +\| 0.65 +\| 0.60 to 0.70 +\| \*\*no\*\*", page)
    assert re.search(r"`list_100` +\| Strawberry +\| ≥ 8 +\| 9.00 .*\| yes", page)
    assert re.search(r"`list_100` +\| Tanglai +\| 1,234 +\| 1.0 +\| 2.0 +\| 0.500 +\| 0.250 +\| 0.000", page)
    assert re.search(r"`list_100` +\| 2,000 +\| 4,000 +\| –", page)
    assert "- **0.65** of the requests per second" in readme
    assert "- against PostGraphile: not measured" in readme


async def test_a_stage_counts_what_it_computes_itself() -> None:
    moments = iter([0, 10, 30, 100, 200, 207])
    clock = Clock(lambda: next(moments))
    inner = clock.wrap("inner", lambda: None)

    async def work() -> None:
        inner()

    await clock.wrap("outer", work)()
    clock.wrap("outer", lambda: None)()
    assert clock.taken()[0] == {"inner": 20, "outer": 80 + 7}
    assert clock.taken() == ({}, {})


def test_stages_are_put_back() -> None:
    places = [(owner, name) for found in WRAPPED.values() for owner, name in found]
    before = [getattr(owner, name) for owner, name in places]
    with Clock().wrapping():
        assert all(getattr(owner, name) is not old for (owner, name), old in zip(places, before, strict=True))
    assert [getattr(owner, name) for owner, name in places] == before
    assert len(set(places)) == len(places)
