"""Fan-out: write one encoded packet to many clients. A server that broadcasts spends its time in this loop.

Most of the cost of a broadcast is one `send()` of the operating system for each client. The rest is Python's, so the
loop makes no call that it can avoid:

1. The packet is encoded and framed once, before the loop (`message.frames`). Every WebSocket of revision 4 without
   compression gets these same bytes.
2. The first broadcast to a client in one iteration of the event loop goes straight to the socket: it has the lowest
   latency, and most iterations have no second one.
3. Further broadcasts in that iteration are corked: they wait, and leave in one `send()` at the iteration's end.
   `outbox.sent_at` holds the number of the iteration of the last direct write; `iteration` is the current one.
4. What the system does not take (its buffer is full, or the socket is gone) is left to the asyncio transport, which
   buffers it or reports the loss.
5. All other sessions (long polling, binary as base64, a congested or compressed WebSocket) go through `outbox.push`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rtserver.engine.session.prepared_message import PreparedMessage
    from rtserver.engine.transports.websocket import WebSocket
    from rtserver.sio.broadcast.recipient import Recipient


def fan_out(clients: list[Recipient], message: PreparedMessage, volatile: bool, iteration: int) -> None:
    """Send `message` to each client. `iteration` is the event loop's, as the engine counts it."""
    frames = message.frames
    size = len(frames)
    for client in clients:
        outbox = client.outbox
        send = outbox.send
        if send is None:
            outbox.push(message, volatile)
        elif outbox.sent_at >= iteration:
            cast("WebSocket", outbox.socket).corked_write(frames)
        else:
            outbox.sent_at = iteration
            try:  # the body of `outbox.sent`, repeated here to save a call for each client
                taken = send(frames)
            except OSError:
                taken = 0
            if taken != size:
                cast("WebSocket", outbox.socket).write_buffered(frames[taken:])
