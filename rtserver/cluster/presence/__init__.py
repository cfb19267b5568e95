"""Presence: which users are online, over all their devices, over all servers.

A user comes online with the first device and goes offline `grace` seconds after the last one left. Each change is
announced once in the whole cluster.
"""

from rtserver.cluster.presence.announcer import Callback
from rtserver.cluster.presence.interfaces import Presence
from rtserver.cluster.presence.memory_presence import MemoryPresence

__all__ = ["Callback", "MemoryPresence", "Presence"]
