"""In charge of a platform database of a busy region: 5,000 resources, 10,000 open applications, and what came before.

Matters are written past the triggers that guard their steps, as they would stand after them; nothing is random.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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
    Level,
    Names,
    Purpose,
    Resource,
    ShareClass,
    Source,
    UpdateCycle,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.rows import encoded_resource

RESOURCES = 5_000
OPEN = 10_000
CLOSED = 20_000
GRANTS = 2_000
USES = 30_000
REGION, CITIES = "640000", ("640100", "640200", "640300", "640400", "640500")
TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TYPES = (("name", "名称"), ("number", "编号"), ("state", "状态"))


@dataclass(frozen=True, slots=True)
class Region:
    """Credit codes: the competent department of the region, and who provides and who applies."""

    competent: str
    providers: tuple[str, ...]
    requesters: tuple[str, ...]


def _code(division: str, number: int) -> str:
    return f"11{division}{number:010d}"


def departments() -> tuple[Department, ...]:
    """40 of the region, the first competent, and five of each city, each city's first competent."""
    governments = [(Level.REGION, REGION, 40), *((Level.CITY, city, 5) for city in CITIES)]
    return tuple(
        Department(_code(area, n), f"d-{area}-{n}", f"第{n}部门", f"No. {n}", level, area, competent=n == 0)
        for level, area, count in governments
        for n in range(count)
    )


def _resource(number: int, provider: Department, title: str) -> Resource:
    return Resource(
        code=f"3010101/{number}",
        version=1,
        title=title,
        summary="业务办理中形成的数据。",
        branch=Branch.DEPARTMENTAL,
        category="3010101",
        provider=provider.code,
        share_class=ShareClass.CONDITIONAL,
        update_cycle=UpdateCycle.DAILY,
        zone=Zone.EXTRANET,
        names=Names("business", f"matters{number}", f"matter{number}", f"Matter{number}"),
        binding=Binding(f"source-{provider.key}", None, f"matter_{number}", None),
        items=tuple(
            Item(name, title, ScalarType.TEXT, ShareClass.CONDITIONAL, name, Column(name, ScalarType.TEXT), basic=False)
            for name, title in TYPES
        ),
        condition="依法履职需要",
    )


async def fill(
    database: PlatformDatabase,
    *,
    resources: int = RESOURCES,
    open: int = OPEN,
    closed: int = CLOSED,
    grants: int = GRANTS,
    uses: int = USES,
) -> Region:
    """Fills an empty platform database; in some seconds."""
    known = departments()
    providers = known[1:40]
    await database.publish(
        CatalogueChange(
            by="bench",
            divisions=tuple(
                Division(code, f"区划{code}", f"Division {code}", date(1958, 10, 25)) for code in (REGION, *CITIES)
            ),
            departments=known,
            purposes=(Purpose("licensing", "行政许可", "Licensing"), Purpose("assistance", "救助", "Assistance")),
            categories=(
                Category("3", "部门", "Departmental"),
                Category("301", "业务", "Business", "3"),
                Category("30101", "办理", "Handling", "301"),
                Category("3010101", "事项", "Matters", "30101"),
            ),
            sources=tuple(
                Source(f"source-{it.key}", f"{it.name}系统", it.code, "postgresql", Zone.EXTRANET, {})
                for it in providers
            ),
        )
    )
    people = Region(known[0].code, tuple(it.code for it in providers), tuple(it.code for it in known[1:]))
    async with database.session() as connection:
        await _resources(connection, resources, providers)
    first = _resource(0, providers[0], "")
    terms = Grant(
        id="G",
        requester=people.requesters[0],
        resource=first.code,
        items=frozenset({"name"}),
        purpose="licensing",
        valid_from=NOW - timedelta(days=400),
        valid_to=NOW + timedelta(days=400),
        basis=GrantBasis.APPLICATION,
    )
    await database.put_grants([terms], by="bench")
    async with database.session() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # no triggers, no foreign keys
        await _grants(connection, people, grants, resources)
        await _applications(connection, people, open, closed, resources)
        await _obligations(connection, people)
        await _uses(connection, people, resources, uses)
    async with database.session() as connection:
        await connection.execute("VACUUM (ANALYZE)")
    return people


