"""In charge of what departments do for residents: insurance, marriages, allowances, adoptions, vaccination, disease."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from demo.data.companies import FEN, Company
from demo.data.draw import Draw, handle
from demo.data.names import CLINICS, VACCINES
from demo.data.people import BEIJING, CAST, People, Resident
from demo.data.places import COUNTIES

INSURED = 15_000
MONTHS = tuple(date(2025, month, 1) for month in range(1, 7))
ALLOWANCES = 6_000
ADOPTIONS = 300
VACCINATIONS = 30_000
CASES = 2_000
DISEASES: dict[str, tuple[str, ...]] = {
    "B": ("病毒性肝炎", "肺结核", "艾滋病", "布鲁氏菌病", "梅毒"),
    "C": ("流行性感冒", "流行性腮腺炎", "手足口病", "包虫病"),
}


class Contribution(NamedTuple):
    """A row of `contribution`: one month of one person's insurance; amounts in yuan."""

    row_handle: int
    id_number: str
    insurance_kind: str
    month: date
    employer_code: str | None
    division: str
    base: Decimal
    personal_amount: Decimal
    employer_amount: Decimal
    status: str
    paid_at: datetime | None


class Marriage(NamedTuple):
    """A row of `marriage`."""

    row_handle: int
    certificate_number: str
    husband_id_number: str
    wife_id_number: str
    registered_on: date
    division: str
    status: str


class Allowance(NamedTuple):
    """A row of `allowance`: one case of subsistence allowance; `monthly_amount` in yuan."""

    row_handle: int
    case_number: str
    applicant_id_number: str
    applicant_name: str
    division: str
    category: str
    household_size: int
    monthly_amount: Decimal
    started_on: date
    bank_account: str | None
    status: str


class Adoption(NamedTuple):
    """A row of `adoption`."""

    row_handle: int
    register_number: str
    adoptee_id_number: str
    adopter_id_number: str
    registered_on: date
    division: str


class Vaccination(NamedTuple):
    """A row of `vaccinations.csv`."""

    row_handle: int
    record_number: str
    id_number: str
    vaccine: str
    dose: int
    vaccinated_on: date
    clinic: str
    batch: str
    adverse_reaction: str | None


class DiseaseCase(NamedTuple):
    """A row of `disease_case`."""

    row_handle: int
    case_number: str
    id_number: str
    division: str
    disease_class: str
    reported_on: date
    reporting_unit: str
    diagnosis: str


def _cast(people: People, name: str) -> Resident:
    return people.residents[list(CAST).index(name)]


def _one_per_person(people: People, draw: Draw, first: tuple[str, ...], count: int, *, born: range) -> list[Resident]:
    """`count` different residents born in the years of `born`; those of the cast named in `first` lead."""
    pool = [resident for resident in people.residents[len(CAST) :] if resident.birth_date.year in born]
    return [*(_cast(people, name) for name in first), *draw.sample(pool, count - len(first))]


def contributions(people: People, companies: list[Company]) -> list[Contribution]:
    """Half a year of pension insurance of 15,000 people, the cast's `owner` first, employed by her own company."""
    draw, n = Draw("contributions/1"), INSURED
    insured = _one_per_person(people, draw, ("owner", "helan"), n, born=range(1966, 2004))
    employers = [companies[0], companies[0], *draw.choices(companies, n - 2)]
    kinds = ["EMPLOYEE", "EMPLOYEE", *draw.weighted({"EMPLOYEE": 65, "RESIDENT": 35}, n - 2)]
    bases = draw.integers(n, 4_300, 21_000)
    late = draw.chances(0.03, n * len(MONTHS))
    hours = draw.integers(n * len(MONTHS), 0, 20 * 24 * 60)
    rows: list[Contribution] = []
    clock = [datetime(month.year, month.month, 5, 8, tzinfo=BEIJING) for month in MONTHS]
    for i in range(n):
        who, employed = insured[i], kinds[i] == "EMPLOYEE"
        base = Decimal(bases[i]).quantize(FEN)
        personal = (base * 8 / 100).quantize(FEN)
        employer = (base * 16 / 100).quantize(FEN) if employed else Decimal("0.00")
        code = employers[i].credit_code if employed else None
        division = who.household_number[:6]
        for m, month in enumerate(MONTHS):
            position = i * len(MONTHS) + m
            unpaid = late[position] and i > 1
            rows.append(
                Contribution(
                    handle(position),
                    who.id_number,
                    kinds[i],
                    month,
                    code,
                    division,
                    base,
                    personal,
                    employer,
                    "OWED" if unpaid else "PAID",
                    None if unpaid else clock[m] + timedelta(minutes=hours[position]),
                )
            )
    return rows


