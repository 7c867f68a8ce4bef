"""Imports of spreadsheets as a frontend meets them: start, progress, the report per row, the template."""

import asyncio
import base64
from itertools import count
from typing import Any

import pytest

from tanglai.catalogue.guide import workbook as bounds
from tanglai.catalogue.guide.reading import Draft
from tanglai.server import importing
from tanglai.server.importing import Importer
from tanglai.storage.replica import Moment
from tanglai.storage.workflow import imports
from tanglai.storage.workflow.import_entries import Put, put_entry
from tanglai.storage.workflow.work import Work
from tests.office import HEALTH, POLICE, Office
from tests.spreadsheets import resource_rows, workbook

IMPORT = """mutation ($content: String!, $name: String = "目录.xlsx") {
  done: importCatalogue(fileName: $name, content: $content) {
    __typename ... on CatalogueImport { id state total done fileName by size sha256 }
    ... on ActError { code message article } ... on InvalidAct { problems { field code message } }
    ... on NotPermitted { roles } } }"""
READ = """query ($id: ID!, $first: Int, $after: String, $errors: Boolean = false) {
  catalogueImport(id: $id) { id state failure total done created amended unchanged refused untold finishedAt
    remarks(errorsOnly: $errors, first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor }
      nodes { sheet row column severity rule article resourceCode message } }
    resources { totalCount nodes { code title row outcome entryNumber entry { number state } } } } }"""
LIST = "{ catalogueImports(last: 1) { totalCount nodes { id fileName } pageInfo { hasPreviousPage } } }"
ROWS = (
    *resource_rows("301/7", "居住证", "姓名", "号码"),
    *resource_rows("301/8", "来访", "姓名", 共享条件=None),
    *resource_rows("301/9", "病历", "姓名", provider="卫生健康委员会"),
)


def encoded(*rows: Any) -> str:
    return base64.b64encode(workbook(*rows)).decode()


async def start(office: Office, content: str, **changes: Any) -> Any:
    data = await office.ask(POLICE, IMPORT, roles=changes.pop("roles", "cataloguer"), content=content, **changes)
    return data["done"]


async def work(office: Office) -> bool:
    """One import brought to its end by a node."""

    async def moment() -> Moment:
        return Moment(await office.snapshot(), 0, office.now)

    return await Importer(office.platform, office.desk, moment, batch=2).once()


async def read(office: Office, id: str, **more: Any) -> Any:
    return (await office.ask(POLICE, READ, roles="cataloguer", id=id, **more))["catalogueImport"]


async def test_from_a_spreadsheet_to_entries_with_a_report_per_row(office: Office) -> None:
    done = await start(office, encoded(*ROWS))
    assert (done["__typename"], done["state"], done["total"], done["done"]) == ("CatalogueImport", "RUNNING", None, 0)
    assert await work(office)
    assert not await work(office)
    it = await read(office, done["id"])
    assert (it["state"], it["total"], it["done"], it["created"], it["refused"]) == ("DONE", 3, 3, 1, 2)
    assert [(one["row"], one["rule"], one["article"], one["severity"]) for one in it["remarks"]["nodes"]] == [
        (2, "binding", "Art. 7", "NOTICE"),
        (4, "condition", "Art. 9(2)", "ERROR"),
        (5, "own-catalogue", "Art. 8", "ERROR"),
    ]
    (entry,) = it["resources"]["nodes"]
    assert (entry["code"], entry["outcome"], entry["entry"]["state"]) == ("301/7", "CREATED", "DRAFT")
    assert entry["entry"]["number"] == entry["entryNumber"]


async def test_the_report_is_paged_and_in_the_language_of_the_request(office: Office) -> None:
    done = await start(office, encoded(*ROWS))
    await work(office)
    first = (await read(office, done["id"], first=1, errors=True))["remarks"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, True)
    office.language = "zh"
    rest = (await read(office, done["id"], first=5, errors=True, after=first["pageInfo"]["endCursor"]))["remarks"]
    assert len(rest["nodes"]) == 1
    assert rest["nodes"][-1]["message"] == "提供方为 `卫生健康委员会`：部门只能编制本部门的目录"
    bad = await office.run(POLICE, READ, roles="cataloguer", id=done["id"], after=base64.b64encode(b"after x").decode())
    assert bad.errors is not None


