"""Welcome text of a development server: addresses and ready tokens, printed to the terminal and never logged."""

from __future__ import annotations

from typing import TextIO

from rtserver.app.composition import can_sign, dev_token
from rtserver.config.settings import Settings


def print_welcome(settings: Settings, url: str, out: TextIO) -> None:
    """Write the pages at `url` and tokens for them to `out`."""
    out.write(
        f"""
  rtserver is running in development mode.

    Open           {url}/
    Chat           {url}/chat
    Notifications  {url}/notifications
    Admin          {url}/admin/

{_tokens(settings)}
  Stop with Ctrl+C.
"""
    )
    out.flush()


def _tokens(settings: Settings) -> str:
    if not can_sign(settings):
        return "  This server checks tokens with a public key and cannot make any: get them from their issuer.\n"
    user = dev_token(settings, "alice", "Alice")
    admin = dev_token(settings, "admin", "Admin", ("admin",))
    return f"  Tokens that work here, for your own client:\n\n    user alice     {user}\n\n    admin          {admin}\n"
