"""In charge of the expected verdict of a cell: a small decision table, written from docs/authorization.md.

It shares no code with `authz/`: what a state says is written in `states.py`, and here is how uses turn it into answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tanglai.catalogue.model import Relation, Resource, ShareClass, Snapshot
from tests.matrix.states import Sight, State
from tests.matrix.steps import NULLED, Step, Usage, Way

DIRECT = "ningxia-measures"
"""The rule set by which unconditional items are taken directly (Art. 11(2)); by `order-809` they are applied for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a cell.

    `outcome`: `refused` (no `data`, no source call), `null` (with one error, at `at`), a Sight for what is answered
    (`clear` for a relation that is followed and for figures from a cube `published`), `skipped` by a search, `no rows`.
    `about` is the resource and the item or relation that the error names.
    """

    outcome: str
    code: str = ""
    about: tuple[str, str | None] | None = None
    at: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (self.outcome, self.code)))


REFUSED, NULL, PUBLISHED, SKIPPED, NO_ROWS = "refused", "null", "published", "skipped", "no rows"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules say of one item, relation or resource."""

    sight: Sight
    code: str = ""
    name: str | None = None
    resource: str = ""

    @property
    def denied(self) -> bool:
        return self.sight in (Sight.HIDDEN, Sight.SPENT)


OPEN = Standing(Sight.CLEAR)


@dataclass(frozen=True)
class Cell:
    """One subject in one state: `name` of `resource`, an item or a relation; None: everything of it, asked for as rows.

    `far`: of a relation, its other end is in the state, this one is open.
    """

    snapshot: Snapshot
    resource: Resource
    name: str | None
    state: State
    far: bool = False

    @property
    def home(self) -> Resource:
        """The resource whose grants are in the state."""
        if not self.far:
            return self.resource
        return self.snapshot.resources[next(r.target for r in self.resource.relations if r.name == self.name)]

    @property
    def subject(self) -> str | None:
        """The item or relation of `home` whose grants are in the state."""
        return next(r.inverse for r in self.resource.relations if r.name == self.name) if self.far else self.name


def relation_class(snapshot: Snapshot, resource: Resource, relation: Relation) -> ShareClass:
    """At least the strictest class of the key items and of what both ends declare."""
    target = snapshot.resources[relation.target]
    (other,) = (r for r in target.relations if r.name == relation.inverse)
    found = {relation.share_class, other.share_class}
    found |= {item.share_class for item in resource.items if item.name in relation.items}
    found |= {item.share_class for item in target.items if item.name in relation.target_items}
    for share_class in (ShareClass.NOT_SHARED, ShareClass.CONDITIONAL):
        if share_class in found:
            return share_class
    return ShareClass.UNCONDITIONAL


def applies(cell: Cell) -> bool:
    """Whether the cell exists: masks are of items that declare one; of all there is nothing that is left over."""
    if cell.name is None and (
        cell.state.scopes == "other items" or any(h.covers != "subject" for h in cell.state.held)
    ):
        return False
    if len(cell.home.items) == 1 and any(held.scope == "part" for held in cell.state.held):
        return False  # scopes are over another item
    if not cell.state.masks:
        return True
    if cell.name is None:
        return any(item.masks for item in cell.resource.items)
    return any(item.masks for item in cell.resource.items if item.name == cell.name)


def standing(cell: Cell, resource: Resource, name: str) -> Standing:
    """What the rules say of an item or one end of a relation."""
    state, snapshot = cell.state, cell.snapshot
    relation = next((r for r in resource.relations if r.name == name), None)
    if relation is not None:
        share_class = relation_class(snapshot, resource, relation)
    else:
        (share_class,) = (item.share_class for item in resource.items if item.name == name)
    subject = _is_subject(cell, resource, name)
    if outside(cell, resource):
        return Standing(Sight.HIDDEN, "SCOPE_EXCEEDED", None, resource.code)
    if subject and state.scopes == "other items":
        return Standing(Sight.HIDDEN, "SCOPE_EXCEEDED", name, resource.code)
    owner = snapshot.sources[cell.home.binding.source].department
    mine = snapshot.sources[resource.binding.source].department == owner
    if state.asker == "owner" and state.role and mine:
        return OPEN
    if share_class is ShareClass.UNCONDITIONAL and snapshot.rule_set == DIRECT:
        return OPEN
    by_class = "NOT_SHARED" if share_class is ShareClass.NOT_SHARED else "GRANT_REQUIRED"
    if not subject:  # granted clear by consultation, for the purpose that is asked for
        return OPEN if state.purpose else Standing(Sight.HIDDEN, "PURPOSE_REQUIRED", name, resource.code)
    if state.applied and share_class is ShareClass.NOT_SHARED:
        return Standing(Sight.HIDDEN, by_class, name, resource.code)
    return Standing(state.sight, state.code or (by_class if state.sight is Sight.HIDDEN else ""), name, resource.code)


