"""In charge of the fixed root fields and of the Strawberry schema that the generated part is grafted onto."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from schema.fields import EXTENSION, Part, PartField
from schema.fixed import changes
from schema.fixed.access import (
    Denial,
    ItemAccess,
    RelationAccess,
    RowSet,
    denial,
    item_access,
    relation_access,
)
from schema.fixed.catalogue import Catalogue
from schema.fixed.grants import Grant, GrantUse, grants_page, use_of
from schema.fixed.ids import global_id, read_global_id
from schema.fixed.local_catalogues import LocalCatalogueQueries, local_catalogue_by_key
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.registers import (
    Department,
    Node,
    Purpose,
    category,
    department,
    division,
    purpose,
    purposes,
)
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import (
    AskedPurpose,
    Resource,
    asked_purpose,
    change_node,
    find_resource,
    item_node,
    relation_node,
    resource_node,
    version_node,
)
from schema.fixed.workflow.applications import ApplicationMutations, ApplicationQueries
from schema.fixed.workflow.consultations import ConsultationMutations, ConsultationQueries
from schema.fixed.workflow.coordinations import CoordinationMutations, CoordinationQueries
from schema.fixed.workflow.corrections import CorrectionMutations, CorrectionQueries
from schema.fixed.workflow.disposals import DisposalMutations, DisposalQueries
from schema.fixed.workflow.entries import EntryMutations, EntryQueries
from schema.fixed.workflow.extensions import ExtensionMutations, ExtensionQueries
from schema.fixed.workflow.given import GrantQueries
from schema.fixed.workflow.imports import ImportMutations, ImportQueries
from schema.fixed.workflow.inbox import InboxMutations, InboxQueries
from schema.fixed.workflow.longs import Long
from schema.fixed.workflow.matters import is_matter, matter_node
from schema.fixed.workflow.obligations import ObligationMutations, ObligationQueries
from schema.fixed.workflow.service_changes import ServiceChangeMutations, ServiceChangeQueries
from schema.fixed.workflow.subscriptions import Subscription
from schema.fixed.workflow.supervision import SupervisionQueries
from schema.fixed.workflow.suspensions import SuspensionMutations, SuspensionQueries
from schema.fixed.workflow.webhooks import WebhookMutations, WebhookQueries
from schema.scalars import DATE, DATETIME, DECIMAL, LONG
from tanglai.catalogue import model
from tanglai.catalogue.errors import BadInput


@strawberry.type(description="Who asks, as the token says.")
class Principal:
    id: strawberry.ID = strawberry.field(description="The same for the same department, client and person.")
    client: str = strawberry.field(description="The client program.")
    person: str | None = strawberry.field(description="The person behind it, if the token names one.")
    roles: list[str] = strawberry.field(description="Roles, by name.")
    scopes: list[str] | None = strawberry.field(
        description="What the token narrows to, `resource` or `resource:item`; null where it narrows nothing."
    )

    @resolved("The department that it acts for.")
    def department(self, info: Info) -> Department | None:
        return department(info, info.context.principal.department.code)

    @resolved("Purposes that the token allows.")
    def purposes(self, info: Info) -> list[Purpose]:
        return purposes(info, sorted(info.context.principal.purposes))

    @resolved("The purpose of this request; null where none is stated.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, info.context.purpose)

    @resolved("What the department was granted, by id, in every state.")
    def grants(
        self,
        info: Info,
        resource: Annotated[
            str | None, strawberry.argument(description="Only grants of the resource of this code.")
        ] = None,
        states: Annotated[
            list[model.GrantState] | None, strawberry.argument(description="Only grants in one of these states.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Grant]:
        return grants_page(info, resource, states, Window(first, after, last, before))


@strawberry.type(description="What a query for items and relations of a resource would be allowed; reads no data.")
class AccessExplanation:
    resource: Resource = strawberry.field(description="The resource.")
    purpose: Purpose | None = strawberry.field(description="The purpose that was tried.")
    rule_set: str = strawberry.field(description="The rule set that the decision follows.")
    rows: RowSet = strawberry.field(description="The rows that are visible: on which some item is shown.")
    items: list[ItemAccess] = strawberry.field(description="Per item what the requester may do with it.")
    relations: list[RelationAccess] = strawberry.field(description="Per relation whether it may be followed.")
    denial: Denial | None = strawberry.field(description="Why the whole resource is denied; null where it is not.")
    _grants: strawberry.Private[tuple[str, ...]]

    @resolved(
        "What is left today of the grants named here that bound something. No verdict depends on it: where a quota is "
        "used up, what rests on its grant is answered with QUOTA_EXCEEDED until the day ends."
    )
    async def quotas(self, info: Info) -> list[GrantUse]:
        held = {grant.id: grant for grant in info.context.grants}
        uses = await asyncio.gather(*(use_of(info, held[id]) for id in self._grants))
        return [use for use in uses if use is not None]


@strawberry.type
class Query(
    InboxQueries,
    ApplicationQueries,
    WebhookQueries,
    ConsultationQueries,
    CoordinationQueries,
    CorrectionQueries,
    SupervisionQueries,
    ImportQueries,
    EntryQueries,
    ObligationQueries,
    LocalCatalogueQueries,
    GrantQueries,
    SuspensionQueries,
    ServiceChangeQueries,
    DisposalQueries,
    ExtensionQueries,
):
    @resolved("Who asks.")
    def me(self, info: Info) -> Principal:
        asking = info.context.principal
        scopes = None
        if asking.scopes is not None:
            scopes = sorted(s.resource if s.item is None else f"{s.resource}:{s.item}" for s in asking.scopes)
        key = f"{asking.department.code}/{asking.client}/{asking.person or ''}"
        return Principal(
            id=strawberry.ID(global_id("Principal", key)),
            client=asking.client,
            person=asking.person,
            roles=sorted(asking.roles),
            scopes=scopes,
        )

    @resolved("The catalogue, public to every department.")
    def catalogue(self) -> Catalogue:
        return Catalogue(id=strawberry.ID(global_id("Catalogue", "")))

    @resolved("The dry run: per item the verdict, the rows in words, the grant, the reason and the remedy.")
    def explain_access(
        self,
        info: Info,
        resource: Annotated[strawberry.ID, strawberry.argument(description="Global id or code of the resource.")],
        items: Annotated[
            list[str] | None,
            strawberry.argument(description="Names or GraphQL names of items and relations; by default all."),
        ] = None,
        purpose: AskedPurpose = None,
    ) -> AccessExplanation:
        return _explanation(info, resource, items, asked_purpose(info, purpose))

    @resolved("A catalogue node or a data row by its global id; null where there is none.")
    def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The global id.")]
    ) -> Node | None:
        kind, key = read_global_id(id) or ("", "")
        found: Any = matter_node(info, kind, key) if is_matter(kind) else _node(info, id)
        return found  # type: ignore[no-any-return]  # of a matter, what will be one: it is read from the database


@strawberry.type(description="Acts of the law's work. Each gives what it changed, or a typed error and no change.")
class Mutation(
    InboxMutations,
    ApplicationMutations,
    WebhookMutations,
    ConsultationMutations,
    CoordinationMutations,
    CorrectionMutations,
    ImportMutations,
    EntryMutations,
    ObligationMutations,
    SuspensionMutations,
    ServiceChangeMutations,
    DisposalMutations,
    ExtensionMutations,
):
    pass


def _explanation(info: Info, named: str, items: list[str] | None, code: str | None) -> AccessExplanation:
    kind, key = read_global_id(named) or ("Resource", named)
    resource = info.context.snapshot.resources.get(key) if kind == "Resource" else None
    if resource is None:
        raise BadInput(f"no resource `{named}`")
    report = info.context.access(resource, code)
    if items is not None:
        parts: list[model.Item | model.Relation] = [*resource.relations, *resource.items]
        known = {part.graphql: part.name for part in parts} | {part.name: part.name for part in parts}
        for name in items:
            if name not in known:
                raise BadInput(f"resource `{resource.code}` has no item or relation `{name}`")
        report = report.only(dict.fromkeys(known[name] for name in items))
    return AccessExplanation(
        resource=resource_node(resource),
        purpose=purpose(info, code),
        rule_set=report.rule_set,
        rows=RowSet(_rows=report.rows),
        items=[item_access(info, access) for access in report.items],
        relations=[relation_access(info, access) for access in report.relations],
        denial=denial(info, report.denial),
        _grants=report.grants,
    )


def _node(info: Info, id: str) -> Node | None:
    """The catalogue node of a global id. Ids of data rows are the planner's; they are no catalogue ids."""
    kind, key = read_global_id(id) or ("", "")
    code, _, part = key.partition("#")
    snapshot = info.context.snapshot
    resource = snapshot.resources.get(code)
    match kind:
        case "Resource":
            return find_resource(info, key)
        case "Department":
            return department(info, key)
        case "Division":
            return division(info, key)
        case "Purpose":
            return purpose(info, key)
        case "Category":
            return category(info, key)
        case "LocalCatalogue":
            return local_catalogue_by_key(info, key)
        case "Item" if resource is not None and part in resource.item_by_name:
            return item_node(resource, resource.item_by_name[part])
        case "Relation" if resource is not None and part in resource.relation_by_name:
            return relation_node(resource, resource.relation_by_name[part])
        case "ResourceVersion":
            versions = (version_node(version) for version in snapshot.history.get(code, ()))
            return next((version for version in versions if version.id == id), None)
        case "ResourceChange":
            events = (change_node(event) for event in changes.resource_events(snapshot, code))
            return next((event for event in events if event.id == id), None)
    return None


