"""/chat: rooms, direct messages, history, read cursors, typing and presence (docs/events.md)."""

from rtserver.namespaces.chat.namespace import Chat

__all__ = ["Chat"]
