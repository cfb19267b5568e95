"""The database: messages, rooms, notifications, uploads, idempotency keys and the schedule. Alone knows SQLAlchemy."""

from rtserver.lazy_package import lazy_package

# The rest of it is the ORM, which the store does not use.
lazy_package(
    "sqlalchemy.ext.asyncio",
    {"AsyncConnection": "engine", "AsyncEngine": "engine", "create_async_engine": "engine"},
)
