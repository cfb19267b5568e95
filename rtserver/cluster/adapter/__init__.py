"""The cluster adapter: rooms and broadcasts across servers, on the wire of Node's Redis adapters."""
