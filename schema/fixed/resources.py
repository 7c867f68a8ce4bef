"""In charge of catalogue entries as GraphQL types: resources with their items, relations, keys and versions."""

from datetime import datetime
from typing import Annotated

import strawberry

from schema.fixed import changes
from schema.fixed.access import ItemAccess, RelationAccess, item_access, relation_access
from schema.fixed.enums import ChangeKind
from schema.fixed.ids import global_id
from schema.fixed.registers import Category, Department, Node, category, department
from schema.fixed.resolved import Info, resolved
from schema.fixed.versions import VersionDifference, differences
from tanglai.catalogue import masks, model
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.versions import Part, PartChange

AskedPurpose = Annotated[
    str | None, strawberry.argument(description="Code of the purpose to try; by default that of the request.")
]


@strawberry.type(description="What forbids or limits sharing (Art. 10(1)).")
class LegalBasis:
    type: model.BasisType = strawberry.field(description="Kind of text.")
    title: str = strawberry.field(description="Its title.")
    article: str = strawberry.field(description="The article in it.")


@strawberry.type(description="One value of an item's code list.")
class Code:
    value: str = strawberry.field(description="The value, as in the data.")
    title: str = strawberry.field(description="What it stands for.")


@strawberry.type(description="A way in which an item's values can be shown in part.")
class Mask:
    name: str = strawberry.field(description="Name, as in a grant.")
    kind: masks.MaskKind = strawberry.field(description="How it renders.")
    prefix: int = strawberry.field(description="Characters kept at the start.")
    suffix: int = strawberry.field(description="Characters kept at the end.")


@strawberry.type(description="One field of a resource (信息项).")
class Item(Node):
    name: str = strawberry.field(description="Name in the catalogue.")
    field_name: str = strawberry.field(description="Name of the GraphQL field.")
    title: str = strawberry.field(description="Chinese title.")
    description: str = strawberry.field(description="What it holds; may be empty.")
    type: ScalarType = strawberry.field(description="Type of its values.")
    share_class: model.ShareClass = strawberry.field(description="Its share class (Art. 9).")
    basic: bool = strawberry.field(description="Whether it is a basic item, if of a base library (Art. 10(2)).")
    business_reason: str | None = strawberry.field(description="Why it is a business item; null for a basic one.")
    condition: str | None = strawberry.field(description="Condition of sharing; null where the resource's holds.")
    data_element: str | None = strawberry.field(description="Code of its standard data element.")
    nullable: bool = strawberry.field(description="Whether its values may be null at the source.")
    _item: strawberry.Private[model.Item]
    _resource: strawberry.Private[model.Resource]

    @resolved("What forbids sharing; null where nothing is declared on the item.")
    def legal_basis(self) -> LegalBasis | None:
        return legal_basis(self._item.legal_basis)

    @resolved("Masks that grants can name, the weakest first.")
    def masks(self) -> list[Mask]:
        return [
            Mask(name=named.name, kind=named.mask.kind, prefix=named.mask.prefix, suffix=named.mask.suffix)
            for named in self._item.masks
        ]

    @resolved("Its code list; empty where it has none.")
    def codes(self) -> list[Code]:
        return [Code(value=code.value, title=code.title) for code in self._item.codes]

    @resolved("The resource that it is an item of.")
    def resource(self) -> "Resource":
        return resource_node(self._resource)

    @resolved("What the requester may do with it: the dry run, which reads no data.")
    def my_access(self, info: Info, purpose: AskedPurpose = None) -> ItemAccess:
        report = info.context.access(self._resource, asked_purpose(info, purpose))
        return item_access(info, next(access for access in report.items if access.name == self.name))


