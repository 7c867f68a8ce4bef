"""In charge of running a plan: source calls, batches and texts. Takes no decision; the plan has them all."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authz.cubes import answer as answer_of
from connectors.pool import SourcePool
from connectors.protocol import KEYS, RawOutput, Row, SourceQuery
from resolvers.limits import Limits, page_size_error
from resolvers.loaders import RelationLoader, Texts
from resolvers.metering import Meter
from resolvers.plan import (
    AFTER,
    BEFORE,
    AggregateCall,
    At,
    Called,
    CubeCall,
    EntitiesCall,
    EntityCall,
    KeySet,
    LookupCall,
    NodeCall,
    Page,
    Plan,
    RelationPiece,
    RowsCall,
    RowShape,
    check_needle,
    filled,
    limit_path,
)
from resolvers.publications import Publications
from resolvers.rendering import PageBinding, Renderer, aggregate, link_key
from resolvers.seals import CURSOR, ROW, BrokenSeal, Seals, unpack
from resolvers.values import AnySlot, IdSlot, representation_kind
from schema.fields import Part
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import Aggregate, AggregateFunction, Slot, Value
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.scalars import convert, parse

JOINED_FROM = 8
"""Pages of fewer rows come row by row: for the source it is less work."""


@dataclass(frozen=True, slots=True)
class FieldFailure:
    """A field that could not be answered although it was allowed: null, with one error."""

    error: TanglaiError
    at: At

    def __post_init__(self) -> None:
        # It leads to frames that lead here: many failures at once would be many cycles for the collector.
        self.error.__traceback__ = None


@dataclass(slots=True)
class Delivered:
    """What an execution gave: roots in response order, the JSON of each in parts; failures, rows, calls made."""

    roots: list[tuple[str, list[bytes]]]
    failures: list[FieldFailure]
    rows: dict[str, int]
    calls: int


@dataclass(slots=True)
class Execution:
    """One request's run of one plan. `arguments` are the request's values by slot path."""

    plan: Plan
    arguments: Mapping[str, Any]
    snapshot: Snapshot
    sources: SourcePool
    seals: Seals
    limits: Limits
    department: str
    purpose: str | None
    publications: Publications
    now: datetime
    failures: list[FieldFailure] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    made: int = 0
    _pages: dict[int, PageBinding] = field(default_factory=dict)
    _loaders: dict[str, RelationLoader] = field(default_factory=dict)
    _once: dict[str, "asyncio.Task[Any]"] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.plan.quotas)

    # --- before the first source call ------------------------------------------------------------------------------

    def prepare(self) -> int:
        """Binds pages and checks bounds; returns the most rows that the plan can deliver.

        Raises BAD_INPUT, BAD_CURSOR and LIMIT_EXCEEDED, before any source is touched.
        """
        for path, at in self.plan.needles:
            check_needle(self.arguments[path], at)
        bound = 0
        once: set[str] = set()
        for answer, top in self.plan.tops:
            parents = len(self._given(answer)) if isinstance(answer, EntitiesCall) else 1
            for call, paged in top:
                for below, page in paged:
                    self._pages[id(below)] = self._page(below, page)
                metered = isinstance(answer, EntitiesCall | NodeCall) or call.signature not in once
                once.add(call.signature)  # those of equal signature run once
                bound += self._bound(call, parents, metered)
        if bound > self.limits.rows:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED,
                f"the operation could deliver {bound} rows, more than {self.limits.rows}: ask for smaller pages",
            )
        return bound

    def _bound(self, call: RowsCall | AggregateCall | CubeCall, parents: int, metered: bool) -> int:
        """The most rows that `call` and what lies beyond it deliver; `metered`: the quotas are to cover them."""
        if not isinstance(call, RowsCall):
            own = call.bound
        else:
            own = parents * (self._pages[id(call)].size if call.page is not None else 1)
        if metered:
            self.meter.expect(call, own if not isinstance(call, RowsCall) or call.delivers else 0)
        if not isinstance(call, RowsCall):
            return 0
        return own + sum([self._bound(child, own, metered) for child in call.children])

    def _given(self, answer: EntitiesCall) -> Sequence[Any]:
        """The representations. Raises LIMIT_EXCEEDED."""
        source = answer.source
        given: Sequence[Any] = self.arguments[source.path] if isinstance(source, AnySlot) else source
        if not isinstance(given, list | tuple):
            given = [given]
        if len(given) > self.limits.representations:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED, f"more than {self.limits.representations} representations in one request"
            )
        return given

    def _page(self, call: RowsCall, page: Page) -> PageBinding:
        at = call.at
        size = self.arguments[page.size.path] if isinstance(page.size, Slot) else page.size
        if not isinstance(size, int) or not 0 <= size <= self.limits.page:
            raise page_size_error(self.limits, at)
        if page.after is None and page.before is None and not call.sealed:
            return PageBinding(size, None, None, b"")
        text = repr((self.department, self.purpose, page.context, filled(page.filter, self.arguments)))
        context = hashlib.sha256(text.encode()).digest()
        return PageBinding(
            size, self._cursor(page, page.after, context, at), self._cursor(page, page.before, context, at), context
        )

    def _cursor(self, page: Page, cursor: "Slot | str | None", context: bytes, at: At) -> tuple[Any, ...] | None:
        if cursor is None:
            return None
        token = self.arguments[cursor.path] if isinstance(cursor, Slot) else cursor
        try:
            values = self.seals.open(CURSOR, context, token)
            if not isinstance(values, list) or len(values) != len(page.columns):
                raise BrokenSeal
            return tuple(unpack(c.type, value) for c, value in zip(page.columns, values, strict=True))
        except BrokenSeal:
            raise TanglaiError(
                ErrorCode.BAD_CURSOR,
                "the cursor does not belong to this list, order, filter and purpose",
                fieldPath=str(at),
            ) from None

    # --- running ---------------------------------------------------------------------------------------------------

    async def run(self) -> Delivered:
        """Answers every root; a failing source makes its field null. Cancelling cancels every source call."""
        called = self.plan.called
        try:
            if len(called) == 1:  # needs no task of its own
                texts = [await self._answer(called[0])]
            else:
                tasks = [asyncio.ensure_future(self._answer(call)) for call in called]
                try:
                    texts = await asyncio.gather(*tasks)
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            for once in self._once.values():
                once.cancel()
            for loader in self._loaders.values():
                loader.cancel()
        rest = iter(texts)
        roots: list[tuple[str, list[bytes]]] = []
        for key, pieces in self.plan.pieces:
            parts: list[bytes] = []
            for piece in pieces:
                if isinstance(piece, bytes):
                    parts.append(piece)
                else:
                    parts += next(rest)
            roots.append((key, parts))
        return Delivered(roots, self.failures, self.rows, self.made)

    async def _answer(self, answer: Called) -> Sequence[bytes]:
        """The JSON of what is called, in parts that stand one behind the other."""
        if isinstance(answer, EntitiesCall):
            return await self._entities(answer)
        call = answer.call if isinstance(answer, LookupCall | NodeCall) else answer
        try:
            if isinstance(answer, RowsCall) and len(self.plan.called) == 1:
                return await self._root_rows(answer)
            if len(self.plan.called) == 1 or isinstance(answer, NodeCall):
                return await self._called(answer)
            # Equal calls of one request run once.
            task = self._once.get(call.signature)
            if task is None:
                task = self._once[call.signature] = asyncio.ensure_future(self._called(answer))
            result: Sequence[bytes] = await asyncio.shield(task)
            return result
        except TanglaiError as error:
            self.failures.append(FieldFailure(error, call.at))
            return (b"null",)

    async def _called(self, answer: RowsCall | LookupCall | NodeCall | AggregateCall | CubeCall) -> Sequence[bytes]:
        match answer:
            case RowsCall():
                return await self._root_rows(answer)
            case LookupCall(call=call):
                return await self._root_rows(call)
            case NodeCall(id=value, call=call):
                return ((await self._node(value, call)).encode(),)
            case AggregateCall():
                return ((await self._aggregate(answer)).encode(),)
            case CubeCall():
                return ((await self._cube(answer)).encode(),)

    async def _root_rows(self, call: RowsCall) -> Sequence[bytes]:
        page = self._pages.get(id(call))
        if page is not None and call.joined is not None:
            return await self._joined(call, page)
        texts = await self._texts(call, None)
        return (texts[None].encode(),)

    async def _node(self, value: "IdSlot | str", call: RowsCall) -> str:
        token = self.arguments[value.path] if isinstance(value, IdSlot) else value
        handle = call.resource.binding.handle
        assert handle is not None
        try:
            _, packed = self.seals.open(ROW, b"", token)
            key = unpack(handle.type, packed)
        except (BrokenSeal, ValueError):
            raise BadInput("`id` is not an id of this platform") from None
        texts = await self._texts(call, [key])
        return texts.get(key, "null")

    async def _entities(self, answer: EntitiesCall) -> Sequence[bytes]:
        keys = [_entity_key(answer, value) for value in self._given(answer)]
        batches: dict[tuple[str, tuple[str, ...]], dict[Any, None]] = {}
        for key in keys:
            if key is not None:
                batches.setdefault(key[0], {})[key[1]] = None
        if None in keys:
            error = BadInput("a representation names no entity by exactly one of its keys")
            self.failures.append(FieldFailure(error, answer.at))
        found: dict[tuple[str, tuple[str, ...]], Texts] = {}

        async def read(kind: tuple[str, tuple[str, ...]], call: RowsCall, batch: list[Any]) -> None:
            try:
                found[kind] = await self._texts(call, batch)
            except TanglaiError as error:
                self.failures.append(FieldFailure(error, call.at))

        jobs = []
        for kind, batch in batches.items():
            call = answer.calls[kind].call
            if call is not None:
                jobs.append(read(kind, call, list(batch)))
        await asyncio.gather(*jobs)
        texts = ["null" if key is None else found.get(key[0], {}).get(key[1], "null") for key in keys]
        return (f"[{','.join(texts)}]".encode(),)

    async def _aggregate(self, call: AggregateCall) -> str:
        extra = await self._keysets(call.keysets)
        rows = await self._fetch(call.query, extra)
        if len(rows) > self.limits.groups:
            raise TanglaiError(ErrorCode.LIMIT_EXCEEDED, f"more than {self.limits.groups} groups")
        self.meter.groups(call, rows, self.arguments)
        self._count(call.resource.code, len(rows))
        return "[" + ",".join([aggregate(call.shape, row) for row in rows]) + "]"

    async def _cube(self, call: CubeCall) -> str:
        cube = await self.publications.cube(call.rule, self.now, lambda: self._fetch(call.query, {}))
        where = [(position, self._values(call, position, given)) for position, given in call.where]
        rows = answer_of(call.rule, cube, where, call.by)
        self.meter.groups(call, rows, self.arguments)
        self._count(call.resource.code, len(rows))
        return "[" + ",".join([aggregate(call.shape, row) for row in rows]) + "]"

    def _values(self, call: CubeCall, position: int, given: tuple[Value | Slot, ...]) -> list[Any]:
        """The values allowed for the dimension at `position`; what is no value of its type is none of them."""
        kind = call.rule.dimensions[position].type
        values: list[Any] = []
        for part in given:
            value = self.arguments[part.path] if isinstance(part, Slot) else part.value
            values += value if isinstance(part, Slot) and part.many else [value]
        return [convert(kind, value) for value in values]

    # --- rows ------------------------------------------------------------------------------------------------------

    async def _texts(self, call: RowsCall, keys: list[Any] | None) -> Texts:
        """What `call` answers, by link key; under None what an unlinked or childless key gets (for a root: all)."""
        extra = await self._keysets(call.keysets)
        if keys is not None:
            extra[KEYS] = keys
        binding = self._pages.get(id(call))
        query = call.query
        if binding is not None and call.page is not None:
            if keys is not None and call.joined is not None:
                return await self._joined_by_key(call, binding, extra)
            query = call.variant(binding.after, binding.before)
            _bind(call.page, binding, binding.size + 1, extra)
        if call.total is not None:
            rows, totals = await asyncio.gather(self._fetch(query, extra), self._fetch(call.total, extra))
        else:
            rows, totals = await self._fetch(query, extra), []
        offset = len(query.links)
        counted = {_key_of(row, offset): row[offset] for row in totals}
        grouped: dict[Any, list[Row]] = {}
        if offset:
            for row in rows:
                grouped.setdefault(_key_of(row, offset), []).append(row)
        else:
            grouped[None] = list(rows)
        pages: dict[Any, tuple[list[Row], bool]] = {}
        for key, group in grouped.items():
            more = False
            if binding is not None and call.page is not None:
                more = len(group) > binding.size
                group = group[: binding.size]
                if call.page.backward:
                    group.reverse()
            else:
                group = group[:1]
            pages[key] = (group, more)
            self._count(call.resource.code, len(group))
        if call.grants and call.delivers:
            self.meter.rows(call, [row for group, _ in pages.values() for row in group], offset)
        renderer = Renderer(self.seals, offset, await self._beyond(call, pages, offset))
        empty = self._empty(call, renderer, 0)
        texts: Texts = {}
        for key, (group, more) in pages.items():
            if isinstance(call.shape, RowShape):
                texts[key] = renderer.object(call.shape, group[0]) if group else "null"
            else:
                assert call.page is not None
                assert binding is not None
                total = counted.get(key, 0) if call.total is not None else None
                texts[key] = renderer.connection(call.shape, call.page, binding, group, more, total)
        if None not in texts:
            texts[None] = empty
        for key in keys or ():
            if key not in texts:
                total = counted.get(key, 0)
                texts[key] = self._empty(call, renderer, total) if total else empty
        return texts

    async def _joined(self, call: RowsCall, binding: PageBinding) -> Sequence[bytes]:
        """A page whose rows the source gives as one text: what it costs here does not grow with them.

        Of few rows each has its own, which is less work for the source.
        """
        page, few = call.page, binding.size < JOINED_FROM
        assert page is not None
        extra = await self._keysets(call.keysets) if call.keysets else dict(self.arguments)
        query = call.variant(binding.after, binding.before, joined=not few)
        _bind(page, binding, binding.size, extra)
        total = None
        if call.total is None:
            rows = await self._fetch(query, extra)
        else:
            rows, totals = await asyncio.gather(self._fetch(query, extra), self._fetch(call.total, extra))
            total = totals[0][0]
        text, count = (",".join([row[0] for row in rows]).encode(), len(rows)) if few else rows[0]
        self._count(call.resource.code, count)
        if call.grants:
            self.meter.count(call, count)
        given = {Part.NODES: text or b"", Part.TOTAL_COUNT: b"null" if total is None else b"%d" % total}
        return [piece if isinstance(piece, bytes) else given[piece] for piece in call.framed]

    async def _joined_by_key(self, call: RowsCall, binding: PageBinding, extra: dict[str, Any]) -> Texts:
        """The same for what lies beyond a relation: one text of each link key."""
        page = call.page
        assert page is not None
        _bind(page, binding, binding.size, extra)
        rows = await self._fetch(call.variant(binding.after, binding.before, joined=True), extra)
        offset = len(call.query.links)
        count = sum([row[offset + 1] for row in rows])
        self._count(call.resource.code, count)
        if call.grants:
            self.meter.count(call, count)
        before, _, after = (piece.decode() if isinstance(piece, bytes) else piece for piece in call.framed)
        texts = _Same(before + after)
        for row in rows:
            texts[_key_of(row, offset)] = f"{before}{row[offset]}{after}"
        return texts

    def _empty(self, call: RowsCall, renderer: Renderer, total: int) -> str:
        if isinstance(call.shape, RowShape):
            return "null"
        assert call.page is not None
        counted = total if call.total is not None else None
        return renderer.connection(call.shape, call.page, self._pages[id(call)], [], False, counted)

    async def _beyond(
        self, call: RowsCall, pages: Mapping[Any, tuple[list[Row], bool]], offset: int
    ) -> dict[int, Mapping[Any, str]]:
        pieces = call.relations
        if not pieces:
            return {}
        rows = [row for group, _ in pages.values() for row in group]
        texts = await asyncio.gather(*(self._related(piece, rows, offset) for piece in pieces))
        return {id(piece): found for piece, found in zip(pieces, texts, strict=True)}

    async def _related(self, piece: RelationPiece, rows: list[Row], offset: int) -> Mapping[Any, str]:
        keys = dict.fromkeys(link_key(piece, row, offset) for row in rows)
        keys.pop(None, None)
        call = piece.call
        try:
            if not keys:
                return await self._unlinked(call)
            loader = self._loaders.get(call.signature)
            if loader is None:
                loader = RelationLoader(lambda batch: self._texts(call, batch))
                self._loaders[call.signature] = loader
            return await loader.load(tuple(keys))
        except TanglaiError as error:
            if id(piece) not in self._failed:
                self._failed.add(id(piece))
                self.failures.append(FieldFailure(error, call.at))
            return _Same("null")  # the source failed

    async def _unlinked(self, call: RowsCall) -> Texts:
        renderer = Renderer(self.seals, 0, {})
        return {None: self._empty(call, renderer, 0)}

    async def _keysets(self, keysets: tuple[KeySet, ...]) -> dict[str, Any]:
        """Arguments of the request, with the key sets that filters across sources need, read in their order."""
        arguments = dict(self.arguments)
        for keyset in keysets:
            rows = await self._fetch(keyset.query, arguments)
            if len(rows) > self.limits.link_keys:
                raise TanglaiError(
                    ErrorCode.LIMIT_EXCEEDED,
                    f"a relation's filter matches more than {self.limits.link_keys} keys: narrow it",
                )
            arguments[keyset.path] = [row[0] for row in rows]
        return arguments

    async def _fetch(self, query: SourceQuery, arguments: Mapping[str, Any]) -> list[Row]:
        if query.empty or arguments.get(KEYS) == []:
            return [_no_rows(query)] if query.group_by == () or (query.joined and not query.links) else []
        self.made += 1
        connector = self.sources.connector(self.snapshot.sources[query.source])
        return await connector.fetch(query, arguments, timeout=self.limits.source_timeout)

    def _count(self, resource: str, rows: int) -> None:
        self.rows[resource] = self.rows.get(resource, 0) + rows


class _Same(dict[Any, str]):
    """What lies beyond a relation, the same for every key that is not in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, key: Any) -> str:
        return self._text


