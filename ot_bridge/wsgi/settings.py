"""The options of one middleware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ot_bridge.bridge import convert
from ot_bridge.edge import Callers, Exclusion
from ot_bridge.wsgi.operation_name import OperationName
from ot_bridge.wsgi.response_header import MakeHeaders
from ot_bridge.wsgi.secrets import Secrets
from ot_bridge.wsgi.tags import Environ, HeaderTags, Tags


class Settings(NamedTuple):
    """The options of one `TracingMiddleware`, which describes them, checked and ready for use."""

    name: OperationName
    tags: Tags
    #: `tags` as spans start with them, by whether the tracer makes a kind of `span.kind`; empty where other
    #: tags are added that have to be cleaned.
    ready: Mapping[bool, convert.Tags]
    #: Whether OpenTelemetry's names are opted in.
    opted_in: bool
    captured: HeaderTags | None
    capture_query: bool
    secrets: Secrets
    exclusion: Exclusion
    callers: Callers
    start_options: Callable[[Environ], Any] | None
    request_hook: Callable[..., Any] | None
    response_hook: Callable[..., Any] | None
    response_header: MakeHeaders | None
    #: Whether the route is looked for, and whether response headers are looked at.
    wants_route: bool
    wants_headers: bool
