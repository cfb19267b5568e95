"""Erasure of a user from all tables."""
