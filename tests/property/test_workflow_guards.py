"""In charge of the database refusing every step that the law does not know, whatever program tries it."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tanglai.storage.embedded import EmbeddedPostgres
from tests.property.workflows.law import BOTH, HEALTH, OFFICE, POLICE, STEPS, Step, steps, waits
from tests.property.workflows.stage import Copies

REFUSED = {"TL001", "TL002", "TL003"}
_EVENT = """
INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client, person, at,
                          reason, document, request_id)
VALUES ($1, $2, $3, $4, $5, 'provider', 'reviewer', $6, 'c', $7, now(), '', '{}', 'r')
"""
# Tries each step in a subtransaction of its own and undoes it: the SQLSTATE of each, 00000 where it was taken.
_TRY = """
CREATE FUNCTION pg_temp.try_steps(id text, version int, sources text[], events text[], targets text[], person text)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
BEGIN
    FOR n IN 1 .. coalesce(array_length(events, 1), 0) LOOP
        BEGIN
            INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client,
                                      person, at, reason, document, request_id)
                VALUES (id, version, events[n], sources[n], targets[n], 'provider', 'reviewer', '%s', 'c',
                        person, now(), '', '{}', 'r');
            RAISE EXCEPTION 'taken' USING ERRCODE = 'OK000';
        EXCEPTION WHEN OTHERS THEN
            answers := answers || CASE WHEN SQLSTATE = 'OK000' THEN '00000' ELSE SQLSTATE END;
        END;
    END LOOP;
    RETURN answers;
