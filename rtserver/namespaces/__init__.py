"""What an event means: the namespaces that ship with rtserver. Must not know of HTTP, of Redis or of SQL."""
