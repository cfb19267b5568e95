"""Socket.IO over the sessions of `rtserver.engine`: namespaces, clients, rooms, dispatch, the broadcast operator."""
