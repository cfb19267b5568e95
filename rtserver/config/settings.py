"""Every setting of rtserver: its name, type, default and description. Knows nothing of the parts that use them.

The names are promises, and docs/settings.md is made from this file. Parts take values, never `Settings`; only `app` and
`cli` see it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rtserver.config import field_types as kind
from rtserver.config import sources, validation
from rtserver.config.chat import ChatSettings
from rtserver.config.ingest import DoorSettings
from rtserver.config.notifications import NotificationSettings
from rtserver.config.sources import Found, variable
from rtserver.config.token_keys import TokenKeys
from rtserver.errors import ConfigError
from rtserver.rate_limit import Rate


class Settings(TokenKeys, ChatSettings, DoorSettings, NotificationSettings, BaseSettings):
    """Read from arguments (the flags), the environment, `.env` and defaults, in this order.

    Raises ConfigError with *all* faults. `Settings(_env_file=None)` leaves the `.env` file out.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    mode: kind.Mode = "development"
    """`development` makes a secret for itself, serves the demo pages and prints ready-made tokens; `production` refuses
    to start on anything unsafe."""
    host: kind.HostName = "127.0.0.1"
    """The address to listen on; `0.0.0.0` is every interface, as in a container."""
    port: kind.Port = 8000
    """The port to listen on; 0 takes a free one."""
    workers: kind.WorkerCount = 1
    """Processes that share the port, under a supervisor ([deploy.md](deploy.md#several-processes-on-one-machine)). More
    than one needs Redis."""
    instance: kind.InstanceName | None = None
    """The short name of this instance, with which session ids begin, so that a proxy can route by it."""
    data_dir: kind.Folder = Path("var")
    """Where the SQLite file and the secret of development mode live."""

    jwt_secret: kind.Secrets = ()
    """The secret that tokens are signed with, or several with commas between: the first one signs, all verify."""
    jwt_public_key: kind.Pem | None = None
    """Public keys (RSA, EC, Ed25519) of the issuer as PEM, or the path of a file. Line breaks may be written `\\n`."""
    jwt_jwks_url: kind.WebUrl | None = None
    """Where the issuer publishes its keys. Comes with a later release."""
    jwt_algorithms: kind.Algorithms = ()
    """The algorithms that tokens may be signed with."""
    jwt_audience: kind.Names = ()
    """Accept only tokens whose `aud` is one of these."""
    jwt_issuer: kind.Names = ()
    """Accept only tokens whose `iss` is one of these."""
    jwt_leeway: kind.Skew = 10.0
    """Seconds that the clocks of the issuer and of this server may be apart."""
    jwt_cookie: kind.CookieName | None = None
    """Accept the token from the cookie of this name too."""
    jwt_query: kind.Switch = False
    """Accept the token as `?token=…` too. Addresses end up in the logs of proxies, so leave it off if you can."""
    api_key: kind.ApiKey | None = None
    """The Bearer key of the HTTP API, for backends. Without it the API is off."""

    redis_url: kind.RedisUrl | None = None
    """Redis, which makes several instances one server."""
    redis_adapter: kind.AdapterKind = "classic"
    """How instances talk through Redis: `classic` as Node's `createAdapter`; `sharded` as its `createShardedAdapter`,
    where each gets only what is for its own rooms, for Redis 7 or later. `streams` comes with a later release."""
    redis_key: kind.RedisKey = "socket.io"
    """What the channels of the cluster begin with: the `key` of Node's adapter and emitter."""
    redis_specific_responses: kind.Switch = False
    """Answer other servers on their own channels: the `publishOnSpecificResponseChannel` of Node's adapter."""
    cluster_secret: kind.Secrets = ()
    """The secret that all messages between instances are signed with, or several with commas between: the first one
    signs, all verify. Messages without a good signature are then refused, those of Node's servers and emitters too."""
    cluster_timeout: kind.Seconds = 5.0
    """Seconds to wait for the answers of other servers."""
    presence_grace: kind.Skew = 3.0
    """Seconds that a user stays online after the last device left: time to load a page anew."""
    presence_lease: kind.Duration = 8.0
    """Seconds after which a server that is silent counts as dead; it renews its lease four times as often."""
    database_url: kind.DatabaseUrl = Field(default_factory=kind.own_database)
    """Where messages and notifications are kept: SQLite or Postgres."""
    database_timeout: kind.Duration = 10.0
    """Seconds that the database may take for anything, the wait for other writers included, before `unavailable`."""

    cors_origins: kind.Origins = Field(default_factory=kind.own_origins)
    """The origins of the web pages that may connect."""
    trusted_proxies: kind.Networks = ()
    """Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    namespaces: kind.Plugins = ()
    """Your own namespaces."""
    transports: kind.Transports = ("polling", "websocket")
    """The transports that clients may use."""
    parser: kind.Parser = "json"
    """How packets are written: `json` is the standard; `msgpack` needs `socket.io-msgpack-parser` in every client,
    which the pages that come with the server do not have."""
    allow_eio3: kind.Switch = False
    """Let Socket.IO v2 clients in. Their socket ids are as good as keys to their connections: do not show them."""
    per_message_deflate: kind.Switch = False
    """Compress WebSocket messages for clients that offer it, as browsers do: less traffic for more CPU, see
    [protocol.md](protocol.md#compression)."""
    compression_threshold: kind.Count = 1024
    """The smallest answer to a poll, or message of a compressed WebSocket, that is compressed, in bytes."""
    ping_interval: kind.Seconds = 25.0
    """Seconds between two pings."""
    ping_timeout: kind.Seconds = 20.0
    """Seconds to wait for the answer to a ping."""
    connect_timeout: kind.Seconds = 45.0
    """Seconds that a connection may take to join a namespace."""
    recovery_seconds: kind.Pause = 120.0
    """Seconds after a break within which a client gets its rooms and the events that it missed; 0 turns it off.
    Without effect until a later release."""
    drain_seconds: kind.Pause = Field(default_factory=kind.own_drain_seconds)
    """Seconds over which the clients are sent elsewhere, a few at a time, when the server is told to stop (SIGTERM). A
    second SIGTERM sends the rest at once."""
    drain_delay: kind.Pause = Field(default_factory=kind.own_drain_delay)
    """Seconds that a server that was told to stop goes on as ever, but for `/readyz`, so that load balancers see it."""

    max_payload: kind.Bytes = 1_000_000
    """The largest message of a client, in bytes."""
    max_packets: kind.AtLeastOne = 10_000
    """The most packets in one POST of a polling client."""
    max_depth: kind.Depth = 64
    """How deep arrays and objects may be nested in what a client sends."""
    max_attachments: kind.Count = 10
    """The most binary attachments in one event."""
    max_attachment_bytes: kind.Bytes = 10_000_000
    """The most bytes in all attachments of one event together."""
    attachment_timeout: kind.Seconds = 30.0
    """Seconds that all attachments of one event may take to arrive."""
    outbox_limit: kind.Bytes = 1_048_576
    """Bytes that may wait for one slow client before it is cut off."""
    max_backlog: kind.AtLeastOne = 100
    """Events of one connection that may wait for a handler; past it, nothing more is read from the connection."""
    max_backlog_bytes: kind.Bytes = 1_048_576
    """The same in bytes."""
    handler_timeout: kind.Pause = 30.0
    """Seconds that one handler may take before it is cancelled and the client told `timeout`; 0 is no limit."""
    max_connections: kind.Count = 0
    """The most connections to one instance; 0 is no limit."""
    max_connections_per_ip: kind.Count = 0
    """The most connections to one instance from one address (IPv6: one network of 64 bits); 0 is no limit."""
    max_connections_per_user: kind.Count = 0
    """The most connections of one user to one instance; 0 is no limit."""
    max_namespaces: kind.AtLeastOne = 32
    """The most namespaces that one connection may join."""
    max_rooms: kind.AtLeastOne = 1000
    """The most rooms that one client may be in."""
    max_room_length: kind.AtLeastOne = 1000
    """The longest name of a room, in characters."""
    max_event_length: kind.AtLeastOne = 100
    """The longest name of an event that no handler is named after, in characters."""
    rate_events: kind.EventRate = Rate(50)
    """Events of one client, in bursts of up to twice that."""
    rate_api: kind.EventRate = Rate(1000)
    """Requests of one backend to the HTTP API of one instance, in bursts of up to twice that. Users have `RATE_EVENTS`
    there too."""
    rate_connects: kind.EventRate = None
    """New connections from one address (IPv6: one network of 64 bits), in bursts of up to twice that."""

    chat_max_text: kind.TextLength = 10_000
    """The longest text of a chat message, in characters."""
    chat_room_policy: kind.RoomPolicy = "open"
    """`open`: a room is made by joining it. `members`: only users put in by the HTTP API or an admin may join.
    `role:NAME`: whoever has that role in the token. A room may have a policy of its own."""

    log_level: kind.LogLevel = "info"
    """The least important level that is logged."""
    log_format: kind.LogFormat = "console"
    """`console` for people, `json` for log collectors. Both go to standard error."""

    _found: Mapping[str, Found] = PrivateAttr(default_factory=dict)

    def __init__(self, *, _env_file: str | Path | None = ".env", **flags: Any) -> None:
        file = Path(_env_file) if _env_file is not None else None
        rules = self.rules()
        found_in = sources.read(rules, flags, os.environ, file)
        values = {name: found.value for name, found in found_in.found.items()}
        wrong: dict[str, str] = {}
        try:
            super().__init__(**values)
        except ValidationError as error:
            # Once more with defaults in place of what is wrong, so that the rules between settings speak up as well.
            wrong = validation.value_faults(error, rules, found_in.found)
            super().__init__(**{name: value for name, value in values.items() if name not in wrong})
        self._found = found_in.found
        faults = [*validation.source_faults(rules, found_in), *wrong.values()]
        if faults := [*faults, *validation.cross_faults(self, wrong)]:
            raise ConfigError(faults)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: Any, env_settings: Any, dotenv_settings: Any, file_secret_settings: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`settings_sources` has read all of them by now; what it found comes in as arguments."""
        return (init_settings,)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Never a secret or the password of a URL, wherever the settings end up."""
        rules = self.rules()
        yield from (
            (name, value) for name, value in super().__repr_args__() if name in rules and not rules[name].secret
        )

    @classmethod
    def rules(cls) -> dict[str, kind.FieldRule]:
        """What a right value is, for each setting in the order of this file."""
        return {name: kind.rule_of(field) for name, field in cls.model_fields.items()}

    @property
    def development(self) -> bool:
        return self.mode == "development"

    @property
    def production(self) -> bool:
        return self.mode == "production"

    def found(self, setting: str) -> Found:
        """Where the value of a setting came from."""
        return self._found.get(setting, Found(getattr(self, setting), variable(setting), "default"))

    def warnings(self) -> list[str]:
        """What is allowed, and should be known to whoever starts the server."""
        return list(validation.warnings(self))
