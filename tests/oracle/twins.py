"""In charge of twins: two worlds that look the same to one asker, asked the same after the same things happened."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from authz.principal import OWN_DATA_ROLE, TokenScope
from connectors.protocol import Arguments, Row, SourceQuery
from resolvers.caches import Chosen, Plans
from tanglai.catalogue.expressions import TRUE, Expression, In, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Resource, ShareClass, Source, Usage
from tests.catalogues import YINCHUAN
from tests.gateways import NOW, PURPOSE, World
from tests.oracle.aims import Aim
from tests.oracle.dice import Dice, by_dice
from tests.oracle.examples import Asked, Readable, told
from tests.oracle.graphql_text import write
from tests.oracle.hidden import BROKEN, ODD, Change, Veil, View, link_items
from tests.oracle.language import ABSENT, ById, Field, Listing, Operation, Pick, Place, Walk, change, fields
from tests.oracle.operations import Writer
from tests.oracle.pools import DAY
from tests.oracle.standing import give_standing, settled
from tests.oracle.variations import vary
from tests.oracle.worlds import USUAL, Asker, Bounds, Drawn, some_asker, world

MORE = (
    "{ me { scopes purposes { code } grants { nodes { id state usedToday { day rows requests subjects"
    " remaining { rows requests } } } } } }",
    "{ myAccess { __typename } }",
)


@dataclass(frozen=True)
class Stage:
    """Somebody asked the same gateway before, maybe under other grants."""

    asker: Asker
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class Twins(Readable):
    """A world, what one asker asks in it, what went before, and other contents that look the same to the asker."""

    drawn: Drawn
    asked: Asked
    other: Change
    before: tuple[Stage, ...] = ()

    def __repr__(self) -> str:
        lines = [*told(self.drawn), *self.asked.told(self.drawn)]
        for stage in self.before:
            grants = "the same" if stage.grants == self.drawn.grants else "wider"
            lines.append(f"before: {stage.asker} under {grants} grants")
        lines.append("other contents:")
        for source, tables in self.other.items():
            for table, rows in tables.items():
                before = self.drawn.rows[source][table]
                lines += [f"  {source} {table}", *(f"    {row if row not in before else '...'}" for row in rows)]
        return "\n".join(["", *lines])


def twins(*, keys: bool, bounds: Bounds = USUAL, broken: bool = True) -> st.SearchStrategy[Twins]:
    """`keys`: keys that are read for relations are equal too, so that calls are. `broken`: in memory."""

    def build(dice: Dice) -> Twins:
        drawn = world(dice, bounds)
        if dice.chance(1, 2):
            drawn = _all_nullable(drawn)
        if dice.chance(1, 2):
            drawn = _links_hidden(dice, drawn)
        asker = _in_time(dice, drawn, _some_asker(dice, drawn))
        before = _before(dice, drawn, asker)
        # What somebody else may see, or the asker could see before, is of its type.
        odd = [] if before else [ODD, BROKEN] if broken else [ODD]
        one, other = Veil(dice, drawn, asker, keys, odd).pair()
        drawn = replace(drawn, rows=one)
        sights = dict(View.of(drawn, asker, keys).sights)
        operations: list[Operation] = []
        for _ in range(dice.number(1, 4)):
            operations.append(Writer(dice, sights).operation())
            if dice.chance(1, 3):
                operations.append(vary(Writer(dice, sights), operations[-1]))
        others = {
            code: other[resource.binding.source][resource.binding.table]
            for code, resource in drawn.snapshot.resources.items()
        }
        for _ in range(dice.number(2, 6)):
            if (aimed := Aim(dice, sights, others).operation()) is not None:
                operations.append(aimed)
        walk = Writer(dice, sights).walk() if dice.chance(1, 4) else None
        return Twins(drawn, Asked(asker, tuple(operations), walk), other, before)

    return by_dice(build)


def alike(twins: Twins, *, keys: bool) -> bool:
    """Whether the two worlds do look alike."""
    one, other = (
        View.of(replace(twins.drawn, rows=rows), twins.asked.asker, keys) for rows in (twins.drawn.rows, twins.other)
    )
    return one.seen == other.seen


def _all_nullable(drawn: Drawn) -> Drawn:
    """The same world where any cell may be null, so that hidden cells and nulls can change places."""
    resources = {
        code: replace(resource, items=tuple(replace(item, nullable=True) for item in resource.items))
        for code, resource in drawn.snapshot.resources.items()
    }
    return replace(drawn, snapshot=replace(drawn.snapshot, resources=resources))


def _links_hidden(dice: Dice, drawn: Drawn) -> Drawn:
    """The same world where grants open no items that relations link by, and relations from about half of the rows."""
    snapshot = drawn.snapshot
    linking = {code: link_items(resource, snapshot.resources.values()) for code, resource in snapshot.resources.items()}
    resources = {
        code: replace(
            resource,
            items=tuple(
                replace(item, share_class=ShareClass.CONDITIONAL) if item.name in linking[code] else item
                for item in resource.items
            ),
        )
        for code, resource in snapshot.resources.items()
    }
    grants = [
        grant
        if grant.statistics is not None
        else replace(grant, relations=frozenset(), items=grant.items - linking.get(grant.resource, frozenset()))
        for grant in drawn.grants
    ]
    for resource in resources.values():
        table = drawn.rows[resource.binding.source][resource.binding.table]
        for relation in resource.relations:
            grants.append(
                Grant(
                    id=f"l{len(grants)}",
                    requester=YINCHUAN.code,
                    resource=resource.code,
                    items=frozenset(),
                    relations=frozenset({relation.name}),
                    purpose=PURPOSE,
                    valid_from=NOW - DAY,
                    valid_to=None,
                    basis=GrantBasis.CONSULTATION,
                    scope=_half(dice, resource, table) if dice.chance(2, 3) else TRUE,
                )
            )
    return replace(drawn, snapshot=replace(snapshot, resources=resources), grants=tuple(grants))


def _half(dice: Dice, resource: Resource, table: Sequence[Mapping[str, Any]]) -> Expression:
    """About half of the rows, by the values of one item."""
    item = dice.pick([item for item in resource.items if item.type.comparable])
    values = [value for row in table[::2] if (value := row[item.column.name]) is not None]
    return In(ItemRef(item.name, item.type), tuple(Value(value, item.type) for value in values)) if values else TRUE


def _some_asker(dice: Dice, drawn: Drawn) -> Asker:
    """Any asker; sometimes one whose token names most items and few relations, or who gives no purpose."""
    asker = some_asker(dice, drawn)
    match dice.number(0, 9):
        case 9:
            named: list[TokenScope] = []
            for resource in drawn.snapshot.resources.values():
                names = [item.name for item in resource.items if dice.chance(7, 8)]
                names += [relation.name for relation in resource.relations if dice.chance(1, 3)]
                named += [TokenScope(resource.code, name) for name in names]
            return replace(asker, principal=replace(asker.principal, scopes=frozenset(named)))
        case 8:
            principal = replace(asker.principal, purposes=frozenset({PURPOSE, "licensing"}))
            return replace(asker, principal=principal, header=dice.pick((None, "licensing")), extension=None)
    return asker


def _better_off(dice: Dice, asker: Asker) -> Asker:
    """The same client with another token: for the usual purpose, of no scope, or of the role for its own data."""
    principal = asker.principal
    usual = replace(asker, principal=replace(principal, purposes=frozenset({PURPOSE})), header=None, extension=None)
    others = (
        usual,
        replace(asker, principal=replace(principal, scopes=None)),
        replace(asker, principal=replace(principal, roles=frozenset({OWN_DATA_ROLE}))),
    )
    return dice.pick([other for other in others if other != asker] or others)


def _in_time(dice: Dice, drawn: Drawn, asker: Asker) -> Asker:
    """`asker`, often at the moment at which some of its grants end."""
    ends = [g.valid_to for g in drawn.grants if g.requester == asker.principal.department.code and g.valid_to]
    return replace(asker, now=max(dice.pick(ends), asker.now)) if ends and dice.chance(1, 4) else asker


def _before(dice: Dice, drawn: Drawn, asker: Asker) -> tuple[Stage, ...]:
    """Who asked before: the same, a moment ago or under grants that opened more then, and somebody much like it."""
    stages: list[Stage] = []
    if dice.chance(1, 3):
        stages.append(Stage(asker, _narrowed(dice, drawn) if dice.chance(2, 3) else _ended(dice, drawn)))
    if dice.chance(1, 3):
        stages.append(Stage(replace(asker, now=asker.now - timedelta(microseconds=1)), drawn.grants))
    if dice.chance(1, 2):
        other = some_asker(dice, drawn, [asker]) if dice.chance(1, 3) else _better_off(dice, asker)
        stages.append(Stage(other, drawn.grants))
    in_time = [stage for stage in stages if stage.asker.now <= asker.now]  # the platform's clock never goes back
    return tuple(sorted(in_time, key=lambda stage: stage.asker.now))


def _narrowed(dice: Dice, drawn: Drawn) -> tuple[Grant, ...]:
    """The grants before scopes of some were narrowed: of all, of those of relations alone, or of a single one."""
    form, one = dice.number(0, 2), dice.pick(drawn.grants) if drawn.grants else None
    return tuple(
        replace(grant, scope=TRUE) if form == 0 or (form == 1 and not grant.items) or grant is one else grant
        for grant in drawn.grants
    )


def _ended(dice: Dice, drawn: Drawn) -> tuple[Grant, ...]:
    """The grants before some were suspended, ended or bound to statistics."""
    return tuple(
        replace(grant, state=GrantState.ACTIVE, valid_to=None, usage=Usage.READ) if dice.chance(2, 3) else grant
        for grant in drawn.grants
    )


# --- listening -------------------------------------------------------------------------------------------------------


@dataclass
class Ear:
    """Stands where a pool of sources stands: writes down each call, its arguments, and the rows that came back."""

    sources: Any
    heard: list[tuple[str, ...]] = field(default_factory=list)

    def connector(self, source: Source) -> "_Line":
        return _Line(self.sources.connector(source), self)

    def take(self) -> list[tuple[str, ...]]:
        """What was heard since; calls that run at once come in no order."""
        heard, self.heard = sorted(self.heard), []
        return heard


@dataclass
class _Line:
    connector: Any
    ear: Ear

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        rows: list[Row] = await self.connector.fetch(query, arguments, timeout=timeout)
        given = sorted(f"{name}={_unordered(value)}" for name, value in arguments.items())
        self.ear.heard.append((query.source, _plain(query), *given, *_returned(query, rows)))
        return rows


def _plain(query: SourceQuery) -> str:
    """The query as text; of a namespace what the tables of two worlds have in common."""
    return re.sub(r"'x\d+ (\w+)'", r"'\1'", repr(query))


def _unordered(value: Any) -> str:
    return repr(sorted(map(repr, value)) if isinstance(value, list) else value)


def _returned(query: SourceQuery, rows: Sequence[Row]) -> list[str]:
    """The rows that the gateway got. A cube is made in the gateway: its cells before rounding are no part of V."""
    is_cube = query.group_by is not None and not query.links and query.limit is None and len(query.outputs) > 1
    return [] if is_cube else sorted(repr(tuple(row)) for row in rows)


# --- asking ----------------------------------------------------------------------------------------------------------


_KEEP_SECONDS = 3_600.0


@dataclass
class Pair:
    """Two worlds before whom the same is asked."""

    twins: Twins
    one: World
    other: World
    calls: bool
    ears: tuple[Ear, Ear] = field(init=False)

    def __post_init__(self) -> None:
        self.ears = Ear(self.one.sources), Ear(self.other.sources)
        for asked, ear in zip((self.one, self.other), self.ears, strict=True):
            asked.gateway._sources = ear  # type: ignore[assignment]
            # What is left of a block goes back after a while, which is not the same while for both on a busy machine.
            asked.ledger.idle = asked.ledger.soon = _KEEP_SECONDS

    async def look_alike(self) -> None:
        """Asks both worlds the same, and holds answers, calls and what is left of quotas together."""
        try:
            await self._look_alike()
        finally:
            for asked in (self.one, self.other):
                await settled(asked)

    async def _look_alike(self) -> None:
        twins, asker = self.twins, self.twins.asked.asker
        if self.one.replica.snapshot is self.other.replica.snapshot:  # schema and documents are read once for both
            served = await self.one.gateway._serve(self.one.replica.snapshot)
            kept = self.one.gateway._limits.plans_cached
            self.other.gateway._served = replace(served, plans=Plans(kept), chosen=Chosen(kept))
        for stage in twins.before:
            self._grant(stage.grants)
            for operation in twins.asked.operations:
                for asked in (self.one, self.other):
                    await self._ask(asked, stage.asker, operation)
        if twins.before:
            await give_standing(self.one, self.other)
        self._grant(twins.drawn.grants)
        for operation in twins.asked.operations:
            await self._same(await self._complete(operation))
        if twins.asked.walk is not None:
            await self._walk(twins.asked.walk)
        for text in MORE:
            answers = [await _text(asked, asker, text, {}) for asked in (self.one, self.other)]
            assert answers[0] == answers[1], f"`{text}` tells of what is hidden"

    def _grant(self, grants: Sequence[Grant]) -> None:
        for asked in (self.one, self.other):
            held, kept = World(self.twins.drawn.snapshot, {}, grants).replica.held, asked.replica.held
            for requester in {*held, *kept}:  # what stays equal stays the same object, as in a replica
                if kept.get(requester, ()) != held.get(requester, ()):
                    kept[requester] = held.get(requester, ())

    async def _outcome(self, asked: World, operation: Operation) -> tuple[bytes, Exception | None]:
        """The answer, or what the gateway failed with."""
        try:
            return await self._ask(asked, self.twins.asked.asker, operation), None
        except Exception as error:
            return repr(error).encode(), error

    async def _ask(self, asked: World, asker: Asker, operation: Operation) -> bytes:
        text, variables = write(operation, self.twins.drawn.snapshot)
        return await _text(asked, asker, text, variables, refuse=operation.refuse)

    async def _same(self, operation: Operation) -> bytes:
        """The answer of both, which must be one."""
        for ear in self.ears:
            ear.take()
        outcomes = [await self._outcome(asked, operation) for asked in (self.one, self.other)]
        (first, failed), (second, _) = outcomes
        if first != second:
            raise AssertionError(
                f"answers tell of what is hidden: {_told(operation, self.twins)}\n{first!r}\n{second!r}"
            )
        if failed is not None:
            raise failed
        # In the order in which they came back, which is nobody's choice where several are on their way at once.
        heard = [sorted(ear.take(), key=repr) for ear in self.ears]
        if self.calls and heard[0] != heard[1]:
            apart = [[call for call in calls if call not in other] for calls, other in (heard, heard[::-1])]
            raise AssertionError(f"source calls tell of what is hidden: {_told(operation, self.twins)}\n{apart}")
        return first

    # --- cursors and ids -------------------------------------------------------------------------------------------

    async def _complete(self, operation: Operation) -> Operation:
        """`operation` with real cursors for picks, and real ids for `node`."""
        sealed = change(operation, self._sealed)
        for selected in fields(sealed):
            listing = selected.arguments
            if isinstance(listing, Listing) and Pick in (type(listing.after), type(listing.before)):
                tokens = await self._tokens(sealed, selected)
                after, before = (_picked(cursor, tokens) for cursor in (listing.after, listing.before))
                sealed = _with(sealed, selected, replace(listing, after=after, before=before))
        return sealed

    def _sealed(self, selected: Field) -> Field:
        by_id = selected.arguments
        if not isinstance(by_id, ById):
            return selected
        resource, named = self.twins.drawn.snapshot.resources.get(by_id.resource), by_id.row
        if resource is not None:  # not retired
            assert resource.binding.handle is not None
            table = self.twins.drawn.rows[resource.binding.source][resource.binding.table]
            named = table[by_id.row][resource.binding.handle.name]
        token = self.one.gateway._seals.seal("r", b"", [by_id.resource, named])
        return replace(selected, arguments=replace(by_id, token=token))

    async def _tokens(self, operation: Operation, of: Field) -> list[str]:
        """The cursors of the first rows of a list, asked for without cursors."""

        def alter(selected: Field) -> Field:
            if isinstance(selected.arguments, Listing):
                selected = replace(selected, arguments=replace(selected.arguments, after=ABSENT, before=ABSENT))
            if selected.key != of.key:
                return selected
            assert isinstance(selected.arguments, Listing)
            edges = Field("edges", selections=(Field("cursor"),))
            whole = replace(selected.arguments, first=20, last=ABSENT)
            return replace(selected, arguments=whole, selections=(edges,), only=())

        body = await self._same(change(operation, alter))
        return [edge["cursor"] for edge in _edges(_read(body).get("data"), of.key) if edge["cursor"] is not None]

    async def _walk(self, walk: Walk) -> None:
        """Follows cursors from either end."""
        names = self.twins.drawn.snapshot.resources[walk.resource].names
        info = Field(
            "pageInfo", selections=tuple(map(Field, ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor")))
        )
        edges = Field("edges", selections=(Field("cursor"), Field("node", selections=walk.selections)))
        for forwards in (True, False):
            cursor: Any = ABSENT
            for _ in range(30):
                page = {"first": walk.size, "after": cursor} if forwards else {"last": walk.size, "before": cursor}
                listing = Listing(walk.where, walk.order, **page)
                listed = Field(names.list, None, listing, (edges, info, Field("totalCount")))
                group = Field(names.group, selections=(listed,))
                body = _read(await self._same(Operation((Field("data", selections=(group,)),), walk.fragments)))
                if "data" not in body or (found := body["data"]["data"][names.group][names.list]) is None:
                    return
                if not found["pageInfo"]["hasNextPage" if forwards else "hasPreviousPage"] or not found["edges"]:
                    break
                cursor = Place(found["pageInfo"]["endCursor" if forwards else "startCursor"], 0)


def _read(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body))


async def _text(asked: World, asker: Asker, text: str, variables: Mapping[str, Any], *, refuse: bool = False) -> bytes:
    extensions: dict[str, Any] = {"onDenied": "REFUSE"} if refuse else {}
    if asker.extension is not None:
        extensions["purpose"] = asker.extension
    asked.replica.now = asker.now
    answer = await asked.ask(text, variables, who=asker.principal, purpose=asker.header, extensions=extensions)
    return answer.response.body


def _told(operation: Operation, twins: Twins) -> str:
    text, variables = write(operation, twins.drawn.snapshot)
    return f"{text}\n{variables}"


def _with(operation: Operation, of: Field, arguments: Listing) -> Operation:
    return change(
        operation,
        lambda f: replace(f, arguments=arguments) if f.key == of.key and isinstance(f.arguments, Listing) else f,
    )


def _picked(cursor: Any, tokens: list[str]) -> Any:
    if not isinstance(cursor, Pick):
        return cursor
    return Place(tokens[cursor.place], 0) if cursor.place < len(tokens) else ABSENT


def _edges(got: Any, key: str) -> list[dict[str, Any]]:
    """The edges of the first list under response key `key` that has any."""
    if isinstance(got, list):
        return next((found for part in got if (found := _edges(part, key))), [])
    if not isinstance(got, dict):
        return []
    here = got.get(key)
    if isinstance(here, dict) and here.get("edges"):
        return list(here["edges"])
    return next((found for part in got.values() if (found := _edges(part, key))), [])
