"""Every cell of the matrix, decided by planning alone: what the written rules say is what is planned.

Here the synthetic catalogue is decided in full and of the demo's each so manieth cell, by both rule sets;
`python -m tests.matrix` decides all and writes docs/matrix.md.
"""

from dataclasses import replace

import pytest

from resolvers.document import InvalidDocument
from resolvers.planner import Planning
from tanglai.catalogue.model import Zone
from tests.matrix.catalogues import by_809, catalogues, demo
from tests.matrix.matrix import Matrix, Tally
from tests.matrix.plans import Plans
from tests.matrix.rules import Cell, Verdict, expected
from tests.matrix.states import STATES
from tests.matrix.steps import Samples, Way
from tests.matrix.ways import Ways
from tests.matrix.worlds import publishes

STATE = {state.name: state for state in STATES}


def agreed(tally: Tally, at_least: int) -> None:
    assert tally.different == [], f"{len(tally.different)} differ:\n" + "\n".join(tally.different[:10])
    assert tally.cells >= at_least
    assert tally.states == {state.name for state in STATES}


def test_every_cell_of_the_synthetic_catalogue() -> None:
    agreed(Matrix(catalogues()["population"]).run(), 60_000)


def test_cells_of_the_demo_by_both_rule_sets() -> None:
    measures = Matrix(demo())
    agreed(measures.run(share=8), 30_000)
    agreed(Matrix(by_809(demo()), measures).run(share=16), 15_000)


def test_what_stands_in_the_other_zone_has_no_field() -> None:
    """Rule 1: `node` says OUT_OF_ZONE; everything else does not name what is not there."""
    for code, resource in demo().resources.items():
        if resource.zone is not Zone.EXTRANET:
            continue
        there = replace(resource, zone=Zone.INTRANET)
        snapshot = replace(demo(), resources={**demo().resources, code: there})
        plans, ways = Plans(snapshot), Ways(demo())
        seen: set[str] = set()
        for way in [*ways.of_rows(resource), *ways.of_item(resource, resource.items[0])]:
            if way.name in seen or way.subject is None:
                continue
            seen.add(way.name)
            with pytest.raises(InvalidDocument):
                plans.read(way)
        cell = Cell(snapshot, there, resource.items[0].name, STATE["active, by consultation"])
        way = Way("node", f'{{ node(id: "{Samples().row_id(there)}") {{ id }} }}', ())
        visible = plans.visible(cell, plans.askers.asked_in(cell))
        assert plans.verdict(cell, way, plans.read(way), visible)[0] == Verdict(
            "null", "OUT_OF_ZONE", (code, None), ("node",)
        )


def test_the_matrix_notices_a_planner_that_forgets_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner that compares raw columns, and one that denies nothing: both differ in thousands of cells."""
    snapshot = catalogues()["population"]

    def raw(self: Planning, resource: object, item: object, use: object, at: object) -> object:
        return item.column  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(Planning, "cell", raw)
        different = Matrix(snapshot).run(share=10).different
        assert any("expected refused GRANT_REQUIRED" in cell for cell in different)
        assert any("expected clear on some rows, planned clear" in cell for cell in different)
    with monkeypatch.context() as patch:
        patch.setattr(Planning, "deny", lambda *_: None)
        assert any("expected null" in cell for cell in Matrix(snapshot).run(share=20).different)


def test_the_table_says_what_a_reader_expects() -> None:
    """A few cells written out by hand, so that the table itself is read by somebody."""
    snapshot = catalogues()["population"]
    resident = next(resource for resource in snapshot.served if resource.names.type == "Resident")
    ways = {
        way.name: way for item in ("phone",) for way in Ways(snapshot).of_item(resident, resident.item_by_name[item])
    }

    def verdict(state: str, way: str, name: str = "phone") -> str:
        return str(expected(Cell(snapshot, resident, name, STATE[state]), ways[way], publishes))

    assert verdict("no grant", "select / list nodes") == "null GRANT_REQUIRED"
    assert verdict("no grant", "where eq / list") == "refused GRANT_REQUIRED"
    assert verdict("masked", "select / node") == "masked"
    assert verdict("masked", "orderBy ASC / list") == "refused MASKED_USE"
    assert verdict("masked", "search / list") == "skipped"
    assert verdict("quota used up", "search / list") == "refused QUOTA_EXCEEDED"
    assert verdict("masked, clear for some rows", "min / aggregate") == "clear on some rows"
    assert verdict("suspended, and active", "where some / list") == "clear"
    assert verdict("a token of other resources", "select / list nodes") == "null SCOPE_EXCEEDED"
