"""/admin: the state of the servers, and actions on clients (docs/events.md)."""

from rtserver.namespaces.admin.namespace import Admin

__all__ = ["Admin"]
