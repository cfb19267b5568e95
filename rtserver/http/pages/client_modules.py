"""Client modules: `/client/chat.js`, `/client/notifications.js`, what they import, and their types.

Owns which file is at which path; must not know what the modules do. Front ends of other origins import them, in
production too, so they have the headers of the client bundle. The table is made from the folders once, at the start: a
request can only select an entry of it.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from rtserver.http.pages.client_bundle import HEADERS
from rtserver.http.pages.static_files import Files, respond

PREFIX = "/client/"


def covers_client(path: str) -> bool:
    """Whether the path belongs to the client modules."""
    return path.startswith(PREFIX)


class ClientModules:
    """`modules` holds the JavaScript modules, `types` their declarations for TypeScript."""

    def __init__(self, modules: Path, types: Path) -> None:
        self._files = Files()
        found = [*modules.glob("*.js"), *types.glob("*.d.ts")]
        self._table = {PREFIX + path.name: path for path in found}

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each file."""
        return [web.get(path, self._serve) for path in sorted(self._table)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        file = await self._files.get(self._table[request.path])
        if file is None:
            raise web.HTTPNotFound
        return respond(request, file, HEADERS)
