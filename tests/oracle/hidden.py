"""In charge of pairs of contents that look the same to one asker: equal V, equal row handles, equal published cubes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any

from tanglai.catalogue.expressions import ItemRef, leaves
from tanglai.catalogue.model import Item, Relation, Resource
from tanglai.catalogue.scalars import ScalarType
from tests.oracle.comparing import situation
from tests.oracle.cubes import publish
from tests.oracle.dice import Dice
from tests.oracle.pools import POOLS, operands
from tests.oracle.sight import Sight, see
from tests.oracle.worlds import Asker, Drawn, handle_value, lawful

Row = dict[str, Any]
Change = dict[str, dict[str, list[Row]]]
"""Source key -> table -> rows."""

Odd = Mapping[ScalarType, Sequence[Any]]

ODD: Odd = {
    ScalarType.TEXT: ("x" * 300, "9" * 100, "-", "1e999"),
    ScalarType.INTEGER: (2**31 - 1, -(2**31)),
    ScalarType.LONG: (2**63 - 1, -(2**63)),
    ScalarType.DECIMAL: (Decimal("NaN"), Decimal("9" * 90), Decimal("1E-90")),
    ScalarType.FLOAT: (float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308),
    ScalarType.DATE: (date.min, date.max),
    ScalarType.TIME: (time.min, time.max),
    ScalarType.DATETIME: (datetime.fromisoformat("9999-12-30T23:59:59.999999+00:00"),),
}
"""Values on which a sum overflows, a comparison fails, a conversion finds nothing."""
BROKEN: Odd = dict.fromkeys(ScalarType, ("no value of its type",))
"""What a source may hold in memory whatever its declaration says, and a table of PostgreSQL may not."""


@dataclass(frozen=True)
class View:
    """One content of the sources, as one asker sees it. `keys`: keys that are read for relations count as seen."""

    drawn: Drawn
    asker: Asker
    keys: bool
    sights: Mapping[str, Sight] = field(default_factory=dict)

    @classmethod
    def of(cls, drawn: Drawn, asker: Asker, keys: bool) -> "View":
        whole = situation(drawn, asker)
        return cls(drawn, asker, keys, {code: see(whole, r) for code, r in drawn.snapshot.resources.items()})

    def table(self, resource: Resource) -> list[Row]:
        return self.drawn.rows[resource.binding.source][resource.binding.table]

    def having(self, resource: Resource, table: list[Row]) -> "View":
        """The same but for one resource's rows."""
        source = resource.binding.source
        rows = {**self.drawn.rows, source: {**self.drawn.rows[source], resource.binding.table: table}}
        drawn = replace(self.drawn, rows=rows)
        return replace(self, drawn=drawn, sights={**self.sights, resource.code: self.sight(resource, table)})

    def sight(self, resource: Resource, table: list[Row]) -> Sight:
        """How `resource` would look with these rows."""
        rows = {resource.binding.source: {resource.binding.table: table}}
        return see(situation(replace(self.drawn, rows=rows), self.asker), resource)

    @cached_property
    def seen(self) -> Mapping[str, Any]:
        """All that an answer may depend on: cells, handles, links of visible rows, in the table's order; cubes."""
        return {code: self._of(resource) for code, resource in self.drawn.snapshot.resources.items()}

    def _of(self, resource: Resource) -> Any:
        sight, handle = self.sights[resource.code], resource.binding.handle
        visible = _visible(sight)
        cells = [
            [(repr(sight.shown[item.name][row]), repr(sight.compare[item.name][row])) for item in resource.items]
            for row in visible
        ]
        handles = [None if handle is None else sight.rows[row][handle.name] for row in visible]
        cubes = []
        for publication in sight.publications:
            counted = [row for row in sight.rows if sight.holds(publication.grant.scope, row)]
            cubes.append(sorted(map(repr, publish(publication.grant, resource, counted))))
        return cells, handles, [self._links(resource, relation) for relation in resource.relations], cubes

    def _links(self, resource: Resource, relation: Relation) -> Any:
        target = self.drawn.snapshot.resources[relation.target]
        here, there = self.sights[resource.code], self.sights[target.code]
        if here.not_followed[relation.name] is not None or there.not_followed[relation.inverse] is not None:
            return None
        near = _read(here, relation.name, _columns(resource, relation.items))
        far = _read(there, relation.inverse, _columns(target, relation.target_items))
        links = [[place for place, other in enumerate(far) if None not in key and other == key] for key in near]
        return (links, repr(near)) if self.keys else links


