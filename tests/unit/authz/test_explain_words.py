"""Row scopes, reasons and articles in words: right, readable, and never the same for two that differ."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.decide import Asking, MaskKey
from authz.denial import Denial, Remedy, RemedyAction
from authz.explain import AccessReport, ItemAccess, RelationAccess, Verdict, explain
from authz.principal import Principal
from authz.scope_words import describe_rows
from authz.words import Language, article_words, reason, remedy_words
from demo.region import CATALOGUE
from tanglai.catalogue.checks import Draft, load_draft
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Attribute,
    Column,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Value,
    Within,
    conjunction,
    disjunction,
)
from tanglai.catalogue.model import Code, Resource, ShareClass, Snapshot
from tanglai.catalogue.predicates import negation, predicate_from_document
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import (
    PUBLIC_SECURITY,
    YINCHUAN,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
    population,
    resource_code,
)
from tests.gateways import make_grant
from tests.unit.catalogue.strategies import UNHURRIED, predicates, resources

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
ALL_KINDS = make_resource(
    "thing",
    [
        make_item("name", title="姓名"),
        make_item("other_name", title="姓名", graphql="otherName"),
        make_item("division", title="户籍区划"),
        make_item("owner", title="登记机关"),
        replace(make_item("sex", title="性别"), codes=(Code("1", "男"), Code("2", "女"))),
        make_item("married", ScalarType.BOOLEAN, title="婚否"),
        make_item("height", ScalarType.INTEGER, title="身高"),
        make_item("serial", ScalarType.LONG, title="流水号"),
        make_item("income", ScalarType.DECIMAL, title="收入"),
        make_item("score", ScalarType.FLOAT, title="评分"),
        make_item("born", ScalarType.DATE, title="出生日期"),
        make_item("wakes", ScalarType.TIME, title="起床时间"),
        make_item("updated", ScalarType.DATETIME, title="更新时间"),
        make_item("place", ScalarType.GEOMETRY, title="坐标"),
    ],
)
SNAPSHOT = make_snapshot([ALL_KINDS])


def words(scope: Any, language: Language, resource: Resource = ALL_KINDS) -> str:
    predicate = predicate_from_document(scope, resource) if isinstance(scope, dict) else scope
    return describe_rows([predicate], resource, SNAPSHOT, YINCHUAN, language)


@pytest.mark.parametrize(
    ("scope", "zh", "en"),
    [
        ({}, "全部", "all rows"),
        ({"or": []}, "无", "no rows"),
        ({"name": {"eq": "张三"}}, "“姓名”（name）为“张三”", '`name` is "张三"'),
        ({"other_name": {"eq": "k "}}, "“姓名”（otherName）为“k ”", '`otherName` is "k "'),
        ({"sex": {"eq": "2"}}, "“性别”为“2”（女）", '`sex` is "2" (女)'),
        ({"sex": {"in": ["1", "2"]}}, "“性别”为下列之一：“1”（男）、“2”（女）", '`sex` is one of "1" (男), "2" (女)'),
        ({"sex": {"notIn": ["9"]}}, "“性别”有值且不为下列任一：“9”", '`sex` is a value other than any of "9"'),
        ({"sex": {"ne": "1"}}, "“性别”有值且不为“1”（男）", '`sex` is a value other than "1" (男)'),
        ({"sex": {"isNull": True}}, "“性别”为空", "`sex` is empty"),
        ({"place": {"isNull": False}}, "“坐标”不为空", "`place` has a value"),
        ({"married": {"eq": True}}, "“婚否”等于是", "`married` is yes"),
        ({"height": {"gte": 1000000}}, "“身高”不小于1,000,000", "`height` is at least 1,000,000"),
        ({"serial": {"lt": "-1234"}}, "“流水号”小于-1,234", "`serial` is less than -1,234"),
        ({"income": {"lte": "12345.60"}}, "“收入”不大于12,345.60", "`income` is at most 12,345.60"),
        ({"income": {"ne": "-0.000001"}}, "“收入”有值且不等于-0.000001", "`income` is a value other than -0.000001"),
        ({"score": {"gt": 0.5}}, "“评分”大于0.5", "`score` is greater than 0.5"),
        ({"born": {"lt": "1990-02-03"}}, "“出生日期”早于1990年2月3日", "`born` is before 1990-02-03"),
        ({"born": {"lte": "1990-02-03"}}, "“出生日期”不晚于1990年2月3日", "`born` is not after 1990-02-03"),
        ({"wakes": {"gte": "08:30:00"}}, "“起床时间”不早于08:30", "`wakes` is not before 08:30"),
        ({"wakes": {"eq": "08:30:00.5"}}, "“起床时间”为08:30:00.500000", "`wakes` is 08:30:00.500000"),
        (
            {"updated": {"gt": "2026-01-31T20:00:00Z"}},
            "“更新时间”晚于2026年2月1日04:00（北京时间）",
            "`updated` is after 2026-02-01 04:00 (Beijing time)",
        ),
        ({"name": {"lt": "b"}}, "“姓名”（name）按字符编码先于“b”", '`name` sorts by code point before "b"'),
        ({"name": {"startsWith": "张"}}, "“姓名”（name）以“张”开头", '`name` starts with "张"'),
        ({"name": {"contains": "三"}}, "“姓名”（name）包含“三”", '`name` contains "三"'),
        (
            {"division": {"within": "640105"}},
            "“户籍区划”在西夏区（640105，含原区划）范围内",
            "`division` lies in Xixia (640105, former divisions included)",
        ),
        (
            {"division": {"within": "659000"}},
            "“户籍区划”在行政区划（659000，含原区划）范围内",
            "`division` lies in division (659000, former divisions included)",
        ),
        (
            {"division": {"within": {"attribute": "department.division"}}},
            "“户籍区划”在申请部门所在行政区划（银川市，640100，含原区划）范围内",
            "`division` lies in the requester's division (Yinchuan, 640100, former divisions included)",
        ),
        (
            {"division": {"eq": {"attribute": "department.division"}}},
            "“户籍区划”为申请部门所在行政区划的代码（银川市，640100）",
            "`division` is the code of the requester's division (Yinchuan, 640100)",
        ),
        (
            {"owner": {"ne": {"attribute": "department.code"}}},
            f"“登记机关”有值且不为申请部门的统一社会信用代码（{YINCHUAN.code}）",
            f"`owner` is a value other than the requester's credit code ({YINCHUAN.code})",
        ),
        (
            {"or": [{"sex": {"eq": "1"}, "height": {"lt": 150}}, {"married": {"eq": False}}]},
            "（“性别”为“1”（男），且“身高”小于150），或“婚否”等于否",
            '(`sex` is "1" (男) and `height` is less than 150) or `married` is no',
        ),
        (
            {"sex": {"eq": "1"}, "not": {"or": [{"height": {"lt": 150}}, {"height": {"gt": 190}}]}},
            "“性别”为“1”（男），且确定不符合（“身高”小于150，或“身高”大于190）",
            '`sex` is "1" (男) and certainly not (`height` is less than 150 or `height` is greater than 190)',
        ),
        (
            {"name": {"eq": "“a”，且\\ \u200b\u202e\n"}},
            "“姓名”（name）为“\\“a\\”，且\\\\ \\u{200B}\\u{202E}\\u{A}”",
            '`name` is "\\“a\\”，且\\\\ \\u{200B}\\u{202E}\\u{A}"',
        ),
        ({"name": {"eq": "é"}}, "“姓名”（name）为“é”", '`name` is "é"'),
        ({"name": {"eq": "e\u0301"}}, "“姓名”（name）为“e\\u{301}”", '`name` is "e\\u{301}"'),
    ],
)
def test_scopes_in_words(scope: Any, zh: str, en: str) -> None:
    assert words(scope, "zh") == zh
    assert words(scope, "en") == en


def test_a_moment_beyond_the_calendar_is_told_in_universal_time() -> None:
    last = Compare(
        CompareOp.LTE,
        ItemRef("updated", ScalarType.DATETIME),
        Value(datetime(9999, 12, 31, 23, tzinfo=UTC), ScalarType.DATETIME),
    )
    assert words(last, "en") == "`updated` is not after 9999-12-31 23:00 (UTC)"
    assert words(last, "zh") == "“更新时间”不晚于9999年12月31日23:00（协调世界时）"


@pytest.mark.parametrize(
    "scope",
    [
        Column("raw", ScalarType.TEXT),
        Not(TRUE),
        IsNull(Column("raw", ScalarType.TEXT)),
        IsNull(ItemRef("gone", ScalarType.TEXT)),
        Compare(CompareOp.EQ, ItemRef("name", ScalarType.TEXT), Attribute("department.colour")),
        Within(ItemRef("division", ScalarType.TEXT), Attribute("department.code")),
    ],
)
def test_what_is_no_scope_is_not_said_vaguely(scope: Expression) -> None:
    with pytest.raises(ValueError, match=r"no words|no item"):
        words(scope, "en")


# --- two that differ never read the same ---------------------------------------------------------------------------


@st.composite
def several(draw: st.DrawFn) -> tuple[Resource, list[Expression]]:
    resource = draw(resources())
    items = tuple(replace(item, graphql=item.name) for item in resource.items)  # as the checks of catalogues have it
    resource = replace(resource, items=items)
    return resource, draw(st.lists(predicates(resource), min_size=2, max_size=12))


@settings(UNHURRIED, max_examples=50)
@given(several())
def test_different_scopes_have_different_words(drawn: tuple[Resource, list[Expression]]) -> None:
    resource, scopes = drawn
    for language in ("zh", "en"):
        unlike(resource, scopes, language)


def unlike(resource: Resource, scopes: list[Expression], language: Language) -> None:
    said: dict[str, Expression] = {}
    for scope in scopes:
        text = words(scope, language, resource)
        assert said.setdefault(text, scope) == scope, text


def test_no_regrouping_and_no_odd_value_reads_like_another() -> None:
    """All scopes of up to three tests over names and values that are made of the words themselves."""
    tricky = make_resource(
        "tricky",
        [make_item("a", title="甲为空，且“乙"), make_item("b", title="甲"), make_item("c", title="甲")],
    )
    tests = list(_tests(tricky))
    pairs = [join(one, other) for one, other in product(tests, tests) for join in (conjunction, disjunction)]
    pairs = list(dict.fromkeys(pairs))
    few = tests[:: len(tests) // 3]
    triples = [join(one, other) for one, other in product(pairs, few) for join in (conjunction, disjunction)] + [
        join(negation(one), other) for one, other in product(pairs[::7], few) for join in (conjunction, disjunction)
    ]
    whole = list(dict.fromkeys([TRUE, FALSE, *tests, *pairs, *map(negation, tests + pairs), *triples]))
    assert len(whole) > 2000
    for language in ("zh", "en"):
        unlike(tricky, whole, language)


def _tests(resource: Resource) -> Iterator[Expression]:
    texts = ("", "1", "“1”、“2”", "”，或“甲”为“", '" or `a` is "', "640100", "\\", "申请部门的统一社会信用代码")
    for item in resource.items[:2]:
        reference = ItemRef(item.name, ScalarType.TEXT)
        yield IsNull(reference)
        yield Not(IsNull(reference))
        for text in texts:
            value = Value(text, ScalarType.TEXT)
            yield Compare(CompareOp.EQ, reference, value)
            yield Match(MatchOp.STARTS_WITH, reference, value)
            yield In(reference, (value, Value("2", ScalarType.TEXT)))
        yield Not(In(reference, (Value("1", ScalarType.TEXT), Value("2", ScalarType.TEXT))))
        yield In(reference, (Value("1", ScalarType.TEXT),))
        yield Compare(CompareOp.NE, reference, Value("1", ScalarType.TEXT))
        yield Compare(CompareOp.EQ, reference, Attribute("department.code"))
        yield Compare(CompareOp.EQ, reference, Attribute("department.division"))
        yield Within(reference, Attribute("department.division"))
        yield Within(reference, "640100")


# --- decisions -----------------------------------------------------------------------------------------------------


def denial(code: ErrorCode, item: str | None = "file", resource: str = resource_code("resident")) -> Denial:
    return Denial(code, "Art. 11(3)", resource, item, None)


@pytest.mark.parametrize(
    ("denial", "zh", "en"),
    [
        (denial(ErrorCode.NOT_SHARED), "该信息项不予共享", "the item is not shared"),
        (denial(ErrorCode.NOT_SHARED, "vehicles"), "该关联不予共享", "the relation is not shared"),
        (
            denial(ErrorCode.GRANT_REQUIRED, "vehicles"),
            "该关联有条件共享，须经提供部门同意",
            "the relation is shared conditionally and needs a grant",
        ),
        (
            denial(ErrorCode.GRANT_REQUIRED, "name"),
            "该信息项无条件共享，但须先提出申请",
            "the item is shared unconditionally, on application",
        ),
        (
            denial(ErrorCode.OUT_OF_ZONE, None, resource_code("dossier")),
            "该资源由共享平台（内网）提供，不在本平台",
            "the resource is served by the sharing platform of the intranet",
        ),
        (
            denial(ErrorCode.PURPOSE_MISMATCH),
            "本次查询的用途与授权所列用途不符",
            "the stated purpose is not the one that the grant names",
        ),
        (denial(ErrorCode.PURPOSE_MISMATCH, None), "访问令牌不允许该用途", "the token does not allow this purpose"),
        (denial(ErrorCode.INTERNAL), "", ""),
    ],
)
def test_reasons_fit_what_is_denied(denial: Denial, zh: str, en: str) -> None:
    assert reason(denial, population(), "zh") == zh
    assert reason(denial, population(), "en") == en


@pytest.mark.parametrize(
    ("remedy", "zh", "en"),
    [
        (
            Remedy(RemedyAction.APPLY, PUBLIC_SECURITY.code, reply_within=1),
            "向公安厅提出申请，1个工作日内答复",
            "apply to Public Security, reply due in 1 working day",
        ),
        (
            Remedy(RemedyAction.RENEW, PUBLIC_SECURITY.code, reply_within=10),
            "向公安厅重新申请，10个工作日内答复",
            "apply again to Public Security, reply due in 10 working days",
        ),
        (
            Remedy(RemedyAction.COORDINATE),
            "由同级数据共享主管部门协调解决",
            "the competent department of that level coordinates",
        ),
        (Remedy(RemedyAction.SELECT_ONLY), "仅查询其脱敏值", "select its masked value only"),
        (None, "", ""),
    ],
)
def test_remedies_say_what_to_do(remedy: Remedy | None, zh: str, en: str) -> None:
    found = replace(denial(ErrorCode.GRANT_REQUIRED), remedy=remedy)
    assert remedy_words(found, population(), "zh") == zh
    assert remedy_words(found, population(), "en") == en


def test_the_remedy_for_a_purpose_of_the_token_is_another_token() -> None:
    found = replace(denial(ErrorCode.PURPOSE_MISMATCH, None), remedy=Remedy(RemedyAction.USE_OTHER_TOKEN))
    assert remedy_words(found, population(), "zh") == "使用允许该用途的访问令牌"
    assert remedy_words(found, population(), "en") == "use a token that allows the purpose"


@pytest.mark.parametrize("code", [ErrorCode.GRANT_REQUIRED, ErrorCode.NOT_SHARED])
def test_the_remedy_for_data_of_its_own_is_a_role(code: ErrorCode) -> None:
    found = replace(denial(code), remedy=Remedy(RemedyAction.USE_OTHER_TOKEN))
    assert remedy_words(found, population(), "zh") == "本部门自有数据：使用带有 `data.own` 角色的访问令牌"
    assert remedy_words(found, population(), "en") == "your own department's data: use a token with the role `data.own`"


def test_nobody_is_told_to_state_a_purpose_that_is_not_its_own() -> None:
    stated = Remedy(RemedyAction.STATE_PURPOSE)
    missing = replace(denial(ErrorCode.PURPOSE_REQUIRED), remedy=stated)
    assert remedy_words(missing, population(), "en") == (
        "state the purpose of the query in the header `Purpose`, with a token that allows it"
    )
    other = remedy_words(replace(denial(ErrorCode.PURPOSE_MISMATCH), remedy=stated), population(), "en")
    assert other.startswith("if the data are really for the purpose that the grant names")
    assert other.endswith("for another purpose, apply for a grant")


def test_a_purpose_outside_the_token_denies_everything() -> None:
    snapshot = population()
    grant = make_grant(resource_code("resident"), "height", purpose="licensing")
    who = Principal(YINCHUAN, "client", purposes=frozenset({"assistance"}))
    asking = Asking(
        snapshot, rule_set("ningxia-measures"), who, "licensing", (grant,), grant.valid_from, MaskKey("k", b"")
    )
    report = explain(asking, snapshot.resources[grant.resource], "en")
    assert report.denial is not None
    assert (report.denial.code, report.denial.item) == (ErrorCode.PURPOSE_MISMATCH, None)
    parts: list[ItemAccess | RelationAccess] = [*report.items, *report.relations]
    assert {part.denial for part in parts} == {report.denial}
    assert {part.verdict for part in parts} == {Verdict.NONE}
    assert {item.usable for item in report.items} == {()}
    assert (report.rows.words, report.grants) == ("no rows", ())
    with pytest.raises(KeyError, match="nothing"):
        explain(asking, snapshot.resources[grant.resource], "en").only(["nothing"])


def test_articles_are_cited_with_their_regulation() -> None:
    measures, order = rule_set("ningxia-measures"), rule_set("order-809")
    assert article_words("Art. 11(3)", measures, "zh") == "《宁夏回族自治区政务数据资源共享管理办法》第十一条第三款"
    assert article_words("Art. 9(2)", measures, "zh").endswith("第九条第二项")
    assert (
        article_words("Art. 11(3)", measures, "en")
        == "Ningxia Administrative Measures on Sharing Government Affairs Data Resources, Art. 11(3)"
    )
    assert article_words("Order 809 Art. 27", order, "zh") == "《政务数据共享条例》第二十七条"
    assert article_words("Order 809 Art. 27", order, "en") == (
        "State Council Order 809 on Sharing Government Data, Art. 27"
    )
    assert article_words("Order 809", order, "zh") == "《政务数据共享条例》"
    assert article_words("Order 809", order, "en") == "State Council Order 809 on Sharing Government Data"
    with pytest.raises(KeyError):
        article_words("Art. 99", order, "zh")


@pytest.mark.parametrize("name", ["ningxia-measures", "order-809"])
def test_every_article_of_a_rule_set_can_be_cited_in_chinese(name: str) -> None:
    rules = rule_set(name)
    assert {*rules.articles.values(), *(d.article for d in rules.deadlines.values())} == set(rules.citations)
    for article in rules.citations:
        assert article_words(article, rules, "zh")
        assert article_words(article, rules, "en")


# --- the demo region -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def region() -> tuple[Snapshot, Draft]:
    draft, violations = load_draft([CATALOGUE], None)
    assert violations == ()
    return (
        make_snapshot(
            draft.resources,
            departments=draft.departments,
            divisions=draft.divisions,
            purposes=draft.purposes,
            categories=draft.categories,
            sources=draft.sources,
        ),
        draft,
    )


def reports(region: tuple[Snapshot, Draft], rules: str, language: Language) -> Iterator[AccessReport]:
    snapshot, draft = region
    for department in draft.departments:
        grants = tuple(grant for grant in draft.grants if grant.requester == department.code)
        for purpose in (None, *dict.fromkeys(grant.purpose for grant in grants)):
            who = Principal(department, "client", purposes=frozenset(snapshot.purposes))
            asking = Asking(snapshot, rule_set(rules), who, purpose, grants, NOW, MaskKey("k", b"secret"))
            for resource in snapshot.resources.values():
                yield explain(asking, resource, language)


@pytest.mark.parametrize("rules", ["ningxia-measures", "order-809"])
def test_the_demo_region_in_chinese_names_everything(region: tuple[Snapshot, Draft], rules: str) -> None:
    """No item's name, no department's key or code, no purpose's code: titles, but for division codes beside names."""
    snapshot = region[0]
    allowed = re.compile(r"64\d{4}|\d+(?=个工作日)|Purpose|data\.own")
    seen = set()
    for report in reports(region, rules, "zh"):
        for text in _said(report, snapshot, "zh"):
            assert re.findall(r"[0-9A-Za-z_]+", allowed.sub("", text)) == [], text
            assert not text.endswith("。")
            seen.add(text)
    assert any("贺兰县" in text for text in seen)
    assert any("个工作日内答复" in text for text in seen)


