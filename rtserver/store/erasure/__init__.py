"""Erasure of a user from every table."""
