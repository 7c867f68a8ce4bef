"""In charge of companies and what hangs on them: e-licences, land parcels, tax records."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from math import cos, radians
from typing import NamedTuple

from demo.data.draw import Draw, handle
from demo.data.names import COMPANY_WORDS, TRADES
from demo.data.numbers import credit_code
from demo.data.people import BEIJING, CAST, People
from demo.data.places import COUNTIES, STREETS

COMPANIES = 12_000
PARCELS = 4_000
TAX_YEARS = (2023, 2024)
FEN = Decimal("0.01")
LICENCE_ISSUERS = {
    "BUSINESS": "市场监督管理局",
    "FOOD": "市场监督管理局",
    "ROAD_TRANSPORT": "交通运输局",
    "CONSTRUCTION": "住房和城乡建设局",
}
_CENTRES = {
    "6401": (106.23, 38.48),
    "6402": (106.38, 39.02),
    "6403": (106.20, 37.99),
    "6404": (106.24, 36.01),
    "6405": (105.19, 37.51),
}


class Company(NamedTuple):
    """A row of `company`; amounts in yuan."""

    row_handle: int
    credit_code: str
    name: str
    status: str
    established_on: date
    registered_capital: Decimal
    industry: str
    division: str
    address: str
    representative_name: str
    representative_id_number: str
    contact_phone: str | None
    employees: int | None
    annual_revenue: Decimal | None
    updated_at: datetime


class Licence(NamedTuple):
    """A row of `licences.parquet`; without `valid_to` it holds for good."""

    row_handle: int
    licence_number: str
    holder_code: str
    licence_type: str
    issuer: str
    issued_on: date
    valid_to: date | None
    status: str
    file_digest: str


class Parcel(NamedTuple):
    """A row of `parcel`; `area` in square metres, `geometry` a GeoJSON polygon (WGS 84) as text."""

    row_handle: int
    parcel_number: str
    division: str
    use_code: str
    area: Decimal
    location: str
    geometry: str | None
    registered_on: date
    owner_code: str | None
    appraised_value: Decimal | None
    mortgaged: bool


class TaxRecord(NamedTuple):
    """A row of `tax_record`: one company in one year; amounts in yuan."""

    row_handle: int
    credit_code: str
    tax_year: int
    credit_rating: str
    taxable_income: Decimal
    tax_paid: Decimal
    arrears: Decimal
    filed_on: date | None


def companies(people: People) -> list[Company]:
    """12,000 companies; the first belongs to the cast's `owner`. Their representatives are grown residents."""
    draw, n = Draw("companies/1"), COMPANIES
    grown = [resident for resident in people.residents if 1955 < resident.birth_date.year < 2003]
    owner = people.residents[list(CAST).index("owner")]
    representatives = [owner, *draw.choices(grown, n - 1)]
    trades = ["I65", *draw.choices(list(TRADES), n - 1)]
    words = ["唐徕", *draw.choices(COMPANY_WORDS, n - 1)]
    seconds = ["晓渠", *draw.choices(COMPANY_WORDS, n - 1)]
    established = draw.dates(n, date(1998, 1, 1), date(2025, 5, 31))
    capitals = draw.weighted({10: 10, 50: 25, 100: 30, 200: 12, 500: 10, 1000: 8, 5000: 2}, n)
    statuses = ["ACTIVE", *draw.weighted({"ACTIVE": 86, "REVOKED": 4, "CANCELLED": 10}, n - 1)]
    numbers, streets = draw.integers(n, 1, 299), draw.choices(STREETS, n)
    no_phone, no_staff = draw.chances(0.12, n), draw.chances(0.2, n)
    staff, revenues = draw.integers(n, 1, 400), draw.integers(n, 5_000_00, 9_000_000_00)
    ages = draw.integers(n, 0, 700 * 86400)
    newest = datetime(2025, 6, 30, 8, tzinfo=BEIJING)
    rows: list[Company] = []
    for i in range(n):
        who = representatives[i]
        county = who.household_number[:6]
        place = COUNTIES[county][0]
        rows.append(
            Company(
                handle(i),
                credit_code("91", county, f"DM{i:06d}"),
                f"{place[:2]}{words[i]}{seconds[i]}{TRADES[trades[i]][1]}（示例）有限公司",
                statuses[i],
                established[i],
                Decimal(capitals[i] * 10_000).quantize(FEN),
                trades[i],
                county,
                f"{place}{streets[i]}{numbers[i]}号",
                who.name,
                who.id_number,
                None if no_phone[i] else f"0951-5{i * 31 % 1_000_000:06d}",
                None if no_staff[i] else staff[i],
                None if no_staff[i] else Decimal(revenues[i]).scaleb(-2),
                newest - timedelta(seconds=ages[i]),
            )
        )
    return rows


