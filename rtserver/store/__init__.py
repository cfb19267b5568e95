"""The database: messages, rooms, notifications, uploads, idempotency keys and the schedule. Alone knows SQLAlchemy."""
