"""Notice files: both formats read the same, and everything wrong is told at once."""

from datetime import date, timedelta

import pytest

from tanglai.catalogue.calendar import Notice
from tanglai.catalogue.calendar_notices import read_notice
from tanglai.catalogue.documents_base import DocumentError
from tanglai.catalogue.files import FileProblem

YAML = """
year: 2027
issued: 2026-11-04
reference: 国办发明电〔2026〕7号
rest: [2026-12-31, {from: 2027-01-01, to: 2027-01-03}, {from: 2027-05-01, to: 2027-05-05}, 2027-10-01]
make_up: [2026-12-27]
"""
TOML = """
year = 2027
issued = 2026-11-04
reference = "国办发明电〔2026〕7号"
rest = [2026-12-31, { from = 2027-01-01, to = "2027-01-03" }, { from = 2027-05-01, to = 2027-05-05 }, "2027-10-01"]
make_up = [2026-12-27]
"""


def read(text: str, name: str = "notice.yaml") -> Notice:
    return read_notice(name, text.encode())


def problems(text: str, name: str = "notice.yaml") -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(text, name)
    return str(caught.value).split("; ")


def test_both_formats_read_the_same() -> None:
    found = read(YAML)
    assert found == read(TOML, "notice.toml")
    spans = [(date(2026, 12, 31), 4), (date(2027, 5, 1), 5), (date(2027, 10, 1), 1)]
    assert found.rest == {first + timedelta(days=n) for first, days in spans for n in range(days)}
    assert found.make_up == {date(2026, 12, 27)}
    assert (found.year, found.issued, found.reference) == (2027, date(2026, 11, 4), "国办发明电〔2026〕7号")


def test_all_of_a_wrong_form_is_told() -> None:
    text = "year: '2027'\nissued: 2026-11-31\nrest: [{from: 2027-01-01}, 3]\nmake_up: 2026-12-27\nnote: x\n"
    assert problems(text) == [
        "year: input should be a valid integer",
        "issued: day is out of range for month",
        "reference: `reference` is missing",
        "rest[0].to: `to` is missing",
        "rest[1]: not a date of the form YYYY-MM-DD",
        "make_up: not a list",
        "note: unknown field `note`",
    ]


def test_all_that_cannot_be_is_told() -> None:
    text = """
year: 2027
issued: 2024-11-04
reference: x
rest: [{from: 2027-01-03, to: 2027-01-01}, 2028-01-01, {from: 2027-10-01, to: 2027-11-01}, 2027-02-06, 2027-02-06]
make_up: [2026-12-28, 2027-02-06]
"""
    assert problems(text) == [
        "rest[0]: `from` is after `to`",
        "rest[1]: `2028-01-01` is neither of 2027 nor of the December before",
        "rest[2]: more than 31 days",
        "rest[4]: `2027-02-06` stands twice",
        "make_up[0]: `2026-12-28` is no weekend day, it makes up for nothing",
        "make_up: `2027-02-06` is among `rest` too",
        "rest: `2027-01-01` (New Year) is not among them, a notice is of the whole year",
        "rest: `2027-05-01` (Labour Day) is not among them, a notice is of the whole year",
        "rest: `2027-10-01` (National Day) is not among them, a notice is of the whole year",
        "issued: `2024-11-04` is neither in 2027 nor the year before",
    ]


def test_a_time_is_no_day() -> None:
    assert problems(TOML.replace("[2026-12-27]", "[2026-12-27T00:00:00]"), "a.toml")[0].startswith("make_up[0]: ")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "year = ", "not TOML: "),
        ("a.yaml", "year: [", "not YAML: "),
        ("a.yaml", "", "an empty file"),
        ("a.toml", "year = 2027\u202e", "control, bidirectional"),
    ],
)
def test_what_is_no_file_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(FileProblem, match=message):
        read(text, name)
