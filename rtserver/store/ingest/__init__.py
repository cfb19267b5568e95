"""Storage of ingest: idempotency keys and scheduled commands."""
