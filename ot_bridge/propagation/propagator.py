"""`Propagator`: makes an OpenTelemetry `TextMapPropagator` of any list of wire formats.

It reads the trace of the first format that yields one, even if the headers of another format are broken, and
merges the baggage of all. It writes all formats. `decode` and `encode` do the same without an OpenTelemetry
context.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import cached_property
from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from ot_bridge.errors import BadHeader, ConfigurationError
from ot_bridge.propagation.carriers import MetadataHeaders, Wanted
from ot_bridge.propagation.otel_context import context_with, outgoing
from ot_bridge.wire import DEFAULT, EMPTY, FORMATS, LIMITS, Format, Limits, Outgoing, Remote
from ot_bridge.wire.items import merged, within_limits
from ot_bridge.wire.remote import BAGGAGE_MEMBER, Decoder, Encoder, Headers, Ids

_log = logging.getLogger("ot_bridge.propagation")


class Propagator(TextMapPropagator):
    """Reads and writes the given formats, in this order.

    formats: names from `wire.FORMATS`, or `Format` values. limits: how much text is accepted from a caller.
    accept_baggage: False accepts no baggage of callers, a collection only these keys. Items that the
    application sets are always sent. raw: writes formats whose values are no text (bytes, integers) into
    every carrier; otherwise only into `MetadataHeaders`, since bytes are an error in an HTTP header.
    Raises `ConfigurationError` for an unknown name.

    read_ids: returns the ids and flags (`wire.Format.usual`) of a carrier whose tracing headers hold nothing
    else, as most do; None if `decode` has to read it. It may raise any exception where `decode` would refuse
    a header or read it in another way, and may return an id of 0. It makes no `Remote`, and so takes a third
    of the time (benchmark rows extract-uber and extract-w3c); tests/wire/test_hostile.py checks that both
    agree.
    write_ids: returns the headers, as pairs, of a span that passes on nothing but ids and flags. Its
    arguments are the six values of the span's OpenTelemetry context and the parent's span id. It returns None
    if the formats need `encode`, and may raise any exception where `encode` would not. It makes no span
    context and no dict, so that a gRPC call needs a sixth less code and data that are not in the processor's
    cache (benchmark row grpc); tests/bridge/test_sent_ids.py checks that both agree.
    encode: writes the headers of all formats for a context, any `Outgoing`, into a mutable mapping.
    """

    read_ids: Callable[[Any], Ids | None]
    write_ids: Callable[[Any, int], tuple[tuple[str, str], ...]] | None
    encode: Callable[[Outgoing, MutableMapping[str, Any]], None]

    def __init__(
        self,
        formats: Iterable[str | Format] = DEFAULT,
        *,
        limits: Limits = LIMITS,
        accept_baggage: bool | Iterable[str] = True,
        raw: bool = False,
    ) -> None:
        self.formats = tuple(map(_format, formats))
        self.limits = limits
        self._accepted = None if accept_baggage is True else frozenset(accept_baggage or ())
        self._wanted = Wanted(self.formats)
        self._is_plain = self._wanted.headers.plain.issuperset
        self._decoders: tuple[Decoder, ...] = tuple(format.decode for format in self.formats)
        self.read_ids = self._wanted.id_reader()
        self.write_ids = _ids_writer(self.formats)
        self.encode = _encode(self.formats, limits, raw)

    @cached_property
    def text_map(self) -> Propagator:
        """This propagator for carriers that are not HTTP headers, with each format's `text_map` variant."""
        return self._like([format.text_map or format for format in self.formats])

    @cached_property
    def raw(self) -> Propagator:
        """This propagator with `raw=True`."""
        return self._like(self.formats, raw=True)

    def _like(self, formats: Iterable[Format], raw: bool = False) -> Propagator:
        accepted = True if self._accepted is None else self._accepted
        return Propagator(formats, limits=self.limits, accept_baggage=accepted, raw=raw)

    @property
    def fields(self) -> set[str]:
        """The names of the headers that may be written, except those of single baggage items."""
        return {name for format in self.formats for name in format.spelled or format.fields}

    def decode(self, carrier: Any) -> Remote | None:
        """The `Remote` that the headers in a carrier describe; None if there are none.

        carrier: any mapping, with names in any case, `WsgiHeaders`, an iterable of pairs, or an object with
        the names as attributes. Raises `BadHeader` if no format yields a trace and a header is broken;
        `TypeError` or `AttributeError` if this is no carrier.
        """
        if type(carrier) is dict and self._is_plain(carrier):
            try:
                return self._read(carrier)
            except (TypeError, AttributeError):
                pass  # there are values that are no text: `pick` converts them
        headers = self._wanted.pick(carrier)
        return self._read(headers) if headers else None

    def extract(
        self,
        carrier: Any,
        context: Context | None = None,
        getter: Getter[Any] = default_getter,
    ) -> Context:
        """The context with the caller's span, baggage and `Remote`; unchanged if there is nothing to read."""
        context = Context() if context is None else context
        try:
            if getter is default_getter:
                remote = self.decode(carrier)
            else:
                remote = self._read(self._wanted.pick_through(carrier, getter))
        except (BadHeader, TypeError, AttributeError) as error:
            _log.debug("the caller's trace is not continued: %s", error)
            return context
        return context if remote is None else context_with(remote, context)

    def inject(
        self,
        carrier: Any,
        context: Context | None = None,
        setter: Setter[Any] = default_setter,
    ) -> None:
        """Writes the headers for the span and the baggage of a context (default: the current one)."""
        remote = outgoing(context)
        if setter is default_setter:
            return self.encode(remote, carrier)
        headers: dict[str, Any] = {}
        self.encode(remote, headers)
        for name, value in headers.items():
            setter.set(carrier, name, value)
        return None

    def _read(self, headers: Headers) -> Remote | None:
        limits = self.limits
        found: Remote | None = None
        error: BadHeader | None = None
        for decode in self._decoders:
            try:
                remote = decode(headers, limits)
            except BadHeader as refused:
                error = error or refused
                continue
            if remote is not None:
                found = remote if found is None else _merge(found, remote)
        if error is not None and not (found and found.trace_id):
            raise error
        return self._accept(found) if found is not None and found.baggage else found

    def _accept(self, remote: Remote) -> Remote | None:
        """`remote` with the baggage that the limits and `accept_baggage` allow; None if nothing is left."""
        held = remote.baggage
        baggage = within_limits(held, remote.extras, self.limits)
        if self._accepted is not None:
            baggage = {key: value for key, value in baggage.items() if key in self._accepted}
        if baggage is held:
            return remote
        members = {BAGGAGE_MEMBER + key for key in held.keys() - baggage.keys()}
        extras = {name: text for name, text in remote.extras.items() if name not in members}
        left = remote._replace(baggage=baggage or EMPTY, extras=extras or EMPTY)
        return None if left == Remote() else left


