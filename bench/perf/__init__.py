"""Benchmarks of the benchmark: `python -m bench.perf SUBCOMMAND`."""
