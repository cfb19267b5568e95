"""Static pages: landing, chat and notifications in development mode, `/admin/` in both modes.

Owns which file is at which path, and the security headers; must not know what the pages do. The table of paths is made
from the folder once, at the start: a request can only select an entry of it, and cannot name a file. One module of the
scripts is generated: it tells the others under which path Socket.IO is served.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from rtserver.http.pages.client_bundle import SOCKET_IO
from rtserver.http.pages.static_files import SUFFIXES, Files, file_of, respond
from rtserver.protocol import json

_DEMO_PAGES = {"/": "index.html", "/chat": "chat.html", "/notifications": "notifications.html"}
_ADMIN_PAGE = {"/admin/": "admin/index.html"}
_SHARED_FOLDERS = ("assets", "admin")
_PATH_MODULE = "/assets/js/server_path.js"
_ICONS = ("favicon.ico", "favicon.svg")

_HEADERS = {
    # Pages change with the server and are small: browsers revalidate each time, usually with 304 as the answer.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_PLAIN = "rtserver is running. Socket.IO clients connect to this address; there is no page here.\n"


class Pages:
    """`folder` is `rtserver/web`; the demo pages are served in `development` only."""

    def __init__(self, folder: Path, *, development: bool, socketio_path: str = SOCKET_IO) -> None:
        self._files = Files()
        self._demo = development
        self._table = _table(folder, demo=development)
        script = f"export const PATH = {json.dumps(socketio_path).decode()};\n".encode()
        self._path_module = file_of(script, ".js") if socketio_path != SOCKET_IO else None

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each path of the table; `/` has a plain text where there is no landing page."""
        routes = [web.get(path, self._serve) for path in sorted(self._table)]
        if "/admin/" in self._table:
            routes.append(web.get("/admin", self._to_admin))
        if "/" not in self._table:
            routes.append(web.get("/", self._plain))
        return routes

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == _PATH_MODULE and self._path_module is not None:
            return respond(request, self._path_module, _HEADERS)
        path = self._table.get(request.path)
        file = await self._files.get(path) if path is not None else None
        if file is None:
            raise web.HTTPNotFound
        return respond(request, file, _HEADERS)

    async def _to_admin(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPPermanentRedirect("/admin/", headers={"Cache-Control": "no-cache"})

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=_PLAIN, headers={**_HEADERS, "X-Content-Type-Options": "nosniff"})


def _table(folder: Path, *, demo: bool) -> dict[str, Path]:
    """Return the file for each path that is served."""
    named = {**(_DEMO_PAGES if demo else {}), **_ADMIN_PAGE, **{f"/{icon}": icon for icon in _ICONS}}
    table = {address: folder / name for address, name in named.items() if (folder / name).is_file()}
    for shared in _SHARED_FOLDERS:
        for path in (folder / shared).rglob("*"):
            if path.is_file() and path.suffix in SUFFIXES:
                table.setdefault(f"/{path.relative_to(folder).as_posix()}", path)
    return table
