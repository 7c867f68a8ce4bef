"""In charge of the enums of the fixed part: the catalogue's own, each value described."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from authz.denial import RemedyAction
from authz.explain import Verdict
from authz.visible import Use
from tanglai.catalogue.masks import MaskKind
from tanglai.catalogue.model import (
    BasisType,
    Branch,
    GrantBasis,
    GrantState,
    Level,
    OrganisationKind,
    Period,
    ShareClass,
    UpdateCycle,
    Usage,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.versions import PartChange

EnumClass = TypeVar("EnumClass", bound=type[Enum])


class ChangeKind(StrEnum):
    PUBLISHED = "PUBLISHED"
    UPDATED = "UPDATED"
    RETIRED = "RETIRED"


class MatchPlace(StrEnum):
    """Where a search found its words; the first ones rank highest."""

    TITLE = "TITLE"
    ITEM = "ITEM"
    SUMMARY = "SUMMARY"


def described(cls: EnumClass, description: str, values: Mapping[str, str], name: str | None = None) -> None:
    """Makes `cls` a GraphQL enum. Raises KeyError where a value has no description."""
    strawberry.enum(cls, name=name, description=description)
    definition: StrawberryEnumDefinition = cls.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


described(
    ShareClass,
    "Share class of an item or a resource (Art. 9).",
    {
        "UNCONDITIONAL": "无条件共享: open to all departments.",
        "CONDITIONAL": "有条件共享: open to certain departments, or only partly to all.",
        "NOT_SHARED": "不予共享: not open; consultation, failing that coordination (Art. 11(4)).",
    },
)
described(
    Level,
    "Level of government.",
    {"REGION": "自治区: the region.", "CITY": "设区的市: a districted city.", "COUNTY": "县（市、区）: a county."},
)
described(
    Zone,
    "The two sharing platforms (Art. 5).",
    {"INTRANET": "共享平台（内网）.", "EXTRANET": "共享平台（外网）."},
)
described(
    Branch,
    "First level of the catalogue (Art. 10).",
    {
        "BASIC": "基础数据资源: a base library.",
        "THEMATIC": "主题数据资源: a theme of several departments.",
        "DEPARTMENTAL": "部门数据资源: one department's own.",
    },
)
described(
    OrganisationKind,
    "Kind of organisation (Art. 2, Art. 4).",
    {
        "DEPARTMENT": "行政部门: an administrative department.",
        "AUTHORISED_ORGANISATION": "授权组织: an organisation authorised by laws and regulations.",
        "PUBLIC_SERVICE_ENTERPRISE": "公共服务企事业单位: provides through its department, does not request.",
    },
)
described(
    UpdateCycle,
    "How often a resource is brought up to date.",
    {
        "REAL_TIME": "实时: at once.",
        "DAILY": "每日: every day.",
        "WEEKLY": "每周: every week.",
        "MONTHLY": "每月: every month.",
        "QUARTERLY": "每季度: every quarter.",
        "YEARLY": "每年: every year.",
        "IRREGULAR": "不定期: when there is something new.",
    },
)
described(
    BasisType,
    "What may forbid sharing (Art. 10(1)).",
    {
        "LAW": "法律: a law.",
        "ADMINISTRATIVE_REGULATION": "行政法规: an administrative regulation.",
        "CENTRAL_POLICY": "党中央、国务院政策: a policy of the Party Central Committee and the State Council.",
    },
)
described(
    ScalarType,
    "Type of an item.",
    {
        "TEXT": "Text.",
        "BOOLEAN": "True or false.",
        "INTEGER": "An integer of 32 bits.",
        "LONG": "An integer of 64 bits.",
        "DECIMAL": "An exact decimal number.",
        "FLOAT": "A floating point number.",
        "DATE": "A day.",
        "TIME": "A time of day.",
        "DATETIME": "A moment.",
        "GEOMETRY": "A geometry as GeoJSON.",
    },
    "ItemType",
)
described(
    MaskKind,
    "How a mask renders a value.",
    {
        "KEEP": "The first and the last characters, stars between.",
        "FIRST": "The first character.",
        "DOMAIN": "Of an e-mail address, the domain.",
        "REGION": "Of an address, the region.",
        "PSEUDONYM": "A pseudonym, stable for one department, unlinkable between two.",
        "REDACT": "Nothing of the value.",
    },
)
described(
    Verdict,
    "What a query for an item or a relation would give.",
    {
        "ALL": "Clear on all rows.",
        "SOME_ROWS": "Clear on some rows.",
        "MASKED": "Masked on some or all rows, clear on none.",
        "STATISTICS": "Shown on no row, counted in a published cube.",
        "NONE": "Nothing; see the denial. Of a relation without one: no row is visible at one of its ends.",
    },
    "AccessVerdict",
)
described(
    Use,
    "What a query can do with an item. All but SELECT see it where it is clear, and nowhere else.",
    {
        "SELECT": "Select it.",
        "WHERE": "Filter by it.",
        "ORDER": "Sort by it.",
        "GROUP": "Group figures by it.",
        "AGGREGATE": "Count or sum it, or have any other figure of it.",
        "KEY": "Look rows up by a key that it belongs to.",
    },
    "ItemUse",
)
described(
    RemedyAction,
    "What a requester can do about a denial.",
    {
        "APPLY": "Apply to the provider (Art. 11(3)).",
        "CONSULT": "Consult with the provider (Art. 11(4)).",
        "COORDINATE": "Ask the competent department to coordinate (Art. 11(4)).",
        "STATE_PURPOSE": "State the purpose that the grant names.",
        "RENEW": "Apply again.",
        "CONTACT_PROVIDER": "Talk to the provider.",
        "USE_OTHER_TOKEN": "Use a token with a wider scope.",
        "USE_OTHER_NODE": "Ask on the platform of the other zone.",
        "SELECT_ONLY": "Select the masked value, and use it for nothing else.",
    },
)
described(
    GrantState,
    "State of a grant.",
    {
        "ACTIVE": "It opens data while it is valid.",
        "SUSPENDED": "It opens nothing until it is resumed (Order 809 Art. 25, 27).",
        "ENDED": "It was ended for good.",
        "EXPIRED": "Its time limit was reached.",
        "DISPOSED": "It is over, and the requester has told what became of the data.",
    },
)
described(
    GrantBasis,
    "What a grant came from.",
    {
        "APPLICATION": "An application (Art. 11(3)).",
        "CONSULTATION": "A consultation with the provider (Art. 11(4)).",
        "COORDINATION": "A coordination by the competent department (Art. 11(4)).",
        "TRANSITION": "Use that went on when an application came to be needed (Order 809 Art. 21).",
    },
)
described(
    Period,
    "How long one published cube holds, in days of Asia/Shanghai.",
    {"DAY": "每日: a day.", "MONTH": "每月: a month.", "QUARTER": "每季度: a quarter.", "YEAR": "每年: a year."},
)
described(
    Usage,
    "What a grant is for.",
    {"READ": "Reading rows.", "STATISTICS": "Published figures only."},
)
described(
    ChangeKind,
    "What happened to a catalogue entry.",
    {"PUBLISHED": "Its first version.", "UPDATED": "A further version.", "RETIRED": "Taken out of the catalogue."},
)
described(
    PartChange,
    "What happened to an item or another part of a resource between two versions.",
    {"ADDED": "It is new.", "CHANGED": "It is described or bound otherwise.", "REMOVED": "It is gone."},
    "ItemChangeKind",
)
described(
    MatchPlace,
    "Where a search found its words; the best place counts.",
    {
        "TITLE": "In the resource's title, code or GraphQL names.",
        "ITEM": "In an item's title, name or description.",
        "SUMMARY": "In the resource's summary.",
    },
)
