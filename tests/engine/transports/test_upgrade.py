"""Upgrade from polling to WebSocket: no message is lost, and a failed upgrade leaves the session as it was."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.protocol.frames import BINARY, CLOSE, TEXT
from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import client_frame, request, upgrade


async def test_an_upgrade_moves_the_session(serve):
    served = await serve(echo=True)
    wire, recorder, _ = await served.upgraded()
    await wire.frame("4hi")
    assert await wire.text() == "4hi"
    assert served.engine.transport(recorder.session.id) == "websocket"


async def test_the_poll_is_released_and_the_websocket_sees_no_noop(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    poll = await served.polling(query)
    wire = await served.probing(recorder)
    assert (await poll).text == "6"
    # A client that polls once more before it stops is released as well.
    assert (await (await served.polling(query))).text == "6"
    await wire.frame("5")
    await eventually(lambda: recorder.session.transport == "websocket")
    recorder.send("first")
    assert await wire.text() == "4first"


async def test_what_waits_for_a_poll_goes_over_the_websocket(serve):
    served = await serve()
    _, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    for message in ("a", b"\x01", "b"):
        recorder.send(message)
    await wire.frame("5")
    assert [(await wire.receive())[1] for _ in range(3)] == [b"4a", b"\x01", b"4b"]


async def test_messages_use_polling_until_the_upgrade_is_complete(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    recorder.send("a")
    assert "4a" in (await served.ask(request("GET", query))).text
    poll = await served.polling(query)
    recorder.send("b")
    await wire.frame("5")
    recorder.send("c")
    polled = (await poll).text.split("\x1e")
    await eventually(lambda: recorder.session.transport == "websocket")
    recorder.send("end")
    seen = [packet for packet in polled if packet != "6"]
    while seen[-1:] != ["4end"]:
        seen.append(await wire.text())
    assert seen == ["4b", "4c", "4end"]


async def test_a_websocket_without_binary_support_gets_base64(serve):
    served = await serve(echo=True)
    _, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&b64=1&sid={recorder.session.id}")
    await wire.frame("2probe", "5", "bAQID")
    assert [await wire.text() for _ in range(2)] == ["3probe", "bAQID"]


async def test_the_whole_upgrade_may_arrive_in_one_segment(serve):
    served = await serve(echo=True)
    _, recorder = await served.poll_session()
    wire = await served.wire()
    frames = b"".join(map(client_frame, ("2probe", "5", "4hi")))
    await wire.send(upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}") + frames)
    assert (await wire.answer()).status == 101
    assert [await wire.text() for _ in range(2)] == ["3probe", "4hi"]


@pytest.mark.parametrize("packets", [["4hi"], ["5"], ["2"], ["2probe", "2probe"], ["2probe", "x"], [b"\x01"], ["2probe", b""], [""]])  # fmt: skip  # noqa: E501
async def test_any_other_packet_aborts_the_upgrade_but_not_the_session(serve, packets):
    served = await serve(echo=True)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    await wire.frame(*packets)
    if packets[0] == "2probe":
        assert await wire.text() == "3probe"
    assert await wire.close_code() == 1000
    assert recorder.messages == []
    await works_by_polling(served, query, recorder)
    wire = await served.probing(recorder)
    await wire.frame("5", "4again")
    assert await wire.text() == "4again"


@pytest.mark.parametrize(
    "broken", [client_frame("2probe", mask=False), client_frame(b"\xff", TEXT), client_frame(b"", CLOSE)]
)
async def test_invalid_frames_abort_the_upgrade_but_not_the_session(serve, broken):
    served = await serve(echo=True)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    await wire.send(broken)
    await wire.close_code()
    await works_by_polling(served, query, recorder)


async def test_a_lost_probe_leaves_the_session_open(serve):
    served = await serve(echo=True)
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    wire.abort()
    await eventually(lambda: recorder.session.upgrade is None)
    await works_by_polling(served, query, recorder)


async def test_an_upgrade_that_does_not_complete_is_aborted(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.transports.upgrade.UPGRADE_SECONDS", 0.2)
    served = await serve(echo=True)
    query, recorder = await served.poll_session()
    silent = await served.wire()
    await silent.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    assert await silent.close_code() == 1000
    probed = await served.probing(recorder)
    assert await probed.close_code() == 1000
    await works_by_polling(served, query, recorder)


async def test_a_second_websocket_during_the_upgrade_is_closed(serve):
    served = await serve(echo=True)
    _, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    second = await served.wire()
    await second.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    await second.frame("2probe", "5", "4stolen")
    assert await second.close_code() == 1000
    await wire.frame("5", "4mine")
    assert await wire.text() == "4mine"
    assert recorder.messages == ["mine"]


async def test_a_second_websocket_after_the_upgrade_is_closed(serve):
    served = await serve(echo=True)
    for wire, recorder in [(await served.upgraded())[:2], await served.websocket()]:
        second = await served.wire()
        await second.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
        await second.frame("2probe", "5", "4stolen")
        assert await second.close_code() == 1000
        await wire.frame("4mine")
        assert await wire.text() == "4mine"
        assert recorder.messages == ["mine"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_http_on_an_upgraded_session_is_refused(serve, method):
    served = await serve(echo=True)
    wire, _, query = await served.upgraded()
    answer = await served.ask(request(method, query, b"4a" if method == "POST" else None))
    assert (answer.status, answer.json()) == (400, {"code": 3, "message": "Bad request"})
    await wire.frame("4mine")
    assert await wire.text() == "4mine"


async def test_no_upgrade_where_upgrades_are_disabled(serve):
    served = await serve(allow_upgrades=False, echo=True)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    assert await wire.close_code() == 1000
    await works_by_polling(served, query, recorder)


# A session that is closed during its upgrade.


async def left(served, wire):
    """The client closes its side, so that the server need not wait for it."""
    await wire.close()
    await served.deserted()


LAST = ("kicked", b"\x01\x02", "x" * 200_000)
READ = [(TEXT, b"4kicked"), (BINARY, b"\x01\x02"), (TEXT, b"4" + b"x" * 200_000)]


def close(served, recorder):
    recorder.session.close("forced close")


async def disconnect(served, recorder):
    await served.engine.disconnect(recorder.session.id)


async def stop(served, recorder):
    served.engine.stop_accepting()
    await served.engine.disconnect()


def never_pongs(served, recorder):
    """Like a missing pong while a poll hangs."""
    recorder.session.close("ping timeout")


@pytest.mark.parametrize("end", [close, disconnect, stop, never_pongs])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_the_last_words_of_a_session_arrive_over_the_new_websocket(serve, end, count):
    served = await serve()
    _, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    for message in LAST[:count]:
        recorder.send(message)
    if (ending := end(served, recorder)) is not None:
        await ending
    assert len(recorder.reasons) == 1
    await wire.frame("5")
    assert [await wire.receive() for _ in range(count)] == READ[:count]
    assert await wire.close_code() == 1000
    await left(served, wire)


async def test_the_last_words_arrive_over_a_websocket_without_binary_support(serve):
    served = await serve()
    _, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&b64=1&sid={recorder.session.id}")
    await wire.frame("2probe")
    assert await wire.text() == "3probe"
    recorder.send(b"\x01\x02\x03")
    recorder.session.close("forced close")
    await wire.frame("5")
    assert await wire.text() == "bAQID"
    assert await wire.close_code() == 1000


async def test_the_last_words_of_a_version_2_session_arrive_over_the_new_websocket(serve):
    served = await serve(allow_eio3=True)
    _, recorder = await served.poll_session_3()
    wire = await served.wire()
    await wire.upgrade(f"EIO=3&transport=websocket&sid={recorder.session.id}")
    await wire.frame("2probe")
    assert await wire.text() == "3probe"
    recorder.send(b"\x01")
    recorder.send("last")
    recorder.session.close("forced close")
    await wire.frame("5")
    assert [await wire.receive() for _ in range(2)] == [(BINARY, b"\x04\x01"), (TEXT, b"4last")]
    assert await wire.close_code() == 1000


async def test_a_session_that_closes_before_the_probe_ends_behind_the_upgrade(serve):
    served = await serve()
    _, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}")
    recorder.send("last")
    recorder.session.close("forced close")
    await wire.frame("2probe")
    assert await wire.text() == "3probe"
    await wire.frame("5", "4too late")
    assert await wire.text() == "4last"
    assert await wire.close_code() == 1000
    assert recorder.messages == []
    await left(served, wire)


async def test_a_poll_that_hangs_takes_the_messages_and_the_websocket_brings_the_close(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    poll = await served.polling(query)
    recorder.send("last")
    recorder.session.close("forced close")
    assert (await poll).text.endswith("4last")
    await wire.frame("5")
    assert await wire.close_code() == 1000
    await left(served, wire)


async def test_a_client_that_goes_on_polling_gets_the_last_words_there(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    recorder.send("last")
    recorder.session.close("forced close")
    assert (await served.ask(request("GET", query))).text == "4last"
    assert (await served.ask(request("GET", query))).text == "1"
    assert await wire.close_code() == 1000
    assert (await served.ask(request("GET", query))).status == 400
    await left(served, wire)


async def test_a_poll_that_brings_the_close_ends_the_upgrade(serve):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    poll = await served.polling(query)
    recorder.session.close("forced close")
    assert (await poll).text == "1"
    assert await wire.close_code() == 1000
    await left(served, wire)


@pytest.mark.parametrize("packet", ["4hi", "2", "2probe", "x"])
async def test_a_broken_upgrade_of_a_closed_session_leaves_the_last_words_for_a_poll(serve, packet):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    recorder.send("last")
    recorder.session.close("forced close")
    await wire.frame(packet)
    assert await wire.close_code() == 1000
    assert (await served.ask(request("GET", query))).text == "4last"
    assert (await served.ask(request("GET", query))).text == "1"
    await left(served, wire)


async def test_an_upgrade_that_a_closed_session_waits_for_in_vain_is_aborted(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.transports.upgrade.UPGRADE_SECONDS", 0.2)
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    recorder.send("last")
    recorder.session.close("forced close")
    assert await wire.close_code() == 1000
    assert (await served.ask(request("GET", query))).text == "4last"


@pytest.mark.parametrize("how", ["abort", "packet", "error"])
async def test_a_session_that_ends_at_once_aborts_its_upgrade(serve, how):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.probing(recorder)
    if how == "abort":
        recorder.session.abort("transport error")
    else:
        await served.ask(request("POST", query, b"1" if how == "packet" else b"no packet"))
    assert await wire.close_code() == 1000
    assert (await served.ask(request("GET", query))).status == 400
    await left(served, wire)


async def test_the_heartbeat_continues_across_the_upgrade(serve):
    served = await serve(ping_interval=0.05, ping_timeout=1)
    query, recorder = await served.poll_session()
    assert (await (await served.polling(query))).text == "2"
    wire = await served.probing(recorder)
    await wire.frame("5", "3")
    assert await wire.text() == "2"
    await wire.frame("3")
    assert await wire.text() == "2"
    assert not recorder.reasons


async def test_nothing_is_lost_or_reordered_when_messages_flow_during_upgrades(serve):
    served = await serve()
    for _ in range(4):
        query, recorder = await served.poll_session(POLLING)
        emitting = asyncio.create_task(emit(recorder, 300))
        seen: list[str] = []
        wire = await served.probing(recorder)
        # Poll until a poll is released with a NOOP, as a client does that pauses polling.
        while (packets := (await served.ask(request("GET", query))).text.split("\x1e")) != ["6"]:
            seen += [packet[1:] for packet in packets if packet[0] == "4"]
        await wire.frame("5")
        while len(seen) < 300:
            seen.append((await wire.text())[1:])
        await emitting
        assert seen == [str(number) for number in range(300)]


async def emit(recorder, count):
    for number in range(count):
        recorder.send(str(number))
        if number % 3 == 0:
            await asyncio.sleep(0.0005)


async def works_by_polling(served, query, recorder):
    before = len(recorder.messages)
    assert (await served.ask(request("POST", query, b"4still here"))).text == "ok"
    assert recorder.messages[before:] == ["still here"]
    assert (await served.ask(request("GET", query))).text.endswith("4still here")
    assert not recorder.reasons
