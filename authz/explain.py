"""In charge of the dry run: per item and relation the rule, the rows, the clauses, the reason and the remedy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from authz.cubes import CubeRule
from authz.decide import Asking, attribute, decide
from authz.denial import Denial, Remedy, RemedyAction
from authz.scope_words import Language, describe_rows
from authz.visible import ItemRule, RelationRule, Use, VisibleRelation
from authz.words import article_words, describe_period
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Attribute,
    Expression,
    ItemRef,
    Or,
    Value,
    Within,
    disjunction,
    leaves,
    rewrite,
)
from tanglai.catalogue.model import Department, Grant, Item, Resource, ShareClass
from tanglai.catalogue.predicates import predicate_to_document
from tanglai.catalogue.scalars import ScalarType, plain_decimal


class Verdict(StrEnum):
    ALL = "ALL"  # clear on all rows
    SOME_ROWS = "SOME_ROWS"  # clear on some rows, maybe masked on others
    MASKED = "MASKED"  # shown masked only
    STATISTICS = "STATISTICS"  # counted in a published cube, shown on no row
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows of a resource: in words of the asked language, and as a predicate document over items by name.

    `{}` is all rows, `{"or": []}` none. The document names no attribute of the requester: their values stand in it.
    `discloses` are items that it tests although they are not clear to the requester on these rows.
    """

    words: str
    where: Mapping[str, Any]
    discloses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Rows on which a mask is granted; it shows where the item is not clear and no mask before it is granted."""

    mask: str
    rows: RowSet


@dataclass(frozen=True, slots=True)
class StatisticsAccess:
    """The published cube that an item is counted in. `period_words` says how long one holds, in the asked language."""

    grant: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    minimum_cell: int
    base: int
    sum_base: str
    period_words: str
    rows_words: str


@dataclass(frozen=True, slots=True)
class ItemAccess:
    """What the principal may do with one item.

    `rows` are those on which it is shown, clear or masked (of STATISTICS: counted); `clear` and `masked` tell them
    apart. `usable` are the clauses of queries that may name it, as far as the schema offers them for its type and keys;
    `use_denial` is why it may not be filtered by, sorted by and so on.
    """

    name: str
    share_class: ShareClass
    verdict: Verdict
    rows: RowSet
    clear: RowSet
    masked: tuple[MaskedRows, ...]
    usable: tuple[Use, ...]
    grants: tuple[str, ...]
    article: str
    article_words: str
    denial: Denial | None
    use_denial: Denial | None
    statistics: StatisticsAccess | None = None

    @property
    def masks(self) -> tuple[str, ...]:
        return tuple(masked.mask for masked in self.masked)

    @property
    def discloses(self) -> tuple[str, ...]:
        """What the row sets disclose, each by itself: also where together they are all rows."""
        sets = (self.rows, self.clear, *(masked.rows for masked in self.masked))
        return tuple(sorted({name for rows in sets for name in rows.discloses}))


@dataclass(frozen=True, slots=True)
class RelationAccess:
    """Whether a relation may be followed: from visible rows that are in `near` to visible rows that are in `far`.

    The denial is that of this end, or, where this end holds, of the other end. NONE without a denial: no row is visible
    at one of the ends.
    """

    name: str
    target: str
    share_class: ShareClass
    verdict: Verdict
    near: RowSet
    far: RowSet
    grants: tuple[str, ...]
    denial: Denial | None


@dataclass(frozen=True, slots=True)
class AccessReport:
    """The dry run for one resource. `rows` are those that are visible: on which some item is shown, asked for or not.

    `denial` is why nothing of the resource can be had: another zone, the token's scope or its purposes.
    """

    resource: str
    purpose: str | None
    rule_set: str
    rows: RowSet
    items: tuple[ItemAccess, ...]
    relations: tuple[RelationAccess, ...]
    denial: Denial | None

    def only(self, names: Iterable[str]) -> "AccessReport":
        """The report on items and relations `names`, in that order. Raises KeyError for a name that it has not."""
        items, relations = {item.name: item for item in self.items}, {one.name: one for one in self.relations}
        wanted = list(names)
        for name in wanted:
            if name not in items and name not in relations:
                raise KeyError(name)
        return replace(
            self,
            items=tuple(items[name] for name in wanted if name in items),
            relations=tuple(relations[name] for name in wanted if name in relations),
        )

    @property
    def grants(self) -> tuple[str, ...]:
        """The grants that an item or relation in the report rests on, by id."""
        found = {item.statistics.grant for item in self.items if item.statistics is not None}
        found.update(*(item.grants for item in self.items), *(relation.grants for relation in self.relations))
        return tuple(sorted(found))


def explain(asking: Asking, resource: Resource, language: Language) -> AccessReport:
    """What a query for items and relations of `resource` would be allowed. Touches no source.

    What is left of quotas changes nothing here: a quota is no part of what is visible.
    """
    near = _End(asking, resource, language)
    visible = near.visible
    return AccessReport(
        resource=resource.code,
        purpose=asking.purpose,
        rule_set=asking.rules.id,
        rows=near.visible_rows(),
        items=tuple(_item(near, rule) for rule in visible.items.values()),
        relations=tuple(_relation(near, name) for name in visible.relations),
        denial=visible.denial,
    )


class _End:
    """One resource as the principal sees it, with the grants behind each rule."""

    def __init__(self, asking: Asking, resource: Resource, language: Language) -> None:
        self.asking = asking
        self.resource = resource
        self.language: Language = language
        self.visible = _decided(asking, resource)
        self.by_id = {grant.id: grant for grant in asking.grants if grant.resource == resource.code}
        self._said: dict[Expression, RowSet] = {}

    def rows(self, scopes: Iterable[Expression]) -> RowSet:
        """The rows in any of `scopes`, as grants have them."""
        whole, department = disjunction(*scopes), self.asking.principal.department
        if whole not in self._said:
            self._said[whole] = RowSet(
                describe_rows([whole], self.resource, self.asking.snapshot, department, self.language),
                predicate_to_document(_filled_in(whole, department)),
                self._discloses(_parts(whole)),
            )
        return self._said[whole]

    def visible_rows(self) -> RowSet:
        if self.visible.row in (TRUE, FALSE):
            return self.rows([self.visible.row])
        rules = self.visible.items.values()
        return self.rows(scope for rule in rules for scope in (*self.clear(rule), *self.shown_masked(rule)))

    def clear(self, rule: ItemRule) -> list[Expression]:
        """The scopes on whose rows an item is clear."""
        if rule.clear in (TRUE, FALSE):
            return [rule.clear]
        return [grant.scope for grant in self._grants(rule.grants) if rule.item.name not in grant.masks]

    def masked(self, rule: ItemRule) -> list[tuple[str, list[Expression]]]:
        """The masks of an item, the weakest first, each with the scopes on whose rows it is granted."""
        grants = self._grants(rule.grants)
        return [
            (named.name, [g.scope for g in grants if g.masks.get(rule.item.name) == named.name])
            for named, _ in rule.masked
        ]

    def shown_masked(self, rule: ItemRule) -> list[Expression]:
        return [scope for _, scopes in self.masked(rule) for scope in scopes]

    def followed(self, rule: RelationRule) -> list[Expression]:
        """The scopes from whose rows a relation may be followed."""
        return [rule.rows] if rule.rows in (TRUE, FALSE) else [grant.scope for grant in self._grants(rule.grants)]

    def cube(self, cube: CubeRule) -> RowSet:
        return self.rows(grant.scope for grant in self._grants((cube.grant,)))

    def _discloses(self, scopes: Iterable[Expression]) -> tuple[str, ...]:
        """Items that one of `scopes` tests although they are not clear on its rows (Art. 11(3), checks of grants)."""
        found: set[str] = set()
        for scope in scopes:
            for name in {leaf.name for leaf in leaves(scope, ItemRef)} - found:
                clear = disjunction(*self.clear(self.visible.items[name]))
                if clear != TRUE and not _parts(scope) <= _parts(clear):
                    found.add(name)
        return tuple(sorted(found))

    def _grants(self, ids: Iterable[str]) -> list[Grant]:
        return [self.by_id[id] for id in ids]


def _parts(scope: Expression) -> set[Expression]:
    return set(scope.parts) if isinstance(scope, Or) else {scope}


def _decided(asking: Asking, resource: Resource) -> VisibleRelation:
    """The decision, as the gateway takes it: a purpose that the token does not allow is refused, whatever is asked."""
    visible = decide(asking, resource)
    if asking.purpose is None or asking.purpose in asking.principal.purposes or visible.denial is not None:
        return visible
    code = ErrorCode.PURPOSE_MISMATCH
    denial = Denial(code, asking.rules.articles[code], resource.code, None, Remedy(RemedyAction.USE_OTHER_TOKEN))
    items = {name: ItemRule(rule.item, FALSE, (), (), "", denial) for name, rule in visible.items.items()}
    relations = {name: RelationRule(rule.relation, FALSE, (), denial) for name, rule in visible.relations.items()}
    return replace(visible, items=items, relations=relations, row=FALSE, denial=denial, cubes=(), quotas={})


def _filled_in(scope: Expression, department: Department) -> Expression:
    """`scope` with the requester's attributes in it."""

    def change(node: Expression) -> Expression | None:
        if isinstance(node, Attribute):
            return Value(attribute(department, node.name), ScalarType.TEXT)
        if isinstance(node, Within) and isinstance(node.division, Attribute):
            return Within(node.item, attribute(department, node.division.name))
        return None

    return rewrite(scope, change)


