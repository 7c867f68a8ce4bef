"""What a department was granted and what it used today, as GraphQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import Grant, GrantState, Quota
from tanglai.catalogue.quotas import Counts
from tanglai.storage.errors import PolicyUnavailable
from tests.catalogues import population, resource_code
from tests.gateways import NOW, make_grant
from tests.unit.schema.asking import Asker

RESIDENT, VEHICLE = resource_code("resident"), resource_code("vehicle")
GRANTS = (
    make_grant(VEHICLE, "owner", "g3", relations=frozenset({"keeper"}), quota=Quota(), valid_to=None),
    make_grant(RESIDENT, "phone height", "g1", quota=Quota(rows=100, subjects=7)),
    make_grant("retired/1", "x", "g2", state=GrantState.ENDED, quota=Quota(requests=3)),
)


class Ledger:
    """What was used, and how often it was asked."""

    def __init__(self, **used: Counts) -> None:
        self.held = used
        self.asked: list[list[str]] = []
        self.fault: TanglaiError | None = None

    async def used(self, ids: Sequence[str]) -> Mapping[str, Counts]:
        self.asked.append(sorted(ids))
        if self.fault is not None:
            raise self.fault
        return self.held


def asker(ledger: Ledger | None = None, grants: tuple[Grant, ...] = GRANTS) -> Asker:
    return Asker(population(), grants=grants, load_used=ledger.used if ledger else None)


async def nodes(asking: Asker, fields: str, arguments: str = "") -> list[dict[str, Any]]:
    data = await asking.ask(f"{{ me {{ grants{arguments} {{ nodes {{ {fields} }} }} }} }}")
    return list(data["me"]["grants"]["nodes"])


async def test_the_terms_of_a_grant() -> None:
    fields = (
        "id resourceCode resource { code } items relations purposeCode purpose { title } usage basis state "
        "validFrom validTo quota { rows requests subjects }"
    )
    first, second, third = await nodes(asker(), fields)
    assert first == {
        "id": "g1",
        "resourceCode": RESIDENT,
        "resource": {"code": RESIDENT},
        "items": ["height", "phone"],
        "relations": [],
        "purposeCode": "assistance",
        "purpose": {"title": "社会救助"},
        "usage": "READ",
        "basis": "APPLICATION",
        "state": "ACTIVE",
        "validFrom": "2026-05-05T04:00:00.000000Z",
        "validTo": "2026-05-07T04:00:00.000000Z",
        "quota": {"rows": 100, "requests": None, "subjects": 7},
    }
    assert (second["resource"], second["resourceCode"], second["state"]) == (None, "retired/1", "ENDED")
    assert (third["relations"], third["validTo"], third["quota"]) == (["keeper"], None, None)


async def test_what_was_used_is_asked_once_for_all() -> None:
    ledger = Ledger(g1=Counts(rows=30, subjects=9))
    fields = (
        "id usedToday { grant day rows requests subjects limits { rows requests subjects } "
        "remaining { rows requests subjects } }"
    )
    first, second, third = await nodes(asker(ledger), fields)
    assert first["usedToday"] == {
        "grant": "g1",
        "day": "2026-05-06",
        "rows": 30,
        "requests": None,
        "subjects": 9,
        "limits": {"rows": 100, "requests": None, "subjects": 7},
        "remaining": {"rows": 70, "requests": None, "subjects": 0},
    }
    assert second["usedToday"]["requests"] == 0
    assert second["usedToday"]["remaining"] == {"rows": None, "requests": 3, "subjects": None}
    assert third["usedToday"] is None
    assert ledger.asked == [["g1", "g2"]]


async def test_who_does_not_ask_makes_no_statement() -> None:
    ledger = Ledger()
    await nodes(asker(ledger), "id quota { rows }")
    assert ledger.asked == []


async def test_without_a_ledger_nobody_knows() -> None:
    assert [node["usedToday"] for node in await nodes(asker(), "usedToday { rows }")] == [None] * 3


async def test_a_ledger_that_cannot_be_asked_is_a_typed_error() -> None:
    ledger = Ledger()
    ledger.fault = PolicyUnavailable()
    errors = await asker(ledger).refused("{ me { client grants { nodes { id usedToday { rows } } } } }")
    assert {error.code for error in errors if isinstance(error, TanglaiError)} == {ErrorCode.POLICY_UNAVAILABLE}
    result = await asker(ledger).run("{ me { grants { nodes { id usedToday { rows } } } } }")
    assert result.data is not None
    assert [node["id"] for node in result.data["me"]["grants"]["nodes"]] == ["g1", "g2", "g3"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("(first: 2)", ["g1", "g2"]),
        ("(last: 1)", ["g3"]),
        (f'(resource: "{VEHICLE}")', ["g3"]),
        ("(states: [ENDED, EXPIRED])", ["g2"]),
        ('(resource: "none")', []),
        (f'(resource: "{RESIDENT}", states: [SUSPENDED])', []),
    ],
)
async def test_pages_and_conditions(arguments: str, expected: list[str]) -> None:
    assert [node["id"] for node in await nodes(asker(), "id", arguments)] == expected


async def test_pages_go_on() -> None:
    many = tuple(replace(GRANTS[1], id=f"g{n:03}") for n in range(120))
    asking, seen, after = asker(None, many), [], ""
    while True:
        fields = "totalCount nodes { id } pageInfo { hasNextPage endCursor }"
        data = await asking.ask(f"{{ me {{ grants(first: 50{after}) {{ {fields} }} }} }}")
        page = data["me"]["grants"]
        assert page["totalCount"] == 120
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = f', after: "{page["pageInfo"]["endCursor"]}"'
    assert seen == [grant.id for grant in many]
    assert isinstance((await asking.refused("{ me { grants(first: 1001) { totalCount } } }"))[0], BadInput)


async def test_the_day_is_that_of_shanghai() -> None:
    late = asker(Ledger())
    late_now = NOW + timedelta(hours=12)

    context = late.context
    late.context = lambda: replace(context(), now=late_now)  # type: ignore[method-assign]
    first, *_ = await nodes(late, "usedToday { day }")
    assert first == {"usedToday": {"day": "2026-05-07"}}
