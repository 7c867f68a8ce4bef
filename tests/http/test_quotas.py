"""Case 35 over HTTP: two node processes answer at the same time, one dies, and nobody gets more than the quota."""

import asyncio
import base64
import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

import pytest

from tanglai.storage.embedded import EmbeddedPostgres
from tests.cases import case
from tests.http.nodes import REGISTERS, RESOURCE, Node, Platform, Reply, make_source

ROWS = 200
PHONES = "query($n: Int!) { data { people { persons(first: $n) { nodes { number phone } } } } }"
GRANTS = """
    kind: grants
    grants:
      - {id: G-1, requester: yinchuan, resource: 301/1, items: [phone], purpose: assistance,
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION, quota: {rows: %d}}
      - {id: G-2, requester: public-security, resource: 301/1, items: [phone], purpose: assistance,
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION, quota: {requests: 40, subjects: 30}}
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("quotas")
    source = EmbeddedPostgres(folder / "source", settings={"fsync": "off"})
    database = EmbeddedPostgres(folder / "platform")
    with source, database:
        asyncio.run(make_source(source))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "PEOPLE_DSN": source.url("people"),
        }
        for name, text in REGISTERS.items():
            platform.write(name, GRANTS % ROWS if name == "grants" else text)
        platform.write("persons", RESOURCE.format(code="301/1", plural="persons", one="person", type="Person"))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        yield platform


def phones(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    nodes = reply.body["data"]["data"]["people"]["persons"]["nodes"]
    return [node["phone"] for node in nodes if node["phone"] is not None]


def ask(node: Node, token: str, number: int) -> tuple[int, tuple[str, ...]]:
    """Rows with a phone that came, and the codes of errors."""
    reply = node.ask(PHONES, token, {"n": number})
    found = phones(reply)
    assert len(found) in (0, number)  # never trimmed
    assert bool(found) == (not reply.codes)
    return len(found), tuple(reply.codes)


def at_once(nodes: list[Node], token: str, number: int, times: int) -> tuple[int, Counter[tuple[str, ...]]]:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda node: ask(node, token, number), islice(cycle(nodes), times)))
    return sum(rows for rows, _ in answers), Counter(codes for _, codes in answers)


def used(platform: Platform, department: str, id: str) -> dict[str, Any]:
    """What the command line says of a grant today."""
    lines = platform.tanglai("grant", "use", department, "--json").stdout.splitlines()
    return next(dict(line) for line in map(json.loads, lines) if line["grant"] == id)


@case(35)
def test_two_nodes_and_one_that_dies_never_overshoot(platform: Platform) -> None:
    token = platform.token()
    with platform.node() as one, platform.node() as other:
        got, codes = at_once([one, other], token, 4, 40)
        assert got <= 160
        assert set(codes) <= {(), ("QUOTA_EXCEEDED",)}
        one.process.kill()  # with what it held
        one.process.wait(timeout=30)
        while True:
            more, codes = at_once([other], token, 1, 16)
            got += more
            if codes[("QUOTA_EXCEEDED",)] == 16:
                break
        assert got <= ROWS
        told = other.ask("{ me { grants { nodes { id usedToday { rows remaining { rows } } } } } }", token)
        assert told.body["data"]["me"]["grants"]["nodes"] == [
            {"id": "G-1", "usedToday": {"rows": ROWS, "remaining": {"rows": 0}}}
        ]
        filtered = '{ data { people { persons(where: {phone: {startsWith: "1"}}, first: 1) { %s } } } }'
        refused = other.ask(filtered % "nodes { name }", token)
        assert (refused.status, refused.codes) == (429, ["QUOTA_EXCEEDED"])
        assert other.ask(filtered % "totalCount", token).codes == []  # delivers no row; requests bound it
        open_items = other.ask("{ data { people { persons(first: 1) { nodes { name } } } } }", token)
        assert open_items.codes == []
    with platform.node() as again:  # a restart brings nothing back
        assert ask(again, token, 1) == (0, ("QUOTA_EXCEEDED",))
    assert used(platform, "yinchuan", "G-1")["rows"] == {"used": ROWS, "limit": ROWS}
    shown = platform.tanglai("grant", "use", "yinchuan").stdout
    assert "200 of 200" in shown
    assert "not bounded" in shown


def test_subjects_are_the_same_for_every_node_and_exact_when_nodes_have_ended(platform: Platform) -> None:
    token = platform.token("public-security")
    with platform.node() as one, platform.node() as other:
        for node in islice(cycle((one, other)), 12):
            assert ask(node, token, 6) == (6, ())  # the same six people, whoever is asked
        assert ask(one, token, 31) == (0, ("QUOTA_EXCEEDED",))  # they could be 31
    left = used(platform, "public-security", "G-2")
    assert left == {
        "grant": "G-2",
        "day": left["day"],
        "requests": {"used": 12, "limit": 40},
        "subjects": {"used": 6, "limit": 30},
    }
