"""Settings of Redis, the cluster, presence and the database."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from rtserver.cluster.redis.names import DEFAULT_PREFIX, RedisNames
from rtserver.config import field_types as kind
from rtserver.config.server import ServerSettings


def _default_database(others: dict[str, Any]) -> SecretStr:
    return SecretStr(f"sqlite:///{others['data_dir']}/rtserver.db")


def _default_python_socketio_channel(others: dict[str, Any]) -> str:
    return RedisNames(others.get("redis_key", DEFAULT_PREFIX)).python_socketio


class BackingServiceSettings(ServerSettings):
    """The group "Redis and database"."""

    GROUP: ClassVar[str] = "Redis and database"

    redis_url: kind.RedisUrl | None = None
    """Redis, which joins several instances into one server."""
    redis_adapter: kind.AdapterKind = "classic"
    """The protocol between instances: `classic` is that of Node's `createAdapter`; `sharded` is that of its
    `createShardedAdapter`, where an instance receives only what is for its own rooms, and needs Redis 7 or later.
    `streams` comes with a later release."""
    redis_key: kind.RedisKey = DEFAULT_PREFIX
    """The prefix of this deployment's channels and keys: the `key` of Node's adapter and emitter. Deployments that
    share a Redis need one each ([deploy.md](deploy.md#several-deployments-on-one-redis)); it must not end in `-request`
    or `-response`."""
    python_socketio_channel: kind.InputChannel = Field(default_factory=_default_python_socketio_channel)
    """The channel on which messages of python-socketio's managers (`RedisManager(channel=…)`) are accepted."""
    redis_specific_responses: kind.Switch = False
    """Answer other servers on their own channels: the `publishOnSpecificResponseChannel` of Node's adapter."""
    cluster_secret: kind.Secrets = ()
    """The secret that all messages between instances are signed with, or several separated by commas: the first one
    signs, all verify. Messages without a valid signature are then rejected, those of Node's servers and emitters
    too."""
    cluster_timeout: kind.Seconds = 5.0
    """Seconds to wait for the answers of other servers."""
    presence_grace: kind.Skew = 3.0
    """Seconds that a user stays online after the last device has left: time to reload a page."""
    presence_lease: kind.Duration = 8.0
    """Seconds without a sign of life after which a server counts as dead; each renews its lease four times as often."""
    database_url: kind.DatabaseUrl = Field(default_factory=_default_database)
    """The database of messages and notifications: SQLite or Postgres."""
    database_timeout: kind.Duration = 10.0
    """Seconds that a database operation may take, waiting for other writers included, before `unavailable`."""
