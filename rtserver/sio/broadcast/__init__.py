"""Rooms, broadcasts and the adapter."""
