"""Client bundle: the official Socket.IO client build below the path of Socket.IO, as Node's server has it.

Owns the list of files and the response where they are not installed; must not know where they came from. Each path is
a route of its own, so that no other file of the folder can be requested and Engine.IO keeps the path itself.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from rtserver.http.pages.static_files import Files, respond

SOCKET_IO = "/socket.io"
_SCRIPTS = ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js")
NAMES = (*_SCRIPTS, *(f"{name}.map" for name in _SCRIPTS))

# The URL has no version, so browsers revalidate at every use, usually with 304 as the answer.
HEADERS = {"Cache-Control": "public, max-age=0, must-revalidate", "Cross-Origin-Resource-Policy": "cross-origin"}

_NOT_INSTALLED = """\
{name} is not installed on this server.

The Socket.IO client comes from npm, which was not there when rtserver was set up. Install Node.js with npm
(https://nodejs.org), then run:

    make setup

The server itself works without it: a page may load the client from its own bundle or from a CDN.
"""


def bundle_paths(path: str = SOCKET_IO) -> frozenset[str]:
    """Return the path of each file, by that of Socket.IO."""
    return frozenset(f"{path}/{name}" for name in NAMES)


class ClientBundle:
    """`folder` holds the `dist/` of the npm package socket.io-client, or does not exist.

    `path`: that of Socket.IO, without a slash at its end.
    """

    def __init__(self, folder: Path, path: str = SOCKET_IO) -> None:
        self._folder = folder
        self._path = path
        self._files = Files()

    def routes(self) -> list[web.RouteDef]:
        """Return a route for each file."""
        return [web.get(path, self._serve) for path in sorted(bundle_paths(self._path))]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix(f"{self._path}/")
        if name not in NAMES:  # Routes match exactly; this protects the folder should that ever change.
            raise web.HTTPNotFound
        file = await self._files.get(self._folder / name)
        if file is None:
            return web.Response(status=404, text=_NOT_INSTALLED.format(name=name))
        return respond(request, file, HEADERS)
