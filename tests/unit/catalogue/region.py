"""A small, lawful region as catalogue documents, which tests then break at one place each."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any

from tanglai.catalogue.checks import Draft, Violation, check, draft_from_files
from tanglai.catalogue.files import LoadedFile, parse_file, to_yaml
from tanglai.catalogue.identity import credit_check
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.catalogue.scalars import ScalarType

TODAY = date(2026, 3, 2)


def credit_code(number: int, registrar: str = "11") -> str:
    body = f"{registrar}640000MB{number:07}"
    return body + credit_check(body)


def department(key: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "code": credit_code(number),
        "key": key,
        "name": f"部门{number}",
        "nameEn": key,
        "level": "REGION",
        "division": "640000",
        **more,
    }


def item(name: str, title: str, kind: str = "TEXT", **more: Any) -> dict[str, Any]:
    return {"name": name, "title": title, "type": kind, "column": name.lower(), **more}


BASIS = {"type": "LAW", "title": "中华人民共和国精神卫生法", "article": "第二十三条"}

REGION: dict[str, dict[str, Any]] = {
    "departments": {
        "kind": "departments",
        "departments": [
            department("data-office", 1, competent=True),
            department("public-security", 2),
            department("market-regulation", 3),
            department("taxation", 4),
            department("health", 5),
            department("waterworks", 6, kind="PUBLIC_SERVICE_ENTERPRISE"),
            department("old-bureau", 7, active=False),
        ],
    },
    "divisions": {
        "kind": "divisions",
        "divisions": [
            {"code": "640000", "name": "宁夏", "nameEn": "Ningxia", "validFrom": "1958-10-25"},
            {"code": "640100", "name": "银川", "nameEn": "Yinchuan", "validFrom": "1958-10-25"},
            {"code": "640104", "name": "兴庆", "nameEn": "Xingqing", "validFrom": "2002-10-25"},
            {
                "code": "640102",
                "name": "城区",
                "nameEn": "Chengqu",
                "validFrom": "1983-01-01",
                "validTo": "2002-10-25",
                "successor": "640104",
            },
        ],
    },
    "purposes": {
        "kind": "purposes",
        "purposes": [{"code": "TAX-COLLECTION", "title": "税收征收", "titleEn": "Tax collection"}],
    },
    "categories": {
        "kind": "categories",
        "categories": [
            {"code": "1", "title": "基础", "titleEn": "Basic"},
            {"code": "1010101", "title": "人口", "titleEn": "Population", "parent": "1"},
            {"code": "2010101", "title": "健康", "titleEn": "Health"},
            {"code": "3010203", "title": "车辆", "titleEn": "Vehicles"},
        ],
    },
    "sources": {
        "kind": "sources",
        "sources": [
            {
                "key": "residents-db",
                "title": "人口库",
                "department": "public-security",
                "kind": "postgresql",
                "zone": "EXTRANET",
                "options": {"url": {"env": "RESIDENTS_URL"}, "password": {"env": "RESIDENTS_PASSWORD"}},
            },
            {"key": "health-db", "title": "健康库", "department": "health", "kind": "postgresql", "zone": "EXTRANET"},
        ],
    },
    "resident": {
        "kind": "resource",
        "code": "1010101/1",
        "title": "常住人口",
        "branch": "BASIC",
        "category": "1010101",
        "provider": "public-security",
        "compiler": "public-security",
        "shareClass": "CONDITIONAL",
        "condition": "依法履职需要",
        "updateCycle": "DAILY",
        "zone": "EXTRANET",
        "graphql": {"group": "population", "list": "residents", "one": "resident", "type": "Resident"},
        "source": "residents-db",
        "table": "population.resident",
        "handle": {"column": "handle", "type": "LONG"},
        "keys": [["idNumber"]],
        "items": [
            item(
                "idNumber",
                "公民身份号码",
                shareClass="UNCONDITIONAL",
                nullable=False,
                dataElement="DE001",
                content="IDENTITY_NUMBER",
                masks=[{"name": "partial", "keep": {"prefix": 1, "suffix": 2}}, {"name": "none", "redact": True}],
            ),
            item("birthDate", "出生日期", "DATE", shareClass="UNCONDITIONAL", content="BIRTH_DATE"),
            item(
                "division",
                "区划",
                shareClass="UNCONDITIONAL",
                content="DIVISION",
                codes=[{"value": "640104", "title": "兴庆"}],
            ),
            item(
                "phone",
                "电话",
                basic=False,
                businessReason="业务信息",
                masks=[{"name": "partial", "keep": {"prefix": 3, "suffix": 4}}, {"name": "none", "redact": True}],
            ),
            item("height", "身高", "INTEGER", basic=False, businessReason="业务信息"),
            item(
                "adopted",
                "收养",
                "BOOLEAN",
                basic=False,
                businessReason="业务信息",
                shareClass="NOT_SHARED",
                legalBasis={"type": "LAW", "title": "中华人民共和国民法典", "article": "第一千一百一十条"},
            ),
        ],
        "relations": [
            {
                "name": "vehicles",
                "title": "车辆",
                "target": "3010203/1",
                "items": ["idNumber"],
                "targetItems": ["ownerIdNumber"],
                "many": True,
                "inverse": "owner",
            }
        ],
    },
    "vehicle": {
        "kind": "resource",
        "code": "3010203/1",
        "title": "机动车",
        "branch": "DEPARTMENTAL",
        "category": "3010203",
        "provider": "public-security",
        "shareClass": "CONDITIONAL",
        "condition": "依法履职需要",
        "updateCycle": "DAILY",
        "zone": "EXTRANET",
        "graphql": {"group": "traffic", "list": "vehicles", "one": "vehicle", "type": "Vehicle"},
        "source": "residents-db",
        "table": "traffic.vehicle",
        "handle": {"column": "handle", "type": "LONG"},
        "keys": [["plate"]],
        "related": ["1010101/1"],
        "items": [
            item("plate", "号牌", shareClass="UNCONDITIONAL"),
            item("ownerIdNumber", "所有人", content="IDENTITY_NUMBER"),
            item("registeredAt", "登记时间", "DATETIME", column={"name": "registered", "timezone": "Asia/Shanghai"}),
        ],
        "relations": [
            {
                "name": "owner",
                "title": "所有人",
                "target": "1010101/1",
                "items": ["ownerIdNumber"],
                "targetItems": ["idNumber"],
                "many": False,
                "inverse": "vehicles",
            }
        ],
    },
    "diagnosis": {
        "kind": "resource",
        "code": "2010101/1",
        "title": "严重精神障碍诊断",
        "branch": "THEMATIC",
        "category": "2010101",
        "provider": "health",
        "compiler": "health",
        "shareClass": "NOT_SHARED",
        "legalBasis": BASIS,
        "updateCycle": "DAILY",
        "zone": "EXTRANET",
        "graphql": {"group": "health", "list": "diagnoses", "one": "diagnosis", "type": "Diagnosis"},
        "source": "health-db",
        "table": "diagnosis",
        "handle": {"column": "handle", "type": "LONG"},
        "keys": [["number"]],
        "items": [item("number", "编号"), item("disorder", "诊断")],
    },
    "grants": {
        "kind": "grants",
        "grants": [
            {
                "id": "G-1",
                "requester": "taxation",
                "resource": "1010101/1",
                "items": ["phone", "height"],
                "relations": ["vehicles"],
                "masks": {"phone": "partial"},
                "scope": {"division": {"within": "640100"}},
                "purpose": "TAX-COLLECTION",
                "validFrom": "2026-01-01",
                "validTo": "2027-01-01",
                "quota": {"rows": 1000, "requests": 500, "subjects": 100},
                "basis": "APPLICATION",
            }
        ],
    },
}

Docs = dict[str, dict[str, Any]]


def region() -> Docs:
    return deepcopy(REGION)


def files(docs: Docs) -> list[LoadedFile]:
    return [parse_file(f"{name}.yaml", to_yaml(document).encode()) for name, document in docs.items()]


def violations(
    docs: Docs,
    existing: Snapshot | None = None,
    structures: Any = None,
    reserved: frozenset[str] = frozenset(),
) -> list[Violation]:
    draft, malformed = draft_from_files(files(docs), existing)
    return [*malformed, *check(draft, existing, structures, reserved=reserved, today=TODAY)]


def published(docs: Docs, rule_set: str = "ningxia-measures") -> Snapshot:
    """The snapshot after publication of `docs`."""
    draft, malformed = draft_from_files(files(docs), None)
    assert not malformed
    return snapshot(draft, rule_set)


def snapshot(draft: Draft, rule_set: str = "ningxia-measures") -> Snapshot:
    return Snapshot(
        number=1,
        zone=Zone.EXTRANET,
        rule_set=rule_set,
        departments={d.code: d for d in draft.departments},
        divisions={d.code: d for d in draft.divisions},
        purposes={p.code: p for p in draft.purposes},
        categories={c.code: c for c in draft.categories},
        sources={s.key: s for s in draft.sources},
        resources={r.code: r for r in draft.resources},
    )


@dataclass(frozen=True)
class Column:
    name: str
    type: ScalarType | None = ScalarType.TEXT
    nullable: bool = True
    unique: bool = False
    collated: bool = True
    native: str = "native"


@dataclass(frozen=True)
class Table:
    namespace: str | None
    name: str
    columns: tuple[Column, ...]


HANDLE = Column("handle", ScalarType.LONG, nullable=False, unique=True)


def structures() -> dict[str, list[Table]]:
    """What the region's sources say of themselves."""
    return {
        "residents-db": [
            Table(
                "population",
                "resident",
                (
                    HANDLE,
                    Column("idnumber", nullable=False, unique=True),
                    Column("birthdate", ScalarType.DATE),
                    Column("division"),
                    Column("phone"),
                    Column("height", ScalarType.INTEGER),
                    Column("adopted", ScalarType.BOOLEAN),
                    Column("photo", None, native="bytea"),
                ),
            ),
            Table(
                "traffic",
                "vehicle",
                (
                    HANDLE,
                    Column("plate", unique=True),
                    Column("owneridnumber"),
                    Column("registered", ScalarType.DATETIME),
                ),
            ),
        ],
        "health-db": [Table("public", "diagnosis", (HANDLE, Column("number", unique=True), Column("disorder")))],
    }
