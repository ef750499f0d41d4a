"""Speed and quality, measured: `python -m tests.benchmarks [name…]` runs every `bench_*.py` here."""
