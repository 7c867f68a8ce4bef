"""In charge of deciding: snapshot, rule set, grants, principal, purpose and moment in, visible relations out."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from authz.cubes import CubeRule, cube_rule
from authz.denial import Denial, Remedy, RemedyAction
from authz.grants import PRECEDENCE, admits, next_change, obstacle
from authz.principal import OWN_DATA_ROLE, Principal
from authz.visible import ItemRule, RelationRule, VisibleRelation
from tanglai.catalogue.divisions import division_prefixes
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Attribute,
    Expression,
    IsTrue,
    Match,
    MatchOp,
    Value,
    Within,
    disjunction,
    rewrite,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Department,
    Grant,
    Item,
    NamedMask,
    Quota,
    Relation,
    Resource,
    ShareClass,
    Snapshot,
)
from tanglai.catalogue.quotas import bounded
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.scalars import ScalarType


@dataclass(frozen=True, slots=True)
class MaskKey:
    """The platform's secret for pseudonyms, with its id for rotation."""

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Asking:
    """Everything a decision depends on. `grants` are all of the principal's department, in any state."""

    snapshot: Snapshot
    rules: RuleSet
    principal: Principal
    purpose: str | None
    grants: tuple[Grant, ...]
    now: datetime
    mask_key: MaskKey


def choose_purpose(principal: Principal, snapshot: Snapshot, header: str | None, extension: str | None) -> str | None:
    """The one purpose of an operation (authorization.md, Inputs).

    A claim with one element is the default. Raises BAD_INPUT when header and `extensions.purpose` differ, and
    PURPOSE_MISMATCH for a purpose outside the token's claim or the platform's code list.
    """
    if header is not None and extension is not None and header != extension:
        raise BadInput("header `Purpose` and `extensions.purpose` differ")
    asked = extension if extension is not None else header
    if asked is None:
        only = next(iter(principal.purposes)) if len(principal.purposes) == 1 else None
        return only if only in snapshot.purposes else None
    if asked not in principal.purposes or asked not in snapshot.purposes:
        raise TanglaiError(ErrorCode.PURPOSE_MISMATCH, "the purpose is not one that the token allows")
    return asked


def decide(asking: Asking, resource: Resource) -> VisibleRelation:
    """The visible relation of `resource`: pure, total over all items and relations. An error inside any rule denies.

    Rules 1 to 5 of authorization.md; the token's scope narrows items before rows are derived from them.
    """
    return _Decision(asking, resource).relation()


