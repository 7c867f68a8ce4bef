"""Masks judged at granting: what two grants give away together that neither gives away alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_masks import mask_findings
from tanglai.catalogue.expressions import (
    TRUE,
    Attribute,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Value,
    Within,
)
from tanglai.catalogue.mask_judge import Judge
from tanglai.catalogue.mask_people import People
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Content,
    Division,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    NamedMask,
    Relation,
    ShareClass,
    Snapshot,
    Source,
    Usage,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import (
    CONDITIONAL,
    DATA_OFFICE,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    UNCONDITIONAL,
    YINCHUAN,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
    resource_code,
)

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
PEOPLE, VEHICLES, CARDS, COUPLES = (resource_code(word) for word in ("person", "vehicle", "card", "couple"))
REDACT, PSEUDONYM = NamedMask("hidden", Mask(MaskKind.REDACT)), NamedMask("token", Mask(MaskKind.PSEUDONYM))
ON_NUMBERS = [keep("wide", 6, 4), keep("ends", 1, 2), keep("head", 6, 0), keep("tail", 0, 4)]
ON_NUMBERS += [keep("ten", 10, 0), PSEUDONYM, REDACT]

COUNTIES = [Division(f"6401{n:02}", f"县{n}", f"County {n}", date(1958, 10, 25)) for n in range(1, 61)]


def conditional(name: str, content: Content | None, *masks: NamedMask, **more: Any) -> Item:
    return make_item(name, content=content, masks=masks, **{"share_class": CONDITIONAL, **more})


def number(name: str, **more: Any) -> Item:
    return conditional(name, Content.IDENTITY_NUMBER, *ON_NUMBERS, **more)


def link(name: str, target: str, item: str, target_item: str, inverse: str, **more: Any) -> Relation:
    return make_relation(name, target, [item], [target_item], inverse=inverse, **{"share_class": CONDITIONAL, **more})


def catalogue(
    birth: ShareClass = CONDITIONAL, of: str | None = None, people_of: str = PUBLIC_SECURITY.code, **people: Any
) -> Snapshot:
    """People and their vehicles, of one relation; cards and couples without one."""
    person = make_resource(
        "person",
        [
            number("number", **people),
            conditional("name", Content.NAME, NamedMask("first", Mask(MaskKind.FIRST)), REDACT),
            conditional("formerName", Content.NAME),
            conditional("born", Content.BIRTH_DATE, type=ScalarType.DATE, share_class=birth),
            conditional("year", Content.BIRTH_YEAR, type=ScalarType.INTEGER),
            conditional("sex", Content.SEX),
            conditional("division", Content.DIVISION, keep("city", 4, 0)),
            conditional("address", Content.ADDRESS, NamedMask("region", Mask(MaskKind.REGION, 6))),
            conditional("phone", Content.MOBILE, keep("outer", 3, 4), keep("first3", 3, 0), keep("last4", 0, 4)),
            conditional("note", None, keep("long", 3, 4), keep("short", 1, 2)),
        ],
        source="people",
        relations=[link("vehicles", VEHICLES, "number", "owner", "holder", many=True)],
    )
    vehicle = make_resource(
        "vehicle",
        [
            number("owner"),
            conditional("ownerName", Content.NAME, NamedMask("first", Mask(MaskKind.FIRST))),
            conditional("ownerPhone", Content.MOBILE, keep("outer", 3, 4)),
            conditional("plate", None),
        ],
        relations=[link("holder", PEOPLE, "owner", "number", "vehicles")],
    )
    card = make_resource("card", [number("holder"), conditional("born", Content.BIRTH_DATE, type=ScalarType.DATE)])
    couple = make_resource(
        "couple",
        [
            number("husband"),
            number("wife"),
            conditional("wifeBorn", Content.BIRTH_DATE, type=ScalarType.DATE, of=of),
        ],
    )
    return make_snapshot(
        [person, vehicle, card, couple],
        divisions=COUNTIES,
        sources=[Source("people", "人口", people_of, "postgresql", Zone.EXTRANET, {})],
    )


def grant(id: str, resource: str, items: Iterable[str] = (), **more: Any) -> Grant:
    """`items` are names, or names with the mask behind a colon."""
    named = {name: mask for name, _, mask in (item.partition(":") for item in items)}
    defaults: dict[str, Any] = {
        "requester": YINCHUAN.code,
        "purpose": "assistance",
        "valid_from": NOW - timedelta(days=10),
        "valid_to": None,
        "basis": GrantBasis.APPLICATION,
        "masks": {name: mask for name, mask in named.items() if mask},
    }
    return Grant(id=id, resource=resource, items=frozenset(named), **defaults | more)


def told(new: Sequence[Grant], others: Sequence[Grant] = (), world: Snapshot | None = None) -> list[tuple[str, str]]:
    found = mask_findings(new, others, world or catalogue(), NOW)
    return [(id, finding.rule) for id, finding in found if finding.severity is Severity.ERROR]


@dataclass(frozen=True)
class Pair:
    """Two grants that must not be there together, or may."""

    name: str
    one: Grant
    other: Grant
    refused: str | None
    world: Snapshot = field(default_factory=catalogue)


DISCLOSES, ORDER = "mask-discloses", "mask-order"
WIDE = grant("one", PEOPLE, ["number:wide"])
ENDS = grant("one", PEOPLE, ["number:ends"])
BORN = grant("other", PEOPLE, ["born"])
OWNER = grant("one", VEHICLES, ["owner:wide"], relations=frozenset({"holder"}))
BORN_OF_OWNER = grant("other", PEOPLE, ["born"], relations=frozenset({"vehicles"}))
BY_PHONE = grant("one", VEHICLES, ["owner:wide", "ownerPhone"])
PAIRS = [
    Pair("6 + 4 and the birth date", WIDE, BORN, DISCLOSES),
    Pair("under another purpose", WIDE, replace(BORN, purpose="licensing"), DISCLOSES),
    Pair(
        "on other rows, as far as scopes tell",
        replace(WIDE, scope=Within(ItemRef("division", ScalarType.TEXT), "640105")),
        BORN,
        DISCLOSES,
    ),
    Pair("suspended, which may be resumed", WIDE, replace(BORN, state=GrantState.SUSPENDED), DISCLOSES),
    Pair("to come", WIDE, replace(BORN, valid_from=NOW + timedelta(days=9)), DISCLOSES),
    Pair("of the last second", WIDE, replace(BORN, valid_to=NOW + timedelta(seconds=1)), DISCLOSES),
    Pair("over by now", WIDE, replace(BORN, valid_to=NOW), None),
    Pair("ended", WIDE, replace(BORN, state=GrantState.ENDED), None),
    Pair("expired", WIDE, replace(BORN, state=GrantState.EXPIRED), None),
    Pair("of another requester", WIDE, replace(BORN, requester=MARKET_REGULATION.code), None),
    Pair("for statistics", WIDE, replace(BORN, usage=Usage.STATISTICS), None),
    Pair("6 + 4 and the year", WIDE, grant("other", PEOPLE, ["year"]), DISCLOSES),
    Pair("1 + 2 and the birth date", ENDS, BORN, DISCLOSES),
    Pair("1 + 2 and the year", ENDS, grant("other", PEOPLE, ["year"]), None),
    Pair("1 + 2 and all but the date", ENDS, grant("other", PEOPLE, ["year", "sex", "division"]), None),
    Pair("6 + 4 and the sex, which it shows", WIDE, grant("other", PEOPLE, ["sex"]), None),
    Pair("0 + 4 and the division", grant("one", PEOPLE, ["number:tail"]), grant("other", PEOPLE, ["division"]), None),
    Pair(
        "0 + 4, year and division",
        grant("one", PEOPLE, ["number:tail"]),
        grant("other", PEOPLE, ["division", "year"]),
        DISCLOSES,
    ),
    Pair(
        "0 + 4, year and the masked address",
        grant("one", PEOPLE, ["number:tail", "year"]),
        grant("other", PEOPLE, ["address:region"]),
        DISCLOSES,
    ),
    Pair(
        "a number that is hidden",
        grant("one", PEOPLE, ["number:hidden"]),
        grant("other", PEOPLE, ["born", "sex", "division"]),
        None,
    ),
    Pair(
        "a pseudonym", grant("one", PEOPLE, ["number:token"]), grant("other", PEOPLE, ["born", "sex", "division"]), None
    ),
    Pair(
        "a part that is known anyway",
        grant("one", PEOPLE, ["number:head", "division"]),
        grant("other", PEOPLE, ["born", "sex"]),
        None,
    ),
    Pair("an earlier name", grant("one", PEOPLE, ["name:first"]), grant("other", PEOPLE, ["formerName"]), None),
    Pair("clear on other rows", WIDE, grant("other", PEOPLE, ["number"]), None),
    Pair("the birth date in another resource", grant("one", CARDS, ["holder:wide"]), BORN, None),
    Pair("by a relation", OWNER, BORN_OF_OWNER, DISCLOSES),
    Pair("by a relation that is granted at one end", OWNER, BORN, None),
    Pair("by a relation under two purposes", OWNER, replace(BORN_OF_OWNER, purpose="licensing"), None),
    Pair(
        "what a relation shows in clear",
        replace(OWNER, masks={"owner": "ends"}),
        grant("other", PEOPLE, ["number"], relations=frozenset({"vehicles"})),
        DISCLOSES,
    ),
    Pair(
        "also what is hidden",
        replace(OWNER, masks={"owner": "hidden"}),
        grant("other", PEOPLE, ["number"], relations=frozenset({"vehicles"})),
        DISCLOSES,
    ),
    Pair(
        "the two halves of a number",
        replace(OWNER, masks={"owner": "head"}),
        grant("other", PEOPLE, ["number:tail", "year"], relations=frozenset({"vehicles"})),
        DISCLOSES,
    ),
    Pair(
        "one half of a number and the year",
        replace(OWNER, masks={"owner": "head"}),
        grant("other", PEOPLE, ["year"], relations=frozenset({"vehicles"})),
        None,
    ),
    Pair("by a telephone that both show", BY_PHONE, grant("other", PEOPLE, ["born", "phone"]), DISCLOSES),
    Pair("by a telephone that one shows masked", BY_PHONE, grant("other", PEOPLE, ["born", "phone:outer"]), None),
    Pair(
        "the name by the number in both",
        grant("one", VEHICLES, ["owner", "ownerName:first"]),
        grant("other", PEOPLE, ["number", "name"]),
        DISCLOSES,
    ),
    Pair(
        "the name by the pseudonym in both",
        grant("one", VEHICLES, ["owner:token", "ownerName:first"]),
        grant("other", PEOPLE, ["number:token", "name"]),
        DISCLOSES,
    ),
    Pair(
        "the name and no number",
        grant("one", VEHICLES, ["owner:token", "ownerName:first"]),
        grant("other", PEOPLE, ["number:ends", "name"]),
        None,
    ),
    Pair(
        "the wife's number and birth date",
        grant("one", COUPLES, ["wife:wide"]),
        grant("other", COUPLES, ["wifeBorn"]),
        DISCLOSES,
        catalogue(of="wife"),
    ),
    Pair(
        "her birth date and his number",
        grant("one", COUPLES, ["husband:wide"]),
        grant("other", COUPLES, ["wifeBorn"]),
        None,
        catalogue(of="wife"),
    ),
    Pair(
        "somebody's birth date",
        grant("one", COUPLES, ["husband:wide"]),
        grant("other", COUPLES, ["wifeBorn"]),
        DISCLOSES,
    ),
    Pair(
        "start and end",
        grant("one", PEOPLE, ["phone:first3"]),
        grant("other", PEOPLE, ["phone:last4"], purpose="licensing"),
        ORDER,
    ),
    Pair(
        "more and less of the same",
        grant("one", PEOPLE, ["phone:first3"]),
        grant("other", PEOPLE, ["phone:outer"]),
        None,
    ),
    Pair(
        "more and less of texts of any length",
        grant("one", PEOPLE, ["note:long"]),
        grant("other", PEOPLE, ["note:short"]),
        ORDER,
    ),
    Pair(
        "a pseudonym and a part", grant("one", PEOPLE, ["number:token"]), grant("other", PEOPLE, ["number:ends"]), ORDER
    ),
    Pair(
        "a pseudonym and nothing",
        grant("one", PEOPLE, ["number:token"]),
        grant("other", PEOPLE, ["number:hidden"]),
        None,
    ),
    Pair(
        "start and end of two requesters",
        grant("one", PEOPLE, ["phone:first3"]),
        grant("other", PEOPLE, ["phone:last4"], requester=DATA_OFFICE.code),
        None,
    ),
    Pair(
        "start and end, one of which is over",
        grant("one", PEOPLE, ["phone:first3"]),
        grant("other", PEOPLE, ["phone:last4"], valid_to=NOW),
        None,
    ),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_two_grants(pair: Pair) -> None:
    """It makes no difference which is there first, and none whether they come at once: the later one is refused."""
    for first, second in ((pair.one, pair.other), (pair.other, pair.one)):
        expected = [(second.id, pair.refused)] if pair.refused else []
        assert told([first], world=pair.world) == []
        assert set(told([second], [first], pair.world)) == set(expected)
        assert set(told([first, second], world=pair.world)) == set(expected)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.refused], ids=lambda pair: pair.name)
def test_one_grant_of_both(pair: Pair) -> None:
    """Nor whether it is one grant, where it can be."""
    one, other = pair.one, pair.other
    if one.resource != other.resource or one.masks.keys() & other.masks.keys():
        assert told([one, other], world=pair.world) != []
        return
    both = replace(one, items=one.items | other.items, masks={**one.masks, **other.masks})
    assert told([both], world=pair.world) == [("one", pair.refused)]


def test_what_comes_at_once_is_judged_by_what_there_is_in_the_end() -> None:
    """Ten digits show the division, and beside the birth date leave 999 numbers; where it is clear they add nothing."""
    shows = grant("shows", PEOPLE, ["number:ten", "born"])
    clear = grant("clear", PEOPLE, ["division"])
    more = grant("more", PEOPLE, ["phone"])
    assert told([shows]) == [("shows", DISCLOSES)]
    assert told([shows], [clear]) == []
    for order in permutations([shows, clear, more]):
        assert told(order) == []
        assert told(order, [clear]) == []
        assert told([replace(grant, id=f"new-{grant.id}") for grant in order], [shows]) == []
    for order in permutations([shows, more, grant("sex", PEOPLE, ["sex"])]):
        assert [rule for _, rule in told(order)] == [DISCLOSES]


def test_each_finding_is_told_of_the_grant_by_which_it_came() -> None:
    others = [grant(f"other-{place}", PEOPLE, ["phone"]) for place in range(5)]
    card = grant("card", CARDS, ["holder:wide", "born"])
    new = [*others[:2], card, WIDE, *others[2:4], BORN, others[4]]
    assert told(new) == [("card", DISCLOSES), ("other", DISCLOSES)]
    year = grant("year", PEOPLE, ["year"])
    assert told([WIDE, year, BORN]) == [("other", DISCLOSES)]  # what the year gives away is less
    assert told([year, BORN], [WIDE]) == [("other", DISCLOSES)]
    assert told([BORN, year], [WIDE]) == [("other", DISCLOSES)]


def many_registers(count: int, **numbers: Any) -> Snapshot:
    """Registers with a number and a telephone, not linked, the first one with a number as told."""
    phone = conditional("phone", Content.MOBILE, keep("outer", 3, 4))
    registers = [make_resource(f"register{place}", [number("number"), phone]) for place in range(count)]
    registers[0] = make_resource("register0", [number("number", **numbers), phone])
    return make_snapshot(registers, divisions=COUNTIES)


def test_the_work_grows_with_the_grants_and_not_with_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All registers are of one circle by their telephones: it is walked once, not for each mask in it."""
    walked: list[int] = []
    about, content = People.about, People.content

    def counted(original: Any) -> Any:
        def call(people: People, key: Any) -> Any:
            walked[-1] += 1
            return original(people, key)

        return call

    monkeypatch.setattr(People, "about", counted(about))
    monkeypatch.setattr(People, "content", counted(content))
    for count in (20, 40):
        world = many_registers(count)
        walked.append(0)
        held = [grant(f"g{n}", code, ["number:hidden", "phone"]) for n, code in enumerate(world.resources)]
        assert told(held[:1], held[1:], world) == []
    assert walked[0] >= 20
    assert walked[1] <= 2.2 * walked[0]


