"""In charge of the visible relation as the oracle sees it: cell by cell over all rows, straight from the rules.

Shares no code with `authz`, `schema`, `resolvers` or `connectors` (a principal is taken as data). Slow and obvious.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from authz.principal import Principal
from tanglai.catalogue.expressions import FALSE, TRUE, Expression
from tanglai.catalogue.model import Grant, Item, Relation, Resource, Snapshot
from tests.oracle.cubes import Publication
from tests.oracle.predicates import readable, render, truth

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[str, Sequence[Row]]]
"""Source key -> table -> rows, a row being column name -> Python value."""

CODES_OF_GRANTS = (
    "GRANT_SUSPENDED",
    "GRANT_NOT_YET_VALID",
    "GRANT_EXPIRED",
    "GRANT_ENDED",
    "PURPOSE_REQUIRED",
    "PURPOSE_MISMATCH",
    "STATISTICS_ONLY",
)
"""Which code, when several fit."""


@dataclass(frozen=True)
class Situation:
    """All that an answer depends on besides the operation. `purpose` is the one of the operation, chosen already."""

    snapshot: Snapshot
    rows: Rows
    grants: tuple[Grant, ...]
    principal: Principal
    purpose: str | None
    now: datetime
    pseudonym_key: bytes

    @property
    def attributes(self) -> dict[str, str]:
        """What scopes may say about the requester."""
        department = self.principal.department
        return {
            "department.code": department.code,
            "department.division": department.division,
            "department.key": department.key,
        }


@dataclass
class Sight:
    """What one resource looks like. Lists are by row, in the order of the table; codes say why something is denied."""

    situation: Situation
    resource: Resource
    rows: Sequence[Row]
    gone: str | None = None
    denied: dict[str, str | None] = field(default_factory=dict)
    shown: dict[str, list[Any]] = field(default_factory=dict)
    compare: dict[str, list[Any]] = field(default_factory=dict)
    clear: dict[str, list[bool]] = field(default_factory=dict)
    masked: set[str] = field(default_factory=set)  # a mask may be live on some row
    masked_only: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)  # not clear wherever a row is visible
    visible: list[bool] = field(default_factory=list)
    not_followed: dict[str, str | None] = field(default_factory=dict)
    follows: dict[str, list[bool]] = field(default_factory=dict)
    grants: dict[str, set[str]] = field(default_factory=dict)
    clear_somewhere: set[str] = field(default_factory=set)  # by the rules, whatever the rows are, and the quotas left
    any_row: bool = False  # a row may be visible, by the rules
    publications: list[Publication] = field(default_factory=list)

    def use(self, item: str) -> str | None:
        """Why `item` may not be used in a filter, an order, a group, a figure or a key; None where it may."""
        if self.denied[item] is not None:
            return self.denied[item]
        return "MASKED_USE" if item in self.masked_only else None

    def without(self, spent: Set[str]) -> "Sight":
        """The same rows and cells, with all denied that rests on a grant whose quota is used up."""
        if not spent:
            return self

        def code(name: str, before: str | None) -> str | None:
            return before or ("QUOTA_EXCEEDED" if self.grants[name] & spent else None)

        return replace(
            self,
            denied={name: code(name, before) for name, before in self.denied.items()},
            not_followed={name: code(name, before) for name, before in self.not_followed.items()},
        )

    def holds(self, scope: Expression, row: Row) -> bool:
        """A row scope is two-valued: TRUE or not."""
        by_item = {item.name: row[item.column.name] for item in self.resource.items}
        return truth(scope, by_item, self.situation.attributes, self.situation.snapshot.divisions) is True


def see(situation: Situation, resource: Resource) -> Sight:
    """V(principal, resource, purpose, now)."""
    snapshot, principal = situation.snapshot, situation.principal
    sight = Sight(situation, resource, situation.rows[resource.binding.source][resource.binding.table])
    scopes = principal.scopes
    if resource.zone is not snapshot.zone:
        sight.gone = "OUT_OF_ZONE"
    elif scopes is not None and not any(scope.resource == resource.code for scope in scopes):
        sight.gone = "SCOPE_EXCEEDED"
    owner = snapshot.sources[resource.binding.source].department
    own = owner == principal.department.code and "data.own" in principal.roles

    def reaches(name: str) -> bool:
        return scopes is None or any(s.resource == resource.code and s.item in (None, name) for s in scopes)

    clear_scopes: dict[str, set[Expression]] = {}
    all_scopes: set[Expression] = set()
    for item in resource.items:
        clear, masked = _item(sight, item, own, reaches(item.name))
        clear_scopes[item.name] = {scope for _, scope in clear}
        all_scopes |= clear_scopes[item.name] | {scope for _, scope, _ in masked}
        if clear:
            sight.clear_somewhere.add(item.name)
        if masked and TRUE not in clear_scopes[item.name]:
            sight.masked.add(item.name)
            if not clear:
                sight.masked_only.add(item.name)
        _cells(sight, item, clear, masked)
    # A row is visible where some item of it is shown, clear or masked, whatever the operation selects.
    sight.visible = [any(sight.holds(scope, row) for scope in all_scopes) for row in sight.rows]
    for item in resource.items:
        if TRUE not in clear_scopes[item.name] and not all_scopes <= clear_scopes[item.name]:
            sight.partial.add(item.name)
    for relation in resource.relations:
        _relation(sight, relation, own, reaches(relation.name))
    sight.any_row = bool(all_scopes)
    if sight.gone is None:
        sight.publications = [
            Publication(grant, items)
            for grant in sorted(situation.grants, key=lambda grant: grant.id)
            if (items := _published(sight, grant, reaches))
        ]
    return sight


def _published(sight: Sight, grant: Grant, reaches: Callable[[str], bool]) -> frozenset[str]:
    """The items of which `grant` publishes statistics for this requester now; none where it publishes nothing."""
    situation, statistics = sight.situation, grant.statistics
    if grant.requester != situation.principal.department.code or grant.resource != sight.resource.code:
        return frozenset()
    if statistics is None or _obstacle(situation, grant) != "STATISTICS_ONLY":
        return frozenset()
    if not readable(grant.scope, situation.attributes) or grant.scope == FALSE:
        return frozenset()
    known = sight.resource.item_by_name
    dimensions = [known.get(name) for name in statistics.dimensions]
    measures = [known.get(name) for name in statistics.measures]
    for item in (*dimensions, *measures):
        if item is None or grant not in _grants(sight, item.share_class.value):
            return frozenset()  # what cannot be read, or could not be opened, publishes nothing
    if not all(item is not None and item.codes for item in dimensions):
        return frozenset()
    if not all(item is not None and item.type.numeric for item in measures):
        return frozenset()
    return frozenset(name for name in statistics.dimensions + statistics.measures if reaches(name))


def _item(
    sight: Sight, item: Item, own: bool, in_scope: bool
) -> tuple[list[tuple[str, Expression]], list[tuple[str, Expression, str]]]:
    """(grant, rows) where the item is clear, (grant, rows, mask) where it is masked; notes why it is denied."""
    sight.grants[item.name] = set()
    sight.denied[item.name] = sight.gone if sight.gone is not None or in_scope else "SCOPE_EXCEEDED"
    if sight.denied[item.name] is not None:
        return [], []
    share_class = item.share_class.value
    if own or (share_class == "UNCONDITIONAL" and sight.situation.snapshot.rule_set == "ningxia-measures"):
        return [("", TRUE)], []
    covering = [g for g in _grants(sight, share_class) if item.name in g.items]
    clear, masked = [], []
    for grant in covering:
        if not _opens(sight, grant):
            continue
        if item.name not in grant.masks:
            clear.append((grant.id, grant.scope))
        elif any(named.name == grant.masks[item.name] for named in item.masks):
            masked.append((grant.id, grant.scope, grant.masks[item.name]))
    sight.grants[item.name] = {rule[0] for rule in clear} | {rule[0] for rule in masked}
    if not clear and not masked:
        sight.denied[item.name] = _code(sight, covering, share_class)
    return clear, masked


def _cells(
    sight: Sight, item: Item, clear: list[tuple[str, Expression]], masked: list[tuple[str, Expression, str]]
) -> None:
    shown: list[Any] = []
    compare: list[Any] = []
    is_clear: list[bool] = []
    for row in sight.rows:
        raw = row[item.column.name]
        is_clear.append(any(sight.holds(scope, row) for _, scope in clear))
        compare.append(raw if is_clear[-1] else None)
        live = {name for _, scope, name in masked if sight.holds(scope, row)}
        weakest = next((named.mask for named in item.masks if named.name in live), None)
        if is_clear[-1]:
            shown.append(raw)
        elif weakest is not None:
            shown.append(render(weakest, raw, sight.situation.pseudonym_key))
        else:
            shown.append(None)
    sight.shown[item.name], sight.compare[item.name], sight.clear[item.name] = shown, compare, is_clear


def _relation(sight: Sight, relation: Relation, own: bool, in_scope: bool) -> None:
    name = relation.name
    sight.grants[name] = set()
    sight.follows[name] = [False] * len(sight.rows)
    sight.not_followed[name] = sight.gone if sight.gone is not None or in_scope else "SCOPE_EXCEEDED"
    if sight.not_followed[name] is not None:
        return
    snapshot = sight.situation.snapshot
    share_class = relation_class(snapshot, sight.resource, relation)
    if own or (share_class == "UNCONDITIONAL" and snapshot.rule_set == "ningxia-measures"):
        sight.follows[name] = [True] * len(sight.rows)
        return
    covering = [g for g in _grants(sight, share_class) if name in g.relations]
    opening = [grant for grant in covering if _opens(sight, grant)]
    if not opening:
        sight.not_followed[name] = _code(sight, covering, share_class)
    sight.grants[name] = {grant.id for grant in opening}
    sight.follows[name] = [any(sight.holds(grant.scope, row) for grant in opening) for row in sight.rows]


def relation_class(snapshot: Snapshot, resource: Resource, relation: Relation) -> str:
    """The strictest class of the key items and of both declarations (between two providers too)."""
    strictness = ["UNCONDITIONAL", "CONDITIONAL", "NOT_SHARED"]
    target = snapshot.resources[relation.target]
    inverse = next(other for other in target.relations if other.name == relation.inverse)
    classes = [relation.share_class.value, inverse.share_class.value]
    classes += [item.share_class.value for item in resource.items if item.name in relation.items]
    classes += [item.share_class.value for item in target.items if item.name in relation.target_items]
    return max(classes, key=strictness.index)


# --- grants ----------------------------------------------------------------------------------------------------------


def _grants(sight: Sight, share_class: str) -> list[Grant]:
    """The requester's grants on the resource whose basis can open something of that class."""
    return [
        grant
        for grant in sight.situation.grants
        if grant.requester == sight.situation.principal.department.code
        and grant.resource == sight.resource.code
        and (share_class != "NOT_SHARED" or grant.basis.value in ("CONSULTATION", "COORDINATION"))
    ]


