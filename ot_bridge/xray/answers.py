"""What an answer over HTTP means for the spans of the request: delivered, to be sent again, or lost.

See the OTLP specification, "OTLP/HTTP Response", RFC 9110 (10.2.3) and AWS's "Common Errors".
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from datetime import timezone
from email.utils import parsedate_to_datetime

from ot_bridge.otlp.wire import status_message

from .transport import Answer

#: Statuses after which the same request may do.
MAY_PASS = {429, 502, 503, 504}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, from whole seconds or a date (a past one: 0); None if it says nothing of use."""
    told = (header or "").strip()
    if re.fullmatch("[0-9]+", told):
        return float(told[:15])
    try:
        date = parsedate_to_datetime(told)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, date.timestamp() - time.time())


def is_web_page(answer: Answer) -> bool:
    """Whether a page for people came, as proxies and portals send with any status."""
    return (answer.header("content-type") or "").strip().lower().startswith("text/html")


def aws_code(answer: Answer) -> str:
    """The code of AWS's error, as `ExpiredTokenException`, or ""."""
    told = answer.header("x-amzn-errortype") or _in_json(answer.body) or ""
    return told.split(":")[0].rpartition("#")[2].strip()


def _in_json(body: bytes) -> str:
    try:
        found = json.loads(body)
        return str(found.get("__type") or found.get("code") or "")
    except (ValueError, AttributeError, RecursionError):
        return ""


def words(answer: Answer) -> str:
    """What a refusal says, for a log: the message of a google.rpc.Status, else the first 200 characters."""
    told = ""
    if "protobuf" in (answer.header("content-type") or ""):
        with suppress(ValueError):
            told = status_message(answer.body)
    told = told or answer.body[:1000].decode(errors="replace")
    return _CONTROLS.sub(" ", told).strip()[:200]