@strawberry.type(description="A catalogued relation of one resource to another, seen from one end.")
class Relation(Node):
    name: str = strawberry.field(description="Name in the catalogue.")
    field_name: str = strawberry.field(description="Name of the GraphQL field.")
    title: str = strawberry.field(description="Chinese title.")
    many: bool = strawberry.field(description="Whether several rows may be linked.")
    inverse: str = strawberry.field(description="Name of the other end, on the target.")
    target_code: str = strawberry.field(description="Code of the resource that it leads to.")
    _relation: strawberry.Private[model.Relation]
    _resource: strawberry.Private[model.Resource]

    @resolved("The class that holds for it at both ends: at least the strictest of its key items.")
    def share_class(self, info: Info) -> model.ShareClass:
        snapshot = info.context.snapshot
        if self.target_code not in snapshot.resources:
            return self._relation.share_class
        return snapshot.relation_class(self._resource, self._relation)

    @resolved("The resource that it leads to.")
    def target(self, info: Info) -> "Resource | None":
        return find_resource(info, self.target_code)

    @resolved("Items of this resource that link it, pairwise with those of the target.")
    def items(self) -> list[Item]:
        return [item_node(self._resource, self._resource.item_by_name[name]) for name in self._relation.items]

    @resolved("Items of the target that link it.")
    def target_items(self, info: Info) -> list[Item]:
        target = info.context.snapshot.resources.get(self.target_code)
        if target is None:
            return []
        return [item_node(target, target.item_by_name[name]) for name in self._relation.target_items]

    @resolved("Whether the requester may follow it: the dry run, which reads no data.")
    def my_access(self, info: Info, purpose: AskedPurpose = None) -> RelationAccess:
        report = info.context.access(self._resource, asked_purpose(info, purpose))
        return relation_access(info, next(access for access in report.relations if access.name == self.name))


@strawberry.type(description="Items that together are unique in a resource.")
class Key:
    lookup: str = strawberry.field(description="Name of the GraphQL field that looks a row up by it.")
    items: list[Item] = strawberry.field(description="The items, in the order of the key.")


@strawberry.type(description="Where the schema serves a resource.")
class ResourceNames:
    group: str = strawberry.field(description="Field of `Data`.")
    list_field: str = strawberry.field(name="list", description="Field of the group that lists rows.")
    lookups: list[str] = strawberry.field(description="Fields of the group that find one row by a key.")
    aggregate: str = strawberry.field(description="Field of the group that computes figures.")
    type: str = strawberry.field(description="Object type of a row.")


@strawberry.type(description="An item that differs between two versions of a resource.")
class ItemChange:
    name: str = strawberry.field(description="Name of the item.")
    title: str = strawberry.field(description="Its title, of a removed one the former title.")
    kind: PartChange = strawberry.field(description="What happened.")
    attributes: list[str] = strawberry.field(
        description="Attributes that differ, of a changed item, by their names in catalogue files."
    )


@strawberry.type(description="One published version of a resource; never changed afterwards.")
class ResourceVersion(Node):
    resource_code: str = strawberry.field(description="Code of the resource.")
    version: int = strawberry.field(description="Number of the version, from 1.")
    title: str = strawberry.field(description="Title at the time.")
    share_class: model.ShareClass = strawberry.field(description="Share class at the time.")
    published_at: datetime = strawberry.field(description="When it was published.")
    retired_at: datetime | None = strawberry.field(description="When it was replaced or retired; null if it holds.")
    note: str = strawberry.field(description="What the publisher noted; may be empty.")


@strawberry.type(description="Something that happened to a catalogue entry.")
class ResourceChange(Node):
    kind: ChangeKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When.")
    version: ResourceVersion = strawberry.field(description="The version that came, or went.")

    @resolved("The resource as it is now; null once it is retired.")
    def resource(self, info: Info) -> "Resource | None":
        return find_resource(info, self.version.resource_code)


