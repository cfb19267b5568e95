"""Migrations of the database: one file per change in `versions/`, run by `rtserver.store.db.migrate`."""