@pytest.mark.parametrize(("notices", "most"), [(True, 8), (False, 1)])
def test_what_is_only_told_does_not_judge_each_grant(monkeypatch: pytest.MonkeyPatch, notices: bool, most: int) -> None:
    world = many_registers(64, share_class=UNCONDITIONAL)
    new = [grant(f"g{place}", code, ["number:ends"]) for place, code in enumerate(world.resources)]
    judged: list[int] = []
    verdicts = Judge.verdicts

    def counted(judge: Judge, grants: Sequence[Grant], *more: Any) -> Any:
        judged.append(len(grants))
        return verdicts(judge, grants, *more)

    monkeypatch.setattr(Judge, "verdicts", counted)
    found = list(mask_findings(new, (), world, NOW, notices=notices))
    assert [(id, finding.severity) for id, finding in found] == ([("g0", Severity.NOTICE)] if notices else [])
    assert 1 <= len(judged) <= most


def test_the_finding_says_what_gives_the_number_away() -> None:
    more = grant("more", PEOPLE, ["year", "sex", "division", "phone", "name"])
    ((id, finding),) = mask_findings([BORN], [WIDE, more], catalogue(), NOW)
    assert (id, finding.path, finding.severity) == ("other", ("items",), Severity.ERROR)
    assert finding.message == (
        f"`number` of `{PEOPLE}`, shown as keep 6 + 4, beside `born` of `{PEOPLE}` leaves 1 number, fewer than 1,000"
    )
    ((_, finding),) = mask_findings([WIDE], [BORN], catalogue(), NOW)
    assert finding.path == ("masks", "number")
    ((_, finding),) = mask_findings(
        [replace(OWNER, items=frozenset(), masks={})],
        [replace(OWNER, id="o", relations=frozenset()), BORN_OF_OWNER],
        catalogue(),
        NOW,
    )
    assert finding.path == ("relations",)


