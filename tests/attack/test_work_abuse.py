"""Taking more than one's share by the law's work, and getting at other places through what it holds."""

import io
import json
import random
import string
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest

from connectors.webhooks import WebhookClient
from tanglai.catalogue.guide.workbook import MAX_UNPACKED, WorkbookError
from tanglai.catalogue.workflow.application import RefusalReason
from tanglai.catalogue.workflow.attachments import MOST_ATTACHMENTS, MOST_BYTES, Attached
from tanglai.catalogue.workflow.errors import InvalidAct, ProblemCode
from tanglai.catalogue.workflow.evaluation_export import guarded
from tanglai.catalogue.workflow.webhooks import AllowedHosts
from tanglai.server.courier import body
from tanglai.server.importing import read_apart
from tanglai.storage.workflow import applications, attachments, obligations, webhooks
from tanglai.storage.workflow.attachments import UPLOAD_KEPT
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.obligations import LegalChange
from tanglai.storage.workflow.webhooks import Hooks
from tests.attack.book import Book
from tests.granted import problems
from tests.office import HEALTH, OFFICE, POLICE, Office
from tests.receivers import receiving
from tests.spreadsheets import workbook
from tests.unit.storage.workflow.test_applications import ASKED, submitted

book = Book(__name__, "The law's work takes no more than its share, and leads nowhere else")
row = book.row

SECRET = "fourteen names on a list"
EVERY = "applicant reviewer head cataloguer coordinator supervisor auditor client-administrator operator"


@book.attempt(1181, "The name of a request of 20,000 characters (the node answered with an error of its own)",
              "200 characters", found=True)  # fmt: skip
async def test_long_names(office: Office) -> None:
    acting = await office.acting(HEALTH, "applicant")
    key = "".join(random.Random(1).choices(string.printable, k=20_000))
    act = applications.create(office.desk, acting, ASKED, key=key)
    assert await problems(act) == [("key", ProblemCode.MALFORMED)]


@book.attempt(1182, "A reason or a note of megabytes, kept for good", "10,000 characters", found=True)
async def test_long_reasons(office: Office) -> None:
    matter = await submitted(office)
    applicant, reviewer = await office.acting(HEALTH, "applicant"), await office.acting(POLICE, "reviewer")
    text = "x" * 2_000_000
    for act in (
        applications.withdraw(office.desk, applicant, matter.id, matter.version, text),
        applications.approve(office.desk, reviewer, matter.id, matter.version, {}, reason=text),
        applications.refuse(office.desk, reviewer, matter.id, matter.version, RefusalReason.OTHER, text),
    ):
        assert await problems(act) == [("reason", ProblemCode.MALFORMED)]
    assert await office.platform.load_grants(HEALTH) == ()


HUGE = [
    row(1183, "A scope 20,000 levels deep", "32 levels", '{"not":' * 20_000 + "{}" + "}" * 20_000),
    row(1184, "A scope 200 levels deep", "32 levels", '{"not":' * 200 + "{}" + "}" * 200),
    row(1185, "A scope of 20,000 values", "10,000 parts", json.dumps({"name": {"in": ["x" * 9] * 20_000}})),
    row(1186, "A scope that is JSON and no object", "an object of JSON", "[1]"),
]


@pytest.mark.parametrize("scope", HUGE)
async def test_huge_scopes(office: Office, scope: str) -> None:
    matter = await submitted(office)
    text = (
        "mutation ($id: ID!, $v: Int!, $s: String!) { approveApplication(id: $id, version: $v, terms: {scope: $s}) "
        "{ __typename } }"
    )
    answer = await office.run(POLICE, text, roles="reviewer", id=matter.id, v=matter.version, s=scope)
    refused = answer.errors is not None or answer.data == {"approveApplication": {"__typename": "InvalidAct"}}
    assert refused
    assert await office.platform.load_grants(HEALTH) == ()


@book.attempt(1187, "A change of law that touches 10,000 departments, or names 10,000 resources", "500 of each")
async def test_ten_thousand_departments(office: Office) -> None:
    acting = await office.acting(OFFICE, "supervisor")
    many = tuple([HEALTH] * 10_000)
    for change in (
        LegalChange("t", office.now.date(), many),
        LegalChange("t", office.now.date(), (POLICE,), resources=("301/1",) * 10_000),
        LegalChange("t" * 5_000, office.now.date(), (POLICE,)),
    ):
        with pytest.raises(InvalidAct):
            await obligations.open_all(office.desk, acting, change)
    assert await office.desk.read(lambda connection: connection.fetchval("SELECT count(*) FROM matter")) == 0


@book.attempt(1188, "Documents without end: larger, more, or waiting to be attached for ever",
              "bytes, number and a day")  # fmt: skip
