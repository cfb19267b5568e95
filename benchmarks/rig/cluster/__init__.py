"""Two servers on one Redis: `benchmarks/cluster.py`."""
