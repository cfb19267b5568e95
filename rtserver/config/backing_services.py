"""Settings of Redis, the cluster, presence and the database."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from rtserver.config import field_types
from rtserver.config.server import ServerSettings


def _default_database(others: dict[str, Any]) -> SecretStr:
    return SecretStr(f"sqlite:///{others['data_dir']}/rtserver.db")


class BackingServiceSettings(ServerSettings):
    """The group "Redis and database"."""

    GROUP: ClassVar[str] = "Redis and database"

    redis_url: field_types.RedisUrl | None = None
    """Redis, which joins several instances into one server."""
    redis_adapter: field_types.AdapterKind = "classic"
    """The protocol between instances: `classic` is that of Node's `createAdapter`; `sharded` is that of its
    `createShardedAdapter`, where an instance receives only what is for its own rooms, and needs Redis 7 or later.
    `streams` comes with a later release."""
    redis_key: field_types.RedisKey = "socket.io"
    """The prefix of the cluster's channels: the `key` of Node's adapter and emitter."""
    redis_specific_responses: field_types.Switch = False
    """Answer other servers on their own channels: the `publishOnSpecificResponseChannel` of Node's adapter."""
    cluster_secret: field_types.Secrets = ()
    """The secret that all messages between instances are signed with, or several separated by commas: the first one
    signs, all verify. Messages without a valid signature are then rejected, those of Node's servers and emitters
    too."""
    cluster_timeout: field_types.Seconds = 5.0
    """Seconds to wait for the answers of other servers."""
    presence_grace: field_types.Skew = 3.0
    """Seconds that a user stays online after the last device has left: time to reload a page."""
    presence_lease: field_types.Duration = 8.0
    """Seconds without a sign of life after which a server counts as dead; each renews its lease four times as often."""
    database_url: field_types.DatabaseUrl = Field(default_factory=_default_database)
    """The database of messages and notifications: SQLite or Postgres."""
    database_timeout: field_types.Duration = 10.0
    """Seconds that a database operation may take, waiting for other writers included, before `unavailable`."""
