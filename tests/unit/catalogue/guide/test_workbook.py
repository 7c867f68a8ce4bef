"""Files that are no workbooks, or hostile ones: a typed error, never another exception and never much work."""

import contextlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from tanglai.catalogue.guide import sheets, transfer, workbook
from tanglai.catalogue.guide.remarks import Remarks
from tanglai.catalogue.guide.transfer import receive
from tanglai.catalogue.guide.workbook import Sheet, WorkbookError, read_workbook
from tests.spreadsheets import resource_rows, saved
from tests.spreadsheets import workbook as made

GOOD = made(*resource_rows("301/7", "居住证", "姓名"))
SHEET = "xl/worksheets/sheet1.xml"


def changed(name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A good workbook with one part changed."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(GOOD)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, change(content) if part == name else content)
    return stream.getvalue()


def entities(content: bytes) -> bytes:
    """Billion laughs."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    head, _, body = content.partition(b"?>") if content.startswith(b"<?") else (b"", b"", content)
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}]>'.encode()
    return (head + b"?>" if head else b"") + doctype + body.replace("姓名".encode(), b"&l9;")


def external(content: bytes) -> bytes:
    return b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + content.partition(b"?>")[2]


def archive(*names: str) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an XLSX file"),
        ("名称,代码\n".encode(), "not an XLSX file"),
        (b"PK\x03\x04" + b"x" * 100, "not an XLSX file"),
        (workbook._OLD + b"\x00" * 600, "of the old form XLS, or has a password"),
        (archive("word/document.xml"), "not an XLSX file"),
        (archive("[Content_Types].xml"), "damaged"),
        (GOOD[:-200], "not an XLSX file"),
        (changed(SHEET, lambda content: content[:-300]), "damaged"),
        (changed(SHEET, lambda content: content.replace(b'r="2"', b'r="1.5"')), "damaged"),
        (changed(SHEET, entities), "damaged"),
        (changed("xl/workbook.xml", external), "damaged"),
    ],
)
def test_what_is_no_workbook_is_a_typed_error(content: bytes, said: str) -> None:
    with pytest.raises(WorkbookError, match=said) as refused:
        read_workbook(content)
    assert refused.value.message_zh


def test_a_bomb_is_refused_by_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = changed(SHEET, lambda content: content.replace(b"</sheetData>", b" " * 40_000_000 + b"</sheetData>"))
    assert len(bomb) < 100_000
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 30_000_000)
    with pytest.raises(WorkbookError, match="unpacked more than 28 MiB"):
        read_workbook(bomb)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 1)
    with pytest.raises(WorkbookError, match="more than 1 rows"):
        read_workbook(GOOD)
    monkeypatch.setattr(workbook, "MAX_ROWS", 2)
    monkeypatch.setattr(workbook, "MAX_CELLS", 20)
    with pytest.raises(WorkbookError, match="more than 20 cells"):
        read_workbook(GOOD)
    monkeypatch.setattr(workbook, "MAX_BYTES", 1000)
    with pytest.raises(WorkbookError, match="more than 0 MiB"):
        read_workbook(GOOD)


def test_rows_far_down_and_cells_far_right_cost_nothing() -> None:
    row = b'<row r="99999999999"><c r="A99999999999"><v>1</v></c></row><row r="7"><c r="XFD7"><v>1</v></c></row>'
    found = read_workbook(changed(SHEET, lambda content: content.replace(b"</sheetData>", row + b"</sheetData>")))
    assert list(found[0].rows) == [1, 2]


def test_merged_cells_that_overlap_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    merges = b"<mergeCells>" + b'<mergeCell ref="A1:IV1048576"/>' * 50 + b"</mergeCells>"
    found = read_workbook(changed(SHEET, lambda content: content.replace(b"</sheetData>", b"</sheetData>" + merges)))
    monkeypatch.setattr(sheets, "MAX_FILLED", 10_000)
    with pytest.raises(WorkbookError, match="overlap"):
        sheets.tables(found, Remarks())


def test_no_link_to_another_workbook_is_followed_and_no_formula_calculated() -> None:
    book = Workbook()
    book.worksheets[0]["A1"] = "='[http://127.0.0.1:9/x.xlsx]Sheet1'!A1"
    book.worksheets[0]["A2"] = "=1+1"
    cells = read_workbook(saved(book))[0].rows
    assert cells == {1: {1: workbook.Uncalculated()}, 2: {1: workbook.Uncalculated()}}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_typed_error_or_none(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WorkbookError):
        read_workbook(bytes(content))


def test_a_process_of_its_own_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(content: bytes) -> list[Sheet]:
        command = [sys.executable, "-m", "tanglai.catalogue.guide"]
        return receive(subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout)

    assert answer(GOOD) == read_workbook(GOOD)
    with pytest.raises(WorkbookError, match="not an XLSX file") as refused:
        answer(b"no workbook")
    assert refused.value.message_zh == "不是 XLSX 文件"
    two = [Sheet("一", False, {n: {1: n} for n in range(1, 8)}), Sheet("二", True)]
    monkeypatch.setattr(transfer, "PIECE", 3)
    stream = BytesIO()
    transfer.send(two, stream)
    assert receive(stream.getvalue()) == two
