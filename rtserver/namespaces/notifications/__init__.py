"""/notifications: a user's inbox, synchronized on all devices (docs/events.md)."""

from rtserver.namespaces.notifications.namespace import Notifications
from rtserver.namespaces.notifications.notifier import Notifier

__all__ = ["Notifications", "Notifier"]
