"""In charge of the grant document: items and relations x rows x purpose x validity x masks x quota."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, StrictInt, WithJsonSchema

from tanglai.catalogue.documents_base import (
    DepartmentRef,
    Document,
    DocumentError,
    Name,
    ResourceCode,
    Token,
    trimmed,
    validated,
)
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Period, Quota, Resource, Statistics, Usage
from tanglai.catalogue.predicates import predicate_from_document, predicate_to_document
from tanglai.catalogue.scalars import ScalarType, parse, plain_decimal, to_json

SHANGHAI = timezone(timedelta(hours=8))
"""Asia/Shanghai has had no summer time since 1991; grants are younger."""

MINIMUM_CELL = 3
"""The smallest cell that any grant may publish: of two people, each would know the other."""


def _moment(value: Any) -> Any:
    if value is None:
        return None
    try:
        return datetime.combine(parse(ScalarType.DATE, value), datetime.min.time(), SHANGHAI)
    except ValueError:
        return parse(ScalarType.DATETIME, value)


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]
Amount = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]


def _decimal(value: Any) -> Any:
    return parse(ScalarType.DECIMAL, value)


Positive = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(gt=0, le=10**15),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
]
Names = Annotated[tuple[Name, ...], Field(max_length=50)]


class QuotaDocument(Document):
    """Per day of Asia/Shanghai; what is not given has no bound."""

    rows: Amount | None = None
    requests: Amount | None = None
    subjects: Amount | None = None


class StatisticsDocument(Document):
    """What a grant for statistics publishes once per period of Asia/Shanghai: counts, and sums of the measures.

    Cells of fewer than `minimumCell` rows are left out, counts are rounded to `base`, sums to `sumBase`.
    """

    dimensions: Names = ()
    measures: Names = ()
    period: Period
    minimum_cell: Annotated[StrictInt, Field(ge=MINIMUM_CELL, le=10**6)]
    base: Annotated[StrictInt, Field(ge=1, le=10**6)]
    sum_base: Positive = Decimal(1)


class GrantDocument(Document):
    """A grant. `validFrom` and `validTo` are moments, or days of Asia/Shanghai meaning their first moment.

    `masks` maps item names to names of declared masks; `scope` is a predicate over the resource's items, absent: all
    rows. A grant for statistics names its items in `statistics`.
    """

    id: Token
    requester: DepartmentRef
    resource: ResourceCode
    items: Annotated[tuple[Name, ...], Field(max_length=2_000)] = ()
    relations: Annotated[tuple[Name, ...], Field(max_length=500)] = ()
    scope: dict[str, JsonValue] = Field(default_factory=dict)
    masks: dict[Name, Annotated[str, Field(max_length=64)]] = Field(default_factory=dict)
    usage: Usage = Usage.READ
    purpose: Token
    valid_from: Moment
    valid_to: Moment | None = None
    quota: QuotaDocument | None = None
    statistics: StatisticsDocument | None = None
    basis: GrantBasis
    state: GrantState = GrantState.ACTIVE


def grant_from_document(document: Mapping[str, Any], resources: Mapping[str, Resource]) -> Grant:
    """A grant whose scope is typed by the items of its resource, which must be among `resources`.

    The requester is as written, a credit code or a key. Raises DocumentError, also for a resource not among them and
    for a scope over items that the resource does not have (any more): such a grant opens nothing.
    """
    d = validated(GrantDocument, document)
    resource = resources.get(d.resource)
    if resource is None:
        raise DocumentError.at(("resource",), f"unknown resource `{d.resource}`", "reference")
    try:
        scope = predicate_from_document(d.scope, resource)
    except DocumentError as error:
        raise error.under(("scope",)) from None
    statistics = _statistics(d.statistics) if d.statistics else None
    return Grant(
        id=d.id,
        requester=d.requester,
        resource=d.resource,
        items=frozenset(d.items) | (statistics.items if statistics else frozenset()),
        purpose=d.purpose,
        valid_from=d.valid_from,
        valid_to=d.valid_to,
        basis=d.basis,
        state=d.state,
        usage=d.usage,
        relations=frozenset(d.relations),
        scope=scope,
        masks=MappingProxyType(d.masks),
        quota=Quota(d.quota.rows, d.quota.requests, d.quota.subjects) if d.quota else None,
        statistics=statistics,
    )


def _statistics(d: StatisticsDocument) -> Statistics:
    return Statistics(d.dimensions, d.measures, d.period, d.minimum_cell, d.base, d.sum_base)


def grant_to_document(grant: Grant) -> dict[str, Any]:
    """The canonical document: names sorted, moments in UTC, what equals its default left out."""
    quota = grant.quota
    document = trimmed(
        {
            "id": grant.id,
            "requester": grant.requester,
            "resource": grant.resource,
            "items": sorted(grant.items),
            "relations": sorted(grant.relations),
            "scope": predicate_to_document(grant.scope),
            "masks": dict(sorted(grant.masks.items())),
            "usage": grant.usage.value,
            "purpose": grant.purpose,
            "validFrom": to_json(ScalarType.DATETIME, grant.valid_from),
            "validTo": to_json(ScalarType.DATETIME, grant.valid_to),
            "basis": grant.basis.value,
            "state": grant.state.value,
        }
    )
    if quota is not None:
        document["quota"] = trimmed({"rows": quota.rows, "requests": quota.requests, "subjects": quota.subjects})
    statistics = grant.statistics
    if statistics is not None:
        document["statistics"] = trimmed(
            {
                "dimensions": list(statistics.dimensions),
                "measures": list(statistics.measures),
                "period": statistics.period.value,
                "minimumCell": statistics.minimum_cell,
                "base": statistics.base,
                "sumBase": plain_decimal(statistics.sum_base.normalize()),
            }
        )
    return document
