"""In charge of imports of spreadsheets: each a row with its file, its progress and its report, worked on in batches.

A node that works on an import holds it for a while and renews that; one that dies loses it, and another goes on after
the last batch. INVARIANT: a batch is one transaction, with the entries, the outcome of each of its resources and the
counts, and only of whoever holds the import.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.guide.reading import Draft, Reading
from tanglai.catalogue.guide.remarks import MOST_REMARKS, Remark
from tanglai.catalogue.guide.workbook import MAX_BYTES
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import CHANNEL, import_key
from tanglai.storage.workflow.import_entries import Outcome, Put, put_entry
from tanglai.storage.workflow.work import Work

ARTICLE = "Art. 8"
WAITING = "imports"
"""Key of the feed that is told when there is an import to work on."""
HELD_SECONDS = 60
"""For so long an import is its worker's after each sign of life."""
MOST_ATTEMPTS = 3
"""An import that is left behind so often without any progress is given up: it may be what kills its nodes."""
MOST_NAME = 255


class ImportState(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Import:
    """One import. `total` is None until the file is read; `refused` counts resources with an error.

    `failure` says why nothing could be made of the file, in English and in Chinese; None where it could.
    """

    id: str
    department: str
    by: str
    file_name: str
    sha256: str
    size: int
    state: ImportState
    failure: str | None
    failure_zh: str | None
    total: int | None
    done: int
    created: int
    amended: int
    unchanged: int
    refused: int
    untold: int
    started_at: datetime
    finished_at: datetime | None

    @property
    def over(self) -> bool:
        return self.state is not ImportState.RUNNING


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """What became of one resource of the file. `matter` is the entry's number; None where there is none."""

    code: str
    title: str
    sheet: str
    row: int
    outcome: Outcome
    matter: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """An import that a worker holds: who asked for it, and the file."""

    id: str
    worker: str
    department: str
    client: str
    person: str | None
    roles: frozenset[str]
    request_id: str
    content: bytes


class Lost(Exception):
    """The import is not the worker's any more; somebody else goes on with it, or it is over."""


_COLUMNS = (
    "id, department, coalesce(person, client) AS by, file_name, sha256, size, state, failure, failure_zh, total, done, "
    "created, amended, unchanged, refused, untold, started_at, finished_at"
)
_START = f"""
INSERT INTO catalogue_import (id, department, client, person, roles, request_id, file_name, sha256, size, content,
                              state, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'RUNNING', $11) RETURNING {_COLUMNS}
"""
_CLAIM = """
UPDATE catalogue_import SET worker = $1, attempts = attempts + 1,
                            alive_until = clock_timestamp() + make_interval(secs => $2)
WHERE id = (SELECT id FROM catalogue_import WHERE state = 'RUNNING'
            AND (alive_until IS NULL OR alive_until < clock_timestamp()) AND ($3::text IS NULL OR id = $3)
            ORDER BY started_at FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING id, department, client, person, roles, request_id, content, attempts
"""
_ALIVE = """
UPDATE catalogue_import SET alive_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND worker = $2 AND state = 'RUNNING'
"""
_RELEASE = """
UPDATE catalogue_import SET worker = NULL, alive_until = NULL, attempts = attempts - 1
WHERE id = $1 AND worker = $2 AND state = 'RUNNING'
"""
_MINE = "SELECT FROM catalogue_import WHERE id = $1 AND worker = $2 AND state = 'RUNNING' FOR UPDATE"
_FINISH = """
UPDATE catalogue_import SET state = $3, failure = $4, failure_zh = $5, content = NULL, worker = NULL,
                            alive_until = NULL, finished_at = clock_timestamp()
WHERE id = $1 AND worker = $2 AND state = 'RUNNING'
"""
_REMARK = """
INSERT INTO catalogue_import_remark (import, number, sheet, line, heading, severity, rule, message, message_zh,
                                     resource)
SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::text[])
"""
_ENTRY = """
INSERT INTO catalogue_import_entry (import, code, title, sheet, line, outcome, matter)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_COUNT = """
UPDATE catalogue_import SET done = done + $2, created = created + $3, amended = amended + $4,
                            unchanged = unchanged + $5, refused = refused + $6,
                            alive_until = clock_timestamp() + make_interval(secs => $7), attempts = 0
WHERE id = $1
"""


async def start(desk: Desk, acting: Acting, file_name: str, content: bytes) -> Import:
    """Keeps the file of the acting department for whoever works on imports; the import, which is RUNNING.

    A department has one import at a time: the same file once more is the same import. Raises NotPermitted without the
    role `cataloguer`, InvalidAct for a file that cannot be kept and while another one is under way.
    """
    _require(acting)
    _require_file(file_name, content)
    sha256 = hashlib.sha256(content).hexdigest()
    async with desk.work(acting) as work:
        connection = work.connection
        # Of two at once the second waits here for the first, and finds it.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", f"import {acting.department}")
        running = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM catalogue_import WHERE department = $1 AND state = 'RUNNING'", acting.department
        )
        if running is not None and running["sha256"] == sha256:
            return import_of(running)
        if running is not None:
            message = f"import `{running['id']}` of the department is under way: wait for its end"
            raise InvalidAct([Problem((), ProblemCode.TAKEN, message)])
        number = await connection.fetchval("SELECT nextval('import_number')")
        row = await connection.fetchrow(
            _START,
            f"I-{work.today.year}-{number:06d}",
            acting.department,
            acting.client,
            acting.person,
            sorted(acting.roles),
            acting.request_id,
            file_name,
            sha256,
            len(content),
            content,
            acting.now,
        )
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, WAITING)
        return import_of(row)


def _require(acting: Acting) -> None:
    if not acting.holds(Role.CATALOGUER):
        message = f"this takes the role `{Role.CATALOGUER}`"
        raise NotPermitted(message, roles=(Role.CATALOGUER,), article=ARTICLE)
    if not acting.covers(None):  # the file decides which resources it is about
        raise NotPermitted("the token is narrowed to some resources", article="Art. 11(1)")


def _require_file(file_name: str, content: bytes) -> None:
    problems = []
    if not file_name.strip() or len(file_name) > MOST_NAME or not file_name.isprintable():
        message = f"a file name has 1 to {MOST_NAME} characters, all of them visible"
        problems.append(Problem(("fileName",), ProblemCode.MALFORMED, message))
    if not content:
        problems.append(Problem(("content",), ProblemCode.MISSING, "the file is empty"))
    if len(content) > MAX_BYTES:
        problems.append(Problem(("content",), ProblemCode.MALFORMED, f"more than {MAX_BYTES:,} bytes"))
    if problems:
        raise InvalidAct(problems)


# --- work ------------------------------------------------------------------------------------------------------------


async def claim(database: PlatformDatabase, worker: str, only: str | None = None) -> Held | None:
    """An import that nobody works on, held from now on by `worker`, a name that no other run has; None: there is none.

    `only` is the one to look at, by default the one that waits for the longest.

    One that was left behind MOST_ATTEMPTS times without any progress is ended as failed instead.
    """
    while True:
        async with database.session() as connection:
            row = await connection.fetchrow(_CLAIM, worker, HELD_SECONDS, only)
        if row is None:
            return None
        held = Held(
            row["id"],
            worker,
            row["department"],
            row["client"],
            row["person"],
            frozenset(row["roles"]),
            row["request_id"],
            row["content"],
        )
        if row["attempts"] <= MOST_ATTEMPTS:
            return held
        await fail(
            database,
            held,
            f"given up after {MOST_ATTEMPTS} attempts, of which none came to its end",
            f"已尝试 {MOST_ATTEMPTS} 次，均未完成",
        )


async def keep_alive(database: PlatformDatabase, held: Held) -> None:
    """Holds on to the import. Raises Lost."""
    async with database.session() as connection:
        if await connection.execute(_ALIVE, held.id, held.worker, HELD_SECONDS) == "UPDATE 0":
            raise Lost


async def release(database: PlatformDatabase, held: Held) -> None:
    """Leaves the import to whoever comes next; as if it had not been tried."""
    async with database.session() as connection:
        await connection.execute(_RELEASE, held.id, held.worker)
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, WAITING)


async def begin(database: PlatformDatabase, held: Held, reading: Reading) -> frozenset[str]:
    """Keeps the report on the file and how many resources it has; the codes that earlier batches are through with.

    Raises Lost.
    """
    async with database.session() as connection, connection.transaction():
        await _mine(connection, held)
        await connection.execute(
            "DELETE FROM catalogue_import_remark WHERE import = $1 AND number <= $2", held.id, MOST_REMARKS
        )
        await _remark(connection, held.id, 1, reading.remarks)
        done = {
            row["code"]
            for row in await connection.fetch("SELECT code FROM catalogue_import_entry WHERE import = $1", held.id)
        }
        # What was read before the last batch may be read otherwise now; what has become an entry stays one.
        left = sum(draft.code not in done for draft in reading.drafts)
        total = max(reading.resources, len(done) + left)
        await connection.execute(
            "UPDATE catalogue_import SET total = $2, untold = $3, refused = $4 + "
            "(SELECT count(*) FROM catalogue_import_entry WHERE import = $1 AND outcome = 'REFUSED'), "
            "done = created + amended + unchanged + $4 + "
            "(SELECT count(*) FROM catalogue_import_entry WHERE import = $1 AND outcome = 'REFUSED') WHERE id = $1",
            held.id,
            total,
            reading.untold,
            total - len(done) - left,
        )
        await _tell(connection, held.id)
    return frozenset(done)


async def put(desk: Desk, acting: Acting, held: Held, drafts: Sequence[Draft]) -> None:
    """Makes entries of a batch of drafts, all or none. Raises Lost."""
    async with desk.work(acting) as work:
        await _mine(work.connection, held)
        results = [(draft, await put_entry(work, draft)) for draft in sorted(drafts, key=lambda draft: draft.code)]
        await _record(work, held, results)


async def finish(database: PlatformDatabase, held: Held) -> None:
    """Ends the import as done. Raises Lost."""
    await _end(database, held, ImportState.DONE, None, None)


async def fail(database: PlatformDatabase, held: Held, message: str, message_zh: str) -> None:
    """Ends the import as failed. What batches have made of it stays. Raises Lost."""
    await _end(database, held, ImportState.FAILED, message, message_zh)


async def _end(database: PlatformDatabase, held: Held, state: ImportState, failure: str | None, zh: str | None) -> None:
    async with database.session() as connection, connection.transaction():
        if await connection.execute(_FINISH, held.id, held.worker, state.value, failure, zh) == "UPDATE 0":
            raise Lost
        await _tell(connection, held.id)


async def _mine(connection: Any, held: Held) -> None:
    if await connection.fetchrow(_MINE, held.id, held.worker) is None:
        raise Lost


async def _tell(connection: Any, id: str) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, import_key(id))


async def _remark(connection: Any, id: str, first: int, remarks: Sequence[Remark]) -> None:
    if not remarks:
        return
    await connection.execute(
        _REMARK,
        id,
        list(range(first, first + len(remarks))),
        *(
            [getattr(remark, name) for remark in remarks]
            for name in ("sheet", "row", "column", "severity", "rule", "message", "message_zh", "resource")
        ),
    )


async def _record(work: Work, held: Held, results: Sequence[tuple[Draft, Put]]) -> None:
    connection = work.connection
    outcomes = [put.outcome for _, put in results]
    await connection.executemany(
        _ENTRY,
        [
            (
                held.id,
                draft.code,
                str(draft.document.get("title", "")),
                draft.proposal.sheet,
                draft.proposal.row,
                put.outcome.value,
                put.matter,
            )
            for draft, put in results
        ],
    )
    remarks = [put.remark for _, put in results if put.remark is not None]
    if remarks:
        last = await connection.fetchval(
            "SELECT coalesce(max(number), 0) FROM catalogue_import_remark WHERE import = $1", held.id
        )
        await _remark(connection, held.id, max(last, MOST_REMARKS) + 1, remarks)
    await connection.execute(
        _COUNT,
        held.id,
        len(results),
        *(outcomes.count(outcome) for outcome in Outcome),
        HELD_SECONDS,
    )
    await _tell(connection, held.id)


# --- reading ---------------------------------------------------------------------------------------------------------


def import_of(row: Any) -> Import:
    return Import(**{**row, "state": ImportState(row["state"])})


async def find(connection: Any, department: str, id: str) -> Import | None:
    """The import `id` of the department; None where there is none, or it is another department's."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue_import WHERE id = $1 AND department = $2", id, department
    )
    return import_of(row) if row is not None else None


