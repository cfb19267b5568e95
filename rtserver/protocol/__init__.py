"""Protocols without I/O: bytes to values and back. No asyncio, and no knowledge of the meaning of events."""
