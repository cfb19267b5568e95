"""The operations of the HTTP API, one resource a module."""
