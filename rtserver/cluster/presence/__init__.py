"""Who is online: users, over all their devices, over all servers.

A user comes online with the first device and goes offline `grace` seconds after the last one left; each is told once
in the whole cluster.
"""

from rtserver.cluster.presence.announcer import Callback
from rtserver.cluster.presence.contract import Presence
from rtserver.cluster.presence.memory import MemoryPresence
from rtserver.cluster.presence.shared import RedisPresence

__all__ = ["Callback", "MemoryPresence", "Presence", "RedisPresence"]