async def test_documents_without_end(office: Office) -> None:
    acting = await office.acting(HEALTH, "applicant")
    with pytest.raises(InvalidAct):
        await attachments.upload(office.desk, acting, Attached("a", "text/plain", bytes(MOST_BYTES + 1)))
    small = Attached("a", "text/plain", b"x")
    ids = [await attachments.upload(office.desk, acting, small) for _ in range(3)]
    waiting = "SELECT count(*) FROM document_upload"
    assert await office.desk.read(lambda connection: connection.fetchval(waiting)) == len(ids)
    office.now += UPLOAD_KEPT * 2
    await attachments.upload(office.desk, await office.acting(POLICE, "reviewer"), small)
    assert await office.desk.read(lambda connection: connection.fetchval(waiting)) == 1
    text = (
        "mutation ($d: [DocumentInput!]) { openConsultation(documents: $d, input: "
        '{resource: "301/1", items: ["note"], purpose: "care", duty: "d", legalBasis: "l", need: "n"}) { __typename } }'
    )
    given = [{"name": "a", "mediaType": "text/plain", "content": "eA=="}] * (MOST_ATTACHMENTS + 1)
    answer = await office.ask(HEALTH, text, roles="applicant", d=given)
    assert answer == {"openConsultation": {"__typename": "InvalidAct"}}


@pytest.mark.parametrize("given", [
    row(1189, "A document whose name is a path or has a line end", "a name without a folder",
        ["../../etc/passwd", "a/b", "a\\b", "a\r\nSet-Cookie: x", "", "x" * 201]),
    row(1190, "A media type with a parameter or a header of its own", "type and subtype",
        ["text/html; charset=utf-7", "text/html\r\nX: y", "text", "*/*", ""]),
])  # fmt: skip
async def test_names_of_documents(office: Office, given: Sequence[str]) -> None:
    acting = await office.acting(HEALTH, "applicant")
    for text in given:
        typed = ("/" in text and text.startswith(("text/", "*/"))) or text == "text"
        document = Attached("a", text, b"x") if typed else Attached(text, "text/plain", b"x")
        with pytest.raises(InvalidAct):
            await attachments.upload(office.desk, acting, document)


