"""/admin: what the servers are doing, and the means to act on clients (docs/events.md)."""

from rtserver.namespaces.admin.namespace import Admin

__all__ = ["Admin"]
