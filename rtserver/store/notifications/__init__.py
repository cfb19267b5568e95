"""Notifications, their delivery, and the webhook queue."""
