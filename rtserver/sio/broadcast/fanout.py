"""One encoded packet to many clients: the loop in which a server that broadcasts spends its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rtserver.engine.session.prepared_message import PreparedMessage
    from rtserver.engine.transports.websocket import WebSocket
    from rtserver.sio.client.client import Client


def fan_out(clients: list[Client], message: PreparedMessage, volatile: bool, turn: int) -> None:
    """`turn` is the engine's. The first frame of a turn goes straight to the socket (see `websocket_writer`)."""
    frames = message.frames
    size = len(frames)
    for client in clients:
        outbox = client.outbox
        send = outbox.send
        if send is None:
            outbox.push(message, volatile)
        elif outbox.sent_at >= turn:
            cast("WebSocket", outbox.socket).corked_write(frames)
        else:
            outbox.sent_at = turn
            try:  # `sent`, without a call for each client
                taken = send(frames)
            except OSError:
                taken = 0
            if taken != size:
                cast("WebSocket", outbox.socket).write_buffered(frames[taken:])
