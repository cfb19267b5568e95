"""Chat page in Chromium: what a user wrote outlives a lost server and a reload, and is sent once."""

from playwright.async_api import expect

from tests.e2e.web.held_answers import HeldAnswers
from tests.e2e.web.tabs import PHONE, Tabs, live, message, say
from tests.support.eventually import eventually
from tests.support.rtserver_process import RtServer

ICONS_WITHOUT_SHAPE = """() => [...document.querySelectorAll("svg.icon")]
  .filter((icon) => icon.checkVisibility() && icon.getBBox().width === 0).length"""


async def test_drafts_and_unsent_messages_outlive_the_page(tabs: Tabs, development: RtServer) -> None:
    context = await tabs.context(PHONE)
    alice = await tabs.open_in(context, "/chat?user=alice#general")
    await expect(alice.locator("#subtitle")).to_contain_text("1 member")
    box = alice.get_by_role("textbox", name="Message to")
    await alice.get_by_role("button", name="Show conversations").click()
    await alice.get_by_role("navigation", name="Conversations").get_by_role("button", name="Bob").click()
    await box.fill("A draft for Bob")
    await alice.go_back()
    await expect(alice.get_by_role("heading", level=1)).to_have_text("# general")
    await say(alice, "Before")

    await development.kill()
    await expect(alice.locator("#banner")).to_contain_text("The connection is lost")
    for text in ("First", "Second"):
        await box.fill(text)
        await alice.get_by_role("button", name="Send").click()
        await expect(message(alice, text)).to_contain_text("Waiting to be sent")
    await box.fill("Half a sen")
    assert await alice.evaluate(ICONS_WITHOUT_SHAPE) == 0
    await alice.close()
    await development.restart()

    again = await tabs.open_in(context, "/chat?user=alice#general")
    for text in ("First", "Second"):
        await expect(message(again, text)).to_have_attribute("data-state", "sent")
    assert await again.locator(".message .text").all_text_contents() == ["Before", "First", "Second"]
    box = again.get_by_role("textbox", name="Message to")
    await expect(box).to_have_value("Half a sen")
    await again.get_by_role("button", name="Show conversations").click()
    await again.get_by_role("navigation", name="Conversations").get_by_role("button", name="Bob").click()
    await expect(box).to_have_value("A draft for Bob")
    other = await tabs.open_in(context, "/chat?user=carol#general")
    await live(other)
    await expect(other.get_by_role("textbox", name="Message to general")).to_have_value("")
    tabs.errors.clear()  # the browser reports each failed connection attempt


async def test_a_message_whose_answer_was_lost_by_a_reload_is_there_once(tabs: Tabs) -> None:
    answers, context = HeldAnswers("/chat"), await tabs.context()
    await answers.intercept(context)
    bob = await tabs.chat("bob")
    alice = await tabs.open_in(context, "/chat?user=alice#general")
    await expect(alice.locator("#status")).to_contain_text("websocket")
    await expect(alice.locator("#subtitle")).to_have_text("2 members, 2 online")
    await expect(alice.get_by_text("Loading", exact=True)).to_have_count(0)
    answers.holding = True
    conversations = alice.get_by_role("navigation", name="Conversations")
    await conversations.get_by_role("button", name="Bob").click()
    await expect(alice.locator(".skeleton").first).to_be_visible()
    await expect(alice.get_by_text("Loading", exact=True)).to_be_attached()
    await conversations.get_by_role("button", name="general").click()
    await alice.get_by_role("textbox", name="Message to").fill("Only once")
    await alice.keyboard.press("Enter")
    await expect(message(bob, "Only once")).to_be_visible()
    await eventually(lambda: answers.held)
    answers.holding = False
    await alice.reload()

    await expect(message(alice, "Only once")).to_have_attribute("data-state", "sent")
    await say(alice, "And then")
    await expect(message(bob, "And then")).to_be_visible()
    for page in (alice, bob):
        assert await page.locator(".message .text").all_text_contents() == ["Only once", "And then"]
    await eventually(
        lambda: alice.evaluate("Object.keys(localStorage).filter((key) => key.includes('unsent')).length === 0")
    )
