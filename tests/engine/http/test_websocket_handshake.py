"""Opening handshakes with offers, with headers in several lines, and in another version; on both ways in."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.wire import client_frame, upgrade

QUERY = "EIO=4&transport=websocket"
OFFER = "Sec-WebSocket-Protocol"


def handshake(*lines, query=QUERY, without=()):
    """An opening handshake with these lines instead of those named in `without`, or besides them."""
    head, *rest = upgrade(query).decode().rstrip().split("\r\n")
    kept = [line for line in rest if line.partition(":")[0].lower() not in without]
    return "\r\n".join([head, *kept, *lines, "", ""]).encode()


@pytest.fixture(params=[True, False], ids=["fast path", "aiohttp"])
async def served(serve, request):
    return await serve(echo=True, plain=request.param)


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (["chat"], "chat"),
        (["a, b"], "a"),
        (["a", "b"], "a"),
        (["b , a"], "b"),
        (["v1.x+json,Other"], "v1.x+json"),
    ],
)
async def test_the_first_subprotocol_that_is_offered_is_agreed(served, offer, answer):
    response = await served.ask(handshake(*(f"{OFFER}: {value}" for value in offer)))
    assert (response.status, response.headers["sec-websocket-protocol"]) == (101, answer)


async def test_without_an_offer_the_answer_names_no_subprotocol(served):
    response = await served.ask(handshake())
    assert response.status == 101
    assert "sec-websocket-protocol" not in response.headers


@pytest.mark.parametrize("offer", ["", ",", "a,", "a,,b", "a, a", "a b", "a;b", "a\x80", '"a"', "(a)"])
async def test_a_malformed_offer_is_refused_as_in_node(served, offer):
    response = await served.ask(handshake(f"{OFFER}: {offer}"))
    assert (response.status, response.text) == (400, "Invalid Sec-WebSocket-Protocol header")


async def test_an_upgrade_is_answered_with_a_subprotocol_too(served):
    _, recorder = await served.poll_session()
    response = await served.ask(handshake(f"{OFFER}: a, b", query=f"{QUERY}&sid={recorder.session.id}"))
    assert (response.status, response.headers["sec-websocket-protocol"]) == (101, "a")


@pytest.mark.parametrize(
    ("choice", "answer"), [("b", (101, "b")), (None, (101, None)), ("", (101, None)), ("c", (500, None))]
)
async def test_a_hook_chooses_the_subprotocol(serve, choice, answer):
    seen = []

    def choose(offered, request):
        seen.append((offered, request.headers["Host"]))
        return choice

    served = await serve(handle_protocols=choose)
    response = await served.ask(handshake(f"{OFFER}: a", f"{OFFER}: b"))
    assert (response.status, response.headers.get("sec-websocket-protocol")) == answer
    assert seen == [(["a", "b"], "test")]


@pytest.mark.parametrize("lines", [["8"], ["7"], [""], ["13", "13"], ["13, 8"], ["thirteen"], []])
async def test_a_refused_version_is_told_the_right_one(served, lines):
    raw = handshake(*(f"Sec-WebSocket-Version: {value}" for value in lines), without=["sec-websocket-version"])
    response = await served.ask(raw)
    assert (response.status, response.headers.get("sec-websocket-version")) == (400, "13")
    assert response.headers["connection"] == "close"


async def test_another_fault_than_the_version_does_not_name_one(served):
    response = await served.ask(handshake(without=["sec-websocket-key"]))
    assert (response.status, response.headers.get("sec-websocket-version")) == (400, None)


@pytest.mark.parametrize(
    ("without", "lines"),
    [
        ("connection", ["Connection: keep-alive", "Connection: Upgrade"]),
        ("connection", ["Connection: Upgrade", "Connection: keep-alive"]),
        ("connection", ["Connection: keep-alive, , UPGRADE"]),
        ("upgrade", ["Upgrade: h2c", "Upgrade: websocket"]),
        ("upgrade", ["Upgrade: h2c, WebSocket"]),
        ("upgrade", ["Upgrade: websocket", "Upgrade: websocket"]),
    ],
)
async def test_a_list_in_several_lines_is_one_list(served, without, lines):
    wire = await served.wire()
    await wire.send(handshake(*lines, without=[without]))
    assert (await wire.answer()).status == 101
    await wire.opened()
    await wire.send(client_frame("4hello"))
    assert await wire.text() == "4hello"


async def test_extensions_in_several_lines_are_one_list(serve):
    served = await serve(per_message_deflate=True)
    offers = ["Sec-WebSocket-Extensions: x-other", "Sec-WebSocket-Extensions: permessage-deflate"]
    response = await served.ask(handshake(*offers))
    assert response.headers["sec-websocket-extensions"].startswith("permessage-deflate")


async def test_a_key_in_two_lines_is_refused(served):
    response = await served.ask(handshake("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    assert response.status == 400


async def test_many_offers_are_answered_quickly(served):
    names = ", ".join(f"p{number}" for number in range(1500))
    async with asyncio.timeout(5):
        response = await served.ask(handshake(f"{OFFER}: {names[:7000].rpartition(',')[0]}"))
    assert response.headers["sec-websocket-protocol"] == "p0"
