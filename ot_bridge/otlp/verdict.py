"""Decides what a response, or a missing response, means for the spans of a request.

Section numbers are those of RFC 9110.

Source: the OTLP specification, "OTLP/HTTP Response".
"""

from __future__ import annotations

import re
import time
import zlib
from typing import Final, NamedTuple

from ot_bridge.otlp.wire import partial_success, status_message
from ot_bridge.sending.responses import MAX_BODY, Response
from ot_bridge.sending.trouble import trouble

MAY_PASS: Final = frozenset((429, 502, 503, 504))
_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f]+"
_NO_COLLECTOR: Final = "a web page came back, so no collector is there"


class Verdict(NamedTuple):
    """The outcome of one attempt.

    lost: how many spans will not arrive unless the request is sent again. reason: the key in `failed` under
    which they are counted; "" if none are lost. text: the message for the log, or "". again: whether the same
    request may be sent again. pause: the seconds to wait before that, if the collector gives them.
    """

    lost: int = 0
    reason: str = ""
    text: str = ""
    again: bool = False
    pause: float | None = None


def judge(response: Response, spans: int) -> Verdict:
    """The verdict on the response to a request with this number of spans."""
    status = response.status
    body = _decoded(response)
    if 200 <= status < 300:
        return _taken(response, body, spans)
    if 300 <= status < 400:
        text = f"HTTP {status}, a redirect, which is not followed: set the address that it leads to"
        return Verdict(spans, "status", text)
    text = f"HTTP {status}{_failure_text(response, body)}"
    if status in MAY_PASS:
        return Verdict(spans, "status", text, True, retry_after(response.headers.get("retry-after")))
    return Verdict(spans, "too large" if status == 413 else "status", text)


def judge_error(error: Exception, spans: int) -> Verdict:
    """The verdict on a request without a response."""
    return Verdict(spans, *trouble(error))


def retry_after(text: str | None, now: float | None = None) -> float | None:
    """The seconds to wait in a Retry-After header (section 10.2.3). None if it cannot be read.

    text: a whole number of seconds, or an HTTP date; a past date means 0. now: seconds since 1970.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    if not text[:1].isalpha():
        return None
    from email.utils import parsedate_to_datetime  # takes 20 ms to load, and is needed for dates only

    try:
        moment = parsedate_to_datetime(text).timestamp() if "GMT" in text else 0.0
        if not moment:
            return None
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _taken(response: Response, body: bytes, spans: int) -> Verdict:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        return Verdict(spans, "status", f"HTTP {response.status}, but {_NO_COLLECTOR}")
    if not body or kind.endswith("json"):
        return Verdict()
    try:
        rejected, message = partial_success(body)
    except Exception:
        return Verdict(text="the collector took the spans, and its answer cannot be read")
    lost = min(max(rejected, 0), spans)
    if lost:
        return Verdict(lost, "partial", f"the collector rejected them: {_plain(message)}")
    return Verdict(text=f"the collector took the spans, and says: {_plain(message)}" if message else "")


def _failure_text(response: Response, body: bytes) -> str:
    """A colon and the message about a failure from the collector or a proxy; "" if there is none."""
    kind = response.headers.get("content-type", "")
    text = ""
    if "protobuf" in kind:
        try:
            text = status_message(body)
        except Exception:
            text = ""
    else:
        text = body[:800].decode(errors="replace")
    text = _plain(text)
    return f": {text}" if text else ""


def _plain(text: str) -> str:
    return re.sub(_CONTROL, " ", text).strip()[:200]


def _decoded(response: Response) -> bytes:
    """The body, at most `MAX_BODY` bytes. It is decompressed if the server compressed it without request."""
    if response.headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip", "deflate"):
        return response.body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(response.body, MAX_BODY)
    except zlib.error:
        return b""
