"""The workbench in the demo: queries run, denials are told in words, tokens follow the selector, all stays here."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.region import small_schema
from tests.browser.small_platform import Platform
from tests.browser.visit import DENIALS, DOCS, RESULT, RUN, late_answers, until, visit

SCHEMA = small_schema()


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(1280, 720, "light"), (1280, 720, "dark"), (1920, 1080, "light"), (1920, 1080, "dark")],
)
async def test_a_first_query_runs_without_typing(
    browser: Browser, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    with Platform(SCHEMA) as platform:
        size = {"width": width, "height": height}
        async with visit(browser, platform, viewport=size, color_scheme=scheme) as opened:
            await opened.run("马晓燕")
            await opened.page.screenshot(path=tmp_path / "workbench.png")
            assert await opened.page.evaluate("document.documentElement.scrollWidth") == width
            assert await opened.page.evaluate("document.documentElement.scrollHeight") == height
            dark = await opened.page.evaluate("getComputedStyle(document.body).colorScheme")
            assert (dark == "dark") == (scheme == "dark")
        assert platform.requests[-1].department == "taxation"
        assert platform.requests[-1].body["variables"] == {"first": 5}


async def test_denials_say_why_and_how_to_apply(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await opened.run("马晓燕")
            cards = opened.page.locator(DENIALS)
            await expect(cards).to_have_count(2)
            needs_grant, not_shared = cards.nth(0), cards.nth(1)
            for text in (
                "GRANT_REQUIRED",
                "须经提供部门同意",
                "信息项data.population.residents.nodes.phone, address",
                "1010101/1",
                "依据《宁夏回族自治区政务数据资源共享管理办法》第十一条第三款",
                "办理途径",
                "10个工作日内",
            ):
                await expect(needs_grant).to_contain_text(text)
            await expect(not_shared).to_contain_text("NOT_SHARED")
            await expect(not_shared).to_contain_text("协商")
            # without words of the article, its citation
            await expect(not_shared).to_contain_text("Art. 11(4)")
        assert platform.requests[-1].language.startswith("zh")


async def test_an_application_is_drafted_from_a_denial(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await expect(opened.page.locator(DOCS)).to_contain_text("PopulationData")
            await opened.run("马晓燕")
            await opened.page.locator(".draft").click()
            # nobody applies by accident: the duty is still empty, and the platform says so
            await opened.run("`duty` is empty")
            await expect(opened.page.locator(".failures")).to_contain_text("BAD_INPUT")
        asked = platform.requests[-1]
        assert asked.operation == "SubmitApplication"
        assert asked.department == "taxation"
        given = asked.body["variables"]["input"]
        assert given["resource"] == "1010101/1"
        assert given["items"] == ["phone", "address"]
        assert given["purpose"] == "tax-assessment"


async def test_the_selector_changes_who_asks(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await opened.run("马晓燕")
            await opened.page.select_option("select[name=department]", "civil-affairs")
            await opened.page.select_option("select[name=purpose]", "subsistence-allowance")
            await opened.run("139****0000")
            await expect(opened.page.locator(".facts")).to_contain_text("grant-7")
            await expect(opened.page.locator(".facts")).to_contain_text("data.population.residents.nodes.phone")
        assert [seen.department for seen in platform.requests[-2:]] == ["taxation", "civil-affairs"]
        assert {"department": "civil-affairs", "purpose": "subsistence-allowance"} in platform.issued
        # a token of the demo has one purpose, and that is its default
        assert {seen.purpose for seen in platform.requests} == {None}


async def test_each_tab_asks_as_its_example_says(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await page.get_by_role("tab", name="民政厅查居民电话").click()
            await expect(page.locator("select[name=department]")).to_have_value("civil-affairs")
            await opened.run("139****0000")
            await page.get_by_role("tab", name="税务局查居民").click()
            await expect(page.locator("select[name=department]")).to_have_value("taxation")
            await page.select_option("select[name=department]", "public-security")
            await page.get_by_role("tab", name="民政厅查居民电话").click()
            await page.get_by_role("tab", name="税务局查居民").click()
            await expect(page.locator("select[name=department]")).to_have_value("public-security")
            # GraphiQL stores its tabs half a second late
            await page.wait_for_timeout(1_000)
            await page.reload()
            await expect(page.get_by_role("tab")).to_have_count(3)
            await expect(page.locator("select[name=department]")).to_have_value("public-security")


async def test_a_closed_example_opens_again_from_the_menu(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await page.get_by_role("tab", name="民政厅查居民电话").click()
            await page.locator(".graphiql-tab-close:visible").click()
            await expect(page.get_by_role("tab")).to_have_count(2)
            await page.get_by_role("button", name="示例查询").click()
            await page.get_by_role("menuitem", name="民政厅查居民电话").click()
            await expect(page.get_by_role("tab")).to_have_count(3)
            await expect(page.locator("select[name=department]")).to_have_value("civil-affairs")
            await opened.run("139****0000")


async def test_share_classes_stand_in_documentation_and_query(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            docs = opened.page.locator(DOCS)
            await expect(docs.locator(".graphiql-doc-explorer-title")).to_have_text("Data")
            await docs.get_by_text("PopulationData").click()
            await expect(docs.locator(".share-CONDITIONAL")).to_be_visible()
            await docs.get_by_text("ResidentConnection").click()
            await docs.get_by_role("link", name="Resident", exact=True).click()
            await expect(docs.locator(".graphiql-doc-explorer-item .share-UNCONDITIONAL")).to_have_count(2)
            await expect(docs.locator(".graphiql-doc-explorer-item .share-NOT_SHARED")).to_have_text("NOT_SHARED")
            await docs.get_by_role("link", name="phone", exact=True).click()
            for text in ("联系电话", "CONDITIONAL", "Art. 11(3)", "共享条件", "10个工作日内答复"):
                await expect(docs).to_contain_text(text)
            await expect(opened.page.locator(".share-mark-UNCONDITIONAL")).to_have_count(2)
            lines = await opened.editor_text()
            assert re.search(r"\bname\s+无条件共享", lines)
            assert re.search(r"\bhousehold\s+不予共享", lines)


async def test_the_schema_is_one_lean_introspection(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await expect(opened.page.locator(DOCS)).to_contain_text("PopulationData")
            await opened.page.get_by_role("tab", name="民政厅查居民电话").click()
            await opened.run("139****0000")
        assert platform.operations() == ["WorkbenchOutline", "WorkbenchSchema", "Allowance"]
        introspection = platform.requests[1].body["query"]
        assert "args {" in introspection
        assert "args(includeDeprecated: true)" not in introspection
        assert "inputFields(includeDeprecated: true)" not in introspection


async def test_a_token_is_renewed_before_it_expires_and_after_a_refusal(browser: Browser) -> None:
    with Platform(SCHEMA, token_life=3.0) as platform:
        # Chromium logs the refused request
        async with visit(browser, platform, quiet=False) as opened:
            await expect(opened.page.locator(DOCS)).to_contain_text("PopulationData")
            await until(lambda: len(platform.issued) >= 3)
            platform.refuse_next = 1
            before = len(platform.issued)
            await opened.run("马晓燕")
            assert len(platform.issued) > before


async def test_a_refused_request_is_repeated_as_the_department_that_asked(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        # Chromium logs the refused request
        async with visit(browser, platform, quiet=False) as opened:
            page = opened.page
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")
            async with late_answers(opened, "Bearer demo-1") as held:
                platform.refuse_next = 1
                await page.locator(RUN).click()
                await until(lambda: len(held) == 1)
                await page.select_option("select[name=department]", "civil-affairs")
                await until(lambda: platform.issued[-1]["department"] == "civil-affairs")
            await opened.expect_result("马晓燕")
            assert [who["department"] for who in platform.issued] == ["taxation", "civil-affairs", "taxation"]
            assert platform.requests[-1].department == "taxation"


async def test_the_page_is_english_where_the_browser_is(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform, locale="en-US") as opened:
            page = opened.page
            await expect(page.locator(".brand")).to_contain_text("Tanglai workbench")
            await expect(page.locator(".graphiql-editor-tools")).to_contain_text("Variables")
            await opened.run("马晓燕")
            await expect(page.locator(DENIALS).first).to_contain_text("needs a grant")
            await expect(page.locator(DENIALS).first).to_contain_text("Data Resources, Art. 11(3)")
            assert platform.requests[-1].language.startswith("en")
            await page.get_by_role("button", name="中文").click()
            await expect(page.locator(".brand")).to_contain_text("唐徕工作台")
            await expect(page.locator(".graphiql-editor-tools")).to_contain_text("变量")
            await page.reload()
            await expect(page.locator(".brand")).to_contain_text("唐徕工作台")
            assert await page.evaluate("document.documentElement.lang") == "zh-CN"


async def test_the_keyboard_is_enough(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")
            await page.keyboard.press("Tab")
            await expect(page.locator(".skip")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(page.locator(".graphiql-query-editor .graphiql-editor")).to_be_focused()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Control+Enter")
            await opened.expect_result("马晓燕")
            await page.keyboard.press("Escape")
            await expect(page.locator(".graphiql-query-editor .graphiql-editor")).to_be_focused()
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.closest('.monaco-editor')") is None


async def test_dialogs_menus_and_hints_keep_to_the_policy(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")
            for button in ("快捷键", "设置"):
                await page.locator(f".graphiql-sidebar [aria-label='{button}']").click()
                await expect(page.get_by_role("dialog")).to_contain_text(button)
                assert await page.get_by_role("dialog").locator("a[href^=http]").count() == 0
                await page.keyboard.press("Escape")
                await expect(page.get_by_role("dialog")).to_have_count(0)
            await page.locator(".graphiql-query-editor .view-line", has_text="# ").click(button="right")
            await expect(page.locator(".monaco-menu")).to_contain_text("运行查询")
            # a menu takes no click in its first moments
            await page.wait_for_timeout(500)
            await page.locator(".monaco-menu").get_by_text("运行查询").click()
            await opened.expect_result("马晓燕")
            await opened.type_query("{ data { population { residents { nodes { } } } } }")
            for _ in range(len(" } } } } }")):
                await page.keyboard.press("ArrowLeft")
            await page.keyboard.type("ph")
            await expect(page.locator(".suggest-widget")).to_contain_text("phone")
            await expect(page.locator(".suggest-details")).to_contain_text("联系电话")


async def test_a_subscription_runs_over_an_event_stream(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await opened.type_query("subscription Ticks { ticks(count: 3) }")
            await opened.run('"ticks": 2')
            await expect(opened.page.locator("button.graphiql-execute-button")).to_have_attribute(
                "aria-label", "运行查询 (Ctrl-Enter)"
            )


async def test_a_table_is_taken_home(browser: Browser, tmp_path: Path) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await opened.type_query(
                "query Names { data { population { residents(first: 6) { nodes { name idNumber phone } } } } }"
            )
            await opened.run("马晓燕")
            async with opened.page.expect_download() as waiting:
                await opened.page.get_by_role("button", name="下载表格").click()
            download = await waiting.value
            await download.save_as(tmp_path / "table.csv")
            assert download.suggested_filename == "Names.csv"
        text = (tmp_path / "table.csv").read_bytes().decode("utf-8-sig")
        lines = text.split("\r\n")
        assert lines[0] == "name,idNumber,phone"
        assert lines[1].startswith("马晓燕,64010")
        assert lines[6].startswith("'=1+1,")


async def test_prettify_keeps_comments_and_formats_variables(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await expect(opened.page.locator(DOCS)).to_contain_text("PopulationData")
            await opened.type_query("# 注释\nquery Q{me{department{name}}}")
            await opened.page.locator(".graphiql-toolbar [aria-label^='整理格式']").click()
            await expect(opened.page.locator(".graphiql-query-editor .view-line").nth(2)).to_contain_text("me")
            assert "# 注释" in await opened.editor_text()


async def test_a_page_error_of_the_server_is_told(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform, quiet=False) as opened:
            await opened.page.route("**/graphql", lambda route: route.fulfill(status=502, body="<html>"))
            await opened.page.locator("button.graphiql-execute-button").click()
            await expect(opened.page.locator(RESULT)).to_contain_text("HTTP 502")
