"""A client of the HTTP API, as a backend in the tests of namespaces."""

from typing import Any

import aiohttp

from tests.support.rtserver_process import RtServer


class Backend:
    """`await Backend(server).get("/api/…")`: the status and the body, or the status and the code of the error."""

    def __init__(self, server: RtServer, bearer: str | None = None) -> None:
        self._url = server.url
        self._headers = {"Authorization": f"Bearer {bearer or server.api_key}"}

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers=self._headers) as http,
            http.request(method, self._url + path, **options) as response,
        ):
            body = await response.json()
            return response.status, body if body["ok"] else body["error"]["code"]

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("POST", path, json=body)

    async def put(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("PUT", path, json=body)

    async def patch(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.ask("PATCH", path, json=body)

    async def delete(self, path: str) -> tuple[int, Any]:
        return await self.ask("DELETE", path)
