"""The demo region's generated data: check digits, determinism, coherence, size."""

from collections.abc import Callable
from datetime import date
from itertools import pairwise

import pytest

from demo.data import numbers
from demo.data.draw import Draw, handle
from demo.data.people import CAST
from demo.data.places import COUNTIES, FORMER
from demo.data.world import TABLES, World

RESIDENT_CHECK = {0: "1", 1: "0", 2: "X", 3: "9", 4: "8", 5: "7", 6: "6", 7: "5", 8: "4", 9: "3", 10: "2"}
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def resident_number_holds(number: str) -> bool:
    """GB 11643, Annex: sum of digit x weight, weights from the standard's table."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], weights, strict=True))
    return len(number) == 18 and RESIDENT_CHECK[total % 11] == number[17]


def credit_code_holds(code: str) -> bool:
    """GB 32100: the weighted sum over all 18 places, the check with weight 1, is a multiple of 31."""
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1)
    return len(code) == 18 and sum(CREDIT.index(c) * w for c, w in zip(code, weights, strict=True)) % 31 == 0


def organisation_code_holds(code: str) -> bool:
    """GB 11714: the weighted sum with the check (X: 10) is a multiple of 11."""
    values = [int(c, 36) for c in code[:8]] + [10 if code[8] == "X" else int(code[8])]
    return sum(v * w for v, w in zip(values, (3, 7, 9, 10, 5, 8, 4, 2, 1), strict=True)) % 11 == 0


def vehicle_number_holds(number: str) -> bool:
    """GB 16735: values of letters and weights from the standard's tables; the ninth place is the check."""
    values = {**{str(n): n for n in range(10)}, **dict(zip("ABCDEFGH", range(1, 9), strict=True))}
    values |= dict(zip("JKLMN", range(1, 6), strict=True)) | {"P": 7, "R": 9}
    values |= dict(zip("STUVWXYZ", range(2, 10), strict=True))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(values[c] * w for c, w in zip(number, weights, strict=True))
    return number[8] == "0123456789X"[total % 11]


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (resident_number_holds, "11010519491231002X", "110105194912310021"),  # the example of GB 11643
        (credit_code_holds, "91350100M000100Y43", "91350100M000100Y44"),  # the example of GB 32100
        (organisation_code_holds, "D2143569X", "D21435691"),  # the example of GB 11714
        (vehicle_number_holds, "1M8GDM9AXKP042788", "1M8GDM9A0KP042788"),  # the customary example
    ],
)
def test_the_checks_of_this_test_follow_the_standards(check: Callable[[str], bool], right: str, wrong: str) -> None:
    assert check(right)
    assert not check(wrong)


def test_check_digits_of_known_numbers() -> None:
    assert numbers.resident_number("110105", date(1949, 12, 31), 2) == "11010519491231002X"
    assert numbers.organisation_code("D2143569") == "D2143569X"
    assert numbers.credit_code("91", "350100", "M000100Y") == "91350100M000100Y43"


def test_every_resident_number_is_valid_and_tells_birth_and_gender(world: World) -> None:
    assert len(world.residents) >= 100_000
    assert len({r.id_number for r in world.residents}) == len(world.residents)
    for resident in world.residents:
        number = resident.id_number
        assert resident_number_holds(number)
        assert number[:6] == resident.division
        assert number[6:14] == f"{resident.birth_date:%Y%m%d}"
        assert int(number[16]) % 2 == (resident.gender == "1")


def test_every_credit_code_is_valid(world: World) -> None:
    codes = [company.credit_code for company in world.companies]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert credit_code_holds(code)
        assert organisation_code_holds(code[8:17])


def test_every_vehicle_number_is_valid(world: World) -> None:
    assert all(vehicle_number_holds(vehicle.vin) for vehicle in world.vehicles)


DIGESTS = {
    "residents": "3acb6705f5ef8612",
    "households": "5fe8f0bccf840a83",
    "vehicles": "bf2d9b2a3a2a848f",
    "companies": "14195125890d73e4",
    "licences": "368ee98ecbb32c70",
    "parcels": "e1fc93f475172864",
    "tax_records": "c55a23168d758d8b",
    "contributions": "245581628224fc9b",
    "marriages": "0f28ac475630f6cd",
    "allowances": "f955185528eb1e6b",
    "adoptions": "bfe6ba249a3bc4b5",
    "social_organisations": "78dd8033a5951825",
    "vaccinations": "3fd56d2fc8d0cac9",
    "disease_cases": "29f688ca9c4b12c9",
}


@pytest.mark.parametrize("table", TABLES)
def test_data_are_those_of_every_other_machine(world: World, table: str) -> None:
    """First digits of SHA-256, recorded once: the same seed gives the same rows in every process and Python."""
    assert world.digest(table)[:16] == DIGESTS[table]


