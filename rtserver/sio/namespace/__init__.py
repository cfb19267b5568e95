"""Namespaces and their registry."""
