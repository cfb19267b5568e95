"""Saved messages, history and notifications: `benchmarks/durable.py`."""
