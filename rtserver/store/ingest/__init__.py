"""Idempotency keys and scheduled commands."""
