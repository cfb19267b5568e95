"""The notifications page in Chromium, on two devices of one user."""

import json
import shlex
from typing import Any

import aiohttp
from playwright.async_api import Page, expect

from tests.support.rtserver_process import RtServer
from tests.web.tabs import Tabs, live


async def push(server: RtServer, **body: Any) -> None:
    headers = {"Authorization": f"Bearer {server.api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{server.url}/api/notifications", json=body) as answer,
    ):
        assert answer.status < 300, await answer.text()


async def inbox(tabs: Tabs, user: str) -> Page:
    page = await tabs.open(f"/notifications?user={user}")
    await live(page)
    return page


async def test_a_pushed_notification_shows_on_both_devices_and_is_read_in_step(
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


async def test_all_are_marked_and_one_is_deleted_in_step(tabs: Tabs, development: RtServer) -> None:
    for number in range(3):
        await push(development, user="alice", type="note", message=f"Note {number}")
    laptop, phone = await inbox(tabs, "alice"), await inbox(tabs, "alice")
    await expect(phone.locator(".note")).to_have_count(3)

    await laptop.get_by_role("button", name="Mark all as read").click()
    await expect(phone.locator(".note[data-read=true]")).to_have_count(3)
    await laptop.locator(".note").filter(has_text="Note 1").get_by_role("button", name="Delete").click()
    for device in (laptop, phone):
        await expect(device.locator(".note-text")).to_have_text(["Note 2", "Note 0"])


async def test_unread_ones_can_be_shown_alone(tabs: Tabs, development: RtServer) -> None:
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


async def test_the_command_on_the_page_is_what_the_server_takes(tabs: Tabs, development: RtServer) -> None:
    page = await inbox(tabs, "alice")
    await page.get_by_label("Message").fill('It\'s "here" & it costs $5; `whoami`')

    command = shlex.split(await page.locator("#command code").inner_text())
    words = [word for word in command if word != "\n"]
    body = json.loads(words[words.index("-d") + 1])
    assert "Authorization: Bearer $RTSERVER_API_KEY" in words
    assert words[1] == f"{development.url}/api/notifications"
    await push(development, **body)
    await expect(page.locator(".note")).to_contain_text('It\'s "here" & it costs $5; `whoami`')
