"""In charge of one visit to the workbench: its page, and everything that must not happen on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import APIResponse, Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect

from tests.browser.small_platform import Platform

EDITOR = ".graphiql-query-editor .monaco-editor"
RUN = "button.graphiql-execute-button"
RESULT = ".result-window"
DENIALS = ".denials li"
DOCS = ".graphiql-doc-explorer"

Held = tuple[Route, APIResponse]

_REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`), true)
"""

expect.set_options(timeout=15_000)  # for every test that visits the page, whichever are run


@dataclass
class Visit:
    """A page of `platform` in a fresh browser profile."""

    platform: Platform
    context: BrowserContext
    page: Page
    foreign: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._request)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.platform.url).netloc:
            self.foreign.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium notes every failed request; that there is no demo is told in no other way
        expected = message.location["url"].endswith("/demo/session") and not self.platform.demo
        if message.type in ("error", "warning") and not expected:
            self.problems.append(message.text)

    async def open(self) -> None:
        """Loads the page and waits for the editor and the documentation."""
        await self.page.goto(self.platform.url)
        await self.page.locator(EDITOR).first.wait_for()

    async def type_query(self, text: str) -> None:
        """Replaces the text of the query editor, as a person would."""
        await self.page.locator(EDITOR).first.click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.press("Delete")
        await self.page.keyboard.insert_text(text)

    async def run(self, must: str) -> None:
        """Presses the button and waits until the result has `must`."""
        await self.page.locator(RUN).click()
        await self.expect_result(must)

    async def expect_result(self, must: str) -> None:
        await expect(self.page.locator(RESULT)).to_contain_text(must)

    async def editor_text(self) -> str:
        """The query as the editor shows it, with the marks of share classes."""
        text = await self.page.locator(f"{EDITOR} .view-lines").first.inner_text()
        return text.replace("\u00a0", " ")

    async def storage(self, kind: Literal["localStorage", "sessionStorage"]) -> dict[str, Any]:
        stored: dict[str, Any] = await self.page.evaluate(f"({{...{kind}}})")
        return stored


@asynccontextmanager
async def late_answers(visited: Visit, authorization: str) -> AsyncIterator[list[Held]]:
    """Holds back what the server answers to requests of the page with this header; on leaving, the page gets it."""
    held: list[Held] = []

    async def handle(route: Route) -> None:
        if route.request.headers.get("authorization") == authorization:
            held.append((route, await route.fetch()))
        else:
            await route.continue_()

    await visited.page.route("**/graphql", handle)
    try:
        yield held
    finally:
        for route, response in held:
            await route.fulfill(response=response)
        await visited.page.unroute("**/graphql", handle)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds, at most 20 seconds."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


@asynccontextmanager
async def visit(browser: Browser, platform: Platform, *, quiet: bool = True, **profile: Any) -> AsyncIterator[Visit]:
    """Opens the workbench; on leaving, nothing must have gone elsewhere and (`quiet`) no error may have been logged."""
    options = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 720}, **profile}
    context = await browser.new_context(**options)
    context.set_default_timeout(20_000)
    try:
        await context.add_init_script(_REPORT_VIOLATIONS)
        visited = Visit(platform, context, await context.new_page())
        await visited.open()
        yield visited
        assert visited.foreign == []
        assert not quiet or visited.problems == [], visited.problems
    finally:
        await context.close()
