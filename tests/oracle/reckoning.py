"""In charge of what an operation can use of its grants' quotas, and what it did use, by the written rules alone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tanglai.catalogue.model import Grant, Quota, Resource
from tests.oracle.books import Usage
from tests.oracle.calls import Call, exactly, roughly
from tests.oracle.foresight import ANY_TYPE, column_of, fail, item_of
from tests.oracle.language import ById, ByKey, Entities, Field, Figures, Listing, value_of

if TYPE_CHECKING:
    from tests.oracle.oracle import Oracle


class Unclear(Exception):
    """The rules do not say whether two calls are one, so that nobody can say what the operation uses."""


def bounded(grants: Iterable[Grant]) -> dict[str, Grant]:
    """Those whose quota bounds anything, by id."""
    return {grant.id: grant for grant in grants if grant.quota not in (None, Quota())}


class Reckoning:
    """One operation that has been foreseen: its different calls, with the bounded grants that each uses."""

    def __init__(self, oracle: "Oracle") -> None:
        self.oracle = oracle
        self.bounded = bounded(oracle.situation.grants)
        self.used = {grant for call in oracle.calls for one in call.all() for grant in one.grants} & set(self.bounded)
        self.calls = self._different(oracle.calls) if self.used else []

    def most(self) -> dict[str, int]:
        """The most rows that the operation can deliver, by bounded grant that it uses."""
        most = dict.fromkeys(self.used, 0)

        def add(call: Call, starts: int) -> None:
            rows = call.most if call.kind in ("figures", "cube") else starts * call.most
            for grant in call.grants & self.used:
                most[grant] += rows
            for child in call.children:
                add(child, rows)

        for call in self.calls:
            add(call, 1)
        return most

    def delivered(self) -> dict[str, Usage]:
        """What it does deliver, by bounded grant that it uses."""
        usage = {grant: Usage() for grant in self.used}
        for call in self.calls:
            self._deliver(call, [], usage)
        return usage

    # --- calls -------------------------------------------------------------------------------------------------------

    def _collect(self, selections: Any) -> list[Field]:
        return self.oracle.collect(ANY_TYPE, False, selections)

    def _different(self, calls: list[Call]) -> list[Call]:
        """Equal aliases are one call. Raises Unclear where two calls may be one."""
        different: list[Call] = []
        equal: set[Any] = set()
        alike: set[Any] = set()
        for call in calls:
            if call.kind in ("list", "one", "figures", "cube"):
                whole = (call.resource.code, exactly(call.asked, self._collect))
                if whole in equal:
                    continue
                equal.add(whole)
                self._unlike(call, alike)
            different.append(call)
        for call in different:
            for child in call.all()[1:]:
                self._unlike(child, alike)
        return different

    def _unlike(self, call: Call, alike: set[Any]) -> None:
        if not call.grants & self.used:
            return
        relation = None if call.relation is None else (call.relation.name, call.relation.inverse)
        rough = (call.resource.code, relation, roughly(call.asked, self._collect))
        if rough in alike:
            raise Unclear
        alike.add(rough)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _deliver(self, call: Call, starts: list[int], usage: dict[str, Usage]) -> None:
        if call.kind in ("figures", "cube"):
            groups = self._groups(call)
            for grant in call.grants & self.used:
                usage[grant].rows += groups
                usage[grant].groups += groups if call.kind == "figures" else 0
            return
        rows = self._rows(call, starts)
        for grant in call.grants & self.used:
            usage[grant].rows += len(rows)
            for row in rows:
                about = self._about(call.resource, row)
                if about is None:
                    usage[grant].unnamed += 1
                else:
                    usage[grant].about.add(about)
        for child in call.children:
            self._deliver(child, rows, usage)

    def _about(self, resource: Resource, row: int) -> Any:
        """Whom a row is about: by its handle, else by the first key that is clear somewhere; None: nobody can tell."""
        sight, handle = self.oracle.sights[resource.code], resource.binding.handle
        if handle is not None:
            return resource.code, sight.rows[row][handle.name]
        for key in resource.keys:
            if all(name in sight.clear_somewhere for name in key.items):
                cells = [sight.compare[name][row] for name in key.items]
                return None if None in cells else (resource.code, key.items, tuple(cells))
        return None

    def _rows(self, call: Call, starts: list[int]) -> list[int]:
        oracle, asked = self.oracle, call.asked.arguments
        sight = oracle.sights[call.resource.code]
        visible = [row for row, seen in enumerate(sight.visible) if seen]
        if call.most == 0:
            return []
        if call.relation is not None:
            return self._beyond(call, starts)
        if isinstance(asked, Listing):
            return oracle.page(call.resource, visible, asked).rows
        if isinstance(asked, ByKey):
            values = {(item_of(call.resource, n) or fail(n)).name: value_of(v) for n, v in asked.values.items()}
            row = oracle.looked_up(sight, values)
            return [] if row is None else [row]
        if isinstance(asked, ById):
            return [asked.row] if sight.visible[asked.row] else []
        assert isinstance(asked, Entities)
        named = [
            oracle.looked_up(sight, one.values)
            for one in asked.representations
            if one.values is not None and (one.resource, one.key) == (call.resource.code, call.key)
        ]
        return [row for row in dict.fromkeys(named) if row is not None]

    def _beyond(self, call: Call, starts: list[int]) -> list[int]:
        """The rows beyond a relation, once for each link key, from however many rows it leads there."""
        assert call.relation is not None
        oracle = self.oracle
        near = oracle.snapshot.resources[self._near(call)]
        pages: dict[Any, list[int]] = {}
        for row in starts:
            key = tuple(oracle.sights[near.code].rows[row][column_of(near, name)] for name in call.relation.items)
            rows = oracle.linked(near, call.relation, row)
            if not rows or key in pages:
                continue
            if isinstance(call.asked.arguments, Listing):
                pages[key] = oracle.page(call.resource, rows, call.asked.arguments).rows
            else:
                pages[key] = oracle.ordered(call.resource, Listing(), rows)[:1]
        return [row for rows in pages.values() for row in rows]

    def _near(self, call: Call) -> str:
        """The resource that a relation starts from."""
        assert call.relation is not None
        inverse = call.resource.relation_by_name[call.relation.inverse]
        return inverse.target

    def _groups(self, call: Call) -> int:
        """How many groups are answered; none where there are more than the code lists allow."""
        oracle = self.oracle
        assert isinstance(call.asked.arguments, Figures)
        if call.kind == "cube":
            found = oracle.publication(call.resource, call.asked)
            assert found is not None
            return len(oracle.published(call.resource, call.asked, *found))
        visible = [row for row, seen in enumerate(oracle.sights[call.resource.code].visible) if seen]
        groups = len(oracle.grouped(call.resource, visible, call.asked.arguments))
        return groups if groups <= call.most else 0
