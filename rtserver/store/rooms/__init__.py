"""Chat rooms, their members, and how far each has read."""
