"""Actions on messages of the chat page: react, reply, edit, delete, mention, search; by mouse and keyboard."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Locator, Page, ViewportSize, expect

from tests.e2e.web.tabs import DESKTOP, PHONE, Tabs, live, message, say
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

Clients = Callable[..., Awaitable[JsClient]]
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


def row(page: Page, text: str) -> Locator:
    """The message that begins with this text."""
    return page.locator(".message").filter(has=page.locator(".text", has_text=text))


async def use(page: Page, text: str, tool: str) -> None:
    await row(page, text).hover()
    await row(page, text).get_by_role("button", name=tool, exact=True).click()


async def fits(page: Page, what: Locator, size: ViewportSize) -> None:
    box = await what.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@SIZES
async def test_both_users_see_reactions_replies_edits_and_deletions(tabs: Tabs, size: ViewportSize) -> None:
    alice, bob = await tabs.chat("alice", viewport=size), await tabs.chat("bob", viewport=size)
    await say(alice, "Lunch at noon?")
    await expect(message(bob, "Lunch at noon?")).to_be_visible()

    await use(bob, "Lunch", "React")
    await fits(bob, bob.get_by_role("group", name="Pick a reaction"), size)
    await bob.get_by_role("button", name="React with 👍").click()
    await alice.get_by_role("button", name="👍 1, Bob. React too").click()
    both = bob.get_by_role("button", name="👍 2")
    await expect(both).to_have_attribute("aria-pressed", "true")
    await both.click()
    await expect(alice.get_by_role("button", name="👍 1, you. Take yours back")).to_be_visible()

    await use(bob, "Lunch", "Reply")
    await bob.get_by_role("textbox", name="Message to").fill("I am in")
    await bob.keyboard.press("Enter")
    await expect(row(alice, "I am in").locator(".quote")).to_contain_text("Lunch at noon?")

    await use(alice, "Lunch", "Edit")
    await alice.get_by_role("textbox", name="Message to").fill("Lunch at one?")
    await alice.keyboard.press("Enter")
    await expect(row(bob, "Lunch at one?")).to_contain_text("(edited)")
    await expect(row(bob, "I am in").locator(".quote")).to_contain_text("Lunch at one?")
    await expect(row(bob, "Lunch").get_by_role("button", name="Edit")).to_have_count(0)

    await use(alice, "Lunch", "Delete")
    await alice.get_by_role("dialog", name="Delete this message?").get_by_role("button", name="Delete").click()
    await expect(bob.get_by_text("Message deleted").first).to_be_visible()
    await expect(row(bob, "Lunch")).to_have_count(0)
    await expect(row(bob, "I am in").locator(".quote")).to_have_text("Message deleted")
    await expect(alice.get_by_text("Seen by Bob")).to_have_count(0)


async def test_all_actions_work_by_keyboard_alone(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    await say(alice, "First")
    await say(alice, "Secnd")

    await alice.keyboard.press("ArrowUp")
    await expect(alice.get_by_text("Editing your message")).to_be_visible()
    await alice.keyboard.press("ControlOrMeta+a")
    await alice.keyboard.type("Second")
    await alice.keyboard.press("Enter")
    await expect(row(alice, "Second")).to_be_visible()

    await alice.keyboard.press("ArrowUp")
    await alice.keyboard.press("Escape")
    await expect(alice.get_by_text("Editing your message")).to_be_hidden()
    await expect(alice.get_by_role("textbox", name="Message to")).to_have_value("")

    await alice.keyboard.press("Shift+Tab")
    await expect(row(alice, "Second").get_by_role("button", name="React", exact=True)).to_be_focused()
    await alice.keyboard.press("ArrowUp")
    await alice.keyboard.press("Enter")
    await alice.keyboard.press("ArrowRight")
    await alice.keyboard.press("Enter")
    await expect(row(alice, "First").locator(".chip")).to_have_count(1)
    await expect(row(alice, "First").get_by_role("button", name="React", exact=True)).to_be_focused()


@SIZES
async def test_a_mention_is_completed_and_highlighted(tabs: Tabs, size: ViewportSize) -> None:
    alice, bob = await tabs.chat("alice", viewport=size), await tabs.chat("bob", viewport=size)
    await expect(alice.locator("#subtitle")).to_contain_text("2 members")

    await alice.get_by_role("textbox", name="Message to").press_sequentially("Well done @B")
    option = alice.get_by_role("option", name="Bob")
    await expect(option).to_have_attribute("aria-selected", "true")
    await fits(alice, alice.get_by_role("listbox", name="People to mention"), size)
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_role("textbox", name="Message to")).to_have_value("Well done @bob ")
    await alice.keyboard.press("Enter")

    await expect(row(bob, "Well done").locator(".mention.me")).to_have_text("@bob")
    await expect(bob.locator("#bell-words")).to_have_text(" (1 unread)")


async def test_markup_in_names_and_messages_shows_as_text(tabs: Tabs, development: RtServer, js: Clients) -> None:
    markup = "<img src=x onerror=alert(1)>"
    mallory = await js(development.url, "/chat", token=development.token("a.*(<b>", markup))
    await mallory.call("join", {"room": "general"})
    alice = await tabs.chat("alice")
    words = {"room": "general", "text": f"{markup} @alice", "mentions": ["a.*(<b>"]}
    said = (await mallory.call("message", words))["message"]
    assert (await mallory.call("react", {"room": "general", "id": said["id"], "emoji": "<b>x</b>", "on": True}))["ok"]
    answer = {"room": "general", "text": "@a.*(<b>", "replyTo": said["id"]}
    assert (await mallory.call("message", answer))["ok"]

    await expect(alice.locator(".mention.me")).to_have_text("@alice")
    await expect(alice.locator(".chip")).to_contain_text("<b>x</b>")
    await expect(alice.locator(".quote")).to_contain_text(markup)
    assert await alice.locator(".messages img, .messages b").count() == 0


async def test_search_opens_a_message_on_an_older_page(tabs: Tabs, development: RtServer, js: Clients) -> None:
    writer = await js(development.url, "/chat", token=development.token("carol", "Carol"))
    await writer.call("join", {"room": "general"})
    for number in range(1, 121):
        text = "The needle is here" if number == 3 else f"Hay {number}"
        await writer.call("message", {"room": "general", "text": text})
    alice = await tabs.chat("alice")

    await alice.get_by_role("button", name="Search messages").click()
    await alice.get_by_role("searchbox", name="Words to search for").fill("needle")
    await expect(alice.get_by_text("1 message found")).to_be_visible()
    await alice.get_by_role("button", name="The needle is here").click()
    await expect(alice.get_by_role("dialog", name="Search messages")).to_be_hidden()
    await expect(message(alice, "The needle is here")).to_be_in_viewport()
    await expect(message(alice, "Hay 120")).not_to_be_in_viewport()


async def test_changed_room_settings_show_at_once(tabs: Tabs, development: RtServer, js: Clients) -> None:
    alice = await tabs.chat("alice")
    boss = await js(development.url, "/chat", token=development.token("boss", roles=("moderator",)))
    await boss.call("join", {"room": "general"})
    assert (await boss.call("configure", {"room": "general", "readOnly": True, "meta": {"topic": "<i>News</i>"}}))["ok"]

    box = alice.get_by_role("textbox", name="Message to")
    await expect(box).not_to_be_editable()
    await expect(box).to_have_attribute("placeholder", "Only moderators write here")
    await expect(alice.locator("#subtitle")).to_contain_text("<i>News</i> · ")
    assert (await boss.call("configure", {"room": "general", "readOnly": False, "slowSeconds": 3}))["ok"]
    await expect(box).to_be_editable()
    await say(alice, "One")
    await box.fill("Two")
    await alice.keyboard.press("Enter")
    await expect(row(alice, "Two")).to_contain_text("This room is slow")
    await expect(row(alice, "Two")).to_have_attribute("data-state", "sent")


async def test_muted_alerts_stay_muted_after_a_reload(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    mute = alice.get_by_role("button", name="Mute alerts")
    await expect(mute).to_have_attribute("aria-pressed", "false")
    await mute.click()
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await alice.reload()
    await live(alice)
    await expect(mute).to_have_attribute("aria-pressed", "true")