def _encode(
    formats: Sequence[Format], limits: Limits, raw: bool
) -> Callable[[Outgoing, MutableMapping[str, Any]], None]:
    texts: tuple[Encoder, ...] = tuple(format.encode for format in formats if raw or not format.raw)
    others: tuple[Encoder, ...] = tuple(format.encode for format in formats if format.raw and not raw)
    if len(texts) == 1 and not others and limits == LIMITS:
        return texts[0]

    def encode(outgoing: Outgoing, carrier: MutableMapping[str, Any]) -> None:
        for each in texts:
            each(outgoing, carrier, limits)
        if others and isinstance(carrier, MetadataHeaders):
            for each in others:
                each(outgoing, carrier, limits)

    return encode


def _ids_writer(formats: Iterable[Format]) -> Callable[[Any, int], tuple[tuple[str, str], ...]] | None:
    """Makes `Propagator.write_ids`; None if a format has no `usual` text for ids and flags."""
    writers = [(each.usual.name, each.usual.write) for each in formats if each.usual and each.usual.write]
    headers: dict[str, Any] = {}
    for each in formats:
        each.encode(Remote(1, 1, sampled=True), headers)
    if headers.keys() != {name for name, _ in writers}:
        return None

    def write_ids(ids: Any, parent_id: int) -> tuple[tuple[str, str], ...]:
        trace_id, span_id, _, flags, _, _ = ids
        pairs: tuple[tuple[str, str], ...] = ()
        for name, write in writers:
            pairs += ((name, write(trace_id, span_id, parent_id, flags)),)
        return pairs

    return write_ids


def _format(given: str | Format) -> Format:
    if isinstance(given, Format):
        return given
    if given not in FORMATS:
        raise ConfigurationError("propagators", given, f"expected one of {', '.join(FORMATS)}")
    return FORMATS[given]


def _merge(first: Remote, second: Remote) -> Remote:
    """Takes the trace of the first that has one, and adds the values of the other."""
    baggage = merged(first.baggage, second.baggage)
    if second.trace_id and not first.trace_id:
        first, second = second, first
    same_trace = second.trace_id in (0, first.trace_id)
    same_span = same_trace and second.span_id == first.span_id
    return first._replace(
        parent_id=first.parent_id or (second.parent_id if same_span else 0),
        sampled=second.sampled if first.sampled is None and same_span else first.sampled,
        debug=first.debug or (same_span and second.debug),
        debug_id=first.debug_id or second.debug_id,
        baggage=baggage or EMPTY,
        extras={**second.extras, **first.extras} if same_trace and second.extras else first.extras,
    )
