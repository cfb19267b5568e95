"""The database: engines, dialects, column types, group commit, migrations."""
