"""In charge of a large region: thousands of resources of 20 items, departments by the hundred, grants by the 100,000.

Every resource reads one and the same small table; nothing is random.
"""

from datetime import UTC, date, datetime
from typing import Any

from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import (
    Binding,
    Branch,
    Category,
    Department,
    Division,
    Grant,
    GrantBasis,
    Item,
    Key,
    Level,
    Names,
    Purpose,
    Relation,
    Resource,
    ShareClass,
    Source,
    UpdateCycle,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange

RESOURCES = 5_000
DEPARTMENTS = 500
GRANTS = 100_000
ITEMS = 20
GROUPS = 50
PURPOSE = "licensing"
DIVISION = "640000"
CATEGORY = "3010101"
SOURCE = "things"
DSN = "THINGS_DSN"
"""Environment variable with the address of the database that holds `thing`."""
ROWS = 100
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
_KINDS = (ScalarType.TEXT,) * 10 + (
    ScalarType.INTEGER,
    ScalarType.INTEGER,
    ScalarType.LONG,
    ScalarType.DECIMAL,
    ScalarType.FLOAT,
    ScalarType.BOOLEAN,
    ScalarType.DATE,
    ScalarType.DATE,
    ScalarType.DATETIME,
    ScalarType.TEXT,
)
_COLUMNS = {
    ScalarType.TEXT: "text",
    ScalarType.INTEGER: "integer",
    ScalarType.LONG: "bigint",
    ScalarType.DECIMAL: "numeric",
    ScalarType.FLOAT: "double precision",
    ScalarType.BOOLEAN: "boolean",
    ScalarType.DATE: "date",
    ScalarType.DATETIME: "timestamptz",
}
_VALUES = {
    ScalarType.TEXT: "'v' || n",
    ScalarType.INTEGER: "n",
    ScalarType.LONG: "n",
    ScalarType.DECIMAL: "n",
    ScalarType.FLOAT: "n",
    ScalarType.BOOLEAN: "n % 2 = 0",
    ScalarType.DATE: "date '2026-01-01' + n",
    ScalarType.DATETIME: "timestamptz '2026-01-01' + make_interval(days => n)",
}


def code(number: int) -> str:
    return f"{CATEGORY}/{number}"


def department(number: int) -> Department:
    """The first one is competent."""
    return Department(
        f"11{DIVISION}{number:010d}",
        f"d-{number}",
        f"第{number}部门",
        f"No. {number}",
        Level.REGION,
        DIVISION,
        competent=number == 0,
    )


def resource(number: int, *, title: str | None = None, departments: int = DEPARTMENTS) -> Resource:
    """Every fourth leads to the next one and back; items 5 to 9 are conditional, the others are not."""
    relations: tuple[Relation, ...] = ()
    if number % 4 < 2:
        other, name, inverse = (number + 1, "next", "former") if number % 4 == 0 else (number - 1, "former", "next")
        relations = (
            Relation(name, "关联", code(other), ("item0",), ("item0",), False, ShareClass.UNCONDITIONAL, inverse, name),
        )
    return Resource(
        code=code(number),
        version=1,
        title=title or f"事项信息{number}",
        summary="业务办理中形成的数据，用于部门之间核对。",
        branch=Branch.DEPARTMENTAL,
        category=CATEGORY,
        provider=department(number % departments).code,
        share_class=ShareClass.CONDITIONAL,
        update_cycle=UpdateCycle.DAILY,
        zone=Zone.EXTRANET,
        names=Names(f"group{number % GROUPS}", f"things{number}", f"thing{number}", f"Thing{number}"),
        binding=Binding(SOURCE, "public", "thing", Column("handle", ScalarType.LONG)),
        items=tuple(_item(place, kind) for place, kind in enumerate(_KINDS)),
        keys=(Key(("item0",)),),
        relations=relations,
        condition="依法履职需要",
    )


def _item(place: int, kind: ScalarType) -> Item:
    name = f"item{place}"
    return Item(
        name,
        f"信息项{place}",
        kind,
        ShareClass.CONDITIONAL if 5 <= place < 10 else ShareClass.UNCONDITIONAL,
        name,
        Column(name, kind),
        description="由业务系统登记的内容。",
        nullable=place > 0,
    )


def registers(departments: int = DEPARTMENTS) -> CatalogueChange:
    """All but the resources."""
    return CatalogueChange(
        by="bench",
        divisions=(Division(DIVISION, "宁夏回族自治区", "Ningxia", date(1958, 10, 25)),),
        departments=tuple(department(n) for n in range(departments)),
        purposes=(Purpose(PURPOSE, "行政许可", "Licensing"),),
        categories=(
            Category("3", "部门", "Departmental"),
            Category("301", "业务", "Business", "3"),
            Category("30101", "办理", "Handling", "301"),
            Category(CATEGORY, "事项", "Matters", "30101"),
        ),
        sources=(Source(SOURCE, "业务系统", department(0).code, "postgresql", Zone.EXTRANET, {"dsn": {"env": DSN}}),),
    )


async def fill(
    database: PlatformDatabase,
    *,
    resources: int = RESOURCES,
    departments: int = DEPARTMENTS,
    grants: int = GRANTS,
) -> None:
    """Fills an empty platform database by publications; grants are copies of one that was recorded properly."""
    await database.publish(registers(departments))
    for start in range(0, resources, 1_000):
        part = tuple(resource(n, departments=departments) for n in range(start, min(start + 1_000, resources)))
        await database.publish(CatalogueChange(by="bench", resources=part))
    if grants:
        await put_grants(database, grants, resources=resources, departments=departments)
    async with database.session() as connection:
        await connection.execute("VACUUM (ANALYZE)")


async def put_grants(
    database: PlatformDatabase, count: int, *, resources: int = RESOURCES, departments: int = DEPARTMENTS
) -> None:
    """`count` grants on items 5 to 9, dealt out to the departments in turn: grant n is department n's (modulo).

    Each department has its grants on resources of its own, so that no two are alike.
    """
    sample = grant(0, resources=resources, departments=departments)
    await database.put_grants([sample], by="bench")
    async with database.session() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # no triggers, no foreign keys
        await connection.execute(
            """
            INSERT INTO data_grant (id, requester, resource, purpose, state, valid_from, valid_to, document)
            SELECT 'G-' || n, who, what, purpose, state, valid_from, valid_to,
                   document || jsonb_build_object('id', 'G-' || n, 'requester', who, 'resource', what)
            FROM data_grant, generate_series(1, $1::int - 1) n,
                 LATERAL (SELECT '11' || $2::text || lpad((n % $3::int)::text, 10, '0') AS who,
                                 $4::text || '/' || n % $5::int AS what) made
            WHERE id = 'G-0'
            """,
            count,
            DIVISION,
            departments,
            CATEGORY,
            resources,
        )


def grant(number: int, *, resources: int = RESOURCES, departments: int = DEPARTMENTS) -> Grant:
    return Grant(
        id=f"G-{number}",
        requester=department(number % departments).code,
        resource=code(number % resources),
        items=frozenset(f"item{place}" for place in range(5, 10)),
        purpose=PURPOSE,
        valid_from=SINCE,
        valid_to=None,
        basis=GrantBasis.APPLICATION,
    )


async def fill_source(connection: Any) -> None:
    """The table that every resource reads."""
    columns = [f"item{place}" for place in range(ITEMS)]
    kinds = [_COLUMNS[kind] for kind in _KINDS]
    await connection.execute(
        f"CREATE TABLE thing (handle bigint PRIMARY KEY, "
        f"{', '.join(f'{name} {kind}' for name, kind in zip(columns, kinds, strict=True))})"
    )
    await connection.execute(
        f"INSERT INTO thing SELECT n, {', '.join(_VALUES[kind] for kind in _KINDS)} FROM generate_series(1, {ROWS}) n"
    )