def test_items_that_are_open_to_all() -> None:
    open_to_all = catalogue(birth=UNCONDITIONAL)
    assert told([WIDE], world=open_to_all) == [("one", DISCLOSES)]
    assert told([OWNER], world=open_to_all) == []
    only_the_relation = grant("other", PEOPLE, relations=frozenset({"vehicles"}))
    assert told([OWNER, only_the_relation], world=open_to_all) == [("other", DISCLOSES)]


def test_what_a_department_has_itself() -> None:
    own = catalogue(people_of=YINCHUAN.code)
    assert told([OWNER], world=catalogue()) == []
    assert told([OWNER], world=own) == [("one", DISCLOSES)]  # its own end of the relation needs no grant
    assert told([replace(OWNER, relations=frozenset())], world=own) == []


def test_a_mask_of_what_is_clear_anyway_is_told() -> None:
    ((_, finding),) = mask_findings([ENDS], [], catalogue(share_class=UNCONDITIONAL), NOW)
    assert (finding.rule, finding.severity, finding.path) == (DISCLOSES, Severity.NOTICE, ("masks", "number"))


def test_several_numbers_may_be_different_ones() -> None:
    """Somebody has one name, and may have two telephones: a notice."""
    by_relation = grant("one", VEHICLES, ["ownerPhone:outer"], relations=frozenset({"holder"}))
    other = grant("other", PEOPLE, ["phone"], relations=frozenset({"vehicles"}))
    assert [
        (id, finding.rule, finding.severity)
        for id, finding in mask_findings([by_relation, other], [], catalogue(), NOW)
    ] == [("other", DISCLOSES, Severity.NOTICE)]


