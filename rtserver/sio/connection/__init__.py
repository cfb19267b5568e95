"""Socket.IO connections: packets, joining and leaving namespaces, parsers."""
