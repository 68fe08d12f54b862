"""The traced request, and a naive middleware of fifteen lines for comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentracing import Format

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
# The headers that `requests` and a proxy send.
OTHERS = {
    "host": "example.com",
    "user-agent": "python-requests/2.34.2",
    "accept-encoding": "gzip, deflate",
    "accept": "*/*",
    "connection": "keep-alive",
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-proto": "https",
    "x-request-id": "8f14e45f-ceea-467f-9d5b-3b1e0f2a6c11",
}
UBER = {**OTHERS, "uber-trace-id": f"{TRACE}:{SPAN}:0:1"}

# The environ that gunicorn makes of such a request.
ENVIRON = {
    "wsgi.errors": None,
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": None,
    "wsgi.input_terminated": True,
    "SERVER_SOFTWARE": "gunicorn/27.0.1",
    "wsgi.input": None,
    "gunicorn.socket": None,
    "REQUEST_METHOD": "GET",
    "QUERY_STRING": "",
    "RAW_URI": "/users/7",
    "SERVER_PROTOCOL": "HTTP/1.1",
    **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in UBER.items()},
    "wsgi.url_scheme": "https",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "49806",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8765",
    "PATH_INFO": "/users/7",
    "SCRIPT_NAME": "",
}


def small_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def naive(tracer: Any, app: Any = small_app) -> Any:
    """A WSGI middleware as many programs write it by hand."""

    def application(environ: Any, start_response: Any) -> Any:
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        parent = tracer.extract(Format.HTTP_HEADERS, headers)
        tags = {
            "span.kind": "server",
            "component": "wsgi",
            "http.method": environ["REQUEST_METHOD"],
            "http.url": f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}",
        }
        with tracer.start_active_span(environ["PATH_INFO"], child_of=parent, tags=tags) as scope:

            def respond(status: str, sent: Any, exc_info: Any = None) -> Any:
                scope.span.set_tag("http.status_code", int(status[:3]))
                return start_response(status, sent)

            return app(environ, respond)

    return application


def requests(application: Any) -> Callable[[int], None]:
    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        return None

    def run(times: int) -> None:
        for _ in range(times):
            body = application(ENVIRON.copy(), start_response)
            for _part in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()

    return run
