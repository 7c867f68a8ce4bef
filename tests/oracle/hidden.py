"""In charge of changing the contents of sources where the visible relations of one asker do not change."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tanglai.catalogue.model import Item, Relation, Resource
from tests.oracle.comparing import situation
from tests.oracle.dice import Dice
from tests.oracle.oracle import Oracle
from tests.oracle.pools import POOLS
from tests.oracle.worlds import Asker, Drawn, handle_value, lawful

Change = dict[str, dict[str, list[dict[str, Any]]]]


@dataclass
class Veil:
    """What one asker sees of a world. `keys`: whether keys that are read for relations count as seen."""

    drawn: Drawn
    asker: Asker
    keys: bool

    def seen(self, rows: Change) -> Any:
        """All that an answer may depend on: cells, handles and links of visible rows, in table order; cubes."""
        oracle = Oracle(situation(replace(self.drawn, rows=rows), self.asker))
        return {code: self._of(oracle, resource) for code, resource in self.drawn.snapshot.resources.items()}

    def _of(self, oracle: Oracle, resource: Resource) -> Any:
        sight = oracle.sights[resource.code]
        names = [item.name for item in resource.items]
        visible = [row for row, is_visible in enumerate(sight.visible) if is_visible]
        cells = [[(repr(sight.shown[n][row]), repr(sight.compare[n][row])) for n in names] for row in visible]
        handle = resource.binding.handle
        handles = [None if handle is None else sight.rows[row][handle.name] for row in visible]
        links = [self._links(oracle, resource, relation, visible) for relation in resource.relations]
        cubes = [sorted(map(repr, oracle.cube(one, resource))) for one in sight.publications]
        return cells, handles, links, cubes

    def _links(self, oracle: Oracle, resource: Resource, relation: Relation, visible: list[int]) -> Any:
        if oracle.not_linked(resource, relation) is not None:
            return None
        sight, target = oracle.sights[resource.code], oracle.sights[relation.target]
        place = {row: number for number, row in enumerate(row for row, seen in enumerate(target.visible) if seen)}
        links = [[place[other] for other in oracle.linked(resource, relation, row)] for row in visible]
        if not self.keys:
            return links
        follows = sight.follows[relation.name]
        columns = [resource.item_by_name[name].column.name for name in relation.items]
        keys = [[repr(sight.rows[row][c]) for c in columns] if follows[row] else None for row in visible]
        return links, keys

    def changed(self, dice: Dice) -> Change:
        """Other contents of the same sources, equal in all that the asker sees."""
        rows: Change = copy.deepcopy(self.drawn.rows)
        before = self.seen(rows)
        for proposal in self._proposals(dice, rows):
            if _lawful(self.drawn, proposal) and self.seen(proposal) == before:
                rows = proposal
                self._accepted(rows)
        return rows

    def _accepted(self, rows: Change) -> None:
        self.rows = rows

    def _proposals(self, dice: Dice, rows: Change) -> Iterator[Change]:
        """Contents that differ from the last accepted ones in one respect."""
        self.rows = rows
        for resource in self.drawn.snapshot.resources.values():
            yield from self._cells(dice, resource)
            if dice.chance(1, 2):
                yield self._longer(dice, resource)
            if dice.chance(1, 3) and _table(self.rows, resource):
                fewer = copy.deepcopy(self.rows)
                table = _table(fewer, resource)
                table.pop(dice.number(0, len(table) - 1))
                yield fewer
            for relation in resource.relations:
                if dice.chance(1, 2):
                    yield self._renamed(dice, resource, relation)

    def _cells(self, dice: Dice, resource: Resource) -> Iterator[Change]:
        oracle = Oracle(situation(replace(self.drawn, rows=self.rows), self.asker))
        sight = oracle.sights[resource.code]
        for row in range(len(sight.rows)):
            for item in resource.items:
                if sight.clear[item.name][row] or not dice.chance(2, 3):
                    continue
                other = copy.deepcopy(self.rows)
                cell = _table(other, resource)[row]
                cell[item.column.name] = _other(dice, item, cell[item.column.name])
                yield other

    def _longer(self, dice: Dice, resource: Resource) -> Change:
        """One more row, hopefully hidden."""
        longer = copy.deepcopy(self.rows)
        table = _table(longer, resource)
        row = {item.column.name: dice.pick(_values(item)) for item in resource.items}
        if resource.binding.handle is not None:
            handle = resource.binding.handle
            row[handle.name] = handle_value(handle, 100 + len(table))
        table.insert(dice.number(0, len(table)), row)
        return longer

    def _renamed(self, dice: Dice, resource: Resource, relation: Relation) -> Change:
        """One key value of a relation under another name, at both ends."""
        renamed = copy.deepcopy(self.rows)
        target = self.drawn.snapshot.resources[relation.target]
        ends = ((resource, relation.items[0]), (target, relation.target_items[0]))
        columns = [(_table(renamed, end), end.item_by_name[name]) for end, name in ends]
        found = [row[item.column.name] for table, item in columns for row in table]
        if not found:
            return renamed
        old, new = dice.pick(found), dice.pick(POOLS[columns[0][1].type])
        for table, item in columns:
            for row in table:
                if row[item.column.name] == old and new is not None:
                    row[item.column.name] = new
        return renamed


def _table(rows: Change, resource: Resource) -> list[dict[str, Any]]:
    return rows[resource.binding.source][resource.binding.table]


def _values(item: Item) -> list[Any]:
    return [*POOLS[item.type], None] if item.nullable else list(POOLS[item.type])


def _other(dice: Dice, item: Item, old: Any) -> Any:
    """Another value; of a text, often one that most masks render alike."""
    if isinstance(old, str) and len(old) > 2 and dice.chance(2, 3):
        middle = len(old) // 2
        return old[:middle] + ("#" if old[middle] != "#" else "+") + old[middle + 1 :]
    return dice.pick(_values(item))


def _lawful(drawn: Drawn, rows: Change) -> bool:
    return all(lawful(resource, _table(rows, resource)) for resource in drawn.snapshot.resources.values())
