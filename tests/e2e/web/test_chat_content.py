"""Chat page in Chromium: links, files, announcements, long names, right-to-left text, and many rooms."""

from collections.abc import Awaitable, Callable

from playwright.async_api import Browser, Page, expect

from rtserver.config.dev_secret import page_key
from tests.e2e.web.tabs import PHONE, Tabs, live, message, say
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

Clients = Callable[..., Awaitable[JsClient]]
LONG = "Maximiliane" * 18
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


async def fits(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = "nodes => nodes.filter((node) => node.getBoundingClientRect().right > innerWidth).length"
    boxes = ".text, .byline, .attachment, .attachment a, .heading h1, #room-list .side-item, #room-list .name"
    assert await page.locator(boxes).evaluate_all(wide) == 0


async def test_links_are_safe_and_texts_keep_their_direction(tabs: Tabs, development: RtServer, js: Clients) -> None:
    mallory = await js(development.url, "/chat", token=development.token("mallory", LONG))
    await mallory.call("join", {"room": "general"})
    alice = await tabs.chat("alice", viewport=PHONE)
    texts = {
        "See https://example.com/a_(b)?q=1&r=2. And more": ["https://example.com/a_(b)?q=1&r=2"],
        "(http://example.com), <https://example.org/x>": ["http://example.com/", "https://example.org/x"],
        "javascript:alert(1) data:text/html,x ftp://example.com //example.com http:// https://": [],
        'https://example.com/"onmouseover="alert(1) https://example.com/<b>': ["https://example.com/"] * 2,
        "https://example.com/\u202emoc.live": ["https://example.com/"],
        "שלום @alice https://example.com/שלום": ["https://example.com/%D7%A9%D7%9C%D7%95%D7%9D"],
    }
    for text, links in texts.items():
        assert (await mallory.call("message", {"room": "general", "text": text}))["ok"]
        row = alice.locator(".message").last
        await expect(row.locator(".text")).to_have_text(text)
        found = await row.locator("a").evaluate_all(
            "(links) => links.map(({ href, rel, target }) => [href, rel, target])"
        )
        assert found == [[link, "noopener noreferrer nofollow", "_blank"] for link in links], text
    await expect(alice.locator(".message .mention.me")).to_have_text("@alice")
    await expect(alice.locator(".message .text").last).to_have_css("direction", "rtl")
    await fits(alice)


async def test_rooms_are_found_among_a_hundred_and_unread_ones_show_on_a_phone(
    tabs: Tabs, development: RtServer, js: Clients
) -> None:
    alice_client = await js(development.url, "/chat", token=development.token("alice", "Alice"))
    bob = await js(development.url, "/chat", token=development.token("bob", "Bob"))
    rooms = ["general", *(f"room-{number:03}" for number in range(60)), "l" * 200, "חדשות"]
    for room in rooms:
        await alice_client.call("join", {"room": room})
    await bob.call("join", {"room": "room-042"})
    await bob.call("join", {"room": "l" * 200})
    alice = await tabs.open("/chat?user=alice#general", PHONE)
    await live(alice)
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# general")
    await bob.call("message", {"room": "room-042", "text": "Over here"})
    menu = alice.get_by_role("button", name="Show conversations, 1 unread")
    await expect(menu.locator(".badge")).to_have_text("1")
    await expect(alice).to_have_title("(1) general · rtserver")
    await bob.call("message", {"room": "l" * 200, "text": "And here"})
    await alice.get_by_role("button", name="Show conversations, 2 unread").click()
    await expect(alice.locator("#room-list .name").nth(0)).to_contain_text("l" * 200)
    await expect(alice.locator("#room-list .name").nth(1)).to_contain_text("room-042")
    await fits(alice)
    await alice.get_by_role("searchbox", name="Filter conversations").fill("M-04")
    await expect(alice.locator("#room-list li")).to_have_count(10)
    await alice.get_by_role("searchbox", name="Filter conversations").fill("nowhere")
    await expect(alice.get_by_text("Nothing of this name.")).to_be_visible()
    await alice.get_by_role("searchbox", name="Filter conversations").fill("llll")
    await alice.locator("#room-list button").click()
    await expect(message(alice, "And here")).to_be_visible()
    assert await alice.locator("#text").evaluate("(box) => box.clientHeight") < 50  # one line for the name too
    await fits(alice)


async def test_files_show_in_place_and_announcements_on_every_page(
    server: Callable[..., Awaitable[RtServer]], browser: Browser, js: Clients
) -> None:
    running = await server(MODE="development", UPLOAD_LIMIT="2000")
    tabs = Tabs(browser, running.url, page_key(running.secret))
    alice, bob = await tabs.chat("alice", viewport=PHONE), await tabs.chat("bob")
    pictures = {"name": "cat.png", "mimeType": "image/png", "buffer": PIXEL}
    await expect(alice.get_by_role("button", name="Attach files")).to_be_visible()
    await alice.locator("#file").set_input_files([pictures])  # type: ignore[list-item]
    for page in (alice, bob):
        await expect(page.get_by_role("img", name="cat.png")).to_be_visible()
        assert (
            await page.get_by_role("img", name="cat.png").evaluate(
                "(image) => image.decode().then(() => image.naturalWidth)"
            )
            == 1
        )
    report = {"name": f"{'r' * 150}.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4" * 100}
    await alice.locator("#file").set_input_files([report])  # type: ignore[list-item]
    link = bob.locator("a.file")
    await expect(link).to_contain_text("800 byte")
    await expect(link).to_have_attribute("download", report["name"])  # type: ignore[arg-type]
    await fits(alice)
    await bob.locator("#file").set_input_files([{**pictures, "buffer": PIXEL * 100}])  # type: ignore[list-item]
    await expect(bob.get_by_text("cat.png was not sent. That is too large")).to_be_visible()
    assert all("413" in error for error in tabs.errors)
    tabs.errors.clear()
    hostile = await js(running.url, "/chat", token=running.token("mallory", "Mallory"))
    await hostile.call("join", {"room": "general"})
    data = {"attachment": {"url": "https://evil.example/x.png", "name": "x", "type": "image/png", "size": 1}}
    await hostile.call("message", {"room": "general", "text": "Look at that", "data": data})
    await expect(message(alice, "Look at that").locator("img, a")).to_have_count(0)

    inbox, admin = await tabs.open("/notifications?user=carol", PHONE), await tabs.open("/admin/")
    await live(inbox)
    await inbox.evaluate("scrollTo(0, document.body.scrollHeight)")
    await admin.get_by_label("/notifications", exact=True).check()  # the chat page is in both, and shows it once
    await admin.get_by_label("Data (JSON)").fill('{"text": "Back at https://example.com/ <b>soon</b>"}')
    await admin.get_by_role("button", name="Announce", exact=True).click()
    for page in (alice, bob, inbox):
        strip = page.get_by_role("alert").filter(has_text="Back at https://example.com/ <b>soon</b>")
        await expect(strip).to_be_in_viewport()
        await expect(strip.get_by_role("link")).to_have_attribute("href", "https://example.com/")
        await strip.get_by_role("button", name="Close the announcement").click()
        await expect(strip).to_have_count(0)
    assert tabs.errors == []


async def test_without_uploads_there_is_no_button_for_files(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    async with alice.expect_response("**/api/uploads"):
        await alice.reload()
    await live(alice)
    await say(alice, "No files here")
    await expect(alice.get_by_role("button", name="Attach files")).to_be_hidden()