END $$
"""


@pytest.fixture(scope="module")
async def connection(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    copies = Copies(postgres)
    await copies.prepare()
    connection = await asyncpg.connect(postgres.url(copies.made))
    await connection.execute(_TRY % POLICE)
    yield connection
    await connection.close()
    await copies.close()


def ways(kind: str, rules: str) -> dict[str, list[Step]]:
    """For each state that `kind` can reach under `rules`, the shortest way from nothing."""
    found: dict[str, list[Step]] = {"": []}
    queue = [""]
    for state in queue:
        for step in steps(kind, rules, state):
            if step.target not in found:
                found[step.target] = [*found[state], step]
                queue.append(step.target)
    return found


async def put(connection: Any, kind: str, rules: str, way: list[Step], number: int) -> str:
    """A matter that went `way`, each step by somebody else; in a transaction that is given up."""
    id = f"T-{number}"
    await connection.execute(
        "INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, requester, provider, "
        "coordinator, opened_at, changed_at, document) "
        "VALUES ($1, $2, $3, 1, '', 0, false, $4, $5, $6, now(), now(), '{}')",
        *(id, kind, rules, HEALTH, POLICE, OFFICE),
    )
    for n, step in enumerate(way, start=1):
        await connection.execute(_EVENT, id, n, step.event, step.source, step.target, POLICE, f"p{n}")
    return id


async def tried(connection: Any, id: str, version: int, triples: list[tuple[str, str, str]], person: str) -> list[str]:
    columns = [list(column) for column in zip(*triples, strict=True)] if triples else [[], [], []]
    answers: list[str] = await connection.fetchval(
        "SELECT pg_temp.try_steps($1, $2, $3, $4, $5, $6)", id, version, *columns, person
    )
    return answers


async def test_the_table_of_steps_is_that_of_the_law(connection: Any) -> None:
    rows = await connection.fetch("SELECT * FROM workflow_step")
    known = {
        (kind, rules, step.source, step.event, step.target, waits(kind, step.target) is None, frozenset(step.apart))
        for kind, found in STEPS.items()
        for step in found
        for rules in step.rules
        if step.source in ways(kind, rules)
    }
    columns = ("kind", "rule_set", "from_state", "event", "to_state", "final")
    assert {(*(row[name] for name in columns), frozenset(row["apart_from"])) for row in rows} == known


@pytest.mark.parametrize("rules", BOTH)
@pytest.mark.parametrize("kind", sorted(STEPS))
async def test_no_step_but_those_of_the_law(connection: Any, kind: str, rules: str) -> None:
    """From every state, every event to every state, and steps of states in which it is not."""
    events = sorted({step.event for step in STEPS[kind]} | {"CREATE", "REPLY", "LAPSE", "DECIDE", "NOTHING", ""})
    states = sorted({state for step in STEPS[kind] for state in (step.source, step.target)} | {"ELSEWHERE"})
    reached = ways(kind, rules)
    transaction = connection.transaction()
    await transaction.start()
    try:
        for number, (state, way) in enumerate(reached.items()):
            id = await put(connection, kind, rules, way, number)
            legal = {(step.source, step.event, step.target) for step in steps(kind, rules, state)}
            triples = [(source, event, target) for source in states for event in events for target in states]
            answers = await tried(connection, id, len(way) + 1, triples, "somebody")
            taken = {triple for triple, answer in zip(triples, answers, strict=True) if answer == "00000"}
            assert taken == legal, (state, taken ^ legal)
            assert set(answers) - {"00000"} <= REFUSED
            for wrong in (len(way), len(way) + 2):
                assert set(await tried(connection, id, wrong, sorted(legal), "somebody")) <= {"TL002"}
            await refuse_own(connection, kind, rules, id, way)
    finally:
        await transaction.rollback()


async def refuse_own(connection: Any, kind: str, rules: str, id: str, way: list[Step]) -> None:
    """Who took a step does not take one that is kept apart from it."""
    state = way[-1].target if way else ""
    for step in steps(kind, rules, state):
        for n, before in enumerate(way, start=1):
            triple = (step.source, step.event, step.target)
            expected = "TL003" if before.event in step.apart else "00000"
            assert await tried(connection, id, len(way) + 1, [triple], f"p{n}") == [expected], (triple, before.event)


ATTACKS = (
    "UPDATE matter SET state = 'APPROVED' WHERE id = 'T-0'",
    "UPDATE matter SET closed = true WHERE id = 'T-0'",
    "UPDATE matter SET version = version + 1 WHERE id = 'T-0'",
    "UPDATE matter SET kind = 'CONSULTATION' WHERE id = 'T-0'",
    "UPDATE matter SET rule_set = 'order-809' WHERE id = 'T-0'",
    "UPDATE matter SET opened_at = '2020-01-01' WHERE id = 'T-0'",
    "UPDATE matter SET id = 'T-1' WHERE id = 'T-0'",
    "UPDATE matter_event SET reason = 'other' WHERE matter = 'T-0'",
    "UPDATE matter_event SET person = 'other' WHERE matter = 'T-0'",
    "UPDATE audit_record SET person = 'other'",
    *(f"DELETE FROM {table}" for table in ("matter_event", "matter", "deadline", "notice", "grant_basis")),
    *(f"TRUNCATE {table} CASCADE" for table in ("matter_event", "matter", "deadline", "notice", "grant_basis")),
    *("DELETE FROM data_grant", "DELETE FROM audit_record", "TRUNCATE data_grant CASCADE", "TRUNCATE audit_record"),
    "INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, opened_at, changed_at, document) "
    "VALUES ('T-2', 'APPLICATION', 'order-809', 1, 'APPROVED', 1, true, now(), now(), '{}')",
)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_changes_but_by_an_event(connection: Any, attack: str) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        way = ways("APPLICATION", BOTH[0])["SUBMITTED"]
        id = await put(connection, "APPLICATION", BOTH[0], way, 0)
        await connection.execute(
            "INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, started_on, due_on, "
            "provisional, calendar) "
            "VALUES ($1, 'REPLY', $2, 'order-809', 1, 1, '2026-09-18', '2026-09-19', false, 'x')",
            *(id, POLICE),
        )
        await connection.execute(
            "INSERT INTO notice (department, kind, matter, at, document) VALUES ($1, 'X', $2, now(), '{}')", POLICE, id
        )
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.execute(attack)
        assert caught.value.sqlstate == "TL001"
    finally:
        await transaction.rollback()


async def test_a_matter_without_an_event_is_none(connection: Any) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        async with connection.transaction():
            await put(connection, "APPLICATION", BOTH[0], [], 0)
    assert caught.value.sqlstate == "TL001"
