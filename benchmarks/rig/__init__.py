"""The measuring rig behind `run.py`: servers, generators, workloads, results."""
