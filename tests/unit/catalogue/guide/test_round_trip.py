"""Written and read back: the demo region's catalogue, random resources, random cells, the template."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_draft import load_draft
from tanglai.catalogue.documents import resource_from_document, resource_to_document
from tanglai.catalogue.guide.columns import COLUMNS
from tanglai.catalogue.guide.merging import merged
from tanglai.catalogue.guide.proposals import Importing
from tanglai.catalogue.guide.reading import read_guide, read_sheets
from tanglai.catalogue.guide.sheets import HELP_SHEET, LIST_SHEET
from tanglai.catalogue.guide.workbook import Broken, Sheet, Uncalculated
from tanglai.catalogue.guide.writing import SHEET, template, write_guide
from tanglai.catalogue.model import BasisType, LegalBasis, Snapshot, UpdateCycle, Zone
from tanglai.catalogue.scalars import ScalarType
from tests.office import POLICE, permits
from tests.spreadsheets import GUIDE, resource_rows
from tests.unit.catalogue.guide.test_reading import catalogue

TODAY = date(2026, 11, 23)


@cache
def region() -> Snapshot:
    draft, violations = load_draft([Path("demo/catalogue")], None)
    assert violations == ()
    return Snapshot(
        1,
        Zone.EXTRANET,
        "ningxia-measures",
        {it.code: it for it in draft.departments},
        {it.code: it for it in draft.divisions},
        {it.code: it for it in draft.purposes},
        {it.code: it for it in draft.categories},
        {it.key: it for it in draft.sources},
        {it.code: it for it in draft.resources},
    )


@pytest.mark.parametrize("key", ["public-security", "market-regulation", "civil-affairs", "health", "taxation"])
def test_a_department_reads_back_what_it_has_published(key: str) -> None:
    snapshot = region()
    department = snapshot.department_by_key[key]
    own = [it for it in snapshot.resources.values() if department.code == (it.compiler or it.provider)]
    assert own
    content = write_guide(snapshot, own)
    reading = read_guide(content, Importing(snapshot, department, TODAY))
    assert [it for it in reading.remarks if it.severity is Severity.ERROR] == []
    found = {draft.code: draft.document for draft in reading.drafts}
    assert found == {it.code: resource_to_document(it, stamped=False) for it in own}
    assert all(draft.missing == () for draft in reading.drafts)


def test_the_columns_alone_make_most_of_a_resource_anew() -> None:
    snapshot = region()
    department = snapshot.department_by_key["civil-affairs"]
    adoptions = next(it for it in snapshot.resources.values() if it.code == "302030/1")
    reading = read_guide(
        write_guide(snapshot, [adoptions]), Importing(replace(snapshot, resources={}), department, TODAY)
    )
    document = dict(reading.drafts[0].document)
    whole = resource_to_document(adoptions, stamped=False)
    assert {key: document[key] for key in document if key != "items"} == {
        key: whole[key] for key in document if key != "items"
    }
    assert set(whole) - set(document) <= {"relations", "subject", "maxRows", "options"}
    resource_from_document(document)


def test_laying_the_same_over_it_again_changes_nothing() -> None:
    snapshot = region()
    department = snapshot.department_by_key["public-security"]
    residents = snapshot.resources["1010101/1"]
    fewer = replace(residents, items=residents.items[:4], title="户籍人口")
    reading = read_guide(write_guide(snapshot, [fewer]), Importing(snapshot, department, TODAY))
    once = merged(resource_to_document(residents, stamped=False), reading.drafts[0].proposal)
    assert once["title"] == "户籍人口"
    assert [item["name"] for item in once["items"]] == [item.name for item in fewer.items]
    assert once["relations"] == resource_to_document(residents)["relations"]
    assert merged(once, reading.drafts[0].proposal) == once


text = st.text(st.sampled_from("户籍人口信息登记AaZz09（）《》-_=+@"), min_size=1, max_size=12).filter(
    lambda it: it not in ("TRUE", "FALSE")
)

name = st.text(st.sampled_from("中华人民共和国统计法第一条款0aZ"), min_size=1, max_size=8)


@st.composite
def resources(draw: st.DrawFn) -> Any:
    base = permits("301/7")
    titles = draw(st.lists(text, min_size=len(base.items), max_size=len(base.items), unique=True))
    items = tuple(
        replace(
            item,
            title=title,
            type=(kind := draw(st.sampled_from(ScalarType))),
            column=replace(item.column, type=kind),
            description=draw(st.one_of(st.just(""), text)),
            nullable=draw(st.booleans()),
        )
        for item, title in zip(base.items, titles, strict=True)
    )
    return replace(
        base,
        title=draw(text),
        summary=draw(st.one_of(st.just(""), text)),
        items=items,
        update_cycle=draw(st.sampled_from(UpdateCycle)),
        format=draw(st.one_of(st.none(), text)),
        open_attribute=draw(st.one_of(st.none(), text)),
        condition=draw(text),
        legal_basis=LegalBasis(draw(st.sampled_from(BasisType)), draw(name), draw(name)),
        sharing_method=draw(st.one_of(st.none(), text)),
        keys=(),
        relations=(),
    )


@settings(max_examples=25, deadline=None)
@given(resource=resources())
def test_random_resources_read_back_the_same(resource: Any) -> None:
    snapshot = catalogue(resource)
    reading = read_guide(write_guide(snapshot, [resource]), Importing(snapshot, snapshot.departments[POLICE], TODAY))
    assert [it for it in reading.remarks if it.severity is Severity.ERROR] == []
    assert reading.drafts[0].document == resource_to_document(resource, stamped=False)


words = st.sampled_from(
    [
        *GUIDE,
        "301/7",
        "301",
        "公安厅",
        "无条件共享",
        "有条件共享",
        "不予共享",
        "字符型",
        "每日",
        "301/7、301/8",
        "《某法》第一条",
        "1=男；2=女",
    ]
)
values = st.one_of(
    words,
    st.text(max_size=30),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.sampled_from(
        [Uncalculated(), Broken("#N/A"), "x" * 40_000, "\ud800", "\x00", "=1+1", time(), timedelta(), datetime.min]
    ),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_cells_make_a_report_and_never_an_exception(data: st.DataObject) -> None:
    headers = [*GUIDE, *(column.title for column in COLUMNS if not column.guide)]
    good = [*resource_rows("301/7", "居住证", "姓名", "号码"), *resource_rows("301/8", "来访", "姓名")]
    rows: dict[int, Any] = {1: dict(enumerate(headers, start=1))}
    for number, row in enumerate(good[: data.draw(st.integers(0, 3))], start=2):
        cells = {column: value for column, value in enumerate(row, start=1) if value is not None}
        rows[number] = cells | data.draw(st.dictionaries(st.integers(1, len(headers)), values, max_size=5))
    snapshot = catalogue(permits("301/8"))
    reading = read_sheets([Sheet("表", False, rows)], Importing(snapshot, snapshot.departments[POLICE], TODAY))
    assert reading.refused >= 0
    for remark in reading.remarks:
        assert str(remark)
    for draft in reading.drafts:
        assert merged(draft.document, draft.proposal) == draft.document
        orjson.dumps(draft.document)


@pytest.mark.parametrize("known", [None, region()])
def test_the_template_is_read_as_it_is_and_has_lists_and_help(known: Snapshot | None) -> None:
    content = template(known)
    book = load_workbook(BytesIO(content))
    assert book.sheetnames == [SHEET, HELP_SHEET, LIST_SHEET]
    sheet = book[SHEET]
    assert [cell.value for cell in sheet[1]] == [column.title for column in COLUMNS]
    lists = {str(it.sqref)[:1] for it in sheet.data_validations.dataValidation}
    assert len(sheet.data_validations.dataValidation) == (10 if known is None else 14)
    assert lists
    helped = {row[0].value for row in book[HELP_SHEET].iter_rows()}
    assert {column.title for column in COLUMNS} <= helped
    snapshot = region()
    civil = snapshot.department_by_key["public-security"]
    reading = read_guide(content, Importing(snapshot, civil, TODAY))
    errors = [(it.column, it.rule) for it in reading.remarks if it.severity is Severity.ERROR]
    assert errors == [("提供方", "reference")]  # the example says to fill in who provides


def test_a_text_that_looks_like_a_formula_is_written_as_a_text() -> None:
    resource = replace(permits("301/7"), title='=HYPERLINK("x")', summary="+1", keys=(), relations=())
    snapshot = catalogue(resource)
    book = load_workbook(BytesIO(write_guide(snapshot, [resource])))
    cells = {cell.data_type for row in book[SHEET].iter_rows(min_row=2) for cell in row if cell.value is not None}
    assert cells == {"s"}
