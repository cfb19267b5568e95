"""Database access: engines, dialects, column types, group commit, migrations."""
