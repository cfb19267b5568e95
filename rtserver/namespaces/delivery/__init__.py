"""Delivery of what is saved: positions of rooms and inboxes on this instance, and catching up after faults."""
