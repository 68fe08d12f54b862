"""Bodies that end the request's span: at the last chunk or at `close()`, whichever comes first.

A body is wrapped only if the application still has something to do for it. Lists and what
`wsgi.file_wrapper` made are handed on as they are, so that servers count and `sendfile` them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ot_bridge.delivery import finalizers

if TYPE_CHECKING:
    from ot_bridge.wsgi.request import Request

_FINISHED: Final = frozenset({list, tuple, bytes})


def deliver(result: Iterable[bytes], request: Request, file_wrapper: Any) -> Iterable[bytes]:
    """What to give the server for the application's `result`, with the span's end taken care of."""
    kind = type(result)
    if kind in _FINISHED:
        request.end()
        return result
    if file_wrapper is not None and _is_file(result, file_wrapper):
        try:
            result.close = FileClose(result, request)  # type: ignore[attr-defined]
        except (AttributeError, TypeError):  # an object without room: it tells nobody when it is closed
            request.end()
        return result
    return SizedBody(result, request) if hasattr(kind, "__len__") else Body(result, request)


def _is_file(result: object, file_wrapper: Any) -> bool:
    if isinstance(file_wrapper, type):
        return isinstance(result, file_wrapper)
    return hasattr(result, "read") or hasattr(result, "filelike")  # uWSGI's and mod_wsgi's


class Body:
    """An application's iterable: the span is active in each step of it, and ends with it."""

    __slots__ = ("_next", "_request", "_result")

    def __init__(self, result: Iterable[bytes], request: Request) -> None:
        self._result = result
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
        """Closes the application's iterable, if it wants that, and ends the span."""
        request = self._request
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                request.step(close)
        except BaseException as error:
            request.end(error)
            raise
        request.end()

    def __del__(self) -> None:
        if self._request.is_open:
            finalizers.later(self._request.abandon)


class SizedBody(Body):
    """The same for an iterable that knows its length, which servers make a `Content-Length` of."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._result)  # type: ignore[arg-type]


class FileClose:
    """The `close()` of a file wrapper that the server gets as it is."""

    __slots__ = ("_close", "_request")

    def __init__(self, result: Any, request: Request) -> None:
        self._close = getattr(result, "close", None)
        self._request = request
        finalizers.prepare()

    def __call__(self) -> None:
        try:
            if self._close is not None:
                self._request.step(self._close)
        except BaseException as error:
            self._request.end(error)
            raise
        self._request.end()

    def __del__(self) -> None:
        if self._request.is_open:
            finalizers.later(self._request.abandon)
