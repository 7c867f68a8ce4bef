"""In charge of `tanglai source`: departments' systems, registered, listed, read and checked."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from connectors.pool import SourcePool
from connectors.protocol import TableStructure
from tanglai.catalogue.checks import check
from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_draft import Draft, load_draft
from tanglai.catalogue.documents import source_to_document
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Snapshot, Source
from tanglai.cli.platform import CommandError, platform, run, snapshot
from tanglai.cli.tables import show
from tanglai.server.settings import load
from tanglai.storage.publishing import CatalogueChange

app = typer.Typer(help="Departments' systems.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="Files of kind `sources`.", exists=True)],
    by: Annotated[str, typer.Option(help="Who registers.")] = "operator",
) -> None:
    """Registers sources, or replaces what is registered under the same key."""
    count = run(_add(files, by))
    typer.echo(f"{count} sources registered")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists registered sources."""
    catalogue = run(_sources())
    sources = catalogue.sources.values()
    if as_json:
        for source in sources:
            typer.echo(json.dumps(source_to_document(source), ensure_ascii=False))
        return
    table = Table("key", "kind", "zone", "department", "title")
    for source in sources:
        table.add_row(source.key, source.kind, source.zone, _department(catalogue, source), source.title)
    show(table)


@app.command("introspect")
def introspect(key: Annotated[str, typer.Argument(help="Key of the source.")], as_json: Json = False) -> None:
    """Reads the structure of a source: tables, columns, types, what is unique."""
    structures = run(_introspect(key))
    for structure in structures:
        if as_json:
            typer.echo(json.dumps(_structure(structure), ensure_ascii=False))
            continue
        name = structure.name if structure.namespace is None else f"{structure.namespace}.{structure.name}"
        table = Table("column", "native type", "type", "null", "unique", title=name, title_justify="left")
        for column in structure.columns:
            nullable, unique = "yes" if column.nullable else "no", "yes" if column.unique else ""
            table.add_row(column.name, column.native, column.type or "–", nullable, unique)
        show(table)


@app.command("check")
def check_(key: Annotated[str, typer.Argument(help="Key of the source; all when left out.")] = "") -> None:
    """Reaches sources and holds the published bindings against their columns."""
    if run(_check(key)):
        raise typer.Exit(1)


async def _sources() -> Snapshot:
    settings = load()
    async with platform(settings) as database:
        return await snapshot(database, settings)


async def _add(files: list[Path], by: str) -> int:
    settings = load()
    async with platform(settings) as database:
        existing = await snapshot(database, settings)
        draft, unread = load_draft(files, existing)
        violations = [*unread, *check(draft, existing, None)]
        for violation in violations:
            typer.echo(str(violation), err=True)
        if any(v.severity is Severity.ERROR for v in violations):
            raise CommandError("nothing was registered")
        if not draft.sources or draft.resources:
            raise CommandError("give files of kind `sources`; resources go through `tanglai catalogue import`")
        await database.publish(CatalogueChange(by=by, sources=draft.sources))
    return len(draft.sources)


async def _introspect(key: str) -> list[TableStructure]:
    source = (await _sources()).sources.get(key)
    if source is None:
        raise CommandError(f"there is no source `{key}`")
    pool = SourcePool(os.environ)
    try:
        return await pool.connector(source).introspect()
    finally:
        await pool.close()


async def _check(key: str) -> bool:
    catalogue = await _sources()
    if key and key not in catalogue.sources:
        raise CommandError(f"there is no source `{key}`")
    broken = False
    pool = SourcePool(os.environ)
    try:
        for source in [catalogue.sources[key]] if key else catalogue.sources.values():
            if source.zone is not catalogue.zone:
                typer.echo(f"– {source.key}: in zone {source.zone}, which this node cannot reach (Art. 5)")
                continue
            broken = not await _check_one(pool, catalogue, source) or broken
    finally:
        await pool.close()
    return broken


async def _check_one(pool: SourcePool, catalogue: Snapshot, source: Source) -> bool:
    try:
        structures = await pool.connector(source).introspect()
    except (TanglaiError, ValueError) as error:
        typer.echo(f"✗ {source.key}: {error}")
        return False
    bound = tuple(r for r in catalogue.resources.values() if r.binding.source == source.key)
    violations = [
        v
        for v in check(Draft(resources=bound), catalogue, {source.key: structures})
        if v.rule == "binding" and v.severity is Severity.ERROR
    ]
    for violation in violations:
        typer.echo(f"✗ {source.key}: {violation}")
    if not violations:
        typer.echo(f"✓ {source.key}: {len(structures)} tables, {len(bound)} resources bound")
    return not violations


def _department(catalogue: Snapshot, source: Source) -> str:
    department = catalogue.departments.get(source.department)
    return source.department if department is None else department.key


def _structure(structure: TableStructure) -> dict[str, Any]:
    columns = [
        {"name": c.name, "native": c.native, "type": c.type, "nullable": c.nullable, "unique": c.unique}
        for c in structure.columns
    ]
    return {"namespace": structure.namespace, "name": structure.name, "columns": columns}
