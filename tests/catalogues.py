"""In charge of small synthetic catalogues: items, resources and snapshots with everything defaulted but what matters.

    resident = make_resource("resident", [make_item("name"), make_item("phone", share_class=CONDITIONAL)])
    snapshot = make_snapshot([resident])

Names follow from the word that a resource is made with: type `Resident`, list `residents`, look-up `resident`, column
names equal to item names, table equal to the word.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from tanglai.catalogue.expressions import Column
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    BasisType,
    Binding,
    Branch,
    Category,
    Code,
    Department,
    Division,
    Item,
    Key,
    LegalBasis,
    Level,
    NamedMask,
    Names,
    PublishedVersion,
    Purpose,
    Relation,
    Resource,
    ShareClass,
    Snapshot,
    Source,
    UpdateCycle,
    Zone,
)
from tanglai.catalogue.naming import pascal
from tanglai.catalogue.scalars import ScalarType

UNCONDITIONAL = ShareClass.UNCONDITIONAL
CONDITIONAL = ShareClass.CONDITIONAL
NOT_SHARED = ShareClass.NOT_SHARED

DATA_OFFICE = Department(
    "11640000MB1A00001X", "data-office", "数据局", "Data Office", Level.REGION, "640000", competent=True
)
PUBLIC_SECURITY = Department(
    "11640000MB1A000021", "public-security", "公安厅", "Public Security", Level.REGION, "640000"
)
MARKET_REGULATION = Department(
    "11640000MB1A000034", "market-regulation", "市场监管厅", "Market Regulation", Level.REGION, "640000"
)
YINCHUAN = Department("11640100MB1A00005Q", "yinchuan-data", "银川市数据局", "Yinchuan", Level.CITY, "640100")
DEPARTMENTS = (DATA_OFFICE, PUBLIC_SECURITY, MARKET_REGULATION, YINCHUAN)

DIVISIONS = (
    Division("640000", "宁夏回族自治区", "Ningxia", date(1958, 10, 25)),
    Division("640100", "银川市", "Yinchuan", date(1958, 10, 25)),
    Division("640105", "西夏区", "Xixia", date(2002, 10, 1)),
    Division("640121", "永宁县", "Yongning", date(1958, 10, 25)),
    Division("640199", "旧区", "Old District", date(1958, 10, 25), date(2002, 10, 1), "640105"),
)
PURPOSES = (
    Purpose("assistance", "社会救助", "Social assistance"),
    Purpose("licensing", "行政许可", "Licensing"),
    Purpose("statistics", "统计分析", "Statistics"),
)
CATEGORIES = (
    Category("1", "基础信息资源", "Basic resources"),
    Category("101", "人口", "Population", "1"),
    Category("2", "主题信息资源", "Thematic resources"),
    Category("3", "部门信息资源", "Departmental resources"),
)
PUBLISHED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def make_item(
    name: str,
    type: ScalarType = ScalarType.TEXT,
    *,
    title: str | None = None,
    share_class: ShareClass = UNCONDITIONAL,
    graphql: str | None = None,
    column: str | None = None,
    masks: Iterable[NamedMask] = (),
    codes: Iterable[str] = (),
    **more: Any,
) -> Item:
    """An item; what is left out follows from `name`. A code's title is the code in brackets."""
    return Item(
        name=name,
        title=title if title is not None else f"项{name}",
        type=type,
        share_class=share_class,
        graphql=graphql if graphql is not None else name,
        column=Column(column if column is not None else name, type),
        masks=tuple(masks),
        codes=tuple(Code(value, f"〔{value}〕") for value in codes),
        **more,
    )


def keep(name: str, prefix: int, suffix: int) -> NamedMask:
    """A mask that keeps the first `prefix` and the last `suffix` characters."""
    return NamedMask(name, Mask(MaskKind.KEEP, prefix, suffix))


