"""Chat messages."""