def _bind(page: Page, binding: PageBinding, limit: int, arguments: dict[str, Any]) -> None:
    """Adds the limit and the cursors' values to `arguments`."""
    arguments[limit_path(page.size)] = limit
    for name, cursor in ((AFTER, binding.after), (BEFORE, binding.before)):
        if cursor is not None:
            arguments.update({f"{name}.{index}": value for index, value in enumerate(cursor)})


def _no_rows(query: SourceQuery) -> Row:
    """The one group over no rows: counts are 0, everything else is null. Of rows that come joined: no text, none."""
    if query.joined:
        return None, 0
    counts = (AggregateFunction.COUNT_ROWS, AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)
    return tuple(
        0
        if isinstance(output, RawOutput)
        and isinstance(output.expression, Aggregate)
        and output.expression.function in counts
        else None
        for output in query.outputs
    )


def _key_of(row: Row, offset: int) -> Any:
    return row[0] if offset == 1 else tuple(row[:offset]) if offset else None


def _entity_key(answer: EntitiesCall, value: Any) -> tuple[tuple[str, tuple[str, ...]], Any] | None:
    """Which call answers a representation, and by which key; None for what names no entity."""
    kind = representation_kind(value)
    entity: EntityCall | None = answer.calls.get(kind)
    if entity is None:
        return None
    try:
        parts = tuple(parse(t, value[name]) for name, t in zip(entity.names, entity.types, strict=True))
    except ValueError:
        return None
    return kind, parts[0] if len(parts) == 1 else parts
