"""Notifications: inboxes, preferences, receipts, expiry and the webhook queue."""
