"""In charge of `tanglai audit`: who read which items, when, for which purpose, under which grant."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from tanglai.audit.search import AuditQuery, search
from tanglai.cli.grants import find_department
from tanglai.cli.platform import platform, run, snapshot
from tanglai.server.settings import load

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command("search")
def search_(
    department: Annotated[str | None, typer.Option(help="The requester: its key or credit code.")] = None,
    resource: Annotated[str | None, typer.Option(help="Code of a resource that was asked for.")] = None,
    grant: Annotated[str | None, typer.Option(help="Id of a grant that was used.")] = None,
    request: Annotated[str | None, typer.Option(help="Request id.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ALLOWED, PARTIAL, DENIED or FAILED.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this moment on (local time).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment (local time).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 100,
) -> None:
    """Prints matching records, the newest first, one JSON object a line."""
    query = AuditQuery(
        department=None,
        resource=resource,
        grant=grant,
        request=request,
        outcome=outcome,
        since=since.astimezone() if since else None,
        until=until.astimezone() if until else None,
        limit=limit,
    )
    for record in run(_search(query, department)):
        typer.echo(json.dumps(record, ensure_ascii=False, default=str))


async def _search(query: AuditQuery, department: str | None) -> list[dict[str, object]]:
    settings = load()
    async with platform(settings) as database:
        if department is not None:
            catalogue = await snapshot(database, settings)
            query = replace(query, department=find_department(catalogue, department).code)
        return await search(database.pool, query)
