"""Spreadsheets as departments make them: odd headers, merged cells, numbers and dates for codes, words of all kinds."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.guide.proposals import Importing
from tanglai.catalogue.guide.reading import Reading, read_guide
from tanglai.catalogue.guide.remarks import Remark
from tanglai.catalogue.model import BasisType, Branch, Category, LegalBasis, Resource, ShareClass, Snapshot, UpdateCycle
from tests.catalogues import DEPARTMENTS, make_item, make_resource, make_snapshot
from tests.office import CATEGORIES, POLICE, permits
from tests.spreadsheets import GUIDE, resource_rows, saved, workbook

TODAY = date(2026, 11, 23)
POPULATION = (Category("1", "基础", "basic"), Category("101", "人口", "population", "1", leads=(POLICE,)))


def catalogue(*resources: Resource) -> Snapshot:
    snapshot = make_snapshot(resources)
    return replace(snapshot, categories={it.code: it for it in (*CATEGORIES, *POPULATION)})


def read(content: bytes, snapshot: Snapshot | None = None) -> Reading:
    known = snapshot or catalogue()
    return read_guide(content, Importing(known, known.departments[POLICE], TODAY))


def errors(reading: Reading) -> list[tuple[int, str, str]]:
    return [(it.row, it.column, it.rule) for it in reading.remarks if it.severity is Severity.ERROR]


def notices(reading: Reading) -> list[tuple[int, str, str]]:
    return [(it.row, it.column, it.rule) for it in reading.remarks if it.severity is Severity.NOTICE]


def document(reading: Reading) -> Any:
    assert errors(reading) == []
    assert len(reading.drafts) == 1
    return reading.drafts[0].document


def test_a_plain_file_gives_a_draft_that_is_whole_as_the_guide_has_it() -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", "号码")))
    assert document(reading) == {
        "kind": "resource",
        "code": "301/7",
        "title": "居住证",
        "summary": "居住证的概要",
        "branch": "DEPARTMENTAL",
        "category": "301",
        "provider": POLICE,
        "shareClass": "CONDITIONAL",
        "condition": "因履行职责需要申请",
        "sharingMethod": "接口",
        "format": "数据库表",
        "openAttribute": "不予开放",
        "updateCycle": "DAILY",
        "zone": "EXTRANET",
        "items": [{"title": "姓名", "type": "TEXT"}, {"title": "号码", "type": "TEXT"}],
    }
    assert set(reading.drafts[0].missing) == {
        *("source", "table", "graphql.group", "graphql.list", "graphql.one", "graphql.type"),
        *("items[0].name", "items[0].column", "items[1].name", "items[1].column"),
    }
    assert notices(reading) == [(2, "", "binding")]


def test_titles_above_padded_headers_and_notes_below() -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["政务信息资源目录（2017 年）"])
    sheet.merge_cells("A1:P1")
    sheet.append(["填报单位：公安厅", None, None, "填报日期：2017 年 6 月"])
    sheet.append([])
    sheet.append([f"{header[:4]}\n　{header[4:]}*（必填）" for header in GUIDE])
    for row in resource_rows("301/7", "居　住　证", "姓　　名"):
        sheet.append(row)
    sheet.append([])
    sheet.append(["注：本表一式两份"])
    sheet.append(["填表说明：请逐行填写，共享类型按《办法》第九条填写"])
    sheet.merge_cells(start_row=8, start_column=1, end_row=8, end_column=16)
    reading = read(saved(book))
    assert document(reading)["title"] == "居住证"
    assert document(reading)["items"] == [{"title": "姓名", "type": "TEXT"}]
    assert [(it.row, it.message_zh) for it in reading.remarks if it.rule == "file"] == [
        (7, "`注：本表一式两份` 视为备注，未读取"),
        (8, "`填表说明：请逐行填写，共享类型按《办法》第九条填写` 视为备注，未读取"),
    ]


def test_a_header_of_two_rows_and_a_department_merged_over_all_resources() -> None:
    upper = [
        "序号",
        "信息资源分类",
        "名称",
        "代码",
        "提供方",
        "信息项信息",
        None,
        "共享属性",
        None,
        None,
        "开放属性",
        None,
        "更新周期",
    ]
    lower = [
        None,
        None,
        None,
        None,
        None,
        "信息项名称",
        "数据类型",
        "共享类型",
        "共享条件",
        "共享方式",
        "是否向社会开放",
        "开放条件",
    ]
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(upper)
    sheet.append(lower)
    for letter in "ABCDEM":
        sheet.merge_cells(f"{letter}1:{letter}2")
    for span in ("F1:G1", "H1:J1", "K1:L1"):
        sheet.merge_cells(span)
    own = [1, "301", "居住证", "301/7", "公安厅"]
    sheet.append([*own, "姓名", "C", "无条件共享", None, "接口", "是", "实名", "每月"])
    sheet.append([None] * 5 + ["号码", "字符型C(18)"])
    sheet.append(
        [2, "301", "来访", "301/8", None, "日期", "日期型 D", "无条件共享", None, "文件", "否", None, "不定期"]
    )
    sheet.merge_cells("E3:E5")
    for column in "BCDHJKLM":
        sheet.merge_cells(f"{column}3:{column}4")
    reading = read(saved(book))
    assert errors(reading) == []
    first, second = (draft.document for draft in reading.drafts)
    assert first["openAttribute"] == "是；实名"
    assert [item["title"] for item in first["items"]] == ["姓名", "号码"]
    assert (first["provider"], second["provider"]) == (POLICE, POLICE)
    assert (second["items"][0]["type"], second["updateCycle"]) == ("DATE", "IRREGULAR")


def test_several_sheets_of_which_some_are_none() -> None:
    book = Workbook()
    for title, code in (("一", "301/7"), ("二", "301/8"), ("三", "301/7")):
        sheet = book.create_sheet(title)
        sheet.append(list(GUIDE))
        for row in resource_rows(code, f"资源{title}", "姓名"):
            sheet.append(row)
    book.create_sheet("字典").append(["代码", "含义"])
    book.create_sheet("草稿").append(list(GUIDE))
    book["草稿"].sheet_state = "hidden"
    reading = read(saved(book))
    assert [draft.code for draft in reading.drafts] == ["301/7", "301/8"]
    told = [(it.sheet, it.row, it.rule) for it in reading.remarks if it.rule != "binding"]
    assert told == [("三", 2, "duplicate"), ("字典", 0, "file"), ("草稿", 0, "file")]


@pytest.mark.parametrize(
    ("header", "value", "rule"),
    [
        ("信息资源代码", 3017.0, "document"),  # the code lost its slash, or more
        ("信息资源代码", datetime(2017, 1, 1), "document"),  # 2017/1 in a cell that is not text
        ("信息资源代码", "3017", "category"),
        ("信息资源代码", None, "document"),
        ("信息资源提供方代码", 116400000000000000, "document"),
        ("信息资源提供方代码", "11640000MB1A00002X", "credit-code"),
        ("信息资源提供方", "公安部", "reference"),
        ("信息资源提供方", "数据局", "own-catalogue"),
        ("信息资源名称", None, "document"),
        ("信息资源分类", "999", "category"),
        ("信息资源分类", "302", "reference"),
        ("共享类型", "有条件公开", "document"),
        ("共享类型", None, "share-class"),
        ("共享条件", None, "condition"),
        ("更新周期", "每半年", "document"),
        ("更新周期", None, "document"),
        ("数据类型", "通用型G", "document"),
        ("数据类型", None, "document"),
        ("信息项名称", None, "document"),
        ("信息资源摘要", "#REF!", "document"),
        ("信息资源名称", "名" * 600, "document"),
        ("关联资源代码", 301, "document"),
    ],
)
def test_an_error_is_told_at_its_row_with_its_rule(header: str, value: Any, rule: str) -> None:
    rows = resource_rows("301/7", "居住证", "姓名")
    rows[0][GUIDE.index(header)] = value
    good = resource_rows("301/8", "来访", "姓名")
    reading = read(workbook(*rows, *good))
    assert [draft.code for draft in reading.drafts] == ["301/8"]
    assert (reading.resources, reading.refused) == (2, 1)
    assert (2, rule) in {(row, found) for row, _, found in errors(reading)}
    for remark in reading.remarks:
        assert remark.message
        assert remark.message_zh


def test_everything_that_is_wrong_is_told_at_once() -> None:
    rows = resource_rows("301/7", "居住证", "姓名", "姓名", "号码", 更新周期="随时", 共享条件=None)
    rows[2][GUIDE.index("数据类型")] = "汉字"
    reading = read(workbook(*rows))
    assert errors(reading) == [(2, "更新周期", "document"), (3, "信息项名称", "item"), (4, "数据类型", "document")]


def test_a_free_code_is_offered() -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", 信息资源代码=None)), catalogue(permits("301/41")))
    assert [it.message for it in reading.remarks if it.severity is Severity.ERROR] == [
        "the resource has no code; `301/42` is free"
    ]


@pytest.mark.parametrize(
    ("words", "value"),
    [("每天", UpdateCycle.DAILY), ("按 月", UpdateCycle.MONTHLY), ("QUARTERLY", UpdateCycle.QUARTERLY)],
)
def test_words_of_lists(words: str, value: UpdateCycle) -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", 更新周期=words)))
    assert document(reading)["updateCycle"] == value.value


@pytest.mark.parametrize(
    "day", [date(2017, 7, 1), "2017年7月1日", "2017/7/1", "20170701", 20170701, 42917, "２０１７．７．１"]
)
def test_days(day: Any) -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", 发布日期=day)))
    assert notices(reading) == [(2, "", "binding")]


@pytest.mark.parametrize("day", ["去年", "2017-13-01", date(2027, 1, 1)])
def test_what_is_no_day_or_to_come_is_told(day: Any) -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", 发布日期=day)))
    assert set(notices(reading)) == {(2, "", "binding"), (2, "发布日期", "document")}


def test_classes_that_differ_from_row_to_row_are_the_items() -> None:
    rows = resource_rows("301/7", "居住证", "姓名", "电话", "备注", share="无条件共享", condition=None)
    share, condition = GUIDE.index("共享类型"), GUIDE.index("共享条件")
    rows[1][share], rows[1][condition] = "有条件共享", "经公安厅同意"
    rows[2][share], rows[2][condition] = "不予共享", "《中华人民共和国反恐怖主义法》第九条"
    found = document(read(workbook(*rows)))
    assert found["shareClass"] == "CONDITIONAL"
    assert "condition" not in found
    assert found["items"] == [
        {"title": "姓名", "type": "TEXT", "shareClass": "UNCONDITIONAL"},
        {"title": "电话", "type": "TEXT", "condition": "经公安厅同意"},
        {
            "title": "备注",
            "type": "TEXT",
            "shareClass": "NOT_SHARED",
            "legalBasis": {"type": "LAW", "title": "中华人民共和国反恐怖主义法", "article": "第九条"},
        },
    ]


@pytest.mark.parametrize(
    ("basis", "expected"),
    [
        ("《中华人民共和国统计法》第二十五条", ("LAW", "中华人民共和国统计法", "第二十五条")),
        (
            "行政法规《艾滋病防治条例》第三十九条第二款。",
            ("ADMINISTRATIVE_REGULATION", "艾滋病防治条例", "第三十九条第二款"),
        ),
        ("《中共中央 国务院关于某事的意见》", ("CENTRAL_POLICY", "中共中央 国务院关于某事的意见", "全文")),
        ("领导不同意", None),
        ("《宁夏回族自治区某某条例》第三条", None),  # a local regulation forbids nothing
        ("《中华人民共和国统计法》", None),
        (None, None),
    ],
)
def test_what_is_not_shared_names_its_basis(basis: str | None, expected: tuple[str, str, str] | None) -> None:
    reading = read(workbook(*resource_rows("301/7", "收养", "姓名", share="不予共享", condition=basis)))
    if expected is None:
        assert {rule for _, _, rule in errors(reading)} == {"not-shared-basis"}
        assert {it.article for it in reading.remarks if it.severity is Severity.ERROR} == {"Art. 10(1)"}
        return
    kind, title, article = expected
    assert document(reading)["legalBasis"] == {"type": kind, "title": title, "article": article}
    assert "condition" not in document(reading)


def test_secrets_are_refused() -> None:
    header = (*GUIDE, "是否涉密")
    rows = [[*row, "秘密"] for row in resource_rows("301/7", "居住证", "姓名")]
    free = [[*row, "否"] for row in resource_rows("301/8", "来访", "姓名")]
    reading = read(workbook(*rows, *free, header=header))
    assert errors(reading) == [(2, "是否涉密", "state-secret")]
    assert [draft.code for draft in reading.drafts] == ["301/8"]


def test_the_lead_department_compiles_a_base_library() -> None:
    rows = resource_rows("101/1", "人口", "姓名", "电话", provider="市场监管厅", share="无条件共享", condition=None)
    found = document(read(workbook(*rows)))
    market = next(it.code for it in DEPARTMENTS if it.name == "市场监管厅")
    assert (found["branch"], found["provider"], found["compiler"]) == (Branch.BASIC, market, POLICE)
    led = replace(catalogue(), categories={**catalogue().categories, "101": replace(POPULATION[1], leads=(market,))})
    assert errors(read(workbook(*rows), led)) == [(2, "编制方", "lead-department")]


def test_what_somebody_else_compiles_is_refused() -> None:
    header = (*GUIDE, "编制方")
    rows = [[*row, "市场监管厅"] for row in resource_rows("301/7", "居住证", "姓名")]
    own = [[*row, "公安厅"] for row in resource_rows("301/8", "来访", "姓名")]
    reading = read(workbook(*rows, *own, header=header))
    assert errors(reading) == [(2, "编制方", "own-catalogue")]
    assert [draft.code for draft in reading.drafts] == ["301/8"]


def test_merged_cells_hold_for_every_row_that_they_span() -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(list(GUIDE))
    for code in ("101/1", "101/2"):
        changes: dict[str, Any] = {"share": "无条件共享", "condition": None, "provider": "市场监管厅"}
        for row in resource_rows(code, f"人口{code[-1]}", "姓名", "电话", **changes):
            sheet.append(row)
    sheet["D4"] = None
    sheet.merge_cells("D2:D5")  # the provider, of both resources
    sheet["I3"] = None
    sheet["I2"] = "整型"
    sheet.merge_cells("I2:I3")  # the type of two items
    reading = read(saved(book))
    assert errors(reading) == []
    market = next(it.code for it in DEPARTMENTS if it.name == "市场监管厅")
    assert [draft.document["provider"] for draft in reading.drafts] == [market, market]
    types = [[item["type"] for item in draft.document["items"]] for draft in reading.drafts]
    assert types == [["INTEGER", "INTEGER"], ["TEXT", "TEXT"]]


def test_basic_items_that_are_not_unconditional_are_taken_and_told() -> None:
    reading = read(workbook(*resource_rows("101/1", "人口", "姓名")))
    assert errors(reading) == []
    assert (2, "共享类型", "basic-item") in notices(reading)


def test_the_catalogue_of_others_is_left_alone() -> None:
    other = permits("301/7", provider=DEPARTMENTS[0])
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名")), catalogue(other))
    assert errors(reading) == [(2, "代码", "own-catalogue")]
    assert [it.article for it in reading.remarks if it.severity is Severity.ERROR] == ["Art. 8"]


def test_contradictions_within_a_resource_are_told_where_they_stand() -> None:
    rows = resource_rows("301/7", "居住证", "姓名", "号码", "日期")
    rows[1][GUIDE.index("更新周期")] = "每月"
    rows[2][GUIDE.index("共享方式")] = "文件"
    reading = read(workbook(*rows))
    assert errors(reading) == [(3, "更新周期", "document")]
    assert (4, "共享方式", "document") in notices(reading)


def test_formulas_without_results_are_told_and_not_calculated() -> None:
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", 信息资源摘要='=HYPERLINK("http://x/","y")')))
    assert errors(reading) == [(2, "摘要", "document")]


def test_unknown_and_missing_columns() -> None:
    rows = [[*row, "x"] for row in resource_rows("301/7", "居住证", "姓名")]
    reading = read(workbook(*rows, header=(*GUIDE, "责任人电话")))
    assert (1, "责任人电话", "document") in notices(reading)
    header = ["列" if title == "更新周期" else title for title in GUIDE]
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名"), header=header))
    assert errors(reading) == [(0, "", "document"), (1, "更新周期", "document")]
    assert reading.resources == 0


def test_invisible_characters_go_and_are_told() -> None:
    reading = read(workbook(*resource_rows("301/7", "居\u200b住\u202e证", "姓名")))
    assert document(reading)["title"] == "居住证"
    assert (2, "名称", "file") in notices(reading)


def test_a_published_resource_keeps_what_the_file_does_not_tell() -> None:
    published = make_resource(
        "permit",
        [
            make_item("name", title="姓名", share_class=ShareClass.UNCONDITIONAL),
            make_item("phone", title="电话", share_class=ShareClass.CONDITIONAL, condition="经同意"),
            make_item("old", title="旧项", share_class=ShareClass.CONDITIONAL),
        ],
        code="301/7",
        category="301",
        provider=DEPARTMENTS[1],
        branch=Branch.DEPARTMENTAL,
    )
    reading = read(workbook(*resource_rows("301/7", "居住证", "姓名", "电话", "新项")), catalogue(published))
    found = document(reading)
    assert found["title"] == "居住证"
    assert (found["source"], found["graphql"]["type"]) == ("main", "Permit")
    assert [(item["title"], item.get("name"), item.get("shareClass")) for item in found["items"]] == [
        ("姓名", "name", "UNCONDITIONAL"),
        ("电话", "phone", None),
        ("新项", None, None),
    ]
    assert found["items"][1]["condition"] == "经同意"
    assert reading.drafts[0].missing == ("items[2].name", "items[2].column")


def test_an_empty_cell_of_the_guide_clears_and_a_missing_column_does_not() -> None:
    basis = LegalBasis(BasisType.LAW, "中华人民共和国统计法", "第二十五条")
    published = permits("301/7", format="数据库表", condition="经同意", legal_basis=basis)
    rows = resource_rows(
        "301/7", "居住证", *(item.title for item in published.items), 信息资源格式=None, condition="新条件"
    )
    found = read(workbook(*rows), catalogue(published)).drafts[0].document
    assert "format" not in found
    assert found["condition"] == "新条件"
    header = ["列" if title == "信息资源格式" else title for title in GUIDE]
    found = read(workbook(*rows, header=header), catalogue(published)).drafts[0].document
    assert found["format"] == "数据库表"


def test_details_of_a_column_stay_while_it_is_the_same_column() -> None:
    published = permits("301/7")
    first = replace(published.items[0], column=replace(published.items[0].column, collated=False))
    published = replace(published, items=(first, *published.items[1:]))
    header = (*GUIDE, "信息项英文名", "字段")
    basis = "《中华人民共和国统计法》第二十五条"
    for column, expected in (("name", {"name": "name", "collated": False}), ("other", "other")):
        rows = [[*row, "", ""] for row in resource_rows("301/7", "居住证", "甲", share="不予共享", condition=basis)]
        rows[0][-2:] = ["name", column]
        found = read(workbook(*rows, header=header), catalogue(published)).drafts[0].document
        assert found["items"][0]["column"] == expected


def test_remarks_are_in_the_order_of_the_file() -> None:
    rows = [row for n in range(7, 10) for row in resource_rows(f"301/{n}", "居住证", "姓名", "姓名", 更新周期="随时")]
    found: list[Remark] = list(read(workbook(*rows)).remarks)
    assert [it.row for it in found] == sorted(it.row for it in found)
    assert len(found) == 6
