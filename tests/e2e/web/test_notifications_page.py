"""Notifications page in Chromium, on two devices of one user."""

import json
import re
import shlex
import time
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.e2e.web.held_answers import HeldAnswers
from tests.e2e.web.tabs import DESKTOP, PHONE, Tabs, live
from tests.support.eventually import eventually
from tests.support.rtserver_process import RtServer


async def push(server: RtServer, **body: Any) -> None:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{server.url}/api/notifications", json=body) as answer,
    ):
        assert answer.status < 300, await answer.text()


async def inbox(tabs: Tabs, user: str, viewport: ViewportSize = DESKTOP) -> Page:
    page = await tabs.open(f"/notifications?user={user}", viewport)
    await live(page)
    return page


async def test_events_during_a_list_request_are_not_lost(tabs: Tabs, development: RtServer) -> None:
    for message in ("deleted soon", "was there"):
        await push(development, user="alice", type="news", message=message)
    answers, context = HeldAnswers("/notifications"), await tabs.context()
    await answers.intercept(context)
    page = await tabs.open_in(context, "/notifications?user=alice")
    await expect(page.locator("#status")).to_contain_text("websocket")
    other = await inbox(tabs, "alice")
    notes, others = page.locator(".note"), other.locator(".note")
    await expect(notes).to_have_count(2)
    answers.holding = True
    await page.get_by_role("button", name="All", exact=True).click()
    await eventually(lambda: answers.held)
    await push(development, user="alice", type="news", message="came meanwhile")
    await others.filter(has_text="deleted soon").get_by_role("button", name="Delete").click()
    await expect(notes).to_have_text([re.compile("came meanwhile"), re.compile("was there")])
    answers.release()
    await push(development, user="alice", type="news", message="came at last")  # arrives after the answer
    await expect(notes).to_have_text(list(map(re.compile, ("came at last", "came meanwhile", "was there"))))


async def test_a_pushed_notification_shows_on_both_devices_and_is_read_on_both(
    tabs: Tabs, development: RtServer
) -> None:
    laptop, phone = await inbox(tabs, "alice"), await inbox(tabs, "alice")
    message = "Order <b>1042</b> has shipped"
    await push(development, user="alice", type="order.shipped", message=message, data={"order": 1042})

    for device in (laptop, phone):
        await expect(device.locator(".note")).to_contain_text(message)
        await expect(device.locator(".note")).to_contain_text("order: 1042")
        await expect(device.locator("#big-count")).to_have_text("1")
        await expect(device).to_have_title("(1) Notifications · rtserver")
    await laptop.get_by_role("button", name="Mark as read").click()
    for device in (laptop, phone):
        await expect(device.locator(".note")).to_have_attribute("data-read", "true")
        await expect(device.locator("#big-count")).to_be_hidden()


async def test_marking_all_and_deleting_one_shows_on_both_devices(tabs: Tabs, development: RtServer) -> None:
    for number in range(3):
        await push(development, user="alice", type="note", message=f"Note {number}")
    laptop, phone = await inbox(tabs, "alice"), await inbox(tabs, "alice")
    await expect(phone.locator(".note")).to_have_count(3)

    await laptop.get_by_role("button", name="Mark all as read").click()
    await expect(phone.locator(".note[data-read=true]")).to_have_count(3)
    await laptop.locator(".note").filter(has_text="Note 1").get_by_role("button", name="Delete").click()
    for device in (laptop, phone):
        await expect(device.locator(".note-text")).to_have_text(["Note 2", "Note 0"])


async def test_the_list_can_be_filtered_by_unread(tabs: Tabs, development: RtServer) -> None:
    await push(development, user="alice", type="note", message="First")
    await push(development, user="alice", type="note", message="Second")
    page = await inbox(tabs, "alice")

    await page.locator(".note").filter(has_text="First").get_by_role("button", name="Mark as read").click()
    await page.get_by_role("button", name="Unread", exact=True).click()
    await expect(page.locator(".note-text")).to_have_text(["Unread: Second"])


