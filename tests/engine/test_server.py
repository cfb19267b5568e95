"""What the engine answers to each kind of request: statuses and bodies as Node's engine.io 6.6 has them.

The table was checked against engine.io 6.6.12 with the same bytes; where an answer differs on purpose, it says so.
"""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from rtserver.engine.session.interfaces import Reason
from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import request, upgrade

UNKNOWN_TRANSPORT = {"code": 0, "message": "Transport unknown"}
UNKNOWN_SID = {"code": 1, "message": "Session ID unknown"}
BAD_METHOD = {"code": 2, "message": "Bad handshake method"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
BAD_VERSION = {"code": 5, "message": "Unsupported protocol version"}

HANDSHAKES = [
    ("GET", "EIO=4", UNKNOWN_TRANSPORT),
    ("GET", "EIO=4&transport=", UNKNOWN_TRANSPORT),
    ("GET", "EIO=4&transport=carrier", UNKNOWN_TRANSPORT),
    ("GET", "EIO=4&transport=webtransport", UNKNOWN_TRANSPORT),
    ("GET", "EIO=4&transport=constructor", UNKNOWN_TRANSPORT),
    ("POST", "", UNKNOWN_TRANSPORT),
    ("POST", POLLING, BAD_METHOD),
    ("PUT", POLLING, BAD_METHOD),
    ("DELETE", POLLING, BAD_METHOD),
    ("POST", "EIO=4&transport=websocket", BAD_METHOD),
    ("GET", "EIO=4&transport=websocket", BAD_REQUEST),
    ("GET", "EIO=3&transport=polling", BAD_VERSION),
    ("GET", "EIO=5&transport=polling", BAD_VERSION),
    ("GET", "EIO=44&transport=polling", BAD_VERSION),
    ("GET", "transport=polling", BAD_VERSION),
    ("GET", f"{POLLING}&sid=nobody", UNKNOWN_SID),
    ("POST", f"{POLLING}&sid=nobody", UNKNOWN_SID),
    ("GET", f"{POLLING}&sid=__proto__", UNKNOWN_SID),
    ("GET", f"{POLLING}&sid=&sid=nobody", UNKNOWN_SID),
    ("GET", "EIO=4&transport=websocket&%73id=&sid=nobody", UNKNOWN_SID),
    ("GET", "EIO=4&transport=websocket&sid=nobody", UNKNOWN_SID),
]

ON_A_SESSION = [
    ("GET", "EIO=4&transport=websocket", BAD_REQUEST),
    ("POST", "EIO=4&transport=websocket", BAD_REQUEST),
    ("GET", "EIO=3&transport=polling", BAD_REQUEST),
    ("GET", "transport=polling", BAD_REQUEST),
    # Node answers 500 without a body, as if the fault were its own.
    ("PUT", POLLING, BAD_METHOD),
    ("DELETE", POLLING, BAD_METHOD),
]

UPGRADES = [
    ("EIO=4", "Transport unknown"),
    ("EIO=4&transport=carrier", "Transport unknown"),
    ("EIO=4&transport=websocket&sid=nobody", "Session ID unknown"),
    # Node opens these two and then closes them.
    ("EIO=4&transport=polling", "Bad request"),
    ("EIO=3&transport=websocket", "Unsupported protocol version"),
]


@pytest.mark.parametrize(("method", "query", "body"), HANDSHAKES)
async def test_a_request_that_opens_nothing_is_refused(serve, method, query, body):
    served = await serve()
    answer = await served.ask(request(method, query, b"4a" if method in ("POST", "PUT") else None))
    assert (answer.status, answer.json()) == (400, body)
    assert answer.headers["content-type"] == "application/json"
    assert not served.engine.sockets


@pytest.mark.parametrize(("method", "query", "body"), ON_A_SESSION)
async def test_a_request_that_does_not_fit_its_session_is_refused(serve, method, query, body):
    served = await serve(echo=True)
    own, recorder = await served.poll_session()
    asked = request(method, f"{query}&sid={recorder.session.id}", b"4a" if method in ("POST", "PUT") else None)
    answer = await served.ask(asked)
    assert (answer.status, answer.json()) == (400, body)
    assert (await served.ask(request("POST", own, b"4still here"))).text == "ok"
    assert recorder.messages == ["still here"]


@pytest.mark.parametrize(("query", "text"), UPGRADES)
async def test_a_websocket_that_opens_nothing_is_refused(serve, query, text):
    served = await serve()
    wire = await served.wire()
    answer = await wire.ask(upgrade(query))
    assert (answer.status, answer.text) == (400, text)
    assert answer.headers["content-type"].startswith("text/html")
    await wire.ended()
    assert not served.engine.sockets


async def test_a_websocket_for_a_session_of_the_other_revision_is_refused(serve):
    served = await serve(allow_eio3=True)
    _, recorder = await served.poll_session()
    answer = await served.ask(upgrade(f"EIO=3&transport=websocket&sid={recorder.session.id}"))
    assert (answer.status, answer.text) == (400, "Bad request")


async def test_an_empty_sid_opens_a_session(serve):
    served = await serve()
    assert (await served.ask(request("GET", f"{POLLING}&sid="))).status == 200


@pytest.mark.parametrize(("transports", "refused"), [(["polling"], "websocket"), (["websocket"], "polling")])
async def test_a_transport_that_is_off_is_unknown(serve, transports, refused):
    served = await serve(transports=transports)
    asked = upgrade if refused == "websocket" else lambda query: request("GET", query)
    answer = await served.ask(asked(f"EIO=4&transport={refused}"))
    assert (answer.status, "Transport unknown" in answer.text) == (400, True)


@pytest.mark.parametrize("query", ["EIO=3&transport=polling", "transport=polling", "EIO=2&transport=polling"])
async def test_everything_but_4_is_revision_3_where_that_is_allowed(serve, query):
    served = await serve(allow_eio3=True)
    answer = await served.ask(request("GET", query))
    length, _, packet = answer.text.partition(":")
    assert len(packet) == int(length)
    assert json.loads(packet[1:])["sid"] == served.upper.last.session.id
    assert served.upper.last.session.revision == 3


@pytest.mark.parametrize("query", [POLLING, "EIO=4&transport=websocket"])
@pytest.mark.parametrize(("verdict", "message"), [(False, "Forbidden"), ("not today", "not today")])
async def test_allow_request_refuses(serve, query, verdict, message):
    async def allow(asked):
        assert asked.headers["X-Try"] == "1"
        return verdict

    served = await serve(allow_request=allow)
    if "websocket" in query:
        answer = await served.ask(upgrade(query, X_Try="1"))
        assert (answer.status, answer.text) == (400, message)
    else:
        answer = await served.ask(request("GET", query, X_Try="1"))
        assert (answer.status, answer.json()) == (403, {"code": 4, "message": message})
    assert not served.upper.sessions


async def test_allow_request_lets_in_and_is_asked_once_a_session(serve):
    asked = []

    async def allow(request):
        asked.append(request.query.get("sid"))
        return [True, None][len(asked) % 2]

    served = await serve(allow_request=allow)
    await served.upgraded()
    await served.websocket()
    assert asked == [None, None]


async def test_it_asks_in_the_order_of_node(serve):
    """A wrong method is told before the version, the version after `allow_request`."""

    async def refuse(_):
        return False

    served = await serve(allow_request=refuse)
    assert (await served.ask(request("POST", "EIO=3&transport=polling", b""))).json() == BAD_METHOD
    assert (await served.ask(request("GET", "EIO=3&transport=polling"))).json()["code"] == 4
    assert (await served.ask(request("GET", "EIO=3&transport=x&sid=nobody"))).json() == UNKNOWN_TRANSPORT


async def test_session_ids_are_never_repeated_and_name_their_instance(serve):
    served = await serve(instance_id="abc123")
    ids = {served.engine.generate_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(id.startswith("abc123-") for id in ids)


# The surface of python-engineio.


async def test_send_and_disconnect_by_id(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    sid = recorder.session.id
    await served.engine.send(sid, "text")
    await served.engine.send(sid, b"\x01")
    await served.engine.send(sid, {"a": 1})
    assert [(await wire.receive())[1] for _ in range(3)] == [b"4text", b"\x01", b'4{"a":1}']
    await served.engine.send("nobody", "x")
    await served.engine.disconnect("nobody")
    await served.engine.disconnect(sid)
    assert await wire.close_code() == 1000
    assert recorder.reasons == [Reason.FORCED_CLOSE]


async def test_disconnect_ends_every_session(serve):
    served = await serve()
    wire, one = await served.websocket()
    query, two = await served.poll_session()
    poll = await served.polling(query)
    await served.engine.disconnect()
    assert await wire.close_code() == 1000
    assert (await poll).text == "1"
    assert one.reasons == two.reasons == [Reason.FORCED_CLOSE]


async def test_it_is_quiet_only_when_the_last_word_is_out_by_either_transport(serve):
    served = await serve()
    wire, recorder = await served.websocket()
    query, polling = await served.poll_session()
    recorder.send("x" * 1_000_000)
    polling.send("y")
    await served.engine.disconnect()
    assert not served.engine.is_drained
    assert len(await wire.text()) == 1_000_001
    assert await wire.close_code() == 1000
    await wire.close()
    await eventually(lambda: not served.engine._sessions._websockets)
    assert not served.engine.is_drained
    assert (await served.ask(request("GET", query))).text == "4y"
    assert not served.engine.is_drained
    assert (await served.ask(request("GET", query))).text == "1"
    await eventually(lambda: served.engine.is_drained)
    assert not served.traces


async def test_a_server_about_to_stop_opens_no_sessions_and_serves_those_it_has(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    served.engine.stop_accepting()
    refused = await served.ask(request("GET", POLLING))
    assert (refused.status, refused.json()) == (503, {"code": 6, "message": "Server is stopping"})
    assert (await served.ask(upgrade("EIO=4&transport=websocket"))).status == 503
    recorder.send("still here")
    assert (await served.ask(request("GET", query))).text == "4still here"
    assert not served.metrics.rejections


async def test_many_clients_that_come_and_go_leave_nothing(serve):
    served = await serve(echo=True)
    leaving = itertools.cycle(["abort", "close", "packet", "server"])

    async def come_and_go(how):
        wire, recorder = await served.websocket()
        await wire.frame("4hi")
        await wire.text()
        if how == "abort":
            wire.abort()
        elif how == "close":
            await wire.close()
        elif how == "packet":
            await wire.frame("1")
            await wire.close_code()
            await wire.close()
        else:
            recorder.session.close(Reason.FORCED_CLOSE)
            await wire.close_code()
            await wire.close()

    for _ in range(5):
        await asyncio.gather(*(come_and_go(next(leaving)) for _ in range(40)))
    await served.deserted()
    await eventually(lambda: all(len(recorder.reasons) == 1 for recorder in served.upper.sessions))
