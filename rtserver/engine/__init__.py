"""Engine.IO: sessions and transports. Knows bytes and sessions, nothing of namespaces or events."""
