"""Load generator for notifications to single users, each with a key. Callers wait for the answer to their last request.

    python -m rig.durable.single_notification_load PORT PID CALLERS SECONDS WARM < KEY

The users take turns. Every answer must be new and under the key that it was asked with first, and the numbers of each
user must have no gap at the end. Writes one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import defaultdict
from itertools import count
from typing import cast

from rig.figures import cpu, quantile

USERS = 1000
DRAIN_SECONDS = 20.0
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Load:
    """State that all callers share: the next key, and the outcome of each request."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.numbers = count()
        self.seqs: dict[str, list[int]] = defaultdict(list)
        self.late: list[tuple[float, float]] = []
        self.wrong = 0
        self.going = True
        self.calling = 0

    def on_answer(self, user: str, head: bytes, body: bytes, sent_at: float) -> None:
        answer = json.loads(body)
        if not head.startswith(b"HTTP/1.1 200") or not answer["new"] or answer["notifications"][0]["user"] != user:
            self.wrong += 1
            return
        self.seqs[user].append(answer["notifications"][0]["seq"])
        now = time.perf_counter()
        self.late.append((now, now - sent_at))

    def gaps(self) -> int:
        return sum(sorted(seqs) != list(range(1, len(seqs) + 1)) for seqs in self.seqs.values())


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.calling += 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.wrong += self._load.going

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        if end and length is not None and len(body) >= int(length[1]):
            self._buffer = b""
            self._load.on_answer(self._user, head, body, self._sent_at)
            self._send()

    def _send(self) -> None:
        if not self._load.going:
            self._load.calling -= 1
            return
        number = next(self._load.numbers)
        self._user = f"user{number % USERS}"
        request = {"type": "bench", "message": "x" * 64, "user": self._user, "key": f"bench-{number}"}
        body = json.dumps(request).encode()
        self._sent_at = time.perf_counter()
        self._transport.write(
            b"POST /api/notifications HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (self._load.key.encode(), len(body), body)
        )


async def main(port: int, pid: int, callers: int, seconds: float, warm: float) -> None:
    load = Load(sys.stdin.read().strip())
    for _ in range(callers):
        await asyncio.get_running_loop().create_connection(lambda: Caller(load), "127.0.0.1", port)
    await asyncio.sleep(warm)
    used, start = cpu(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    used, end = cpu(pid) - used, time.perf_counter()
    load.going = False
    async with asyncio.timeout(DRAIN_SECONDS):
        while load.calling:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    late = sorted(took for at, took in load.late if start <= at <= end)
    gaps = load.gaps()
    result = {"ok": bool(late) and not load.wrong and not gaps, "wrong": load.wrong, "gaps": gaps, "callers": callers}
    figures = {
        "per_second": len(late) / (end - start),
        "cpu_us": used / max(len(late), 1) * 1e6,
        "p50_ms": quantile(late, 0.5) * 1000,
        "p99_ms": quantile(late, 0.99) * 1000,
    }
    print(json.dumps(result | figures))


if __name__ == "__main__":
    import uvloop

    numbers = sys.argv[1:]
    uvloop.run(main(int(numbers[0]), int(numbers[1]), int(numbers[2]), float(numbers[3]), float(numbers[4])))