def _opens(sight: Sight, grant: Grant) -> bool:
    """Usable, and of a scope that can be read and that some row may fulfil."""
    return (
        _obstacle(sight.situation, grant) is None
        and readable(grant.scope, sight.situation.attributes)
        and grant.scope != FALSE
    )


def _obstacle(situation: Situation, grant: Grant) -> str | None:
    match grant.state.value:
        case "SUSPENDED":
            return "GRANT_SUSPENDED"
        case "EXPIRED":
            return "GRANT_EXPIRED"
        case "ENDED" | "DISPOSED":
            return "GRANT_ENDED"
    if grant.valid_from > situation.now:
        return "GRANT_NOT_YET_VALID"
    if grant.valid_to is not None and grant.valid_to <= situation.now:
        return "GRANT_EXPIRED"
    if situation.purpose is None:
        return "PURPOSE_REQUIRED"
    if situation.purpose != grant.purpose:
        return "PURPOSE_MISMATCH"
    return "STATISTICS_ONLY" if grant.usage.value == "STATISTICS" else None


def _code(sight: Sight, covering: list[Grant], share_class: str) -> str:
    obstacles = {_obstacle(sight.situation, grant) for grant in covering}
    for code in CODES_OF_GRANTS:
        if code in obstacles:
            return code
    return "NOT_SHARED" if share_class == "NOT_SHARED" else "GRANT_REQUIRED"


def choose_purpose(
    principal: Principal, snapshot: Snapshot, header: str | None, extension: str | None
) -> tuple[str | None, str | None]:
    """The purpose of an operation (or None), and the code of the refusal (or None)."""
    if header is not None and extension is not None and header != extension:
        return None, "BAD_INPUT"
    asked = header if extension is None else extension
    allowed = {purpose for purpose in principal.purposes if purpose in snapshot.purposes}
    if asked is None:
        return (next(iter(allowed)) if len(principal.purposes) == 1 and allowed else None), None
    return (asked, None) if asked in allowed else (None, "PURPOSE_MISMATCH")
