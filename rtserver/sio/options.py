"""Options of a server, apart from those of the engine and of python-socketio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from rtserver.rate_limit import Rate
from rtserver.sio.limits.limits import Limits

if TYPE_CHECKING:
    from rtserver.sio.broadcast.adapter import Adapter
    from rtserver.sio.broadcast.room_presence import RoomPresence
    from rtserver.sio.client.handshake import Handshake
    from rtserver.sio.dispatch.dispatcher import Authenticator
    from rtserver.sio.dispatch.interfaces import AuthMode
    from rtserver.telemetry.metrics import Metrics


RENAMED = {"bounds": "limits", "occupancy": "room_presence"}
"""Former names of options. They are rejected, as python-engineio ignores arguments that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Each field is an argument of `Server`, and so is each field of `Limits`."""

    authenticator: Authenticator[Handshake] | None = None
    """Checks the identity of clients."""
    adapter: Adapter | None = None
    """Connects the servers of a cluster; None for a single server."""
    room_presence: RoomPresence | None = None
    """Tracks the users in rooms; None for this server's only."""
    metrics: Metrics | None = None
    instance_id: str | None = None
    """A short name of this server, letters and digits; None for a random one."""
    event_rate: Rate | None = None
    """The default rate limit of each event of each user, also written "50/s"; None = no limit."""
    trusted_proxies: Iterable[str] = ()
    """Addresses or networks of the peers whose X-Forwarded-… headers are believed."""
    limits: Limits = field(default_factory=Limits)
    """What clients may send, hold and use. Single limits can be given as arguments of their own."""
    identity_leeway: float = 0.0
    """Seconds for which an identity is accepted past its `expires_at`; then its connection is closed."""
    compat_auth: AuthMode | None = None
    """Whether handlers of python-socketio need an identity; None: "required" when there is an authenticator."""
    async_handlers: bool = False
    """Run the handlers of one client concurrently, rather than one after another."""
    namespaces: list[str] | str | None = None
    """Namespaces that exist without a handler, as in python-socketio; None = ["/"], "*" = all."""
    serializer: str = "default"
    """The parser: "default", or "msgpack" for clients with `socket.io-msgpack-parser`."""

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> ServerOptions:
        """The options that `arguments` names, which are removed from it. What is left is for the engine.

        Raises `ValueError` for a value that has no meaning, `TypeError` for the former name of an option.
        """
        for former in RENAMED.keys() & arguments.keys():
            raise TypeError(f"the argument {former!r} is now called {RENAMED[former]!r}")
        named = {option.name: arguments.pop(option.name) for option in fields(cls) if option.name in arguments}
        if isinstance(rate := named.get("event_rate"), str):
            named["event_rate"] = Rate.parse(rate)
        if (auth := named.get("compat_auth")) not in (None, "required", "optional", "none"):
            raise ValueError(f'compat_auth is "required", "optional" or "none", not {auth!r}')
        named["limits"] = (named.get("limits") or Limits()).overridden_by(arguments)
        return cls(**named)

    @classmethod
    def names(cls) -> list[str]:
        """The names of all options, single limits included."""
        return [option.name for option in (*fields(cls), *fields(Limits))]
