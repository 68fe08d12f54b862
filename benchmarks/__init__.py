"""`python -m benchmarks` measures what tracing costs, compared with jaeger-client, the SDK and the shim."""
