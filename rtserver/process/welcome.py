"""Welcome text of a development server: addresses, and for the person at the terminal ready-made tokens.

Where the output is no terminal, somebody may collect it: then it has no token, and the link with the key of the demo
pages is in a file that only the user of the server can read.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rtserver.app.composition import WEB, can_sign, dev_token
from rtserver.config.dev_secret import keep_link, page_key
from rtserver.config.settings import Settings
from rtserver.telemetry.log_config import escape


def print_welcome(settings: Settings, url: str, own: Sequence[str], out: TextIO) -> None:
    """Write the pages at `url` and the user's `own` namespaces to `out`; to a terminal, tokens for all of them too."""
    link = f"{url}/#key={page_key(settings.signing_secret())}" if can_sign(settings) else f"{url}/"
    private = out.isatty()
    out.write(
        f"""
  rtserver is running in development mode.

    Open           {link if private else f"{url}/"}
    Chat           {url}/chat
    Notifications  {url}/notifications
    Admin          {url}/admin/
{_namespaces(own)}{_client(WEB / "vendor" / "socket.io")}
{_tokens(settings) if private or not can_sign(settings) else _elsewhere(settings, link)}
  Stop with Ctrl+C.
"""
    )
    out.flush()


def _namespaces(own: Sequence[str]) -> str:
    titles = ["Your own", *[""] * len(own)]
    return "".join(f"    {title:<13}  {escape(text)}\n" for title, text in zip(titles, own, strict=False))


def _client(folder: Path) -> str:
    """An editable install without npm has no client; every wheel has it."""
    if (folder / "socket.io.esm.min.js").is_file():
        return ""
    return "\n  The browser client is not installed, and the pages need it: run `make setup` where npm is installed.\n"


def _tokens(settings: Settings) -> str:
    if not can_sign(settings):
        return "  This server checks tokens with a public key and cannot make any: get them from their issuer.\n"
    user = dev_token(settings, "alice", "Alice")
    admin = dev_token(settings, "admin", "Admin", ("admin",))
    service = dev_token(settings, "backend", "Backend", ("service",))
    return (
        f"  Tokens that work here, for your own client:\n\n    user alice     {user}\n\n    admin          {admin}\n\n"
        f"  For your own backend, as the key of the HTTP API:\n\n    service        {service}\n{_more(settings)}"
    )


def _more(settings: Settings) -> str:
    return "" if settings.jwt_secret else f"\n  More: {_command(settings)}\n"


def _elsewhere(settings: Settings, link: str) -> str:
    file = keep_link(settings.data_dir, link)
    pages = "" if file is None else f"  The link that signs in to the pages is in {escape(str(file))}\n"
    return f"{pages}  A token for your own client: {_command(settings)}\n"


def _command(settings: Settings) -> str:
    folder = settings.data_dir.absolute()
    return "rtserver token --sub NAME" + ("" if settings.jwt_secret else f" --data-dir {shlex.quote(str(folder))}")
