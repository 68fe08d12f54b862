"""The viewer as a WSGI application: receives spans as a collector does, and shows them.

1. It serves this machine only. A request is refused if its Host names another machine, or if a page of
   another origin has sent it. So other pages can neither read traces nor add spans.
2. Only POST requests change anything.
3. Every request gets a response. No request ends the server or prints a traceback.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from ot_bridge._version import __version__
from ot_bridge.otlp.decode_json import encode_json
from ot_bridge.view import page, receive
from ot_bridge.view.store import Store

NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
ABOUT: Final = "ot-bridge view"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self';"
    " img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Receiver:
    """A WSGI application that receives spans and passes them to `sink`.

    names: the accepted values of Host, `ANY_ADDRESS` for every address. say: called with a message once for
    metrics and once for logs, which are received and not shown.
    """

    ANY_ADDRESS: Final = "*"

    def __init__(
        self,
        sink: receive.Sink,
        names: Collection[str] = NAMES,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._sink = sink
        self._names = {name.lower() for name in names}
        self._say = say
        self._reported: set[str] = set()
        self.handlers: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("POST", "/v1/traces"): self._take,
            ("POST", "/v1/metrics"): self._ignore,
            ("POST", "/v1/logs"): self._ignore,
        }

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            self._check(request)
            response = self.respond(request)
        except receive.Refused as refused:
            response = Response(refused.why + "\n", refused.status, mimetype="text/plain")
        except Exception as error:  # invariant 3
            response = Response(f"{type(error).__name__}\n", 500, mimetype="text/plain")
        response.headers.update(_HEADERS)
        return response(environ, start_response)

    def respond(self, request: Request) -> Response:
        """The response to a request that has passed the checks. Raises Refused."""
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.handlers.get((method, request.path))
        if handler is not None:
            return handler(request)
        known = {path for _, path in self.handlers}
        raise receive.Refused(
            405 if request.path in known else 404, f"no {request.method} {request.path[:100]}"
        )

    def _check(self, request: Request) -> None:
        host = request.environ.get("HTTP_HOST", "")
        name = host_name(host)
        if name not in self._names and not (self.ANY_ADDRESS in self._names and _is_address(name)):
            raise receive.Refused(400, "the Host is not one of this viewer's; name it with --host")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
            raise receive.Refused(403, "the request comes from a page of another origin")
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise receive.Refused(403, "the request comes from a page of another site")

    def _take(self, request: Request) -> Response:
        form = receive.form_of(request)
        try:
            got = receive.received(form, receive.body_of(request))
        except receive.Refused as refused:
            return Response(form.error(refused.why), refused.status, mimetype=request.mimetype)
        self._sink.add(got.spans)
        return Response(receive.response_body(form, got), mimetype=request.mimetype)

    def _ignore(self, request: Request) -> Response:
        form = receive.form_of(request)
        receive.body_of(request)
        if request.path not in self._reported:
            self._reported.add(request.path)
            self._say(f"{request.path}: received and discarded; the viewer shows only traces")
        return Response(receive.response_body(form, receive.Received([], 0, "")), mimetype=request.mimetype)


class Viewer(Receiver):
    """The whole application: a receiver, and the page that shows its store."""

    def __init__(
        self, store: Store, names: Collection[str] = NAMES, say: Callable[[str], object] = lambda text: None
    ) -> None:
        super().__init__(store, names, say)
        self.store = store
        self.handlers |= {
            ("POST", "/api/clear"): self._clear,
            ("GET", "/api/traces"): self._changes,
            ("GET", "/api/download"): self._download,
            ("GET", "/api/about"): lambda request: _as_json({"program": ABOUT, "version": __version__}),
            ("GET", "/"): _file(_index(), "text/html"),
            ("GET", "/page.js"): _file(page.part("page.js"), "text/javascript"),
            ("GET", "/page.css"): _file(page.part("page.css"), "text/css"),
            ("GET", "/favicon.ico"): _file("", "image/x-icon"),
        }

    def respond(self, request: Request) -> Response:
        """The response to a request. Each trace has a path of its own. Raises Refused."""
        if request.method in ("GET", "HEAD") and request.path.startswith("/api/trace/"):
            return self._trace(request.path.removeprefix("/api/trace/"))
        return super().respond(request)

    def _clear(self, request: Request) -> Response:
        self.store.clear()
        return _as_json({})

    def _changes(self, request: Request) -> Response:
        after = request.args.get("after", "0")
        return _as_json(self.store.changes(int(after) if after.isdecimal() and len(after) < 20 else 0))

    def _trace(self, trace_id: str) -> Response:
        found = self.store.trace(trace_id)
        if found is None:
            raise receive.Refused(404, "no such trace")
        return _as_json(found)

    def _download(self, request: Request) -> Response:
        response = Response(self._requests(), mimetype="application/json")
        response.headers["Content-Disposition"] = 'attachment; filename="traces.json"'
        return response

    def _requests(self) -> Iterator[str]:
        """The pieces of one OTLP request with all spans."""
        yield '{"resourceSpans":['
        between = ""
        for spans in self.store.everything():
            yield between + encode_json(spans).removeprefix('{"resourceSpans":[').removesuffix("]}")
            between = ","
        yield "]}"


def _file(text: str, kind: str) -> Callable[[Request], Response]:
    return lambda request: Response(text, mimetype=kind)


def _as_json(data: Any) -> Response:
    return Response(json.dumps(data, separators=(",", ":")), mimetype="application/json")


def _index() -> str:
    return (
        page.part("page.html")
        .replace("<!--policy-->", "")
        .replace("<!--data-->", "")
        .replace("<!--style-->", '<link rel="stylesheet" href="/page.css">')
        .replace("<!--script-->", '<script src="/page.js"></script>')
    )


def host_name(host: str) -> str:
    """The name in a Host header, in lower case, without port and brackets. "" for an invalid header."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if port and not port.isdecimal():
        return ""
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
        return name.lower() if _is_address(name) else ""
    return "" if ":" in name else name.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
