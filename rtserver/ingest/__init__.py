"""Ingest: requests of backends, from HTTP, Redis streams, Kafka, RabbitMQ or the schedule, executed exactly once."""
