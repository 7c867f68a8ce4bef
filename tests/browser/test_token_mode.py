"""The workbench in production: a pasted token, kept in this browser tab alone."""

import base64
import json
import time

from playwright.async_api import Browser, expect

from tests.browser.region import small_schema
from tests.browser.small_platform import Platform
from tests.browser.visit import DOCS, Visit, late_answers, until, visit

SCHEMA = small_schema()


def _token(purposes: list[str], department: str = "11640000MB0163372Q") -> str:
    """A token as an identity provider would issue it; the small platform knows it as a whole."""
    claims = {"dept": department, "client_id": "desk-7", "purpose": purposes, "exp": int(time.time()) + 3600}
    parts = [{"alg": "ES256"}, claims, {}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


async def _paste(opened: Visit, token: str) -> None:
    await opened.page.fill("#token", token)
    await opened.page.keyboard.press("Enter")


async def test_a_pasted_token_works_and_stays_in_the_tab(browser: Browser) -> None:
    token = _token(["tax-assessment", "audit"])
    with Platform(SCHEMA, demo=False, tokens={token: "taxation"}) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await expect(page.locator(DOCS)).to_contain_text("粘贴令牌")
            assert platform.operations() == []
            await _paste(opened, f"Bearer {token} ")
            await expect(page.locator(".who-name")).to_contain_text("自治区税务局")
            await expect(page.locator(".who-name")).to_contain_text("desk-7")
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")
            await opened.run("居民基本信息")
            assert [seen.purpose for seen in platform.requests] == [None] * len(platform.requests)
            # The former answer is still on the page: what tells the next one is its request.
            async with page.expect_response(lambda response: response.request.headers.get("purpose") == "audit"):
                await page.select_option("select[name=purpose]", "audit")
                await opened.run("居民基本信息")
            assert platform.requests[-1].purpose == "audit"
            await page.reload()
            await expect(page.locator(".who-name")).to_contain_text("自治区税务局")
            await expect(page.locator("select[name=purpose]")).to_have_value("audit")
            assert (await opened.storage("sessionStorage"))["tanglai:token"] == token
            assert token not in json.dumps(await opened.storage("localStorage"))
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")  # what is under way would be cut off
            await page.get_by_role("button", name="更换令牌").click()
            await expect(page.locator("#token")).to_be_visible()
            assert token not in json.dumps(await opened.storage("sessionStorage"))


async def test_a_token_in_the_headers_editor_wins_and_is_never_stored(browser: Browser) -> None:
    with Platform(SCHEMA, demo=False, tokens={"typed-by-hand": "civil-affairs"}) as platform:
        async with visit(browser, platform) as opened:
            page = opened.page
            await page.locator("[data-name=headers]").click()
            await page.locator(".graphiql-editor-tool .monaco-editor:visible").first.click()
            await page.keyboard.insert_text(json.dumps({"authorization": "Bearer typed-by-hand"}))
            await opened.run("居民基本信息")
            assert platform.requests[-1].department == "civil-affairs"
            await page.locator(".graphiql-sidebar [aria-label='打开 历史记录']").click()
            await expect(page.locator(".graphiql-history-items")).to_contain_text("Catalogue")
            # GraphiQL writes with a delay of half a second
            await page.wait_for_timeout(1_000)
            stored = json.dumps(await opened.storage("localStorage"))
            assert "graphiql:queries" in stored
            assert "graphiql:tabState" in stored
            assert "typed-by-hand" not in stored
            await page.reload()
            await expect(page.get_by_role("tab")).to_have_count(1)


async def test_a_refused_token_is_told_and_another_one_helps(browser: Browser) -> None:
    good = _token([])
    with Platform(SCHEMA, demo=False, tokens={good: "taxation"}) as platform:
        # Chromium logs the refused requests
        async with visit(browser, platform, quiet=False) as opened:
            page = opened.page
            await _paste(opened, "nonsense")
            await expect(page.locator(".problem")).to_contain_text("不接受")
            await page.get_by_role("button", name="更换令牌").click()
            await _paste(opened, good)
            await expect(page.locator(".problem")).to_have_count(0)
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")
            await opened.run("居民基本信息")


async def test_a_late_refusal_of_the_former_token_is_not_told_of_the_new_one(browser: Browser) -> None:
    good = _token([])
    with Platform(SCHEMA, demo=False, tokens={good: "taxation"}) as platform:
        # Chromium logs the refused requests
        async with visit(browser, platform, quiet=False) as opened:
            page = opened.page
            async with late_answers(opened, "Bearer nonsense") as held:
                await _paste(opened, "nonsense")
                await until(lambda: len(held) == 2)  # the department's name and the schema
                await page.get_by_role("button", name="更换令牌").click()
                await _paste(opened, good)
                await expect(page.locator(".who-name")).to_contain_text("自治区税务局")
            await expect(page.locator(DOCS)).to_contain_text("PopulationData")  # asked after the late answer
            assert await page.locator(".problem").count() == 0
            await opened.run("居民基本信息")


async def test_without_a_token_the_servers_refusal_is_shown(browser: Browser) -> None:
    with Platform(SCHEMA, demo=False) as platform:
        async with visit(browser, platform, quiet=False) as opened:
            await opened.run("UNAUTHENTICATED")
            await expect(opened.page.locator(".failures")).to_contain_text("UNAUTHENTICATED")
