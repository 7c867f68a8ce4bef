"""In charge of asking the gateway and the oracle the same, and of holding their answers together."""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.gateways import Answer, World
from tests.oracle.foresight import Expected
from tests.oracle.graphql_text import write
from tests.oracle.language import (
    ABSENT,
    ById,
    Field,
    Listing,
    Missing,
    Operation,
    Pick,
    Place,
    Selection,
    Spread,
    Walk,
    change,
    fields,
    spelled_out,
)
from tests.oracle.oracle import CursorMark, Oracle, RowMark
from tests.oracle.reckoning import Unclear
from tests.oracle.sight import Situation, choose_purpose
from tests.oracle.standing import balance, books_of, give_standing
from tests.oracle.worlds import Asker, Drawn


@dataclass
class Tally:
    """What a run has tried, so that nobody takes silence for proof."""

    examples: int = 0
    operations: int = 0  # answered by gateway and oracle, and held together
    documents: int = 0  # different texts among them, counted per example
    answered: int = 0
    refused: int = 0
    denials: int = 0
    rows: int = 0
    cursors: int = 0
    reused: int = 0  # cursors used again after something had changed
    unclear: int = 0  # not asked: what they use of a quota is not for the oracle to say


TALLY = Tally()
PAGE_INFO = ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor")


def situation(drawn: Drawn, asker: Asker) -> Situation:
    """What the oracle has to know of who asks; the purpose is to be chosen already."""
    department = asker.principal.department.code
    purpose, _ = choose_purpose(asker.principal, drawn.snapshot, asker.header, asker.extension)
    key = hmac.new(b"mask secret", b"mask\0" + department.encode(), hashlib.sha256).digest()
    return Situation(drawn.snapshot, drawn.rows, drawn.grants, asker.principal, purpose, asker.now, key)


class Apart(AssertionError):
    """Gateway and oracle do not agree. The parts are for people."""

    def __init__(self, why: str, text: str, variables: Any, expected: Any, got: Any) -> None:
        super().__init__(f"{why}\n{text}\n{variables}\nexpected {expected}\ngot {got}")
        self.parts = {
            "why": why,
            "document": text,
            "variables": variables,
            "expected": repr(expected),
            "got": got,
        }


