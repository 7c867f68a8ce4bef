"""The matrix end to end: a node of its own process, PostgreSQL behind it, asked by POST, GET, WebSocket and export.

A covering array of all its cells: every pair of subject, path, use, state and transport that occurs together is asked.
What is answered is what the table says and what planning says; what is refused asks no source; what is hidden is not in
the bytes.
"""

import asyncio
import base64
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from authz.principal import OWN_DATA_ROLE
from tanglai.catalogue.checks import check, load_draft
from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.files import to_yaml
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import Settings
from tanglai.storage.embedded import EmbeddedPostgres
from tests.http.nodes import Node, Platform
from tests.matrix import observed, region
from tests.matrix.asking import Client, Reply, Statements, exported
from tests.matrix.covering import covering, pairs
from tests.matrix.plans import Plans
from tests.matrix.registers import TRANSPORTS
from tests.matrix.rules import NO_ROWS, NULL, PUBLISHED, REFUSED, SKIPPED, Cell, Verdict, applies, expected
from tests.matrix.states import STATES, Sight, State
from tests.matrix.steps import Samples, Usage, Way
from tests.matrix.ways import Ways
from tests.matrix.worlds import publishes

_PLANNED_ONLY = ("after / list", "before / list")
"""Ways that need a cursor of the same asker and list; tests/unit/resolvers/test_paging.py has those."""


@dataclass
class Town:
    """The running node and what is known of its catalogue."""

    node: Node
    snapshot: Snapshot
    issuer: DemoIssuer
    statements: Statements
    ids: Mapping[tuple[str, int], str] = field(default_factory=dict)
    tokens: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def token(self, cell: Cell) -> str:
        """A token of the state's department; narrowed, where the state is about that."""
        state = cell.state
        scopes = Plans(self.snapshot).askers.asked_in(cell).principal.scopes if state.scopes else None
        key = (state.name, cell.name if state.scopes else None)
        if key not in self.tokens:
            self.tokens[key] = self.issuer.issue(
                region.CODES[region.department_key(state)],
                purposes=[region.ASKED, region.OTHER],
                roles=[OWN_DATA_ROLE] if state.role else [],
                scopes=sorted(f"{s.resource}:{s.item}" if s.item else s.resource for s in scopes) if scopes else None,
            )
        return self.tokens[key]


def files(folder: Path) -> None:
    folder.mkdir()
    for name, document in region.registers().items():
        (folder / f"{name}.yaml").write_text(to_yaml(document), encoding="utf-8")
    for resource in region.RESOURCES:
        (folder / f"{resource['graphql']['one']}.yaml").write_text(to_yaml(resource), encoding="utf-8")


def snapshot_of(folder: Path) -> Snapshot:
    draft, unread = load_draft([folder], None)
    assert unread == ()
    errors = [v for v in check(draft, None, today=date(2026, 11, 1)) if v.severity is Severity.ERROR]
    assert [str(violation) for violation in errors] == []
    return Snapshot(
        number=1,
        zone=Zone.EXTRANET,
        rule_set="ningxia-measures",
        departments={d.code: d for d in draft.departments},
        divisions={d.code: d for d in draft.divisions},
        purposes={p.code: p for p in draft.purposes},
        categories={c.code: c for c in draft.categories},
        sources={s.key: s for s in draft.sources},
        resources={r.code: r for r in draft.resources},
    )