class _Decision:
    def __init__(self, asking: Asking, resource: Resource) -> None:
        self.asking = asking
        self.resource = resource
        self.principal = asking.principal
        self.grants = tuple(
            sorted((g for g in asking.grants if g.resource == resource.code), key=lambda grant: grant.id)
        )
        self._scopes: dict[str, Expression] = {}
        source = asking.snapshot.sources.get(resource.binding.source)
        self.holds = source is not None and source.department == self.principal.department.code
        self.own = self.holds and OWN_DATA_ROLE in self.principal.roles

    def relation(self) -> VisibleRelation:
        denial = self._outside()
        items = {item.name: self._item(item, denial) for item in self.resource.items}
        relations = {r.name: self._relation(r, denial) for r in self.resource.relations}
        row = disjunction(*(condition for rule in items.values() for condition in rule.rows))
        cubes = self._cubes() if denial is None else ()
        quotas = self._quotas(items, relations, cubes)
        return VisibleRelation(
            resource=self.resource,
            items=items,
            relations=relations,
            row=FALSE if denial is not None else row,
            fingerprint=self._fingerprint(items, relations, row, denial, cubes, quotas),
            valid_until=next_change(self.grants, self.asking.now),
            denial=denial,
            cubes=cubes,
            quotas=quotas,
        )

    def _quotas(
        self, items: dict[str, ItemRule], relations: dict[str, RelationRule], cubes: tuple[CubeRule, ...]
    ) -> dict[str, Quota]:
        """Quotas of the grants that something rests on."""
        used = {cube.grant for cube in cubes}
        used.update(*(rule.grants for rule in items.values()), *(rule.grants for rule in relations.values()))
        return {g.id: g.quota for g in self.grants if g.quota is not None and bounded(g.quota) and g.id in used}

    def _cubes(self) -> tuple[CubeRule, ...]:
        """Usable grants for statistics, by id; only their usage keeps them from reading."""
        found: list[CubeRule] = []
        allowed = frozenset(item.name for item in self.resource.items if self._in_scope(item.name))
        for grant in self.grants:
            if obstacle(grant, self.asking.purpose, self.asking.now) is not ErrorCode.STATISTICS_ONLY:
                continue
            rows = self._scope(grant)
            cube = cube_rule(grant, self.resource, rows, allowed) if rows != FALSE else None
            if (
                cube is not None
                and cube.items
                and all(admits(grant, i.share_class) for i in cube.dimensions + cube.measures)
            ):
                found.append(cube)
        return tuple(found)

    def _outside(self) -> Denial | None:
        """Rule 1: another zone, or outside the token's scope."""
        if self.resource.zone is not self.asking.snapshot.zone:
            return self.deny(ErrorCode.OUT_OF_ZONE, None, Remedy(RemedyAction.USE_OTHER_NODE))
        scopes = self.principal.scopes
        if scopes is not None and not any(scope.resource == self.resource.code for scope in scopes):
            return self.deny(ErrorCode.SCOPE_EXCEEDED, None, Remedy(RemedyAction.USE_OTHER_TOKEN))
        return None

    def _in_scope(self, name: str) -> bool:
        scopes = self.principal.scopes
        return scopes is None or any(s.resource == self.resource.code and s.item in (None, name) for s in scopes)

    def _item(self, item: Item, outside: Denial | None) -> ItemRule:
        hidden = ItemRule(item, FALSE, (), (), "", outside)
        if outside is not None:
            return hidden
        if not self._in_scope(item.name):
            denial = self.deny(ErrorCode.SCOPE_EXCEEDED, item.name, Remedy(RemedyAction.USE_OTHER_TOKEN))
            return replace(hidden, denial=denial)
        if self.own:
            return ItemRule(item, TRUE, (), (), "ALLOWED_OWN", None)
        if item.share_class is ShareClass.UNCONDITIONAL and self.asking.rules.unconditional_is_direct:
            return ItemRule(item, TRUE, (), (), "ALLOWED_UNCONDITIONAL", None)
        covering = [g for g in self.grants if item.name in g.items and admits(g, item.share_class)]
        usable = [g for g in self._usable(covering) if item.name not in g.masks or item.mask(g.masks[item.name])]
        clear = disjunction(*(self._scope(g) for g in usable if item.name not in g.masks))
        masked = self._masked(item, [g for g in usable if item.name in g.masks]) if clear != TRUE else ()
        if clear == FALSE and not masked:
            return replace(hidden, denial=self._denied(item.name, item.share_class, covering))
        only_masked = None
        if clear == FALSE:
            only_masked = self.deny(ErrorCode.MASKED_USE, item.name, Remedy(RemedyAction.SELECT_ONLY))
        grants = tuple(g.id for g in usable)
        allowance = f"ALLOWED_{item.share_class}"
        return ItemRule(item, clear, masked, grants, allowance, None, only_masked)

    def _masked(self, item: Item, grants: list[Grant]) -> tuple[tuple[NamedMask, Expression], ...]:
        """Masks in their declared order, the weakest first, each with the rows on which it holds."""
        masked: list[tuple[NamedMask, Expression]] = []
        for named in item.masks:
            condition = disjunction(*(self._scope(g) for g in grants if g.masks[item.name] == named.name))
            if condition != FALSE:
                masked.append((replace(named, mask=self._keyed(named.mask)), condition))
        return tuple(masked)

    def _keyed(self, mask: Mask) -> Mask:
        """A pseudonym's key is the requesting department's own: stable for one, unlinkable between two."""
        if mask.kind is not MaskKind.PSEUDONYM:
            return mask
        key = self.asking.mask_key
        secret = hmac.new(key.secret, b"mask\0" + self.principal.department.code.encode(), hashlib.sha256).digest()
        return replace(mask, key=secret, key_id=key.id)

    def _relation(self, relation: Relation, outside: Denial | None) -> RelationRule:
        if outside is not None:
            return RelationRule(relation, FALSE, (), outside)
        if not self._in_scope(relation.name):
            denial = self.deny(ErrorCode.SCOPE_EXCEEDED, relation.name, Remedy(RemedyAction.USE_OTHER_TOKEN))
            return RelationRule(relation, FALSE, (), denial)
        share_class = self.asking.snapshot.relation_class(self.resource, relation)
        if self.own or (share_class is ShareClass.UNCONDITIONAL and self.asking.rules.unconditional_is_direct):
            return RelationRule(relation, TRUE, (), None)
        covering = [g for g in self.grants if relation.name in g.relations and admits(g, share_class)]
        usable = self._usable(covering)
        rows = disjunction(*(self._scope(g) for g in usable))
        if rows == FALSE:
            return RelationRule(relation, FALSE, (), self._denied(relation.name, share_class, covering, relation=True))
        return RelationRule(relation, rows, tuple(g.id for g in usable), None)

    def _usable(self, grants: Iterable[Grant]) -> list[Grant]:
        """Those of `grants` that open some row now."""
        now, purpose = self.asking.now, self.asking.purpose
        return [g for g in grants if obstacle(g, purpose, now) is None and self._scope(g) != FALSE]

    def _scope(self, grant: Grant) -> Expression:
        """The rows of `grant`, two-valued: TRUE or not. Read once: a scope may be long."""
        if grant.id not in self._scopes:
            self._scopes[grant.id] = self._read(grant.scope)
        return self._scopes[grant.id]

    def _read(self, scope: Expression) -> Expression:
        try:
            scope = rewrite(scope, self._substitute)
        except ValueError:
            return FALSE  # INVARIANT: a rule that cannot be read opens nothing
        return scope if scope in (TRUE, FALSE) else IsTrue(scope)

    def _substitute(self, node: Expression) -> Expression | None:
        if isinstance(node, Attribute):
            return Value(attribute(self.principal.department, node.name), ScalarType.TEXT)
        if isinstance(node, Within):
            code = node.division
            if isinstance(code, Attribute):
                code = attribute(self.principal.department, code.name)
            prefixes = division_prefixes(code, self.asking.snapshot.divisions)
            return disjunction(
                *(Match(MatchOp.STARTS_WITH, node.item, Value(prefix, ScalarType.TEXT)) for prefix in prefixes)
            )
        return None

    def _denied(self, name: str, share_class: ShareClass, covering: list[Grant], relation: bool = False) -> Denial:
        """The code that tells most, over the grants that cover the item; else by share class."""
        about = Remedy(
            RemedyAction.CONTACT_PROVIDER,
            self.resource.provider,
            self.resource.code,
            items=() if relation else (name,),
            relations=(name,) if relation else (),
        )
        found = {g.id: obstacle(g, self.asking.purpose, self.asking.now) for g in covering}
        for code in PRECEDENCE:
            ids = tuple(id for id, why in found.items() if why is code)
            if ids:
                return self.deny(code, name, self._grant_remedy(code, share_class, about), ids)
        code = ErrorCode.NOT_SHARED if share_class is ShareClass.NOT_SHARED else ErrorCode.GRANT_REQUIRED
        return self.deny(code, name, self._ask(share_class, about))

    def _ask(self, share_class: ShareClass, about: Remedy) -> Remedy:
        """How a new grant is had: by application (Art. 11(3)), for what is not shared by consultation (Art. 11(4)).

        The department that holds the data needs none, but a client with the role `data.own`.
        """
        if self.holds:
            return Remedy(RemedyAction.USE_OTHER_TOKEN)
        if share_class is ShareClass.NOT_SHARED:
            return replace(about, action=RemedyAction.CONSULT)
        return replace(
            about,
            action=RemedyAction.APPLY,
            reply_within=self.asking.rules.reply_within[share_class],
        )

    def _grant_remedy(self, code: ErrorCode, share_class: ShareClass, about: Remedy) -> Remedy:
        if code in (ErrorCode.PURPOSE_REQUIRED, ErrorCode.PURPOSE_MISMATCH):
            return Remedy(RemedyAction.STATE_PURPOSE)
        if code in (ErrorCode.GRANT_SUSPENDED, ErrorCode.GRANT_NOT_YET_VALID, ErrorCode.QUOTA_EXCEEDED):
            return about
        ask = self._ask(share_class, about)
        if code in (ErrorCode.GRANT_EXPIRED, ErrorCode.GRANT_ENDED) and ask.action is RemedyAction.APPLY:
            return replace(ask, action=RemedyAction.RENEW)
        return ask

    def deny(
        self, code: ErrorCode, name: str | None, remedy: Remedy | None = None, grants: tuple[str, ...] = ()
    ) -> Denial:
        return Denial(code, self.asking.rules.articles[code], self.resource.code, name, remedy, grants)

    def _fingerprint(
        self,
        items: dict[str, ItemRule],
        relations: dict[str, RelationRule],
        row: Expression,
        denial: Denial | None,
        cubes: tuple[CubeRule, ...],
        quotas: dict[str, Quota],
    ) -> str:
        """Everything that shapes V, what is told about it and what is counted.

        Dataclass representations are complete and stable.
        """
        parts = [
            self.asking.rules.id,
            str(self.asking.rules.version),
            self.resource.code,
            str(self.resource.version),
            repr(row),
            repr(denial),
        ]
        for name, rule in sorted(items.items()):
            parts.append(repr((name, rule.clear, rule.masked, rule.grants, rule.denial, rule.masked_use)))
        for name, end in sorted(relations.items()):
            parts.append(repr((name, end.rows, end.grants, end.denial)))
        parts += [repr((cube.grant, cube.terms, repr(cube.rows), sorted(cube.items))) for cube in cubes]
        parts.append(repr(quotas))
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def attribute(department: Department, name: str) -> str:
    """The value of a principal's attribute in a scope. Raises ValueError for a name that scopes do not know."""
    match name:
        case "department.code":
            return department.code
        case "department.division":
            return department.division
        case "department.key":
            return department.key
        case _:
            raise ValueError(f"unknown attribute `{name}`")