def test_what_is_wrong_already_is_told_where_it_gets_worse() -> None:
    """Grants of the past are not judged again by each that has nothing to do with them."""
    before = [WIDE, grant("year", PEOPLE, ["year"])]
    assert told([grant("other", PEOPLE, ["phone"])], before) == []
    assert told([grant("other", PEOPLE, ["born"])], before) == [("other", DISCLOSES)]
    assert told([grant("new", CARDS, ["holder:wide", "born"])], before) == [("new", DISCLOSES)]


def test_masks_that_clash_already_are_left() -> None:
    before = [grant("a", PEOPLE, ["phone:first3"]), grant("b", PEOPLE, ["phone:last4"])]
    assert told([grant("other", PEOPLE, ["name"])], before) == []
    assert told([grant("other", PEOPLE, ["phone:outer"])], before) == []  # goes with either
    assert told([grant("other", VEHICLES, ["owner:token"]), grant("more", VEHICLES, ["owner:tail"])], before) == [
        ("more", ORDER)
    ]


@pytest.mark.parametrize(
    "clear",
    [
        [grant("clear", PEOPLE, ["number"]), grant("card", CARDS, ["holder", "born"])],
        [grant("clear", VEHICLES, ["owner"]), grant("card", PEOPLE, ["number", "born"])],
    ],
)
def test_a_mask_is_judged_where_it_holds(clear: list[Grant]) -> None:
    """On rows where the same department has the number in clear, what the number leads to is no matter of the mask."""
    masked = {PEOPLE: "number:wide", VEHICLES: "owner:wide"}[clear[0].resource]
    assert told([grant("masked", clear[0].resource, [masked])], clear) == []


