"""Masks as answers show them: one rendering however it is asked for, pseudonyms that nobody else can match."""

from dataclasses import replace
from typing import Any

import pytest

from authz.principal import Principal
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import NamedMask, Snapshot
from tests.catalogues import CONDITIONAL, MARKET_REGULATION, YINCHUAN, keep, population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import RESIDENT, VEHICLE, rows

MASKS = (NamedMask("token", Mask(MaskKind.PSEUDONYM)), keep("ends", 1, 1), NamedMask("hidden", Mask(MaskKind.REDACT)))


def numbered() -> Snapshot:
    """The population, where identity numbers of residents and of owners are conditional and have the same masks."""
    known = population()
    resources = {
        code: replace(
            resource,
            items=tuple(
                replace(item, masks=MASKS, share_class=CONDITIONAL) if item.name in ("id_number", "owner") else item
                for item in resource.items
            ),
        )
        for code, resource in known.resources.items()
    }
    return replace(known, resources=resources)


def world(mask: str, *more: str) -> World:
    """Two departments with the same grants, under two purposes each."""
    held = [
        make_grant(code, items, id=f"{department.key}-{purpose}-{code}", masks={item: mask}, purpose=purpose,
                   requester=department.code, relations=frozenset({relation}))
        for department in (YINCHUAN, MARKET_REGULATION)
        for purpose in ("assistance", "licensing")
        for code, item, items, relation in (
            (RESIDENT, "id_number", " ".join(("id_number", *more)), "vehicles"),
            (VEHICLE, "owner", "owner", "keeper"),
        )
    ]  # fmt: skip
    return World(numbered(), rows(), held)


async def shown(gateway: World, who: Principal, purpose: str = "assistance") -> tuple[dict[str, Any], dict[str, Any]]:
    """Name of a resident -> the number as shown, and plate of a vehicle -> the owner's number as shown."""
    query = """{ data {
        population { residents { nodes { name idNumber } } }
        transport { vehicles { nodes { plate owner } } }
    } }"""
    allowed = replace(who, purposes=frozenset({purpose}))
    data = (await gateway.ask(query, who=allowed)).data["data"]
    residents = {node["name"]: node["idNumber"] for node in data["population"]["residents"]["nodes"]}
    vehicles = {node["plate"]: node["owner"] for node in data["transport"]["vehicles"]["nodes"]}
    return residents, vehicles


async def test_a_pseudonym_is_one_for_a_department_in_all_resources_and_purposes() -> None:
    gateway = world("token")
    residents, vehicles = await shown(gateway, requester())
    assert vehicles["P1"] == vehicles["P2"] == residents["n1"]
    assert vehicles["P3"] == residents["n2"] != residents["n1"]
    assert vehicles["P4"] is None
    assert len(set(residents.values())) == len(residents)
    assert await shown(gateway, requester(), "licensing") == (residents, vehicles)


async def test_the_pseudonyms_of_two_departments_have_nothing_in_common() -> None:
    gateway = world("token")
    one, another = await shown(gateway, requester()), await shown(gateway, requester(department=MARKET_REGULATION))
    assert one[0].keys() == another[0].keys()
    ours, theirs = set(one[0].values()), set(another[0].values())
    assert not ours & theirs
    assert all(len(text) == 32 and set(text) <= set("0123456789abcdef") for text in ours | theirs)
    order, other_order = (
        [name for name, _ in sorted(side[0].items(), key=lambda pair: pair[1])] for side in (one, another)
    )
    assert order != other_order  # nor do they sort alike


SELECTIONS = [
    ("", "nodes { idNumber }", ""),
    ("", "nodes { name phone birthDate sex idNumber }", ""),
    (", first: 3", "totalCount nodes { idNumber }", ""),
    ("", "nodes { ...a }", " fragment a on Resident { idNumber }"),
    (', where: {phone: {startsWith: "138"}}', "nodes { idNumber }", ""),
]


@pytest.mark.parametrize("mask", ["token", "ends", "hidden"])
@pytest.mark.parametrize(("arguments", "selected", "fragment"), SELECTIONS)
async def test_a_mask_shows_the_same_whatever_is_selected(
    mask: str, arguments: str, selected: str, fragment: str
) -> None:
    """Authorization.md, Masks: the rendering never depends on the selection."""
    gateway = world(mask, "phone")
    who = replace(requester(), purposes=frozenset({"assistance"}))
    expected = [number for _, number in sorted((await shown(gateway, who))[0].items())]
    residents = f"residents(orderBy: [{{name: ASC}}]{arguments}) {{ {selected} }}"
    query = f"{{ data {{ population {{ {residents} }} }} }}{fragment}"
    nodes = (await gateway.ask(query, who=who)).data["data"]["population"]["residents"]["nodes"]
    told = [node["idNumber"] for node in nodes]
    assert told
    assert told == expected[: len(told)]


async def test_a_mask_shows_the_same_by_a_relation_and_an_alias() -> None:
    gateway = world("ends")
    who = replace(requester(), purposes=frozenset({"assistance"}))
    query = "{ data { transport { vehicles { nodes { owner o: owner keeper { idNumber i: idNumber } } } } } }"
    nodes = (await gateway.ask(query, who=who)).data["data"]["transport"]["vehicles"]["nodes"]
    linked = [node for node in nodes if node["keeper"] is not None]
    assert len(linked) == 3
    for node in linked:
        assert node["owner"] == node["o"] == node["keeper"]["idNumber"] == node["keeper"]["i"]
        assert node["owner"].startswith("i*")
