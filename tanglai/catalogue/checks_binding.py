"""In charge of the rules on bindings: what is catalogued is what the source has, of a type that fits."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import ColumnStructure, Finding, TableStructure, World
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import Binding, Item, Resource
from tanglai.catalogue.scalars import ScalarType

_WIDER = {
    ScalarType.INTEGER: frozenset({ScalarType.LONG, ScalarType.DECIMAL}),
    ScalarType.LONG: frozenset({ScalarType.DECIMAL}),
}
"""Item types that hold every value of a column's type."""

_TEXT_KINDS = frozenset({"files", "http"})
"""Kinds of source in which any value may be written as a text (CSV, JSON), and is read from it."""


def binding_findings(resource: Resource, world: World) -> Iterator[Finding]:
    """What of the binding the source does not have; nothing where no structures were read at all."""
    if world.structures is None or resource.binding.source not in world.sources:
        return
    tables = world.structures.get(resource.binding.source)
    if tables is None:
        message = f"the structure of source `{resource.binding.source}` was not read, so columns are unchecked"
        yield Finding("binding", ("source",), message, Severity.NOTICE)
        return
    found = _tables(resource.binding, tables)
    if len(found) != 1:
        what = "has no table" if not found else "has several tables"
        message = f"source `{resource.binding.source}` {what} `{_table_name(resource.binding)}`"
        yield Finding("binding", ("table",), message)
        return
    columns = {column.name: column for column in found[0].columns}
    from_text = world.sources[resource.binding.source].kind in _TEXT_KINDS
    linked = {name for key in resource.keys for name in key.items}
    linked |= {name for relation in resource.relations for name in relation.items}
    for index, item in enumerate(resource.items):
        yield from _item(item, columns.get(item.column.name), item.name in linked, from_text, ("items", index))
    if resource.binding.handle is not None:
        yield from _handle(resource.binding.handle, columns.get(resource.binding.handle.name), from_text)
    for index, key in enumerate(resource.keys):
        if len(key.items) == 1 and (keyed := resource.item_by_name.get(key.items[0])) is not None:
            structure = columns.get(keyed.column.name)
            if structure is not None and not structure.unique:
                message = f"the source does not promise that column `{structure.name}` is unique"
                yield Finding("binding", ("keys", index), message, Severity.NOTICE)


def _tables(binding: Binding, tables: Sequence[TableStructure]) -> Sequence[TableStructure]:
    """The tables that the binding may mean. A binding without a namespace finds its table in `public` (as
    the connectors do), else in any, if in one only; of the files of one pattern the first stands for all.
    """
    named = [table for table in tables if table.name == binding.table]
    if binding.namespace is not None:
        return [table for table in named if table.namespace == binding.namespace]
    if named:
        usual = [[table for table in named if table.namespace == namespace] for namespace in (None, "public")]
        return usual[0] or usual[1] or named
    return [table for table in tables if fnmatchcase(table.name, binding.table)][:1]


def _table_name(binding: Binding) -> str:
    return binding.table if binding.namespace is None else f"{binding.namespace}.{binding.table}"


def _item(
    item: Item, structure: ColumnStructure | None, linked: bool, from_text: bool, above: Path
) -> Iterator[Finding]:
    path: Path = (*above, "column")
    if structure is None:
        yield Finding("binding", path, f"the source has no column `{item.column.name}`")
        return
    yield from _type(item.type, structure, from_text, path)
    if item.type is ScalarType.TEXT:
        yield from _collation(item.column, structure, linked, path)
    if not item.nullable and structure.nullable:
        message = f"item `{item.name}` is never null, but the source allows nulls in column `{structure.name}`"
        yield Finding("binding", (*above, "nullable"), message, Severity.NOTICE)


def _handle(handle: Column, structure: ColumnStructure | None, from_text: bool) -> Iterator[Finding]:
    path: Path = ("handle", "column")
    if structure is None:
        yield Finding("binding", path, f"the source has no column `{handle.name}`")
        return
    yield from _type(handle.type, structure, from_text, ("handle", "type"))
    if handle.type is ScalarType.TEXT:
        yield from _collation(handle, structure, True, path)
    if not structure.unique or structure.nullable:
        message = f"the source does not promise that column `{structure.name}` is unique and never null"
        yield Finding("handle", path, message, Severity.NOTICE)


def _type(kind: ScalarType, structure: ColumnStructure, from_text: bool, path: Path) -> Iterator[Finding]:
    if kind is structure.type or (structure.type is not None and kind in _WIDER.get(structure.type, ())):
        return
    column = f"column `{structure.name}` of type `{structure.native}`"
    if kind is ScalarType.TEXT:
        yield Finding("binding", path, f"{column} is shown in the source's own text form", Severity.NOTICE)
    elif structure.type is not None and _is_read(kind, structure.type, from_text):
        yield Finding("binding", path, f"{column}: a value that is no {kind} is shown as null", Severity.NOTICE)
    else:
        yield Finding("binding", path, f"{column} is no {kind}")


def _is_read(kind: ScalarType, column: ScalarType, from_text: bool) -> bool:
    """Whether connectors read values of a column as `kind` where they can, and as null elsewhere."""
    if column is ScalarType.TEXT and from_text:
        return True
    if kind is ScalarType.BOOLEAN:
        return column in (ScalarType.INTEGER, ScalarType.LONG, ScalarType.TEXT)
    return kind.numeric and column.numeric


def _collation(column: Column, structure: ColumnStructure, linked: bool, path: Path) -> Iterator[Finding]:
    if column.collated and not structure.collated:
        message = f"column `{column.name}` is not ordered by code point; write `{{name: ..., collated: false}}`"
        yield Finding("binding", path, message, Severity.NOTICE)
    elif not column.collated and structure.collated:
        message = f"column `{column.name}` is ordered by code point; `collated: false` costs its index"
        yield Finding("binding", path, message, Severity.NOTICE)
    elif not column.collated and linked:
        message = f"column `{column.name}` is not ordered by code point, so look-ups by it use no index"
        yield Finding("binding", path, message, Severity.NOTICE)
