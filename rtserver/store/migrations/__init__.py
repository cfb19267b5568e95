"""How the tables came to be: one file a change in `versions/`, run by `rtserver.store.db.migrate`."""
