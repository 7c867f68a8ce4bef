"""The rules of authorization.md, one by one, at the level of visible relations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import authz.decide
from authz.decide import Asking, MaskKey, choose_purpose, decide
from authz.denial import Denial, RemedyAction
from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from authz.visible import Use, VisibleRelation
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Attribute,
    Case,
    Compare,
    CompareOp,
    Expression,
    IsTrue,
    ItemRef,
    Masked,
    Match,
    MatchOp,
    Null,
    Or,
    Value,
    Within,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Grant,
    GrantBasis,
    GrantState,
    NamedMask,
    ShareClass,
    Snapshot,
    Usage,
    Zone,
)
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case
from tests.catalogues import (
    CONDITIONAL,
    MARKET_REGULATION,
    NOT_SHARED,
    PUBLIC_SECURITY,
    YINCHUAN,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
PURPOSE = "assistance"
RESIDENT = make_resource(
    "resident",
    [
        make_item("name"),
        make_item(
            "phone",
            share_class=CONDITIONAL,
            masks=[
                keep("middle", 3, 4),
                NamedMask("pseudonym", Mask(MaskKind.PSEUDONYM)),
                NamedMask("none", Mask(MaskKind.REDACT)),
            ],
        ),
        make_item("home", share_class=CONDITIONAL),
        make_item("file", share_class=NOT_SHARED),
    ],
    code="R/1",
    relations=[make_relation("vehicles", "V/1", ["name"], ["owner"], inverse="keeper", many=True)],
)
VEHICLE = make_resource(
    "vehicle",
    [make_item("plate", share_class=CONDITIONAL), make_item("owner", share_class=CONDITIONAL)],
    code="V/1",
    source="traffic",
    relations=[make_relation("keeper", "R/1", ["owner"], ["name"], inverse="vehicles")],
)
SNAPSHOT = make_snapshot([RESIDENT, VEHICLE])
KEY = MaskKey("k1", b"secret")
CITY = Compare(CompareOp.EQ, ItemRef("home", ScalarType.TEXT), Value("640100", ScalarType.TEXT))
COUNTY = Compare(CompareOp.EQ, ItemRef("home", ScalarType.TEXT), Value("640121", ScalarType.TEXT))


def grant(id: str = "g1", items: str = "phone", **more: Any) -> Grant:
    defaults: dict[str, Any] = {
        "requester": YINCHUAN.code,
        "resource": "R/1",
        "purpose": PURPOSE,
        "valid_from": NOW - timedelta(days=1),
        "valid_to": NOW + timedelta(days=1),
        "basis": GrantBasis.APPLICATION,
    }
    return Grant(id=id, items=frozenset(items.split()), **defaults | more)


def principal(**more: Any) -> Principal:
    defaults: dict[str, Any] = {"department": YINCHUAN, "client": "c", "purposes": frozenset({PURPOSE})}
    return Principal(**defaults | more)


def view(
    *grants: Grant,
    who: Principal | None = None,
    purpose: str | None = PURPOSE,
    now: datetime = NOW,
    snapshot: Snapshot = SNAPSHOT,
    rules: str = "ningxia-measures",
    resource: str = "R/1",
) -> VisibleRelation:
    asking = Asking(snapshot, rule_set(rules), who or principal(), purpose, grants, now, KEY)
    return decide(asking, snapshot.resources[resource])


def code(cell: Expression | Denial) -> ErrorCode | None:
    return cell.code if isinstance(cell, Denial) else None


# --- classes -------------------------------------------------------------------------------------------------------


def test_unconditional_items_are_clear_on_all_rows_without_purpose_or_grant() -> None:
    relation = view(purpose=None)
    assert relation.resolve("name", Use.SELECT) == ItemRef("name", ScalarType.TEXT)
    assert relation.resolve("name", Use.WHERE) == ItemRef("name", ScalarType.TEXT)
    assert relation.row == TRUE


def test_unconditional_items_need_an_application_under_order_809() -> None:
    denial = view(rules="order-809").resolve("name", Use.SELECT)
    assert isinstance(denial, Denial)
    assert denial.code is ErrorCode.GRANT_REQUIRED
    assert denial.article == "Order 809 Art. 21"
    assert denial.remedy is not None
    assert denial.remedy.reply_within == 1
    assert code(view(grant(items="name"), rules="order-809").resolve("name", Use.SELECT)) is None


def test_conditional_items_need_a_grant_and_the_remedy_says_how() -> None:
    denial = view().resolve("phone", Use.SELECT)
    assert isinstance(denial, Denial)
    assert denial.code is ErrorCode.GRANT_REQUIRED
    assert denial.article == "Art. 11(3)"
    assert denial.remedy is not None
    assert denial.remedy.action is RemedyAction.APPLY
    assert denial.remedy.department == PUBLIC_SECURITY.code
    assert denial.remedy.reply_within == 10
    assert denial.remedy.items == ("phone",)


def test_a_grant_opens_its_items_and_no_others() -> None:
    relation = view(grant())
    assert relation.resolve("phone", Use.WHERE) == ItemRef("phone", ScalarType.TEXT)
    assert code(relation.resolve("home", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


@pytest.mark.parametrize(
    ("basis", "expected"),
    [
        (GrantBasis.APPLICATION, ErrorCode.NOT_SHARED),
        (GrantBasis.CONSULTATION, None),
        (GrantBasis.COORDINATION, None),
    ],
)
def test_not_shared_items_open_by_consultation_or_coordination_only(
    basis: GrantBasis, expected: ErrorCode | None
) -> None:
    relation = view(grant(items="file", basis=basis))
    assert code(relation.resolve("file", Use.SELECT)) is expected


def test_not_shared_without_grant_names_consultation() -> None:
    denial = view().resolve("file", Use.SELECT)
    assert isinstance(denial, Denial)
    assert (denial.code, denial.article) == (ErrorCode.NOT_SHARED, "Art. 11(4)")
    assert denial.remedy is not None
    assert denial.remedy.action is RemedyAction.CONSULT


@case(38)
def test_own_data_needs_the_department_of_the_source_and_the_role() -> None:
    owner = principal(department=PUBLIC_SECURITY, roles=frozenset({OWN_DATA_ROLE}))
    assert view(who=owner, purpose=None).resolve("file", Use.WHERE) == ItemRef("file", ScalarType.TEXT)
    without_role = principal(department=PUBLIC_SECURITY)
    assert code(view(who=without_role).resolve("phone", Use.SELECT)) is ErrorCode.GRANT_REQUIRED
    for item in ("phone", "file"):  # what helps is the role, and no application to itself
        denial = view(who=without_role).resolve(item, Use.SELECT)
        assert isinstance(denial, Denial)
        assert denial.remedy is not None
        assert denial.remedy.action is RemedyAction.USE_OTHER_TOKEN
    stranger = principal(department=MARKET_REGULATION, roles=frozenset({OWN_DATA_ROLE}))
    assert code(view(who=stranger).resolve("phone", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


def test_the_compiler_of_a_base_library_does_not_own_its_data() -> None:
    resource = replace(RESIDENT, compiler=YINCHUAN.code)
    snapshot = make_snapshot([resource, VEHICLE])
    compiler = principal(roles=frozenset({OWN_DATA_ROLE}))
    relation = view(who=compiler, snapshot=snapshot)
    assert code(relation.resolve("phone", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


def test_other_zone_has_no_relation() -> None:
    snapshot = make_snapshot([replace(RESIDENT, zone=Zone.INTRANET), VEHICLE])
    relation = view(grant(), snapshot=snapshot)
    assert relation.row == FALSE
    assert code(relation.resolve("name", Use.SELECT)) is ErrorCode.OUT_OF_ZONE


# --- rows ----------------------------------------------------------------------------------------------------------


def test_a_row_is_visible_where_some_read_item_is_shown() -> None:
    snapshot = make_snapshot([replace(RESIDENT, items=RESIDENT.items[1:], relations=())])
    relation = view(grant(scope=CITY), snapshot=snapshot)
    assert relation.row == IsTrue(CITY)
    assert relation.resolve("phone", Use.SELECT) == Case(
        ((IsTrue(CITY), ItemRef("phone", ScalarType.TEXT)),), ScalarType.TEXT
    )


def test_no_grant_no_row() -> None:
    assert view(resource="V/1").row == FALSE


def test_statistics_and_relation_only_grants_make_no_row_visible() -> None:
    plates = {"resource": "V/1"}
    statistics = grant("g1", "plate", usage=Usage.STATISTICS, **plates)
    followed = grant("g2", "", relations=frozenset({"keeper"}), **plates)
    relation = view(statistics, followed, resource="V/1")
    assert relation.row == FALSE
    assert code(relation.resolve("plate", Use.SELECT)) is ErrorCode.STATISTICS_ONLY
    assert code(relation.resolve("owner", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


@case(32)
def test_two_grants_do_not_multiply() -> None:
    """Case 32: items of one grant on the rows of the other stay null."""
    relation = view(grant("g1", "phone", scope=CITY), grant("g2", "home", scope=COUNTY))
    phone, home = relation.resolve("phone", Use.SELECT), relation.resolve("home", Use.SELECT)
    assert isinstance(phone, Case)
    assert isinstance(home, Case)
    assert phone.branches[0][0] == IsTrue(CITY)
    assert home.branches[0][0] == IsTrue(COUNTY)


@case(32, twin=True)
def test_scopes_of_grants_on_one_item_are_joined_by_or_in_any_order() -> None:
    one, two = grant("g1", scope=CITY), grant("g2", scope=COUNTY)
    assert view(one, two).fingerprint == view(two, one).fingerprint
    cell = view(one, two).resolve("phone", Use.SELECT)
    assert isinstance(cell, Case)
    assert cell.branches[0][0] == Or((IsTrue(CITY), IsTrue(COUNTY)))


def test_adding_a_grant_never_hides() -> None:
    narrow = grant("g1", scope=CITY, masks={"phone": "middle"})
    assert view(narrow, grant("g2")).resolve("phone", Use.WHERE) == ItemRef("phone", ScalarType.TEXT)


def test_attributes_of_the_principal_are_filled_in() -> None:
    own = Compare(CompareOp.EQ, ItemRef("home", ScalarType.TEXT), Attribute("department.division"))
    cell = view(grant(scope=own)).resolve("phone", Use.SELECT)
    assert isinstance(cell, Case)
    assert cell.branches[0][0] == IsTrue(
        Compare(CompareOp.EQ, ItemRef("home", ScalarType.TEXT), Value("640100", ScalarType.TEXT))
    )


def test_an_attribute_that_does_not_exist_opens_nothing() -> None:
    unknown = Compare(CompareOp.EQ, ItemRef("home", ScalarType.TEXT), Attribute("person.shoe"))
    assert code(view(grant(scope=unknown)).resolve("phone", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


def test_within_a_division_includes_former_codes() -> None:
    home = ItemRef("home", ScalarType.TEXT)
    cell = view(grant(scope=Within(home, Attribute("department.division")))).resolve("phone", Use.SELECT)
    assert isinstance(cell, Case)
    text = repr(cell.branches[0][0])
    assert "'6401'" in text
    district = view(grant(scope=Within(home, "640105"))).resolve("phone", Use.SELECT)
    assert isinstance(district, Case)
    assert district.branches[0][0] == IsTrue(
        Or(
            (
                Match(MatchOp.STARTS_WITH, home, Value("640105", ScalarType.TEXT)),
                Match(MatchOp.STARTS_WITH, home, Value("640199", ScalarType.TEXT)),
            )
        )
    )


# --- masks ---------------------------------------------------------------------------------------------------------


def test_a_masked_item_is_shown_and_nothing_else() -> None:
    relation = view(grant(masks={"phone": "middle"}))
    raw = ItemRef("phone", ScalarType.TEXT)
    assert relation.resolve("phone", Use.SELECT) == Masked(Mask(MaskKind.KEEP, 3, 4), raw)
    for use in (Use.WHERE, Use.ORDER, Use.GROUP, Use.AGGREGATE, Use.KEY):
        denial = relation.resolve("phone", use)
        assert code(denial) is ErrorCode.MASKED_USE
    assert relation.masked_only("phone")


def test_clear_where_clear_masked_elsewhere() -> None:
    relation = view(grant("g1", scope=CITY), grant("g2", masks={"phone": "middle"}))
    raw = ItemRef("phone", ScalarType.TEXT)
    shown = relation.resolve("phone", Use.SELECT)
    assert shown == Case(((IsTrue(CITY), raw), (TRUE, Masked(Mask(MaskKind.KEEP, 3, 4), raw))), ScalarType.TEXT)
    assert relation.resolve("phone", Use.WHERE) == Case(((IsTrue(CITY), raw),), ScalarType.TEXT)


def test_the_weakest_mask_applies_first_whatever_the_order_of_grants() -> None:
    strong, weak = grant("g1", masks={"phone": "none"}), grant("g2", masks={"phone": "middle"})
    for grants in ((strong, weak), (weak, strong)):
        rule = view(*grants).items["phone"]
        assert [named.name for named, _ in rule.masked] == ["middle", "none"]


def test_a_mask_that_the_item_does_not_declare_shows_nothing() -> None:
    assert code(view(grant(masks={"phone": "gone"})).resolve("phone", Use.SELECT)) is ErrorCode.GRANT_REQUIRED


def test_pseudonyms_are_unlinkable_between_departments() -> None:
    masks = {"phone": "pseudonym"}
    one = view(grant(masks=masks)).items["phone"].masked[0][0].mask
    again = view(grant(masks=masks)).items["phone"].masked[0][0].mask
    other_department = principal(department=MARKET_REGULATION)
    other = view(grant(masks=masks, requester=MARKET_REGULATION.code), who=other_department)
    assert one.key == again.key != other.items["phone"].masked[0][0].mask.key
    assert len(one.key) == 32


# --- states, time, purpose -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"state": GrantState.SUSPENDED}, ErrorCode.GRANT_SUSPENDED),
        ({"state": GrantState.ENDED}, ErrorCode.GRANT_ENDED),
        ({"state": GrantState.DISPOSED}, ErrorCode.GRANT_ENDED),
        ({"state": GrantState.EXPIRED}, ErrorCode.GRANT_EXPIRED),
        ({"valid_from": NOW + timedelta(seconds=1)}, ErrorCode.GRANT_NOT_YET_VALID),
        ({"valid_from": NOW}, None),
        ({"valid_to": NOW}, ErrorCode.GRANT_EXPIRED),
        ({"valid_to": NOW + timedelta(microseconds=1)}, None),
        ({"valid_to": None}, None),
        ({"purpose": "licensing"}, ErrorCode.PURPOSE_MISMATCH),
        ({"usage": Usage.STATISTICS}, ErrorCode.STATISTICS_ONLY),
    ],
)
def test_obstacles(change: dict[str, Any], expected: ErrorCode | None) -> None:
    assert code(view(grant(**change)).resolve("phone", Use.SELECT)) is expected


def test_a_purpose_is_needed() -> None:
    denial = view(grant(), purpose=None).resolve("phone", Use.SELECT)
    assert isinstance(denial, Denial)
    assert denial.code is ErrorCode.PURPOSE_REQUIRED
    assert denial.grants == ("g1",)


def test_the_code_that_tells_most_wins() -> None:
    grants = (
        grant("g1", purpose="licensing"),
        grant("g2", valid_to=NOW),
        grant("g3", state=GrantState.SUSPENDED),
        grant("g4", state=GrantState.ENDED),
    )
    denial = view(*grants).resolve("phone", Use.SELECT)
    assert isinstance(denial, Denial)
    assert (denial.code, denial.grants) == (ErrorCode.GRANT_SUSPENDED, ("g3",))
    assert code(view(grants[0], grants[1]).resolve("phone", Use.SELECT)) is ErrorCode.GRANT_EXPIRED
    assert code(view(*grants, grant("g5")).resolve("phone", Use.SELECT)) is None


def test_a_decision_holds_until_the_next_grant_starts_or_ends() -> None:
    soon = NOW + timedelta(hours=1)
    relation = view(grant("g1"), grant("g2", valid_from=soon, valid_to=None), grant("g3", valid_to=NOW))
    assert relation.valid_until == soon
    assert view().valid_until is None


# --- token scope ---------------------------------------------------------------------------------------------------


def test_the_scope_of_a_grant_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Expression] = []
    original = authz.decide._Decision._read

    def counted(self: authz.decide._Decision, scope: Expression) -> Expression:
        read.append(scope)
        return original(self, scope)

    monkeypatch.setattr(authz.decide._Decision, "_read", counted)
    sex = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    view(grant(items="phone name file", scope=sex))
    assert read == [sex]


def test_a_scope_narrows_items_and_then_rows() -> None:
    snapshot = make_snapshot([replace(RESIDENT, items=RESIDENT.items[1:], relations=())])
    narrow = principal(scopes=frozenset({TokenScope("R/1", "home")}))
    relation = view(grant("g1", "phone"), grant("g2", "home", scope=CITY), who=narrow, snapshot=snapshot)
    assert code(relation.resolve("phone", Use.SELECT)) is ErrorCode.SCOPE_EXCEEDED
    assert relation.row == IsTrue(CITY)


def test_a_scope_for_another_resource_leaves_no_relation() -> None:
    relation = view(grant(), who=principal(scopes=frozenset({TokenScope("V/1")})))
    assert relation.denial is not None
    assert relation.denial.code is ErrorCode.SCOPE_EXCEEDED
    assert relation.row == FALSE
    assert code(view(who=principal(scopes=frozenset())).resolve("name", Use.SELECT)) is ErrorCode.SCOPE_EXCEEDED
    followed = view(grant(), who=principal(scopes=frozenset())).follow("vehicles")
    assert isinstance(followed, Denial)
    assert followed.code is ErrorCode.SCOPE_EXCEEDED


def test_scope_covers_relations_by_name() -> None:
    named = principal(scopes=frozenset({TokenScope("R/1", "vehicles")}))
    followed = grant("g1", "", relations=frozenset({"vehicles"}))
    assert not isinstance(view(followed, who=named).follow("vehicles"), Denial)
    other = principal(scopes=frozenset({TokenScope("R/1", "name")}))
    denial = view(followed, who=other).follow("vehicles")
    assert isinstance(denial, Denial)
    assert denial.code is ErrorCode.SCOPE_EXCEEDED


# --- relations -----------------------------------------------------------------------------------------------------


def test_grants_on_the_keys_do_not_imply_the_relation() -> None:
    denial = view(grant("g1", "owner plate", resource="V/1"), resource="V/1").follow("keeper")
    assert isinstance(denial, Denial)
    assert denial.code is ErrorCode.GRANT_REQUIRED
    assert denial.remedy is not None
    assert denial.remedy.relations == ("keeper",)


def test_a_grant_that_names_the_relation_opens_this_end_on_its_rows() -> None:
    rule = view(grant("g1", "", relations=frozenset({"vehicles"}), scope=CITY)).follow("vehicles")
    assert not isinstance(rule, Denial)
    assert rule.rows == IsTrue(CITY)
    assert rule.grants == ("g1",)


def test_the_class_of_a_relation_is_the_strictest_of_keys_and_ends() -> None:
    assert SNAPSHOT.relation_class(RESIDENT, RESIDENT.relations[0]) is ShareClass.CONDITIONAL


def test_an_unconditional_relation_needs_no_grant() -> None:
    open_vehicle = replace(
        VEHICLE, items=tuple(replace(i, share_class=ShareClass.UNCONDITIONAL) for i in VEHICLE.items)
    )
    relation = view(snapshot=make_snapshot([RESIDENT, open_vehicle])).follow("vehicles")
    assert not isinstance(relation, Denial)
    assert relation.rows == TRUE


# --- fingerprints --------------------------------------------------------------------------------------------------


def test_fingerprints_agree_exactly_when_nothing_that_shapes_v_differs() -> None:
    narrow = principal(scopes=frozenset({TokenScope("R/1", "name")}))
    base = view(grant(scope=CITY, masks={"phone": "middle"}))
    assert base.fingerprint == view(grant(scope=CITY, masks={"phone": "middle"})).fingerprint
    changed = [
        view(grant(scope=COUNTY, masks={"phone": "middle"})),
        view(grant(scope=CITY, masks={"phone": "none"})),
        view(grant(scope=CITY)),
        view(grant(scope=CITY, masks={"phone": "middle"}), rules="order-809"),
        view(grant(scope=CITY, masks={"phone": "middle"}), who=narrow),
        view(grant("g9", scope=CITY, masks={"phone": "middle"})),
    ]
    assert len({base.fingerprint, *(c.fingerprint for c in changed)}) == len(changed) + 1


# --- purposes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "header", "extension", "expected"),
    [
        ({"assistance"}, None, None, "assistance"),
        ({"assistance", "licensing"}, None, None, None),
        ({"assistance", "licensing"}, "licensing", None, "licensing"),
        ({"assistance", "licensing"}, None, "licensing", "licensing"),
        ({"assistance"}, "assistance", "assistance", "assistance"),
        (set(), None, None, None),
        ({"assistance"}, "licensing", None, ErrorCode.PURPOSE_MISMATCH),
        ({"assistance"}, "Assistance", None, ErrorCode.PURPOSE_MISMATCH),
        (set(), "assistance", None, ErrorCode.PURPOSE_MISMATCH),
        ({"made-up"}, "made-up", None, ErrorCode.PURPOSE_MISMATCH),
        ({"assistance", "licensing"}, "assistance", "licensing", ErrorCode.BAD_INPUT),
    ],
)
def test_choice_of_purpose(
    allowed: set[str], header: str | None, extension: str | None, expected: str | ErrorCode | None
) -> None:
    who = principal(purposes=frozenset(allowed))
    if isinstance(expected, ErrorCode):
        with pytest.raises(TanglaiError) as caught:
            choose_purpose(who, SNAPSHOT, header, extension)
        assert caught.value.code is expected
    else:
        assert choose_purpose(who, SNAPSHOT, header, extension) == expected


def test_null_cell_of_a_hidden_item() -> None:
    rule = view().items["phone"]
    assert rule.shown == Null(ScalarType.TEXT)
    assert rule.compare == Null(ScalarType.TEXT)
