"""Webhooks for users who are offline: a backend hears of their notifications, so that mail or mobile push hang on it.

docs/notifications.md has the wire, which is that of https://www.standardwebhooks.com.
"""
