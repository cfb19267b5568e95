"""The settings of notifications: receipts and webhooks. `Settings` has them among its own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types as kind


class NotificationSettings(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    receipt_timeout: kind.Seconds = 10.0
    """Seconds to wait for a device's ack of a notification before it is sent again; the next pauses are 3 and 9 times
    as long. Only devices that gave a name are asked for acks."""
    webhook_url: kind.WebhookUrl | None = None
    """Where to tell a backend of notifications for users who are offline
    ([notifications.md](notifications.md#webhooks-mail-and-mobile-push))."""
    webhook_secret: kind.WebhookSecrets = ()
    """The secret that webhooks are signed with, or several with commas between while it changes. Required in production
    with `RTSERVER_WEBHOOK_URL`."""
    webhook_delay: kind.Skew = 10.0
    """Seconds after a notification at which it is decided whether its user is offline."""