async def fill(database: EmbeddedPostgres) -> None:
    database.create_database("town")
    connection = await asyncpg.connect(database.url("town"))
    try:
        for resource in region.RESOURCES:
            word, table = resource["graphql"]["one"], resource["table"].partition(".")[2]
            types = {"handle": "bigint"} | {item["name"]: region.TYPES[item["type"]] for item in resource["items"]}
            not_null = {"handle", *(item["name"] for item in resource["items"] if item.get("nullable") is False)}
            columns = ", ".join(
                f'"{n}" {kind}{" NOT NULL UNIQUE" if n in not_null else ""}' for n, kind in types.items()
            )
            await connection.execute(f'CREATE TABLE "{table}" ({columns})')
            values = ", ".join(f"${place}::text::{kind}" for place, kind in enumerate(types.values(), start=1))
            texts = [[None if row[n] is None else str(row[n]) for n in types] for row in region.rows()[word]]
            await connection.executemany(f'INSERT INTO "{table}" VALUES ({values})', texts)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("matrix")
    fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    source = EmbeddedPostgres(folder / "source", settings={**fast, "log_statement": "all"})
    database = EmbeddedPostgres(folder / "platform", settings=fast)
    with source, database:
        asyncio.run(fill(source))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "TOWN_DSN": source.url("town"),
        }
        files(folder / "catalogue")
        snapshot = snapshot_of(folder / "catalogue")
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        settings = Settings(state_dir=folder / "state", demo_issuer=True)
        with platform.node() as node:
            issuer = DemoIssuer.open(settings)
            found = Town(node, snapshot, issuer, Statements(folder / "source" / "server.log"))
            found.ids = _ids(found)
            yield found


def _ids(town: Town) -> dict[tuple[str, int], str]:
    """The ids of all rows, as their owner gets them."""
    token = town.issuer.issue(region.CODES[region.PROVIDER], purposes=[region.ASKED], roles=[OWN_DATA_ROLE])
    ids: dict[tuple[str, int], str] = {}
    with Client(town.node.url) as client:
        for resource in town.snapshot.served:
            first = resource.items[0]
            query = f"{{ data {{ town {{ {resource.names.list} {{ nodes {{ id {first.graphql} }} }} }} }} }}"
            reply = client.ask("POST", token, region.ASKED, query, {})
            places = {row[first.name]: row["handle"] for row in region.rows()[resource.names.one]}
            for node in reply.body["data"]["data"]["town"][resource.names.list]["nodes"]:
                ids[resource.code, places[node[first.graphql]]] = node["id"]
    return ids


# --- cells ------------------------------------------------------------------------------------------------------------


def subjects(snapshot: Snapshot) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = [(region.PERSON, name) for name in region.SUBJECTS[region.PERSON]]
    return [*found, (region.PERSON, "cars"), (region.NOTE, None)]


def said(cell: Cell) -> bool:
    """Whether the catalogue's files can say the state of this subject."""
    state = cell.state
    if any(held.usage == "STATISTICS" for held in state.held):
        return cell.name in ("kind", "height", "income")
    if cell.name == "file" and any(held.basis == "APPLICATION" for held in state.held):
        return False
    if cell.name == "cars" and any(held.covers == "the other kind" for held in state.held):
        return False  # the department's grants name relations, of this subject too
    return applies(cell)


@dataclass(frozen=True)
class Named:
    """The ways to a subject by name: naming the first row, the last row, and as planning can read them."""

    first: Mapping[str, Way]
    last: Mapping[str, Way]
    planned: Mapping[str, Way]


def ways_to(town: Town) -> dict[str, Named]:
    """Per subject; of several ways of one name the first stands for all."""
    found: dict[str, Named] = {}
    samples = [region.Real(1, town.ids), region.Real(region.COUNT, town.ids), Samples()]
    ends = [Ways(town.snapshot, operands) for operands in samples]
    for code, name in subjects(town.snapshot):
        resource = town.snapshot.resources[code]
        named: list[dict[str, Way]] = []
        for ways in ends:
            if name is None:
                listed = ways.of_rows(resource)
            elif name in resource.item_by_name:
                listed = ways.of_item(resource, resource.item_by_name[name])
            else:
                listed = ways.of_relation(resource, resource.relation_by_name[name])
            by_name: dict[str, Way] = {}
            for way in listed:
                if way.name not in _PLANNED_ONLY and not _by_another(way, name):
                    by_name.setdefault(way.name, way)
            named.append(by_name)
        found[f"{code} {name}"] = Named(*named)
    return found


def _by_another(way: Way, name: str | None) -> bool:
    """Whether another subject is used on the way, which is in the same state."""
    subjects = {item for items in region.SUBJECTS.values() for item in items}
    return any(step.name in subjects - {name} for step in way.steps)


