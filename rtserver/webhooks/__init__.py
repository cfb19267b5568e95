"""Webhooks: a backend is called for notifications of users who are offline, for mail or mobile push.

The format is that of https://www.standardwebhooks.com; see docs/notifications.md.
"""
