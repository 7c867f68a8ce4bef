"""The calendar of working days against two packages and a count day by day."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from tanglai.catalogue.calendar import DueDate, Notice, WorkingCalendar, built_in, with_notices
from tests import calendar_table

DAY = timedelta(days=1)
LONGEST = 60


def notice(year: int = 2027, **more: Any) -> Notice:
    made = Notice(
        year,
        date(year - 1, 11, 4),
        f"国办发明电〔{year - 1}〕7号",
        frozenset({date(year, 1, 1), date(year, 1, 4), date(year, 5, 3), date(year - 1, 12, 31)}),
        frozenset({date(year - 1, 12, 27), date(year, 1, 10)}),
    )
    return replace(made, **more)


@pytest.fixture(scope="module")
def worked() -> dict[date, bool]:
    """Every day of 2004 to 2026 as `chinesecalendar` has it but for the day it has wrong, then weekdays."""
    days = calendar_table.second_opinion()
    days[date(2005, 12, 31)] = True
    later = [date(2027, 1, 1) + n * DAY for n in range(5 * LONGEST)]
    return days | {day: day.weekday() < 5 for day in later}


def test_the_file_is_what_the_packages_say() -> None:
    assert calendar_table.FILE.read_text(encoding="utf-8") == calendar_table.render(calendar_table.agreed())


def test_the_table_differs_from_each_package_where_it_says_so() -> None:
    calendar = built_in()
    first = {day for day, works in calendar_table.first_opinion().items() if works != calendar.is_working(day)}
    second = {day for day, works in calendar_table.second_opinion().items() if works != calendar.is_working(day)}
    assert second == {date(2005, 12, 31)}
    assert first == {date(2019, 4, 28), date(2019, 5, 2), date(2019, 5, 3), date(2019, 5, 5)}
    assert first | second == calendar_table.DECIDED.keys()
    assert calendar.is_working(date(2005, 12, 31))


def test_every_period_is_that_of_a_count_day_by_day(worked: dict[date, bool]) -> None:
    """Each start of 2004 to 2026 with 1 to 60 working days: 504,060 periods, those past 2026 provisional."""
    calendar, due = built_in(), built_in().due
    order = list(worked)
    periods = 0
    for index, start in enumerate(order):
        if start.year > 2026:
            break
        expected: list[DueDate] = []
        at = index
        while len(expected) < LONGEST:
            at += 1
            if worked[order[at]]:
                expected.append(DueDate(order[at], order[at].year > 2026))
        found = [due(start, days) for days in range(1, LONGEST + 1)]
        assert found == expected, start
        periods += len(found)
        assert calendar.elapsed(start, expected[-1].day) == LONGEST
    assert periods == 8401 * LONGEST


def test_a_period_of_no_days_ends_on_the_next_working_day(worked: dict[date, bool]) -> None:
    calendar = built_in()
    for start in calendar_table.days():
        day = start
        while not worked[day]:
            day += DAY
        assert calendar.due(start, 0) == DueDate(day, False)


@pytest.mark.parametrize(
    ("event", "days", "due"),
    [
        (date(2026, 9, 18), 10, date(2026, 10, 9)),
        (date(2026, 1, 1), 10, date(2026, 1, 15)),
        (date(2026, 2, 13), 1, date(2026, 2, 14)),  # a Saturday worked for the Spring Festival
        (date(2026, 10, 10), 0, date(2026, 10, 10)),
        (date(2026, 10, 1), 0, date(2026, 10, 8)),
    ],
)
def test_named_periods(event: date, days: int, due: date) -> None:
    assert built_in().due(event, days) == DueDate(due, False)


def test_elapsed_counts_from_the_next_day() -> None:
    calendar = built_in()
    assert calendar.elapsed(date(2026, 9, 18), date(2026, 10, 9)) == 10
    assert calendar.elapsed(date(2026, 9, 18), date(2026, 9, 18)) == 0
    assert calendar.elapsed(date(2026, 9, 18), date(2026, 9, 19)) == 0
    assert calendar.elapsed(date(2026, 9, 18), date(2026, 9, 20)) == 1
    assert calendar.elapsed(date(2026, 10, 9), date(2026, 9, 18)) == 0


def test_a_year_that_is_not_announced_is_guessed_and_says_so() -> None:
    calendar = built_in()
    assert [calendar.announced(year) for year in (2003, 2004, 2026, 2027)] == [False, True, True, False]
    assert calendar.is_working(date(2027, 1, 1))
    assert calendar.due(date(2026, 12, 30), 1) == DueDate(date(2026, 12, 31), False)
    assert calendar.due(date(2026, 12, 31), 1) == DueDate(date(2027, 1, 1), True)
    assert calendar.due(date(2003, 12, 31), 1) == DueDate(date(2004, 1, 2), False)
    assert calendar.due(date(2003, 12, 30), 1) == DueDate(date(2003, 12, 31), True)


def test_a_notice_settles_its_year_and_the_december_before() -> None:
    calendar = with_notices(built_in(), [notice()])
    assert calendar.due(date(2026, 12, 25), 2) == DueDate(date(2026, 12, 28), False)
    assert calendar.due(date(2026, 12, 30), 1) == DueDate(date(2027, 1, 5), False)
    assert calendar.due(date(2027, 12, 31), 1) == DueDate(date(2028, 1, 3), True)
    assert calendar.version == f"{built_in().version}+{notice().mark}"
    assert built_in().due(date(2026, 12, 30), 1) == DueDate(date(2026, 12, 31), False)


def test_a_gap_between_announced_years_is_provisional() -> None:
    calendar = with_notices(built_in(), [notice(2028)])
    assert calendar.due(date(2026, 12, 31), 300).provisional
    assert calendar.due(date(2027, 12, 31), 20) == DueDate(calendar.due(date(2027, 12, 31), 20).day, False)


def test_the_later_notice_of_a_year_replaces_the_earlier() -> None:
    first, second = notice(), notice(rest=frozenset({date(2027, 1, 1)}), make_up=frozenset())
    calendar = with_notices(with_notices(built_in(), [first]), [second])
    assert not calendar.is_working(date(2027, 1, 1))
    assert calendar.is_working(date(2027, 1, 4))
    assert not calendar.is_working(date(2026, 12, 27))
    assert calendar.version == with_notices(built_in(), [first, second]).version
    assert calendar.version != with_notices(built_in(), [first]).version


def test_the_next_years_notice_is_the_later_word_on_a_december() -> None:
    this = notice(2026, rest=frozenset({date(2026, 12, 30)}), make_up=frozenset())
    after = notice(rest=frozenset(), make_up=frozenset({date(2026, 12, 30)}))
    for notices in ([this, after], [after, this]):
        assert with_notices(built_in(), notices).is_working(date(2026, 12, 30))


@pytest.mark.parametrize(
    "days",
    [
        {"rest": frozenset({date(2028, 1, 1)})},
        {"rest": frozenset({date(2026, 11, 30)})},
        {"rest": frozenset({date(2027, 1, 10)})},
    ],
)
def test_a_notice_with_other_days_is_refused(days: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"neither of 2027|both a day of rest and worked"):
        notice(**days)


def test_a_negative_period_is_refused() -> None:
    with pytest.raises(ValueError, match="a period of `-1` working days"):
        built_in().due(date(2026, 1, 1), -1)


def test_the_calendar_is_read_once() -> None:
    assert built_in() is built_in()
    assert isinstance(built_in(), WorkingCalendar)
