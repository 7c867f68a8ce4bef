"""In charge of the table of working days: `python -m tests.calendar_table` writes it from two packages that agree.

Both `holidays` and `chinesecalendar` follow the State Council's notices. The years are those of the latter, since the
former guesses the years to come; a day on which they differ must be settled here from the notice itself. The newest
`holidays` cannot be installed beside the GraphQL library (their python-dateutil differ); in an environment of its own
it gives the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import holidays

FILE = Path(__file__).parents[1] / "tanglai" / "catalogue" / "calendars" / "china.toml"
VERSION = 1
FIRST = 2004
LAST = max(day.year for day in chinese_calendar.holidays)


@dataclass(frozen=True, slots=True)
class Settled:
    """Days on which a package is wrong, decided by the notice `reference`, which says `words`."""

    wrong: str
    works: Mapping[date, bool]
    reference: str
    issued: date
    words: str


SETTLED = (
    Settled(
        "chinesecalendar 1.11",
        {date(2005, 12, 31): True},
        "国办发明电〔2005〕35号",
        date(2005, 12, 16),
        "将12月31日（星期六）、1月1日（星期日）两个公休日调至1月2日（星期一）、3日（星期二），12月31日（星期六）上班",
    ),
    Settled(
        "holidays before 0.92",
        {date(2019, 4, 28): True, date(2019, 5, 2): False, date(2019, 5, 3): False, date(2019, 5, 5): True},
        "国办发明电〔2019〕3号",
        date(2019, 3, 22),
        "2019年5月1日至4日放假调休，共4天。4月28日（星期日）、5月5日（星期日）上班",
    ),
)
DECIDED: dict[date, bool] = {day: works for settled in SETTLED for day, works in settled.works.items()}


def days() -> list[date]:
    """Every day from FIRST to LAST."""
    start = date(FIRST, 1, 1)
    return [start + timedelta(days=n) for n in range((date(LAST + 1, 1, 1) - start).days)]


def first_opinion() -> dict[date, bool]:
    """Whether each day is worked, after `holidays`."""
    china = holidays.country_holidays("CN", years=range(FIRST, LAST + 1))
    return {day: china.is_working_day(day) for day in days()}


def second_opinion() -> dict[date, bool]:
    """Whether each day is worked, after `chinesecalendar`, which raises for a year that it does not have."""
    return {day: chinese_calendar.is_workday(day) for day in days()}


def agreed() -> dict[date, bool]:
    """What both say, or what is settled. Raises ValueError for a day that neither tells."""
    first, second = first_opinion(), second_opinion()
    unsettled = {day for day in first if first[day] != second[day]} - DECIDED.keys()
    if unsettled:
        raise ValueError(f"the packages differ on {', '.join(map(str, sorted(unsettled)))}")
    return first | DECIDED


def render(works: Mapping[date, bool]) -> str:
    """The table as a file: of each year, and the December before, the days that the week alone tells wrong."""
    lines = [
        "# Working days of mainland China: of each year the weekdays of rest and the weekend days worked (调休), after",
        "# the State Council's notices. The end of a December belongs to the next year's notice.",
        "# Written by `python -m tests.calendar_table` from the packages holidays and chinesecalendar, which agree",
        "# but for what these notices settle:",
    ]
    for settled in SETTLED:
        named = ", ".join(f"{day} is {'worked' if works else 'of rest'}" for day, works in settled.works.items())
        lines += [
            f"# {named}:",
            f"#   {settled.reference} of {settled.issued}: {settled.words}",
            f"#   (otherwise in {settled.wrong})",
        ]
    lines += [f"version = {VERSION}", ""]
    for year in range(FIRST, LAST + 1):
        own = [day for day in works if (day.year + (day.month == 12)) == year]
        rest = [day for day in own if day.weekday() < 5 and not works[day]]
        make_up = [day for day in own if day.weekday() >= 5 and works[day]]
        lines += [f"[years.{year}]", *_list("rest", rest), *_list("make_up", make_up), ""]
    return "\n".join(lines).rstrip() + "\n"


def _list(name: str, found: list[date]) -> list[str]:
    rows = [found[n : n + 8] for n in range(0, len(found), 8)]
    return [f"{name} = [", *(f"    {', '.join(map(str, row))}," for row in rows), "]"]


def main() -> None:
    FILE.write_text(render(agreed()), encoding="utf-8")
    print(f"{FILE.name}: {FIRST} to {LAST}")


if __name__ == "__main__":
    main()