@strawberry.type(description="One entry of the catalogue (政务数据资源).")
class Resource(Node):
    code: str = strawberry.field(description="Catalogue code and sequence number.")
    version: int = strawberry.field(description="Number of the published version.")
    title: str = strawberry.field(description="Chinese title.")
    summary: str = strawberry.field(description="What it is about; may be empty.")
    branch: model.Branch = strawberry.field(description="First level of the catalogue.")
    share_class: model.ShareClass = strawberry.field(description="Its share class, which follows from its items.")
    condition: str | None = strawberry.field(description="Condition of sharing.")
    sharing_method: str | None = strawberry.field(description="How it is shared.")
    format: str | None = strawberry.field(description="Format at the source.")
    open_attribute: str | None = strawberry.field(description="Whether and how it is open to the public.")
    update_cycle: model.UpdateCycle = strawberry.field(description="How often it is brought up to date.")
    zone: model.Zone = strawberry.field(description="The platform that serves its data.")
    subject: str | None = strawberry.field(description="Whom or what its rows are about.")
    published_at: datetime | None = strawberry.field(description="When this version was published.")
    _resource: strawberry.Private[model.Resource]

    @resolved("Whether this platform serves its data; false for a resource of the other zone.")
    def served(self, info: Info) -> bool:
        return self._resource.zone is info.context.snapshot.zone

    @resolved("Where the schema serves it; null where this platform does not.")
    def names(self, info: Info) -> ResourceNames | None:
        resource = self._resource
        if resource.zone is not info.context.snapshot.zone:
            return None
        return ResourceNames(
            group=resource.names.group,
            list_field=resource.names.list,
            lookups=[lookup_field_name(resource, key) for key in resource.keys],
            aggregate=aggregate_field_name(resource.names),
            type=resource.names.type,
        )

    @resolved("Its place in the classification.")
    def category(self, info: Info) -> Category | None:
        return category(info, self._resource.category)

    @resolved("The department that owns it.")
    def provider(self, info: Info) -> Department | None:
        return department(info, self._resource.provider)

    @resolved("The department that compiles it, if another (Art. 10(2), Art. 10(3)).")
    def compiler(self, info: Info) -> Department | None:
        return department(info, self._resource.compiler)

    @resolved("Title of the business information system that it comes from.")
    def source_title(self, info: Info) -> str | None:
        source = info.context.snapshot.sources.get(self._resource.binding.source)
        return source.title if source else None

    @resolved("What forbids or limits sharing; null where nothing is declared on the resource.")
    def legal_basis(self) -> LegalBasis | None:
        return legal_basis(self._resource.legal_basis)

    @resolved("Its items, in the order of the catalogue.")
    def items(self) -> list[Item]:
        return [item_node(self._resource, item) for item in self._resource.items]

    @resolved("One of its items, by name or by GraphQL field name.")
    def item(self, name: Annotated[str, strawberry.argument(description="The name.")]) -> Item | None:
        found = next((item for item in self._resource.items if name in (item.name, item.graphql)), None)
        return item_node(self._resource, found) if found else None

    @resolved("Its keys; the first one is the main one.")
    def keys(self) -> list[Key]:
        resource = self._resource
        return [
            Key(
                lookup=lookup_field_name(resource, key),
                items=[item_node(resource, resource.item_by_name[name]) for name in key.items],
            )
            for key in resource.keys
        ]

    @resolved("Its relations to other resources.")
    def relations(self) -> list[Relation]:
        return [relation_node(self._resource, relation) for relation in self._resource.relations]

    @resolved("Resources that the catalogue names as related.")
    def related(self, info: Info) -> "list[Resource]":
        return [found for code in self._resource.related if (found := find_resource(info, code)) is not None]

    @resolved("Its published versions, the newest first.")
    def versions(self, info: Info) -> list[ResourceVersion]:
        versions = info.context.snapshot.history.get(self.code, ())
        return [version_node(version) for version in sorted(versions, key=lambda v: v.version, reverse=True)]

    @resolved("All that differs between two versions; null where a version is not kept.")
    async def differences(
        self,
        info: Info,
        since: Annotated[int, strawberry.argument(description="Number of the older version.")],
        until: Annotated[
            int | None, strawberry.argument(description="Number of the newer version; by default the published one.")
        ] = None,
    ) -> list[VersionDifference] | None:
        old = await info.context.version(self.code, since)
        new = await info.context.version(self.code, self.version if until is None else until)
        return differences(old, new) if old is not None and new is not None else None

    @resolved("Items that differ between two versions; null where a version is not kept.")
    async def item_changes(
        self,
        info: Info,
        since: Annotated[int, strawberry.argument(description="Number of the older version.")],
        until: Annotated[
            int | None, strawberry.argument(description="Number of the newer version; by default the published one.")
        ] = None,
    ) -> list[ItemChange] | None:
        old = await info.context.version(self.code, since)
        new = await info.context.version(self.code, self.version if until is None else until)
        if old is None or new is None:
            return None
        return [
            ItemChange(
                name=it.name, title=it.title, kind=it.change, attributes=[change.name for change in it.attributes]
            )
            for it in differences(old, new)
            if it.part is Part.ITEM
        ]


