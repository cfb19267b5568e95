"""A Socket.IO connection: packets, joining namespaces, parsers."""
