"""In charge of the dry run as GraphQL types: what a requester may see, why not, and how to ask."""

import json

import strawberry

from authz import denial as authz_denial
from authz import explain
from authz.visible import Use
from authz.words import article_words, reason, remedy_words
from schema.fixed.registers import Department, department
from schema.fixed.resolved import Info, resolved
from schema.remedies import mutation_for
from tanglai.catalogue import model
from tanglai.catalogue.rules import RuleSet, rule_set


@strawberry.type(description="What the requester can do next.")
class Remedy:
    action: authz_denial.RemedyAction = strawberry.field(description="The step.")
    words: str = strawberry.field(description="The step in words, in the request's language.")
    resource_code: str | None = strawberry.field(description="Code of the resource to ask for.")
    items: list[str] = strawberry.field(description="Names of the items to ask for.")
    relations: list[str] = strawberry.field(description="Names of the relations to ask for.")
    mutation: str | None = strawberry.field(
        description="The mutation that takes the step; null where it is not taken on the platform."
    )
    reply_within: int | None = strawberry.field(description="Working days in which a reply is due.")
    _department: strawberry.Private[str | None]

    @resolved("Whom to turn to.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.type(description="A decision against a use of data, with its reason.")
class Denial:
    code: str = strawberry.field(description="The code that stands in `extensions.code` of such an error.")
    resource_code: str = strawberry.field(
        description="Code of the resource that it is about; of a relation, that of the end that is denied."
    )
    item: str | None = strawberry.field(
        description="Name of the item or relation that it is about; null where it is the whole resource."
    )
    article: str = strawberry.field(description="The article that it rests on.")
    article_words: str = strawberry.field(
        description="The article in words of the request's language, with the title of the regulation."
    )
    reason: str = strawberry.field(description="Why, in the request's language.")
    grants: list[str] = strawberry.field(description="Grants that were considered and do not help.")
    remedy: Remedy | None = strawberry.field(description="What the requester can do; null where nothing.")


@strawberry.type(description="The published cube that an item is counted in; figures are asked of the aggregate field.")
class StatisticsAccess:
    grant: str = strawberry.field(description="The grant that it is published under.")
    dimensions: list[str] = strawberry.field(
        description="Items to group by, and to filter with `eq`, `in` and `and` of those."
    )
    measures: list[str] = strawberry.field(description="Items that have `sum` and `avg`.")
    minimum_cell: int = strawberry.field(description="Groups of fewer rows by all dimensions are left out.")
    base: int = strawberry.field(description="Counts of such groups are rounded to a multiple of it.")
    sum_base: str = strawberry.field(description="Sums of such groups are rounded to a multiple of it.")
    period: str = strawberry.field(description="How often it is published, in words of the request's language.")
    rows: str = strawberry.field(description="Which rows are counted, in words of the request's language.")


@strawberry.type(description="Some rows of a resource, for people and for programs.")
class RowSet:
    _rows: strawberry.Private[explain.RowSet]

    @resolved("The rows in words of the request's language.")
    def words(self, info: Info) -> str:
        return info.context.tell(self._rows.words)

    @resolved(
        "The rows as JSON, over item names, in the form of a grant's row scope; `{}` is all rows, "
        '`{"or": []}` none. The requester\'s attributes stand in it as values.'
    )
    def where(self, info: Info) -> str:
        return info.context.tell(json.dumps(self._rows.where, ensure_ascii=False))

    @resolved("Items that it tests though they are not clear to the requester on these rows.")
    def discloses(self) -> list[str]:
        return list(self._rows.discloses)


@strawberry.type(description="Rows on which a mask is granted.")
class MaskedRows:
    mask: str = strawberry.field(description="Name of the mask.")
    rows: RowSet = strawberry.field(
        description="Its rows; it shows on those of them where the item is not clear and no mask before it is granted."
    )


@strawberry.type(description="What the requester may do with one item.")
class ItemAccess:
    name: str = strawberry.field(description="Name of the item.")
    share_class: model.ShareClass = strawberry.field(description="Its share class.")
    verdict: explain.Verdict = strawberry.field(description="What a query would give.")
    clear: RowSet = strawberry.field(description="The rows on which it is clear; comparing uses these and no others.")
    masked: list[MaskedRows] = strawberry.field(description="The rows on which it is masked, the weakest mask first.")
    usable: list[Use] = strawberry.field(
        description="Clauses of queries that may name it; those on a published cube are told by `statistics`."
    )
    masks: list[str] = strawberry.field(description="Names of the masks that apply, the weakest first.")
    grants: list[str] = strawberry.field(description="Grants that the access rests on.")
    article: str = strawberry.field(description="The article that the verdict rests on.")
    article_words: str = strawberry.field(
        description="The article in words of the request's language, with the title of the regulation."
    )
    scope_discloses: list[str] = strawberry.field(
        description="Items that the row scope tests though they are not clear to the requester on its rows."
    )
    statistics: StatisticsAccess | None = strawberry.field(
        description="The published cube that its figures are answered from; null where there is none."
    )
    denial: Denial | None = strawberry.field(description="Why not; null where the item is shown on some row.")
    use_denial: Denial | None = strawberry.field(
        description="Why it may not be filtered or sorted by, grouped or aggregated; null where it may."
    )
    _rows: strawberry.Private[str]

    @resolved("On which rows it is shown, in words of the request's language; of STATISTICS, which rows are counted.")
    def rows(self, info: Info) -> str:
        return info.context.tell(self._rows)


@strawberry.type(
    description="Whether the requester may follow a relation: from rows that are visible and in `near` to rows that "
    "are visible and in `far`."
)
class RelationAccess:
    name: str = strawberry.field(description="Name of the relation.")
    target_code: str = strawberry.field(description="Code of the resource that it leads to.")
    share_class: model.ShareClass = strawberry.field(description="The class that holds for it at both ends.")
    verdict: explain.Verdict = strawberry.field(description="What a query would give.")
    near: RowSet = strawberry.field(description="The rows from which this end's rule lets one go.")
    far: RowSet = strawberry.field(description="The rows to which the other end's rule lets one go.")
    grants: list[str] = strawberry.field(description="Grants that the access rests on, of both ends.")
    denial: Denial | None = strawberry.field(
        description="Why not: what this end is denied by, or, where this end holds, the other; null where it may be "
        "followed."
    )
    _rows: strawberry.Private[str]

    @resolved("From which rows this end's rule lets one go, in words of the request's language; see `verdict`.")
    def rows(self, info: Info) -> str:
        return info.context.tell(self._rows)


def denial(info: Info, found: authz_denial.Denial | None) -> Denial | None:
    """A denial with its words in the request's language."""
    if found is None:
        return None
    context = info.context
    rules = rule_set(context.snapshot.rule_set)
    return Denial(
        code=found.code.value,
        resource_code=found.resource,
        item=found.item,
        article=found.article,
        article_words=article_words(found.article, rules, context.language),
        reason=reason(found, context.snapshot, context.language),
        grants=list(found.grants),
        remedy=_remedy(found.remedy, rules, remedy_words(found, context.snapshot, context.language)),
    )


def _remedy(found: authz_denial.Remedy | None, rules: RuleSet, words: str) -> Remedy | None:
    if found is None:
        return None
    return Remedy(
        action=found.action,
        words=words,
        resource_code=found.resource,
        items=list(found.items),
        relations=list(found.relations),
        mutation=mutation_for(found.action, rules),
        reply_within=found.reply_within,
        _department=found.department,
    )


def item_access(info: Info, access: explain.ItemAccess) -> ItemAccess:
    return ItemAccess(
        name=access.name,
        share_class=access.share_class,
        verdict=access.verdict,
        clear=RowSet(_rows=access.clear),
        masked=[MaskedRows(mask=masked.mask, rows=RowSet(_rows=masked.rows)) for masked in access.masked],
        usable=list(access.usable),
        masks=list(access.masks),
        grants=list(access.grants),
        article=access.article,
        article_words=access.article_words,
        scope_discloses=list(access.discloses),
        statistics=_statistics(access.statistics),
        denial=denial(info, access.denial),
        use_denial=denial(info, access.use_denial),
        _rows=access.rows.words,
    )


def _statistics(found: explain.StatisticsAccess | None) -> StatisticsAccess | None:
    if found is None:
        return None
    return StatisticsAccess(
        grant=found.grant,
        dimensions=list(found.dimensions),
        measures=list(found.measures),
        minimum_cell=found.minimum_cell,
        base=found.base,
        sum_base=found.sum_base,
        period=found.period_words,
        rows=found.rows_words,
    )


def relation_access(info: Info, access: explain.RelationAccess) -> RelationAccess:
    return RelationAccess(
        name=access.name,
        target_code=access.target,
        share_class=access.share_class,
        verdict=access.verdict,
        near=RowSet(_rows=access.near),
        far=RowSet(_rows=access.far),
        grants=list(access.grants),
        denial=denial(info, access.denial),
        _rows=access.near.words,
    )
