"""docs/law.md: every article has its rules; what is there is shown by a test that exists, what is not says so."""

import re

import pytest

from tanglai.catalogue.rules import rule_set
from tests.docs.documents import DOCS, ROOT, headings, read, section, table

PAGE = DOCS / "law.md"
ARTICLES = [f"Article {number}" for number in range(2, 12)]
ORDER = ["3", "13, 16", "14, 15", "15, 22", "17", "19", "20", "21", "21, 22", "24", "25, 27", "26", "28", "29", "38–41"]
"""Articles of Order 809 that the project has rules of."""
CITED = "Articles that denials cite"


def rules() -> list[list[str]]:
    """Rows of all tables but the last: rule, where, shown by, state."""
    rows = [row for article in ARTICLES for row in table(section(PAGE, article))]
    return rows + [row[1:] for row in table(section(PAGE, "Order 809"))]


def test_every_article_has_its_heading_and_a_rule() -> None:
    assert headings(PAGE, 3) == ARTICLES
    for article in ARTICLES:
        assert table(section(PAGE, article)), article


def test_every_article_of_the_order_has_a_row() -> None:
    assert list(dict.fromkeys(row[0] for row in table(section(PAGE, "Order 809")))) == ORDER


@pytest.mark.parametrize("row", rules(), ids=lambda row: row[0][:50])
def test_what_is_there_names_its_place_and_its_test(row: list[str]) -> None:
    _, where, shown, state = row
    assert state in ("yes", "partly", "not yet")
    if state == "not yet":
        assert (where, shown) == ("", "")
        return
    file, name = re.fullmatch(r"(tests/[\w/]+\.py)::(\w+)", shown.strip("`")).groups()  # type: ignore[union-attr]
    assert re.search(rf"^(async )?def {name}\(|^    (async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    assert (ROOT / where.strip("`")).is_file()


def test_articles_that_denials_cite_are_those_of_the_rule_sets() -> None:
    measures, order = rule_set("ningxia-measures").articles, rule_set("order-809").articles
    rows = {row[0]: (row[1], row[2]) for row in table(section(PAGE, CITED))}
    assert rows == {code: (measures[code], order[code]) for code in measures}
    assert measures.keys() == order.keys()


def test_both_rule_sets_are_named() -> None:
    for name in ("ningxia-measures", "order-809"):
        assert f"`{name}`" in read(PAGE)
        assert (ROOT / "tanglai/catalogue/rulesets" / f"{name}.toml").is_file()
