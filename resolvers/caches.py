"""In charge of what outlives a request: decisions and plans, kept under keys that hold everything they depend on."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from authz.decide import Asking, decide
from authz.principal import Principal
from authz.visible import VisibleRelation
from resolvers.plan import Plan
from tanglai.catalogue.model import Grant, Resource, Snapshot

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that keeps the `size` most recently used entries."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


def decided_for(principal: Principal, purpose: str | None) -> tuple[Hashable, ...]:
    """All of who asks, and why, that decisions depend on."""
    return principal.department.code, principal.roles, principal.scopes, purpose


@dataclass(frozen=True, slots=True)
class _Decided:
    relation: VisibleRelation
    snapshot: Snapshot
    grants: tuple[Grant, ...]
    since: datetime


class Decisions:
    """Visible relations by (department, roles, scopes, purpose, resource), each for one snapshot and one grant set.

    INVARIANT: an entry is used only for the very snapshot and the very tuple of grants it was decided by (the replica
    gives the same tuple while nothing changed), and only from that moment on until a grant starts or ends.
    """

    def __init__(self, size: int) -> None:
        self._kept: Recent[Hashable, _Decided] = Recent(size)

    def visible(self, asking: Asking) -> Callable[[Resource], VisibleRelation]:
        """The decision function of one request; each resource is decided once at most."""
        who = (decided_for(asking.principal, asking.purpose), asking.rules.id, asking.mask_key.id)
        local: dict[str, VisibleRelation] = {}

        def visible(resource: Resource) -> VisibleRelation:
            found = local.get(resource.code)
            if found is None:
                found = local[resource.code] = self._decide(asking, (who, resource.code), resource)
            return found

        return visible

    def _decide(self, asking: Asking, key: Hashable, resource: Resource) -> VisibleRelation:
        kept = self._kept.get(key)
        if (
            kept is not None
            and kept.snapshot is asking.snapshot
            and kept.grants is asking.grants
            and kept.since <= asking.now
            and (kept.relation.valid_until is None or asking.now < kept.relation.valid_until)
        ):
            return kept.relation
        relation = decide(asking, resource)
        self._kept.put(key, _Decided(relation, asking.snapshot, asking.grants, asking.now))
        return relation


@dataclass(frozen=True, slots=True)
class _Chosen:
    plan: Plan
    grants: tuple[Grant, ...]
    since: datetime
    valid_until: datetime | None


class Chosen:
    """Which plan is somebody's, by the operation's shape and all of a principal that decisions depend on.

    INVARIANT: kept for one snapshot; as decisions, an entry is used only for the very tuple of grants that it was
    chosen by, and only from then on until a grant starts or ends on which a decision for the plan rests.
    """

    def __init__(self, size: int) -> None:
        self._kept: Recent[Hashable, _Chosen] = Recent(size)

    def get(self, key: Hashable, grants: tuple[Grant, ...], now: datetime) -> Plan | None:
        found = self._kept.get(key)
        if found is None or found.grants is not grants or now < found.since:
            return None
        if found.valid_until is not None and found.valid_until <= now:
            return None
        return found.plan

    def put(
        self,
        key: Hashable,
        plan: Plan,
        grants: tuple[Grant, ...],
        now: datetime,
        resources: Mapping[str, Resource],
        visible: Callable[[Resource], VisibleRelation],
    ) -> None:
        """`visible` took the decisions for `plan`, by `grants` at `now`."""
        ends = [visible(resources[code]).valid_until for code in plan.resources]
        self._kept.put(key, _Chosen(plan, grants, now, min((end for end in ends if end is not None), default=None)))


class Plans:
    """Plans of one schema by document, operation, variable shape, and the fingerprints of the resources touched.

    The resources that an operation touches are learned when it is planned and only grow, so a plan is found only by
    somebody whose fingerprints agree on all of them. No value of a request and no principal is part of a plan.
    """

    def __init__(self, size: int) -> None:
        self._touched: Recent[Hashable, tuple[str, ...]] = Recent(size)
        self._plans: Recent[Hashable, Plan] = Recent(size)

    def find(
        self, shape: Hashable, resources: Mapping[str, Resource], visible: Callable[[Resource], VisibleRelation]
    ) -> Plan | None:
        touched = self._touched.get(shape)
        if touched is None:
            return None
        return self._plans.get((shape, touched, _fingerprints(touched, resources, visible)))

    def keep(
        self,
        shape: Hashable,
        plan: Plan,
        resources: Mapping[str, Resource],
        visible: Callable[[Resource], VisibleRelation],
    ) -> None:
        known = self._touched.get(shape) or ()
        touched = tuple(sorted({*known, *plan.resources}))
        self._touched.put(shape, touched)
        self._plans.put((shape, touched, _fingerprints(touched, resources, visible)), plan)


def _fingerprints(
    touched: tuple[str, ...], resources: Mapping[str, Resource], visible: Callable[[Resource], VisibleRelation]
) -> tuple[str, ...]:
    return tuple(visible(resources[code]).fingerprint for code in touched)
