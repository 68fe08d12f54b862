"""`python -m benchmarks`: what tracing costs, beside what users would have instead."""