async def found(desk: Desk, department: str, id: str) -> Import:
    """The import `id` of the department. Raises NotFound."""
    it = await desk.read(lambda connection: find(connection, department, id))
    if it is None:
        raise NotFound("import", id)
    return it


async def page(
    connection: Any, department: str, *, after: str | None, before: str | None, limit: int, last: bool
) -> list[Import]:
    """The first (or last) `limit` imports of the department by id, those between `after` and `before`."""
    rows = await _page(
        connection,
        f"SELECT {_COLUMNS} FROM catalogue_import WHERE department = $1",
        ("id", "text"),
        (department,),
        (after, before, limit, last),
    )
    return [import_of(row) for row in rows]


async def count(connection: Any, department: str) -> int:
    number: int = await connection.fetchval("SELECT count(*) FROM catalogue_import WHERE department = $1", department)
    return number


async def remarks_page(
    connection: Any,
    id: str,
    *,
    errors_only: bool = False,
    after: int | None = None,
    before: int | None = None,
    limit: int,
    last: bool = False,
) -> list[tuple[int, Remark]]:
    """The first (or last) `limit` remarks of an import with their numbers, in the order of the file."""
    only = " AND severity = 'ERROR'" if errors_only else ""
    rows = await _page(
        connection,
        f"SELECT * FROM catalogue_import_remark WHERE import = $1{only}",
        ("number", "integer"),
        (id,),
        (after, before, limit, last),
    )
    return [(row["number"], _remark_of(row)) for row in rows]


