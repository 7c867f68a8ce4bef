"""In charge of what an operation can use of its grants' quotas, and what it did use: rows, and whom they are about.

A grant is used by a call whose cells rest on it: selected, filtered, sorted, grouped or aggregated items, keys, and
relations. It counts the rows that the call delivers; a group of figures is a row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from authz.quotas import without
from authz.visible import VisibleRelation
from connectors.protocol import Row
from resolvers.cells import bind
from resolvers.plan import AggregateCall, CubeCall, RowsCall, Subject
from resolvers.planner import Outputs, Planning
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import FALSE
from tanglai.catalogue.model import Item, Quota, Resource, Snapshot
from tanglai.catalogue.quotas import Counts
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.quota_ledger import Need, Spent


def exhausted(
    visible: Callable[[Resource], VisibleRelation], short: frozenset[str], snapshot: Snapshot
) -> Callable[[Resource], VisibleRelation]:
    """`visible` for an operation that the quotas of the grants `short` do not cover."""
    if not short:
        return visible
    rules = rule_set(snapshot.rule_set)
    return lambda resource: without(visible(resource), short, rules)


def subject_of(planning: Planning, resource: Resource, outputs: Outputs, grants: Iterable[str]) -> Subject | None:
    """What tells whom a row of `resource` is about, added to `outputs`; None where no quota of `grants` counts that.

    The row handle, which tells nothing else; without one, the first key that is clear on some row. A key is unique, so
    both tell rows apart alike. Which key it is goes with its value: of two keys both may have the value of the other.
    """
    if all(planning.quotas[grant].subjects is None for grant in grants):
        return None
    if resource.binding.handle is not None:
        return Subject((outputs.raw(resource.binding.handle),))
    relation = planning.relation_of(resource)
    for key in resource.keys:
        rules = [relation.items[name] for name in key.items]
        if all(rule.clear != FALSE for rule in rules):
            return Subject(tuple(outputs.raw(bind(rule.compare, resource)) for rule in rules), key.items)
    return Subject(())


def group_bound(items: Sequence[Item], most: int) -> int:
    """How many groups figures by `items` have at most, as far as the catalogue tells: by their code lists."""
    return min(most, prod(_values(item, most) for item in items))


def _values(item: Item, most: int) -> int:
    if item.type is ScalarType.BOOLEAN:
        return 3  # with null
    return len(item.codes) + 1 if item.codes else most


@lru_cache(1_000)
def _counts(rows: int) -> Counts:
    """One operation of at most `rows` rows, each of a subject. Kept: the same pages are asked for again and again."""
    return Counts(rows, 1, rows)


class Meter:
    """What one execution may use at most, and what it used, by grants with a quota."""

    def __init__(self, quotas: Mapping[str, Quota]) -> None:
        self._quotas = quotas
        self._bounds = dict.fromkeys(quotas, 0)
        self._rows = dict.fromkeys(quotas, 0)
        self._subjects: dict[str, set[str]] = {}  # of grants whose quota bounds them, once there are some
        self._unnamed: dict[str, int] = {}

    def expect(self, call: RowsCall | AggregateCall | CubeCall, rows: int) -> None:
        """`call` delivers at most `rows` rows."""
        for grant in call.grants:
            self._bounds[grant] += rows

    def needs(self) -> dict[str, Need]:
        """What must be had before the first source call: the bounds, and the request itself."""
        bounds = self._bounds
        return {g: Need(quota, _counts(bounds[g])) for g, quota in self._quotas.items()}

    def count(self, call: RowsCall, rows: int) -> None:
        """`call` delivers `rows` rows, and no quota asks whom they are about."""
        for grant in call.grants:
            self._rows[grant] += rows

    def rows(self, call: RowsCall, rows: Sequence[Row], offset: int) -> None:
        """`call` delivers `rows`; `offset` link values precede the outputs."""
        self.count(call, len(rows))
        if call.subject is None:
            return
        places = [offset + output for output in call.subject.outputs]
        prefix = "\0".join((call.resource.code, *call.subject.key))
        named: set[str] = set()
        unnamed = 0
        for row in rows:
            values = [row[place] for place in places]
            if not values or None in values:
                unnamed += 1
            else:
                named.add(f"{prefix}\0{values!r}")
        self._about(call.grants, named, unnamed)

    def groups(self, call: AggregateCall | CubeCall, rows: Sequence[Row], arguments: Mapping[str, Any]) -> None:
        """`call` delivers these groups, asked for with `arguments`. Raises QUOTA_EXCEEDED beyond what was expected.

        For a group nobody can tell whom it is about: it counts as a subject of its own, once for the same question and
        answer. (The largest of what came last is somebody else's each time.)
        """
        if not call.grants:
            return
        if len(rows) > call.bound:
            raise TanglaiError(
                ErrorCode.QUOTA_EXCEEDED,
                "there are more groups than the code lists of the grouped items have values, so that the quota of "
                f"{' and '.join(f'`{grant}`' for grant in call.grants)} cannot be kept",
                resource=call.resource.code,
            )
        for grant in call.grants:
            self._rows[grant] += len(rows)
        if isinstance(call, AggregateCall):
            question = f"{call.signature}\0{sorted(arguments.items())!r}"
            self._about(call.grants, {f"{question}\0{tuple(row)!r}" for row in rows}, 0)

    def take_subjects(self) -> dict[str, set[str]]:
        """Whom the rows so far were about, by grant; they are known no more. For runs too long to keep them all."""
        taken, self._subjects = self._subjects, {}
        return taken

    def known(self, grant: str, new: int) -> None:
        """Of those taken, `new` were new today; they count with those of whom nobody can tell."""
        self._unnamed[grant] = self._unnamed.get(grant, 0) + new

    def _about(self, grants: Iterable[str], named: set[str], unnamed: int) -> None:
        for grant in grants:
            if self._quotas[grant].subjects is not None:
                if named:
                    self._subjects.setdefault(grant, set()).update(named)
                if unnamed:
                    self._unnamed[grant] = self._unnamed.get(grant, 0) + unnamed

    def spent(self) -> dict[str, Spent]:
        """What was used, by grant."""
        subjects, unnamed = self._subjects, self._unnamed
        if not subjects and not unnamed:
            return {grant: Spent(rows) for grant, rows in self._rows.items()}
        return {
            grant: Spent(rows, subjects.get(grant, ()), unnamed.get(grant, 0)) for grant, rows in self._rows.items()
        }