@dataclass
class Duel:
    """One asker before one gateway, with the oracle for the same situation.

    `plain` is the same world before a gateway that optimises nothing: its answers are the same byte for byte.
    """

    drawn: Drawn
    asker: Asker
    world: World
    oracle: Oracle
    ids: dict[RowMark, str] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)  # cursors seen, with the row that each stands for
    plain: World | None = None
    texts: set[str] = field(default_factory=set)  # documents asked

    @classmethod
    def of(cls, drawn: Drawn, asker: Asker, world: World) -> "Duel":
        return cls(drawn, asker, world, Oracle(situation(drawn, asker), books_of(world)))

    async def ask(self, operation: Operation) -> Answer:
        return await self._ask(self.world, *write(operation, self.drawn.snapshot), refuse=operation.refuse)

    async def _ask(self, world: World, text: str, variables: dict[str, Any], *, refuse: bool) -> Answer:
        extensions: dict[str, Any] = {"onDenied": "REFUSE"} if refuse else {}
        if self.asker.extension is not None:
            extensions["purpose"] = self.asker.extension
        world.replica.now = self.asker.now
        return await world.ask(
            text, variables, who=self.asker.principal, purpose=self.asker.header, extensions=extensions
        )

    async def compare(self, operation: Operation) -> Answer | None:
        """Asks both; raises Apart where they do not agree. Cursors are asked for first where needed.

        None, and nothing is asked, where the written rules do not say what the operation would use of a quota.
        """
        held = await self._held(await self.complete(operation))
        return None if held is None else held[1]

    async def _held(self, operation: Operation) -> tuple[Expected, Answer] | None:
        text, variables = write(operation, self.drawn.snapshot)
        if self.plain is not None:
            await give_standing(self.world, self.plain)
        try:
            expected = self.expected(operation)
        except Unclear:
            TALLY.unclear += 1
            return None
        answer = await self._ask(self.world, text, variables, refuse=operation.refuse)
        try:
            self.agree(expected, answer)
            await balance(self.world, self.oracle.bounded.values(), self.asker.now)
        except AssertionError as error:
            raise Apart(str(error), text, variables, expected, answer.body) from error
        TALLY.operations += 1
        self.texts.add(text)
        if self.plain is not None:
            same = await self._ask(self.plain, text, variables, refuse=operation.refuse)
            if same.response.body != answer.response.body:
                raise Apart("the optimised plan answers otherwise", text, variables, same.body, answer.body)
        return expected, answer

    def expected(self, operation: Operation) -> Expected:
        _, refusal = choose_purpose(self.asker.principal, self.drawn.snapshot, self.asker.header, self.asker.extension)
        if refusal is not None:
            return Expected(refusals={(refusal, None)})
        return self.oracle.answer(operation)

    def agree(self, expected: Expected, answer: Answer) -> None:
        errors = [
            (e["extensions"]["code"], tuple(e.get("path", ())), e["extensions"].get("fieldPath")) for e in answer.errors
        ]
        if expected.refusals:
            TALLY.refused += 1
            assert "data" not in answer.body, "should be refused"
            assert errors, "refused without an error"
            for code, path, where in errors:
                assert (code, where) in expected.refusals or (code, None) in expected.refusals, (code, where)
                assert path == (), "a request error has no path"
            assert self.world.sources.calls == [], "a refused operation touched a source"
            return
        assert "data" in answer.body, "should be answered"
        TALLY.answered += 1
        TALLY.denials += len(errors)
        assert sorted(errors) == sorted(expected.errors), _apart("errors", expected.errors, errors)
        self.same(expected.data, answer.body["data"], ())
        told = answer.body["extensions"]
        if "masked" in told:
            for name in ("masked", "partial", "grants"):
                wanted = getattr(expected, name)
                assert set(told[name]) == wanted, _apart(name, wanted, told[name])

    def same(self, expected: Any, got: Any, at: tuple[Any, ...]) -> None:
        """Equal data; marks stand for ids and cursors, an id being one and the same for its row everywhere."""
        match expected:
            case RowMark():
                assert isinstance(got, str), at
                assert self.ids.setdefault(expected, got) == got, at
                assert len(set(self.ids.values())) == len(self.ids), at
            case CursorMark(row):
                assert isinstance(got, str), at
                self.tokens[got] = row
            case dict():
                assert isinstance(got, dict), (at, expected, got)
                assert list(expected) == list(got), (at, list(expected), list(got))
                for key, value in expected.items():
                    self.same(value, got[key], (*at, key))
            case list():
                assert isinstance(got, list), (at, expected, got)
                assert len(expected) == len(got), (at, len(expected), len(got))
                TALLY.rows += len(got)
                for index, (one, other) in enumerate(zip(expected, got, strict=True)):
                    self.same(one, other, (*at, index))
            case _:
                assert expected == got, (at, expected, got)
                assert isinstance(expected, bool) is isinstance(got, bool), (at, expected, got)

    async def walk(self, walk: Walk) -> None:
        """Follows cursors from either end; the pages together are the whole list.

        Every other page is asked with literals in the place of variables: the filter is the same.
        """
        written = replace(walk, where=spelled_out(walk.where), order=spelled_out(walk.order))
        whole = await self.page(walk, first=1000)
        if whole is None:
            return
        for forwards in (True, False):
            rows: list[Any] = []
            cursor: Place | Missing = ABSENT
            for number in range(len(whole["edges"]) + 1):
                page = {"first": walk.size, "after": cursor} if forwards else {"last": walk.size, "before": cursor}
                found = await self.page(written if number % 2 else walk, **page)
                if found is None:  # denied by a quota
                    return
                rows = rows + found["edges"] if forwards else found["edges"] + rows
                info = found["pageInfo"]
                if not info["hasNextPage" if forwards else "hasPreviousPage"]:
                    break
                token = info["endCursor" if forwards else "startCursor"]
                cursor = Place(token, self.tokens[token])
                TALLY.cursors += 1
            assert rows == whole["edges"], f"pages of {walk.size} are not the list: {walk}"
        if whole["edges"]:
            await self._elsewhere(walk, Place(whole["edges"][0]["cursor"], None))

    async def _elsewhere(self, walk: Walk, cursor: Place) -> None:
        """A cursor belongs to the filter and to the order of its list, and is none with others."""
        where, order = spelled_out(walk.where), spelled_out(walk.order)
        wider = {"or": [where if isinstance(where, dict) else {}, {"and": []}]}
        await self.page(replace(walk, where=wider), first=walk.size, after=cursor)
        if isinstance(order, list) and order:
            turned = [(name, "ASC" if way == "DESC" else "DESC") for name, way in order]
            await self.page(replace(walk, order=turned), first=walk.size, after=cursor)

    async def page(self, walk: Walk, **page: Any) -> dict[str, Any] | None:
        """One page of the list, held together as any answer; None where it is denied or refused."""
        names = self.drawn.snapshot.resources[walk.resource].names
        selections = (
            Field("edges", selections=(Field("cursor"), Field("node", selections=walk.selections))),
            Field("pageInfo", selections=tuple(Field(name) for name in PAGE_INFO)),
        )
        listed = Field(names.list, None, Listing(walk.where, walk.order, **page), selections)
        data = Field("data", selections=(Field(names.group, selections=(listed,)),))
        answer = await self.compare(Operation((data,), walk.fragments))
        if answer is None or "data" not in answer.body or "QUOTA_EXCEEDED" in answer.codes:
            return None
        found: dict[str, Any] | None = answer.data["data"][names.group][names.list]
        return found

    # --- cursors and ids -------------------------------------------------------------------------------------------

    async def complete(self, operation: Operation) -> Operation:
        """`operation` with real cursors for picks, and real ids for `node`."""
        for selected in fields(operation):
            if isinstance(selected.arguments, ById) and not selected.arguments.token:
                operation = _with(operation, selected.key, await self.token(selected.arguments))
        for selected in fields(operation):
            listing = selected.arguments
            if isinstance(listing, Listing) and Pick in (type(listing.after), type(listing.before)):
                places = await self.places(operation, selected)
                after, before = (_picked(cursor, places) for cursor in (listing.after, listing.before))
                operation = _with(operation, selected.key, replace(listing, after=after, before=before))
        return operation

    async def token(self, by_id: ById) -> ById:
        """The sealed id of a row, as the platform seals it for anybody."""
        resource = self.drawn.snapshot.resources.get(by_id.resource)
        if resource is None:  # retired
            return replace(by_id, token=self.world.gateway._seals.seal("r", b"", [by_id.resource, by_id.row]))
        row, handle = self.oracle.sights[resource.code].rows[by_id.row], resource.binding.handle
        assert handle is not None
        token = self.world.gateway._seals.seal("r", b"", [resource.code, row[handle.name]])
        mark = RowMark(resource.code, by_id.row)
        assert self.ids.setdefault(mark, token) == token
        return replace(by_id, token=token)

    async def places(self, operation: Operation, of: Field) -> list[Place]:
        """The cursors of the first rows of a list, asked for without cursors."""

        def alter(selected: Field) -> Field:
            if isinstance(selected.arguments, Listing):
                selected = replace(selected, arguments=replace(selected.arguments, after=ABSENT, before=ABSENT))
            if selected.key != of.key:
                return selected
            assert isinstance(selected.arguments, Listing)
            edges = Field("edges", selections=(Field("cursor"),))
            return replace(
                selected, arguments=replace(selected.arguments, first=20, last=ABSENT), selections=(edges,), only=()
            )

        asked = _without_unused(change(operation, alter))
        held = await self._held(asked)
        if held is None or held[0].refusals:
            return []
        expected, answer = held
        TALLY.cursors += 1
        pairs = [*_pairs(expected.data, answer.body.get("data"), of.key)]
        return next((found for found in pairs if found), [])


