"""Load generator for saved messages: senders in rooms of /chat, each waits for the ack of its last message.

    python -m rig.durable.message_load PORT PID SENDERS SECONDS WARM < TOKENS

TOKENS has one JWT a line. Clients are in rooms of `ROOM`, all of them members of theirs; with fewer senders than that
the rest of the one room listens. Latency is from the write of a message to the read of its ack. Every ack is checked,
and every listener must have received every message of its room once, in the order of `seq`. Writes one line of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from rig.figures import cpu, quantile

ROOM = 20
TEXT = "x" * 64
JOIN_SECONDS = 60.0
DRAIN_SECONDS = 20.0
SEQ = re.compile(rb'"seq":(\d+)')


class Client(asyncio.Protocol):
    """One client of /chat over a WebSocket. Messages of others are counted; acks go to `acked(client, packet)`."""

    namespace = b"/chat,"

    def __init__(self, token: str, room: str, acked: Callable[[Client, bytes], None]) -> None:
        self.token = token
        self.room = room
        self.acked = acked
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = 0
        self.faults = 0
        self.saved = 0
        self.last = 0
        self.sent_at = 0.0
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is one by its looks only
        key = base64.b64encode(os.urandom(16))
        transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key
        )

    def send(self, text: bytes) -> None:
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + text)  # a mask of zeros

    def call(self, event: str, payload: dict[str, object]) -> None:
        self.sent_at = time.perf_counter()
        self.send(b"42" + self.namespace + b"0" + json.dumps([event, payload], separators=(",", ":")).encode())

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert b" 101 " in buffer[:20], bytes(buffer[:200])
            self._open, at = True, end + 4
        while len(buffer) - at >= 2:
            size, begin = buffer[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < begin + size:
                break
            self.on_packet(bytes(buffer[begin : begin + size]))
            at = begin + size
        del buffer[:at]

    def on_packet(self, text: bytes) -> None:
        if text.startswith(b'42/chat,["message",'):
            self._heard(text)
        elif text.startswith(b"43/chat,"):
            self.acked(self, text)
        elif text == b"2":
            self.send(b"3")
        elif text.startswith(b"40/chat,"):
            self.call("join", {"room": self.room})
        elif text[:1] == b"0":
            self.send(b"40" + self.namespace + json.dumps({"token": self.token}).encode())

    def _heard(self, text: bytes) -> None:
        """Check the order; missing messages are counted at the end."""
        found = SEQ.search(text)
        seq = int(found[1]) if found else 0
        self.received += 1
        if seq <= self.last:
            self.faults += 1
        self.last = seq


class Load:
    def __init__(self) -> None:
        self.acks = 0
        self.refused = 0
        self.sent = 0
        self.sending = True
        self.measuring = False
        self.latencies: list[float] = []
        self.saved: dict[str, int] = {}
        self.idle = asyncio.Event()

    async def connect(self, port: int, tokens: list[str]) -> list[Client]:
        clients = []
        loop = asyncio.get_running_loop()
        for number, token in enumerate(tokens):
            room = f"bench{number // ROOM}"
            made = partial(Client, token, room, self.joined)
            _, client = await loop.create_connection(made, "127.0.0.1", port)
            clients.append(client)
            await asyncio.wait_for(client.ready, JOIN_SECONDS)
        for client in clients:
            client.acked = self.acked
        return clients

    def joined(self, client: Client, text: bytes) -> None:
        assert b'"ok":true' in text, text
        client.ready.set_result(None)

    def acked(self, client: Client, text: bytes) -> None:
        now = time.perf_counter()
        if b'"ok":true' in text[:30]:
            self.acks += 1
            self.saved[client.room] = self.saved.get(client.room, 0) + 1
            client.saved += 1
        else:
            self.refused += 1
        if self.measuring:
            self.latencies.append((now - client.sent_at) * 1000)
        if self.sending:
            self.say(client)
        elif self.acks + self.refused == self.sent:
            self.idle.set()

    def say(self, client: Client) -> None:
        self.sent += 1
        client.call("message", {"room": client.room, "text": TEXT})


async def main(port: int, pid: int, senders: int, seconds: float, warm: float) -> None:
    tokens = sys.stdin.read().split()
    load = Load()
    clients = await load.connect(port, tokens)
    for client in clients[:senders]:
        load.say(client)
    await asyncio.sleep(warm)
    began, used, acks = time.perf_counter(), cpu(pid), load.acks
    own = time.process_time()
    load.measuring = True
    await asyncio.sleep(seconds)
    load.measuring = False
    measured, took, used = load.acks - acks, time.perf_counter() - began, cpu(pid) - used
    own = time.process_time() - own
    load.sending = False
    with suppress(TimeoutError):
        await asyncio.wait_for(load.idle.wait(), DRAIN_SECONDS)
    await heard_all(load, clients)
    missing = sum(wanted(load, client) - client.received for client in clients)
    faults = load.refused + sum(client.faults for client in clients)
    latencies = sorted(load.latencies)
    print(
        json.dumps(
            {
                "ok": not missing and not faults and measured > 0,
                "missing": missing,
                "faults": faults,
                "messages": measured,
                "per_second": measured / took,
                "cpu_us": used / max(1, measured) * 1e6,
                "generator_busy": own / took,
                "p50_ms": quantile(latencies, 0.5),
                "p99_ms": quantile(latencies, 0.99),
            }
        )
    )


def wanted(load: Load, client: Client) -> int:
    """The number of messages of the other senders of its room; for its own it has the acks."""
    return load.saved.get(client.room, 0) - client.saved


async def heard_all(load: Load, clients: list[Client]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while any(client.received < wanted(load, client) for client in clients):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    import uvloop

    words = sys.argv[1:]
    uvloop.run(main(int(words[0]), int(words[1]), int(words[2]), float(words[3]), float(words[4])))
