"""The workbench on a catalogue whose introspection would be tens of megabytes: only what is looked at is loaded."""

from playwright.async_api import Browser, expect

from tests.browser.region import big_schema
from tests.browser.small_platform import Platform
from tests.browser.visit import DOCS, until, visit

SCHEMA = big_schema(groups=6, resources=60)


async def test_types_are_loaded_as_the_query_and_the_reader_come_to_them(browser: Browser) -> None:
    assert len(SCHEMA.type_map) > 2_500
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            docs = page.locator(DOCS)
            await expect(docs).to_contain_text("G3Data")
            await expect(page.locator(".partial")).to_contain_text("按需载入")
            await opened.type_query("{ data { g3 { r7(first: 2) { nodes { id amount } } } } }")
            await expect(page.locator(".share-mark-UNCONDITIONAL")).to_have_count(1)
            await expect(page.locator(".share-mark-CONDITIONAL")).to_have_count(1)
            await expect(page.locator(".graphiql-query-editor .squiggly-error")).to_have_count(0)
            await docs.get_by_text("G5Data").click()
            await expect(docs).to_contain_text("G5R59Connection")
            await docs.get_by_text("G5R59Connection").click()
            await docs.get_by_role("link", name="G5R59", exact=True).click()
            await expect(docs.locator(".share-CONDITIONAL")).to_be_visible()
        assert "WorkbenchSchema" not in platform.operations()
        asked = "".join(seen.body["query"] for seen in platform.requests)
        loaded = asked.count("__type(name:")
        assert 10 < loaded < 60
        assert platform.operations().count("WorkbenchOutline") == 1


async def test_fields_are_offered_while_the_query_is_half_typed(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await expect(page.locator(DOCS)).to_contain_text("G3Data")
            await opened.type_query("{ data { g2 {  } } }")
            for _ in range(len(" } } }")):
                await page.keyboard.press("ArrowLeft")
            await until(lambda: any('"G2Data"' in seen.body["query"] for seen in platform.requests))
            # the language worker restarts with the larger schema
            await page.wait_for_timeout(1_000)
            await page.keyboard.type("r4")
            await page.keyboard.press("Control+Space")
            await expect(page.locator(".suggest-widget")).to_contain_text("r42")


async def test_fetching_anew_starts_from_the_outline(browser: Browser) -> None:
    with Platform(SCHEMA) as platform:
        async with visit(browser, platform) as opened:
            await expect(opened.page.locator(DOCS)).to_contain_text("G3Data")
            await opened.page.locator(".graphiql-sidebar [aria-label^='重新载入目录']").click()
            await until(lambda: platform.operations().count("WorkbenchOutline") == 2)
            await expect(opened.page.locator(DOCS)).to_contain_text("G3Data")
