"""In charge of `tanglai schema`: the SDL."""

from typing import Annotated

import typer

from schema import unified
from tanglai.cli.platform import platform, run, snapshot
from tanglai.server.settings import load

app = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The GraphQL schema."""


@app.command("print")
def print_(
    federation: Annotated[bool, typer.Option(help="As an Apollo Federation subgraph gives it.")] = False,
) -> None:
    """Prints the SDL of the published catalogue."""
    typer.echo(run(_sdl(federation)), nl=False)


async def _sdl(federation: bool) -> str:
    settings = load()
    async with platform(settings) as database:
        schema = unified.build(await snapshot(database, settings))
    return schema.federation_sdl if federation else schema.sdl