def cells(town: Town, ways: Mapping[str, Named]) -> list[tuple[str, str, str, str, str]]:
    """Every combination of subject, path, use, state and transport that can be asked."""
    found: list[tuple[str, str, str, str, str]] = []
    for code, name in subjects(town.snapshot):
        key = f"{code} {name}"
        for state in region.SPOKEN:
            if said(Cell(town.snapshot, town.snapshot.resources[code], name, state)):
                for name_, way in ways[key].first.items():
                    use, _, path = name_.partition(" / ")
                    transports = [one for one in TRANSPORTS if one != "export" or exported(way.text) is not None]
                    found += [(key, path, use, state.name, transport) for transport in transports]
    return found


STATE: Mapping[str, State] = {state.name: state for state in STATES}


def ask(town: Town, client: Client, cell: Cell, ways: list[Way], transport: str) -> list[Reply]:
    purpose = region.ASKED if cell.state.purpose else None
    return [client.ask(transport, town.token(cell), purpose, way.text, way.variables) for way in ways]


def decide(
    town: Town, client: Client, plans: Plans, ways: Mapping[str, Named], row: tuple[str, str, str, str, str]
) -> tuple[Verdict, list[str]]:
    """What is expected of one combination, and what is wrong with its plan and its answers."""
    key, path, use, name, transport = row
    code, _, subject = key.partition(" ")
    cell = Cell(town.snapshot, town.snapshot.resources[code], None if subject == "None" else subject, STATE[name])
    way, last, alike = (named[f"{use} / {path}"] for named in (ways[key].first, ways[key].last, ways[key].planned))
    wanted = expected(cell, way, publishes)
    both = wanted.outcome in (Sight.PARTLY, Sight.MIXED)
    town.statements.asked()
    replies = ask(town, client, cell, [way, last] if both else [way], transport)
    statements = town.statements.asked()
    try:
        seen = observed.verdict(cell, way, replies, wanted)
    except (AssertionError, ValueError, KeyError, TypeError) as fault:
        seen = Verdict(f"fault: {fault!r}")
    visible = plans.visible(cell, plans.askers.asked_in(cell))
    planned, _ = plans.verdict(cell, alike, plans.read(alike), visible)
    if way.subject is not None and way.subject.usage is Usage.SEARCH and seen.about is not None:
        seen = replace(seen, about=wanted.about)  # the first text of several that are in this state
    faults = [] if same(seen, wanted) else [f"answered {seen} {seen.about or ''} {replies[0].raw.decode()[:300]}"]
    faults += [] if same(planned, wanted) else [f"planned {planned}"]
    faults += [f"holds {value}" for reply in replies for value in observed.leaked(cell, wanted, reply)]
    if wanted.outcome in (REFUSED, NO_ROWS):
        faults += [f"the source was asked: {statement}" for statement in statements]
    return wanted, [*faults, way.text] if faults else []


def test_a_covering_array_over_every_transport(town: Town) -> None:
    ways = ways_to(town)
    possible = cells(town, ways)
    chosen = covering(possible)
    assert {pair for row in chosen for pair in pairs(row)} == {pair for row in possible for pair in pairs(row)}
    plans = Plans(town.snapshot)
    different: list[str] = []
    outcomes: Counter[str] = Counter()
    with Client(town.node.url) as client:
        for row in chosen:
            wanted, faults = decide(town, client, plans, ways, row)
            outcomes[wanted.outcome] += 1
            if faults:
                different.append(f"{', '.join(row)}: expected {wanted}: {'; '.join(faults)}")
    assert different == [], f"{len(different)} of {len(chosen)} differ:\n" + "\n".join(different[:12])
    assert len(chosen) > 1_000
    assert set(outcomes) >= {*Sight, REFUSED, NULL, SKIPPED, NO_ROWS, PUBLISHED} - {Sight.HIDDEN, Sight.SPENT}
    assert {row[4] for row in chosen} == set(TRANSPORTS)


def same(one: Verdict, other: Verdict) -> bool:
    """Of a refusal the response says no place, of an answer nobody."""
    place = one.outcome != REFUSED
    return (one.outcome, one.code, one.about) == (other.outcome, other.code, other.about) and (
        not place or one.at == other.at
    )