@pytest.mark.parametrize("rules", ["ningxia-measures", "order-809"])
def test_the_demo_region_in_english_has_no_chinese(region: tuple[Snapshot, Draft], rules: str) -> None:
    for report in reports(region, rules, "en"):
        for text in _said(report, region[0], "en"):
            assert not re.search("[\u3000-\u9fff\uff00-\uffef]", text), text


def _said(report: AccessReport, snapshot: Snapshot, language: Language) -> Iterator[str]:
    """Everything that a report says in words; nothing is left unsaid."""
    for item in report.items:
        told = [item.rows.words, item.clear.words, item.article_words, *(m.rows.words for m in item.masked)]
        if item.statistics is not None:
            told += [item.statistics.period_words, item.statistics.rows_words]
        assert all(told), item
        yield from told
    for relation in report.relations:
        yield from (relation.near.words, relation.far.words)
    denials = [report.denial, *(item.denial for item in report.items), *(end.denial for end in report.relations)]
    for found in (*denials, *(item.use_denial for item in report.items)):
        if found is not None:
            why, how = reason(found, snapshot, language), remedy_words(found, snapshot, language)
            assert why, found
            assert how, found
            yield from (why, how)


def test_the_values_of_attributes_stand_in_the_predicate() -> None:
    """What a program reads needs nothing that is known of the requester."""
    relation = make_relation("to", "B/1", ["a"], ["a"], inverse="from", many=True)
    item = make_item("a", share_class=ShareClass.CONDITIONAL)
    resource = make_resource("one", [item], code="A/1", relations=[relation])
    inverse = make_relation("from", "A/1", ["a"], ["a"], inverse="to", many=True)
    other = make_resource("other", [item], code="B/1", relations=[inverse])
    snapshot = make_snapshot([resource, other])
    scope = predicate_from_document(
        {
            "or": [
                {"a": {"within": {"attribute": "department.division"}}},
                {"a": {"eq": {"attribute": "department.division"}}},
                {"a": {"eq": {"attribute": "department.code"}}},
            ]
        },
        resource,
    )
    grant = make_grant("A/1", "a", scope=scope, relations=frozenset({"to"}))
    who = Principal(YINCHUAN, "client", purposes=frozenset({grant.purpose}))
    moment = grant.valid_from
    asking = Asking(snapshot, rule_set("order-809"), who, grant.purpose, (grant,), moment, MaskKey("k", b""))
    report = explain(asking, resource, "en")
    expected = {"or": [{"a": {"within": "640100"}}, {"a": {"eq": "640100"}}, {"a": {"eq": YINCHUAN.code}}]}
    assert report.rows.where == report.items[0].clear.where == report.relations[0].near.where == expected
    assert "the requester's division (Yinchuan, 640100" in report.rows.words
