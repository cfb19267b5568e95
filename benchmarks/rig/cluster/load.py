"""Load generator of the cluster benchmark: clients at two servers, events from one to the other, each of them checked.

    python -m rig.cluster.load PORT_A PORT_B PID_A PID_B NEAR RATE SECONDS WARM

RATE 0: as fast as the servers can, with `WINDOW` events in flight.

Senders at A emit `room` with a room's name and a text; one client is in each room: at B, or (NEAR = 1) at A, so that
the traffic does not concern B. Latency is from write to read. Writes one line of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from rig.figures import cpu, quantile

ROOMS = 100
SENDERS = 20
BYTES = 64
WINDOW = 200
JOIN_SECONDS = 20.0
DRAIN_SECONDS = 5.0
PROBE = "0"
"""Stands in the place of an event's number; those begin at 1."""


class Client(asyncio.Protocol):
    """One Socket.IO client over a WebSocket; `packet` receives all packets after the CONNECT."""

    def __init__(self, packet: Callable[[bytes], None]) -> None:
        self.packet = packet
        self.ready = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key.encode()
        )

    def send(self, text: bytes) -> None:
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
        mask = b"\0\0\0\0"
        self.transport.write(head + mask + text)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert b" 101 " in self.buffer[:20], self.buffer
            self.open, self.buffer = True, self.buffer[end + 4 :]
        while len(self.buffer) >= 2:
            size, begin = self.buffer[1], 2
            if size == 126:
                size, begin = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < begin + size:
                return
            text, self.buffer = self.buffer[begin : begin + size], self.buffer[begin + size :]
            self.on_packet(text)

    def on_packet(self, text: bytes) -> None:
        if text[:1] == b"0":
            self.send(b"40")
        elif text == b"2":
            self.send(b"3")
        elif text[:2] == b"40":
            self.ready.set_result(None)
        else:
            self.packet(text)


async def client(port: int, packet: Callable[[bytes], None]) -> Client:
    _, made = await asyncio.get_running_loop().create_connection(lambda: Client(packet), "127.0.0.1", port)
    await made.ready
    return made


class Receipts:
    def __init__(self) -> None:
        self.expected: int | None = None
        self.all_joined = asyncio.Event()
        self.all_seen = asyncio.Event()
        self.reached: set[int] = set()
        """Rooms that a probe has reached."""
        self.seen = [0] * ROOMS
        self.latencies: list[float] = []
        self.faults = 0
        self.measuring = False
        self.joined = 0

    def packet(self, text: bytes) -> None:
        now = time.perf_counter()
        if text.startswith(b"43"):
            self.joined += 1
            if self.joined == ROOMS:
                self.all_joined.set()
            return
        name, body = json.loads(text[2:])
        room, number, sent, _ = body.split(":")
        if number == PROBE:
            self.reached.add(int(room))
            return
        self.seen[int(room)] += 1
        if name != "room" or int(number) != self.seen[int(room)]:
            self.faults += 1
        if self.measuring:
            self.latencies.append((now - float(sent)) * 1000)
        if self.expected is not None:
            self.expect(self.expected)

    def expect(self, total: int) -> None:
        self.expected = total
        if sum(self.seen) >= total:
            self.all_seen.set()


async def until_every_room_receives(sender: Client, receipts: Receipts) -> None:
    """Wait until every room receives: a sharded adapter subscribes to a room some time after it was joined."""
    while missing := set(range(ROOMS)) - receipts.reached:
        for room in missing:
            sender.send(b'42["room","r%d","%d:%b:0:"]' % (room, room, PROBE.encode()))
        await asyncio.sleep(0.05)


async def main(
    port_a: int, port_b: int, pid_a: int, pid_b: int, near: int, rate: float, seconds: float, warm: float
) -> None:
    receipts = Receipts()
    for room in range(ROOMS):
        receiver = await client(port_a if near else port_b, receipts.packet)
        receiver.send(b'420["join","r%d"]' % room)
        other = await client(port_b if near else port_a, lambda _: None)
        other.send(b'420["join","elsewhere%d"]' % room)
    async with asyncio.timeout(JOIN_SECONDS):
        await receipts.all_joined.wait()
    senders = [await client(port_a, lambda _: None) for _ in range(SENDERS)]
    async with asyncio.timeout(JOIN_SECONDS):
        await until_every_room_receives(senders[0], receipts)
    numbers = [0] * ROOMS
    total = 0

    def emit() -> None:
        nonlocal total
        room = total % ROOMS
        numbers[room] += 1
        text = b"%d:%d:%.6f:" % (room, numbers[room], time.perf_counter())
        senders[total % SENDERS].send(b'42["room","r%d","%b"]' % (room, text.ljust(BYTES, b"x")))
        total += 1

    async def emit_until(end: float) -> None:
        began, first = time.perf_counter(), total
        while (now := time.perf_counter()) < end:
            due = first + (now - began) * rate if rate else sum(receipts.seen) + WINDOW
            while total < due:
                emit()
            await asyncio.sleep(0.001 if rate else 0.0005)

    await emit_until(time.perf_counter() + warm)
    start, seen = (cpu(pid_a), cpu(pid_b)), sum(receipts.seen)
    receipts.measuring = True
    await emit_until(time.perf_counter() + seconds)
    used_a, used_b = cpu(pid_a) - start[0], cpu(pid_b) - start[1]
    measured = sum(receipts.seen) - seen
    receipts.expect(total)
    with suppress(TimeoutError):
        await asyncio.wait_for(receipts.all_seen.wait(), DRAIN_SECONDS)
    latencies = sorted(receipts.latencies)
    missing = total - sum(receipts.seen)
    print(
        json.dumps(
            {
                "ok": not missing and not receipts.faults,
                "missing": missing,
                "faults": receipts.faults,
                "events": measured,
                "per_second": measured / seconds,
                "cpu_us": (used_a + used_b) / measured * 1e6,
                "cpu_a_us": used_a / measured * 1e6,
                "cpu_b_us": used_b / measured * 1e6,
                "p50_ms": quantile(latencies, 0.5),
                "p99_ms": quantile(latencies, 0.99),
            }
        )
    )


if __name__ == "__main__":
    import uvloop

    numbers = [float(word) for word in sys.argv[1:]]
    port_a, port_b, pid_a, pid_b, near = map(int, numbers[:5])
    rate, seconds, warm = numbers[5:]
    uvloop.run(main(port_a, port_b, pid_a, pid_b, near, rate, seconds, warm))
