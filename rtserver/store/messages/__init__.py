"""Chat messages: saving, changing, reading, searching, slow mode and retention."""
