"""In charge of the command line: `tanglai …`, what an operator and a data steward do in bulk."""

from importlib.metadata import version
from typing import Annotated

import typer

from tanglai.cli import audit, beside, calendar, catalogue, grants, operate, rules, schema, sources, spreadsheets

app = typer.Typer(
    name="tanglai",
    help="One GraphQL schema over departments' systems, in which the law decides what each requester sees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tanglai {version('tanglai')}")
        raise typer.Exit


@app.callback()
def _beside_a_demo(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    beside.join()


operate.register(app)
spreadsheets.register(catalogue.app)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(sources.app, name="source")
app.add_typer(grants.app, name="grant")
app.add_typer(schema.app, name="schema")
app.add_typer(audit.app, name="audit")
app.add_typer(calendar.app, name="calendar")
app.add_typer(rules.app, name="rules")
