"""`tanglai calendar` and `tanglai rules` on a real database: what they print, and what they refuse."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from tanglai.catalogue.calendar import built_in
from tanglai.cli import app
from tanglai.storage.embedded import EmbeddedPostgres

LAST = max(built_in().years)
NOTICE = f"""
year: {LAST + 1}
issued: {LAST}-11-04
reference: notice one
rest: [{LAST + 1}-01-01, {LAST + 1}-05-01, {LAST + 1}-10-01, {LAST + 1}-10-04]
make_up: []
"""


@pytest.fixture(scope="module", autouse=True)
def environment(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A platform database of this file's own; the commands bring it to the program's tables."""
    name = f"commands_{uuid4().hex}"
    postgres.create_database(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TANGLAI_DATABASE_URL", postgres.url(name))
        patch.setenv("TANGLAI_ZONE", "INTRANET")
        patch.setenv("COLUMNS", "400")
        yield
    postgres.drop_database(name)


def tanglai(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result


def test_due() -> None:
    assert tanglai("calendar", "due", "2026-09-18", "10").stdout == "2026-10-09\n"
    assert tanglai("calendar", "due", f"{LAST}-12-31", "0").stdout == f"{LAST}-12-31\n"
    told = tanglai("calendar", "due", f"{LAST}-12-31", "10").stdout
    assert "(provisional: not every year up to there is announced)" in told
    tanglai("calendar", "due", "2026-02-30", "1", code=2)
    tanglai("calendar", "due", "2026-02-03", "-1", code=2)


def test_a_notice_is_announced_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "notice.yaml"
    file.write_text(NOTICE, encoding="utf-8")
    refused = tanglai("calendar", "show", str(LAST + 1), code=1)
    assert f"{LAST + 1} is not announced" in refused.stderr
    told = tanglai("calendar", "announce", str(file), "--by", "office").stdout.splitlines()
    assert told[0].startswith(f"calendar {built_in().version}+{LAST + 1}.")
    assert told[1] == "deadlines: 0 counted anew, 0 moved, 0 settled"
    assert tanglai("calendar", "announce", str(file)).stdout.splitlines() == told
    shown = tanglai("calendar", "show").stdout
    assert told[0] in shown
    rows = [line for line in shown.splitlines() if f" {LAST + 1} " in line]
    assert len(rows) == 1
    assert f"notice one of {LAST}-11-04" in rows[0]
    year = tanglai("calendar", "show", str(LAST + 1)).stdout
    assert f"{LAST + 1}-10-04" in year
    assert "worked instead: none" in year


def test_a_year_of_the_program() -> None:
    shown = tanglai("calendar", "show", "2026").stdout
    assert "the program's own table" in shown
    assert "worked instead: 2026-01-04, 2026-02-14, 2026-02-28, 2026-05-09, 2026-09-20, 2026-10-10" in shown


def test_all_that_is_wrong_with_a_notice_is_told(tmp_path: Path) -> None:
    file = tmp_path / "notice.yaml"
    file.write_text(f"year: {LAST + 2}\nissued: x\nrest: []\nmake_up: [2020-01-01]\nmore: 1\n", encoding="utf-8")
    told = tanglai("calendar", "announce", str(file), code=1).stderr.splitlines()
    assert [line.removeprefix(f"{file}: ").partition(":")[0] for line in told] == [
        "issued",
        "reference",
        "more",
        "error",
    ]
    assert told[-1] == "error: nothing was announced"
    file.write_text("{", encoding="utf-8")
    assert f"error: {file}: not YAML" in tanglai("calendar", "announce", str(file), code=1).stderr
    assert str(LAST + 2) not in tanglai("calendar", "show").stdout


def test_rules_are_shown_and_switched() -> None:
    before = tanglai("rules", "show").stdout
    assert before.startswith("ningxia-measures is in force on the intranet\n")
    assert "order-809 1" in before
    assert "no recorded switch" in tanglai("rules", "continue").stdout
    switch = ("rules", "switch", "order-809", "--from", "2099-03-01", "--reason")
    told = tanglai(*switch, "the region decided").stdout.splitlines()
    assert told == [
        "order-809 from 2099-03-01 00:00",
        "grants of transition: 0 new, 0 widened, 0 kept",
        "run `tanglai rules continue` on that day, for what is used until then",
    ]
    after = tanglai("rules", "show").stdout
    assert after.startswith("ningxia-measures is in force on the intranet\n")
    assert "the region decided" in after
    assert tanglai("rules", "continue").stdout == "grants of transition: 0 new, 0 widened, 0 kept\n"
    assert "says who decides it and why" in tanglai(*switch, "", code=1).stderr
    past = tanglai("rules", "switch", "order-809", "--from", "2025-09-01", "--reason", "x", code=1)
    assert "`2025-09-01` is past" in past.stderr
    unknown = tanglai("rules", "switch", "x", "--from", "2099-01-01", "--reason", "x", code=1)
    assert "unknown rule set `x`" in unknown.stderr
