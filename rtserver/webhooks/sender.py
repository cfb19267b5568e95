"""Webhook sender: one attempt to deliver a webhook by HTTP. The receiver may be slow, broken or hostile.

1. Only the status counts, and only 2xx is success. The body of the response is not read, and no redirect is followed:
   the signature is for one address.
2. Errors are reported in texts of our own, without the address, which may contain a secret.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import aiohttp

from rtserver.webhooks.signing import headers

_USER_AGENT = "rtserver-webhooks"


class Sender:
    """`timeout`: seconds for one attempt in total; `connections`: at a time. Used between `start` and `stop`."""

    def __init__(self, url: str, keys: Sequence[bytes], *, timeout: float = 15.0, connections: int = 16) -> None:
        self._url, self._keys, self._timeout, self._connections = url, keys, timeout, connections
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP session."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            headers={"User-Agent": _USER_AGENT, "Content-Type": "application/json"},
        )

    async def stop(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()

    async def send(self, id_: str, body: bytes) -> str | None:
        """Send a webhook; return None if the receiver accepted it, else the reason."""
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