async def _resources(connection: Any, count: int, providers: Sequence[Department]) -> None:
    owners = [providers[n % len(providers)] for n in range(count)]
    sample = json.loads(encoded_resource(_resource(0, providers[0], "样本")))
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO resource (code, version) SELECT '3010101/' || n, 1 FROM generate_series(0, $1 - 1) n", count
        )
        await connection.execute(
            """
            INSERT INTO resource_version (code, version, title, share_class, provider, category, source, document, note,
                                          published_by, published_at)
            SELECT '3010101/' || n, 1, '事项信息' || n, 'CONDITIONAL', o.code, '3010101', o.source,
                   $3::jsonb || jsonb_build_object('code', '3010101/' || n, 'title', '事项信息' || n,
                       'provider', o.code, 'source', o.source, 'table', 'matter_' || n,
                       'graphql', jsonb_build_object('group', 'business', 'list', 'matters' || n,
                           'one', 'matter' || n, 'type', 'Matter' || n)),
                   '', 'bench', $4::timestamptz - make_interval(days => (n % 700)::int)
            FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS o (code, source, place)
            CROSS JOIN LATERAL (SELECT place - 1 AS n) numbered
            """,
            [owner.code for owner in owners],
            [f"source-{owner.key}" for owner in owners],
            json.dumps(sample, ensure_ascii=False),
            NOW,
        )


async def _grants(connection: Any, people: Region, count: int, resources: int) -> None:
    """Every fifth is not used; the others are on each of 30 days before today."""
    await connection.execute(
        """
        INSERT INTO data_grant (id, requester, resource, purpose, state, valid_from, valid_to, document)
        SELECT 'G-' || n, $1[1 + n % cardinality($1)], '3010101/' || n % $2, purpose, state, valid_from, valid_to,
               document || jsonb_build_object('id', 'G-' || n, 'requester', $1[1 + n % cardinality($1)],
                                              'resource', '3010101/' || n % $2)
        FROM data_grant, generate_series(1, $3::int) n WHERE id = 'G'
        """.replace("$1[", "($1::text[])[").replace("cardinality($1)", "cardinality($1::text[])"),
        list(people.requesters),
        resources,
        count,
    )
    await connection.execute(
        """
        INSERT INTO grant_use (grant_id, day, requests, rows, last_use)
        SELECT 'G-' || n, $2::date - d, 10, 1000, $3::timestamptz - make_interval(days => d)
        FROM generate_series(1, $1::int) n, generate_series(0, 29) d WHERE n % 5 > 0
        """,
        count,
        TODAY,
        NOW,
    )
    await connection.execute(
        """
        INSERT INTO purpose_use (side, department, purpose, day, requests, rows, denied)
        SELECT side, code, purpose, $2::date - d, 100, 10000, 3
        FROM unnest($1::text[]) code, generate_series(0, 364) d, unnest(ARRAY['PROVIDER', 'REQUESTER']) side,
             unnest(ARRAY['licensing', 'assistance']) purpose
        """,
        list(people.requesters),
        TODAY,
    )


_MATTERS = """
INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, requester, provider, coordinator,
                    resource, opened_at, changed_at, document)
SELECT 'A-2026-' || lpad(n::text, 6, '0'), 'APPLICATION', 'ningxia-measures', 1, state, 2, closed,
       requesters[1 + n % cardinality(requesters)], providers[1 + (n * 7) % cardinality(providers)], $3,
       '3010101/' || n % $4, $5::timestamptz - make_interval(days => age),
       $5::timestamptz - make_interval(days => CASE WHEN closed THEN age - took ELSE age END),
       jsonb_build_object('resource', '3010101/' || n % $4, 'items', ARRAY['name'], 'purpose', 'licensing',
                          'duty', '依法办理行政许可', 'legalBasis', '行政许可法')
FROM (
    SELECT n, $1::text[] AS requesters, $2::text[] AS providers, n > $6 AS closed, 3 + n % 14 AS took,
           CASE WHEN n <= $6 THEN n % 25 ELSE 20 + n % 700 END AS age,
           CASE WHEN n <= $6 THEN 'SUBMITTED' WHEN n % 10 < 7 THEN 'APPROVED' WHEN n % 10 < 9 THEN 'PARTLY_APPROVED'
                ELSE 'REFUSED' END AS state
    FROM generate_series(1, $6::int + $7::int) n) made
"""
_EVENTS = """
INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client, person, at,
                          reason, document, request_id)
SELECT id, 1, 'SUBMIT', 'DRAFT', 'SUBMITTED', 'requester', 'applicant', requester, 'portal', 'li', opened_at, '',
       '{}', ''
FROM matter WHERE kind = 'APPLICATION'
UNION ALL
SELECT id, 2, 'REPLY', 'SUBMITTED', state, 'provider', 'reviewer', provider, 'portal', 'wang', changed_at, '',
       CASE WHEN state = 'REFUSED' THEN jsonb_build_object('reason',
           (ARRAY['NO_DUTY', 'NO_LEGAL_BASIS', 'OTHER_SOURCE'])[1 + right(id, 6)::int / 10 % 3]) ELSE '{}' END, ''
FROM matter WHERE kind = 'APPLICATION' AND closed
"""
_DEADLINES = """
INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, started_on, due_on, provisional, calendar,
                      ended_on, met)
SELECT id, 'REPLY', provider, rule_set, 1, 10, opened, opened + 14, false, 'bench',
       CASE WHEN closed THEN (changed_at AT TIME ZONE 'Asia/Shanghai')::date END, CASE WHEN closed THEN true END
FROM (SELECT *, (opened_at AT TIME ZONE 'Asia/Shanghai')::date AS opened FROM matter WHERE kind = 'APPLICATION') m
"""
_TASKS = """
INSERT INTO matter_task (matter, department, role, since, due_on)
SELECT m.id, m.provider, 'reviewer', m.opened_at, d.due_on
FROM matter m JOIN deadline d ON d.matter = m.id WHERE NOT m.closed
"""


