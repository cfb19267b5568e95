"""One server at a time, against the generator in C: `benchmarks/single.py`."""
