"""Spreadsheets over HTTP at a node as it runs: the template, a file and its progress to the end, the own catalogue."""

import asyncio
import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import Settings
from tanglai.server.spreadsheets import XLSX
from tests.catalogues import PUBLIC_SECURITY
from tests.http.test_node import KEY, Asker, node, publish
from tests.spreadsheets import resource_rows, workbook

PATIENCE_SECONDS = 30.0
"""How long an import may take; no bar, only an end."""
PROGRESS = 'subscription { importProgress(id: "%s") { state total done created refused } }'
READ = '{ catalogueImport(id: "%s") { state total created refused resources { nodes { code outcome } } } }'
START = """mutation ($content: String!) {
  importCatalogue(fileName: "x", content: $content) { __typename ... on CatalogueImport { id } } }"""
MANY = [row for n in range(1, 121) for row in resource_rows(f"2/{n}", f"登记{n}", "姓名", "号码")]


def send(
    asker: Asker, path: str, body: bytes | None = None, token: str = "", kind: str = XLSX, **more: str
) -> tuple[int, Any, bytes]:
    headers = {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {}), **more}
    request = urllib.request.Request(asker.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def events(asker: Asker, token: str, query: str) -> list[Any]:
    """The data of every event until the subscription ends."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
        "Authorization": f"Bearer {token}",
    }
    request = urllib.request.Request(asker.url + "/graphql", json.dumps({"query": query}).encode(), headers)
    found = []
    ends = time.monotonic() + PATIENCE_SECONDS
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        for line in response:
            assert time.monotonic() < ends, "the subscription does not end"
            told = line.decode().strip().removeprefix("data:")
            if line.startswith(b"data:") and told.strip():
                found.append(json.loads(told)["data"])
    return found


async def test_a_file_is_taken_worked_on_and_followed_to_its_end(database: str, tmp_path: Path) -> None:
    await publish(database)
    settings = Settings(
        port=0, database_url=database, key=KEY, state_dir=tmp_path, demo_issuer=True, max_import_bytes=60_000
    )

    def work() -> None:
        with node(settings) as asker:
            issuer = DemoIssuer.open(settings)
            token = issuer.issue(PUBLIC_SECURITY.code, client="desk", roles=["cataloguer"])
            bare = issuer.issue(PUBLIC_SECURITY.code, client="desk")
            _template(asker, token)
            _taken_in(asker, token)
            _refused(asker, token, bare)

    await asyncio.to_thread(work)


def _template(asker: Asker, token: str) -> None:
    assert send(asker, "/catalogue-template.xlsx")[0] == 401
    status, headers, content = send(asker, "/catalogue-template.xlsx", token=token)
    assert (status, headers["content-type"]) == (200, XLSX)
    assert headers["content-disposition"] == 'attachment; filename="catalogue-template.xlsx"'
    assert load_workbook(BytesIO(content)).sheetnames == ["目录", "填写说明", "选项"]
    status, _, content = send(asker, "/catalogue.xlsx", token=token)
    assert status == 200
    assert load_workbook(BytesIO(content))["目录"].max_row == 1  # nothing is published


def _taken_in(asker: Asker, token: str) -> None:
    content = workbook(*MANY)
    name = urllib.parse.quote("目录 2026.xlsx")
    status, _, body = send(asker, f"/catalogue-imports?fileName={name}", content, token)
    assert status == 202, body
    id = json.loads(body)["id"]
    told = [event["importProgress"] for event in events(asker, token, PROGRESS % id)]
    assert told[-1] == {"state": "DONE", "total": 120, "done": 120, "created": 120, "refused": 0}
    assert all(event["state"] == "RUNNING" for event in told[:-1])
    assert [event["done"] for event in told] == sorted(event["done"] for event in told)
    again = events(asker, token, PROGRESS % id)  # it is over: one event
    assert [event["importProgress"]["state"] for event in again] == ["DONE"]
    assert events(asker, token, PROGRESS % "I-none") == [{"importProgress": None}]
    _, _, answer = send(asker, "/graphql", json.dumps({"query": READ % id}).encode(), token, "application/json")
    read = json.loads(answer)["data"]["catalogueImport"]
    assert (read["total"], read["created"]) == (120, 120)
    assert {one["outcome"] for one in read["resources"]["nodes"]} == {"CREATED"}


def _refused(asker: Asker, token: str, bare: str) -> None:
    content = workbook(*MANY[:2])
    assert send(asker, "/catalogue-imports", content)[0] == 401
    assert send(asker, "/catalogue-imports", content, token, "application/json")[0] == 415
    assert send(asker, "/catalogue-imports", b"x" * 60_001, token)[0] == 413
    status, _, body = send(asker, "/catalogue-imports", content, bare)
    error = json.loads(body)["errors"][0]
    assert (status, error["extensions"]) == (403, {"code": "NOT_PERMITTED", "article": "Art. 8"})
    status, _, body = send(asker, "/catalogue-imports", b"", token)
    problems = json.loads(body)["errors"][0]["extensions"]["problems"]
    assert (status, problems[0]["field"], problems[0]["code"]) == (422, ["content"], "MISSING")
    small = {"content": base64.b64encode(b"no workbook").decode()}
    asked = json.dumps({"query": START, "variables": small}).encode()
    done = json.loads(send(asker, "/graphql", asked, token, "application/json")[2])["data"]["importCatalogue"]
    assert done["__typename"] == "CatalogueImport"
    assert events(asker, token, PROGRESS % done["id"])[-1]["importProgress"]["state"] == "FAILED"
