"""Welcome text of a development server: addresses and ready tokens, printed to the terminal and never logged."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rtserver.app.composition import WEB, can_sign, dev_token
from rtserver.config.settings import Settings
from rtserver.telemetry.log_config import escape


def print_welcome(settings: Settings, url: str, own: Sequence[str], out: TextIO) -> None:
    """Write the pages at `url`, the user's `own` namespaces, and tokens for all of them to `out`."""
    out.write(
        f"""
  rtserver is running in development mode.

    Open           {url}/
    Chat           {url}/chat
    Notifications  {url}/notifications
    Admin          {url}/admin/
{_namespaces(own)}{_client(WEB / "vendor" / "socket.io")}
{_tokens(settings)}
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
    if settings.jwt_secret:
        return ""
    folder = settings.data_dir.absolute()
    return f"\n  More: rtserver token --sub NAME --data-dir {shlex.quote(str(folder))}\n"
