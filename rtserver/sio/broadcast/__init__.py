"""Rooms and broadcasts."""
