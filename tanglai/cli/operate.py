"""In charge of running a node: `tanglai serve`, `migrate` and `token`."""

import os
from typing import Annotated

import typer

from tanglai.cli.grants import find_department
from tanglai.cli.platform import CommandError, database_url, fail, platform, run, snapshot
from tanglai.server.compose import run_node
from tanglai.server.issuer import DemoIssuer, IssuerError
from tanglai.server.serve import StartError
from tanglai.server.settings import SettingsError, load
from tanglai.storage import migrate as migrations
from tanglai.storage.embedded_process import EmbeddedPostgresError


def register(app: typer.Typer) -> None:
    """Adds the commands to `app`."""
    app.command()(serve)
    app.command()(migrate)
    app.command()(token)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve on that port.")] = None,
) -> None:
    """Serves the node until it is told to stop (SIGTERM, Ctrl-C)."""
    options = {"host": host, "port": port, "workers": workers}
    given = {name: value for name, value in options.items() if value is not None}
    try:
        run_node(load(**given), os.environ, on_ready=lambda url: typer.echo(f"ready {url}"))
    except (SettingsError, StartError, IssuerError, EmbeddedPostgresError) as error:
        raise fail(str(error)) from None


def migrate() -> None:
    """Brings the platform database to this program's tables; safe to run from several replicas at once."""
    typer.echo(f"platform database at {run(_migrate())}")


async def _migrate() -> str:
    with database_url(load()) as url:
        return await migrations.upgrade(url)


def token(
    department: Annotated[str, typer.Option(help="Key or credit code of the department.")],
    client: Annotated[str, typer.Option(help="Client id.")] = "demo",
    person: Annotated[str | None, typer.Option(help="Person, if one asks.")] = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Purpose that the token allows; may repeat.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="`resource` or `resource:item`; may repeat.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role, for example `data.own`; may repeat.")] = None,
    lifetime: Annotated[int, typer.Option(min=1, help="Seconds.")] = 3600,
) -> None:
    """Prints a token of the demo issuer, alone on standard output. Only where `TANGLAI_DEMO_ISSUER` is on."""
    purposes = tuple(purpose or ())
    typer.echo(run(_token(department, client, person, purposes, scope, tuple(role or ()), lifetime)))


async def _token(
    department: str,
    client: str,
    person: str | None,
    purposes: tuple[str, ...],
    scopes: list[str] | None,
    roles: tuple[str, ...],
    lifetime: int,
) -> str:
    settings = load()
    async with platform(settings) as database:
        catalogue = await snapshot(database, settings)
    code = find_department(catalogue, department).code
    for purpose in purposes:
        if purpose not in catalogue.purposes:
            raise CommandError(f"there is no purpose `{purpose}`, known are {', '.join(sorted(catalogue.purposes))}")
    try:
        issuer = DemoIssuer.open(settings)
    except IssuerError as error:
        raise CommandError(str(error)) from None
    return issuer.issue(
        code, client=client, person=person, purposes=purposes, scopes=scopes, roles=roles, lifetime=lifetime
    )
