"""In charge of the dry run: per item and relation the rule, the rows in words, the reason and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from authz.cubes import CubeRule
from authz.decide import Asking, decide
from authz.denial import Denial
from authz.visible import ItemRule, VisibleRelation
from authz.words import Language, describe_period, describe_rows, reason, remedy_words
from tanglai.catalogue.expressions import FALSE, TRUE, Expression, ItemRef, leaves
from tanglai.catalogue.model import Resource, ShareClass, Snapshot
from tanglai.catalogue.scalars import plain_decimal


class Verdict(StrEnum):
    ALL = "ALL"  # clear on all rows
    SOME_ROWS = "SOME_ROWS"  # clear on some rows, maybe masked on others
    MASKED = "MASKED"  # shown masked only
    STATISTICS = "STATISTICS"  # counted in a published cube, shown on no row
    NONE = "NONE"


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
    """What the principal may do with one item. `rows_words` says on which rows, in the asked language."""

    name: str
    share_class: ShareClass
    verdict: Verdict
    rows_words: str
    masks: tuple[str, ...]
    grants: tuple[str, ...]
    article: str
    denial: Denial | None
    reason: str
    remedy_words: str
    scope_discloses: tuple[str, ...] = ()
    statistics: StatisticsAccess | None = None


@dataclass(frozen=True, slots=True)
class RelationAccess:
    """Whether a relation may be followed. Both ends must hold; the denial is that of the first end that does not."""

    name: str
    target: str
    share_class: ShareClass
    verdict: Verdict
    rows_words: str
    grants: tuple[str, ...]
    denial: Denial | None
    reason: str
    remedy_words: str


@dataclass(frozen=True, slots=True)
class AccessReport:
    resource: str
    purpose: str | None
    rule_set: str
    items: tuple[ItemAccess, ...]
    relations: tuple[RelationAccess, ...]
    denial: Denial | None


def explain(asking: Asking, resource: Resource, names: Iterable[str] | None, language: Language) -> AccessReport:
    """What a query for `names` (items and relations; None: all) of `resource` would be allowed. Touches no source.

    Raises KeyError with the name for a name that the resource has not.
    """
    visible = decide(asking, resource)
    wanted = list(names) if names is not None else [*visible.items, *visible.relations]
    for name in wanted:
        if name not in visible.items and name not in visible.relations:
            raise KeyError(name)
    return AccessReport(
        resource=resource.code,
        purpose=asking.purpose,
        rule_set=asking.rules.id,
        items=tuple(_item(asking, visible, visible.items[n], language) for n in wanted if n in visible.items),
        relations=tuple(_relation(asking, visible, n, language) for n in wanted if n in visible.relations),
        denial=visible.denial,
    )


def _item(asking: Asking, visible: VisibleRelation, rule: ItemRule, language: Language) -> ItemAccess:
    snapshot = asking.snapshot
    cube = visible.cube((rule.item.name,))
    statistics = _statistics(cube, visible, language) if cube is not None else None
    grants, rows_words = rule.grants, describe_rows(rule.rows, visible.resource, language)
    if rule.denial is not None:
        verdict, article = Verdict.NONE, rule.denial.article
        why, how = reason(rule.denial, snapshot, language), remedy_words(rule.denial, snapshot, language)
        if statistics is not None:
            verdict, article = Verdict.STATISTICS, asking.rules.articles[f"ALLOWED_{rule.item.share_class}"]
            grants, rows_words = (statistics.grant,), statistics.rows_words
    else:
        article = asking.rules.articles[rule.allowance]
        why = how = ""
        if rule.clear == TRUE:
            verdict = Verdict.ALL
        elif rule.clear == FALSE:
            verdict = Verdict.MASKED
        else:
            verdict = Verdict.SOME_ROWS
    return ItemAccess(
        name=rule.item.name,
        share_class=rule.item.share_class,
        verdict=verdict,
        rows_words=rows_words,
        masks=tuple(named.name for named, _ in rule.masked),
        grants=grants,
        article=article,
        denial=rule.denial,
        reason=why,
        remedy_words=how,
        scope_discloses=_discloses(visible, rule.rows),
        statistics=statistics,
    )


def _statistics(cube: CubeRule, visible: VisibleRelation, language: Language) -> StatisticsAccess:
    terms = cube.statistics
    return StatisticsAccess(
        grant=cube.grant,
        dimensions=tuple(name for name in terms.dimensions if name in cube.items),
        measures=tuple(name for name in terms.measures if name in cube.items),
        minimum_cell=terms.minimum_cell,
        base=terms.base,
        sum_base=plain_decimal(terms.sum_base),
        period_words=describe_period(terms.period, language),
        rows_words=describe_rows((cube.rows,), visible.resource, language),
    )


def _discloses(visible: VisibleRelation, conditions: Iterable[Expression]) -> tuple[str, ...]:
    """Items that a scope tests though they are not clear to the requester: the scope discloses that predicate."""
    tested = {leaf.name for condition in conditions for leaf in leaves(condition, ItemRef)}
    return tuple(sorted(name for name in tested if visible.items[name].clear == FALSE))


def _relation(asking: Asking, visible: VisibleRelation, name: str, language: Language) -> RelationAccess:
    snapshot: Snapshot = asking.snapshot
    here = visible.relations[name]
    target = snapshot.resources[here.relation.target]
    there = decide(asking, target).relations[here.relation.inverse]
    denial = here.denial or there.denial
    return RelationAccess(
        name=name,
        target=target.code,
        share_class=snapshot.relation_class(visible.resource, here.relation),
        verdict=Verdict.NONE
        if denial is not None
        else Verdict.ALL
        if here.rows == TRUE and there.rows == TRUE
        else Verdict.SOME_ROWS,
        rows_words=describe_rows((here.rows,), visible.resource, language),
        grants=tuple(dict.fromkeys(here.grants + there.grants)),
        denial=denial,
        reason=reason(denial, snapshot, language) if denial else "",
        remedy_words=remedy_words(denial, snapshot, language) if denial else "",
    )
