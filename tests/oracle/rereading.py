"""In charge of cursors that are used again after grants, rows or who asks have changed: each page is decided anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tanglai.catalogue.expressions import TRUE, Expression
from tanglai.catalogue.model import Grant, GrantState, Resource
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.scalars import to_json
from tests.gateways import PURPOSE
from tests.oracle.comparing import TALLY, Duel, situation
from tests.oracle.dice import Dice
from tests.oracle.foresight import cell_of, item_of, none
from tests.oracle.grounds import Ground
from tests.oracle.language import Place, Walk
from tests.oracle.oracle import Oracle
from tests.oracle.sight import Sight, choose_purpose
from tests.oracle.worlds import MOMENTS, Asker, Drawn, handle_value, lawful


@dataclass(frozen=True)
class Turn:
    """What changes, and which page is asked for then.

    `put`: grants that are new or take the place of those of the same id; `drop`: ids of grants that are gone;
    `rows`: what the table of `resource` holds from now on. `cursor` counts the cursors had so far, the newest being 0.
    """

    asker: Asker
    cursor: int
    forwards: bool
    size: int
    put: tuple[Grant, ...] = ()
    drop: tuple[str, ...] = ()
    resource: str | None = None
    rows: tuple[Mapping[str, Any], ...] = ()

    def after(self, drawn: Drawn) -> Drawn:
        """`drawn` as it is after the change; tables that do not change stay the same objects."""
        put = {grant.id: grant for grant in self.put}
        grants = [put.pop(grant.id, grant) for grant in drawn.grants if grant.id not in self.drop]
        rows = drawn.rows
        if self.resource is not None:
            binding = drawn.snapshot.resources[self.resource].binding
            changed = [dict(row) for row in self.rows]
            rows = {**rows, binding.source: {**rows[binding.source], binding.table: changed}}
        return Drawn(drawn.snapshot, rows, (*grants, *put.values()))


@dataclass(frozen=True)
class Reading:
    """The first page of a list, then pages after or before cursors had so far, something changing before each."""

    walk: Walk
    turns: tuple[Turn, ...]


# --- carried out ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Had:
    """A cursor, what it stands for (the compare cells of the order, the handle), and to whom it was given."""

    token: str
    cells: Mapping[str, Any]
    handle: Any
    owner: tuple[str, str | None]


class Later(Oracle):
    """An oracle for a world in which the row that a cursor was had from may be another or gone."""

    def stand(self, resource: Resource, had: _Had) -> int:
        """The row that stands where the cursor points: a row of the table, or a hidden one put in at that place."""
        sight, handle = self.sights[resource.code], resource.binding.handle
        assert handle is not None
        for row, columns in enumerate(sight.rows):
            cells = {name: sight.compare[name][row] for name in had.cells}
            if columns[handle.name] == had.handle and cells == had.cells:
                return row
        return _put_in(sight, {handle.name: had.handle}, had.cells)


def _put_in(sight: Sight, handle: Mapping[str, Any], cells: Mapping[str, Any]) -> int:
    nothing = {item.column.name: None for item in sight.resource.items}
    sight.rows = [*sight.rows, {**nothing, **handle}]
    sight.visible.append(False)
    for item in sight.resource.items:
        sight.shown[item.name].append(None)
        sight.clear[item.name].append(False)
        sight.compare[item.name].append(cells.get(item.name))
    for follows in sight.follows.values():
        follows.append(False)
    return len(sight.rows) - 1


async def reread(duel: Duel, reading: Reading, ground: Ground) -> None:
    """Carries out `reading` from the situation of `duel`; puts everything back as it was."""
    before = ground.drawn
    try:
        had = await _page(duel, reading.walk, first=reading.walk.size)
        for turn in reading.turns:
            await ground.become(turn.after(ground.drawn))
            whole = situation(ground.drawn, turn.asker)
            oracle = Later(whole, duel.oracle.books)
            now = Duel(ground.drawn, turn.asker, duel.world, oracle, plain=duel.plain, texts=duel.texts)
            if not had:
                had = await _page(now, reading.walk, first=turn.size)
                continue
            cursor = had[max(len(had) - 1 - turn.cursor, 0)]
            resource = ground.drawn.snapshot.resources[reading.walk.resource]
            mine = cursor.owner == _owner(now)
            place = Place(cursor.token, oracle.stand(resource, cursor) if mine else None)
            TALLY.reused += 1
            if turn.forwards:
                had += await _page(now, reading.walk, first=turn.size, after=place)
            else:
                had += await _page(now, reading.walk, last=turn.size, before=place)
    finally:
        await ground.become(before)


async def _page(duel: Duel, walk: Walk, **page: Any) -> list[_Had]:
    """Asks for a page; the cursors in it."""
    found = await duel.page(walk, **page)
    if found is None:
        return []
    resource = duel.drawn.snapshot.resources[walk.resource]
    sight, handle = duel.oracle.sights[walk.resource], resource.binding.handle
    assert handle is not None
    ordered = [item_of(resource, name) for name, _ in none(walk.order) or ()]
    cells = {item.name: cell_of(sight, item.name) for item in ordered if item is not None}
    had: list[_Had] = []
    for edge in found["edges"]:
        row = duel.tokens[edge["cursor"]]
        values = {name: cell(row) for name, cell in cells.items()}
        had.append(_Had(edge["cursor"], values, sight.rows[row][handle.name], _owner(duel)))
    return had


def _owner(duel: Duel) -> tuple[str, str | None]:
    asker = duel.asker
    purpose, _ = choose_purpose(asker.principal, duel.drawn.snapshot, asker.header, asker.extension)
    return asker.principal.department.code, purpose


# --- drawn ---------------------------------------------------------------------------------------------------------


def some_reading(dice: Dice, drawn: Drawn, walk: Walk, asker: Asker, until: datetime) -> Reading:
    """Up to six turns for the list of `walk`, none of them later than `until`."""
    turns: list[Turn] = []
    for number in range(dice.number(2, 6)):
        size, cursor = dice.pick((2, 1, 3, 5)), dice.pick((0, 0, 1, 2, 4))
        turn = Turn(asker, cursor, dice.chance(3, 4), size)
        form = dice.number(0, 9)
        if form >= 6:
            turn = replace(turn, put=_put(dice, drawn, walk, asker, number))
        elif form == 5:
            turn = replace(turn, drop=tuple(dice.some([grant.id for grant in drawn.grants], 0, 2)))
        elif form >= 2:
            turn = _other_rows(dice, drawn, walk, turn, number)
        elif form == 1:
            asker = _other_asker(dice, asker, until)
            turn = replace(turn, asker=asker)
        turns.append(turn)
        drawn = turn.after(drawn)
    return Reading(walk, tuple(turns))


def _put(dice: Dice, drawn: Drawn, walk: Walk, asker: Asker, number: int) -> tuple[Grant, ...]:
    """A grant of the asker that is suspended, ended, resumed, narrowed or widened, or one more."""
    mine = [grant for grant in drawn.grants if grant.requester == asker.principal.department.code]
    about = [grant for grant in mine if grant.resource == walk.resource]
    if not mine:
        return ()
    grant = dice.pick(about if about and dice.chance(3, 4) else mine)
    resource = drawn.snapshot.resources[grant.resource]
    every_item = frozenset(item.name for item in resource.items)
    match dice.number(0, 6):
        case 0:
            states = [state for state in (GrantState.SUSPENDED, GrantState.ENDED) if state is not grant.state]
            return (replace(grant, state=dice.pick(states)),)
        case 1:
            return (replace(grant, state=GrantState.ACTIVE),)
        case 2:
            fewer = frozenset(dice.some(sorted(grant.items)))
            return (replace(grant, items=fewer, masks={n: mask for n, mask in grant.masks.items() if n in fewer}),)
        case 3:
            return (replace(grant, items=every_item, masks={}),)
        case 4:
            return (replace(grant, scope=_scope(dice, resource, drawn)),)
        case 5:
            return (replace(grant, valid_to=asker.now),)
        case _:
            return (replace(grant, id=f"n{number}", items=every_item, scope=_scope(dice, resource, drawn)),)


def _scope(dice: Dice, resource: Resource, drawn: Drawn) -> Expression:
    """All rows, or those that have or have not a value that stands in the table."""
    items = [item for item in resource.items if item.type.comparable]
    item = dice.pick(items)
    rows = drawn.rows[resource.binding.source][resource.binding.table]
    values = [row[item.column.name] for row in rows if row[item.column.name] is not None]
    if not values or dice.chance(1, 4):
        return TRUE
    given = [to_json(item.type, value) for value in dice.some(values, 1, 3)]
    operator = dice.pick(("in", "notIn"))
    return predicate_from_document({item.name: {operator: given}}, resource)


def _other_rows(dice: Dice, drawn: Drawn, walk: Walk, turn: Turn, number: int) -> Turn:
    """A row less, one more, or another value in one, in the table of the list or of one that it is linked to."""
    resource = drawn.snapshot.resources[walk.resource]
    if resource.relations and dice.chance(1, 4):
        resource = drawn.snapshot.resources[dice.pick(resource.relations).target]
    binding = resource.binding
    rows = [dict(row) for row in drawn.rows[binding.source][binding.table]]
    if not rows:
        return turn
    at = dice.number(0, len(rows) - 1)
    match dice.number(0, 2):
        case 0:
            del rows[at]
        case 1:
            item = dice.pick(resource.items)
            rows[at][item.column.name] = dice.pick(rows)[item.column.name]
        case _:
            row = {item.column.name: dice.pick(rows)[item.column.name] for item in resource.items}
            if binding.handle is not None:
                row[binding.handle.name] = handle_value(binding.handle, dice.number(40, 60) + number)
            rows.insert(at, row)
    if not lawful(resource, rows):
        return turn
    return replace(turn, resource=resource.code, rows=tuple(rows))


def _other_asker(dice: Dice, asker: Asker, until: datetime) -> Asker:
    """The same at a later moment, under another purpose, or with a token that is narrowed no more."""
    match dice.number(0, 2):
        case 0:
            later = [moment for moment in MOMENTS if asker.now <= moment <= until]
            return replace(asker, now=dice.pick(later)) if later else asker
        case 1:
            purposes = frozenset({PURPOSE, "licensing"})
            principal = replace(asker.principal, purposes=purposes)
            return Asker(principal, asker.now, dice.pick((PURPOSE, "licensing")), None)
        case _:
            return replace(asker, principal=replace(asker.principal, scopes=None))