async def test_the_bell_of_the_chat_page_counts_too(tabs: Tabs, development: RtServer) -> None:
    page = await tabs.chat("alice")
    await expect(page.locator("#bell-count")).to_be_hidden()

    await push(development, user="alice", type="note", message="Ring")
    await expect(page.get_by_role("link", name="Notifications (1 unread)")).to_be_visible()


async def test_one_can_push_a_notification_to_oneself_from_the_page(tabs: Tabs) -> None:
    page = await inbox(tabs, "alice")
    await page.get_by_label("Message").fill("It's <b>here</b>")
    await page.get_by_label("Type", exact=True).last.fill("parcel")
    await page.keyboard.press("Enter")
    await expect(page.locator(".note")).to_contain_text("It's <b>here</b>")
    await expect(page.locator(".toasts")).to_contain_text("Sent to alice.")
    await expect(page.locator("#push-problem")).to_be_empty()

    send = page.get_by_role("button", name="Send", exact=True)
    # With the status 503 the browser would report an error of the page.
    down = {"ok": False, "error": {"code": "unavailable", "message": "…"}}
    await page.route("**/api/notifications", lambda route: route.fulfill(json=down))
    await page.get_by_label("To", exact=True).fill(" bob ")
    await send.click()
    await expect(page.locator("#push-problem")).to_have_text("The server cannot save right now.")
    await expect(send).to_be_focused()
    await page.unroute("**/api/notifications")
    await send.press("Enter")
    await expect(page.locator(".toasts")).to_contain_text("Sent to bob.")
    await expect(page.locator("#push-problem")).to_be_empty()
    await expect(page.locator(".note")).to_have_count(1)


async def test_without_a_ready_token_there_is_only_the_command(tabs: Tabs, development: RtServer) -> None:
    page = await inbox(tabs, "alice")
    await page.route("**/dev/tokens", lambda route: route.fulfill(json=None))
    await page.evaluate("token => sessionStorage.setItem('rtserver.token', token)", development.token("alice"))
    await page.reload()
    await expect(page.locator("#command code")).to_contain_text('"user":"alice"')
    await expect(page.locator("#push-send")).to_be_hidden()


async def test_the_server_accepts_the_command_on_the_page(tabs: Tabs, development: RtServer) -> None:
    page = await inbox(tabs, "alice")
    await page.get_by_label("Message").fill('It\'s "here" & it costs $5; `whoami`')

    command = shlex.split(await page.locator("#command code").inner_text())
    words = [word for word in command if word != "\n"]
    body = json.loads(words[words.index("-d") + 1])
    assert "Authorization: Bearer $RTSERVER_API_KEY" in words
    assert words[1] == f"{development.url}/api/notifications"
    await push(development, **body)
    await expect(page.locator(".note")).to_contain_text('It\'s "here" & it costs $5; `whoami`')


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_group_grows_in_place_and_counts_once(tabs: Tabs, development: RtServer, size: ViewportSize) -> None:
    page = await inbox(tabs, "alice", size)
    for number in (1, 2, 3):
        await push(development, user="alice", type="reply", message=f"{number} new replies", groupKey="post-1")
        await expect(page.locator(".note")).to_contain_text(f"{number} new replies")
    await push(development, user="alice", type="other", message="Something else")

    await expect(page.locator(".note")).to_have_count(2)
    await expect(page.locator("#big-count")).to_have_text("2")
    await expect(page.locator(".note").filter(has_text="3 new replies").locator(".badge")).to_have_text("Group of 3")
    await expect(page.locator(".note[data-seen=false]")).to_have_count(0)
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    await page.get_by_label("Type", exact=True).first.select_option("reply")
    await expect(page.locator(".note-text")).to_have_count(1)


