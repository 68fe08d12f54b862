"""Response bodies that end the request's span: at the last chunk or at `close()`, whichever comes first.

A body is wrapped only if the application still has work to do for it. Lists, and what the server's file
wrapper has made, reach the server as they are, so that it can count them and use `sendfile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

from ot_bridge.delivery import finalizers

if TYPE_CHECKING:
    from ot_bridge.wsgi.request import Request

FINISHED: Final = frozenset({list, tuple, bytes})
FILE_WRAPPER: Final = "wsgi.file_wrapper"


def deliver(result: Iterable[bytes], request: Request, environ: dict[str, Any]) -> Iterable[bytes]:
    """What the server gets for the application's `result`. From here on the body ends the span."""
    if _is_no_body(result):
        request.end()
        return result
    if _is_file(result, environ.get(FILE_WRAPPER)):
        try:
            result.close = FileClose(result, request)  # type: ignore[attr-defined]
        except (AttributeError, TypeError):  # the object has no room for it
            request.end()
        return result
    return SizedBody(result, request) if hasattr(type(result), "__len__") else Body(result, request)


def _is_no_body(result: object) -> bool:
    """Whether it is the mark of an application that has taken the socket over from its server.

    Gunicorn's is a bare object, and eventlet's has its identity. None is a mistake of the application.
    """
    kind = type(result)
    if result is None or hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        return kind.__name__.endswith("AlreadyHandled")
    return True


def _is_file(result: object, wrapper: Any) -> bool:
    if isinstance(wrapper, type):
        return isinstance(result, wrapper)
    return isinstance(wrapper, NotedWrapper) and result is wrapper.made


class NotedWrapper:
    """A server's `wsgi.file_wrapper` that is a function; by itself it does not reveal its results.

    uWSGI and mod_wsgi recognize their files by identity, so these reach them unchanged. made: the last one.
    An iterator that a function written in Python has made is read by the server's loop: a body as any other.
    """

    made: object = None

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> object:
        result = self._function(*args)
        if type(self._function) is BuiltinFunctionType or any(result is each for each in args):
            self.made = result
        return result


def note_files(environ: dict[str, Any], wrapper: Any) -> None:
    """Has the server's file wrapper, which is a function, note what it makes."""
    if not isinstance(wrapper, NotedWrapper):
        environ[FILE_WRAPPER] = NotedWrapper(wrapper)


class Body:
    """An application's iterable. The span is active in each step of it, and ends with it."""

    __slots__ = ("_next", "_request", "_result")

    def __init__(self, result: Iterable[bytes], request: Request) -> None:
        self._result: Any = result
        self._request = request
        finalizers.prepare()
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        if self._next is None:
            self._begin()
        return self

    def _begin(self) -> Callable[[], bytes]:
        request = self._request
        try:
            begun: Callable[[], bytes] = request.step(iter, self._result).__next__
        except BaseException as error:
            request.end(error)
            raise
        self._next = begun
        return begun

    def __next__(self) -> bytes:
        request = self._request
        try:
            chunk = request.step(self._next or self._begin())
        except StopIteration:
            request.end()
            raise
        except BaseException as error:
            request.end(error)
            raise
        request.sent = True
        return chunk

    def close(self) -> None:
        """Closes the application's iterable, if it has a `close()`, and ends the span."""
        _close(self._request, getattr(self._result, "close", None))

    def _drop(self) -> None:
        self._result = self._next = None

    def __del__(self) -> None:
        if self._request.is_open:
            # A generator that goes with this object closes its scopes, which have to be active then.
            self._request.step(self._drop)
            finalizers.later(self._request.abandon)


class SizedBody(Body):
    """A `Body` whose iterable has a length, from which servers make a `Content-Length`."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._result)


class FileClose:
    """The `close()` of a file that the server gets as it is."""

    __slots__ = ("_close", "_request")

    def __init__(self, result: Any, request: Request) -> None:
        close: Any = getattr(result, "close", None)
        # An object that serves for many requests has the one of the last request, which ends its own span.
        self._close: Any = close._close if isinstance(close, FileClose) else close
        self._request = request
        finalizers.prepare()

    def __call__(self) -> None:
        _close(self._request, self._close)

    def __del__(self) -> None:
        if self._request.is_open:
            finalizers.later(self._request.abandon)


def _close(request: Request, close: Callable[[], object] | None) -> None:
    try:
        if close is not None:
            request.step(close)
    except BaseException as error:
        request.end(error)
        raise
    request.end()
