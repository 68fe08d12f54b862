"""Logs: events, errors with and without an exception, times."""

import opentracing
from opentracing import logs


def fails():
    raise ValueError("no such parcel")


def main():
    span = opentracing.tracer.start_span("logs")
    span.log_kv({"event": "tick", "n": 1, "what": {"a": 1}})
    span.log_kv({"n": 2}, 1_000_000.5)
    span.log_kv({logs.EVENT: "tock"}, timestamp=1_000_001)
    span.log_event("old")
    span.log_event("old", payload="p")
    span.log(event="older", payload={"a": 1})
    span.log_kv({"event": "error", "message": "m", "error.kind": "K", "stack": "s"})
    try:
        fails()
    except ValueError as e:
        span.set_tag("exception", e)
        span.log_kv({logs.EVENT: "error", logs.ERROR_OBJECT: e, "message": str(e), "parcel": 7})
    span.set_tag("a", 1).log_kv({"event": "last"}).finish()
