"""Chat page in Chromium, with a tab for each of two users."""

from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, Page, expect

from tests.e2e.web.held_answers import HeldAnswers
from tests.e2e.web.tabs import PHONE, Tabs, live, message, say
from tests.support.eventually import eventually
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

Clients = Callable[..., Awaitable[JsClient]]


def conversation(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Conversations").get_by_role("button", name=name)


async def join(page: Page, room: str) -> None:
    await page.get_by_role("button", name="Join or create a room").click()
    await page.get_by_label("Room name").fill(room)
    await page.get_by_label("Room name").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"# {room}")


async def test_a_message_typed_in_one_tab_shows_in_the_other(tabs: Tabs) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")

    await say(alice, "Hello from Alice")
    await expect(message(bob, "Hello from Alice").locator("strong")).to_have_text("Alice")
    await say(bob, "Hello back")
    await expect(message(alice, "Hello back")).to_be_visible()


async def test_the_typing_line_appears_and_disappears(tabs: Tabs) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")

    await alice.get_by_role("textbox", name="Message to").press_sequentially("Well")
    await expect(bob.locator("#typing")).to_have_text("Alice is typing")
    await alice.keyboard.press("Enter")
    await expect(bob.locator("#typing")).to_be_empty()


async def test_a_message_in_another_room_raises_its_badge_until_it_is_opened(tabs: Tabs) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")
    await join(bob, "releases")
    await conversation(bob, "general").click()
    await join(alice, "releases")

    await say(alice, "0.1.0 is out")
    await expect(conversation(bob, "releases").locator(".badge")).to_have_text("1")
    await expect(bob).to_have_title("(1) general · rtserver")
    await conversation(bob, "releases").click()
    await expect(message(bob, "0.1.0 is out")).to_be_visible()
    await expect(conversation(bob, "releases").locator(".badge")).to_have_count(0)
    await expect(alice.get_by_text("Seen by Bob")).to_be_visible()


async def test_events_during_a_join_are_not_lost(tabs: Tabs) -> None:
    answers, context = HeldAnswers("/chat"), await tabs.context()
    await answers.intercept(context)
    alice = await tabs.open_in(context, "/chat?user=alice#general")
    await expect(alice.locator("#status")).to_contain_text("websocket")
    await expect(alice.get_by_text("Loading", exact=True)).to_have_count(0)
    answers.holding = True
    await alice.get_by_role("button", name="Join or create a room").click()
    await alice.get_by_label("Room name").fill("late")
    await alice.get_by_label("Room name").press("Enter")
    await eventually(lambda: answers.held)

    bob = await tabs.chat("bob", "late")
    await say(bob, "Too early for Alice?")
    await eventually(lambda: "Too early" in "".join(answers.passed))
    answers.release()
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# late")
    await expect(message(alice, "Too early for Alice?")).to_be_visible()
    await expect(alice.locator("#subtitle")).to_have_text("2 members, 2 online")


async def test_a_direct_message_arrives_without_a_join(tabs: Tabs) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")

    await conversation(alice, "Bob").click()
    await say(alice, "Between you and me")
    await expect(conversation(bob, "Alice").locator(".badge")).to_have_text("1")
    await conversation(bob, "Alice").click()
    await expect(message(bob, "Between you and me")).to_be_visible()


