"""In charge of JSON Schemas of the catalogue files, by which editors complete and check them while they are written.

`python -m tanglai.catalogue.schemas docs/schemas` writes them anew.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from tanglai.catalogue.documents_base import Document
from tanglai.catalogue.documents_grant import GrantDocument
from tanglai.catalogue.documents_register import (
    CategoryDocument,
    DepartmentDocument,
    DivisionDocument,
    PurposeDocument,
    SourceDocument,
)
from tanglai.catalogue.documents_resource import ResourceDocument
from tanglai.catalogue.expressions import CompareOp, MatchOp
from tanglai.catalogue.predicates import ATTRIBUTES, DIVISION_ATTRIBUTES

DIALECT = GenerateJsonSchema.schema_dialect
_LISTS: Mapping[str, type[Document]] = {
    "departments": DepartmentDocument,
    "divisions": DivisionDocument,
    "purposes": PurposeDocument,
    "categories": CategoryDocument,
    "sources": SourceDocument,
    "grants": GrantDocument,
}
_MASK_KINDS = ("keep", "first", "domain", "region", "pseudonym", "redact")


def render() -> dict[str, dict[str, Any]]:
    """The schemas by file name: one for each kind of file, and `catalogue-file.json`, which tells them apart."""
    schemas = {"resource.json": _resource()}
    schemas |= {f"{kind}.json": _list(kind, model) for kind, model in _LISTS.items()}
    schemas["catalogue-file.json"] = _any_kind(sorted(["resource", *_LISTS]))
    return schemas


def text(schema: Mapping[str, Any]) -> str:
    """A schema as it stands in docs/schemas."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _resource() -> dict[str, Any]:
    schema = _schema(ResourceDocument)
    mask = schema["$defs"]["MaskDocument"]
    mask["oneOf"] = [{"required": [kind], "properties": {kind: {"not": {"type": "null"}}}} for kind in _MASK_KINDS]
    schema["required"] = ["kind", *schema["required"]]
    return {"$schema": DIALECT, **schema, "title": "resource"}


def _list(kind: str, model: type[Document]) -> dict[str, Any]:
    entry = _schema(model)
    definitions = entry.pop("$defs", {})
    if model is GrantDocument:
        entry["properties"]["scope"] = {"$ref": "#/$defs/Predicate"}
        definitions |= _predicate()
    definitions[model.__name__] = entry
    return {
        "$schema": DIALECT,
        "title": kind,
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", kind],
        "properties": {
            "kind": {"const": kind},
            kind: {"type": "array", "items": {"$ref": f"#/$defs/{model.__name__}"}},
        },
        "$defs": dict(sorted(definitions.items())),
    }


def _any_kind(kinds: list[str]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": "a catalogue file",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": kinds}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"{kind}.json"},
            }
            for kind in kinds
        ],
    }


def _predicate() -> dict[str, Any]:
    """A row scope. Which items there are and of which types, only the check knows."""
    part = {"$ref": "#/$defs/Predicate"}
    plain: dict[str, Any] = {"type": ["string", "number", "boolean"]}
    several = {"type": "array", "items": plain}
    operators: dict[str, Any] = {op.value: {"anyOf": [plain, _attribute(ATTRIBUTES)]} for op in CompareOp}
    operators |= {op.value: {"type": "string"} for op in MatchOp}
    operators |= {"in": several, "notIn": several, "isNull": {"type": "boolean"}}
    division = {"type": "string", "pattern": "^[1-9][0-9]{5}$"}
    operators["within"] = {"anyOf": [division, _attribute(DIVISION_ATTRIBUTES)]}
    return {
        "Predicate": {
            "description": "Rows, in the shape of a GraphQL `where`: items with operators, joined by and.",
            "type": "object",
            "properties": {
                "and": {"type": "array", "items": part},
                "or": {"type": "array", "items": part},
                "not": part,
            },
            "additionalProperties": {"$ref": "#/$defs/Operators"},
        },
        "Operators": {"type": "object", "properties": operators, "additionalProperties": False},
    }


def _attribute(names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"attribute": {"enum": list(names)}},
        "required": ["attribute"],
        "additionalProperties": False,
    }


def _schema(model: type[Document]) -> dict[str, Any]:
    schema: dict[str, Any] = _without_titles(model.model_json_schema(mode="validation"))
    return schema


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes up from field names."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, schema in render().items():
        (folder / name).write_text(text(schema), encoding="utf-8")
