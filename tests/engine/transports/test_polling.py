"""Long polling, over connections of one request and over keep-alive connections."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
import socket
from urllib.parse import quote_plus

import aiohttp
import pytest

from rtserver.engine.session.fair_queue import MAX_MESSAGES
from rtserver.engine.session.prepared_message import PreparedMessage
from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import Wire, request

EIO3 = "EIO=3&transport=polling"
MANY = 10_000


@pytest.fixture(params=["new connection", "used connection"])
def connect(request, serve):
    """A connection for another request of a session: a new one, or a keep-alive connection."""

    async def connect(served, query):
        wire = await served.wire()
        if request.param == "used connection":
            assert (await wire.ask(post(query, "6"))).text == "ok"
        return wire

    return connect


def post(query, body, **headers):
    return request("POST", query, body.encode() if isinstance(body, str) else body, **headers)


def get(query, **headers):
    return request("GET", query, **headers)


# The handshake.


async def test_the_handshake_describes_the_session(serve):
    served = await serve(ping_interval=1.5, ping_timeout=0.25, max_http_buffer_size=1234)
    answer = await served.ask(get(POLLING))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text[0] == "0"
    assert json.loads(answer.text[1:]) == {
        "sid": served.listener.last.session.id,
        "upgrades": ["websocket"],
        "pingInterval": 1500,
        "pingTimeout": 250,
        "maxPayload": 1234,
    }


@pytest.mark.parametrize("options", [{"allow_upgrades": False}, {"transports": ["polling"]}])
async def test_no_upgrade_is_offered_where_it_is_disabled(serve, options):
    served = await serve(**options)
    answer = await served.ask(get(POLLING))
    assert json.loads(answer.text[1:])["upgrades"] == []


# GET.


async def test_a_poll_receives_what_is_queued(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    for message in ("a", b"\x01\x02\x03", "é"):
        recorder.send(message)
    assert (await wire.ask(get(query))).text == "4a\x1ebAQID\x1e4é"


async def test_a_poll_waits_for_the_next_message(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    await wire.send(get(query))
    await eventually(lambda: recorder.session.poll)
    recorder.send("late")
    recorder.send("later")
    assert (await wire.answer()).text == "4late\x1e4later"


async def test_one_tcp_connection_serves_a_whole_session(serve):
    served = await serve(echo=True)
    wire = await served.wire()
    sid = json.loads((await wire.ask(get(POLLING))).text[1:])["sid"]
    query = f"{POLLING}&sid={sid}"
    for number in range(20):
        assert (await wire.ask(post(query, f"4{number}"))).text == "ok"
        assert (await wire.ask(get(query))).text == f"4{number}"


async def test_requests_may_follow_each_other_without_waiting_for_answers(serve, connect):
    served = await serve(echo=True)
    query, _ = await served.poll_session()
    wire = await connect(served, query)
    await wire.send(post(query, "4a") + get(query) + post(query, "4b") + get(query))
    assert [(await wire.answer()).text for _ in range(4)] == ["ok", "4a", "ok", "4b"]


async def test_a_second_poll_is_refused_and_ends_the_session(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    first, second = await connect(served, query), await connect(served, query)
    await first.send(get(query))
    await eventually(lambda: recorder.session.poll)
    answer = await second.ask(get(query))
    assert (answer.status, answer.body) == (400, b"")
    assert (await first.answer()).text == "1"
    assert await recorder.closed() == "transport error"
    await served.deserted()


async def test_a_poll_whose_connection_is_lost_ends_the_session(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    await wire.send(get(query))
    await eventually(lambda: recorder.session.poll)
    wire.abort()
    assert await recorder.closed() == "transport error"
    await served.deserted()


@pytest.mark.parametrize(
    ("accepts", "can"),
    [("gzip, deflate, br", True), ("br;q=1.0, GZIP; q=0.8", True), ("*", True), ("identity", False), (None, False),
     ("br\r\nAccept-Encoding: gzip", True), ("gzip\r\nAccept-Encoding: gzip;q=0", False),
     ("gzip;q=0", False), ("deflate, gzip; q=0.000", False), ("*, gzip;q=0", False), ("br, *;q=0", False)],
)  # fmt: skip
async def test_a_large_response_is_compressed_for_clients_that_accept_gzip(serve, connect, accepts, can):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    recorder.send("x" * 5000)
    answer = await wire.ask(get(query, **({"Accept-Encoding": accepts} if accepts else {})))
    compressed = answer.headers.get("content-encoding") == "gzip"
    assert compressed == can
    assert (gzip.decompress(answer.body) if compressed else answer.body) == b"4" + b"x" * 5000


# POST.


async def test_a_post_of_very_many_packets_is_delivered_completely(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    answer = await wire.ask(post(query, "\x1e".join(f"4{number}" for number in range(MANY))))
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, "ok", "text/html")
    assert recorder.messages == [str(number) for number in range(MANY)]


@pytest.mark.parametrize("padding", [0, 100_000], ids=["small", "large"])
async def test_a_post_of_very_many_packets_leaves_time_for_others(serve, connect, padding):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    loop, turns = asyncio.get_running_loop(), [0]

    def turn():
        turns.append(len(recorder.messages))
        if turns[-1] < MANY - 1:
            loop.call_soon(turn)

    recorder.receive = recorder.messages.append
    loop.call_soon(turn)
    body = "\x1e".join((f"4{'x' * padding}", *("4" for _ in range(MANY - 1))))
    assert (await wire.ask(post(query, body))).text == "ok"
    assert len(recorder.messages) == MANY
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) <= MAX_MESSAGES


async def test_a_session_that_ends_between_two_parts_of_a_post_receives_no_more(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)

    def receive(message):
        recorder.messages.append(message)
        if len(recorder.messages) == MAX_MESSAGES:
            asyncio.get_running_loop().call_soon(recorder.session.abort, "gone")

    recorder.receive = receive
    await wire.send(post(query, "\x1e".join("4" for _ in range(MANY))))
    assert await recorder.closed() == "gone"
    await eventually(lambda: not served.traces)
    assert len(recorder.messages) <= 2 * MAX_MESSAGES


@pytest.mark.parametrize("size", [100, 65_535, 65_537, 300_000, 999_999])
async def test_a_post_of_any_size_is_delivered_completely(serve, connect, size):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    assert (await wire.ask(post(query, b"4" + b"x" * size))).text == "ok"
    assert recorder.messages == ["x" * size]


async def test_a_post_may_be_split_at_every_byte(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    raw = post(query, "4é\x1e4b")
    for cut in range(1, len(raw)):
        wire.writer.write(raw[:cut])
        # In separate segments, so that the server runs between them.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await wire.ask(raw[cut:])).text == "ok", cut
    assert recorder.messages == ["é", "b"] * (len(raw) - 1)


async def test_a_post_may_arrive_byte_by_byte(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    for byte in post(query, "4é\x1e4b"):
        await wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.answer()).text == "ok"
    assert recorder.messages == ["é", "b"]


async def test_a_post_may_be_chunked(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    chunks = b"2\r\n4h\r\n3;extension=1\r\ni\x1e4\r\n1\r\nb\r\n0\r\n\r\n"
    assert (await wire.ask(post(query, chunks, Transfer_Encoding="chunked"))).text == "ok"
    assert recorder.messages == ["hi", "b"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_post_past_the_limit_gets_413_and_ends_the_session(serve, connect, chunked):
    served = await serve(max_http_buffer_size=100_000)
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    body = b"4" * 100_001
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    await wire.send(post(query, body, **({"Transfer_Encoding": "chunked"} if chunked else {})))
    assert (await wire.answer()).status == 413
    assert await recorder.closed() == "transport error"
    assert recorder.messages == []
    assert (await served.ask(get(query))).text == "1"
    await served.deserted()


async def test_a_compressed_post_is_limited_by_its_decompressed_size(serve):
    served = await serve(max_http_buffer_size=100_000)
    query, recorder = await served.poll_session()
    bomb = gzip.compress(b"4" * 20_000_000)
    assert (await served.ask(post(query, bomb, Content_Encoding="gzip"))).status == 413
    assert recorder.messages == []


async def test_an_overlapping_post_is_refused_and_ends_the_session(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    first, second = await served.wire(), await connect(served, query)
    await first.send(request("POST", query, b"4a", Content_Length="100"))
    await eventually(lambda: recorder.session.post)
    answer = await second.ask(post(query, "4b"))
    assert (answer.status, answer.body) == (400, b"")
    assert await recorder.closed() == "transport error"
    await first.ended()
    assert recorder.messages == []


async def test_a_post_that_is_cut_off_ends_the_session(serve, caplog):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"4a", Content_Length="100"))
    await eventually(lambda: recorder.session.post)
    wire.abort()
    assert await recorder.closed() == "transport error"
    assert recorder.messages == []
    assert not caplog.records


@pytest.mark.parametrize("how", [{"Content_Length": "100"}, {"Transfer_Encoding": "chunked"}])
async def test_a_post_that_never_ends_does_not_outlive_its_session(serve, how):
    served = await serve(ping_interval=0.05, ping_timeout=0.05)
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(request("POST", query, b"2\r\n4a\r\nno chunk\r\n", **how))
    assert await recorder.closed() == "ping timeout"
    await wire.ended()


@pytest.mark.parametrize(
    "body", ["", "4a\x1exyz", "\x1e", "4a\x1e", "7", "b?", b"4\xff", "2", "4a\x1e2probe", "4a\x1e2"]
)
async def test_an_invalid_payload_is_refused_and_ends_the_session(serve, connect, body):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    answer = await wire.ask(post(query, body))
    assert (answer.status, answer.json()) == (400, {"code": 3, "message": "Bad request"})
    assert await recorder.closed() == "parse error"
    later = await served.ask(get(query))
    assert (later.status, later.json()) == (400, {"code": 1, "message": "Session ID unknown"})
    await served.deserted()


async def test_an_invalid_payload_answers_the_poll_that_hangs(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    poll = await served.polling(query)
    wire = await connect(served, query)
    assert (await wire.ask(post(query, "no packet"))).status == 400
    assert (await poll).text == "1"
    assert recorder.reasons == ["parse error"]
    assert (await served.ask(get(query))).status == 400
    await served.deserted()


async def test_an_invalid_payload_does_not_lose_what_the_poll_was_woken_for(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    poll = await served.polling(query)
    wire = await connect(served, query)

    def answer(message):
        recorder.send("first")
        recorder.session.fail("parse error")

    recorder.receive = answer
    assert (await wire.ask(post(query, "4ask"))).text == "ok"
    assert (await poll).text == "4first"
    assert (await served.ask(get(query))).status == 400
    await served.deserted()


async def test_revision_4_refuses_binary_payloads(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    assert (await wire.ask(post(query, "4a", Content_Type="application/octet-stream"))).status == 400
    assert await recorder.closed() == "parse error"


async def test_the_packets_of_a_post_are_limited(serve, connect):
    served = await serve(max_packets=3)
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    assert (await wire.ask(post(query, "4a\x1e4b\x1e4c"))).text == "ok"
    assert (await wire.ask(post(query, "4a\x1e4b\x1e4c\x1e4d"))).status == 400
    assert await recorder.closed() == "parse error"


async def test_packets_of_other_states_are_ignored(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    assert (await wire.ask(post(query, "3\x1e0\x1e5\x1e6\x1e4a"))).text == "ok"
    assert recorder.messages == ["a"]


async def test_a_posted_close_releases_the_poll_at_once(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    poll = await served.polling(query)
    wire = await connect(served, query)
    assert (await wire.ask(post(query, "4bye\x1e1\x1e3\x1e4more"))).text == "ok"
    assert (await poll).text == "6"
    assert recorder.messages == ["bye"]
    assert await recorder.closed() == "transport close"
    await served.deserted()


# While the layer above is busy.


async def test_the_answer_to_a_post_waits_while_the_layer_above_is_busy(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    session, take = recorder.session, recorder.receive

    def receive(message):
        take(message)
        if message == "pause":
            session.pause()

    recorder.receive = receive
    await wire.send(post(query, "4a\x1e4pause\x1e4b\x1e4pause\x1e4c"))
    assert await recorder.received(2) == ["a", "pause"]
    assert recorder.session.post is not None
    session.resume()
    assert await recorder.received(4) == ["a", "pause", "b", "pause"]
    session.resume()
    assert (await wire.answer()).text == "ok"
    assert recorder.messages == ["a", "pause", "b", "pause", "c"]


async def test_a_session_that_closes_while_paused_answers_its_post(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    recorder.session.pause()
    await wire.send(post(query, "4a"))
    await eventually(lambda: recorder.session.post or recorder.messages)
    recorder.session.close("forced close")
    await wire.reader.read(1)
    assert await recorder.closed() == "forced close"
    assert (await served.ask(get(query))).text == "1"
    await served.deserted()


async def test_a_paused_client_that_stops_polling_is_missed(serve):
    served = await serve(ping_interval=0.03, ping_timeout=0.03)
    _, recorder = await served.poll_session()
    recorder.session.pause()
    assert await recorder.closed() == "ping timeout"
    await served.deserted()


# The end.


async def test_a_session_closed_between_polls_answers_the_next_poll(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    recorder.send("last")
    recorder.session.close("forced close")
    assert await recorder.closed() == "forced close"
    assert (await served.ask(post(query, "4a"))).text == "ok"
    assert (await wire.ask(get(query))).text == "4last", "a stock client loses what stands before a close"
    assert (await wire.ask(get(query))).text == "1"
    assert (await wire.ask(get(query))).json()["code"] == 1
    await served.deserted()


async def test_a_post_to_a_closed_session_has_no_effect_and_the_next_poll_is_answered(serve, connect):
    """After a refusal the client would take its transport for broken and not poll again."""
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    recorder.session.close("forced close")
    assert (await wire.ask(post(query, "4late"))).text == "ok"
    assert (await wire.ask(get(query))).text == "1"
    assert (await wire.ask(post(query, "4later"))).status == 400
    assert recorder.messages == []
    await served.deserted()


async def test_a_session_does_not_linger_when_the_client_closes_it_too(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    recorder.session.close("forced close")
    assert (await wire.ask(post(query, "1"))).text == "ok"
    assert (await wire.ask(get(query))).status == 400
    await served.deserted()


async def test_a_session_closed_during_a_poll_answers_that_poll(serve, connect):
    served = await serve()
    query, recorder = await served.poll_session()
    wire = await connect(served, query)
    await wire.send(get(query))
    await eventually(lambda: recorder.session.poll)
    recorder.send("last")
    recorder.session.close("forced close")
    assert (await wire.answer()).text == "4last"
    assert (await wire.ask(get(query))).text == "1"
    await served.deserted()


async def test_the_queue_is_limited_and_volatile_messages_are_not_queued(serve):
    served = await serve(outbox_limit=1000)
    query, recorder = await served.poll_session()
    recorder.send("dropped", volatile=True)
    poll = await served.polling(query)
    recorder.send("taken", volatile=True)
    assert (await poll).text == "4taken"
    for _ in range(10):
        recorder.send("x" * 300)
    assert len((await served.ask(get(query))).text.split("\x1e")) == 10
    for _ in range(100):
        recorder.send("x" * 300)
    assert await recorder.closed() == "transport error"
    assert served.metrics.slow_clients == 1
    assert (await served.ask(get(query))).json()["code"] == 1
    await served.deserted()


# JSONP.


JSONP = "EIO=3&transport=polling&j="
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


def form(packet):
    """The packet as version 2 clients send it: with its length."""
    return f"d={len(packet)}%3A{quote_plus(packet)}"


async def test_jsonp_responds_with_a_callback(serve):
    served = await serve(echo=True, allow_eio3=True)
    answer = await served.ask(get(f"{JSONP}3x;alert(1)", **OWN_PAGE))
    assert re.match(r'___eio\[31\]\("[0-9]+:0\{', answer.text)
    assert answer.headers["content-type"] == "text/javascript; charset=UTF-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    query = f"{JSONP}0&sid={served.listener.last.session.id}"
    assert (await served.ask(post(query, form('4"</script>\u2028 x'), **OWN_PAGE))).text == "ok"
    answer = await served.ask(get(query, **OWN_PAGE))
    assert answer.text == '___eio[0]("14:4\\"\\u003c/script>\\u2028 x");'


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("4%3A4a%5Cnb", "a\nb"),
        ("5%3A4a%5C%5Cnb", "a\\nb"),
        ("6%3A4a%5C%5C%5Cnb", "a\\\\nb"),
        ("3%3A4%5C%22", '\\"'),
        ("6%3A4a%2Bb+c", "a+b c"),
    ],
)
async def test_jsonp_forms_are_unescaped_as_node_does(serve, form, message):
    served = await serve(allow_eio3=True)
    query, recorder = await served.poll_session(f"{JSONP}0", **OWN_PAGE)
    assert (await served.ask(post(query, f"d={form}", **OWN_PAGE))).text == "ok"
    assert recorder.messages == [message]


@pytest.mark.parametrize("form", ["", "e=4a", "4a", "d", "&d=4a", "a=1&b=2&c=3&d=4"])
async def test_an_invalid_jsonp_form_ends_the_session(serve, form):
    served = await serve(allow_eio3=True)
    query, recorder = await served.poll_session(f"{JSONP}0", **OWN_PAGE)
    assert (await served.ask(post(query, form, **OWN_PAGE))).status == 400
    assert await recorder.closed() == "parse error"


# Revision 3.


async def test_revision_3_uses_its_own_payload_encoding(serve):
    served = await serve(allow_eio3=True, echo=True)
    query, recorder = await served.poll_session_3()
    assert (await served.ask(post(query, "4:4😀a0:1:2"))).text == "ok"
    assert (await served.ask(get(query))).text == "4:4😀a1:3"
    octets = {"Content_Type": "application/octet-stream"}
    assert (await served.ask(post(query, b"\x01\x04\xff\x04\x01\x02\x03", **octets))).text == "ok"
    answer = await served.ask(get(query))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.body == b"\x01\x04\xff\x04\x01\x02\x03"
    assert recorder.messages == ["😀a", b"\x01\x02\x03"]


async def test_revision_3_without_binary_gets_base64(serve):
    served = await serve(allow_eio3=True, echo=True)
    query, _ = await served.poll_session_3(f"{EIO3}&b64=1")
    assert (await served.ask(post(query, "6:b4AQID"))).text == "ok"
    assert (await served.ask(get(query))).text == "6:b4AQID"


async def test_a_client_of_revision_3_sends_the_pings(serve):
    served = await serve(allow_eio3=True, ping_interval=0.1, ping_timeout=0.1)
    query, recorder = await served.poll_session_3()
    poll = await served.polling(query)
    assert await recorder.closed() == "ping timeout"
    assert (await poll).text == "1:1"


# The server's side of the connection.


async def test_a_cancelled_handler_ends_the_session(serve):
    served = await serve(runner={"handler_cancellation": True})
    query, recorder = await served.poll_session()
    wire = await served.wire()
    await wire.send(get(query))
    await eventually(lambda: recorder.session.poll)
    wire.abort()
    assert await recorder.closed() == "transport error"
    await served.deserted()


async def test_a_client_library_polls_over_the_connections_it_keeps(serve):
    served = await serve(echo=True)
    async with aiohttp.ClientSession() as http:
        url = f"{served.url}/engine.io/?{POLLING}"
        async with http.get(url) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        for number in range(10):
            async with http.post(f"{url}&sid={sid}", data=f"4{number}") as answer:
                assert await answer.text() == "ok"
            async with http.get(f"{url}&sid={sid}") as answer:
                assert await answer.text() == f"4{number}"


async def test_messages_keep_their_order_under_load(serve, connect):
    served = await serve(echo=True)
    query, _ = await served.poll_session()
    sender, poller = await connect(served, query), await connect(served, query)
    seen = []

    async def poll():
        while len(seen) < 2000:
            answer = await poller.ask(get(query))
            seen.extend(packet[1:] for packet in answer.text.split("\x1e") if packet[0] == "4")

    polling = asyncio.create_task(poll())
    for begin in range(0, 2000, 40):
        body = "\x1e".join(f"4{number}" for number in range(begin, begin + 40))
        assert (await sender.ask(post(query, body))).text == "ok"
    async with asyncio.timeout(20):
        await polling
    assert seen == [str(number) for number in range(2000)]


async def test_a_broadcast_is_the_same_for_each_recipient(serve):
    served = await serve()
    sessions = [await served.poll_session() for _ in range(3)]
    message = PreparedMessage(b"4all", b"\x01")
    for _, recorder in sessions:
        recorder.session.push(message)
    for query, _ in sessions:
        assert (await served.ask(get(query))).text == "4all\x1ebAQ=="


async def test_a_connection_that_is_not_http_is_answered_by_aiohttp(serve):
    served = await serve()
    wire: Wire = await served.wire()
    assert (await wire.ask(b"no http at all\r\n\r\n")).status == 400


async def test_many_small_queued_messages_count_with_their_overhead(serve):
    """A queued message of one byte needs about sixty."""
    served = await serve(outbox_limit=100_000)
    _, recorder = await served.poll_session()
    count = 0
    while not recorder.reasons and count < 100_000:
        recorder.send("x")
        count += 1
    assert 20_000 < count < 30_000
    assert served.metrics.slow_clients == 1


async def test_a_client_of_version_2_that_pings_and_does_not_poll_is_closed_as_slow(serve):
    served = await serve(allow_eio3=True, outbox_limit=100)
    query, recorder = await served.poll_session_3()
    await served.ask(request("POST", query, b"1:2" * 200))
    assert await recorder.closed() == "transport error"
    assert served.metrics.slow_clients == 1


async def unread(served):
    """A connection whose client reads little, with tiny buffers on both sides; and aiohttp's handler of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", served.port))
    known = set(served.runner.server.connections)
    wire = await served.wire(sock=sock, limit=1024)
    await wire.send(request("GET", "none"))
    await eventually(lambda: set(served.runner.server.connections) - known)
    (handler,) = set(served.runner.server.connections) - known
    handler.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    assert (await wire.answer()).status == 400
    return wire, handler


