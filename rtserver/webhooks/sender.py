"""One attempt to hand a webhook over by HTTP. The receiver may be slow, broken or hostile.

1. Only the status counts, and only 2xx is success. The body of an answer is not read, and no redirect is followed: what
   was signed for one address is not for another.
2. What went wrong is told in words of ours, without the address, which may hold a secret.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import aiohttp

from rtserver.webhooks.signing import headers

_USER_AGENT = "rtserver-webhooks"


class Sender:
    """`timeout`: seconds for one attempt, all in all. Needs `start` and `stop`."""

    def __init__(self, url: str, keys: Sequence[bytes], *, timeout: float = 15.0, connections: int = 16) -> None:
        self._url, self._keys, self._timeout, self._connections = url, keys, timeout, connections
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            headers={"User-Agent": _USER_AGENT, "Content-Type": "application/json"},
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, id_: str, body: bytes) -> str | None:
        """None when it was taken, else why not."""
        if self._session is None:
            raise RuntimeError("start it first")
        signed = headers(self._keys, id_, int(time.time()), body)
        try:
            async with self._session.post(self._url, data=body, headers=signed, allow_redirects=False) as response:
                return None if 200 <= response.status < 300 else f"The receiver answered {response.status}"
        except TimeoutError:
            return f"No answer within {self._timeout:g} seconds"
        except aiohttp.ClientConnectorError:
            return "The receiver cannot be reached"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"The exchange failed ({type(error).__name__})"