def _item(end: _End, rule: ItemRule) -> ItemAccess:
    asking, visible = end.asking, end.visible
    clear = end.clear(rule)
    masked = end.masked(rule)
    cube = visible.cube((rule.item.name,)) if visible.denial is None else None
    statistics = _statistics(cube, end) if cube is not None else None
    grants, rows = rule.grants, end.rows([*clear, *end.shown_masked(rule)])
    if rule.denial is None:
        verdict = Verdict.ALL if rule.clear == TRUE else Verdict.MASKED if rule.clear == FALSE else Verdict.SOME_ROWS
        article = asking.rules.articles[rule.allowance]
    elif statistics is not None and cube is not None:
        verdict, article = Verdict.STATISTICS, asking.rules.articles[f"ALLOWED_{rule.item.share_class}"]
        grants, rows = (cube.grant,), end.cube(cube)
    else:
        verdict, article = Verdict.NONE, rule.denial.article
    return ItemAccess(
        name=rule.item.name,
        share_class=rule.item.share_class,
        verdict=verdict,
        rows=rows,
        clear=end.rows(clear),
        masked=tuple(MaskedRows(mask, end.rows(scopes)) for mask, scopes in masked),
        usable=tuple(use for use in _offered(rule.item, end.resource) if _allowed(visible, rule.item.name, use)),
        grants=grants,
        article=article,
        article_words=article_words(article, asking.rules, end.language),
        denial=rule.denial,
        use_denial=rule.denial or rule.masked_use,
        statistics=statistics,
    )