def bomb(name: str, size: int) -> bytes:
    """An XLSX file in which the part `name` unpacks to `size` bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook())) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            if info.filename != name:
                target.writestr(info, source.read(info.filename))
        with target.open(name, "w", force_zip64=True) as part:
            left = size
            while left > 0:
                left -= part.write(b" " * min(left, 8 * 1024 * 1024))
    return out.getvalue()


@pytest.mark.parametrize("make", [
    row(1191, "A spreadsheet that unpacks to more than it says", "256 MiB, in a process of its own",
        lambda: bomb("xl/worksheets/sheet1.xml", MAX_UNPACKED + 1)),
    row(1192, "A spreadsheet with entities that multiply, or that names a file of the machine",
        "entities are refused",
        lambda: workbook_with(b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">'
                              b'<!ENTITY b "&a;&a;&a;&a;">]><worksheet>&b;</worksheet>')),
    row(1193, "A spreadsheet that is cut off", "a fault of the file",
        lambda: workbook()[:500]),
])  # fmt: skip
async def test_spreadsheets(make: Any) -> None:
    with pytest.raises(WorkbookError) as refused:
        await read_apart(make())
    assert "root:" not in str(refused.value)


def workbook_with(sheet: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook())) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            part = sheet if info.filename == "xl/worksheets/sheet1.xml" else source.read(info.filename)
            target.writestr(info.filename, part)
    return out.getvalue()


@book.attempt(1194, "Formulas in the names that an export holds", "an apostrophe stands before them")
def test_formulas() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")'):
        assert guarded(text) == f"'{text}"
    assert guarded("公安厅") == "公安厅"
    assert guarded(-1) == -1


HOSTS = AllowedHosts.read(["hooks.example.org", "http://127.0.0.1:9"])
ELSEWHERE = [
    row(1195, "Webhooks at the machine itself, at its metadata service, by IPv6 and by numbers", "hosts by name",
        ["https://127.0.0.1/", "https://[::1]/", "https://[::ffff:169.254.169.254]/", "https://169.254.169.254/",
         "https://2130706433/", "https://0x7f000001/", "https://localhost/", "http://127.0.0.1:10/",
         "http://[::ffff:127.0.0.1]:9/", "http://127.1:9/", "http://0.0.0.0:9/"]),
    row(1196, "Hosts that look like an allowed one", "compared as a whole",
        ["https://hooks.example.org.evil.test/", "https://evil.test/hooks.example.org", "https://hooks.example.org:444/",
         "https://hooks.example.org@evil.test/", "https://evil.test\\@hooks.example.org/", "https://hooks.example.org./",
         "https://evil.test#hooks.example.org", "https://evil.test?hooks.example.org", "https://hooks.exаmple.org/",
         "http://hooks.example.org/", "//hooks.example.org/", "https://hooks.example.org%00.evil.test/"]),
    row(1197, "Passwords in the address, line ends, other schemes", "an https address and no more",
        ["https://u:p@hooks.example.org/", "https://hooks.example.org/\r\nX: y", "gopher://hooks.example.org/",
         "file:///etc/passwd", "ftp://hooks.example.org/", "https:hooks.example.org", "https://hooks.example.org/ x"]),
]  # fmt: skip


@pytest.mark.parametrize("urls", ELSEWHERE)
async def test_webhooks_lead_to_allowed_hosts(urls: Sequence[str]) -> None:
    client = WebhookClient(HOSTS, seconds=2)
    try:
        for url in urls:
            assert HOSTS.refusal(url) is not None, url
            status, told = await client.send(url, b"{}", id="d", secret="s", timestamp=1)
            assert status is None
            assert told == HOSTS.refusal(url)
    finally:
        await client.close()


@book.attempt(1198, "A receiver that answers with a redirection to another place", "redirections are not followed")
async def test_redirections() -> None:
    async with receiving() as elsewhere, receiving() as allowed:
        allowed.answer = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        client = WebhookClient(AllowedHosts.read([allowed.host]), seconds=5)
        try:
            status, _ = await client.send(f"{allowed.url}/", b"{}", id="d", secret="s", timestamp=1)
        finally:
            await client.close()
        assert status == 307
        assert elsewhere.requests.empty()


@book.attempt(1199, "Reasons, terms and people in what a webhook is told", "what happened, and ids to ask by")
async def test_what_webhooks_are_told(office: Office) -> None:
    hooks = Hooks(office.platform, HOSTS)
    administrator = await office.acting(HEALTH, "client-administrator")
    await webhooks.register(office.desk, administrator, hooks, "https://hooks.example.org/", [])
    matter = await submitted(office, duty=SECRET)
    reviewer = await office.acting(POLICE, "reviewer", person="zhang-san")
    refusal = RefusalReason.OTHER
    await applications.refuse(office.desk, reviewer, matter.id, matter.version, refusal, SECRET)
    attempts = await webhooks.take(office.platform, 10, {})
    assert attempts
    for attempt in attempts:
        told = body(attempt).decode()
        assert SECRET not in told
        assert "zhang-san" not in told
        assert set(json.loads(told)) == {"id", "event", "at", "department", "role", "matter", "notice", "dueOn"}


@book.attempt(1200, "Reasons and terms in the audit log", "it names the step, no values")
async def test_the_audit_log(office: Office) -> None:
    matter = await submitted(office, duty=SECRET, scope={"name": {"eq": SECRET}})
    reviewer = await office.acting(POLICE, "reviewer")
    await applications.approve(office.desk, reviewer, matter.id, matter.version, {}, reason=SECRET)
    query = "SELECT to_jsonb(a)::text AS told FROM audit_record a"
    told = [row["told"] for row in await office.desk.read(lambda connection: connection.fetch(query))]
    assert any("REPLY/APPROVED" in text for text in told)
    assert not any(SECRET in text for text in told)


async def statements(office: Office, monkeypatch: pytest.MonkeyPatch, department: str, query: str) -> int:
    """How many reads an operation makes."""
    count = 0
    read = Desk.read

    async def counted(self: Desk, what: Any) -> Any:
        nonlocal count
        count += 1
        return await read(self, what)

    with monkeypatch.context() as patch:
        patch.setattr(Desk, "read", counted)
        await office.ask(department, query, roles=EVERY)
    return count


LISTS = [
    row(1201, "A list of matters with all that hangs on each", "one statement for all of a list",
        "{ applications { nodes { events { reason department { key } } deadlines { kind department { key } } mySteps "
        "resource { code } grant { id provider { key } basisMatter { number } } } } }"),
    row(1202, "Notices with the matter of each (a page asked the database as often as it has notices)",
        "one statement for all of a list",
        "{ inbox { notices { nodes { words matter { number events { reason } } } } tasks { nodes { workingDaysLeft "
        "matter { number deadlines { kind } } } } } }", found=True),
]  # fmt: skip


@pytest.mark.parametrize("query", LISTS)
async def test_lists_of_lists(office: Office, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    reviewer = await office.acting(POLICE, "reviewer")
    counts = []
    for _ in range(2):
        for _ in range(3):
            matter = await submitted(office)
            await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
        await submitted(office)
        counts.append(await statements(office, monkeypatch, HEALTH, query))
    assert counts[0] == counts[1]
