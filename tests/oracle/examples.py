"""In charge of whole examples: a world, who asks in it, and what."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.oracle.comparing import situation
from tests.oracle.dice import Dice, by_dice
from tests.oracle.graphql_text import write
from tests.oracle.language import Operation, Walk
from tests.oracle.operations import Writer
from tests.oracle.rereading import Reading, some_reading
from tests.oracle.sight import Sight, see
from tests.oracle.variations import vary
from tests.oracle.worlds import MOMENTS, USUAL, Asker, Bounds, Drawn, some_asker, world


class Readable:
    """Printed by hypothesis as by `repr`."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True)
class Asked:
    """What one asker asks."""

    asker: Asker
    operations: tuple[Operation, ...]
    walk: Walk | None
    reading: Reading | None = None

    def told(self, drawn: Drawn) -> Iterator[str]:
        who = self.asker.principal
        scopes = None if who.scopes is None else sorted(f"{s.resource}:{s.item}" for s in who.scopes)
        yield f"asks: {who.department.key} {sorted(who.roles)} scopes {scopes} purposes {sorted(who.purposes)}"
        yield f"  at {self.asker.now} header {self.asker.header} extension {self.asker.extension}"
        for operation in self.operations:
            text, variables = write(operation, drawn.snapshot)
            yield f"  {text}\n    {variables}{' REFUSE' if operation.refuse else ''}"
        if self.walk is not None:
            yield f"  {self.walk}"
        if self.reading is not None:
            yield f"  {self.reading}"


def told(drawn: Drawn) -> Iterator[str]:
    """A world in lines."""
    yield f"rule set {drawn.snapshot.rule_set}"
    for resource in drawn.snapshot.resources.values():
        handle, source = resource.binding.handle, resource.binding.source
        yield f"resource {resource.code} {resource.names.type}: {source}, handle {handle.type if handle else None}"
        for item in resource.items:
            masks = [named.name for named in item.masks]
            yield f"  {item.name} {item.type} {item.share_class} nullable {item.nullable} masks {masks}"
        yield f"  keys {[key.items for key in resource.keys]}"
        for relation in resource.relations:
            many = "many" if relation.many else "one"
            links = f"{relation.items} = {relation.target_items}"
            yield f"  {relation.name} to {many} {relation.target} {relation.share_class} by {links}"
        for row in drawn.rows[source][resource.binding.table]:
            yield f"    {row}"
    for grant in drawn.grants:
        yield f"{grant}"


@dataclass(frozen=True)
class Example(Readable):
    drawn: Drawn
    asked: tuple[Asked, ...]

    def __repr__(self) -> str:
        """The example in lines, for people: catalogue, rows, grants, and the documents that are asked."""
        return "\n".join(["", *told(self.drawn), *(line for asked in self.asked for line in asked.told(self.drawn))])


def examples(bounds: Bounds = USUAL, principals: int = 3, each: int = 3) -> st.SearchStrategy[Example]:
    """A world with up to `principals` askers of up to `each` operations of their own."""
    return by_dice(lambda dice: example(dice, bounds, principals, each))


def example(dice: Dice, bounds: Bounds, principals: int, each: int) -> Example:
    """A world, and up to `principals` askers with up to `each` operations of their own."""
    drawn = world(dice, bounds)
    who: list[Asker] = []
    for _ in range(dice.number(1, principals)):
        who.append(some_asker(dice, drawn, who))
    return Example(drawn, _asked(dice, drawn, who, lambda: dice.number(1, each)))


def long_example(
    dice: Dice, bounds: Bounds, least: int, fit: Callable[[Drawn], Drawn] = lambda drawn: drawn
) -> Example:
    """A world that is asked at least `least` operations, by many askers. `fit` gives it rows that its sources hold."""
    drawn = fit(world(dice, bounds))
    who: list[Asker] = []
    for _ in range(dice.number(12, 20)):
        who.append(some_asker(dice, drawn, who))
    each = least // len(who) + 1
    asked = _asked(dice, drawn, who, lambda: each)
    return Example(drawn, asked)


def _asked(dice: Dice, drawn: Drawn, who: Sequence[Asker], number: Callable[[], int]) -> tuple[Asked, ...]:
    """What they ask, `number()` operations of its own each, and some more."""
    asked: list[Asked] = []
    asked_before: list[Operation] = []
    in_time = sorted(who, key=lambda asker: asker.now)  # the platform's clock never goes back
    for place, asker in enumerate(in_time):
        whole = situation(drawn, asker)
        sights = {code: see(whole, resource) for code, resource in drawn.snapshot.resources.items()}
        mine: list[Operation] = []
        for _ in range(number()):
            operation = Writer(dice, sights).operation()
            mine.append(operation)
            if dice.chance(1, 3):
                mine.append(vary(Writer(dice, sights), operation))
        # What somebody else has asked before is asked again: nothing may be shared that differs between the two.
        mine += dice.some(asked_before, 0, 2)
        asked_before += mine
        walk = Writer(dice, sights).walk() if dice.chance(1, 4) else None
        reading = None
        if dice.chance(1, 2) and (list_ := _some_list(dice, sights)) is not None:
            until = in_time[place + 1].now if place + 1 < len(in_time) else max(MOMENTS)
            reading = some_reading(dice, drawn, list_, asker, until)
        asked.append(Asked(asker, tuple(mine), walk, reading))
    return tuple(asked)


def _some_list(dice: Dice, sights: dict[str, Sight]) -> Walk | None:
    """A list to be read page by page, of some rows if luck has it."""
    found: Walk | None = None
    for _ in range(4):
        found = Writer(dice, sights).walk()
        if found is None or sum(sights[found.resource].visible) > 1:
            break
    return found
