"""Names in Redis: every key and channel that a deployment uses, derived from its prefix (`RTSERVER_REDIS_KEY`).

With P the prefix, and Q the same followed by a colon, but nothing for the default prefix `socket.io`, so that a rolling
upgrade finds the keys of the version before:

    P#NSP#, P#NSP#ROOM#                 channels   broadcasts of a namespace (`protocol.adapter.channels`, `.sharded`)
    P-request#NSP#                      channel    requests to the other servers; classic adapter
    P-response#NSP#, P-response#NSP#U#  channels   their responses, U being the uid of a server; classic adapter
    P#NSP#U#                            channel    their responses; sharded adapter
    {Qrtserver:presence}:…              keys       presence and instances (`presence.scripts`, `presence.room_scripts`)
    Qrtserver:inbox                     stream     the durable inbox; RTSERVER_INBOX_STREAM sets another name
    Qrtserver:inbox:dead                stream     its dead letters; in a Redis Cluster {Qrtserver:inbox}:dead
    Qsocketio                           channel    input from python-socketio; RTSERVER_PYTHON_SOCKETIO_CHANNEL sets
                                                   another name, or none

Everything else (idempotency keys, the schedule, bans) is in the database. Rate limits are in the memory of each
instance. Two deployments with different prefixes share none of these names.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PREFIX = "socket.io"
RESERVED_ENDINGS = ("-request", "-response")
"""A prefix must not end in these: P-request#NSP# would be a broadcast channel of the deployment P-request."""


@dataclass(frozen=True, slots=True)
class RedisNames:
    """The names of the deployment with this prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def presence(self) -> str:
        """The beginning of the keys of presence; its braces keep them in one slot of a Redis Cluster."""
        return f"{{{self._own('rtserver:presence')}}}"

    @property
    def inbox(self) -> str:
        """The stream of the durable inbox."""
        return self._own("rtserver:inbox")

    @property
    def python_socketio(self) -> str:
        """The channel of input from python-socketio: by default the one that its managers publish on."""
        return self._own("socketio")

    def _own(self, name: str) -> str:
        return name if self.prefix == DEFAULT_PREFIX else f"{self.prefix}:{name}"


def dead_letters(stream: str, *, in_cluster: bool) -> str:
    """Return the stream of dead letters of an inbox.

    In a Redis Cluster the braces put it into the slot of the inbox, so that one script can move an entry.
    """
    return f"{{{stream}}}:dead" if in_cluster else f"{stream}:dead"
