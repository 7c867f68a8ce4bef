"""In charge of social organisations: a register of Civil Affairs that the shipped catalogue does not have yet."""

from datetime import date
from typing import NamedTuple

from demo.data.draw import Draw, handle
from demo.data.numbers import credit_code
from demo.data.people import CAST, People
from demo.data.places import COUNTIES

ORGANISATIONS = 180
KINDS = {"ASSOCIATION": "协会", "SERVICE": "服务中心", "FOUNDATION": "基金会"}
FIELDS = ("养老助残", "志愿服务", "枸杞产业", "文化交流", "环境保护", "社区治理", "青少年体育", "医疗救助")


class SocialOrganisation(NamedTuple):
    """A row of `social_organisation`."""

    row_handle: int
    credit_code: str
    name: str
    kind: str
    division: str
    registered_on: date
    representative: str
    phone: str | None
    status: str


def social_organisations(people: People) -> list[SocialOrganisation]:
    """180 organisations; the first belongs to the cast's `owner`."""
    draw, n = Draw("organisations/1"), ORGANISATIONS
    grown = [resident for resident in people.residents if 1955 < resident.birth_date.year < 2000]
    owner = people.residents[list(CAST).index("owner")]
    who = [owner, *draw.choices(grown, n - 1)]
    kinds = draw.weighted({"ASSOCIATION": 55, "SERVICE": 38, "FOUNDATION": 7}, n)
    fields, counties = draw.choices(FIELDS, n), draw.choices(list(COUNTIES), n)
    registered = draw.dates(n, date(1996, 1, 1), date(2025, 5, 31))
    statuses = draw.weighted({"ACTIVE": 90, "CANCELLED": 10}, n)
    no_phone = draw.chances(0.1, n)
    return [
        SocialOrganisation(
            handle(i),
            credit_code("51", counties[i], f"DQ{i:06d}"),
            f"{COUNTIES[counties[i]][0]}{fields[i]}{KINDS[kinds[i]]}（示例第{i + 1}号）",
            kinds[i],
            counties[i],
            registered[i],
            who[i].name,
            None if no_phone[i] else f"0951-6{i * 37 % 1_000_000:06d}",
            statuses[i],
        )
        for i in range(n)
    ]
