"""In charge of documents as rows: what is written can be read back, and holds nothing that JSONB cannot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from tanglai.catalogue.documents import (
    DocumentError,
    category_from_document,
    category_to_document,
    department_from_document,
    department_to_document,
    division_from_document,
    division_to_document,
    purpose_from_document,
    purpose_to_document,
    resource_from_document,
    resource_to_document,
    source_from_document,
    source_to_document,
)
from tanglai.catalogue.model import Category, Department, Division, Purpose, Resource, Source
from tanglai.storage.errors import Refused

T = TypeVar("T")


def encode(kind: str, key: str, document: Mapping[str, Any]) -> str:
    """`document` as JSON text for JSONB. Raises Refused for a NUL character, a lone surrogate, an oversized integer."""
    try:
        text = orjson.dumps(document)
    except TypeError as error:
        raise Refused(f"{kind} {_shown(key)} cannot be written as JSON: {str(error).lower()}") from error
    if rb"\u0000" in text and _holds_nul(document):
        raise Refused(f"{kind} {_shown(key)} holds a NUL character")
    return text.decode()


def decode(text: str) -> dict[str, Any]:
    """The document in a row."""
    document: dict[str, Any] = orjson.loads(text)
    return document


def readable(kind: str, key: str, text: str, read: Callable[[dict[str, Any]], T]) -> T:
    """What `read` makes of the document that will be stored. Raises Refused where it could not be read back."""
    try:
        return read(decode(text))
    except DocumentError as error:
        raise Refused(f"{kind} {_shown(key)} is not of its form: {error}") from error


def _shown(key: str) -> str:
    return f"`{key.encode('unicode_escape').decode('ascii') if not key.isprintable() else key}`"


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_holds_nul(key) or _holds_nul(part) for key, part in value.items())
    return isinstance(value, list | tuple) and any(_holds_nul(part) for part in value)


@dataclass(frozen=True, slots=True)
class Register(Generic[T]):
    """One table of the register: its key, the columns that point elsewhere, and its documents."""

    table: str
    key: str
    columns: tuple[str, ...]
    write: Callable[[T], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], T]

    def key_of(self, thing: T) -> str:
        key: str = getattr(thing, self.key)
        return key

    def encoded(self, thing: T) -> str:
        """JSON text of `thing`, known to be readable. Raises Refused."""
        text = encode(self.table, self.key_of(thing), self.write(thing))
        readable(self.table, self.key_of(thing), text, self.read)
        return text


DIVISIONS: Register[Division] = Register(
    "division", "code", ("successor",), division_to_document, division_from_document
)
DEPARTMENTS: Register[Department] = Register(
    "department", "code", ("key", "division"), department_to_document, department_from_document
)
PURPOSES: Register[Purpose] = Register("purpose", "code", (), purpose_to_document, purpose_from_document)
CATEGORIES: Register[Category] = Register("category", "code", ("parent",), category_to_document, category_from_document)
SOURCES: Register[Source] = Register("source", "key", ("department",), source_to_document, source_from_document)


def encoded_resource(resource: Resource) -> str:
    """JSON text of `resource` without its version and date, known to be readable. Raises Refused."""
    try:
        document = resource_to_document(resource, stamped=False)
    except DocumentError as error:
        raise Refused(f"resource {_shown(resource.code)} is not of its form: {error}") from error
    text = encode("resource", resource.code, document)
    readable("resource", resource.code, text, resource_from_document)
    return text