def resource_node(resource: model.Resource) -> Resource:
    return Resource(
        id=strawberry.ID(global_id("Resource", resource.code)),
        code=resource.code,
        version=resource.version,
        title=resource.title,
        summary=resource.summary,
        branch=resource.branch,
        share_class=resource.share_class,
        condition=resource.condition,
        sharing_method=resource.sharing_method,
        format=resource.format,
        open_attribute=resource.open_attribute,
        update_cycle=resource.update_cycle,
        zone=resource.zone,
        subject=resource.subject,
        published_at=resource.published_at,
        _resource=resource,
    )


def item_node(resource: model.Resource, item: model.Item) -> Item:
    return Item(
        id=strawberry.ID(global_id("Item", f"{resource.code}#{item.name}")),
        name=item.name,
        field_name=item.graphql,
        title=item.title,
        description=item.description,
        type=item.type,
        share_class=item.share_class,
        basic=item.basic,
        business_reason=item.business_reason,
        condition=item.condition,
        data_element=item.data_element,
        nullable=item.nullable,
        _item=item,
        _resource=resource,
    )


def relation_node(resource: model.Resource, relation: model.Relation) -> Relation:
    return Relation(
        id=strawberry.ID(global_id("Relation", f"{resource.code}#{relation.name}")),
        name=relation.name,
        field_name=relation.graphql,
        title=relation.title,
        many=relation.many,
        inverse=relation.inverse,
        target_code=relation.target,
        _relation=relation,
        _resource=resource,
    )


def version_node(version: model.PublishedVersion) -> ResourceVersion:
    return ResourceVersion(
        id=strawberry.ID(global_id("ResourceVersion", f"{version.code}#{version.version}")),
        resource_code=version.code,
        version=version.version,
        title=version.title,
        share_class=version.share_class,
        published_at=version.published_at,
        retired_at=version.retired_at,
        note=version.note,
    )


def change_node(event: changes.Event) -> ResourceChange:
    key = f"{event.version.code}#{event.version.version}{event.kind.value}"
    return ResourceChange(
        id=strawberry.ID(global_id("ResourceChange", key)),
        kind=event.kind,
        at=event.at,
        version=version_node(event.version),
    )


def legal_basis(basis: model.LegalBasis | None) -> LegalBasis | None:
    return LegalBasis(type=basis.type, title=basis.title, article=basis.article) if basis else None


def find_resource(info: Info, code: str) -> Resource | None:
    """The resource of a code, of either zone, or None."""
    found = info.context.snapshot.resources.get(code)
    return resource_node(found) if found else None


def asked_purpose(info: Info, code: str | None) -> str | None:
    """The purpose of a dry run. Raises BAD_INPUT for one that is not in the platform's code list."""
    if code is None:
        return info.context.purpose
    if code not in info.context.snapshot.purposes:
        raise BadInput(f"no purpose `{code}`")
    return code