def licences(companies: list[Company]) -> list[Licence]:
    """A business licence for every company and for most a second licence; the first company has both."""
    draw = Draw("licences/1")
    second = draw.chances(0.6, len(companies))
    kinds = draw.choices(("FOOD", "ROAD_TRANSPORT", "CONSTRUCTION"), len(companies))
    waits = draw.integers(len(companies), 20, 900)
    rows: list[Licence] = []
    for i, company in enumerate(companies):
        kept = "VALID" if company.status == "ACTIVE" else "CANCELLED"
        wanted = ["BUSINESS", kinds[i]] if second[i] or i == 0 else ["BUSINESS"]
        for kind in wanted:
            position = len(rows)
            issued = company.established_on + timedelta(waits[i] if kind != "BUSINESS" else 0)
            number = f"{kind[:2]}{company.division}{position:08d}"
            rows.append(
                Licence(
                    handle(position),
                    number,
                    company.credit_code,
                    kind,
                    COUNTIES[company.division][0] + LICENCE_ISSUERS[kind],
                    issued,
                    issued + timedelta(5 * 365) if kind != "BUSINESS" else None,
                    kept,
                    sha256(number.encode()).hexdigest(),
                )
            )
    return rows


def parcels(companies: list[Company]) -> list[Parcel]:
    """4,000 rectangular parcels; most are owned by a company, the first one by the first company."""
    draw, n = Draw("parcels/1"), PARCELS
    owners = [companies[0], *draw.sample(companies[1:], n - 1)]
    uses = draw.weighted({"0701": 40, "0601": 25, "0501": 20, "0101": 15}, n)
    widths, heights = draw.integers(n, 120, 2400), draw.integers(n, 120, 2400)
    east, north = draw.integers(n, -2000, 2000), draw.integers(n, -2000, 2000)
    registered = draw.dates(n, date(2000, 1, 1), date(2025, 5, 31))
    no_geometry, no_owner, mortgaged = draw.chances(0.03, n), draw.chances(0.2, n), draw.chances(0.18, n)
    values = draw.integers(n, 300, 6000)
    rows: list[Parcel] = []
    for i in range(n):
        county, first = owners[i].division, i == 0
        area = (Decimal(widths[i]) * heights[i] / 100).quantize(FEN)
        rows.append(
            Parcel(
                handle(i),
                f"{county}001{i % 900 + 100:03d}GB{i:05d}",
                county,
                uses[i],
                area,
                f"{owners[i].address}地块",
                None if no_geometry[i] else _rectangle(county, east[i], north[i], widths[i] / 10, heights[i] / 10),
                registered[i],
                None if no_owner[i] and not first else owners[i].credit_code,
                None if no_owner[i] else (area * values[i]).quantize(FEN),
                mortgaged[i],
            )
        )
    return rows


def _rectangle(county: str, east: int, north: int, width: float, height: float) -> str:
    """A rectangle of `width` x `height` metres near the county's city, anticlockwise (RFC 7946), as GeoJSON."""
    lon, lat = _CENTRES[county[:4]]
    west, south = round(lon + east / 10_000, 6), round(lat + north / 10_000, 6)
    far = round(west + width / (111_320 * cos(radians(lat))), 6)
    top = round(south + height / 111_320, 6)
    ring = [[west, south], [far, south], [far, top], [west, top], [west, south]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]}, separators=(",", ":"))


def tax_records(companies: list[Company]) -> list[TaxRecord]:
    """Two years of every company's tax."""
    draw, n = Draw("tax/1"), len(companies) * len(TAX_YEARS)
    ratings = draw.weighted({"A": 12, "B": 45, "M": 28, "C": 10, "D": 5}, n)
    incomes = draw.integers(n, -200_000_00, 4_000_000_00)
    owing, arrears = draw.chances(0.07, n), draw.integers(n, 1_00, 300_000_00)
    filed, unfiled = draw.dates(n, date(2025, 1, 1), date(2025, 5, 31)), draw.chances(0.04, n)
    rows: list[TaxRecord] = []
    for i in range(n):
        income = Decimal(incomes[i]).scaleb(-2)
        year = TAX_YEARS[i % 2]
        rows.append(
            TaxRecord(
                handle(i),
                companies[i // 2].credit_code,
                year,
                ratings[i],
                income,
                (max(income, Decimal(0)) * 25 / 100).quantize(FEN),
                Decimal(arrears[i]).scaleb(-2) if owing[i] else Decimal("0.00"),
                None if unfiled[i] else filed[i].replace(year=year + 1),
            )
        )
    return rows
