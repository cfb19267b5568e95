"""Load generator for one notification to 10,000 users, 1,000 of them connected: time until all are saved and received.

    python -m rig.durable.notification_load PORT PID < LINES

LINES: the API key, then one JWT for each user that is connected (user0, user1, …). Ten requests of 1,000 users each
are made at once. Each client must get the notification once. Writes one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial

import aiohttp

from rig.durable.message_load import Client
from rig.figures import cpu, quantile

USERS = 10_000
REQUEST = 1000
TIMES = 5
SECONDS = 60.0


class Device(Client):
    """Connected to /notifications; `arrived` has the time of each notification."""

    namespace = b"/notifications,"

    def __init__(self, token: str) -> None:
        super().__init__(token, "", lambda client, packet: None)
        self.arrived: list[float] = []

    def on_packet(self, text: bytes) -> None:
        if text.startswith(b'42/notifications,["notification",'):
            self.arrived.append(time.perf_counter())
        elif text.startswith(b"40/notifications,"):
            self.ready.set_result(None)
        else:
            super().on_packet(text)


async def main(port: int, pid: int) -> None:
    key, *tokens = sys.stdin.read().split()
    devices = []
    for token in tokens:
        _, device = await asyncio.get_running_loop().create_connection(partial(Device, token), "127.0.0.1", port)
        devices.append(device)
        await asyncio.wait_for(device.ready, SECONDS)
    took, answered, late, used = [], [], [], []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        for number in range(1, TIMES + 1):
            before, start = cpu(pid), time.perf_counter()
            await asyncio.gather(*(post(http, port, number, first) for first in range(0, USERS, REQUEST)))
            answered.append(time.perf_counter() - start)
            async with asyncio.timeout(SECONDS):
                while any(len(device.arrived) < number for device in devices):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            arrivals = sorted(device.arrived[-1] - start for device in devices)
            took.append(max(answered[-1], arrivals[-1]))
            late += arrivals
            used.append(cpu(pid) - before)
    wrong = sum(len(device.arrived) != TIMES for device in devices)
    late.sort()
    result = {"ok": not wrong, "wrong": wrong, "users": USERS, "online": len(devices)}
    middle = TIMES // 2
    figures = {
        "seconds": sorted(took)[middle],
        "answered_s": sorted(answered)[middle],
        "p50_ms": quantile(late, 0.5) * 1000,
        "p99_ms": quantile(late, 0.99) * 1000,
        "cpu_us": sorted(used)[middle] / USERS * 1e6,
    }
    print(json.dumps(result | figures))


async def post(http: aiohttp.ClientSession, port: int, number: int, first: int) -> None:
    users = [f"user{user}" for user in range(first, first + REQUEST)]
    body = {"type": "bench", "message": "To everybody", "key": f"bench-{number}-{first}", "users": users}
    async with http.post(f"http://127.0.0.1:{port}/api/notifications", json=body) as answer:
        assert answer.status < 300, await answer.text()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
