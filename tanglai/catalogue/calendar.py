"""In charge of working days: which days are, when a period of them ends, and how many passed."""

import hashlib
import json
import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import accumulate
from types import MappingProxyType

_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class DueDate:
    """The last day of a period. `provisional`: the count reaches a day of a year that is not announced yet."""

    day: date
    provisional: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What the State Council announced for `year`: days of rest and days worked instead (调休).

    Both hold days of `year` or of the December before, whose last days move with New Year; weekends among `rest` and
    weekdays among `make_up` say nothing new. Raises ValueError for other days and for a day in both.
    """

    year: int
    issued: date
    reference: str
    rest: frozenset[date]
    make_up: frozenset[date]

    def __post_init__(self) -> None:
        for day in sorted(self.rest | self.make_up):
            if not belongs(day, self.year):
                raise ValueError(f"`{day}` is neither of {self.year} nor of the December before")
        for day in sorted(self.rest & self.make_up):
            raise ValueError(f"`{day}` is both a day of rest and worked")

    @property
    def mark(self) -> str:
        """Names the notice and all of its days: two notices with one mark are the same."""
        days = [[day.isoformat() for day in sorted(days)] for days in (self.rest, self.make_up)]
        text = json.dumps([self.year, self.issued.isoformat(), self.reference, *days], ensure_ascii=False)
        return f"{self.year}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class YearTable:
    """The days of a year, and of the December before, that the week alone tells wrong; `mark` empty: built in."""

    rest: frozenset[date]
    make_up: frozenset[date]
    mark: str = ""


def belongs(day: date, year: int) -> bool:
    """Whether the notice of `year` may move `day`: New Year is the one holiday that reaches back, into December."""
    return day.year == year or (day.year == year - 1 and day.month == _DECEMBER)


@dataclass(frozen=True, eq=False)
class WorkingCalendar:
    """Working days of mainland China, immutable. In years without a table every weekday is one.

    `version` names the built-in tables and each notice beside them; `years` maps each announced year to its table.
    """

    tables: str
    years: Mapping[int, YearTable]
    version: str = field(init=False)
    _moved: tuple[int, ...] = field(init=False, repr=False)  # ordinals of days that the week alone tells wrong
    _shift: tuple[int, ...] = field(init=False, repr=False)  # how many days the week alone counts short up to there
    _count: tuple[int, ...] = field(init=False, repr=False)  # working days since 0001-01-01 up to there

    def __post_init__(self) -> None:
        years = MappingProxyType(dict(sorted(self.years.items())))
        worked: dict[date, bool] = {}
        for table in years.values():  # a later year's notice is the later word on a December
            worked.update(dict.fromkeys(table.rest, False))
            worked.update(dict.fromkeys(table.make_up, True))
        moved = sorted(day.toordinal() for day, works in worked.items() if works != _weekday(day.toordinal()))
        shift = tuple(accumulate(-1 if _weekday(ordinal) else 1 for ordinal in moved))
        marks = [table.mark for table in years.values() if table.mark]
        values = {
            "years": years,
            "version": "+".join((self.tables, *marks)),
            "_moved": tuple(moved),
            "_shift": shift,
            "_count": tuple(_weekdays(o) + s for o, s in zip(moved, shift, strict=True)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def announced(self, year: int) -> bool:
        """Whether the State Council's notice of `year` is in the tables."""
        return year in self.years

    def is_working(self, day: date) -> bool:
        """Whether `day` is neither weekend nor statutory rest, or a make-up day; for years not announced: a weekday."""
        ordinal = day.toordinal()
        at = bisect_left(self._moved, ordinal)
        moved = at < len(self._moved) and self._moved[at] == ordinal
        return _weekday(ordinal) is not moved

    def due(self, event: date, working_days: int) -> DueDate:
        """The last day of a period of `working_days` that begins with `event`, whose own day is not counted.

        0 days: the day itself, or the next working day if it is one of rest. Raises ValueError for fewer, and
        OverflowError or ValueError past the year 9999.
        """
        if working_days < 0:
            raise ValueError(f"a period of `{working_days}` working days")
        start = event.toordinal()
        wanted = self._worked(start) + working_days if working_days else self._worked(start - 1) + 1
        day = date.fromordinal(self._day_of(wanted))
        first = event if not working_days else date.fromordinal(start + 1)
        return DueDate(day, not all(year in self.years for year in range(first.year, day.year + 1)))

    def elapsed(self, event: date, end: date) -> int:
        """Working days after `event` up to and with `end`; 0 if there are none."""
        return max(0, self._worked(end.toordinal()) - self._worked(event.toordinal()))

    def _worked(self, ordinal: int) -> int:
        """Working days since 0001-01-01, up to and with `ordinal`."""
        at = bisect_right(self._moved, ordinal)
        return _weekdays(ordinal) + (self._shift[at - 1] if at else 0)

    def _day_of(self, count: int) -> int:
        """Ordinal of the working day with number `count`: between two moved days the week alone tells it."""
        at = bisect_left(self._count, count)
        found = _nth_weekday(count - (self._shift[at - 1] if at else 0))
        return min(found, self._moved[at]) if at < len(self._moved) else found


@cache
def built_in() -> WorkingCalendar:
    """The years that come with the program, each as its notice has it."""
    data = tomllib.loads(files("tanglai.catalogue.calendars").joinpath("china.toml").read_text(encoding="utf-8"))
    years = {
        int(year): YearTable(frozenset(table["rest"]), frozenset(table["make_up"]))
        for year, table in data["years"].items()
    }
    return WorkingCalendar(f"{min(years)}-{max(years)}.{data['version']}", years)


def with_notices(base: WorkingCalendar, notices: Iterable[Notice]) -> WorkingCalendar:
    """`base` with the years that `notices` announce; of two for one year the later in the given order holds."""
    years = dict(base.years)
    for notice in notices:
        years[notice.year] = YearTable(notice.rest, notice.make_up, notice.mark)
    return WorkingCalendar(base.tables, years)


def _weekday(ordinal: int) -> bool:
    return (ordinal - 1) % 7 < 5  # day 1 was a Monday


def _weekdays(ordinal: int) -> int:
    weeks, days = divmod(ordinal, 7)
    return 5 * weeks + min(days, 5)


def _nth_weekday(count: int) -> int:
    weeks, days = divmod(count - 1, 5)
    return 7 * weeks + days + 1
