"""Socket.IO on the sessions of `rtserver.engine`: namespaces, clients, rooms, dispatch, broadcasts."""

from rtserver.lazy_package import lazy_package

# The rest of it is clients and the drivers of message queues.
lazy_package(
    "socketio", {"AsyncManager": "async_manager", "AsyncNamespace": "async_namespace", "AsyncServer": "async_server"}
)
