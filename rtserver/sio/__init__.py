"""Socket.IO on the sessions of `rtserver.engine`: namespaces, clients, rooms, dispatch, broadcasts."""