async def test_what_cannot_be_started_is_a_typed_result(office: Office) -> None:
    refused = await start(office, encoded(*ROWS), roles="reviewer")
    assert (refused["__typename"], refused["roles"], refused["article"]) == ("NotPermitted", ["cataloguer"], "Art. 8")
    for content in ("not base64!", ""):
        invalid = await start(office, content)
        assert (invalid["__typename"], invalid["problems"][0]["field"]) == ("InvalidAct", ["content"])
    assert (await start(office, encoded(*ROWS)))["__typename"] == "CatalogueImport"
    taken = await start(office, encoded(ROWS[0]))
    assert [problem["code"] for problem in taken["problems"]] == ["TAKEN"]


async def test_a_file_that_is_no_workbook_fails_with_its_reason(office: Office) -> None:
    done = await start(office, base64.b64encode(b"a,b,c").decode(), name="目录.csv")
    await work(office)
    it = await read(office, done["id"])
    assert (it["state"], it["failure"], it["total"]) == ("FAILED", "not an XLSX file", None)
    office.language = "zh"
    assert (await read(office, done["id"]))["failure"] == "不是 XLSX 文件"


async def test_imports_are_the_departments_own(office: Office) -> None:
    done = await start(office, encoded(*ROWS))
    assert (await office.ask(HEALTH, READ, roles="cataloguer", id=done["id"]))["catalogueImport"] is None
    assert (await office.ask(HEALTH, LIST, roles="cataloguer"))["catalogueImports"]["totalCount"] == 0
    mine = (await office.ask(POLICE, LIST, roles="auditor"))["catalogueImports"]
    assert (await office.ask(POLICE, READ, id=done["id"]))["catalogueImport"] is None  # without any role
    assert (mine["totalCount"], mine["nodes"]) == (1, [{"id": done["id"], "fileName": "目录.xlsx"}])


async def test_a_node_that_stops_leaves_the_import_to_the_next(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    done = await start(office, encoded(*ROWS))
    reached = asyncio.Event()

    async def never(content: bytes) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(importing, "read_apart", never)
        task = asyncio.create_task(work(office))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await read(office, done["id"]))["state"] == "RUNNING"
    assert await work(office)
    assert (await read(office, done["id"]))["state"] == "DONE"


async def test_a_node_that_dies_within_a_batch_leaves_what_it_committed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its second batch, without a word: the next node goes on once the first one's hold is over."""
    done = await start(
        office, encoded(*(row for n in range(1, 7) for row in resource_rows(f"301/{n}0", "登记", "姓名")))
    )
    reached, calls = asyncio.Event(), count(1)

    async def dying(work: Work, draft: Draft) -> Put:
        if next(calls) == 4:
            reached.set()
            await asyncio.Event().wait()
        return await put_entry(work, draft)

    async def nothing(*_: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(imports, "put_entry", dying)
        patched.setattr(imports, "release", nothing)
        task = asyncio.create_task(work(office))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    halfway = await read(office, done["id"])
    assert (halfway["state"], halfway["total"], halfway["done"], halfway["created"]) == ("RUNNING", 6, 2, 2)
    assert not await work(office)  # it is still held
    async with office.platform.session() as connection:
        await connection.execute("UPDATE catalogue_import SET alive_until = now() - interval '1 s'")
    assert await work(office)
    it = await read(office, done["id"])
    assert (it["state"], it["done"], it["created"], it["unchanged"]) == ("DONE", 6, 6, 0)
    numbers = [one["entryNumber"] for one in it["resources"]["nodes"]]
    assert len(set(numbers)) == 6
    async with office.platform.session() as connection:
        assert await connection.fetchval("SELECT count(*) FROM matter WHERE kind = 'ENTRY'") == 6


async def test_what_a_node_cannot_foresee_ends_the_import_without_words_of_its_own(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = await start(office, encoded(*ROWS))

    def broken(*_: Any) -> Any:
        raise KeyError("secret")

    monkeypatch.setattr(importing, "read_sheets", broken)
    await work(office)
    it = await read(office, done["id"])
    assert (it["state"], it["failure"]) == ("FAILED", "internal error: ask whoever runs the platform")
    assert "secret" in caplog.text


async def test_the_template_can_be_filled_in_and_imported(office: Office) -> None:
    data = await office.ask(POLICE, "{ importTemplate }")
    content = base64.b64decode(data["importTemplate"])
    assert content.startswith(b"PK")
    assert len(content) < bounds.MAX_BYTES
    done = await start(office, data["importTemplate"])
    await work(office)
    it = await read(office, done["id"], errors=True)
    assert (it["total"], it["refused"]) == (1, 1)
    assert {one["column"] for one in it["remarks"]["nodes"]} == {"提供方"}