async def test_muted_types_and_quiet_hours_apply_on_all_devices(tabs: Tabs, development: RtServer) -> None:
    laptop, phone = await inbox(tabs, "alice"), await inbox(tabs, "alice", PHONE)
    await push(development, user="alice", type="ad<b>s", message="Buy this")
    await laptop.get_by_role("button", name="Mute ad<b>s").click()

    await phone.get_by_role("button", name="Preferences").click()
    dialog = phone.get_by_role("dialog", name="Preferences")
    await expect(dialog.get_by_role("listitem")).to_have_text("ad<b>s")
    assert await phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert await dialog.evaluate("(dialog) => dialog.scrollWidth - dialog.clientWidth") == 0
    await push(development, user="alice", type="ad<b>s", message="Buy that")
    await push(development, user="alice", type="news", message="For both")
    await expect(laptop.locator(".note").first).to_contain_text("For both")
    await expect(laptop.locator("#big-count")).to_have_text("2")

    await dialog.get_by_label("Quiet hours").check()
    await dialog.get_by_label("From").fill("21:30")
    await dialog.get_by_label("From").press("Tab")
    await phone.keyboard.press("Escape")
    await laptop.get_by_role("button", name="Preferences").click()
    await expect(laptop.get_by_label("From")).to_have_value("21:30")
    await laptop.get_by_role("button", name="Unmute ad<b>s").press("Enter")
    await expect(laptop.get_by_text("Nothing is muted.")).to_be_visible()


async def test_expired_notifications_disappear_and_older_ones_load_by_scrolling(
    tabs: Tabs, development: RtServer
) -> None:
    for number in range(1, 46):
        await push(development, user="alice", type="note", message=f"Note {number}")
    page = await inbox(tabs, "alice", PHONE)
    await expect(page.locator(".note")).to_have_count(30)
    await page.evaluate("document.getElementById('more').scrollIntoView()")
    await expect(page.locator(".note")).to_have_count(45)
    soon = round(time.time() * 1000) + 3000
    await push(development, user="alice", type="note", message="For a moment", expiresAt=soon)
    await push(development, user="alice", type="note", message="For good")
    await expect(page.locator(".note").first).to_contain_text("For good")
    await expect(page.locator(".note").filter(has_text="For a moment")).to_have_count(0)
    await expect(page.locator(".note")).to_have_count(46)


async def test_a_mention_links_to_its_room(tabs: Tabs, development: RtServer) -> None:
    page = await inbox(tabs, "alice", PHONE)
    where = {"room": "team/red", "id": "x", "seq": 1, "from": {"id": "bob", "name": "Bob"}}
    await push(development, user="alice", type="mention", message="Bob: @alice", data=where)
    await expect(page.locator(".note")).not_to_contain_text("{")
    await page.get_by_role("link", name="Open # team/red").click()
    await page.get_by_role("dialog", name="Join # team/red?").get_by_role("button", name="Join").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("team/red")
    await expect(page.locator("#subtitle")).to_have_text("1 member, 1 online")
    assert await page.locator("#subtitle").evaluate("(line) => line.scrollWidth - line.clientWidth") == 0


async def test_an_empty_inbox_says_so_and_a_deletion_can_be_taken_back(tabs: Tabs, development: RtServer) -> None:
    page = await inbox(tabs, "alice", PHONE)
    blank = page.locator(".blank")
    await expect(blank).to_contain_text("No notifications")
    await expect(blank).to_have_css("text-align", "center")
    await expect(blank).to_have_css("display", "grid")

    for message in ("מה שלומך Bob", "w" * 300, "See https://example.com/1."):
        await push(development, user="alice", type="t" * 200, message=message)
    notes = page.locator(".note")
    await expect(notes).to_have_count(3)
    await expect(notes.nth(0).get_by_role("link")).to_have_attribute("href", "https://example.com/1")
    await expect(notes.nth(2).locator(".note-text")).to_have_css("direction", "rtl")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    other = await inbox(tabs, "alice")
    await expect(other.locator(".note")).to_have_count(3)
    await notes.nth(0).get_by_role("button", name="Delete").click()
    await expect(notes).to_have_count(2)
    await page.get_by_role("button", name="Undo").click()
    await expect(notes).to_have_count(3)
    await notes.nth(1).get_by_role("button", name="Delete").click()
    await expect(other.locator(".note")).to_have_count(2)
    await expect(notes).to_have_count(2)
    await notes.nth(0).get_by_role("button", name="Delete").click()
    await page.close(run_before_unload=True)  # what is being deleted when the page is left, is deleted
    await expect(other.locator(".note")).to_have_count(1)
