"""The migrations, numbered. A released one is never edited."""