def test_a_relation_leads_there_whatever_else_is_clear() -> None:
    held = [
        grant("clear", VEHICLES, ["owner"], relations=frozenset({"holder"})),
        grant("people", PEOPLE, ["born"], relations=frozenset({"vehicles"})),
    ]
    assert told([grant("masked", VEHICLES, ["owner:wide"])], held) == [("masked", DISCLOSES)]


def test_new_terms_take_the_place_of_the_old_ones() -> None:
    assert told([replace(WIDE, masks={"number": "hidden"})], [WIDE, BORN]) == []
    assert told([WIDE], [replace(WIDE, masks={"number": "hidden"}), BORN]) == [("one", DISCLOSES)]


DIVISION, NUMBER = (ItemRef(name, ScalarType.TEXT) for name in ("division", "number"))
BIRTH = ItemRef("born", ScalarType.DATE)
A_DAY = Value(date(1990, 5, 1), ScalarType.DATE)


def text(value: str) -> Value:
    return Value(value, ScalarType.TEXT)


@pytest.mark.parametrize(
    ("mask", "clear", "scope", "refused"),
    [
        ("tail", "year", TRUE, False),
        ("tail", "year", Within(DIVISION, "640105"), True),
        ("tail", "year", Compare(CompareOp.EQ, DIVISION, Attribute("department.division")), True),
        ("tail", "year", IsNull(DIVISION), False),
        ("tail", "year", Not(IsNull(BIRTH)), False),
        ("ends", "division", Compare(CompareOp.GTE, BIRTH, A_DAY), False),  # about a year, at worst
        ("wide", "sex", Compare(CompareOp.GTE, BIRTH, A_DAY), True),
        ("ends", "sex", Compare(CompareOp.EQ, BIRTH, A_DAY), True),
        ("ends", "sex", In(BIRTH, (A_DAY,)), True),
        ("ends", "year", Match(MatchOp.STARTS_WITH, NUMBER, text("6401")), False),
        ("ends", "year", Match(MatchOp.STARTS_WITH, NUMBER, text("64010519900501")), True),
        ("hidden", "sex", Match(MatchOp.STARTS_WITH, NUMBER, text("64010519900501")), True),
        ("hidden", "sex", Compare(CompareOp.EQ, NUMBER, text("640105199005010014")), True),
    ],
)
def test_what_a_scope_tells(mask: str, clear: str, scope: Expression, refused: bool) -> None:
    one = grant("one", PEOPLE, [f"number:{mask}", clear], scope=scope)
    assert told([replace(one, scope=TRUE)]) == []
    assert bool(told([one])) == refused