async def test_nothing_is_answered_behind_an_answer_that_is_not_read(serve):
    served = await serve(allow_eio3=True)
    query, recorder = await served.poll_session_3()
    wire, handler = await unread(served)
    recorder.send("x" * 900_000)
    await wire.send(*[request("GET", query)] * 5)
    await eventually(lambda: handler._paused)
    for _ in range(5):
        recorder.send("y" * 100_000)
        await asyncio.sleep(0.01)
    assert recorder.session.waiting >= 500_000, "it waits in the queue, which has a bound"
    assert handler.transport.get_write_buffer_size() < 1_000_000
    assert served.engine._state.backpressure.total >= 500_000 + 500_000
    assert len((await wire.answer()).body) >= 900_001
    assert len((await wire.answer()).body) >= 500_000
    await eventually(lambda: not served.engine._state.backpressure.total)


async def test_an_answer_that_is_never_read_is_dropped(serve, monkeypatch):
    monkeypatch.setattr("rtserver.engine.session.backpressure.DEAD_SECONDS", 0.1)
    served = await serve(allow_eio3=True)
    query, recorder = await served.poll_session_3()
    wire, handler = await unread(served)
    recorder.send("x" * 900_000)
    await wire.send(request("GET", query))
    await eventually(lambda: handler._paused)
    await eventually(lambda: handler.transport is None)
    assert not served.engine._state.backpressure.total
