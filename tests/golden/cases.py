"""In charge of golden cases: reading them, planning them, writing them."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from resolvers.document import Documents, coerce_variables
from resolvers.limits import Limits
from resolvers.plan import Plan
from resolvers.planner import Planning
from resolvers.roots import plan_operation
from resolvers.selection import Collector
from resolvers.text import explain
from resolvers.values import Slotter
from schema import unified
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Match, MatchOp, Value
from tanglai.catalogue.model import Grant, Period, Statistics, Usage
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import population
from tests.gateways import NOW, PURPOSE, World, make_grant, requester
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, VEHICLE, follow_all, rows

FOLDER = Path(__file__).parent / "plans"
_ODD = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
_DISTRICT = Match(MatchOp.STARTS_WITH, ItemRef("id_number", ScalarType.TEXT), Value("id299", ScalarType.TEXT))
_BORN = ItemRef("birth_date", ScalarType.DATE)
_OLD = Compare(CompareOp.LT, _BORN, Value(date(1931, 1, 1), ScalarType.DATE))
GRANTS: dict[str, list[Grant]] = {
    "none": [],
    "relations": follow_all(),
    "height of men": [make_grant(RESIDENT, "height", scope=_ODD)],
    "height counted by sex": [
        make_grant(
            RESIDENT,
            "sex height",
            usage=Usage.STATISTICS,
            statistics=Statistics(("sex",), ("height",), Period.MONTH, 3, 1),
            scope=_ODD,
        )
    ],
    "all heights": [make_grant(RESIDENT, "height")],
    "heights of a district": [make_grant(RESIDENT, "height", scope=_DISTRICT)],
    "three grants": [
        make_grant(RESIDENT, "height income phone", id="men", scope=_ODD),
        make_grant(RESIDENT, "height income", id="district", scope=_DISTRICT),
        make_grant(RESIDENT, "income phone", id="old", scope=_OLD),
    ],
    "relations of men": [
        make_grant(RESIDENT, "height", id="r1", relations=frozenset({"vehicles", "household"}), scope=_ODD),
        make_grant(VEHICLE, id="r2", relations=frozenset({"keeper"})),
        make_grant(HOUSEHOLD, id="r3", relations=frozenset({"members"})),
    ],
    "phone of men": [make_grant(RESIDENT, "phone", scope=_ODD)],
    "phone of men, masked of all": [
        make_grant(RESIDENT, "phone", id="clear", scope=_ODD),
        make_grant(RESIDENT, "phone", id="masked", masks={"phone": "middle"}),
    ],
    "phone masked": [make_grant(RESIDENT, "phone", masks={"phone": "middle"})],
}
_ASSERTION = re.compile(r"^## (calls|plan has|plan lacks|cost|touches|index|reads) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    path: Path
    grants: list[Grant]
    query: str
    assertions: list[tuple[str, str]]
    plan: str

    def told(self, kind: str) -> list[str]:
        """What the assertions of a kind say."""
        return [text for name, text in self.assertions if name == kind]


def read(path: Path) -> Case:
    text = path.read_text(encoding="utf-8")
    head, _, plan = text.partition("\n---\n")
    named = re.search(r"^# grants: (.+)$", head, re.MULTILINE)
    assert named is not None, f"{path.name} names no grants"
    return Case(path, GRANTS[named[1]], head, _ASSERTION.findall(head), plan.strip())


CASES = [read(path) for path in sorted(FOLDER.glob("*.graphql"))]


def plan_of(case: Case) -> Plan:
    """The plan of a case, without running it. Variables of a case have no values: cases hold literals."""
    from authz.decide import Asking, MaskKey, decide
    from tanglai.catalogue.rules import rule_set

    snapshot = population()
    schema = unified.build(snapshot).graphql
    limits = Limits()
    document = Documents(schema, limits).document(case.query)
    operation = document.operation(None)
    slotted = Slotter(lambda _: "catalogue", limits.list_values).slot(
        operation.types, coerce_variables(schema, operation, {})
    )
    asking = Asking(
        snapshot, rule_set(snapshot.rule_set), requester(), PURPOSE, tuple(case.grants), NOW, MaskKey("m", b"m")
    )
    collector = Collector(schema, document.fragments, slotted.values)
    planning = Planning(
        snapshot, schema, limits, slotted.values, collector, lambda r: decide(asking, r), lambda _: "catalogue"
    )
    root = schema.query_type
    assert root is not None
    return plan_operation(planning, root, collector.fields(root, [operation.node.selection_set]))


async def planned(case: Case) -> tuple[str, int]:
    """The plan in words, and how many source calls the operation makes."""
    world = World(population(), rows(), case.grants)
    await world.ask(case.query)
    return explain(plan_of(case)), len(world.sources.calls)
