"""In charge of the resource document: one catalogue entry with its items, masks, relations and binding."""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, JsonValue, StrictBool, StrictInt, Tag, model_validator

from tanglai.catalogue.documents_base import (
    CategoryCode,
    DepartmentRef,
    Document,
    DocumentError,
    Key,
    Line,
    Name,
    PhysicalName,
    Prose,
    ResourceCode,
    Token,
    tagged,
    trimmed,
    validated,
)
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    BasisType,
    Binding,
    Branch,
    Code,
    Content,
    Item,
    LegalBasis,
    NamedMask,
    Names,
    Relation,
    Resource,
    ShareClass,
    UpdateCycle,
    Zone,
)
from tanglai.catalogue.model import Key as CatalogueKey
from tanglai.catalogue.scalars import ScalarType, parse, to_json

MAX_ITEMS = 2_000
MAX_CODES = 20_000
_QUALIFIED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_FILE_ENDINGS = frozenset({"csv", "gz", "json", "jsonl", "ndjson", "parquet", "tsv", "txt", "xls", "xlsx", "zst"})

Kept = Annotated[StrictInt, Field(ge=0, le=1_000)]
Moment = Annotated[datetime, BeforeValidator(lambda value: parse(ScalarType.DATETIME, value))]


class KeepDocument(Document):
    prefix: Kept = 0
    suffix: Kept = 0


class RegionDocument(Document):
    prefix: Kept


class MaskDocument(Document):
    """A named mask: `name` and exactly one of the kinds."""

    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
    keep: KeepDocument | None = None
    first: Literal[True] | None = None
    domain: Literal[True] | None = None
    region: RegionDocument | None = None
    pseudonym: Literal[True] | None = None
    redact: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "MaskDocument":
        kinds = (self.keep, self.first, self.domain, self.region, self.pseudonym, self.redact)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a mask is exactly one of keep, first, domain, region, pseudonym, redact")
        return self


class LegalBasisDocument(Document):
    """What forbids or limits sharing (Art. 10(1))."""

    type: BasisType
    title: Line
    article: Line


class CodeDocument(Document):
    value: Annotated[str, Field(min_length=1, max_length=500)]
    title: Line


class ColumnDocument(Document):
    """A physical column; `collated`: its order is by code point, `timezone`: of a column of times without one."""

    name: PhysicalName
    collated: StrictBool = True
    timezone: Line | None = None


class HandleDocument(Document):
    """The row handle: a unique, not null column that carries no information of its own."""

    column: PhysicalName
    type: ScalarType
    collated: StrictBool = True
    timezone: Line | None = None


ColumnField = Annotated[
    Annotated[PhysicalName, Tag("~text")] | Annotated[ColumnDocument, Tag("~object")], Discriminator(tagged)
]


class TableDocument(Document):
    name: PhysicalName
    namespace: PhysicalName | None = None


TableField = Annotated[
    Annotated[PhysicalName, Tag("~text")] | Annotated[TableDocument, Tag("~object")], Discriminator(tagged)
]


class ItemDocument(Document):
    """One item. `shareClass` is the resource's where it is not given, `graphql` the name.

    `content`: what it tells of somebody, `of`: the identity number among the items whose holder that is.
    """

    name: Name
    title: Line
    type: ScalarType
    column: ColumnField
    share_class: ShareClass | None = None
    graphql: Name | None = None
    description: Prose = ""
    basic: StrictBool = True
    business_reason: Prose | None = None
    condition: Prose | None = None
    legal_basis: LegalBasisDocument | None = None
    data_element: Token | None = None
    masks: Annotated[tuple[MaskDocument, ...], Field(max_length=16)] = ()
    codes: Annotated[tuple[CodeDocument, ...], Field(max_length=MAX_CODES)] = ()
    nullable: StrictBool = True
    content: Content | None = None
    of: Name | None = None


ItemNames = Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)]


class RelationDocument(Document):
    """One end of a relation. `shareClass` is the resource's where it is not given, `graphql` the name."""

    name: Name
    title: Line
    target: ResourceCode
    items: ItemNames
    target_items: ItemNames
    many: StrictBool
    inverse: Name
    share_class: ShareClass | None = None
    graphql: Name | None = None


class NamesDocument(Document):
    group: Name
    list: Name
    one: Name
    type: Name