def _scalar(implementation: GraphQLScalarType) -> ScalarDefinition:
    """Makes Strawberry use the scalar that the generated part uses."""
    return ScalarDefinition(
        name=implementation.name,
        description=implementation.description,
        specified_by_url=implementation.specified_by_url,
        serialize=None,
        parse_value=None,
        parse_literal=None,
        implementation=implementation,
    )


@dataclass(frozen=True, slots=True)
class FixedPart:
    """The fixed part: the Strawberry schema, and those of its types that the generated part needs."""

    strawberry: strawberry.Schema
    query: GraphQLObjectType
    node: GraphQLInterfaceType
    mutation: GraphQLObjectType
    subscription: GraphQLObjectType
    page_info: GraphQLObjectType
    share_class: GraphQLEnumType
    types: tuple[GraphQLNamedType, ...]


@cache
def fixed_part() -> FixedPart:
    """The fixed part; built once, shared by all snapshots.

    The fields of `PageInfo` get their meaning for the planner, which answers them in data connections.
    """
    scalars: dict[object, ScalarDefinition] = {
        datetime: _scalar(DATETIME),
        date: _scalar(DATE),
        Decimal: _scalar(DECIMAL),
        Long: _scalar(LONG),
    }
    schema = strawberry.Schema(Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=scalars))
    types: dict[str, Any] = schema._schema.type_map
    page_info = types["PageInfo"]
    for part in (Part.HAS_NEXT_PAGE, Part.HAS_PREVIOUS_PAGE, Part.START_CURSOR, Part.END_CURSOR):
        page_info.fields[part.value].extensions[EXTENSION] = PartField(part)
    for kind in types.values():
        _without_null_defaults(kind)
    own = tuple(kind for name, kind in sorted(types.items()) if not name.startswith("__") and name != "Query")
    return FixedPart(
        schema,
        types["Query"],
        types["Node"],
        types["Mutation"],
        types["Subscription"],
        page_info,
        types["ShareClass"],
        own,
    )


def _without_null_defaults(kind: GraphQLNamedType) -> None:
    """Takes away the defaults that Strawberry makes of Python's None: what is absent is not an explicit null."""
    if isinstance(kind, GraphQLInputObjectType):
        inputs: list[GraphQLArgument | GraphQLInputField] = list(kind.fields.values())
    elif isinstance(kind, GraphQLObjectType):
        inputs = [argument for field in kind.fields.values() for argument in field.args.values()]
    else:
        return
    for given in inputs:
        if given.default_value is None:
            given.default_value = Undefined
        if given.default is not None and given.default.value is None and given.default.literal is None:
            given.default = None
