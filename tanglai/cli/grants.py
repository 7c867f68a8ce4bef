"""In charge of `tanglai grant`: what an operator does with grants until departments do it themselves."""

import json
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.table import Table

from tanglai.catalogue.documents import grant_to_document
from tanglai.catalogue.model import Department, Grant, GrantState, Snapshot
from tanglai.catalogue.quotas import Counts, bounded, day_of
from tanglai.cli.platform import CommandError, platform, run, snapshot
from tanglai.cli.tables import show
from tanglai.server.settings import load

app = typer.Typer(help="Grants: they come in with `tanglai catalogue import`.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="Id of the grant.")]
By = Annotated[str, typer.Option(help="Who decides.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the grant's history.")]


@app.command("list")
def list_(
    department: Annotated[str, typer.Argument(help="The requester: its key or credit code.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Lists the grants of a requester, in every state."""
    grants = run(_grants(department))
    if as_json:
        for grant in grants:
            document = grant_to_document(grant)
            typer.echo(json.dumps(document, ensure_ascii=False))
        return
    table = Table("id", "resource", "state", "purpose", "usage", "items, relations")
    for grant in grants:
        items = ", ".join(sorted(grant.items | grant.relations))
        table.add_row(grant.id, grant.resource, grant.state, grant.purpose, grant.usage, items)
    show(table)


@app.command("use")
def use(
    department: Annotated[str, typer.Argument(help="The requester: its key or credit code.")],
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day of Asia/Shanghai; by default today.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Shows what a requester used of its grants' quotas in one day.

    What nodes hold for operations under way, or unused for a moment, counts as used.
    """
    asked = day.date() if day is not None else day_of(datetime.now(UTC))
    used = run(_used(department, asked))
    if as_json:
        for grant, counts in used:
            pairs = _pairs(grant, counts)
            document = {name: {"used": number, "limit": limit} for name, number, limit in pairs}
            typer.echo(json.dumps({"grant": grant.id, "day": asked.isoformat()} | document))
        return
    if not used:
        typer.echo("no grant has a quota", err=True)
        return
    table = Table("grant", "resource", "rows", "requests", "subjects", title=f"{asked}")
    for grant, counts in used:
        cells = {name: f"{number:,} of {limit:,}" for name, number, limit in _pairs(grant, counts)}
        names = ("rows", "requests", "subjects")
        table.add_row(grant.id, grant.resource, *(cells.get(name, "not bounded") for name in names))
    show(table)


@app.command("suspend")
def suspend(grant: Id, reason: Reason, by: By = "operator") -> None:
    """Suspends a grant: requests that start a second later get none of its data (Order 809 Art. 27)."""
    _change(grant, GrantState.SUSPENDED, by, reason)


@app.command("resume")
def resume(grant: Id, reason: Reason, by: By = "operator") -> None:
    """Resumes a suspended grant."""
    _change(grant, GrantState.ACTIVE, by, reason)


@app.command("end")
def end(grant: Id, reason: Reason, by: By = "operator") -> None:
    """Ends a grant for good."""
    _change(grant, GrantState.ENDED, by, reason)


def _change(grant: str, state: GrantState, by: str, reason: str) -> None:
    run(_set(grant, state, by, reason))
    typer.echo(f"{grant} is {state}")


async def _set(grant: str, state: GrantState, by: str, reason: str) -> None:
    async with platform() as database:
        await database.set_grant_state(grant, state, by=by, reason=reason)


async def _grants(department: str) -> tuple[Grant, ...]:
    settings = load()
    async with platform(settings) as database:
        catalogue = await snapshot(database, settings)
        return await database.load_grants(find_department(catalogue, department).code)


def _pairs(grant: Grant, counts: Counts) -> list[tuple[str, int, int]]:
    """Name, use and limit of what the grant's quota bounds."""
    assert grant.quota is not None
    quota = grant.quota
    found = (
        ("rows", counts.rows, quota.rows),
        ("requests", counts.requests, quota.requests),
        ("subjects", counts.subjects, quota.subjects),
    )
    return [(name, number, limit) for name, number, limit in found if limit is not None]


async def _used(department: str, day: date) -> list[tuple[Grant, Counts]]:
    """The requester's grants with a quota, with what is used of them."""
    settings = load()
    async with platform(settings) as database:
        catalogue = await snapshot(database, settings)
        grants = await database.load_grants(find_department(catalogue, department).code)
        bound = [grant for grant in grants if bounded(grant.quota)]
        used = await database.used_quotas([grant.id for grant in bound], day)
        return [(grant, used.get(grant.id, Counts())) for grant in bound]


def find_department(catalogue: Snapshot, name: str) -> Department:
    """The department with key or credit code `name`. Raises CommandError."""
    department = catalogue.department_by_key.get(name) or catalogue.departments.get(name)
    if department is None:
        raise CommandError(f"there is no department `{name}`")
    return department