async def test_presence_follows_connects_and_disconnects(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")
    members = alice.get_by_role("complementary", name="Members")

    bob = await tabs.chat("bob")
    await expect(members.get_by_text("Bob (online)")).to_be_visible()
    await bob.close()
    await expect(members.get_by_text("Bob (offline)")).to_be_visible()


async def test_markup_in_a_message_shows_as_text(tabs: Tabs) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")
    hostile = "<img src=x onerror=alert(1)>"

    await say(alice, hostile)
    await expect(message(bob, hostile)).to_be_visible()
    assert await bob.locator(".message img").count() == 0


async def test_older_messages_load_when_scrolling_up(tabs: Tabs, development: RtServer, js: Clients) -> None:
    writer = await js(development.url, "/chat", token=development.token("carol", "Carol"))
    await writer.call("join", {"room": "general"})
    for number in range(1, 81):
        await writer.call("message", {"room": "general", "text": f"Message {number}"})
    alice = await tabs.chat("alice")

    await expect(message(alice, "Message 80")).to_be_in_viewport()
    await expect(message(alice, "Message 1")).to_have_count(0)
    await alice.get_by_role("region", name="general").focus()
    await alice.keyboard.press("Home")
    await expect(message(alice, "Message 1")).to_be_attached()
    await expect(alice.get_by_text("The beginning of this room")).to_be_attached()
    texts = await alice.locator(".message .text").all_text_contents()
    assert texts == [f"Message {number}" for number in range(1, 81)]


async def test_messages_written_offline_are_sent_after_the_reconnect(tabs: Tabs, development: RtServer) -> None:
    alice, bob = await tabs.chat("alice"), await tabs.chat("bob")
    await say(alice, "Before")
    await expect(message(bob, "Before")).to_be_visible()

    await development.kill()
    await expect(alice.locator("#banner")).to_contain_text("The connection is lost")
    await alice.get_by_role("textbox", name="Message to").fill("Written offline")
    await alice.keyboard.press("Enter")
    await expect(message(alice, "Written offline")).to_contain_text("Waiting to be sent")
    await development.restart()

    await expect(message(alice, "Written offline")).to_have_attribute("data-state", "sent")
    await live(bob)
    await expect(message(bob, "Written offline")).to_have_count(1)
    await expect(alice.locator("#banner")).to_be_hidden()
    tabs.errors.clear()  # the browser reports each failed connection attempt


async def test_messages_missed_offline_appear_after_the_reconnect(
    tabs: Tabs, development: RtServer, js: Clients
) -> None:
    alice = await tabs.chat("alice")
    writer = await js(development.url, "/chat", token=development.token("carol", "Carol"))
    await writer.call("join", {"room": "general"})
    first = (await writer.call("message", {"room": "general", "text": "Message 0"}))["message"]
    await expect(message(alice, "Message 0")).to_be_visible()

    await alice.context.set_offline(True)
    await expect(alice.locator("#banner")).to_contain_text("The connection is lost", timeout=60_000)
    for number in range(1, 71):  # more than the page in the answer of `join`
        await writer.call("message", {"room": "general", "text": f"Message {number}"})
    assert (await writer.call("edit", {"room": "general", "id": first["id"], "text": "Corrected"}))["ok"]
    assert (await writer.call("react", {"room": "general", "id": first["id"], "emoji": "+1", "on": True}))["ok"]
    await alice.context.set_offline(False)

    await expect(message(alice, "Message 70")).to_be_visible()
    texts = await alice.locator(".message .text").all_text_contents()
    assert texts == ["Corrected (edited)", *(f"Message {number}" for number in range(1, 71))]
    await expect(alice.get_by_role("button", name="+1 1, Carol")).to_be_attached()
    tabs.errors.clear()  # the browser reports each failed connection attempt


async def test_a_rejected_message_shows_the_reason_and_can_be_retried_or_discarded(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")

    await alice.get_by_role("textbox", name="Message to").fill("\u2060")  # has no visible character
    await alice.keyboard.press("Enter")
    failed = alice.locator(".message[data-state=failed]")
    await expect(failed).to_contain_text("Not sent. The server could not accept this.")
    await failed.get_by_role("button", name="Retry").click()
    await expect(failed).to_have_count(1)
    await failed.get_by_role("button", name="Discard").click()
    await expect(failed).to_have_count(0)


async def test_a_bad_room_name_is_explained(tabs: Tabs) -> None:
    alice = await tabs.chat("alice")

    await alice.get_by_role("button", name="Join or create a room").click()
    await alice.get_by_label("Room name").fill("user:bob")
    await alice.get_by_label("Room name").press("Enter")
    await expect(alice.get_by_role("alert")).to_contain_text("reserved")


async def test_side_panels_are_drawers_on_a_phone(tabs: Tabs) -> None:
    alice = await tabs.chat("alice", viewport=PHONE)

    await expect(conversation(alice, "Bob")).to_be_hidden()
    await alice.get_by_role("button", name="Show conversations").click()
    await conversation(alice, "Bob").click()
    await expect(alice.get_by_role("heading", level=1)).to_have_text("Bob")
    await expect(conversation(alice, "Bob")).to_be_hidden()
    await say(alice, "From the phone")


async def test_a_tab_without_a_user_asks_for_one(tabs: Tabs) -> None:
    page = await tabs.open("/chat")

    await page.get_by_role("dialog", name="Who are you?").get_by_role("button", name="Carol").click()
    await live(page)
    assert page.url.partition("#")[0].endswith("/chat?user=carol")


async def test_a_missing_client_build_is_explained(tabs: Tabs) -> None:
    context = await tabs.context()
    await context.route("**/socket.io.esm.min.js", lambda route: route.fulfill(status=404))
    page = await tabs.open_in(context, "/chat?user=alice")

    await expect(page.locator("#banner")).to_contain_text("make setup")
    assert all("404" in error for error in tabs.errors)
    tabs.errors.clear()
