"""Webhooks of two servers on one Redis and one database: the backend is called once per user who is offline."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable

import aiohttp

from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer
from tests.webhooks.conftest import Receiver

KEY = b"a key of the tests, 32 bytes long"


async def test_the_backend_is_called_once_for_a_user_who_is_offline_on_both_servers(
    server: Callable[..., Awaitable[RtServer]],
    redis_server: RedisServer,
    postgres_url: str,
    receiver: Receiver,
    js: Callable[..., Awaitable[JsClient]],
) -> None:
    secret = "whsec_" + base64.b64encode(KEY).decode()
    url = receiver.url + "?token=not-for-logs"
    settings = {"REDIS_URL": redis_server.url, "WEBHOOK_URL": url, "WEBHOOK_SECRET": secret, "WEBHOOK_DELAY": 0.5}
    settings |= {"DATABASE_URL": postgres_url}
    first, second = await server(**settings), await server(**settings, migrate=False)
    around = ((first, "alice", "/notifications"), (second, "bob", "/notifications"), (second, "cat", "/chat"))
    for at, user, namespace in around:
        await js(at.url, namespace, token=at.token(user), transports=["websocket"])
    leaving = await js(second.url, "/notifications", token=second.token("dora"), transports=["websocket"])
    await leaving.disconnect()
    receiver.says(500)
    users = ["alice", "bob", "cat", "dora", *(f"user{i}" for i in range(30))]
    body = {"users": users, "type": "order", "message": "Sent", "key": "k"}
    headers = {"Authorization": f"Bearer {first.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for one in (first, second):
            async with http.post(f"{one.url}/api/notifications", json=body) as response:
                assert response.status == 200
        refused = {received.id for received in await receiver.until(31)}
        receiver.says(200)
        taken = (await receiver.until(62))[31:]
        assert {received.id for received in taken} == refused, "tried again under the same id"
        told = [json.loads(received.body)["data"]["user"] for received in taken]
        assert sorted(told) == sorted(users[3:])
        for received in taken:
            stamp = f"{received.id}.{received.headers['webhook-timestamp']}.".encode()
            right = base64.b64encode(hmac.digest(KEY, stamp + received.body, hashlib.sha256)).decode()
            assert received.headers["webhook-signature"] == f"v1,{right}"
        outcomes: dict[str, float] = {}
        while outcomes.get("delivered") != 31 or outcomes.get("online") != 3:
            outcomes = {}
            for one in (first, second):
                async with http.get(f"{one.url}/metrics") as response:
                    for line in (await response.text()).splitlines():
                        if line.startswith("rtserver_webhooks_total"):
                            outcome = line.split('"')[1]
                            outcomes[outcome] = outcomes.get(outcome, 0) + float(line.split()[-1])
            await asyncio.sleep(0.02)
    assert outcomes == {"delivered": 31, "online": 3, "failed": 31}
    for one in (first, second):
        for shown in ("not-for-logs", secret, "whsec_"):
            assert shown not in one.logs()
