"""In charge of `tanglai catalogue`: reviewed files in, files out, and the law's checks on the way."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.pool import SourcePool
from connectors.protocol import TableStructure
from tanglai.catalogue.checks import check
from tanglai.catalogue.checks_base import Severity, Violation
from tanglai.catalogue.checks_draft import Draft, load_draft
from tanglai.catalogue.documents import (
    category_to_document,
    department_to_document,
    division_to_document,
    purpose_to_document,
    resource_to_document,
    source_to_document,
)
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.files import to_yaml
from tanglai.catalogue.model import Resource, Snapshot, Source
from tanglai.cli.platform import CommandError, fail, platform, run, snapshot
from tanglai.server.settings import load
from tanglai.storage.publishing import CatalogueChange

app = typer.Typer(help="The catalogue as files: one resource each, reviewed like code.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)]
Json = Annotated[bool, typer.Option("--json", help="Violations as JSON, one a line.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the sources for their columns.")]


@app.command("check")
def check_(files: Files, as_json: Json = False, offline: Offline = False) -> None:
    """Checks files against the law, the catalogue and the sources' columns; publishes nothing."""
    draft, violations = run(_checked(files, offline))
    _tell(violations, as_json)
    if any(v.severity is Severity.ERROR for v in violations):
        raise typer.Exit(1)
    typer.echo(f"checked {_counted(draft)}: nothing against publication")


@app.command("import")
def import_(
    files: Files,
    as_json: Json = False,
    offline: Offline = False,
    by: Annotated[str, typer.Option(help="Who publishes.")] = "operator",
    note: Annotated[str, typer.Option(help="What stands beside each new version.")] = "",
) -> None:
    """Checks files and publishes them, all or nothing. Importing again changes nothing."""
    run(_import(files, as_json, offline, by, note))


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="An empty folder, or one that is made.")],
) -> None:
    """Writes the published catalogue as files that `import` takes."""
    count = _export(folder, run(_published()))
    typer.echo(f"{count} files in {folder}")


async def _checked(files: Sequence[Path], offline: bool) -> tuple[Draft, list[Violation]]:
    settings = load()
    async with platform(settings) as database:
        existing = await snapshot(database, settings)
    draft, unread = load_draft(files, existing)
    structures = None if offline else await read_structures(draft, existing)
    violations = [*unread, *check(draft, existing, structures)]
    if not violations and not _counted(draft):
        raise CommandError(f"there are no catalogue files in {', '.join(f'`{file}`' for file in files)}")
    return draft, violations


async def _import(files: Sequence[Path], as_json: bool, offline: bool, by: str, note: str) -> None:
    draft, violations = await _checked(files, offline)
    _tell(violations, as_json)
    errors = sum(v.severity is Severity.ERROR for v in violations)
    if errors:
        raise CommandError(f"{errors} violations, nothing was imported")
    async with platform() as database:
        report, granted = await database.bring_in(
            CatalogueChange(
                by=by,
                note=note,
                divisions=draft.divisions,
                departments=draft.departments,
                purposes=draft.purposes,
                categories=draft.categories,
                sources=draft.sources,
                resources=draft.resources,
            ),
            draft.grants,
            reason=note or "imported",
        )
    versions = ", ".join(f"{code} v{version}" for code, version in sorted(report.versions.items()))
    typer.echo(f"catalogue {report.number}: {versions or 'no new version'}")
    if granted is not None:
        typer.echo(f"grants: {len(granted.added)} new, {len(granted.changed)} changed, {len(granted.kept)} state kept")


async def read_structures(draft: Draft, existing: Snapshot) -> Mapping[str, Sequence[TableStructure]]:
    """What the sources of the draft's resources say of themselves, by source key; one that is down is left out."""
    sources: dict[str, Source] = {**existing.sources, **{source.key: source for source in draft.sources}}
    bound = {resource.binding.source for resource in draft.resources}
    wanted = sorted(key for key in bound & sources.keys() if sources[key].zone is existing.zone)
    structures: dict[str, Sequence[TableStructure]] = {}
    pool = SourcePool(os.environ)
    try:
        for key in wanted:
            try:
                structures[key] = await pool.connector(sources[key]).introspect()
            except (TanglaiError, ValueError) as error:
                typer.echo(f"notice: source `{key}`: {error}, its columns are not checked", err=True)
    finally:
        await pool.close()
    return structures


def _export(folder: Path, catalogue: Snapshot) -> int:
    if folder.exists() and any(folder.iterdir()):
        raise fail(f"`{folder}` is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    registers: dict[str, Iterable[dict[str, Any]]] = {
        "divisions": map(division_to_document, catalogue.divisions.values()),
        "departments": map(department_to_document, catalogue.departments.values()),
        "purposes": map(purpose_to_document, catalogue.purposes.values()),
        "categories": map(category_to_document, catalogue.categories.values()),
        "sources": map(source_to_document, catalogue.sources.values()),
    }
    for name, documents in registers.items():
        (folder / f"{name}.yaml").write_text(to_yaml({"kind": name, name: list(documents)}), encoding="utf-8")
    for resource in catalogue.resources.values():
        (folder / _file_name(resource)).write_text(to_yaml(resource_to_document(resource)), encoding="utf-8")
    return len(registers) + len(catalogue.resources)


def _counted(draft: Draft) -> str:
    """How many entries a draft has of each kind that it has: `resources 2, grants 1`."""
    entries = {field.name: len(getattr(draft, field.name)) for field in fields(Draft) if field.name != "origins"}
    return ", ".join(f"{name} {count}" for name, count in entries.items() if count)


async def _published() -> Snapshot:
    settings = load()
    async with platform(settings) as database:
        return await snapshot(database, settings)


def _file_name(resource: Resource) -> str:
    return f"resource-{resource.code.replace('/', '-')}.yaml"


def _tell(violations: Iterable[Violation], as_json: bool) -> None:
    for violation in violations:
        if as_json:
            typer.echo(json.dumps(asdict(violation), ensure_ascii=False))
        else:
            word = "" if violation.severity is Severity.ERROR else "notice: "
            typer.echo(f"{word}{violation}", err=True)