def test_what_other_rules_look_at() -> None:
    gone = [
        grant("a", "9/9", ["number:wide"]),
        grant("b", PEOPLE, ["gone:wide"]),
        grant("c", PEOPLE, ["number:gone"]),
        grant("d", PEOPLE, ["born"], relations=frozenset({"gone"})),
    ]
    assert told(gone) == []
    assert told([replace(WIDE, id="e")], gone) == [("e", DISCLOSES)]  # `d` has the birth date


def test_relations_that_lack_an_end() -> None:
    world = catalogue()
    vehicle = replace(world.resources[VEHICLES], relations=())
    broken = replace(world, resources={**world.resources, VEHICLES: vehicle})
    assert told([OWNER, BORN_OF_OWNER], world=broken) == []
    assert told([replace(WIDE, relations=frozenset({"vehicles"})), BORN], world=broken) == [("other", DISCLOSES)]


def test_relations_that_do_not_mirror_each_other_join_nothing() -> None:
    """No catalogue that is published has them, but one that keeps the last version of a resource that is gone may."""
    world = catalogue()
    tail = grant("other", PEOPLE, ["number:tail", "year"], relations=frozenset({"vehicles"}))
    held = [replace(OWNER, masks={"owner": "head"}), tail]
    assert set(told(held, world=world)) == {("other", DISCLOSES)}
    holder = world.resources[VEHICLES].relations[0]
    for other in (replace(holder, target=CARDS), replace(holder, inverse="gone"), replace(holder, items=("plate",))):
        vehicle = replace(world.resources[VEHICLES], relations=(other,))
        assert told(held, world=replace(world, resources={**world.resources, VEHICLES: vehicle})) == []


