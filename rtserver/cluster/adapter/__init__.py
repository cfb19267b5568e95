"""Cluster adapters: rooms and broadcasts across servers, in the wire formats of Node's Redis adapters."""
