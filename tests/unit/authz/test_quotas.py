"""Quotas that are used up: what rests on the grant is denied whatever else covers it, and V stays as it is."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from authz.denial import Denial, RemedyAction
from authz.quotas import without
from authz.visible import Use, VisibleRelation
from authz.words import reason, remedy_words
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import TRUE
from tanglai.catalogue.model import Period, Quota, Statistics, Usage
from tanglai.catalogue.quotas import Counts, bounded, day_of
from tanglai.catalogue.rules import rule_set
from tests.catalogues import CONDITIONAL, PUBLIC_SECURITY, make_item, make_resource, make_snapshot
from tests.unit.authz.test_decide import CITY, COUNTY, PURPOSE, SNAPSHOT, grant, view

RULES = rule_set("ningxia-measures")
QUOTA = Quota(rows=100)


def spent(relation: VisibleRelation, *grants: str) -> VisibleRelation:
    return without(relation, frozenset(grants), RULES)


def denial(relation: VisibleRelation, item: str, use: Use = Use.SELECT) -> Denial:
    found = relation.resolve(item, use)
    assert isinstance(found, Denial)
    return found


def test_a_decision_names_the_quotas_of_the_grants_that_something_rests_on() -> None:
    seen = view(
        grant("g1", quota=QUOTA),
        grant("g2", "home"),
        grant("g3", "home", quota=Quota()),
        grant("g4", "home", quota=QUOTA, purpose="licensing"),
        grant("g5", "", relations=frozenset({"vehicles"}), quota=Quota(requests=1)),
        grant("g6", "file", quota=QUOTA),
    )
    assert seen.quotas == {"g1": QUOTA, "g5": Quota(requests=1)}


def test_another_quota_is_another_fingerprint_and_the_same_relation() -> None:
    one, other, none = (view(grant(quota=quota)) for quota in (QUOTA, Quota(rows=7), None))
    assert len({one.fingerprint, other.fingerprint, none.fingerprint}) == 3
    assert (one.items, one.row) == (other.items, other.row) == (none.items, none.row)


@pytest.mark.parametrize("use", Use)
def test_what_rests_on_a_spent_grant_is_denied_in_every_use(use: Use) -> None:
    relation = spent(view(grant(quota=QUOTA)), "g1")
    told = denial(relation, "phone", use)
    assert (told.code, told.article, told.item, told.grants) == (
        ErrorCode.QUOTA_EXCEEDED,
        "Art. 11(3)",
        "phone",
        ("g1",),
    )
    assert told.remedy is not None
    assert (told.remedy.action, told.remedy.department) == (RemedyAction.CONTACT_PROVIDER, PUBLIC_SECURITY.code)
    assert not isinstance(relation.resolve("name", use), Denial)
    assert "next day" in remedy_words(told, SNAPSHOT, "en")
    assert "次日" in remedy_words(told, SNAPSHOT, "zh")
    assert "quota for today does not cover" in reason(told, SNAPSHOT, "en")


def test_no_other_grant_steps_in() -> None:
    relation = spent(view(grant("g1", scope=CITY, quota=QUOTA), grant("g2", scope=COUNTY)), "g1")
    assert denial(relation, "phone").grants == ("g1",)
    masked = spent(view(grant("g1", quota=QUOTA), grant("g2", masks={"phone": "middle"})), "g1")
    assert denial(masked, "phone").code is ErrorCode.QUOTA_EXCEEDED


def test_the_rows_stay_as_they_are() -> None:
    grants = (grant("g1", scope=CITY, quota=QUOTA), grant("g2", "home", scope=COUNTY))
    rules = "order-809"  # no item is open to all there
    before, after = view(*grants, rules=rules), spent(view(*grants, rules=rules), "g1")
    assert before.row == after.row != TRUE
    assert before.partial("home") == after.partial("home")
    assert before.fingerprint != after.fingerprint
    assert after.quotas == before.quotas


def test_what_does_not_rest_on_the_grant_stays_allowed_or_denied_as_it_was() -> None:
    before = view(grant("g1", quota=QUOTA), grant("g2", "home", quota=Quota(requests=9)))
    after = spent(before, "g1")
    assert after.items["home"] == before.items["home"]
    assert after.items["name"] == before.items["name"]
    assert denial(after, "file").code is ErrorCode.NOT_SHARED
    assert denial(spent(before, "g1", "g2"), "home").grants == ("g2",)
    assert spent(before, "g7") is before


def test_a_relation_of_a_spent_grant_is_not_followed() -> None:
    relations = frozenset({"vehicles"})
    relation = spent(view(grant("g1", "", relations=relations, quota=QUOTA)), "g1")
    told = relation.follow("vehicles")
    assert isinstance(told, Denial)
    assert (told.code, told.item) == (ErrorCode.QUOTA_EXCEEDED, "vehicles")
    assert told.remedy is not None
    assert told.remedy.relations == ("vehicles",)
    closed = spent(view(grant("g1", quota=QUOTA)), "g1").follow("vehicles")
    assert isinstance(closed, Denial)
    assert closed.code is ErrorCode.GRANT_REQUIRED


def test_a_cube_of_a_spent_grant_stays_the_one_that_would_answer() -> None:
    resource = make_resource("resident", [make_item("sex", codes=["1", "2"], share_class=CONDITIONAL)], code="R/1")
    statistics = Statistics(("sex",), (), Period.DAY, 3, 1)
    own = grant(
        "g1", "sex", usage=Usage.STATISTICS, statistics=statistics, purpose=PURPOSE, quota=QUOTA, resource="R/1"
    )
    seen = view(own, replace(own, id="g2", quota=None), snapshot=make_snapshot([resource]))
    after = spent(seen, "g1")
    cube = after.cube(["sex"])
    assert cube is not None
    assert cube.grant == "g1"
    assert cube.denial is not None
    assert (cube.denial.code, cube.denial.item, cube.denial.grants) == (ErrorCode.QUOTA_EXCEEDED, None, ("g1",))
    assert [cube.denial for cube in after.cubes][1] is None
    assert after.row == seen.row


def test_days_are_those_of_shanghai() -> None:
    before = datetime(2026, 5, 5, 15, 59, 59, 999_999, tzinfo=UTC)
    midnight = datetime(2026, 5, 5, 16, 0, tzinfo=UTC)
    assert (day_of(before), day_of(midnight)) == (date(2026, 5, 5), date(2026, 5, 6))


def test_counts() -> None:
    assert Counts(1, 5, 3).least(Counts(2, 4, 3)) == Counts(1, 4, 3)
    assert Counts(3, 1, 2) + Counts(1, 1, 0) == Counts(4, 2, 2)
    assert Counts(3, 1, 2) - Counts(1, 2, 2) == Counts(2, 0, 0)
    assert not Counts()
    assert Counts(subjects=1)
    assert Counts(3, 1).covers(Counts(3))
    assert not Counts(3, 1).covers(Counts(2, 2))
    assert Counts(5, 6, 7).of(Quota(requests=1)) == Counts(requests=6)
    assert [bounded(quota) for quota in (None, Quota(), Quota(rows=0), Quota(subjects=5))] == [False, False, True, True]
