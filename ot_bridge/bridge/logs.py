"""Converts an OpenTracing log to an OpenTelemetry event or a recorded exception.

OpenTelemetry specification, "OpenTracing Compatibility", section "Log". Nothing here raises.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

from ot_bridge.bridge.convert import Value, clean_copy, cleaned, key_name, named_fields, text

#: Name and attributes of an event, and the exception to record with these attributes, or None.
Event: TypeAlias = tuple[str, dict[str, Value], BaseException | None]

#: OpenTracing's log fields for an error -> attributes of OpenTelemetry's `exception` event.
ERROR_FIELDS: Mapping[object, str] = {
    "error.kind": "exception.type",
    "message": "exception.message",
    "stack": "exception.stacktrace",
}


def event(key_values: Any) -> Event:
    """Converts the argument of `log_kv`. Its `event` field names the event; without one the name is `log`."""
    fast = clean_copy(key_values)
    if fast is not None:
        name: Any = fast.get("event", "log")
        if type(name) is str and name != "error":
            return name or "log", fast, None
    fields = named_fields(key_values)
    if fields is None:
        fields = {"payload": key_values} if key_values is not None else {}
    named = fields.get("event", "log")
    if type(named) is not str:
        named = "log" if named is None else text(named)
    if named != "error":
        return key_name(named) or "log", cleaned(fields), None
    raised = fields.pop("error.object", None)
    handled = sys.exc_info()[1]
    if handled is not None and raised is type(handled):  # grpcio-opentracing logs the class alone
        raised = handled
    if issubclass(type(raised), BaseException):
        # Recording the exception sets these fields. A different message of the program stays.
        message = fields.get("message")
        if type(message) is str and message == text(raised):
            del fields["message"]
        fields.pop("error.kind", None)
        fields.pop("stack", None)
        return "exception", cleaned(fields), raised
    if raised is not None:
        fields.setdefault("error.kind" if issubclass(type(raised), type) else "message", raised)
    return "exception", cleaned({ERROR_FIELDS.get(k, k): v for k, v in fields.items()}), None
