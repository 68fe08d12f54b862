"""Response bodies that end the request's span: at the last chunk or at `close()`, whichever comes first.

A body is wrapped only if the application still has to produce it. Lists, and files that the server's file
wrapper has made, are passed on unchanged, so that the server can count the items and use `sendfile`.
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
    """Returns the body that the server gets for the application's `result`. The body ends the span."""
    if _means_no_response(result):
        request.end()
        return result
    if _is_file(result, environ.get(FILE_WRAPPER)):
        try:
            result.close = FileClose(result, request)  # type: ignore[attr-defined]
        except (AttributeError, TypeError):  # the object does not allow it
            request.end()
        return result
    return SizedBody(result, request) if hasattr(type(result), "__len__") else Body(result, request)


def _means_no_response(result: object) -> bool:
    """Whether `result` is the object that an application returns after it has taken over the socket.

    For gunicorn that is a plain object, for eventlet an instance of `_AlreadyHandled`. The server has to
    recognize it, so it is not wrapped. None is not such an object but an error of the application.
    """
    kind = type(result)
    if result is None or hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        return kind.__name__.endswith("AlreadyHandled")
    return True


def _is_file(result: object, wrapper: Any) -> bool:
    if isinstance(wrapper, type):
        return isinstance(result, wrapper)
    return isinstance(wrapper, RecordingFileWrapper) and result is wrapper.made


class RecordingFileWrapper:
    """Calls a server's `wsgi.file_wrapper` that is a function, and records its last result (`made`).

    uWSGI and mod_wsgi recognize their files by identity, so these must be passed on unchanged. A function
    written in Python makes an iterator that the server reads like any other body. It is not recorded, unless
    the function returns its argument.
    """

    made: object = None

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> object:
        result = self._function(*args)
        if type(self._function) is BuiltinFunctionType or any(result is each for each in args):
            self.made = result
        return result


def record_files(environ: dict[str, Any], wrapper: Any) -> None:
    """Replaces the server's file wrapper, which is a function, by one that records its results."""
    if not isinstance(wrapper, RecordingFileWrapper):
        environ[FILE_WRAPPER] = RecordingFileWrapper(wrapper)


class Body:
    """Wraps an application's iterable. The span is active while it makes a chunk, and ends at its end."""

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
            # If this deletes a generator, the generator closes its scopes, which have to be active meanwhile.
            self._request.step(self._drop)
            finalizers.later(self._request.abandon)


class SizedBody(Body):
    """A `Body` whose iterable has a length, from which servers compute the `Content-Length`."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._result)


class FileClose:
    """Replaces the `close()` of a file that the server gets unwrapped. It also ends the span."""

    __slots__ = ("_close", "_request")

    def __init__(self, result: Any, request: Request) -> None:
        close: Any = getattr(result, "close", None)
        # A file that is used for several requests still has the `FileClose` of the previous request.
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