def make_relation(
    name: str,
    target: Resource | str,
    items: Sequence[str],
    target_items: Sequence[str] | None = None,
    *,
    inverse: str,
    many: bool = False,
    share_class: ShareClass = UNCONDITIONAL,
    graphql: str | None = None,
    title: str | None = None,
) -> Relation:
    """One end of a relation; `target` is a resource or its code. Both ends are made, one each on its resource."""
    return Relation(
        name=name,
        title=title if title is not None else f"关联{name}",
        target=target if isinstance(target, str) else target.code,
        items=tuple(items),
        target_items=tuple(target_items if target_items is not None else items),
        many=many,
        share_class=share_class,
        inverse=inverse,
        graphql=graphql if graphql is not None else name,
    )


def declared_class(items: Iterable[Item]) -> ShareClass:
    """The class of a resource that follows from its items (authorization.md, Inputs)."""
    classes = {item.share_class for item in items}
    return classes.pop() if len(classes) == 1 else CONDITIONAL


def make_resource(
    word: str,
    items: Iterable[Item],
    *,
    code: str | None = None,
    version: int = 1,
    title: str | None = None,
    group: str = "population",
    plural: str | None = None,
    keys: Iterable[Sequence[str]] = (),
    relations: Iterable[Relation] = (),
    provider: Department = PUBLIC_SECURITY,
    source: str = "main",
    handle: str | None = "handle",
    table: str | None = None,
    namespace: str | None = None,
    zone: Zone = Zone.EXTRANET,
    share_class: ShareClass | None = None,
    max_rows: int | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Resource:
    """A resource named after `word` (`resident`). Its class follows from the items; `handle=None` leaves none."""
    items = tuple(items)
    defaults: dict[str, Any] = {
        "summary": f"{word} 的数据",
        "branch": Branch.BASIC,
        "category": "101",
        "update_cycle": UpdateCycle.DAILY,
        "published_at": PUBLISHED,
    }
    return Resource(
        code=code if code is not None else resource_code(word),
        version=version,
        title=title if title is not None else f"{word}信息",
        provider=provider.code,
        share_class=share_class or declared_class(items),
        zone=zone,
        names=Names(group, plural if plural is not None else f"{word}s", word, pascal(word)),
        binding=Binding(
            source=source,
            namespace=namespace,
            table=table if table is not None else word,
            handle=Column(handle, ScalarType.LONG) if handle is not None else None,
            options=dict(options or {}),
            max_rows=max_rows,
        ),
        items=items,
        keys=tuple(Key(tuple(key)) for key in keys),
        relations=tuple(relations),
        **defaults | more,
    )


def resource_code(word: str) -> str:
    """A catalogue code that depends on `word` alone."""
    return f"1{sum(ord(letter) * 31**place for place, letter in enumerate(word)) % 10**9:09d}/1"


def make_snapshot(
    resources: Iterable[Resource] = (),
    *,
    number: int = 1,
    zone: Zone = Zone.EXTRANET,
    rule_set: str = "ningxia-measures",
    departments: Iterable[Department] = DEPARTMENTS,
    divisions: Iterable[Division] = DIVISIONS,
    purposes: Iterable[Purpose] = PURPOSES,
    categories: Iterable[Category] = CATEGORIES,
    sources: Iterable[Source] | None = None,
    history: Mapping[str, Sequence[PublishedVersion]] | None = None,
) -> Snapshot:
    """A snapshot of `resources`. A source that a resource is bound to and `sources` does not give is its provider's."""
    by_code = {resource.code: resource for resource in resources}
    known = {source.key: source for source in sources or ()}
    for resource in by_code.values():
        key = resource.binding.source
        if key not in known:
            known[key] = Source(key, f"系统{key}", resource.provider, "postgresql", resource.zone, {})
    published = {
        code: (PublishedVersion(code, resource.version, resource.title, resource.share_class, resource.published_at),)
        for code, resource in by_code.items()
        if resource.published_at is not None
    }
    return Snapshot(
        number=number,
        zone=zone,
        rule_set=rule_set,
        departments={department.code: department for department in departments},
        divisions={division.code: division for division in divisions},
        purposes={purpose.code: purpose for purpose in purposes},
        categories={category.code: category for category in categories},
        sources=known,
        resources=by_code,
        history=published | {code: tuple(versions) for code, versions in (history or {}).items()},
    )


def population() -> Snapshot:
    """A catalogue with a bit of everything: all scalars and classes, two keys, a mask, codes, relations both ways,
    a resource without a handle, a second group, and one of the other zone."""
    resident, vehicle, household = (resource_code(word) for word in ("resident", "vehicle", "household"))
    residents = make_resource(
        "resident",
        [
            make_item("name", title="姓名"),
            make_item("id_number", title="公民身份号码", graphql="idNumber", masks=[keep("short", 1, 2)]),
            make_item("passport", title="护照号", share_class=CONDITIONAL, condition="限出入境管理使用"),
            make_item("birth_date", ScalarType.DATE, title="出生日期", graphql="birthDate"),
            make_item("sex", title="性别", codes=["1", "2"]),
            make_item(
                "phone",
                title="联系电话",
                share_class=CONDITIONAL,
                basic=False,
                business_reason="随业务办理采集",
                masks=[keep("middle", 3, 4), NamedMask("none", Mask(MaskKind.REDACT))],
            ),
            make_item("height", ScalarType.INTEGER, title="身高", share_class=CONDITIONAL),
            make_item("serial", ScalarType.LONG, title="流水号"),
            make_item("income", ScalarType.DECIMAL, title="收入", share_class=CONDITIONAL),
            make_item("score", ScalarType.FLOAT, title="评分"),
            make_item("married", ScalarType.BOOLEAN, title="婚否"),
            make_item("wakes", ScalarType.TIME, title="起床时间"),
            make_item("updated", ScalarType.DATETIME, title="更新时间"),
            make_item("home", ScalarType.GEOMETRY, title="住址坐标", share_class=CONDITIONAL),
            make_item(
                "file",
                title="涉案记录",
                share_class=NOT_SHARED,
                legal_basis=LegalBasis(BasisType.LAW, "治安管理处罚法", "第八十条"),
            ),
            make_item("household_id", title="户号", graphql="householdId", share_class=CONDITIONAL),
        ],
        title="居民",
        keys=[("id_number",), ("name", "birth_date")],
        relations=[
            make_relation("vehicles", vehicle, ["id_number"], ["owner"], inverse="keeper", many=True, title="名下车辆"),
            make_relation("household", household, ["household_id"], ["number"], inverse="members", title="所在户"),
        ],
        condition="经提供部门同意",
    )
    households = make_resource(
        "household",
        [make_item("number", title="户号", share_class=CONDITIONAL), make_item("address", title="住址")],
        title="户籍",
        keys=[("number",)],
        relations=[
            make_relation(
                "members", resident, ["number"], ["household_id"], inverse="household", many=True, title="户内成员"
            )
        ],
    )
    vehicles = make_resource(
        "vehicle",
        [make_item("plate", title="号牌"), make_item("owner", title="车主身份号码", share_class=CONDITIONAL)],
        title="机动车",
        group="transport",
        source="traffic",
        keys=[("plate",)],
        relations=[make_relation("keeper", resident, ["owner"], ["id_number"], inverse="vehicles", title="车主")],
    )
    inspections = make_resource(
        "inspection",
        [make_item("site", ScalarType.GEOMETRY, title="地点")],
        title="检查点",
        group="transport",
        handle=None,
        provider=MARKET_REGULATION,
        branch=Branch.THEMATIC,
        category="2",
    )
    secret = make_resource("dossier", [make_item("title", title="标题")], title="卷宗", zone=Zone.INTRANET)
    return make_snapshot([residents, households, vehicles, inspections, secret])
