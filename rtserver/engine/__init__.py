"""Engine.IO server: sessions over WebSocket and long polling. It has no knowledge of namespaces and events."""

from rtserver.lazy_package import lazy_package

# The rest of it is clients, which load HTTP libraries.
lazy_package("engineio", {"AsyncServer": "async_server", "Server": "server"})
