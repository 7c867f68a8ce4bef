"""In charge of residents and households, family by family, and of the few people that examples and tour speak of."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

from demo.data.draw import Draw, handle
from demo.data.names import EDUCATION, ETHNICITIES, FEMALE, MALE, SURNAMES
from demo.data.numbers import resident_number
from demo.data.places import COUNTIES, FORMER, STREETS

HOUSEHOLDS = 44_000
MALE_CODE, FEMALE_CODE = "1", "2"
BEIJING = timezone(timedelta(hours=8))
TODAY = date(2025, 6, 30)
"""The day on which the demo region's data stand still."""


class Resident(NamedTuple):
    """A row of `resident`. `division` is the code under which the residence was registered, maybe a former one."""

    row_handle: int
    id_number: str
    name: str
    gender: str
    birth_date: date
    ethnicity: str
    division: str
    registered_address: str
    household_number: str
    phone: str | None
    current_address: str | None
    education: str | None
    updated_at: datetime


class Household(NamedTuple):
    """A row of `household`."""

    row_handle: int
    household_number: str
    head_id_number: str
    division: str
    address: str
    kind: str
    member_count: int
    registered_on: date


@dataclass(frozen=True)
class People:
    """All residents and households; `couples` are positions (husband, wife) in `residents`."""

    residents: list[Resident]
    households: list[Household]
    couples: list[tuple[int, int]]


class _Role(NamedTuple):
    """A person before names and numbers are drawn. `family` is the position of who gives the surname, or -1."""

    male: bool
    birth: date
    family: int


# Told by name in the documentation, the examples and the tour: (name, male, birth, order, phone, registered under).
CAST: dict[str, tuple[str, bool, date, int, str | None, str]] = {
    "owner": ("马晓渠", False, date(1985, 3, 12), 128, "12800640104", "640104"),
    "husband": ("李文川", True, date(1983, 11, 2), 317, "12800640105", "640104"),
    "haiyuan": ("杨秀兰", False, date(1962, 7, 21), 246, "12800640522", "640522"),
    "lingwu": ("丁有福", True, date(1958, 1, 9), 135, "12800640181", "640382"),
    "helan": ("王春香", False, date(1979, 9, 30), 402, "12800640122", "640122"),
    "guyuan": ("虎志山", True, date(1971, 4, 17), 511, None, "640402"),
}
_CAST_HOUSEHOLDS = (("owner", "husband"), ("haiyuan",), ("lingwu",), ("helan",), ("guyuan",))


