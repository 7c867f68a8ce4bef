"""The README and the how-tos, worked through beside a running demo: files written, commands run, answers compared."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tanglai.server.settings import PREFIX, Settings
from tests.docs.conftest import Desk
from tests.docs.documents import ANY, HOW_TO, ROOT, Block, blocks, difference, printed, read, section
from tests.docs.test_commands import TARGETS

ORIGIN = "http://127.0.0.1:8000"
"""Where the documents have the node."""
PATIENCE_SECONDS = 30.0
"""How long an answer may take to become the expected one after a publication; no bar, only an end."""
_MARK = "--- block ends ---"

WORKED = [
    ROOT / "README.md",
    HOW_TO / "query-as-a-frontend-developer.md",
    HOW_TO / "integrate-a-department-app.md",
    HOW_TO / "explore-as-an-analyst.md",
    HOW_TO / "export-a-list.md",
    HOW_TO / "federate.md",
    HOW_TO / "connect-a-source.md",
    HOW_TO / "import-a-spreadsheet.md",
    HOW_TO / "apply-for-data.md",
    HOW_TO / "settle-a-dispute.md",
    HOW_TO / "doubt-data.md",
]


class Reader:
    """Somebody who works through a page from top to bottom; what they export in a shell stays."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.exported: dict[str, str] = {}
        self.last: Any = None
        self.kept: dict[str, Any] = {}

    def work_through(self, page: Path) -> None:
        known = blocks(page)
        for block, following in zip(known, [*known[1:], None], strict=True):
            if block.note.startswith("not run:"):
                continue
            if block.language == "sh":
                self.run(block)
            elif block.language == "graphql" and block.note.startswith("as: "):
                given = following if following is not None and following.note == "variables" else None
                variables = self.filled(json.loads(given.text)) if given else {}
                self.last = self.ask(block, variables, expected_after(known, block))
                self.keep(self.last)
            elif block.note == "prints":
                assert printed(block.text, self.last), f"{block}: printed\n{self.last}"
            elif block.note == "answer":
                told = self.last if isinstance(self.last, dict) else json.loads(self.last)
                assert difference(json.loads(block.text), told) is None, f"{block}: {told}"
            elif block.note.startswith("file: "):
                self.write(block.note.removeprefix("file: "), block.text)
            elif block.language == "yaml" and block.text.startswith("# "):
                self.write(block.text.partition("\n")[0].removeprefix("# "), block.text)

    def keep(self, answer: Any) -> None:
        """What an answer names, for variables that follow: the first matter's `id` and `version`, the first `row`."""
        waiting = [answer.get("data")]
        found: dict[str, Any] = {}
        while waiting:
            part = waiting.pop(0)
            if isinstance(part, dict):
                names = ("id", "version") if {"id", "version"} <= part.keys() else ()
                found = {name: part[name] for name in (*names, "row") if name in part} | found
                waiting += part.values()
            elif isinstance(part, list):
                waiting += part
        self.kept |= found

    def filled(self, variables: dict[str, Any]) -> dict[str, Any]:
        """`variables`, `…` standing for what an earlier answer had under that name."""
        return {
            name: self.filled(value) if isinstance(value, dict) else self.kept[name] if value == ANY else value
            for name, value in variables.items()
        }

    def run(self, block: Block) -> None:
        """Runs the lines that need no Makefile; those that do name targets that there are."""
        lines = block.text.splitlines()
        for line in lines:
            if line.startswith("make "):
                assert line.split()[1] in TARGETS, f"{block}: {line}"
        script = "\n".join(line for line in lines if not line.startswith("make "))
        state = self.desk.folder / "exported"
        ending = f"\nprintf '%s\\n' '{_MARK}'\nenv -0 > {str(state)!r}"
        done = self.desk.run("set -o allexport\nexec 2>&1\n" + self.at_home(script) + ending, **self.exported)
        output, reached, _ = done.stdout.partition(_MARK)
        assert bool(reached) == (block.note != "fails"), f"{block}: {done.returncode}\n{output}"
        if reached:
            pairs = (entry.split("=", 1) for entry in state.read_text().split("\0") if "=" in entry)
            self.exported = {name: value for name, value in pairs if name not in ("PWD", "SHLVL", "_", "OLDPWD")}
        self.last = output

    def ask(self, block: Block, variables: Mapping[str, Any], expected: Any) -> Any:
        token = self.desk.token(*block.note.split(" ")[1:])
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = post(self.desk.url, token, {"query": block.text, "variables": variables})
            if expected is None or difference(expected, answer) is None or time.monotonic() > ends:
                assert expected is not None or "errors" not in answer, f"{block}: {answer}"
                return answer
            time.sleep(0.2)

    def write(self, name: str, text: str) -> None:
        file = self.desk.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def at_home(self, text: str) -> str:
        return text.replace(ORIGIN, self.desk.url)


def expected_after(known: tuple[Block, ...], block: Block) -> Any:
    """The answer that stands below `block`, before the next query."""
    for following in known[known.index(block) + 1 :]:
        if following.note == "answer":
            return json.loads(following.text)
        if following.note != "variables":
            return None
    return None


