"""The changes, numbered. A released one is never edited."""
