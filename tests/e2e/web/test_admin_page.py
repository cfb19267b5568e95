"""Admin page in Chromium."""

from collections.abc import Awaitable, Callable

from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.web.tabs import Tabs, live, say
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

Clients = Callable[..., Awaitable[JsClient]]


def tile(page: Page, title: str) -> Locator:
    return page.locator(".tile").filter(has=page.get_by_role("heading", name=title, exact=True)).locator(".value")


async def test_shows_live_numbers_and_connected_clients(tabs: Tabs) -> None:
    await tabs.chat("alice")
    admin = await tabs.open("/admin/")

    # Alice has /chat and the bell's /notifications open, the admin /admin.
    await expect(tile(admin, "Clients")).to_have_text("3")
    await expect(tile(admin, "Memory")).to_contain_text("MiB")
    await expect(admin.locator("#instances tr")).to_have_count(1)
    await admin.get_by_placeholder("user id").fill("alice")
    await expect(admin.locator("#clients tr")).to_have_count(2)
    await expect(admin.locator("#clients tr").filter(has_text="/chat")).to_contain_text("general")


async def test_a_disconnected_client_sees_a_message_and_can_reconnect(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    admin = await tabs.open("/admin/")
    row = admin.locator("#clients tr").filter(has_text="/chat")

    await row.get_by_role("button", name="Disconnect alice").click()
    dialog = admin.get_by_role("dialog", name="Disconnect")
    await dialog.get_by_label("Reason").fill("Testing the waters")
    await dialog.get_by_role("button", name="Disconnect").click()
    await expect(alice.locator("#banner")).to_contain_text("The server closed this connection")
    await expect(row).to_have_count(0)
    await expect(admin.get_by_role("log", name="Log")).to_contain_text("Testing the waters")
    await alice.get_by_role("button", name="Connect again").click()
    await live(alice)
    await say(alice, "Back again")


async def test_a_disconnect_can_be_cancelled(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    admin = await tabs.open("/admin/")

    button = admin.locator("#clients tr").filter(has_text="/chat").get_by_role("button")
    await button.click()
    await admin.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(admin.get_by_role("dialog")).to_be_hidden()
    await say(alice, "Still here")


async def test_an_announcement_reaches_the_namespace(tabs: Tabs, development: RtServer, js: Clients) -> None:
    client = await js(development.url, "/chat", token=development.token("bob"))
    admin = await tabs.open("/admin/")

    await admin.get_by_role("checkbox", name="/chat").check()
    await admin.get_by_label("Data (JSON)").fill("not json")
    await admin.get_by_role("button", name="Announce").click()
    await expect(admin.get_by_text("The data is not valid JSON.")).to_be_visible()
    await admin.get_by_label("Data (JSON)").fill('{"text": "Soon"}')
    await admin.get_by_role("button", name="Announce").click()
    assert await client.next("announcement") == [{"text": "Soon"}]
    await admin.get_by_label("Event", exact=True).fill("removeListener")
    await admin.get_by_role("button", name="Announce").click()
    await expect(admin.get_by_text("No event of this name can be announced")).to_be_visible()


async def test_production_asks_for_a_token_and_explains_a_missing_role(
    server: Callable[..., Awaitable[RtServer]], browser: Browser
) -> None:
    production = await server()
    tabs = Tabs(browser, production.url)
    page = await tabs.open("/admin/")

    await page.get_by_label("Admin token").fill("nonsense")
    await page.get_by_role("button", name="Connect").click()
    await expect(page.get_by_text("This does not look like a token")).to_be_visible()
    await page.get_by_label("Admin token").fill(production.token("alice"))
    await page.get_by_role("button", name="Connect").click()
    await expect(page.locator("#banner")).to_contain_text("not allowed in here")
    await page.get_by_label("Admin token").fill(production.token("root", "Root", roles=("admin",)))
    await page.get_by_role("button", name="Connect").click()
    await expect(tile(page, "Clients")).to_have_text("1")
    assert "token" not in page.url
    assert tabs.errors == []


async def test_an_observer_sees_clients_but_no_actions(
    server: Callable[..., Awaitable[RtServer]], browser: Browser
) -> None:
    production = await server()
    page = await Tabs(browser, production.url).open("/admin/")

    await page.get_by_label("Admin token").fill(production.token("eve", roles=("observer",)))
    await page.get_by_role("button", name="Connect").click()
    await expect(page.locator("#clients tr")).to_have_count(1)
    await expect(page.locator("#clients").get_by_role("button")).to_have_count(0)
    await expect(page.get_by_role("button", name="Announce")).to_be_disabled()
