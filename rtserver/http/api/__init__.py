"""The HTTP API framework: a table of operations, their checks, and the OpenAPI document."""
