"""JSON bodies with 20,000 fields, the last one of them twice."""

from __future__ import annotations

import aiohttp

from rig.attacks.target import Target

REQUESTS = 5
FIELDS = 20_000


async def run(target: Target) -> None:
    names = [*range(FIELDS), FIELDS - 1]
    fields = ",".join(f'"field{name}":0' for name in names)
    body = f'{{"namespace":"/chat","event":"news","data":{{{fields}}}}}'
    headers = {"Authorization": f"Bearer {target.api_key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(REQUESTS):
            async with session.post(f"{target.url}/api/emit", data=body) as answer:
                if answer.status != 400:
                    raise ConnectionError(f"answered with {answer.status}")
