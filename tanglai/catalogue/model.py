"""In charge of what the platform knows: departments, sources, published resources, grants, and their snapshots."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

from tanglai.catalogue.expressions import TRUE, Column, Expression
from tanglai.catalogue.masks import Mask
from tanglai.catalogue.scalars import ScalarType


class ShareClass(StrEnum):
    """The three classes of Art. 9, from open to closed."""

    UNCONDITIONAL = "UNCONDITIONAL"
    CONDITIONAL = "CONDITIONAL"
    NOT_SHARED = "NOT_SHARED"

    @property
    def strictness(self) -> int:
        return list(ShareClass).index(self)


class Level(StrEnum):
    REGION = "REGION"
    CITY = "CITY"
    COUNTY = "COUNTY"


class Zone(StrEnum):
    """The two platforms of Art. 5; a node serves one."""

    INTRANET = "INTRANET"
    EXTRANET = "EXTRANET"


class Branch(StrEnum):
    """The catalogue's first level (classification guide 2017; Art. 10)."""

    BASIC = "BASIC"
    THEMATIC = "THEMATIC"
    DEPARTMENTAL = "DEPARTMENTAL"


class OrganisationKind(StrEnum):
    DEPARTMENT = "DEPARTMENT"
    AUTHORISED_ORGANISATION = "AUTHORISED_ORGANISATION"
    PUBLIC_SERVICE_ENTERPRISE = (
        "PUBLIC_SERVICE_ENTERPRISE"  # provides through its department, does not request (Art. 4)
    )


class UpdateCycle(StrEnum):
    REAL_TIME = "REAL_TIME"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    QUARTERLY = "QUARTERLY"
    YEARLY = "YEARLY"
    IRREGULAR = "IRREGULAR"


class BasisType(StrEnum):
    """What may forbid sharing (Art. 10(1))."""

    LAW = "LAW"
    ADMINISTRATIVE_REGULATION = "ADMINISTRATIVE_REGULATION"
    CENTRAL_POLICY = "CENTRAL_POLICY"


class Usage(StrEnum):
    READ = "READ"
    STATISTICS = "STATISTICS"


class Period(StrEnum):
    """How long one published cube holds, in days of Asia/Shanghai."""

    DAY = "DAY"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"


class GrantBasis(StrEnum):
    APPLICATION = "APPLICATION"
    CONSULTATION = "CONSULTATION"
    COORDINATION = "COORDINATION"
    TRANSITION = "TRANSITION"
    """Use that went on when a node's rule set came to ask for an application; of unconditional items alone."""


