"""Pure protocol code: bytes to values and back. No I/O, no asyncio, no knowledge of what an event means."""
