"""In charge of `tanglai catalogue template`, `import-guide` and `export-guide`: the catalogue guide's spreadsheet."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.guide.remarks import Remark
from tanglai.catalogue.guide.writing import template, write_guide
from tanglai.catalogue.model import Department, Snapshot
from tanglai.catalogue.workflow.errors import WorkflowError
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.cli.platform import CommandError, platform, run, snapshot
from tanglai.server.importing import Importer
from tanglai.server.settings import load
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.replica import Moment
from tanglai.storage.workflow import imports
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.imports import Import, ImportState

_PAGE = 1_000
_LOOK_SECONDS = 0.5
Out = Annotated[Path, typer.Argument(help="The XLSX file to write.", dir_okay=False)]
Whose = Annotated[str, typer.Option("--department", help="The department: its key or credit code.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to `tanglai catalogue`."""
    app.command("template")(write_template)
    app.command("import-guide")(import_guide)
    app.command("export-guide")(export_guide)


def write_template(file: Out) -> None:
    """Writes the spreadsheet of the catalogue guide for departments to fill in, with the catalogue's own lists."""
    catalogue = run(_catalogue())
    file.write_bytes(template(catalogue))
    typer.echo(f"{file}")


def import_guide(
    file: Annotated[Path, typer.Argument(help="An XLSX file.", exists=True, dir_okay=False)],
    department: Whose,
    by: Annotated[str, typer.Option(help="Who imports; stands in the history of each entry.")] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="Remarks and result as JSON, one a line.")] = False,
) -> None:
    """Makes entries of a department's spreadsheet, as its cataloguer would (Art. 8); nothing is published."""
    it, remarks = run(_import(file, department, by))
    _tell(remarks, as_json)
    counts = {name: getattr(it, name) for name in ("total", "created", "amended", "unchanged", "refused", "untold")}
    if as_json:
        typer.echo(json.dumps({"import": it.id, "state": it.state.value, "failure": it.failure} | counts))
    elif it.state is ImportState.DONE:
        numbers = ", ".join(f"{number} {name}" for name, number in counts.items() if name != "total" and number)
        typer.echo(f"import {it.id}: {it.total} resources: {numbers or 'nothing new'}")
    if it.state is not ImportState.DONE:
        typer.echo(f"error: {it.failure}", err=True)
    if it.state is not ImportState.DONE or it.refused:
        raise typer.Exit(1)


def export_guide(file: Out, department: Whose) -> None:
    """Writes what a department has published as the spreadsheet that it would import."""
    catalogue = run(_catalogue())
    own = _department(catalogue, department).code
    resources = [it for _, it in sorted(catalogue.resources.items()) if own == (it.compiler or it.provider)]
    file.write_bytes(write_guide(catalogue, resources))
    typer.echo(f"{len(resources)} resources in {file}")


async def _catalogue() -> Snapshot:
    settings = load()
    async with platform(settings) as database:
        return await snapshot(database, settings)


def _department(catalogue: Snapshot, named: str) -> Department:
    found = catalogue.department_by_key.get(named) or catalogue.departments.get(named)
    if found is None:
        raise CommandError(f"no department `{named}`")
    return found


async def _import(file: Path, named: str, by: str) -> tuple[Import, list[Remark]]:
    settings = load()
    async with platform(settings) as database:
        catalogue = await snapshot(database, settings)
        department = _department(catalogue, named)
        desk = Desk(database)
        acting = Acting(
            department.code,
            "tanglai",
            by,
            frozenset({Role.CATALOGUER.value}),
            datetime.now(UTC),
            catalogue,
            f"command-{uuid4().hex}",
            settings.node,
        )
        try:
            it = await imports.start(desk, acting, file.name, await asyncio.to_thread(file.read_bytes))
        except WorkflowError as error:
            raise CommandError(error.message) from error
        await _work(database, desk, catalogue, it, settings.node)
        it = await imports.found(desk, department.code, it.id)
        return it, await _remarks(desk, it.id)


async def _work(database: PlatformDatabase, desk: Desk, catalogue: Snapshot, it: Import, node: str) -> None:
    """Works on the import, or waits while a node does, to its end."""

    async def moment() -> Moment:
        return Moment(catalogue, 0, datetime.now(UTC))

    importer = Importer(database, desk, moment, node=node)
    while not (await imports.found(desk, it.department, it.id)).over:
        if not await importer.once(it.id):
            await asyncio.sleep(_LOOK_SECONDS)


async def _remarks(desk: Desk, id: str) -> list[Remark]:
    found: list[Remark] = []
    after = 0
    while True:
        page = await desk.read(partial(imports.remarks_page, id=id, after=after, limit=_PAGE))
        found += [remark for _, remark in page]
        if len(page) < _PAGE:
            return found
        after = page[-1][0]


def _tell(remarks: Iterable[Remark], as_json: bool) -> None:
    for remark in remarks:
        if as_json:
            document: dict[str, Any] = asdict(remark) | {"article": remark.article}
            typer.echo(json.dumps(document, ensure_ascii=False))
        else:
            word = "" if remark.severity is Severity.ERROR else "notice: "
            typer.echo(f"{word}{remark}", err=True)