class ResourceDocument(Document):
    """A catalogue entry (classification guide of 2017, with the share class on items). `version` is the platform's."""

    kind: Literal["resource"] = "resource"
    code: ResourceCode
    version: Annotated[StrictInt, Field(ge=0)] = 1
    title: Line
    summary: Prose = ""
    branch: Branch
    category: CategoryCode
    provider: DepartmentRef
    compiler: DepartmentRef | None = None
    share_class: ShareClass
    condition: Prose | None = None
    legal_basis: LegalBasisDocument | None = None
    sharing_method: Prose | None = None
    format: Line | None = None
    open_attribute: Line | None = None
    update_cycle: UpdateCycle
    zone: Zone
    subject: Token | None = None
    related: Annotated[tuple[ResourceCode, ...], Field(max_length=1_000)] = ()
    graphql: NamesDocument
    source: Key
    table: TableField
    handle: HandleDocument | None = None
    max_rows: Annotated[StrictInt, Field(ge=1)] | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    keys: Annotated[tuple[ItemNames, ...], Field(max_length=32)] = ()
    items: Annotated[tuple[ItemDocument, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    relations: Annotated[tuple[RelationDocument, ...], Field(max_length=500)] = ()
    published_at: Moment | None = None


def resource_from_document(document: Mapping[str, Any]) -> Resource:
    """A resource whose departments are as written, credit codes or keys. Raises DocumentError."""
    d = validated(ResourceDocument, document)
    namespace, table = _table(d.table)
    handle = d.handle
    return Resource(
        code=d.code,
        version=d.version,
        title=d.title,
        summary=d.summary,
        branch=d.branch,
        category=d.category,
        provider=d.provider,
        share_class=d.share_class,
        update_cycle=d.update_cycle,
        zone=d.zone,
        names=Names(d.graphql.group, d.graphql.list, d.graphql.one, d.graphql.type),
        binding=Binding(
            source=d.source,
            namespace=namespace,
            table=table,
            handle=Column(handle.column, handle.type, handle.collated, handle.timezone) if handle else None,
            options=MappingProxyType(d.options),
            max_rows=d.max_rows,
        ),
        items=tuple([_item(item, d.share_class) for item in d.items]),
        keys=tuple(CatalogueKey(names) for names in d.keys),
        relations=tuple(_relation(relation, d.share_class) for relation in d.relations),
        compiler=d.compiler,
        condition=d.condition,
        legal_basis=_basis(d.legal_basis),
        sharing_method=d.sharing_method,
        format=d.format,
        open_attribute=d.open_attribute,
        subject=d.subject,
        related=d.related,
        published_at=d.published_at,
    )


def resource_to_document(resource: Resource, *, stamped: bool = True) -> dict[str, Any]:
    """The canonical document: what equals its default is left out, so equal resources have equal documents.

    `stamped=False` leaves out `version` and `publishedAt`, which the platform gives at publication.
    """
    stamp: dict[str, Any] = {"version": resource.version} if stamped else {}
    published = to_json(ScalarType.DATETIME, resource.published_at) if stamped else None
    binding = resource.binding
    return trimmed(
        {
            "kind": "resource",
            "code": resource.code,
            **stamp,
            "title": resource.title,
            "summary": resource.summary or None,
            "branch": resource.branch.value,
            "category": resource.category,
            "provider": resource.provider,
            "compiler": resource.compiler,
            "shareClass": resource.share_class.value,
            "condition": resource.condition,
            "legalBasis": _basis_document(resource.legal_basis),
            "sharingMethod": resource.sharing_method,
            "format": resource.format,
            "openAttribute": resource.open_attribute,
            "updateCycle": resource.update_cycle.value,
            "zone": resource.zone.value,
            "subject": resource.subject,
            "related": list(resource.related),
            "graphql": {
                "group": resource.names.group,
                "list": resource.names.list,
                "one": resource.names.one,
                "type": resource.names.type,
            },
            "source": binding.source,
            "table": _table_document(binding.namespace, binding.table),
            "handle": binding.handle
            and trimmed(
                {
                    "column": binding.handle.name,
                    "type": binding.handle.type.value,
                    "collated": None if binding.handle.collated else False,
                    "timezone": binding.handle.timezone,
                }
            ),
            "maxRows": binding.max_rows,
            "options": dict(binding.options),
            "keys": [list(key.items) for key in resource.keys],
            "items": [_item_document(item, resource.share_class) for item in resource.items],
            "relations": [_relation_document(relation, resource.share_class) for relation in resource.relations],
            "publishedAt": published,
        }
    )


def _table(table: str | TableDocument) -> tuple[str | None, str]:
    """Namespace and name. `population.resident` is a table in a namespace, `licences.parquet` a file."""
    if isinstance(table, TableDocument):
        return table.namespace, table.name
    match = _QUALIFIED.fullmatch(table)
    if match is None or match[2].lower() in _FILE_ENDINGS:
        return None, table
    return match[1], match[2]


def _table_document(namespace: str | None, name: str) -> str | dict[str, Any]:
    short = name if namespace is None else f"{namespace}.{name}"
    return short if _table(short) == (namespace, name) else trimmed({"namespace": namespace, "name": name})


def _item(d: ItemDocument, default: ShareClass) -> Item:
    column = d.column
    return Item(
        d.name,
        d.title,
        d.type,
        d.share_class or default,
        d.graphql or d.name,
        Column(column, d.type)
        if isinstance(column, str)
        else Column(column.name, d.type, column.collated, column.timezone),
        d.description,
        d.basic,
        d.business_reason,
        d.condition,
        _basis(d.legal_basis),
        d.data_element,
        tuple([_mask(mask) for mask in d.masks]) if d.masks else (),
        tuple([Code(code.value, code.title) for code in d.codes]) if d.codes else (),
        d.nullable,
        d.content,
        d.of,
    )


def _item_document(item: Item, default: ShareClass) -> dict[str, Any]:
    column = item.column
    if column.type is not item.type:
        raise DocumentError.at(("items", item.name, "column"), "the column's type is not the item's", "type")
    plain = column.collated and column.timezone is None
    return trimmed(
        {
            "name": item.name,
            "title": item.title,
            "type": item.type.value,
            "shareClass": None if item.share_class is default else item.share_class.value,
            "graphql": None if item.graphql == item.name else item.graphql,
            "column": column.name
            if plain
            else trimmed(
                {
                    "name": column.name,
                    "collated": None if column.collated else False,
                    "timezone": column.timezone,
                }
            ),
            "description": item.description or None,
            "basic": None if item.basic else False,
            "businessReason": item.business_reason,
            "condition": item.condition,
            "legalBasis": _basis_document(item.legal_basis),
            "dataElement": item.data_element,
            "masks": [_mask_document(named) for named in item.masks],
            "codes": [{"value": code.value, "title": code.title} for code in item.codes],
            "nullable": None if item.nullable else False,
            "content": item.content.value if item.content else None,
            "of": item.of,
        }
    )


def _mask(d: MaskDocument) -> NamedMask:
    if d.keep is not None:
        return NamedMask(d.name, Mask(MaskKind.KEEP, d.keep.prefix, d.keep.suffix))
    if d.region is not None:
        return NamedMask(d.name, Mask(MaskKind.REGION, d.region.prefix))
    flags = {
        MaskKind.FIRST: d.first,
        MaskKind.DOMAIN: d.domain,
        MaskKind.PSEUDONYM: d.pseudonym,
        MaskKind.REDACT: d.redact,
    }
    return NamedMask(d.name, Mask(next(kind for kind, flag in flags.items() if flag)))


def _mask_document(named: NamedMask) -> dict[str, Any]:
    mask = named.mask
    if mask.key or mask.key_id:
        raise DocumentError.at(("masks", named.name), "a mask of the catalogue holds no key", "mask")
    match mask.kind:
        case MaskKind.KEEP:
            return {"name": named.name, "keep": {"prefix": mask.prefix, "suffix": mask.suffix}}
        case MaskKind.REGION if mask.suffix == 0:
            return {"name": named.name, "region": {"prefix": mask.prefix}}
        case kind if mask.prefix == mask.suffix == 0:
            return {"name": named.name, kind.value.lower(): True}
    raise DocumentError.at(("masks", named.name), f"`{mask.kind}` takes no such parameter", "mask")


def _basis(d: LegalBasisDocument | None) -> LegalBasis | None:
    return LegalBasis(d.type, d.title, d.article) if d else None


def _basis_document(basis: LegalBasis | None) -> dict[str, Any] | None:
    return {"type": basis.type.value, "title": basis.title, "article": basis.article} if basis else None


def _relation(d: RelationDocument, default: ShareClass) -> Relation:
    return Relation(
        name=d.name,
        title=d.title,
        target=d.target,
        items=d.items,
        target_items=d.target_items,
        many=d.many,
        share_class=d.share_class or default,
        inverse=d.inverse,
        graphql=d.graphql or d.name,
    )


def _relation_document(relation: Relation, default: ShareClass) -> dict[str, Any]:
    return trimmed(
        {
            "name": relation.name,
            "title": relation.title,
            "target": relation.target,
            "items": list(relation.items),
            "targetItems": list(relation.target_items),
            "many": relation.many,
            "inverse": relation.inverse,
            "shareClass": None if relation.share_class is default else relation.share_class.value,
            "graphql": None if relation.graphql == relation.name else relation.graphql,
        }
    )