async def _applications(connection: Any, people: Region, open: int, closed: int, resources: int) -> None:
    """Open ones of the last 25 days, of which those older than 14 are overdue; the others over two years before."""
    await connection.execute(
        _MATTERS, list(people.requesters), list(people.providers), people.competent, resources, NOW, open, closed
    )
    for statement in (_EVENTS, _DEADLINES, _TASKS):
        await connection.execute(statement)


async def _obligations(connection: Any, people: Region) -> None:
    """Ten updates of the catalogue for each provider, one each of them late."""
    await connection.execute(
        """
        INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, provider, coordinator, opened_at,
                            changed_at, document)
        SELECT 'O-' || place || '-' || n, 'OBLIGATION', 'ningxia-measures', 1, 'MET', 2, true, code, $2,
               $3::timestamptz - make_interval(days => 30 * n),
               $3::timestamptz - make_interval(days => 30 * n - 10), '{}'
        FROM unnest($1::text[]) WITH ORDINALITY AS p (code, place), generate_series(1, 10) n
        """,
        list(people.providers),
        people.competent,
        NOW,
    )
    await connection.execute(
        """
        INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, started_on, due_on, provisional,
                              calendar, ended_on, met)
        SELECT id, 'OBLIGATION', provider, rule_set, 1, 15, opened_at::date, opened_at::date + 21, false, 'bench',
               CASE WHEN id LIKE '%-3' THEN opened_at::date + 30 ELSE opened_at::date + 10 END, true
        FROM matter WHERE kind = 'OBLIGATION'
        """
    )


_USES = (
    """
    INSERT INTO audit_record (request_id, at, department, client, purpose, operation_name, operation_hash,
                              document_kind, paths, items, grants, rows, outcome, codes, duration_us, node)
    SELECT 'r-' || n, $3::timestamptz - make_interval(mins => ($4 - n)::int),
           ($1::text[])[1 + n % cardinality($1::text[])],
           'client-' || n % 7, 'licensing', 'Q' || n % 50, md5((n % 50)::text), 'stored',
           '{}',
           jsonb_build_object('3010101/' || n % $2, ARRAY['name', 'number']), ARRAY['G-' || 1 + n % 2000],
           jsonb_build_object('3010101/' || n % $2, 10), 'ALLOWED', '{}', 100, 'bench'
    FROM generate_series(1, $4::int) n
    """,
    """
    INSERT INTO usage_entry (record, resource, provider, department)
    SELECT a.id, v.code, v.provider, a.department
    FROM audit_record a CROSS JOIN LATERAL jsonb_object_keys(a.items) k JOIN resource_version v ON v.code = k
    """,
    "INSERT INTO grant_entry (grant_id, record) SELECT grants[1], id FROM audit_record",
    """
    INSERT INTO record_day (day, first_record)
    SELECT (at AT TIME ZONE 'Asia/Shanghai')::date, min(id) FROM audit_record GROUP BY 1
    """,
    """
    INSERT INTO client_use (resource, department, client, purpose, day, requests, rows, denied, last_use)
    SELECT e.resource, e.department, a.client, 'licensing', (at AT TIME ZONE 'Asia/Shanghai')::date, count(*), 10, 0,
           max(at)
    FROM usage_entry e JOIN audit_record a ON a.id = e.record GROUP BY 1, 2, 3, 4, 5
    """,
    """
    INSERT INTO item_use (resource, item, department, client, requests, last_use)
    SELECT resource, item, department, client, sum(requests), max(last_use)
    FROM client_use CROSS JOIN unnest(ARRAY['name', 'number']) item GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO operation_use (resource, department, client, operation_hash, operation_name, document_kind, items,
                               requests, last_use)
    SELECT e.resource, e.department, a.client, a.operation_hash, a.operation_name, 'stored', ARRAY['name', 'number'],
           count(*), max(at)
    FROM usage_entry e JOIN audit_record a ON a.id = e.record GROUP BY 1, 2, 3, 4, 5
    """,
    "UPDATE usage_progress SET counted = $1, settled = $1, settled_at = $2, as_of = $2",
)


async def _uses(connection: Any, people: Region, resources: int, count: int) -> None:
    """One request a minute until now, counted."""
    for statement in _USES[:-1]:
        known = (list(people.requesters), resources, NOW, count) if "$1" in statement else ()
        await connection.execute(statement, *known)
    await connection.execute(_USES[-1], count, NOW)
