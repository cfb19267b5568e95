"""A stalled process: what its clients sent before they gave up is not carried out when it goes on."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import OpenRaw, Serve, eventually

INTERVAL, TIMEOUT = 0.3, 0.4


class Notes(Namespace, path="/notes"):
    auth = "none"

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []

    @event("write", rate=None)
    async def write(self, client: Client, value: Any) -> dict[str, Any]:
        self.written.append(value)
        return {"ok": True}


async def test_a_client_whose_heartbeat_is_over_is_closed_before_its_input_is_read(serve: Serve, raw: OpenRaw) -> None:
    notes = Notes()
    served = await serve(notes, ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    lost = await raw(served.url)
    await lost.connect("/notes")
    await lost.call("/notes", "write", "before")
    await lost.send('2/notes,7["write","given up"]')
    time.sleep(INTERVAL + TIMEOUT + 0.5)  # noqa: ASYNC251  the stall
    await served.deserted()
    assert notes.written == ["before"]


async def test_a_client_that_still_waits_is_served_after_the_stall(serve: Serve, raw: OpenRaw) -> None:
    """Longer than the ping timeout, and shorter than the client waits for a ping."""
    notes = Notes()
    served = await serve(notes, ping_interval=25, ping_timeout=0.3)
    waiting = await raw(served.url)
    await waiting.connect("/notes")
    await waiting.send('2/notes,7["write","late"]')
    time.sleep(1.2)  # noqa: ASYNC251  the stall
    assert await waiting.receive() == '3/notes,7[{"ok":true}]'
    assert notes.written == ["late"]


async def test_a_pong_that_waited_keeps_its_session(serve: Serve, raw: OpenRaw) -> None:
    """The ping timeout is over, but the pong had arrived; the event of another client makes the server judge."""
    notes = Notes()
    served = await serve(notes, ping_interval=1.0, ping_timeout=0.3)
    pinged, other = await raw(served.url), await raw(served.url)
    await pinged.connect("/notes")
    await other.connect("/notes")
    session = served.server.connections[pinged.engine_id].engine_session
    await eventually(lambda: session._awaits_pong)
    await pinged.engine_send("3")
    await other.engine_send("3")
    await other.send('2/notes,7["write","judge"]')
    time.sleep(0.3 + 0.4)  # noqa: ASYNC251  the stall
    await eventually(lambda: notes.written == ["judge"])
    await asyncio.sleep(0.3 + 0.1)
    assert not served.server.connections[pinged.engine_id].closed


async def test_a_stall_is_noted(serve: Serve, raw: OpenRaw) -> None:
    notes = Notes()
    served = await serve(notes)
    client = await raw(served.url)
    await client.connect("/notes")
    assert served.server.engine.stalls.recent() is None
    await client.send('2/notes,7["write",1]')
    began = time.time()
    time.sleep(1.5)  # noqa: ASYNC251  the stall
    ended = time.time()
    await eventually(lambda: notes.written == [1])
    stall = served.server.engine.stalls.recent()
    assert stall is not None
    # It is noticed by a timer that was due a tick after the beginning at the latest.
    assert began - 1 <= stall[0] / 1000 <= began + 0.2
    assert ended - 0.01 <= stall[1] / 1000 <= time.time() + 0.01
