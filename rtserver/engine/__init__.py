"""Engine.IO server: sessions over WebSocket and long polling. It has no knowledge of namespaces and events."""