def marriages(people: People) -> list[Marriage]:
    """The marriage of every couple; the cast's `owner` and `husband` come first."""
    draw, n = Draw("marriages/1"), len(people.couples)
    ages, divorced = draw.integers(n, 22 * 365, 34 * 365), draw.chances(0.06, n)
    rows: list[Marriage] = []
    for i, (husband, wife) in enumerate(people.couples):
        man, woman = people.residents[husband], people.residents[wife]
        day = min(max(man.birth_date, woman.birth_date) + timedelta(ages[i]), date(2025, 5, 20))
        division = man.household_number[:6]
        rows.append(
            Marriage(
                handle(i),
                f"J{division}-{day.year}-{i:06d}",
                man.id_number,
                woman.id_number,
                day,
                division,
                "DIVORCED" if divorced[i] and i else "MARRIED",
            )
        )
    return rows


def allowances(people: People) -> list[Allowance]:
    """6,000 cases. `division` is the code under which the case was opened: old cases carry former codes."""
    draw, n = Draw("allowances/1"), ALLOWANCES
    applicants = _one_per_person(people, draw, ("helan", "lingwu", "haiyuan", "guyuan"), n, born=range(1948, 2000))
    categories = draw.weighted({"URBAN": 30, "RURAL": 60, "DESTITUTE": 10}, n)
    sizes, amounts = draw.integers(n, 1, 5), draw.integers(n, 280, 760)
    started, no_account = draw.dates(n, date(2012, 1, 1), date(2025, 5, 31)), draw.chances(0.06, n)
    accounts, stopped = draw.integers(n, 10**9, 10**10 - 1), draw.chances(0.1, n)
    rows: list[Allowance] = []
    for i, who in enumerate(applicants):
        rows.append(
            Allowance(
                handle(i),
                f"DB{who.division}{started[i].year}{i:05d}",
                who.id_number,
                who.name,
                who.division,
                categories[i],
                sizes[i],
                Decimal(amounts[i] * sizes[i]).quantize(FEN),
                started[i],
                None if no_account[i] and i > 3 else f"000000{accounts[i]:010d}{i % 1000:03d}",
                "STOPPED" if stopped[i] and i > 3 else "PAID",
            )
        )
    return rows


def adoptions(people: People) -> list[Adoption]:
    """300 adoptions of children by adults of other households."""
    draw, n = Draw("adoptions/1"), ADOPTIONS
    adoptees = _one_per_person(people, draw, (), n, born=range(2008, 2024))
    adopters = _one_per_person(people, draw, (), n, born=range(1970, 1990))
    days = draw.dates(n, date(2024, 1, 1), date(2025, 5, 31))
    return [
        Adoption(
            handle(i),
            f"SY{adopters[i].household_number[:6]}{days[i].year}{i:05d}",
            adoptees[i].id_number,
            adopters[i].id_number,
            days[i],
            adopters[i].household_number[:6],
        )
        for i in range(n)
    ]


def vaccinations(people: People) -> list[Vaccination]:
    """30,000 vaccinations; the cast's `haiyuan` has the first two."""
    draw, n = Draw("vaccinations/1"), VACCINATIONS
    who = [_cast(people, "haiyuan")] * 2 + draw.choices(people.residents[len(CAST) :], n - 2)
    vaccines, doses = draw.choices(VACCINES, n), [1, 2, *draw.weighted({1: 5, 2: 3, 3: 2}, n - 2)]
    days, clinics = draw.dates(n, date(2019, 1, 1), date(2025, 6, 30)), draw.choices(CLINICS, n)
    reactions = draw.weighted({"": 95, "发热": 3, "局部红肿": 2}, n)
    rows: list[Vaccination] = []
    for i, person in enumerate(who):
        county = person.household_number[:6]
        rows.append(
            Vaccination(
                handle(i),
                f"YM{county}{i:07d}",
                person.id_number,
                vaccines[i if i > 1 else 0],
                doses[i],
                max(days[i], person.birth_date),
                COUNTIES[county][0] + clinics[i],
                f"P{days[i]:%Y%m}{i % 97:02d}",
                reactions[i] or None,
            )
        )
    return rows


def disease_cases(people: People) -> list[DiseaseCase]:
    """2,000 reported cases of notifiable diseases; the cast's `haiyuan` and `helan` come first."""
    draw, n = Draw("diseases/1"), CASES
    patients = _one_per_person(people, draw, ("haiyuan", "helan"), n, born=range(1948, 2020))
    classes = draw.weighted({"B": 60, "C": 40}, n)
    picks, days = draw.integers(n, 0, 10**6), draw.dates(n, date(2024, 1, 1), date(2025, 6, 25))
    rows: list[DiseaseCase] = []
    for i, who in enumerate(patients):
        county, names = who.household_number[:6], DISEASES[classes[i]]
        rows.append(
            DiseaseCase(
                handle(i),
                f"CR{county}{i:06d}",
                who.id_number,
                county,
                classes[i],
                days[i],
                COUNTIES[county][0] + "疾病预防控制中心",
                names[picks[i] % len(names)],
            )
        )
    return rows
