"""In charge of `tanglai calendar`: working days, the State Council's notices, and due dates."""

from collections.abc import Iterable
from datetime import date as Day
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tanglai.catalogue.calendar import DueDate, Notice, WorkingCalendar
from tanglai.catalogue.calendar_notices import read_notice
from tanglai.catalogue.documents_base import DocumentError, path_text
from tanglai.catalogue.files import FileProblem
from tanglai.cli.platform import fail, platform, run
from tanglai.cli.tables import show as show_table
from tanglai.storage.workflow import calendar as stored

app = typer.Typer(help="Working days: statutory rest and make-up days, year by year.", no_args_is_help=True)


@app.command("show")
def show(
    year: Annotated[int | None, typer.Argument(help="A year; by default every year in brief.")] = None,
) -> None:
    """Shows the years that are announced, or one year's days of rest and days worked instead."""
    calendar, history = run(_loaded())
    if year is None:
        typer.echo(f"calendar {calendar.version}")
        table = Table("year", "days of rest", "make-up days", "from")
        for number, days in calendar.years.items():
            table.add_row(str(number), str(len(days.rest)), str(len(days.make_up)), _source(number, history))
        show_table(table)
        return
    if not calendar.announced(year):
        raise fail(f"{year} is not announced: its weekdays count as working days, due dates in it are provisional")
    found = calendar.years[year]
    typer.echo(f"{year}, from {_source(year, history)}")
    typer.echo(f"rest, weekends left out: {_listed(day for day in found.rest if day.weekday() < 5)}")
    typer.echo(f"worked instead: {_listed(found.make_up)}")


@app.command("announce")
def announce(
    file: Annotated[Path, typer.Argument(help="The notice as TOML or YAML.", exists=True, dir_okay=False)],
    by: Annotated[str, typer.Option(help="Who announces it.")] = "operator",
) -> None:
    """Records the State Council's notice of a year and moves every running deadline accordingly."""
    report = run(_announce(_read(file), by))
    typer.echo(f"calendar {report.calendar}")
    typer.echo(f"deadlines: {report.counted} counted anew, {report.moved} moved, {report.settled} settled")


@app.command("due")
def due(
    date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day of the event; it is not counted.")],
    days: Annotated[int, typer.Argument(min=0, help="How many working days the period has.")],
) -> None:
    """Counts a period of working days and shows its last day."""
    calendar, _ = run(_loaded())
    found: DueDate = calendar.due(date.date(), days)
    typer.echo(f"{found.day}{' (provisional: not every year up to there is announced)' if found.provisional else ''}")


def _read(file: Path) -> Notice:
    """The notice in `file`; whatever is wrong with it is told, a line for each."""
    try:
        return read_notice(file.name, file.read_bytes())
    except FileProblem as error:
        raise fail(f"{file}: {error.message}") from None
    except DocumentError as error:
        for problem in error.problems:
            typer.echo(f"{file}: {path_text(problem.path)}: {problem.message}", err=True)
        raise fail("nothing was announced") from None


def _source(year: int, history: Iterable[stored.AnnouncedNotice]) -> str:
    held = [a for a in history if a.notice.year == year]
    return f"{held[-1].notice.reference} of {held[-1].notice.issued}" if held else "the program's own table"


def _listed(days: Iterable[Day]) -> str:
    return ", ".join(map(str, sorted(days))) or "none"


async def _loaded() -> tuple[WorkingCalendar, tuple[stored.AnnouncedNotice, ...]]:
    async with platform() as database, database.session() as connection:
        return await stored.load(connection), await stored.history(connection)


async def _announce(notice: Notice, by: str) -> stored.AnnounceReport:
    async with platform() as database, database.session() as connection:
        return await stored.announce(connection, notice, by=by)
