"""Sessions over either transport: they end once, and send and receive nothing afterwards."""

from __future__ import annotations

import pytest

from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.protocol.engineio_packets import PayloadError
from tests.engine.conftest import eventually


@pytest.fixture(params=["polling", "websocket", "upgraded"])
def opened(request, serve):
    """`await opened()` returns a server and the recorder of one session, for each transport."""

    async def open(**options):
        served = await serve(**options)
        if request.param == "polling":
            return served, (await served.poll_session())[1]
        return served, (await getattr(served, request.param)())[1]

    return open


@pytest.mark.parametrize("first", ["close", "abort"])
async def test_it_ends_once_with_the_first_reason(opened, first):
    served, recorder = await opened()
    session = recorder.session
    getattr(session, first)(Reason.FORCED_CLOSE)
    session.close(Reason.PING_TIMEOUT)
    session.abort(Reason.TRANSPORT_ERROR)
    assert recorder.reasons == [Reason.FORCED_CLOSE]
    assert session.id not in served.engine.sockets


async def test_nothing_is_received_or_sent_after_the_end(opened):
    _, recorder = await opened()
    session = recorder.session
    session.close(Reason.FORCED_CLOSE)
    session.receive_text("4late")
    session.receive_packet("4", "late")
    session.receive_packet("3", "")
    session.receive_packet("1", "")
    session.receive_binary(b"late")
    assert recorder.messages == []
    assert recorder.reasons == [Reason.FORCED_CLOSE]
    session.push(PreparedMessage(b"4late"))
    session.send_answer(b"4late")
    session.push_control("6")
    session.pause()
    session.resume()


async def test_a_receiver_may_close_its_session_in_the_middle_of_a_message(opened):
    served, recorder = await opened()
    session, take = recorder.session, recorder.receive

    def receive(message):
        take(message)
        session.close(Reason.FORCED_CLOSE)

    recorder.receive = receive
    session.receive_text("4a")
    session.receive_text("4b")
    assert recorder.messages == ["a"]
    await eventually(lambda: session.id not in served.engine.sockets)


async def test_a_heartbeat_in_the_wrong_direction_is_rejected(opened):
    _, recorder = await opened()
    with pytest.raises(PayloadError):
        recorder.session.receive_text("2")
    recorder.session.receive_text("3")
    assert recorder.messages == []


async def test_a_missing_heartbeat_ends_it(opened):
    served, recorder = await opened(ping_interval=0.05, ping_timeout=0.05)
    assert await recorder.closed() == Reason.PING_TIMEOUT
    await served.deserted()


async def test_a_hanging_poll_is_answered_at_a_ping_timeout(serve):
    served = await serve(ping_interval=0.05, ping_timeout=0.1)
    query, recorder = await served.poll_session()
    assert (await (await served.polling(query))).text == "2"
    poll = await served.polling(query)
    assert await recorder.closed() == Reason.PING_TIMEOUT
    assert (await poll).text == "1"


async def test_a_session_lingers_only_for_a_limited_time(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.session.session.LINGER_SECONDS", 0.05)
    served = await serve()
    _, recorder = await served.poll_session()
    recorder.session.close(Reason.FORCED_CLOSE)
    assert served.traces
    await served.deserted()
