"""In charge of pairs of worlds that differ in nothing but what the requester may not see.

The requester (Yinchuan, purpose `assistance`) may see of residents of sex 1: name, number, sex, income and household
clear, the phone masked (first three, last four characters). Everything else of residents is hidden: every row of sex 2,
passports, files. Vehicles show their plates, never their owners; all relations may be followed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from authz.principal import Principal
from resolvers.seals import ROW, SealKey, Seals
from tanglai.catalogue.expressions import Compare, CompareOp, Expression, ItemRef, Value
from tanglai.catalogue.model import Grant, ShareClass, Snapshot
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import population
from tests.gateways import NOW, Answer, World, make_grant
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, VEHICLE, follow_all, resident, rows

TEXT = ScalarType.TEXT
ODD: Expression = Compare(CompareOp.EQ, ItemRef("sex", TEXT), Value("1", TEXT))
SEALS = Seals((SealKey(1, bytes(range(64))),))
CLEAR = "name id_number sex income household_id"


def snapshot() -> Snapshot:
    """The catalogue in which every item of residents but `file` is conditional."""
    known = population()
    of = known.resources[RESIDENT]
    items = tuple(
        item if item.share_class is ShareClass.NOT_SHARED else replace(item, share_class=ShareClass.CONDITIONAL)
        for item in of.items
    )
    return replace(known, resources={**known.resources, RESIDENT: replace(of, items=items)})


def grants() -> list[Grant]:
    return [
        make_grant(RESIDENT, CLEAR, id="clear", scope=ODD),
        make_grant(RESIDENT, "phone", id="masked", scope=ODD, masks={"phone": "middle"}),
        make_grant(HOUSEHOLD, "number", id="households"),
        *follow_all(),
    ]


def other_rows() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """`rows()` with everything changed that the requester may not see, the number of hidden rows included."""
    changed = rows()
    hidden = {"sex": "2", "name": "n1", "phone": "x", "income": Decimal(999), "household_id": "h0"}
    residents = [
        {**one, "phone": f"138111{n}000{n}", "passport": f"other{n}", "file": None, "score": -1.0, "married": None}
        for n, one in ((one["handle"], one) for one in changed["main"]["resident"])
        if one["sex"] == "1"
    ]
    residents += [resident(n, **hidden, id_number=f"id{n}") for n in (4, 8, 10, 12, 14)]
    changed["main"]["resident"] = residents
    vehicles = changed["traffic"]["vehicle"]
    vehicles[2] = {**vehicles[2], "owner": "id4"}  # another hidden resident
    vehicles[3] = {**vehicles[3], "owner": "id14"}  # nobody before
    return changed


class Pair:
    """Two worlds alike but for what is hidden."""

    def __init__(self, given: list[Grant] | None = None) -> None:
        held = grants() if given is None else given
        self.worlds = (World(snapshot(), rows(), held), World(snapshot(), other_rows(), held))

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        who: Principal | None = None,
        **more: Any,
    ) -> tuple[Answer, Answer]:
        one, other = self.worlds
        return await one.ask(query, variables, who=who, **more), await other.ask(query, variables, who=who, **more)

    async def alike(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        """The answer, which must be the same bytes in both worlds, with as many source calls."""
        one, other = await self.ask(query, variables, **more)
        assert one.response == other.response, (one.body, other.body)
        counts = [[query.table for query, _ in world.sources.calls] for world in self.worlds]
        assert counts[0] == counts[1]
        return one


def open_grants() -> list[Grant]:
    """Grants that open every item of every row: the pair's positive twin."""
    items = " ".join(item.name for item in population().resources[RESIDENT].items if item.name != "file")
    return [
        make_grant(RESIDENT, items, id="all"),
        make_grant(VEHICLE, "owner plate", id="owners"),
        make_grant(HOUSEHOLD, "number", id="households"),
        *follow_all(),
    ]


def row_id(number: int, code: str = RESIDENT) -> str:
    """The sealed id of the row with handle `number`, as if somebody who sees it had passed it on."""
    return SEALS.seal(ROW, b"", [code, number])


LATER = NOW + timedelta(hours=1)
