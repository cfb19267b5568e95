"""The settings for people: docs/settings.md, and the groups that `--help` shows them in. Knows no server's values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtserver.config.settings import Settings
from rtserver.config.sources import UNPREFIXED, variable

GROUPS = {
    "Server": ("mode", "host", "port", "workers", "instance", "data_dir"),
    "Tokens and keys": (
        "jwt_secret", "jwt_public_key", "jwt_jwks_url", "jwt_algorithms", "jwt_audience", "jwt_issuer", "jwt_leeway",
        "jwt_cookie", "jwt_query", "api_key",
    ),
    "Redis and database": (
        "redis_url", "redis_adapter", "redis_key", "redis_specific_responses", "cluster_secret", "cluster_timeout",
        "presence_grace", "presence_lease", "database_url", "database_timeout",
    ),
    "Doors for backends": (
        "inbox", "inbox_stream", "kafka_url", "kafka_topic", "rabbitmq_url", "rabbitmq_queue",
    ),
    "Browsers and proxies": ("cors_origins", "trusted_proxies"),
    "Connections": (
        "namespaces", "transports", "parser", "allow_eio3", "per_message_deflate", "compression_threshold",
        "ping_interval", "ping_timeout", "connect_timeout", "recovery_seconds", "drain_seconds", "drain_delay",
    ),
    "Limits": (
        "max_payload", "max_packets", "max_depth", "max_attachments", "max_attachment_bytes", "attachment_timeout",
        "outbox_limit", "max_backlog", "max_backlog_bytes", "handler_timeout", "max_connections",
        "max_connections_per_ip", "max_connections_per_user", "max_namespaces", "max_rooms", "max_room_length",
        "max_event_length", "rate_events", "rate_api", "rate_connects",
    ),
    "Chat": ("chat_max_text", "chat_room_policy", "chat_sweep_seconds"),
    "Uploads": ("upload_limit", "upload_quota", "upload_types", "upload_folder"),
    "Notifications": ("receipt_timeout", "webhook_url", "webhook_secret", "webhook_delay"),
    "Logs": ("log_level", "log_format"),
}  # fmt: skip

_MADE_DEFAULTS = {
    "instance": "a random one",
    "jwt_secret": "none; development makes one",
    "jwt_algorithms": "HS256 for secrets; for a public key the usual one of its kind",
    "database_url": "the file `rtserver.db` in `RTSERVER_DATA_DIR`",
    "inbox": "true with Redis, unless a cluster secret is set",
    "upload_folder": "`uploads` in `RTSERVER_DATA_DIR`",
    "cors_origins": "production: none but the server's own; development: `localhost` with the server's port",
    "rate_connects": "no limit",
    "drain_seconds": "30 with Redis; 0 without, as there is nowhere else to go",
    "drain_delay": "3 with Redis; 0 without",
}

_HEAD = """\
# Settings

<!-- Made by `rtserver config doc > docs/settings.md`; edit rtserver/settings.py instead. -->

Each setting is taken from the first of these places that has it:

1. a flag of `rtserver serve`: `--ping-interval 10` (secrets have no flag, as other users of the machine can see flags);
2. the environment: `RTSERVER_PING_INTERVAL=10`;
3. the file `.env` in the working directory, in the same words;
4. the default.

`PORT`, `REDIS_URL` and `DATABASE_URL` are honoured without the prefix too, as platforms set them. An empty value counts
as not set. Lists are separated by commas.

`rtserver config check` lists everything that is wrong, all at once; `rtserver config env` shows each value and where it
came from. A name with the prefix that is no setting is refused, with the right name that it resembles. Production mode
also refuses a missing or weak secret (32 bytes or more for HS256, 48 for HS384, 64 for HS512), an API key of fewer than
16 characters, and `RTSERVER_CORS_ORIGINS=*`.
"""


def markdown() -> str:
    """The whole of docs/settings.md."""
    return "\n".join([_HEAD, *(line for title, names in GROUPS.items() for line in _table(title, names))])


def default_of(name: str) -> str:
    """The default as it would be written in the environment; words where it depends on other settings."""
    return _MADE_DEFAULTS.get(name) or f"`{written(Settings.model_fields[name].default)}`".replace("``", "none")


def written(value: Any) -> str:
    """A value as it would be written in the environment."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(map(str, value))
        case Path():
            return value.as_posix()
    return str(value)


def _table(title: str, names: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title}\n\n| setting | default | must be | |\n|---|---|---|---|"
    rules = Settings.rules()
    for name in names:
        also = f", `{name.upper()}`" if name in UNPREFIXED else ""
        meaning = " ".join((Settings.model_fields[name].description or "").split())
        yield f"| `{variable(name)}`{also} | {default_of(name)} | {rules[name].text} | {meaning} |"
    yield ""
