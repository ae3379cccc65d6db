"""The split of the benchmarks that published numbers refer to."""

BENCHMARK_SPLIT = "test"
"""All numbers in this package were measured on this split."""