def post(url: str, token: str, body: Mapping[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/graphql", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


@pytest.mark.parametrize("page", WORKED, ids=lambda page: page.stem)
def test_a_page_works(page: Path, desk: Desk) -> None:
    assert shutil.which("curl"), "the how-tos call the node with `curl`: install it"
    Reader(desk).work_through(page)


def test_every_how_to_is_worked_through() -> None:
    """Here, or by a test of its own that names it: of departments of its own, or of a node of its own."""
    tests = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    own = {page for page in HOW_TO.glob("*.md") if any(f'PAGE = HOW_TO / "{page.name}"' in text for text in tests)}
    assert {*HOW_TO.glob("*.md")} == {page for page in WORKED if page.parent == HOW_TO} | own


def test_the_readmes_numbers_are_the_demos(desk: Desk) -> None:
    text = read(ROOT / "README.md")
    block = next(b for b in blocks(HOW_TO / "explore-as-an-analyst.md") if b.language == "graphql")
    query = "{ catalogue { departments { key } } data { population { residents(first: 0) { totalCount } } } }"
    data = Reader(desk).ask(Block(block.file, block.line, "graphql", query, block.note), {}, None)["data"]
    assert f"{data['data']['population']['residents']['totalCount']:,} synthetic residents" in text
    assert len(data["catalogue"]["departments"]) == 11
    assert "a region of eleven departments" in text


class TestProduction:
    """docs/how-to/run-in-production.md: its environment starts a node, its commands run against it."""

    PAGE = HOW_TO / "run-in-production.md"

    def test_the_environment_names_settings(self) -> None:
        assert set(environment_of(self.PAGE)) <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}

    def test_a_node_as_described(self, database: str, tmp_path: Path) -> None:
        (tmp_path / ".venv").symlink_to(sys.prefix)
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
        ports = [free_port(), free_port()]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **environment_of(self.PAGE),
            "TANGLAI_DATABASE_URL": database,
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_JWKS": str(tmp_path / "keys.json"),
            "TANGLAI_PORT": str(ports[0]),
            "TANGLAI_METRICS_PORT": str(ports[1]),
            "TANGLAI_STATE_DIR": str(tmp_path / "state"),
        }
        key, migrate, health = [b for b in blocks(self.PAGE) if b.language == "sh" and not b.note.startswith("not run")]
        assert key.text.strip() == "head -c 32 /dev/urandom | base64"
        reader = Reader(Desk(tmp_path, f"http://127.0.0.1:{ports[0]}", environment))
        self.run(reader, migrate)
        log = tmp_path / "node.log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                [str(Path(sys.executable).parent / "tanglai"), "serve"],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as node,
        ):
            timer = threading.Timer(120, node.kill)
            timer.start()
            try:
                assert node.stdout is not None
                assert node.stdout.readline().startswith("ready "), log.read_text()
                self.run(reader, health, f":{ports[1]}")
                self.look_at_metrics(ports[1])
                self.reseal(reader, environment)
            finally:
                node.send_signal(signal.SIGTERM)
                node.wait(60)
                timer.cancel()

    def run(self, reader: Reader, block: Block, metrics: str = ":9100") -> None:
        reader.run(Block(block.file, block.line, block.language, block.text.replace(":9100", metrics), block.note))
        known = blocks(self.PAGE)
        expected = known[known.index(block) + 1]
        assert expected.note == "prints"
        assert printed(expected.text, reader.last), reader.last

    def look_at_metrics(self, port: int) -> None:
        """Every metric of the page is there, and no other of ours."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            text = response.read().decode()
        names = re.findall(r"^# TYPE (tanglai_\w+) ", text, re.MULTILINE)
        told = set(re.findall(r"`(tanglai_\w+)`", section(self.PAGE, "Health and metrics")))
        assert told == {name for name in names if not name.endswith("_created")}

    def reseal(self, reader: Reader, environment: dict[str, str]) -> None:
        script = next(b for b in blocks(self.PAGE) if b.note == "file: reseal.py")
        reader.write("reseal.py", script.text)
        new = base64.b64encode(os.urandom(32)).decode()
        done = reader.desk.run("python reseal.py", FORMER_KEY=environment["TANGLAI_KEY"], TANGLAI_KEY=new)
        assert done.stdout == "2 keys sealed anew\n", done.stderr


def environment_of(page: Path) -> dict[str, str]:
    block = next(b for b in blocks(page) if b.note == "file: tanglai.env")
    return dict(line.split("=", 1) for line in block.text.splitlines())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_the_source_of_the_database_example_opens() -> None:
    """The database variant of connect-a-source.md: its options are the connector's, its statements PostgreSQL's."""
    from connectors.registry import KINDS
    from tanglai.catalogue.checks_draft import draft_from_files
    from tanglai.catalogue.files import parse_file
    from tests.docs.conftest import demo_snapshot

    block = next(b for b in blocks(HOW_TO / "connect-a-source.md") if "kind: postgresql" in b.text)
    draft, violations = draft_from_files([parse_file("sources.yaml", block.text.encode())], demo_snapshot())
    assert list(violations) == []
    (source,) = draft.sources
    KINDS[source.kind].open(source.key, source.options, {"MINES_URL": "postgresql://reader@127.0.0.1/mines"})


async def test_the_statements_of_the_database_example_run(database: str) -> None:
    import asyncpg

    block = next(b for b in blocks(HOW_TO / "connect-a-source.md") if b.language == "sql")
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute("CREATE SCHEMA mines; CREATE TABLE mines.licence (number text)")
            await connection.execute(block.text)
            assert await connection.fetchval("SELECT has_table_privilege('tanglai_reader', 'mines.licence', 'SELECT')")
            await connection.execute("DROP SCHEMA mines CASCADE; DROP ROLE tanglai_reader")
    finally:
        await connection.close()
