"""Settings of notifications: delivery receipts and webhooks."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types as kind


class NotificationSettings(BaseModel):
    """The group "Notifications"."""

    GROUP: ClassVar[str] = "Notifications"
    model_config = ConfigDict(defer_build=True)

    receipt_timeout: kind.Seconds = 10.0
    """Seconds to wait for a device's ack of a notification before it is sent again; the next pauses are 3 and 9 times
    as long. Only devices that gave a name are asked for acks."""
    webhook_url: kind.WebhookUrl | None = None
    """The URL at which a backend receives notifications of users who are offline
    ([notifications.md](notifications.md#webhooks-mail-and-mobile-push))."""
    webhook_secret: kind.WebhookSecrets = ()
    """The secret that webhooks are signed with, or several separated by commas while it changes. Required in production
    with `RTSERVER_WEBHOOK_URL`."""
    webhook_delay: kind.Skew = 10.0
    """Seconds after a notification at which it is decided whether its user is offline."""
