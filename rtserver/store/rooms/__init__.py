"""Chat rooms: members, settings, read cursors and unread counts."""
