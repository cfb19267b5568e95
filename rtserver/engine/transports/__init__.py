"""Transports: WebSocket and long polling, and the upgrade between them."""