def _offered(item: Item, resource: Resource) -> Iterable[Use]:
    """The clauses that the schema has for an item."""
    yield Use.SELECT
    yield Use.WHERE
    if item.type.comparable:
        yield from (Use.ORDER, Use.GROUP, Use.AGGREGATE)
    if any(item.name in key.items for key in resource.keys):
        yield Use.KEY


def _allowed(visible: VisibleRelation, name: str, use: Use) -> bool:
    return not isinstance(visible.resolve(name, use), Denial)


def _statistics(cube: CubeRule, end: _End) -> StatisticsAccess:
    terms = cube.statistics
    return StatisticsAccess(
        grant=cube.grant,
        dimensions=tuple(name for name in terms.dimensions if name in cube.items),
        measures=tuple(name for name in terms.measures if name in cube.items),
        minimum_cell=terms.minimum_cell,
        base=terms.base,
        sum_base=plain_decimal(terms.sum_base),
        period_words=describe_period(terms.period, end.language),
        rows_words=end.cube(cube).words,
    )


def _relation(near: _End, name: str) -> RelationAccess:
    here = near.visible.relations[name]
    target = near.asking.snapshot.resources[here.relation.target]
    far = _End(near.asking, target, near.language)
    there = far.visible.relations[here.relation.inverse]
    denial = here.denial or there.denial
    ends = ((near, here), (far, there))
    if denial is not None or any(end.visible.row == FALSE for end, _ in ends):
        verdict = Verdict.NONE
    elif all(rule.rows == TRUE and end.visible.row == TRUE for end, rule in ends):
        verdict = Verdict.ALL
    else:
        verdict = Verdict.SOME_ROWS
    return RelationAccess(
        name=name,
        target=target.code,
        share_class=near.asking.snapshot.relation_class(near.resource, here.relation),
        verdict=verdict,
        near=near.rows(near.followed(here)),
        far=far.rows(far.followed(there)),
        grants=tuple(dict.fromkeys(here.grants + there.grants)),
        denial=denial,
    )