async def count_remarks(connection: Any, id: str, *, errors_only: bool = False) -> int:
    only = " AND severity = 'ERROR'" if errors_only else ""
    number: int = await connection.fetchval(f"SELECT count(*) FROM catalogue_import_remark WHERE import = $1{only}", id)
    return number


async def entries_page(
    connection: Any, id: str, *, after: str | None, before: str | None, limit: int, last: bool
) -> list[ImportEntry]:
    """The first (or last) `limit` resources of an import by code, with what became of them."""
    rows = await _page(
        connection,
        "SELECT * FROM catalogue_import_entry WHERE import = $1",
        ("code", "text"),
        (id,),
        (after, before, limit, last),
    )
    return [
        ImportEntry(row["code"], row["title"], row["sheet"], row["line"], Outcome(row["outcome"]), row["matter"])
        for row in rows
    ]


async def count_entries(connection: Any, id: str) -> int:
    number: int = await connection.fetchval("SELECT count(*) FROM catalogue_import_entry WHERE import = $1", id)
    return number


def _remark_of(row: Any) -> Remark:
    return Remark(
        row["sheet"],
        row["line"],
        row["heading"],
        Severity(row["severity"]),
        row["rule"],
        row["message"],
        row["message_zh"],
        row["resource"],
    )


async def _page(
    connection: Any,
    select: str,
    key: tuple[str, str],
    arguments: tuple[Any, ...],
    window: tuple[Any, Any, int, bool],
) -> list[Any]:
    (name, kind), (after, before, limit, last) = key, window
    n = len(arguments)
    rows: list[Any] = await connection.fetch(
        f"{select} AND (${n + 1}::{kind} IS NULL OR {name} > ${n + 1}) AND (${n + 2}::{kind} IS NULL OR "
        f"{name} < ${n + 2}) ORDER BY {name} {'DESC' if last else 'ASC'} LIMIT ${n + 3}",
        *arguments,
        after,
        before,
        limit,
    )
    return rows[::-1] if last else rows
