"""In charge of turning a cell's words into what a decision depends on: principal, purpose, grants, quotas used up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from tanglai.catalogue.expressions import FALSE, TRUE, Attribute, Compare, CompareOp, Expression, IsNull, ItemRef, Not
from tanglai.catalogue.model import (
    Department,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    Period,
    Quota,
    Resource,
    Snapshot,
    Statistics,
    Usage,
)
from tanglai.catalogue.scalars import ScalarType
from tests.matrix.rules import Cell
from tests.matrix.states import Held

DAY = timedelta(days=1)
GONE = "no such mask"


@dataclass(frozen=True)
class Asked:
    """Who asks for what, holding which grants. `spent` are the grants whose quota is used up."""

    principal: Principal
    purpose: str | None
    grants: tuple[Grant, ...]
    spent: frozenset[str]


class Askers:
    """Principals and grants for the cells of one snapshot at one moment.

    The requester provides nothing itself; whatever is not the cell's subject is granted to whoever asks, clear, by
    consultation, so that every way leads as far as the subject.
    """

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self.snapshot = snapshot
        self.now = now
        self.asked, self.other = sorted(snapshot.purposes)[:2]
        owners = {source.department for source in snapshot.sources.values()}
        self.requester, self.stranger = [d for d in snapshot.departments.values() if d.code not in owners][:2]
        self._carriers: dict[tuple[str, str, str | None], Grant] = {}

    def asked_in(self, cell: Cell) -> Asked:
        state, home = cell.state, cell.home
        owner = self.snapshot.departments[self.snapshot.sources[home.binding.source].department]
        asker = owner if state.asker == "owner" else self.requester
        held = [self._grant(cell, asker, number, words) for number, words in enumerate(state.held)]
        carriers = [self._carrier(asker, resource, None) for resource in self.snapshot.served if resource is not home]
        if cell.subject is not None:
            carriers.append(self._carrier(asker, home, cell.subject))
        principal = Principal(
            asker,
            "matrix",
            roles=frozenset({OWN_DATA_ROLE}) if state.role else frozenset(),
            scopes=frozenset(self._scopes(cell)) if state.scopes else None,
            purposes=frozenset({self.asked, self.other}),
        )
        grants = tuple(grant for grant in (*held, *carriers) if grant.requester == asker.code)
        spent = frozenset(grant.id for grant, words in zip(held, state.held, strict=True) if words.quota == "used up")
        return Asked(principal, self.asked if state.purpose else None, grants, spent)

    def _scopes(self, cell: Cell) -> Iterable[TokenScope]:
        home = cell.home
        yield from (TokenScope(resource.code) for resource in self.snapshot.served if resource is not home)
        if cell.state.scopes == "resource":
            yield TokenScope(home.code)
        elif cell.state.scopes != "other resources":
            names = [item.name for item in home.items] + [relation.name for relation in home.relations]
            without = cell.subject if cell.state.scopes == "other items" else None
            yield from (TokenScope(home.code, name) for name in names if name != without)

    def _carrier(self, asker: Department, resource: Resource, without: str | None) -> Grant:
        key = (asker.code, resource.code, without)
        if key not in self._carriers:
            self._carriers[key] = Grant(
                id=f"others of {resource.code}",
                requester=asker.code,
                resource=resource.code,
                items=frozenset(item.name for item in resource.items if item.name != without),
                relations=frozenset(r.name for r in resource.relations if r.name != without),
                purpose=self.asked,
                valid_from=self.now - DAY,
                valid_to=self.now + DAY,
                basis=GrantBasis.CONSULTATION,
            )
        return self._carriers[key]

    def _grant(self, cell: Cell, asker: Department, number: int, words: Held) -> Grant:
        home = cell.home
        items = [item for item in home.items if cell.subject in (None, item.name)]
        relations = [r.name for r in home.relations if cell.subject in (None, r.name)]
        if words.covers == "the other kind":
            items, relations = ([], [r.name for r in home.relations]) if items else (list(home.items), [])
        if words.mask:
            items = [item for item in items if item.masks]
        if words.mask == "lost":
            relations = []
        statistics = statistics_of(items) if words.usage == "STATISTICS" else None
        return Grant(
            id=f"grant {number}",
            requester=asker.code if words.requester == "asker" else self.stranger.code,
            resource=home.code,
            items=frozenset(item.name for item in items),
            relations=frozenset(relations),
            purpose=self.asked if words.purpose == "asked" else self.other,
            valid_from={"before": self.now - DAY, "now": self.now, "later": self.now + DAY / 2}[words.begins],
            valid_to={"later": self.now + DAY, "now": self.now, "for ever": None}[words.lasts],
            basis=GrantBasis(words.basis),
            state=GrantState(words.state),
            usage=Usage(words.usage),
            scope=scope_of(home, cell.subject, words.scope),
            masks=MappingProxyType(
                {item.name: GONE if words.mask == "lost" else item.masks[0].name for item in items if words.mask}
            ),
            quota={"": None, "left": Quota(rows=10**6), "used up": Quota(requests=0)}[words.quota],
            statistics=statistics,
        )


def scope_of(resource: Resource, subject: str | None, words: str) -> Expression:
    """A row scope that says what `words` say."""
    if words == "part":
        item = scope_item(resource, subject)
        return Not(IsNull(ItemRef(item.name, item.type)))
    if words == "broken":
        item = scope_item(resource, subject)
        return Compare(CompareOp.EQ, ItemRef(item.name, item.type), Attribute("department.mood"))
    return FALSE if words == "none" else TRUE


def scope_item(resource: Resource, subject: str | None) -> Item:
    """The item that scopes are over: another one than the subject, no link key, no key, a text, as far as there is one.

    Of an item's cells keys matter more, of a relation's its link keys.
    """
    links = {name for relation in resource.relations for name in relation.items}
    keys = {name for key in resource.keys for name in key.items}
    first, second = (keys, links) if subject in resource.item_by_name else (links, keys)

    def rank(item: Item) -> tuple[bool, bool, bool, bool]:
        return item.name == subject, item.name in first, item.name in second, item.type is not ScalarType.TEXT

    return min(resource.items, key=rank)


def statistics_of(items: Iterable[Item]) -> Statistics:
    """A cube of `items`: those with code lists are its dimensions, other numbers its measures.

    What is neither is a measure all the same: no such cube can be made, and nothing is published.
    """
    dimensions = tuple(item.name for item in items if is_dimension(item))
    measures = tuple(item.name for item in items if not is_dimension(item))
    return Statistics(dimensions, measures, Period.MONTH, 3, 1)


def is_dimension(item: Item) -> bool:
    return bool(item.codes)


def publishes(resource: Resource, name: str | None, figure: str) -> bool:
    """Whether the cube of `name` (None: of everything) answers `figure`, a `dimension`, a `measure` or `count`."""
    items = [item for item in resource.items if name in (None, item.name)]
    if not items or not all(is_dimension(item) or item.type.numeric for item in items):
        return False
    if figure == "count":
        return True
    return all(is_dimension(item) for item in items) == (figure == "dimension")