def generate() -> People:
    """The people of the demo region: about 125,000 residents in 44,000 households; the cast's come first."""
    draw = Draw("people/1")
    counties = [_county_of(CAST[names[0]][5]) for names in _CAST_HOUSEHOLDS]
    counties += draw.weighted({code: weight for code, (_, weight) in COUNTIES.items()}, HOUSEHOLDS - len(counties))
    families = [[_Role(CAST[n][1], CAST[n][2], -1) for n in names] for names in _CAST_HOUSEHOLDS]
    families += _families(draw, HOUSEHOLDS - len(families))
    former = draw.chances(0.15, HOUSEHOLDS)
    addresses = _addresses(draw, counties)
    registered = draw.dates(HOUSEHOLDS, date(1995, 1, 1), date(2025, 5, 31))
    collective = draw.chances(0.02, HOUSEHOLDS)

    roles = [role for family in families for role in family]
    count = len(roles)
    surnames = draw.weighted(SURNAMES, count)
    given = list(
        zip(draw.choices(MALE, count), draw.choices(FEMALE, count), draw.choices(MALE + FEMALE, count), strict=True)
    )
    double = draw.chances(0.72, count)
    orders = draw.integers(count, 0, 497)
    ethnicities = draw.weighted(ETHNICITIES, count)
    no_phone, elsewhere = draw.chances(0.08, count), draw.chances(0.3, count)
    away = draw.choices(addresses, count)
    no_address, no_education = draw.chances(0.05, count), draw.chances(0.07, count)
    education = draw.weighted(EDUCATION, count)
    ages = draw.integers(count, 0, 5 * 365 * 24 * 3600)
    newest = datetime(2025, 6, 30, 8, tzinfo=BEIJING)
    seconds = [timedelta(seconds=n) for n in range(0, 24 * 3600, 300)]
    cast = [CAST[name] for names in _CAST_HOUSEHOLDS for name in names]

    residents: list[Resident] = []
    households: list[Household] = []
    couples: list[tuple[int, int]] = []
    taken: set[str] = set()
    position = 0
    for number, (family, county) in enumerate(zip(families, counties, strict=True)):
        code = FORMER[county] if former[number] and county in FORMER else county
        if number < len(_CAST_HOUSEHOLDS):
            code = CAST[_CAST_HOUSEHOLDS[number][0]][5]
        household_number, address, first = f"{county}{number:06d}", addresses[number], position
        for role in family:
            surname = surnames[first + role.family] if role.family >= 0 else surnames[position]
            surnames[position] = surname
            man, woman, second = given[position]
            name = surname + (man if role.male else woman) + (second if double[position] else "")
            order = orders[position] * 2 + role.male
            phone = None if no_phone[position] or role.birth.year > 2013 else f"128{10_000_000 + position * 7:08d}"
            if position < len(cast):
                name, _, _, order, phone, _ = cast[position]
            identity = resident_number(code, role.birth, order)
            while identity in taken:
                order = (order + 2) % 996
                identity = resident_number(code, role.birth, order)
            taken.add(identity)
            stale = ages[position]
            residents.append(
                Resident(
                    handle(position),
                    identity,
                    name,
                    MALE_CODE if role.male else FEMALE_CODE,
                    role.birth,
                    ethnicities[first],
                    code,
                    address,
                    household_number,
                    phone,
                    None if no_address[position] else away[position] if elsewhere[position] else address,
                    None if no_education[position] else _schooling(role.birth, education[position]),
                    newest - timedelta(days=stale // 86400) - seconds[stale % len(seconds)],
                )
            )
            position += 1
        if len(family) > 1 and family[1].family < 0:
            couples.append((first, first + 1) if family[0].male else (first + 1, first))
        households.append(
            Household(
                handle(number),
                household_number,
                residents[first].id_number,
                code,
                address,
                "集体户" if collective[number] and len(family) == 1 else "家庭户",
                len(family),
                registered[number],
            )
        )
    return People(residents, households, couples)


def _schooling(birth: date, drawn: str) -> str | None:
    if birth.year > 2018:
        return None
    return drawn if birth.year < 2001 else "小学" if birth.year > 2012 else "初中"


def _county_of(code: str) -> str:
    return next((county for county, old in FORMER.items() if old == code), code)


def _addresses(draw: Draw, counties: list[str]) -> list[str]:
    streets = draw.choices(STREETS, len(counties))
    numbers = draw.integers(len(counties), 1, 399)
    doors = draw.integers(len(counties), 0, 20 * 6 * 18 * 4 - 1)
    return [
        f"{COUNTIES[county][0]}{street}{number}号{door % 20 + 1}幢{door // 20 % 6 + 1}单元"
        f"{door // 120 % 18 + 1}0{door // 2160 + 1}室"
        for county, street, number, door in zip(counties, streets, numbers, doors, strict=True)
    ]


def _families(draw: Draw, count: int) -> list[list[_Role]]:
    """Members of `count` households: the head, maybe a spouse (second), children, an elder."""
    births = draw.dates(count, date(1948, 1, 1), date(2003, 12, 31))
    male = draw.chances(0.7, count)
    married, children = draw.chances(0.78, count), draw.weighted({0: 24, 1: 40, 2: 28, 3: 8}, count)
    elder, elder_male = draw.chances(0.15, count), draw.chances(0.4, count)
    spouse_days = draw.integers(count, -1800, 1800)
    ages = draw.integers(count * 3, 22 * 365, 36 * 365)
    boys = draw.chances(0.51, count * 3)
    families: list[list[_Role]] = []
    for n in range(count):
        birth, day = births[n], timedelta(1)
        family = [_Role(male[n], birth, -1)]
        wed = married[n] and birth.year < 2001
        if wed:
            family.append(_Role(not male[n], birth + day * spouse_days[n], -1))
        father = 0 if male[n] or not wed else 1
        for child in range(children[n] if wed else 0):
            born = birth + day * (ages[3 * n + child] + 400 * child)
            if born < TODAY:
                family.append(_Role(boys[3 * n + child], born, father))
        if elder[n] and birth.year > 1968:
            family.append(_Role(elder_male[n], birth - day * ages[3 * n], 0 if elder_male[n] else -1))
        families.append(family)
    return families
