"""In charge of row scopes as documents: predicates of the shape of a GraphQL `where`, typed by a resource's items.

`{}` and `{and: []}` are TRUE, `{or: []}` and `{in: []}` FALSE; several fields of one object are joined by and.
An operand is a JSON value or `{attribute: NAME}`, an attribute of the requesting department.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tanglai.catalogue.documents_base import DocumentError, Path
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    And,
    Attribute,
    Boolean,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Or,
    Value,
    Within,
    conjunction,
    disjunction,
)
from tanglai.catalogue.model import Resource
from tanglai.catalogue.scalars import ScalarType, parse, to_json

ATTRIBUTES = ("department.code", "department.division")
"""Attributes of the principal that a scope may name; all are texts."""
DIVISION_ATTRIBUTES = ("department.division",)

MAX_DEPTH = 32
MAX_NODES = 10_000
LOGIC = ("and", "or", "not")
OPERATORS = (*CompareOp, "in", "notIn", "isNull", *MatchOp, "within")
_DIVISION = re.compile(r"[1-9][0-9]{5}", re.ASCII)


def predicate_from_document(document: Any, resource: Resource) -> Expression:
    """The predicate over items of `resource`, in normal form (flat, constants folded).

    Raises DocumentError with the path of an unknown item or operator, of a value out of its item's type, of null.
    """
    return _Reader(resource).predicate(document, (), 0)


def predicate_to_document(predicate: Expression) -> dict[str, Any]:
    """The document of a predicate; of a predicate in normal form, `predicate_from_document` gives it back.

    Raises ValueError for an expression that no document can say.
    """
    match predicate:
        case Boolean(value):
            return {} if value else {"or": []}
        case And(parts):
            return {"and": [predicate_to_document(part) for part in parts]}
        case Or(parts):
            return {"or": [predicate_to_document(part) for part in parts]}
        case Not(IsNull(ItemRef(name))):
            return {name: {"isNull": False}}
        case Not(In(ItemRef(name), values)) if values:
            return {name: {"notIn": [_operand_document(value) for value in values]}}
        case Not(part):
            return {"not": predicate_to_document(part)}
        case Compare(op, ItemRef(name), right):
            return {name: {op.value: _operand_document(right)}}
        case In(ItemRef(name), values):
            return {name: {"in": [_operand_document(value) for value in values]}}
        case IsNull(ItemRef(name)):
            return {name: {"isNull": True}}
        case Match(op, ItemRef(name), needle):
            return {name: {op.value: _operand_document(needle)}}
        case Within(ItemRef(name), division):
            return {
                name: {"within": division if isinstance(division, str) else {"attribute": division.name}},
            }
    raise ValueError(f"no document says `{type(predicate).__name__.lower()}`")


def _operand_document(operand: Expression) -> Any:
    match operand:
        case Attribute(name):
            return {"attribute": name}
        case Value(value, kind):
            return to_json(kind, value)
    raise ValueError(f"no document says `{type(operand).__name__.lower()}`")


class _Reader:
    """One reading of one document; counts its nodes."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.nodes = 0

    def predicate(self, document: Any, path: Path, depth: int) -> Expression:
        self.count(path)
        if depth > MAX_DEPTH:
            raise DocumentError.at(path, f"deeper than {MAX_DEPTH}")
        if not isinstance(document, Mapping):
            raise DocumentError.at(path, "a predicate is an object")
        return conjunction(*[self.field(name, value, path, depth) for name, value in document.items()])

    def field(self, name: Any, value: Any, above: Path, depth: int) -> Expression:
        path: Path = (*above, str(name)[:100])
        if name == "not":
            return negation(self.predicate(value, path, depth + 1))
        if name in LOGIC:
            parts = self.several(value, path)
            predicates = [self.predicate(part, (*path, index), depth + 1) for index, part in enumerate(parts)]
            return conjunction(*predicates) if name == "and" else disjunction(*predicates)
        item = self.resource.item_by_name.get(name)
        if item is None:
            raise DocumentError.at(path, f"resource `{self.resource.code}` has no item `{path[-1]}`")
        if not isinstance(value, Mapping):
            raise DocumentError.at(path, "an object of operators is needed, for example `{eq: ...}`")
        reference = ItemRef(item.name, item.type)
        return conjunction(*[self.test(reference, op, operand, path) for op, operand in value.items()])

    def test(self, item: ItemRef, op: Any, operand: Any, above: Path) -> Expression:
        path: Path = (*above, str(op)[:100])
        self.count(path)
        if op not in OPERATORS:
            raise DocumentError.at(path, f"unknown operator `{path[-1]}`")
        if op == "isNull":
            if not isinstance(operand, bool):
                raise DocumentError.at(path, "true or false is needed")
            return IsNull(item) if operand else Not(IsNull(item))
        if not item.type.comparable:
            raise DocumentError.at(path, f"item `{item.name}` of type {item.type} can be tested by `isNull` only")
        if op in ("in", "notIn"):
            operands = enumerate(self.several(operand, path))
            values = tuple([self.constant(item, value, (*path, index)) for index, value in operands])
            member: Expression = In(item, values) if values else FALSE
            return member if op == "in" else negation(member)
        if op in ("within", *MatchOp) and item.type is not ScalarType.TEXT:
            raise DocumentError.at(path, f"`{op}` is for texts, item `{item.name}` is of type {item.type}")
        if op == "within":
            return Within(item, self.division(operand, path))
        if op in tuple(MatchOp):
            return Match(MatchOp(op), item, self.constant(item, operand, path))
        if isinstance(operand, Mapping):
            if item.type is not ScalarType.TEXT:
                raise DocumentError.at(path, f"an attribute is a text, item `{item.name}` is of type {item.type}")
            return Compare(CompareOp(op), item, self.attribute(operand, path, ATTRIBUTES))
        return Compare(CompareOp(op), item, self.constant(item, operand, path))

    def division(self, operand: Any, path: Path) -> str | Attribute:
        if isinstance(operand, Mapping):
            return self.attribute(operand, path, DIVISION_ATTRIBUTES)
        if not isinstance(operand, str) or not _DIVISION.fullmatch(operand):
            raise DocumentError.at(path, "a division code of six digits, as a text, or an attribute is needed")
        return operand

    def attribute(self, operand: Mapping[Any, Any], path: Path, known: Sequence[str]) -> Attribute:
        if list(operand) != ["attribute"]:
            raise DocumentError.at(path, "not a value and not `{attribute: ...}`")
        name = operand["attribute"]
        if name not in known:
            listed = ", ".join(f"`{k}`" for k in known)
            raise DocumentError.at((*path, "attribute"), f"unknown attribute, known here: {listed}")
        return Attribute(name)

    def constant(self, item: ItemRef, operand: Any, path: Path) -> Value:
        self.count(path)
        if operand is None:
            raise DocumentError.at(path, "null is no operand; use `isNull`")
        try:
            return Value(parse(item.type, operand), item.type)
        except ValueError as error:
            raise DocumentError.at(path, f"item `{item.name}` of type {item.type}: {error}") from None

    def several(self, value: Any, path: Path) -> Sequence[Any]:
        if not isinstance(value, list | tuple):
            raise DocumentError.at(path, "a list is needed")
        return value

    def count(self, path: Path) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise DocumentError.at(path, f"more than {MAX_NODES} parts")


def negation(part: Expression) -> Expression:
    """NOT `part`; of a constant, the other constant."""
    if isinstance(part, Boolean):
        return FALSE if part == TRUE else TRUE
    return Not(part)
