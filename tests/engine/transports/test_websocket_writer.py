"""How the frames of one turn of the event loop leave, on uvloop; more of their order is in test_websocket.py."""

from __future__ import annotations

import socket

from rtserver.engine.transports.websocket_writer import BorrowedSocket
from tests.engine.wire import client_frame

PING, PONG, TEXT = 9, 10, 1


def straight(recorder) -> list[bytes]:
    """What goes straight to the socket from now on, write by write."""
    writes: list[bytes] = []
    socket = recorder.session.socket
    send = socket._send
    socket._send = recorder.session.send = lambda data: writes.append(data) or send(data)
    return writes


async def test_the_answers_to_frames_of_one_read_leave_as_one(serve):
    served = await serve(echo=True)
    wire, recorder = await served.websocket()
    writes = straight(recorder)
    for _ in range(3):
        await wire.send(b"".join(client_frame(f"4{number}") for number in range(10)))
        answers = b"".join(b"\x81\x024%d" % number for number in range(10))
        assert await wire.reader.readexactly(len(answers)) == answers
        assert writes == [answers]
        writes.clear()
    await wire.send(client_frame("4one"))
    assert await wire.text() == "4one"
    assert writes == [b"\x81\x044one"]


async def test_a_large_message_right_behind_a_pong_stays_whole(serve):
    """The pong waits for the end of the turn; the message, too large for the system's buffer, must not overtake it."""
    served = await serve()
    wire, recorder = await served.websocket()
    other, trigger = await served.websocket()
    large = "x" * 10_000_000
    trigger.receive = lambda message: recorder.send(large)
    wire.writer.write(client_frame(b"there?", opcode=PING))
    other.writer.write(client_frame("4now"))
    got = dict([await wire.receive(), await wire.receive()])
    assert got == {PONG: b"there?", TEXT: b"4" + large.encode()}


def test_a_borrowed_socket_stays_open_when_it_is_thrown_away():
    here, there = socket.socketpair()
    with here, there:
        borrowed = BorrowedSocket(here.family, here.type, here.proto, here.fileno())
        borrowed.send(b"a")
        del borrowed
        here.send(b"b")
        assert there.recv(10) == b"ab"