def outside(cell: Cell, resource: Resource) -> bool:
    """Whether the token's scope leaves nothing of `resource`."""
    if resource.code != cell.home.code:
        return False
    alone = len(resource.items) + len(resource.relations) == 1
    return cell.state.whole or (cell.state.scopes == "other items" and alone)


def _is_subject(cell: Cell, resource: Resource, name: str) -> bool:
    return resource.code == cell.home.code and cell.subject in (None, name)


def ends(cell: Cell, step: Step) -> Standing:
    """Of a relation: the first end that does not hold, else this one. Masks are none of relations."""
    resource = cell.snapshot.resources[step.resource]
    relation = next(r for r in resource.relations if r.name == step.name)
    near = standing(cell, resource, relation.name)
    far = standing(cell, cell.snapshot.resources[relation.target], relation.inverse)
    if near.denied:
        return near
    return far if far.denied or far.sight is not Sight.CLEAR else near


def expected(cell: Cell, way: Way, dimension: Callable[[Resource, str | None, str], bool]) -> Verdict:
    """The verdict by the written rules. `dimension` says whether a cube of the subject can answer `way.figure`."""
    own = way.subject
    for step in way.steps:
        resource = cell.snapshot.resources[step.resource]
        if step.usage is Usage.ROOT or (step.usage is Usage.ENTITY and step.name is None):
            if outside(cell, resource):
                return Verdict(NULL, "SCOPE_EXCEEDED", (resource.code, None), step.at)
            continue
        if step.usage is Usage.ROWS:
            return _rows(cell, way, dimension)
        found = _use(cell, resource, step)
        if (
            step is own
            and way.figure
            and found.denied
            and cell.state.cube
            and dimension(resource, step.name, way.figure)
        ):
            return Verdict(PUBLISHED)
        if step.usage is Usage.SEARCH:
            if found.sight is Sight.SPENT:
                return Verdict(REFUSED, found.code, (found.resource, found.name))
            return Verdict(SKIPPED if found.denied or found.sight is Sight.MASKED else _compared(found))
        if found.sight is Sight.MASKED and step.usage not in (Usage.SELECT, Usage.FOLLOW, Usage.THROUGH):
            found = Standing(Sight.HIDDEN, "MASKED_USE", step.name, step.resource)
        if found.denied:
            nulled = step.usage in NULLED
            return Verdict(
                NULL if nulled else REFUSED, found.code, (found.resource, found.name), step.at if nulled else ()
            )
    if own is None:
        return Verdict(Sight.CLEAR)
    found = _use(cell, cell.snapshot.resources[own.resource], own)
    return Verdict(found.sight if own.usage is Usage.SELECT else _compared(found))


def _use(cell: Cell, resource: Resource, step: Step) -> Standing:
    if step.usage in (Usage.FOLLOW, Usage.THROUGH):
        return ends(cell, step)
    assert step.name is not None
    return standing(cell, resource, step.name)


def _compared(found: Standing) -> str:
    """Compare cells know no masks: what is masked on some rows is null there."""
    return Sight.PARTLY if found.sight is Sight.MIXED else found.sight


def _rows(cell: Cell, way: Way, dimension: Callable[[Resource, str | None, str], bool]) -> Verdict:
    """A row is visible where some item of it is shown; a quota that is used up hides no row."""
    sights = [standing(cell, cell.resource, item.name).sight for item in cell.resource.items]
    scoped = any(held.scope == "part" for held in cell.state.held) and not any(
        not held.scope and held.mask for held in cell.state.held
    )
    if any(sight in (Sight.CLEAR, Sight.SPENT) for sight in sights):
        links = [ends(cell, step) for step in way.steps if step.usage is Usage.FOLLOW]
        return Verdict(Sight.PARTLY if scoped and any(link.sight is not Sight.CLEAR for link in links) else Sight.CLEAR)
    if any(sight is not Sight.HIDDEN for sight in sights):
        return Verdict(Sight.PARTLY if scoped else Sight.CLEAR)
    if way.figure and cell.state.cube and dimension(cell.resource, None, way.figure):
        return Verdict(PUBLISHED)
    return Verdict(NO_ROWS)
