"""Rate limits of events: a user has one budget, whichever connection the events come by, and however often."""

from __future__ import annotations

import re

import aiohttp
import pytest

from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import Tokens

BURST = 4
RATE = {"event_rate": "2/m"}


class Desk(Namespace, path="/"):
    auth = "optional"

    @event("echo")
    async def echo(self, client, value=None):
        return value

    @event("other")
    async def other(self, client):
        return "other"

    @event("own", rate="1/m")
    async def own(self, client):
        return "own"


class Tenants(Namespace, path=re.compile(r"/tenant-\d+")):
    auth = "required"

    @event("echo")
    async def echo(self, client, value=None):
        return value


@pytest.fixture
async def served(serve):
    return await serve(Desk(), Tenants(), authenticator=Tokens(), trusted_proxies=["127.0.0.1"], **RATE)


@pytest.fixture
def connect(served, raw):
    async def connect(user=None, namespace="/", **headers):
        client = await raw(served.url, **headers)
        await client.connect(namespace, None if user is None else {"token": user})
        return client

    return connect


async def handled(client, count, name="echo", namespace="/"):
    """How many of `count` events were handled and not limited."""
    answers = [await client.call(namespace, name, id=number) for number in range(count)]
    limited = [answer[0]["error"] for answer in answers if answer and isinstance(answer[0], dict)]
    assert all(error["code"] == "rate_limited" and error["retryAfter"] > 0 for error in limited)
    return count - len(limited)


async def test_all_connections_of_a_user_share_one_budget(connect):
    clients = [await connect("ann") for _ in range(5)]
    assert sum([await handled(client, 3) for client in clients]) == BURST
    assert await handled(clients[-1], 3, "own") == 2
    assert await handled(clients[0], 3, "own") == 0
    assert await handled(await connect("bob"), 9) == BURST, "others have their own"
    assert await handled(clients[0], 9, "other") == BURST, "so have other events"


@pytest.mark.parametrize("times", [1, 5])
async def test_a_new_connection_brings_no_new_budget(served, connect, times):
    client = await connect("ann")
    assert await handled(client, 9) == BURST
    for _ in range(times):
        await client.close()
        await served.deserted()
        client = await connect("ann")
        assert await handled(client, 3) == 0
    assert await handled(await connect("bob"), 9) == BURST


async def test_what_was_left_of_a_budget_is_still_there(served, connect):
    client = await connect("ann")
    assert await handled(client, 1) == 1
    await client.close()
    await served.deserted()
    assert await handled(await connect("ann"), 9) == BURST - 1


async def test_namespaces_have_budgets_of_their_own_but_not_each_name_of_a_dynamic_one(connect):
    assert await handled(await connect("ann"), 9) == BURST
    total = 0
    for number in range(5):
        name = f"/tenant-{number}"
        total += await handled(await connect("ann", name), 3, namespace=name)
    assert total == BURST


async def test_unknown_events_share_the_budget_of_the_user_too(connect):
    codes = []
    for number in range(3):
        client = await connect("ann")
        for each in range(3):
            codes.append((await client.call("/", f"unknown-{number}-{each}"))[0]["error"]["code"])
    assert codes.count("unknown_event") == BURST


async def test_clients_without_an_identity_count_by_themselves(connect):
    clients = [await connect() for _ in range(3)]
    assert [await handled(client, 9) for client in clients] == [BURST] * 3


@pytest.mark.parametrize("together", [1, 3])
async def test_clients_without_an_identity_find_what_their_address_left(served, connect, together):
    for expected in (BURST, 0, 0):
        clients = [await connect() for _ in range(together)]
        assert [await handled(client, 6) for client in clients] == [expected] * together
        for client in clients:
            await client.close()
        await served.deserted()
    elsewhere = await connect(**{"X-Forwarded-For": "198.51.100.7"})
    assert await handled(elsewhere, 6) == BURST
    assert await handled(await connect("ann"), 6) == BURST, "somebody with an identity is somebody else"


async def test_an_address_is_its_network(served, connect):
    first = await connect(**{"X-Forwarded-For": "2001:db8::1"})
    assert await handled(first, 6) == BURST
    await first.close()
    await served.deserted()
    assert await handled(await connect(**{"X-Forwarded-For": "2001:db8::2"}), 6) == 0


async def test_a_user_cannot_take_the_budget_of_an_address_or_of_another_namespace(connect):
    for user in ("ann", "ann from 127.0.0.1", "127.0.0.1", " user ann", "ann/tenant"):
        assert await handled(await connect(user), 6) == BURST, user


async def test_users_that_left_are_not_kept_when_they_have_all_tokens(serve, raw):
    served = await serve(Desk(), authenticator=Tokens(), event_rate="1000/s")
    limiter = served.server.event_limiter
    for number in range(20):
        client = await raw(served.url)
        await client.connect(auth={"token": f"user{number}"})
        assert await handled(client, 1) == 1
        await client.close()
    await served.deserted()
    assert not limiter._in_use
    await (idle := await raw(served.url)).connect(auth={"token": "idle"})
    await idle.close()
    await served.deserted()
    assert len(limiter._kept) <= 20


async def test_a_flood_of_connects_is_not_helped_by_new_connections(serve, raw):
    """Each CONNECT costs the check of a token."""
    served = await serve(Desk(), authenticator=Tokens(), max_namespaces=2)
    answered = 0
    for _ in range(20):
        client = await raw(served.url)
        for _ in range(20):
            await client.send('0/nowhere,{"token":"bad"}')
        while (await client.receive()) is not None:
            answered += 1
        await client.close()
        await served.deserted()
    assert answered <= 12, "4 at once, then two a second"
    async with aiohttp.ClientSession() as http, http.get(f"{served.url}/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.status == 200
