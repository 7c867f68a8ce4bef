"""In charge of the questions that the tests of the cases ask, and the worlds that they ask them in."""

from dataclasses import replace
from typing import Any

from tanglai.catalogue.expressions import TRUE, Compare, CompareOp, Expression, ItemRef, Value
from tanglai.catalogue.model import ShareClass, Snapshot
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import population
from tests.gateways import Answer, World, make_grant
from tests.unit.resolvers.conftest import RESIDENT, VEHICLE, follow_all, rows

TEXT = ScalarType.TEXT
ODD: Expression = Compare(CompareOp.EQ, ItemRef("sex", TEXT), Value("1", TEXT))


def residents(arguments: str = "", fields: str = "nodes { name }", declared: str = "") -> str:
    given = f"({arguments})" if arguments else ""
    return f"query {declared} {{ data {{ population {{ residents{given} {{ {fields} }} }} }} }}"


def aggregate(arguments: str, fields: str) -> str:
    given = f"({arguments})" if arguments else ""
    return f"{{ data {{ population {{ residentsAggregate{given} {{ {fields} }} }} }} }}"


def members(arguments: str) -> str:
    return f"{{ data {{ population {{ households {{ nodes {{ members({arguments}) {{ nodes {{ name }} }} }} }} }} }} }}"


def listed(answer: Answer) -> list[dict[str, Any]]:
    return list(answer.data["data"]["population"]["residents"]["nodes"])


def opened(*items: str, scope: Expression = TRUE) -> World:
    """Every relation may be followed, `items` of residents are clear on the rows in `scope`."""
    return World(population(), rows(), [*follow_all(), make_grant(RESIDENT, " ".join(items), scope=scope)])


async def refused(
    world: World, query: str, variables: dict[str, Any] | None = None, code: str = "GRANT_REQUIRED"
) -> None:
    """The whole operation is refused and no source was called."""
    answer = await world.ask(query, variables)
    assert "data" not in answer.body
    assert answer.codes == [code], answer.body
    assert world.sources.calls == []


def closed() -> Snapshot:
    """The catalogue in which every item of residents is conditional: what no grant reaches is no row."""
    known = population()
    of = known.resources[RESIDENT]
    items = tuple(replace(item, share_class=ShareClass.CONDITIONAL) for item in of.items)
    return replace(known, resources={**known.resources, RESIDENT: replace(of, items=items)})


def scoped(scope: Expression) -> World:
    grants = [
        *follow_all(),
        make_grant(RESIDENT, "name height id_number", scope=scope),
        make_grant(VEHICLE, "plate", "v"),
    ]
    return World(closed(), rows(), grants)
