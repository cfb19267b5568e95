"""Browser tabs of the demo pages that record every error of the browser."""

from playwright.async_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 720}

expect.set_options(timeout=15_000)

# A script or style blocked by the content security policy becomes a console error.
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP blocks ${event.violatedDirective}: ${event.blockedURI}`));
"""


class Tabs:
    """Each `open` is a browser of its own. `errors` has console errors, exceptions, CSP violations and dialogs."""

    def __init__(self, browser: Browser, url: str, key: str | None = None) -> None:
        """`key`: that of the pages, as if the link with it had been opened before."""
        self._browser = browser
        self._url = url
        self._key = key
        self.errors: list[str] = []

    async def context(self, viewport: ViewportSize = DESKTOP) -> BrowserContext:
        context = await self._browser.new_context(viewport=viewport)
        await context.add_init_script(_REPORT_VIOLATIONS)
        if self._key is not None:
            store = f"localStorage.setItem('rtserver.page-key', '{self._key}')"
            await context.add_init_script(f"if (location.host) {store}")  # about:blank has no storage
        return context

    async def open(self, path: str, viewport: ViewportSize = DESKTOP) -> Page:
        return await self.open_in(await self.context(viewport), path)

    async def open_in(self, context: BrowserContext, path: str) -> Page:
        page = await context.new_page()
        page.on("console", lambda line: self._on_console(line.type, line.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))
        await page.goto(self._url + path)
        return page

    def _on_console(self, kind: str, text: str) -> None:
        if kind == "error":
            self.errors.append(text)

    async def chat(self, user: str, room: str = "general", viewport: ViewportSize = DESKTOP) -> Page:
        """The chat page of `user`, connected and with `room` open."""
        page = await self.open(f"/chat?user={user}#{room}", viewport)
        await live(page)
        if room != "general":  # a link to a room that the user is not in asks first
            await page.get_by_role("dialog", name=f"Join # {room}?").get_by_role("button", name="Join").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(room)
        await expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        return page


async def live(page: Page) -> None:
    await expect(page.locator("#status .lamp")).to_have_attribute("data-state", "online")


async def say(page: Page, text: str) -> None:
    """Type and send a message, and wait until the server has confirmed it."""
    await page.get_by_role("textbox", name="Message to").fill(text)
    await page.keyboard.press("Enter")
    await expect(message(page, text)).to_have_attribute("data-state", "sent")


def message(page: Page, text: str) -> Locator:
    return page.locator(".message").filter(has=page.locator(".text").get_by_text(text, exact=True))
