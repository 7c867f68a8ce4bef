"""In charge of whether two subjects gave the same answer, whatever form their scalars have."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_NUMBERS = frozenset({"income", "count", "sum", "max"})
_MOMENTS = frozenset({"registeredAt"})


def difference(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> str | None:
    """Where the rows differ first, in words; None where they are equal, in the same order."""
    if len(one) != len(other):
        return f"{len(one)} rows and {len(other)}"
    for place, (left, right) in enumerate(zip(one, other, strict=True)):
        known, found = canonical(left), canonical(right)
        for name in sorted(known.keys() | found.keys()):
            if known.get(name) != found.get(name):
                return f"row {place}, `{name}`: {known.get(name)!r} and {found.get(name)!r}"
    return None


def canonical(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with numbers and moments as such, and lists of rows alike."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [canonical(entry) for entry in value]
    if value is None:
        return None
    if name in _NUMBERS:
        return Decimal(str(value))
    if name in _MOMENTS:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    return value
