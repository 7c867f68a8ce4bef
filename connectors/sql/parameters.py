"""In charge of a statement's parameters: which values it takes, in which order, and how they go to the driver."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine.default import StrCompileDialect
from sqlalchemy.sql.elements import Cast
from sqlalchemy.types import TypeEngine

from connectors.protocol import KEYS, Arguments
from tanglai.catalogue.expressions import Slot, Value

Convert: TypeAlias = Callable[[Any], Any]
"""A Python value of a scalar type (never None) -> what the driver takes for it."""

Source: TypeAlias = Callable[[Arguments], Any]


_NAMES = StrCompileDialect()


class Parameters:
    """Collects the parameters of one statement while it is compiled.

    A constant, a slot and a column of the key batch become a bound parameter each; the same one twice is one parameter.
    """

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._names: dict[Any, str] = {}

    def constant(self, value: Any, kind: TypeEngine[Any], convert: Convert | None = None) -> Cast[Any]:
        """A value known when compiling."""
        sent = _convert(value, convert)
        return self._bind(("constant", repr(sent), _name(kind)), lambda arguments: sent, kind)

    def constants(self, values: Sequence[Any], kind: TypeEngine[Any], convert: Convert | None) -> Cast[Any]:
        """A list of values known when compiling."""
        sent = [_convert(value, convert) for value in values]
        return self._bind(("constants", repr(sent), _name(kind)), lambda arguments: sent, kind)

    def operand(
        self, node: Value | Slot, kind: TypeEngine[Any], convert: Convert | None = None, purpose: str = ""
    ) -> Cast[Any]:
        """The value of `node`; the elements of a `many` slot are converted one by one. `purpose` names `convert`."""
        if isinstance(node, Value):
            return self.constant(node.value, kind, convert)
        path = node.path
        if node.many:
            return self._bind(
                ("many", path, _name(kind), purpose),
                lambda arguments: [_convert(value, convert) for value in arguments[path]],
                kind,
            )
        return self._bind(
            ("slot", path, _name(kind), purpose), lambda arguments: _convert(arguments[path], convert), kind
        )

    def keys(self, index: int | None, kind: TypeEngine[Any], convert: Convert | None) -> Cast[Any]:
        """The key batch as a list; of a batch over several columns, column `index`."""
        if index is None:
            return self._bind(("keys",), lambda arguments: [_convert(key, convert) for key in arguments[KEYS]], kind)
        return self._bind(
            ("keys", index), lambda arguments: [_convert(key[index], convert) for key in arguments[KEYS]], kind
        )

    def sources(self, names: Sequence[str]) -> tuple[Source, ...]:
        """What fills the parameters called `names`, in that order."""
        return tuple(self._sources[name] for name in names)

    def _bind(self, identity: tuple[Any, ...], source: Source, kind: TypeEngine[Any]) -> Cast[Any]:
        name = self._names.setdefault(identity, f"p{len(self._names)}")
        self._sources[name] = source
        return sa.cast(sa.bindparam(name, type_=kind), kind)


def _convert(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def _name(kind: TypeEngine[Any]) -> str:
    return kind.compile(dialect=_NAMES)  # `str` would make a dialect each time