def _without_unused(operation: Operation) -> Operation:
    """Without the fragments that nothing spreads any more: such a document would be refused."""
    spread: set[str] = set()

    def look(selections: tuple[Selection, ...]) -> None:
        for selection in selections:
            if not isinstance(selection, Spread):
                look(selection.selections)
            elif selection.fragment not in spread:
                spread.add(selection.fragment)
                look(operation.fragments[selection.fragment].selections)

    look(operation.selections)
    return replace(operation, fragments={n: f for n, f in operation.fragments.items() if n in spread})


def _apart(what: str, expected: Iterable[Any], got: Iterable[Any]) -> str:
    wanted, given = list(expected), list(got)
    missing, extra = [one for one in wanted if one not in given], [one for one in given if one not in wanted]
    return f"{what}: missing {missing}, too many {extra}"


def _with(operation: Operation, key: str, arguments: Any) -> Operation:
    return change(
        operation, lambda f: replace(f, arguments=arguments) if f.key == key and f.arguments is not None else f
    )


def _picked(cursor: Any, places: list[Place]) -> Any:
    if not isinstance(cursor, Pick):
        return cursor
    return places[cursor.place] if cursor.place < len(places) else ABSENT


def _pairs(expected: Any, got: Any, key: str) -> Iterator[list[Place]]:
    """The cursors of every list under response key `key`, the oracle's mark beside the gateway's token."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            if name == key and isinstance(value, dict) and "edges" in value and isinstance(got.get(name), dict):
                edges = zip(value["edges"], got[name]["edges"], strict=False)
                yield [Place(b["cursor"], a["cursor"].row) for a, b in edges if a["cursor"] is not None]
            else:
                yield from _pairs(value, got.get(name), key)
    elif isinstance(expected, list) and isinstance(got, list):
        for one, other in zip(expected, got, strict=False):
            yield from _pairs(one, other, key)
