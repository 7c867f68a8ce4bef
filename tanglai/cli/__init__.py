"""In charge of the command line: `tanglai …`, what an operator and a data steward do in bulk."""

import typer

from tanglai.cli import audit, beside, catalogue, grants, operate, schema, sources

app = typer.Typer(
    name="tanglai",
    help="One GraphQL schema over departments' systems, in which the law decides what each requester sees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _beside_a_demo() -> None:
    beside.join()


operate.register(app)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(sources.app, name="source")
app.add_typer(grants.app, name="grant")
app.add_typer(schema.app, name="schema")
app.add_typer(audit.app, name="audit")
