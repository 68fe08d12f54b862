"""Whether a span failed, and why: `error`, `fault`, `throttle` and `cause` of a segment document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge import rpc_status
from ot_bridge.xray.attributes import filled, first, number

MOST_FRAMES = 100
_TOO_MANY_REQUESTS = 429
# The HTTP status of each gRPC code according to google.rpc.Code, by its number (and name).
_GRPC_AS_HTTP = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_GRPC_NUMBERS = tuple(_GRPC_AS_HTTP.values())
# As text: NOT_FOUND, not_found, NotFound, StatusCode.NOT_FOUND; Go and Connect write "canceled".
_GRPC_NAMES = {name.replace("_", "").lower(): status for name, status in _GRPC_AS_HTTP.items()}
_GRPC_NAMES["canceled"] = _GRPC_AS_HTTP["CANCELLED"]

_FRAME = re.compile(r'(?m)^(?:  \| )? +File "(?P<path>[^\n]*)", line (?P<line>\d+), in (?P<label>[^\n]*)$')
_RAISED = re.compile(r"(?ms)^(?:  \| )?(?P<type>[^\W\d][\w.]*)(?:: (?P<message>.*))?\Z")
_CHAIN = re.compile(
    r"\n\n(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n\n"
)


def flags(span: ReadableSpan) -> dict[str, bool]:
    """The flags of a segment. error: 4xx. fault: 5xx, or any other error. throttle: 429."""
    status = _http_status(span)
    if 400 <= status < 500:
        return {"error": True, "throttle": status == _TOO_MANY_REQUESTS}
    return {"fault": 500 <= status < 600 or span.status.status_code is StatusCode.ERROR}


def _http_status(span: ReadableSpan) -> int:
    attributes = span.attributes or {}
    status = number(first(attributes, "http.response.status_code", "http.status_code"))
    if status is not None:
        return status
    code = first(attributes, *rpc_status.READ)
    named = _GRPC_NAMES.get(str(code).rpartition(".")[2].replace("_", "").lower())
    if named is not None:
        return named
    position = number(code)
    return _GRPC_NUMBERS[position] if position is not None and 0 <= position < len(_GRPC_NUMBERS) else 0


class Raised(NamedTuple):
    """One exception of a traceback. Its innermost frame comes first."""

    type: str
    message: str
    frames: list[dict[str, Any]]


def cause(span: ReadableSpan) -> dict[str, Any]:
    """The exceptions that the span recorded, each followed by its causes."""
    ids = _ids(span)
    # X-Ray's `remote`: the exception was raised by the service that was called.
    remote = span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER)
    exceptions: list[dict[str, Any]] = []
    for event in span.events:
        if event.name == "exception":
            exceptions += _exceptions(dict(event.attributes or {}), ids, remote)
    if not exceptions and span.status.status_code is StatusCode.ERROR and span.status.description:
        exceptions.append({"id": next(ids), "message": span.status.description})
    return filled(exceptions=exceptions)


def _exceptions(attributes: dict[str, Any], ids: Iterator[str], remote: bool) -> Iterator[dict[str, Any]]:
    chain = traceback(str(attributes.get("exception.stacktrace") or "")) or [Raised("", "", [])]
    # The event names the outermost exception better than its traceback does.
    chain[0] = Raised(
        str(first(attributes, "exception.type") or chain[0].type),
        str(first(attributes, "exception.message") or chain[0].message),
        chain[0].frames,
    )
    id_ = next(ids)
    for position, raised in enumerate(chain, 1):
        following = next(ids) if position < len(chain) else None
        yield {
            "id": id_,
            **filled(
                type=raised.type,
                message=raised.message,
                remote=remote,
                stack=raised.frames[:MOST_FRAMES],
                truncated=max(0, len(raised.frames) - MOST_FRAMES) or None,
                cause=following,
            ),
        }
        id_ = following or ""


def traceback(printed: str) -> list[Raised]:
    """The exceptions in a traceback as Python prints it. The one that was not handled comes first."""
    return [_raised(part) for part in reversed(_CHAIN.split(printed)) if part.strip()]


def _raised(printed: str) -> Raised:
    frames = list(_FRAME.finditer(printed))
    after = printed[frames[-1].end() :] if frames else printed
    found = _RAISED.search(after.rstrip())
    return Raised(
        found["type"] if found else "",
        (found["message"] or "") if found else "",
        [
            {"path": frame["path"], "line": int(frame["line"]), "label": frame["label"]}
            for frame in reversed(frames)
        ],
    )


def _ids(span: ReadableSpan) -> Iterator[str]:
    """Ids of 16 hexadecimal digits. The same span always gets the same ids."""
    context = span.context
    seed = f"{context.trace_id:032x}{context.span_id:016x}" if context else ""
    position = 0
    while True:
        yield blake2b(f"{seed}{position}".encode(), digest_size=8).hexdigest()
        position += 1
