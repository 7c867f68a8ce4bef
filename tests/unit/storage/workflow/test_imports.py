"""Imports of spreadsheets on a real database: batches, what becomes of each resource, crashes, the same once more."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.guide.proposals import Importing
from tanglai.catalogue.guide.reading import Reading, read_guide
from tanglai.catalogue.model import BasisType, LegalBasis
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.entry import entry_draft
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, NotPermitted, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import entries, imports, matters, reading
from tanglai.storage.workflow.entries import EntryInput
from tanglai.storage.workflow.import_entries import Outcome
from tanglai.storage.workflow.imports import Held, Import, ImportState, Lost
from tests.office import HEALTH, POLICE, Office, permits
from tests.spreadsheets import resource_rows, workbook

LAW = LegalBasis(BasisType.LAW, "中华人民共和国反恐怖主义法", "第九条")
PERMIT = resource_rows("301/7", "居住证", "姓名", "号码")
VISIT = resource_rows("301/8", "来访登记", "姓名")
FOREIGN = resource_rows("301/9", "病历", "姓名", provider="卫生健康委员会")


async def read(office: Office, content: bytes, department: str = POLICE) -> Reading:
    snapshot = await office.snapshot()
    return read_guide(content, Importing(snapshot, snapshot.departments[department], day_of(office.now)))


async def started(office: Office, *rows: Sequence[Any], name: str = "目录.xlsx") -> tuple[Import, bytes]:
    content = workbook(*rows)
    return await imports.start(office.desk, await office.acting(POLICE, "cataloguer"), name, content), content


async def claimed(office: Office, worker: str = "a") -> Held:
    held = await imports.claim(office.platform, worker)
    assert held is not None
    return held


async def run(office: Office, *rows: Sequence[Any]) -> Import:
    """An import from its start to its end, two resources a batch."""
    it, content = await started(office, *rows)
    held = await claimed(office)
    await worked(office, held, content)
    await imports.finish(office.platform, held)
    return await imports.found(office.desk, POLICE, it.id)


async def worked(office: Office, held: Held, content: bytes, batches: int | None = None) -> None:
    found = await read(office, content)
    done = await imports.begin(office.platform, held, found)
    drafts = sorted((draft for draft in found.drafts if draft.code not in done), key=lambda draft: draft.code)
    for start in range(0, len(drafts), 2)[:batches]:
        acting = await office.acting(POLICE, "cataloguer")
        await imports.put(office.desk, acting, held, drafts[start : start + 2])


async def outcomes(office: Office, it: Import) -> dict[str, Outcome]:
    found = await office.desk.read(
        lambda connection: imports.entries_page(connection, it.id, after=None, before=None, limit=1000, last=False)
    )
    return {entry.code: entry.outcome for entry in found}


async def entry_of(office: Office, code: str) -> matters.Matter:
    found = await office.desk.read(
        lambda connection: reading.page(
            connection,
            POLICE,
            reading.MatterFilter(MatterKind.ENTRY, resource=code),
            after=None,
            before=None,
            limit=10,
            last=True,
        )
    )
    return found[-1]


def counts(it: Import) -> tuple[int | None, int, int, int, int, int]:
    return it.total, it.done, it.created, it.amended, it.unchanged, it.refused


async def test_resources_become_drafts_and_those_of_others_are_refused(office: Office) -> None:
    it = await run(office, *PERMIT, *VISIT, *FOREIGN)
    assert it.state is ImportState.DONE
    assert counts(it) == (3, 3, 2, 0, 0, 1)
    assert await outcomes(office, it) == {"301/7": Outcome.CREATED, "301/8": Outcome.CREATED}
    entry = await entry_of(office, "301/7")
    assert (entry.state, entry.provider, entry.coordinator) == ("DRAFT", POLICE, "11640000MB1A00001X")
    draft = entry_draft(entry.document)
    assert [item["title"] for item in draft.resource["items"]] == ["姓名", "号码"]
    assert draft.resource["provider"] == POLICE
    remarks = await office.desk.read(lambda c: imports.remarks_page(c, it.id, errors_only=True, limit=10))
    assert [(remark.rule, remark.article, remark.row) for _, remark in remarks] == [("own-catalogue", "Art. 8", 5)]


async def test_the_same_file_once_more_changes_nothing(office: Office) -> None:
    await run(office, *PERMIT, *VISIT)
    first = await entry_of(office, "301/7")
    again = await run(office, *PERMIT, *VISIT)
    assert counts(again) == (2, 2, 0, 0, 2, 0)
    assert (await entry_of(office, "301/7")).version == first.version


async def test_a_changed_row_amends_the_open_draft_and_keeps_what_was_added_to_it(office: Office) -> None:
    await run(office, *PERMIT, *VISIT)
    entry = await entry_of(office, "301/7")
    cataloguer = await office.acting(POLICE, "cataloguer")
    resource = dict(entry_draft(entry.document).resource) | {"source": "permit", "table": "permit", "title": "办证"}
    await entries.amend(office.desk, cataloguer, entry.id, entry.version, EntryInput(document=resource))
    same = await run(office, *PERMIT, *VISIT)
    assert same.unchanged == 2
    assert entry_draft((await entry_of(office, "301/7")).document).resource["title"] == "办证"
    changed = await run(office, *resource_rows("301/7", "居住证", "姓名", "号码", "签发日期"), *VISIT)
    assert counts(changed) == (2, 2, 0, 1, 1, 0)
    draft = entry_draft((await entry_of(office, "301/7")).document).resource
    assert [item["title"] for item in draft["items"]] == ["姓名", "号码", "签发日期"]
    assert (draft["source"], draft["title"]) == ("permit", "居住证")


async def test_a_row_of_a_published_resource_opens_a_revision_that_keeps_its_binding(office: Office) -> None:
    titles = {item.name: item.title for item in (await office.snapshot()).resources["301/1"].items}
    rows = resource_rows("301/1", "居住证信息", titles["name"], titles["phone"])
    it = await run(office, *rows)
    assert await outcomes(office, it) == {"301/1": Outcome.CREATED}
    draft = entry_draft((await entry_of(office, "301/1")).document)
    assert (draft.change, draft.base) == ("REVISION", 1)
    assert draft.resource["title"] == "居住证信息"
    assert draft.resource["source"] == "main"
    assert [item["column"] for item in draft.resource["items"]] == ["name", "phone"]


async def test_a_withdrawn_draft_comes_anew(office: Office) -> None:
    rows = [*PERMIT, *resource_rows("301/1", "居住证信息", "项name")]
    await run(office, *rows)
    cataloguer = await office.acting(POLICE, "cataloguer")
    for code in ("301/7", "301/1"):
        entry = await entry_of(office, code)
        await entries.withdraw(office.desk, cataloguer, entry.id, entry.version)
    it = await run(office, *rows)
    assert await outcomes(office, it) == {"301/1": Outcome.CREATED, "301/7": Outcome.CREATED}


async def test_an_entry_that_is_being_audited_is_left_alone(order: Office) -> None:
    cataloguer, head = await order.acting(POLICE, "cataloguer"), await order.acting(POLICE, "head")
    document = resource_to_document(permits(condition="经同意", legal_basis=LAW), stamped=False)
    entry = await entries.create(order.desk, cataloguer, EntryInput(document=document), code="301/1")
    entry = await entries.approve(order.desk, head, entry.id, entry.version)
    entry = await entries.submit(order.desk, cataloguer, entry.id, entry.version)
    it = await run(order, *resource_rows("301/1", "居住证信息", "项name"))
    assert await outcomes(order, it) == {"301/1": Outcome.REFUSED}
    remarks = await order.desk.read(lambda c: imports.remarks_page(c, it.id, errors_only=True, limit=10))
    assert [remark.message for _, remark in remarks] == [
        f"entry `{entry.id}` of the resource is `SUBMITTED`: withdraw it first, or wait"
    ]
    assert (await entry_of(order, "301/1")).version == entry.version


async def test_an_entry_of_another_department_is_left_alone(order: Office) -> None:
    health = await order.acting(HEALTH, "cataloguer")
    document = {"code": "301/8", "category": "301", "title": "来访"}
    await entries.create(order.desk, health, EntryInput(document=document))
    it = await run(order, *PERMIT, *VISIT)
    assert await outcomes(order, it) == {"301/7": Outcome.CREATED, "301/8": Outcome.REFUSED}
    assert counts(it) == (2, 2, 1, 0, 0, 1)
    remarks = await order.desk.read(lambda c: imports.remarks_page(c, it.id, errors_only=True, limit=10))
    assert [(remark.resource, remark.article) for _, remark in remarks] == [("301/8", "Art. 8")]


async def test_a_worker_that_dies_in_the_middle_loses_nothing(office: Office) -> None:
    rows = [row for n in range(10, 15) for row in resource_rows(f"301/{n}", f"登记{n}", "姓名")]
    it, content = await started(office, *rows)
    first = await claimed(office, "a")
    await worked(office, first, content, batches=1)  # two of five, and no sign of life any more
    assert await imports.claim(office.platform, "b") is None
    await expire(office, it.id)
    second = await claimed(office, "b")
    assert second.content == content
    with pytest.raises(Lost):
        await imports.put(office.desk, await office.acting(POLICE, "cataloguer"), first, ())
    with pytest.raises(Lost):
        await imports.keep_alive(office.platform, first)
    await worked(office, second, content)
    await imports.finish(office.platform, second)
    done = await imports.found(office.desk, POLICE, it.id)
    assert counts(done) == (5, 5, 5, 0, 0, 0)
    assert set((await outcomes(office, it)).values()) == {Outcome.CREATED}
    assert await imports.claim(office.platform, "c") is None


async def expire(office: Office, id: str) -> None:
    async with office.platform.session() as connection:
        await connection.execute("UPDATE catalogue_import SET alive_until = now() - interval '1 s' WHERE id = $1", id)


async def test_a_batch_is_all_or_nothing(office: Office) -> None:
    it, content = await started(office, *PERMIT, *VISIT)
    held = await claimed(office)
    found = await read(office, content)
    await imports.begin(office.platform, held, found)
    twice = (*found.drafts, found.drafts[0])  # the second of one code breaks the transaction
    with pytest.raises(InvalidAct, match="exists already"):
        await imports.put(office.desk, await office.acting(POLICE, "cataloguer"), held, twice)
    assert counts(await imports.found(office.desk, POLICE, it.id)) == (2, 0, 0, 0, 0, 0)
    assert await outcomes(office, it) == {}


async def test_an_import_that_kills_its_workers_is_given_up(office: Office) -> None:
    it, _ = await started(office, *PERMIT)
    for worker in ("a", "b", "c"):
        await claimed(office, worker)
        await expire(office, it.id)
    assert await imports.claim(office.platform, "d") is None
    failed = await imports.found(office.desk, POLICE, it.id)
    assert failed.state is ImportState.FAILED
    assert failed.failure == "given up after 3 attempts, of which none came to its end"


async def test_one_that_is_left_on_purpose_is_not_counted(office: Office) -> None:
    it, _ = await started(office, *PERMIT)
    for worker in ("a", "b", "c", "d", "e"):
        await imports.release(office.platform, await claimed(office, worker))
    assert (await imports.found(office.desk, POLICE, it.id)).state is ImportState.RUNNING


async def test_two_workers_share_the_imports(office: Office) -> None:
    await started(office, *PERMIT)
    health = await office.acting(HEALTH, "cataloguer")
    await imports.start(office.desk, health, "b.xlsx", workbook(*FOREIGN))
    held = await asyncio.gather(*(imports.claim(office.platform, worker) for worker in "abc"))
    assert sorted(it.department for it in held if it is not None) == [POLICE, HEALTH]


async def test_a_department_has_one_import_at_a_time(office: Office) -> None:
    it, content = await started(office, *PERMIT)
    acting = await office.acting(POLICE, "cataloguer")
    assert (await imports.start(office.desk, acting, "again.xlsx", content)).id == it.id
    with pytest.raises(InvalidAct) as refused:
        await imports.start(office.desk, acting, "other.xlsx", workbook(*VISIT))
    assert [problem.code for problem in refused.value.problems] == [ProblemCode.TAKEN]


async def test_of_two_at_once_one_is_told_of_the_other(office: Office) -> None:
    acting = await office.acting(POLICE, "cataloguer")
    files = [workbook(*PERMIT), workbook(*VISIT), workbook(*PERMIT)]
    both = await asyncio.gather(
        *(imports.start(office.desk, acting, "a.xlsx", content) for content in files), return_exceptions=True
    )
    begun = {it.id for it in both if isinstance(it, Import)}
    refused = [problem.code for it in both if isinstance(it, InvalidAct) for problem in it.problems]
    assert len(begun) == 1
    assert set(refused) <= {ProblemCode.TAKEN}
    assert len(refused) in (1, 2)


async def test_who_may_import_and_read(office: Office) -> None:
    content = workbook(*PERMIT)
    with pytest.raises(NotPermitted):
        await imports.start(office.desk, await office.acting(POLICE, "reviewer"), "a.xlsx", content)
    with pytest.raises(InvalidAct) as refused:
        await imports.start(office.desk, await office.acting(POLICE, "cataloguer"), "a\nb", b"")
    assert [problem.field for problem in refused.value.problems] == [("fileName",), ("content",)]
    it, _ = await started(office, *PERMIT)
    with pytest.raises(NotFound):
        await imports.found(office.desk, HEALTH, it.id)


async def test_lists_are_paged_by_key(office: Office) -> None:
    for _ in range(3):
        it = await run(office, *PERMIT, *VISIT, *FOREIGN)
    page = await office.desk.read(lambda c: imports.page(c, POLICE, after=None, before=None, limit=2, last=True))
    assert [one.id for one in page][-1] == it.id
    assert await office.desk.read(lambda c: imports.count(c, POLICE)) == 3
    first = await office.desk.read(lambda c: imports.remarks_page(c, it.id, limit=1))
    rest = await office.desk.read(lambda c: imports.remarks_page(c, it.id, after=first[0][0], limit=100))
    assert len(first) + len(rest) == await office.desk.read(lambda c: imports.count_remarks(c, it.id))
    assert await office.desk.read(lambda c: imports.count_entries(c, it.id)) == 2