@pytest.mark.parametrize(("others", "refused"), [(0, False), (1, True), (2, True)])
def test_a_telephone_of_two_people(others: int, refused: bool) -> None:
    """In one row it is of both of them; where another row shows the same, nobody knows whose that is."""
    phone = conditional("phone", Content.MOBILE, keep("outer", 3, 4))
    couple = make_resource(
        "couple",
        [number("husband"), number("wife"), conditional("wifeBorn", Content.BIRTH_DATE, of="wife"), phone],
    )
    rest = [make_resource(f"other{place}", [phone]) for place in range(others)]
    one = grant("one", COUPLES, ["husband:wide", "phone"])
    held = [grant(f"g{place}", resource.code, ["phone"]) for place, resource in enumerate(rest)]
    world = make_snapshot([couple, *rest], divisions=COUNTIES)
    assert told([*held, one], world=world) == []
    assert bool(told([one, *held, grant("other", COUPLES, ["wifeBorn"])], world=world)) == refused
    masked = grant("masked", COUPLES, ["phone:outer", "husband:wide", "wifeBorn"])  # judged without its own values
    clear = grant("clear", COUPLES, ["phone"])
    assert bool(told([masked, clear, *held], world=world)) == refused


@pytest.mark.parametrize(
    ("subject", "many", "numbered", "refused"),
    [
        ("person", False, True, True),  # one row each
        ("person", True, True, False),  # a household and its members
        ("person", True, False, True),  # records without a number of their own
        ("household", False, True, False),
    ],
)
def test_one_subject_in_two_resources(subject: str, many: bool, numbered: bool, refused: bool) -> None:
    file, record = resource_code("file"), resource_code("record")
    files = make_resource(
        "file",
        [number("number"), conditional("case", None)],
        subject="person",
        relations=[link("records", record, "case", "case", "file", many=many)],
    )
    records = make_resource(
        "record",
        [conditional("case", None), conditional("born", Content.BIRTH_DATE, type=ScalarType.DATE)]
        + ([number("head")] if numbered else []),
        subject=subject,
        relations=[link("file", file, "case", "case", "records")],
    )
    world = make_snapshot([files, records])
    one = grant("one", file, ["number:wide", "case"])
    assert bool(told([one, grant("other", record, ["born", "case"])], world=world)) == refused
    assert told([one, grant("other", record, ["born"])], world=world) == []  # nothing that joins the rows
