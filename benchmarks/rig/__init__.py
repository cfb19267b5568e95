"""Measuring rig of the benchmarks: what all suites share, and a folder for each suite (single, cluster, durable)."""
