"""Rules for all pages: no browser errors, usable on a phone, named controls; and the landing page."""

import re
from collections.abc import Awaitable, Callable

from playwright.async_api import Browser, Page, expect

from rtserver.config.dev_secret import page_key
from tests.e2e.web.tabs import PHONE, Tabs, live
from tests.support.rtserver_process import RtServer

PATHS = ["/?user=alice", "/chat?user=alice", "/notifications?user=alice", "/admin/"]
CONTROL = re.compile(r"- (button|link|textbox|checkbox|radio|combobox)\b")


async def ready(page: Page) -> None:
    """Wait until the page shows that it is connected."""
    if "/?" in page.url:
        await expect(page.locator("#vitals")).to_contain_text("Connected")
    else:
        await live(page)


async def test_no_page_scrolls_sideways_on_a_small_phone(tabs: Tabs) -> None:
    for path in PATHS:
        page = await tabs.open(path, PHONE)
        await ready(page)

        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


async def test_every_button_link_and_field_has_a_name(tabs: Tabs) -> None:
    for path in PATHS:
        page = await tabs.open(path)
        await ready(page)
        await expect(page.get_by_role("main")).to_be_visible()

        tree = await page.locator("body").aria_snapshot()
        controls = [line for line in tree.splitlines() if CONTROL.search(line)]
        assert controls, tree
        assert [line for line in controls if '"' not in line] == [], path


async def test_the_landing_page_shows_a_running_server_and_offers_users(tabs: Tabs) -> None:
    page = await tabs.open("/")

    vitals = page.locator("#vitals")
    await expect(vitals).to_contain_text("Running")
    await expect(vitals).to_contain_text("Pick a user")
    await page.get_by_role("button", name="Bob").click()
    await expect(vitals).to_contain_text("Connected")
    await page.get_by_role("link", name="Open the chat", exact=True).click()
    await live(page)
    await expect(page.get_by_text("Bob (you)")).to_be_visible()


async def test_the_link_of_the_terminal_signs_in_and_leaves_no_key_in_the_address(
    development: RtServer, browser: Browser
) -> None:
    tabs = Tabs(browser, development.url)
    context = await tabs.context()
    page = await tabs.open_in(context, "/")
    await expect(page.get_by_text("Open the link that the server printed to its terminal")).to_be_visible()
    await expect(page.get_by_label("Your token")).to_be_visible()
    page = await tabs.open_in(context, f"/#key={page_key(development.secret)}")
    await expect(page.get_by_role("button", name="Bob")).to_be_visible()
    assert page.url == f"{development.url}/"
    await live(await tabs.open_in(context, "/chat?user=alice"))
    stranger = await tabs.open("/chat")
    await expect(stranger.get_by_label("Paste your token")).to_be_visible()
    assert tabs.errors == []


async def test_the_log_of_a_server_without_a_terminal_has_no_token_and_no_key(development: RtServer) -> None:
    assert "running in development mode" in development.logs()
    assert ".ey" not in development.logs()
    assert page_key(development.secret) not in development.logs()


async def test_no_address_contains_a_token(tabs: Tabs) -> None:
    context = await tabs.context()
    addresses: list[str] = []
    context.on("request", lambda request: addresses.append(request.url))
    page = await tabs.open_in(context, "/chat?user=alice")
    await live(page)

    assert not [address for address in addresses if "eyJ" in address]


async def test_pages_connect_under_another_path(browser: Browser, server: Callable[..., Awaitable[RtServer]]) -> None:
    running = await server(MODE="development", PATH="/app/realtime")
    tabs = Tabs(browser, running.url, page_key(running.secret))
    landing = await tabs.open("/?user=alice")
    await ready(landing)
    await expect(landing.locator("#browser-code")).to_contain_text('path: "/app/realtime"')
    await live(await tabs.open("/chat?user=alice"))
    assert tabs.errors == []