@pytest.mark.parametrize("table", TABLES)
def test_row_handles_are_unique_and_tell_nothing_of_the_order(world: World, table: str) -> None:
    handles = [row[0] for row in world.rows(table)]
    assert len(set(handles)) == len(handles)
    assert all(isinstance(h, int) and 0 <= h < 2**48 for h in handles)
    rising = sum(a < b for a, b in pairwise(handles))  # type: ignore[operator]
    assert 0.1 < rising / len(handles) < 0.9


def test_handle_is_one_to_one() -> None:
    assert len({handle(n) for n in range(200_000)}) == 200_000


def test_draws_follow_their_seed() -> None:
    assert Draw("a").integers(50, 1, 1000) == Draw("a").integers(50, 1, 1000)
    assert Draw("a").integers(50, 1, 1000) != Draw("b").integers(50, 1, 1000)
    sample = Draw("a").sample(range(100), 60)
    assert len(set(sample)) == 60
    with pytest.raises(ValueError, match="cannot draw 3 of 2"):
        Draw("a").sample("xy", 3)
    drawn = Draw("a").weighted({"often": 9, "seldom": 1}, 10_000)
    assert 800 < drawn.count("seldom") < 1200


def test_people_live_in_counties_of_today_under_codes_of_today_or_before(world: World) -> None:
    codes = {r.division for r in world.residents}
    assert codes == set(COUNTIES) | set(FORMER.values())
    former = [r for r in world.residents if r.division not in COUNTIES]
    assert all(FORMER[r.household_number[:6]] == r.division for r in former)
    assert len(former) > 100


def test_rows_point_to_rows_that_exist(world: World) -> None:
    people, firms = {r.id_number for r in world.residents}, {c.credit_code for c in world.companies}
    assert {h.head_id_number for h in world.households} <= people
    assert {r.household_number for r in world.residents} == {h.household_number for h in world.households}
    assert {v.owner_id_number for v in world.vehicles} <= people
    assert {c.representative_id_number for c in world.companies} <= people
    assert {x.holder_code for x in world.licences} == firms
    assert {p.owner_code for p in world.parcels} - {None} <= firms
    assert {t.credit_code for t in world.tax_records} == firms
    assert {c.id_number for c in world.contributions} <= people
    assert {c.employer_code for c in world.contributions} - {None} <= firms
    assert {m.husband_id_number for m in world.marriages} | {m.wife_id_number for m in world.marriages} <= people
    assert {a.applicant_id_number for a in world.allowances} <= people
    assert {a.adoptee_id_number for a in world.adoptions} | {a.adopter_id_number for a in world.adoptions} <= people
    assert {v.id_number for v in world.vaccinations} | {d.id_number for d in world.disease_cases} <= people


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("residents", ("id_number",)),
        ("households", ("household_number",)),
        ("vehicles", ("plate",)),
        ("vehicles", ("vin",)),
        ("companies", ("credit_code",)),
        ("licences", ("licence_number",)),
        ("parcels", ("parcel_number",)),
        ("tax_records", ("credit_code", "tax_year")),
        ("contributions", ("id_number", "insurance_kind", "month")),
        ("marriages", ("certificate_number",)),
        ("allowances", ("case_number",)),
        ("adoptions", ("register_number",)),
        ("social_organisations", ("credit_code",)),
        ("vaccinations", ("record_number",)),
        ("disease_cases", ("case_number",)),
    ],
)
def test_catalogued_keys_are_unique(world: World, table: str, columns: tuple[str, ...]) -> None:
    rows = world.rows(table)
    keys = {tuple(getattr(row, column) for column in columns) for row in rows}
    assert len(keys) == len(rows)


def test_the_cast_is_what_examples_say_of_it(world: World) -> None:
    owner, husband = world.person("owner"), world.person("husband")
    assert (owner.name, owner.id_number) == (CAST["owner"][0], "640104198503121282")
    assert sum(v.owner_id_number == owner.id_number for v in world.vehicles) == 2
    firms = [c.credit_code for c in world.companies if c.representative_id_number == owner.id_number]
    assert firms == [world.companies[0].credit_code]
    assert sum(x.holder_code == firms[0] for x in world.licences) == 2
    assert sum(p.owner_code == firms[0] for p in world.parcels) == 1
    assert [m.wife_id_number for m in world.marriages if m.husband_id_number == husband.id_number] == [owner.id_number]
    assert sum(c.id_number == owner.id_number for c in world.contributions) == 6
    lingwu = [a for a in world.allowances if a.applicant_id_number == world.person("lingwu").id_number]
    assert [a.division for a in lingwu] == ["640382"]
    assert world.person("guyuan").phone is None


def test_some_values_are_null_and_most_are_not(world: World) -> None:
    for table, column in [
        ("residents", "phone"),
        ("residents", "current_address"),
        ("residents", "education"),
        ("companies", "annual_revenue"),
        ("parcels", "geometry"),
        ("vehicles", "displacement"),
        ("allowances", "bank_account"),
    ]:
        rows = world.rows(table)
        missing = sum(getattr(row, column) is None for row in rows)
        assert 0.01 < missing / len(rows) < 0.5, (table, column)
