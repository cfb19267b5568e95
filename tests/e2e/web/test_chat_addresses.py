"""Chat page in Chromium: addresses of rooms that cannot be, or that the user is not in, and the choice of a user."""

from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.e2e.web.tabs import Tabs, live, say
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

Clients = Callable[..., Awaitable[JsClient]]


async def test_a_link_makes_no_room_unasked(tabs: Tabs, development: RtServer, js: Clients) -> None:
    alice = await tabs.open("/chat?user=alice#nope")
    question = alice.get_by_role("dialog", name="Join # nope?")
    await expect(question).to_be_visible()
    await alice.keyboard.press("Escape")
    await expect(question).to_have_count(0)
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# general")
    client = await js(development.url, "/chat", token=development.token("alice"))
    assert [room["room"] for room in (await client.call("rooms", {}))["rooms"]] == ["general"]

    await alice.evaluate("location.hash = '#nope'")
    await question.get_by_role("button", name="Cancel").click()
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# general")
    await alice.evaluate("location.hash = '#team/%D7%A9'")
    await alice.get_by_role("dialog", name="Join # team/ש?").get_by_role("button", name="Join").click()
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# team/ש")
    await expect(alice).to_have_url(development.url + "/chat?user=alice#team%2F%D7%A9")

    for hostile in ("#%", "#%E0%A4%A", "#a%20b", "#user:bob", "#dm:bob:carol", "#@", "#" + "x" * 201, "#<img src=x>"):
        await alice.goto("about:blank")
        await alice.goto(f"{development.url}/chat?user=alice{hostile}")
        await live(alice)
        await expect(alice.get_by_role("heading", level=1)).to_have_text("# general")
    await expect(alice.get_by_text("names no room that can exist").last).to_be_visible()
    await say(alice, "Still alive")


async def test_the_question_for_the_user_stays_until_it_is_answered(tabs: Tabs) -> None:
    page = await tabs.open("/chat#general")
    question = page.get_by_role("dialog", name="Who are you?")
    for _ in range(4):
        await page.keyboard.press("Escape")
        await expect(question).to_be_visible()
    await question.get_by_role("button", name="Carol").click()
    await live(page)
    await say(page, "Here I am")


async def test_deleting_and_leaving_ask_first(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    await say(alice, "Keep me")
    row = alice.locator(".message").filter(has_text="Keep me")
    await row.hover()
    await row.get_by_role("button", name="Delete").click()
    await alice.get_by_role("dialog", name="Delete this message?").get_by_role("button", name="Cancel").click()
    await expect(row).to_be_visible()
    await alice.get_by_role("button", name="Leave this room").click()
    leave = alice.get_by_role("dialog", name="Leave # general?")
    await leave.get_by_role("button", name="Cancel").click()
    await expect(row).to_be_visible()
    await alice.get_by_role("button", name="Leave this room").click()
    await leave.get_by_role("button", name="Leave").click()
    await expect(alice.get_by_text("You left # general.")).to_be_visible()