def _visible(sight: Sight) -> list[int]:
    return [row for row, is_visible in enumerate(sight.visible) if is_visible]


def _read(sight: Sight, relation: str, columns: Sequence[str]) -> list[list[Any]]:
    """The raw keys of the visible rows, as far as they are read: nulls where the relation's rule does not hold."""
    follows = sight.follows[relation]
    return [[sight.rows[row][column] if follows[row] else None for column in columns] for row in _visible(sight)]


def _columns(resource: Resource, items: Iterable[str]) -> list[str]:
    return [resource.item_by_name[name].column.name for name in items]


class Veil:
    """Draws two contents that look the same. `keys` as in View; `odd`: values for cells that nobody ever reads.

    What tests of scopes and links read is changed one by one, and each change kept that does not show; all else that
    is hidden is changed at once.
    """

    def __init__(self, dice: Dice, drawn: Drawn, asker: Asker, keys: bool, odd: Sequence[Odd]) -> None:
        self.dice = dice
        self.odd = odd
        self.one = self.other = View.of(drawn, asker, keys)
        self.resources = list(drawn.snapshot.resources.values())
        self.tested = {resource.code: _tested(drawn, resource) for resource in self.resources}
        self.linking = {resource.code: link_items(resource, self.resources) for resource in self.resources}

    def pair(self) -> tuple[Change, Change]:
        """The contents of the two worlds; the first is the drawn one but for cells that became null."""
        for resource in self.resources:
            self._flip(resource)
        for resource in self.resources:
            self._untested(resource)
            self._tested(resource)
            self._fewer(resource)
            self._more(resource)
        for resource in self.resources:
            for relation in resource.relations:
                self._meet(resource, relation)
        if not self.one.keys:
            for resource in self.resources:
                for relation in resource.relations:
                    self._rename(resource, relation)
        assert self.one.seen == self.other.seen
        return self.one.drawn.rows, self.other.drawn.rows

    def _keep(self, other: View) -> bool:
        """Takes `other` for the second content if it is lawful and looks the same."""
        if not self._lawful(other) or other.seen != self.one.seen:
            return False
        self.other = other
        return True

    def _keep_both(self, one: View, other: View) -> bool:
        """Takes both contents if they are lawful and look the same."""
        if not (self._lawful(one) and self._lawful(other)) or one.seen != other.seen:
            return False
        self.one, self.other = one, other
        return True

    def _lawful(self, view: View) -> bool:
        return all(lawful(resource, view.table(resource)) for resource in self.resources)

    # --- cells -----------------------------------------------------------------------------------------------------

    def _flip(self, resource: Resource) -> None:
        """Changes whether scopes hold on rows, where all cells that then differ can be null in both contents."""
        items = [item for item in resource.items if item.name in self.tested[resource.code]]
        for row in _visible(self.other.sights[resource.code]):
            for item in items:
                if not self.other.sights[resource.code].clear[item.name][row] and self._flipped(resource, row, item):
                    break

    def _flipped(self, resource: Resource, row: int, item: Item) -> bool:
        """Whether a change of the hidden `item` flipped a scope on a row and does not show."""
        former = self.other.table(resource)[row]
        values = [*operands(item), *((None,) if item.nullable else ())]
        variants = [former, *({**former, item.column.name: value} for value in values)]
        sight = self.other.sight(resource, variants)
        flipping: list[tuple[Row, Row]] = []
        for number, variant in enumerate(variants):
            turned = _open(sight, number) ^ _open(sight, 0)
            read = {name for relation in resource.relations if relation.name in turned for name in relation.items}
            differ = [
                cell
                for cell in resource.items
                if cell.name in read or _shows(sight, cell, number) != _shows(sight, cell, 0)
            ]
            shows = item in differ or not all(cell.nullable for cell in differ)
            if sight.visible[number] and turned and not shows:
                flipping.append((variant, {cell.column.name: None for cell in differ}))
        for variant, nulls in self.dice.shuffled(flipping)[:3]:
            one, other = _copied(self.one.table(resource)), _copied(self.other.table(resource))
            one[row] |= nulls
            other[row] = variant | nulls
            if self._keep_both(self.one.having(resource, one), self.other.having(resource, other)):
                return True
        return False

    def _untested(self, resource: Resource) -> None:
        """Other values in all hidden and masked cells that no scope and no link reads."""
        sight = self.other.sights[resource.code]
        table = _copied(self.other.table(resource))
        read = self.tested[resource.code] | self.linking[resource.code]
        items = [item for item in resource.items if item.name not in read]
        for number, row in enumerate(table):
            for item in items:
                if not sight.clear[item.name][number] and self.dice.chance(5, 6):
                    row[item.column.name] = self._other(item, row[item.column.name], self.other.table(resource))
        after = self.other.sight(resource, table)
        for number, row in enumerate(table):  # what another mask or scope shows all the same stays
            for item in items:
                if _shows(sight, item, number) != _shows(after, item, number):
                    row[item.column.name] = self.other.table(resource)[number][item.column.name]
        if not self._keep(self.other.having(resource, table)):  # keys of the resource are unique, so one by one
            self._one_by_one(resource, items)

    def _tested(self, resource: Resource) -> None:
        read = self.tested[resource.code] | self.linking[resource.code]
        self._one_by_one(resource, [item for item in resource.items if item.name in read])

    def _one_by_one(self, resource: Resource, items: Sequence[Item]) -> None:
        for number in range(len(self.other.table(resource))):
            for item in items:
                if self.other.sights[resource.code].clear[item.name][number] or not self.dice.chance(2, 3):
                    continue
                table = _copied(self.other.table(resource))
                table[number][item.column.name] = self._value(item, table)
                self._keep(self.other.having(resource, table))

    def _other(self, item: Item, old: Any, table: Sequence[Row]) -> Any:
        """Another value for a cell that nothing reads; of a text, often one that most masks render alike."""
        dice = self.dice
        if isinstance(old, str) and len(old) > 2 and dice.chance(1, 2):
            middle = len(old) // 2
            return old[:middle] + ("#" if old[middle] != "#" else "+") + old[middle + 1 :]
        if dice.chance(1, 3):
            odd = [value for values in self.odd for value in values.get(item.type, ())]
            if odd and not self._in_key(item):
                return dice.pick(odd)
        return self._value(item, table)

    def _in_key(self, item: Item) -> bool:
        return any(
            item in resource.items and item.name in key.items for resource in self.resources for key in resource.keys
        )

    def _value(self, item: Item, table: Sequence[Row]) -> Any:
        """A value of the item's type: often one that stands in the column, or that operations and scopes name."""
        form = self.dice.number(0, 3)
        if form == 3 and table:
            return self.dice.pick(table)[item.column.name]
        values = list(operands(item) if form >= 1 else POOLS[item.type])
        return self.dice.pick([*values, None] if item.nullable else values)

    # --- rows ------------------------------------------------------------------------------------------------------

    def _fewer(self, resource: Resource) -> None:
        """Without some of the hidden rows."""
        visible = self.other.sights[resource.code].visible
        if all(visible) or not self.dice.chance(1, 2):
            return
        rows = zip(self.other.table(resource), visible, strict=True)
        self._keep(self.other.having(resource, [row for row, seen in rows if seen or self.dice.chance(1, 2)]))

    def _more(self, resource: Resource) -> None:
        """With more rows that are hidden, at any place: like the others, with link keys that meet visible rows."""
        dice, handle = self.dice, resource.binding.handle
        candidates: list[Row] = []
        for number in range(dice.pick((6, 3, 0))):
            table = self.other.table(resource)
            row = dict(dice.pick(table)) if table and dice.chance(2, 3) else {}
            for item in resource.items:
                if item.column.name not in row or dice.chance(1, 3):
                    row[item.column.name] = self._value(item, table)
            for relation in resource.relations:
                target = self.other.drawn.snapshot.resources[relation.target]
                if self.other.table(target) and dice.chance(1, 2):
                    met = dice.pick(self.other.table(target))
                    for mine, its in zip(relation.items, relation.target_items, strict=True):
                        row[resource.item_by_name[mine].column.name] = met[target.item_by_name[its].column.name]
            if handle is not None:
                row[handle.name] = handle_value(handle, 100 + number)
            candidates.append(row)
        for row, seen in zip(candidates, self.other.sight(resource, candidates).visible, strict=True):
            if not seen:
                table = list(self.other.table(resource))
                table.insert(dice.number(0, len(table)), row)
                self._keep(self.other.having(resource, table))

    # --- links -----------------------------------------------------------------------------------------------------

    def _meet(self, resource: Resource, relation: Relation) -> None:
        """Gives rows from which a relation may not be followed the keys of rows that it leads to."""
        target = self.other.drawn.snapshot.resources[relation.target]
        here, there = self.other.sights[resource.code], self.other.sights[target.code]
        lost = [row for row in _visible(here) if not here.follows[relation.name][row]]
        met = [row for row in _visible(there) if there.follows[relation.inverse][row]]
        for _ in range(6 if lost and met else 0):
            table = _copied(self.other.table(resource))
            row, its = table[self.dice.pick(lost)], self.other.table(target)[self.dice.pick(met)]
            for name, column in zip(relation.items, _columns(target, relation.target_items), strict=True):
                row[resource.item_by_name[name].column.name] = its[column]
            self._keep(self.other.having(resource, table))

    def _rename(self, resource: Resource, relation: Relation) -> None:
        """One key value of a relation under another name, at both ends."""
        dice = self.dice
        target = self.other.drawn.snapshot.resources[relation.target]
        place = dice.number(0, len(relation.items) - 1)
        mine, its = resource.item_by_name[relation.items[place]], target.item_by_name[relation.target_items[place]]
        found = [row[mine.column.name] for row in self.other.table(resource)]
        found += [row[its.column.name] for row in self.other.table(target)]
        found = [value for value in found if value is not None]
        if not found:
            return
        old, new = dice.pick(found), dice.pick(POOLS[mine.type])
        view = self.other
        for end, item in ((resource, mine), (target, its)):
            renamed = [
                {**row, item.column.name: new} if row[item.column.name] == old else row for row in view.table(end)
            ]
            view = view.having(end, renamed)
        self._keep(view)


def _shows(sight: Sight, item: Item, row: int) -> tuple[str, str]:
    return repr(sight.shown[item.name][row]), repr(sight.compare[item.name][row])


def _open(sight: Sight, row: int) -> set[str]:
    """What is clear on a row, and which relations may be followed from it."""
    clear = {name for name, rows in sight.clear.items() if rows[row]}
    return clear | {name for name, rows in sight.follows.items() if rows[row]}


def _copied(table: Iterable[Row]) -> list[Row]:
    return [dict(row) for row in table]


def _tested(drawn: Drawn, resource: Resource) -> set[str]:
    """The items that scopes of grants and published cubes read, usable or not."""
    grants = [grant for grant in drawn.grants if grant.resource == resource.code]
    tested = {leaf.name for grant in grants for leaf in leaves(grant.scope, ItemRef)}
    return tested.union(*(grant.statistics.items for grant in grants if grant.statistics is not None))


def link_items(resource: Resource, resources: Iterable[Resource]) -> set[str]:
    """The items that relations link by, at either end."""
    own = {name for relation in resource.relations for name in relation.items}
    return own | {
        name
        for other in resources
        for relation in other.relations
        if relation.target == resource.code
        for name in relation.target_items
    }