class GrantState(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"
    EXPIRED = "EXPIRED"
    DISPOSED = "DISPOSED"


class Content(StrEnum):
    """What an item holds or tells of somebody. It decides which masks fit and what else gives away a masked number."""

    IDENTITY_NUMBER = "IDENTITY_NUMBER"  # GB 11643: division 6, birth date 8, order 3 with the sex, check 1
    CREDIT_CODE = "CREDIT_CODE"  # GB 32100
    NAME = "NAME"
    MOBILE = "MOBILE"
    ADDRESS = "ADDRESS"
    EMAIL = "EMAIL"
    BANK_ACCOUNT = "BANK_ACCOUNT"
    BIRTH_DATE = "BIRTH_DATE"
    BIRTH_YEAR = "BIRTH_YEAR"
    SEX = "SEX"
    DIVISION = "DIVISION"  # GB/T 2260, of birth or residence


@dataclass(frozen=True, slots=True)
class Division:
    """An administrative division (GB/T 2260), valid in `valid_from <= day < valid_to`, then named by `successor`."""

    code: str
    name: str
    name_en: str
    valid_from: date
    valid_to: date | None = None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class Department:
    """A department, identified by its unified social credit code; `key` is a short ASCII handle for people."""

    code: str
    key: str
    name: str
    name_en: str
    level: Level
    division: str
    kind: OrganisationKind = OrganisationKind.DEPARTMENT
    competent: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class Purpose:
    code: str
    title: str
    title_en: str


@dataclass(frozen=True, slots=True)
class Category:
    """A node of the classification tree; `code` is the joined digits of 类, 项, 目, 细目.

    `leads` are credit codes: the departments that lead the base library or theme, one for each government that has it
    (Art. 10(2), 10(3)); they lead what stands below it too.
    """

    code: str
    title: str
    title_en: str
    parent: str | None = None
    leads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A department's business information system.

    `kind` names the connector (`postgresql`, `files`, `http`). `options` is the connector's configuration without
    secrets: a value `{"env": NAME}` is read from the environment where the source is opened.

    An old cross-department exchange interface (Art. 6) has a plan: the day of `retirement`, what takes its place
    (`successor`, the key of a source or the code of a resource) and a note for those who still use it.
    """

    key: str
    title: str
    department: str
    kind: str
    zone: Zone
    options: Mapping[str, Any]
    retirement: date | None = None
    successor: str | None = None
    retirement_note: str | None = None


@dataclass(frozen=True, slots=True)
class LegalBasis:
    type: BasisType
    title: str
    article: str


@dataclass(frozen=True, slots=True)
class NamedMask:
    name: str
    mask: Mask


@dataclass(frozen=True, slots=True)
class Code:
    """One value of an item's code list."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Item:
    """One field of a resource. `masks` goes from the weakest (reveals most) to the strongest.

    `of` names the identity number, an item of the same resource, whose holder `content` is about; None: all of them.
    """

    name: str
    title: str
    type: ScalarType
    share_class: ShareClass
    graphql: str
    column: Column
    description: str = ""
    basic: bool = True
    business_reason: str | None = None
    condition: str | None = None
    legal_basis: LegalBasis | None = None
    data_element: str | None = None
    masks: tuple[NamedMask, ...] = ()
    codes: tuple[Code, ...] = ()
    nullable: bool = True
    content: Content | None = None
    of: str | None = None

    def mask(self, name: str) -> Mask | None:
        return next((named.mask for named in self.masks if named.name == name), None)


@dataclass(frozen=True, slots=True)
class Relation:
    """One end of a catalogued relation. `inverse` is the name of the other end on `target`.

    Links: `items` of this resource equal `target_items` of the target, pairwise and not null.
    `share_class` is as declared at this end; what holds is `Snapshot.relation_class`.
    """

    name: str
    title: str
    target: str
    items: tuple[str, ...]
    target_items: tuple[str, ...]
    many: bool
    share_class: ShareClass
    inverse: str
    graphql: str


@dataclass(frozen=True, slots=True)
class Key:
    """A catalogued key: items that together are unique, of which each row has at most one."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """GraphQL names of a resource: group under `data`, list field, look-up field, object type."""

    group: str
    list: str
    one: str
    type: str


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a resource's rows come from. `table` is a table, view, file pattern or endpoint of the source.

    `handle` is a unique not-null column that carries no information of its own (authorization.md, row handles).
    `options` is the connector's per-resource declaration (HTTP filters and paging, CSV dialect); `max_rows` the
    catalogued bound on rows that a source without predicates may be read for.
    """

    source: str
    namespace: str | None
    table: str
    handle: Column | None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    max_rows: int | None = None


@dataclass(frozen=True)
class Resource:
    """One published version of a catalogue entry. Immutable."""

    code: str
    version: int
    title: str
    summary: str
    branch: Branch
    category: str
    provider: str
    share_class: ShareClass
    update_cycle: UpdateCycle
    zone: Zone
    names: Names
    binding: Binding
    items: tuple[Item, ...]
    keys: tuple[Key, ...] = ()
    relations: tuple[Relation, ...] = ()
    compiler: str | None = None
    condition: str | None = None
    legal_basis: LegalBasis | None = None
    sharing_method: str | None = None
    format: str | None = None
    open_attribute: str | None = None
    subject: str | None = None
    related: tuple[str, ...] = ()
    published_at: datetime | None = None

    @cached_property
    def item_by_name(self) -> Mapping[str, Item]:
        return {item.name: item for item in self.items}

    @cached_property
    def relation_by_name(self) -> Mapping[str, Relation]:
        return {relation.name: relation for relation in self.relations}

    def __hash__(self) -> int:
        return hash((self.code, self.version))


@dataclass(frozen=True, slots=True)
class Quota:
    """Per day of Asia/Shanghai; None is without bound."""

    rows: int | None = None
    requests: int | None = None
    subjects: int | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a statistics grant publishes per `period`: counts and sums by all `dimensions` (authorization.md).

    Dimensions are items with code lists, measures numeric items. A cell of fewer than `minimum_cell` rows is not
    published; counts are rounded to a multiple of `base`, sums to one of `sum_base`, in the measure's own unit.
    """

    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    period: Period
    minimum_cell: int
    base: int
    sum_base: Decimal = Decimal(1)

    @property
    def items(self) -> frozenset[str]:
        return frozenset(self.dimensions + self.measures)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a positive answer created: items and relations x rows x purpose x validity x masks.

    `masks` maps an item's name to the name of one of its declared masks; `scope` is over items of the resource.
    Valid in `valid_from <= now < valid_to`. `statistics` is of a grant for statistics only, whose items are its own.
    """

    id: str
    requester: str
    resource: str
    items: frozenset[str]
    purpose: str
    valid_from: datetime
    valid_to: datetime | None
    basis: GrantBasis
    state: GrantState = GrantState.ACTIVE
    usage: Usage = Usage.READ
    relations: frozenset[str] = frozenset()
    scope: Expression = TRUE
    masks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    quota: Quota | None = None
    statistics: Statistics | None = None

    def __hash__(self) -> int:
        return hash(self.id)


def lead_of(
    categories: Mapping[str, Category], departments: Mapping[str, Department], category: str, department: str
) -> str | None:
    """See `Snapshot.lead`."""
    asking = departments.get(department)
    seen: set[str] = set()
    code: str | None = category
    while asking is not None and code is not None and code not in seen and (node := categories.get(code)) is not None:
        for lead in node.leads:
            found = departments.get(lead)
            if found is not None and (found.level, found.division) == (asking.level, asking.division):
                return lead
        seen.add(code)
        code = node.parent
    return None


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version in a resource's history; the newest without `retired_at` is what `data` serves."""

    code: str
    version: int
    title: str
    share_class: ShareClass
    published_at: datetime
    retired_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The catalogue at one moment, immutable and numbered; passed down with the request, never looked up globally."""

    number: int
    zone: Zone
    rule_set: str
    departments: Mapping[str, Department]
    divisions: Mapping[str, Division]
    purposes: Mapping[str, Purpose]
    categories: Mapping[str, Category]
    sources: Mapping[str, Source]
    resources: Mapping[str, Resource]
    history: Mapping[str, tuple[PublishedVersion, ...]] = field(default_factory=dict)

    def __hash__(self) -> int:
        return self.number

    @cached_property
    def department_by_key(self) -> Mapping[str, Department]:
        return {department.key: department for department in self.departments.values()}

    @cached_property
    def served(self) -> tuple[Resource, ...]:
        """Resources of this node's zone, ordered by code: those that `data` has fields for."""
        return tuple(r for _, r in sorted(self.resources.items()) if r.zone is self.zone)

    def lead(self, category: str, department: str) -> str | None:
        """Credit code of the department that leads `category` in the government of `department`; None for none.

        That of the category itself, else of the nearest one above (Art. 10(2), 10(3)).
        """
        return lead_of(self.categories, self.departments, category, department)

    def inverse(self, resource: Resource, relation: Relation) -> Relation:
        """The other end of `relation`. Publication has made sure that it exists and mirrors the keys."""
        return self.resources[relation.target].relation_by_name[relation.inverse]

    def relation_class(self, resource: Resource, relation: Relation) -> ShareClass:
        """The class that holds for a relation at both its ends (authorization.md, Relations).

        The strictest of its key items and of what its ends declare; between two providers at least CONDITIONAL unless
        both ends declare it UNCONDITIONAL.
        """
        target = self.resources[relation.target]
        other = self.inverse(resource, relation)
        classes = [resource.item_by_name[name].share_class for name in relation.items]
        classes += [target.item_by_name[name].share_class for name in relation.target_items]
        classes += [relation.share_class, other.share_class]
        return max(classes, key=lambda c: c.strictness)
