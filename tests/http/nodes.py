"""In charge of real nodes for tests: `tanglai serve` as processes of their own, over a small published catalogue."""

import contextlib
import json
import os
import ssl
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tanglai.storage.embedded import EmbeddedPostgres

TANGLAI = str(Path(sys.executable).parent / "tanglai")
PURPOSE = "assistance"
PROVIDER, REQUESTER = "public-security", "yinchuan"
PEOPLE = 50

REGISTERS = {
    "divisions": """
        kind: divisions
        divisions:
          - {code: "640000", name: 宁夏, nameEn: Ningxia, validFrom: 1958-10-25}
          - {code: "640100", name: 银川市, nameEn: Yinchuan, validFrom: 1958-10-25}
    """,
    "departments": """
        kind: departments
        departments:
          - {code: 11640000MB1A000020, key: public-security, name: 公安厅, nameEn: Public Security, level: REGION,
             division: "640000"}
          - {code: 11640100MB1A00005E, key: yinchuan, name: 银川市数据局, nameEn: Yinchuan, level: CITY,
             division: "640100"}
    """,
    "purposes": """
        kind: purposes
        purposes:
          - {code: assistance, title: 社会救助, titleEn: Social assistance}
    """,
    "categories": """
        kind: categories
        categories:
          - {code: "3", title: 部门, titleEn: Departmental}
          - {code: "301", title: 公安, titleEn: Public security, parent: "3"}
    """,
    "sources": """
        kind: sources
        sources:
          - {key: people, title: 人口, department: public-security, kind: postgresql, zone: EXTRANET,
             options: {dsn: {env: PEOPLE_DSN}}}
    """,
    "grants": """
        kind: grants
        grants:
          - {id: G-1, requester: yinchuan, resource: 301/1, items: [phone], purpose: assistance,
             validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION}
    """,
}
RESOURCE = """
    kind: resource
    code: {code}
    title: 人员
    summary: 测试
    branch: DEPARTMENTAL
    category: "301"
    provider: public-security
    shareClass: CONDITIONAL
    condition: 申请
    updateCycle: DAILY
    zone: EXTRANET
    graphql: {{group: people, list: {plural}, one: {one}, type: {type}}}
    source: people
    table: public.person
    handle: {{column: handle, type: LONG}}
    keys: [[number]]
    items:
      - {{name: number, title: 编号, type: TEXT, shareClass: UNCONDITIONAL, column: number, nullable: false}}
      - {{name: name, title: 姓名, type: TEXT, shareClass: UNCONDITIONAL, column: name}}
      - {{name: phone, title: 电话, type: TEXT, shareClass: CONDITIONAL, column: phone}}
"""


@dataclass
class Platform:
    """A platform database of its own, a source database, and the folder of the catalogue's files."""

    folder: Path
    database: EmbeddedPostgres
    environment: dict[str, str] = field(default_factory=dict)
    tokens: dict[tuple[str, ...], str] = field(default_factory=dict)

    def tanglai(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this platform."""
        result = subprocess.run(
            [TANGLAI, *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def token(self, department: str = REQUESTER, *more: str) -> str:
        """A token, made once by the command line and kept."""
        key = (department, *more)
        if key not in self.tokens:
            printed = self.tanglai("token", "--department", department, "--purpose", PURPOSE, *more).stdout
            self.tokens[key] = printed.strip()
        return self.tokens[key]

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "catalogue" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    @contextlib.contextmanager
    def node(self, *options: str, **environment: str) -> Iterator["Node"]:
        """A node of its own process, or of several by `options`, on a free port."""
        log = (self.folder / f"node-{os.urandom(4).hex()}.log").open("w")
        process = subprocess.Popen(
            [TANGLAI, "serve", "--port", "0", *options],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("ready "), Path(log.name).read_text()
            yield Node(line.split()[1], process, Path(log.name))
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            finally:
                process.kill()
                process.stdout.close()
                log.close()


@dataclass
class Node:
    url: str
    process: subprocess.Popen[str]
    log: Path
    tls: ssl.SSLContext | None = None

    def ask(
        self,
        query: str,
        token: str,
        variables: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30,
    ) -> "Reply":
        """One POST; a response of any status is a Reply, a broken connection raises OSError."""
        sent = body if body is not None else json.dumps({"query": query, "variables": dict(variables or {})}).encode()
        all_headers = {
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **(headers or {}),
        }
        request = urllib.request.Request(f"{self.url}/graphql", sent, all_headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as response:
                return Reply(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read(), dict(error.headers))


@dataclass
class Reply:
    status: int
    raw: bytes
    headers: dict[str, str]

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]


async def make_source(database: EmbeddedPostgres) -> None:
    """The department's database: `person` with PEOPLE rows."""
    database.create_database("people")
    connection = await asyncpg.connect(database.url("people"))
    try:
        await connection.execute(
            "CREATE TABLE person (handle bigint PRIMARY KEY, number text NOT NULL UNIQUE, name text, phone text)"
        )
        await connection.executemany(
            "INSERT INTO person VALUES ($1, $2, $3, $4)",
            [(n, f"N{n:03}", f"人{n}", f"1380000{n:04}") for n in range(1, PEOPLE + 1)],
        )
    finally:
        await connection.close()
