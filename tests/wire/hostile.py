"""Properties that hold for any carrier; used by the tests on generated input and by the fuzzer.

Run as a program under atheris (`pip install atheris`), coverage-guided, with libFuzzer's arguments:

    python -m tests.wire.hostile -runs=1000000
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator, WsgiHeaders
from ot_bridge.wire import EMPTY, FORMATS, LIMITS, RANDOM_TRACE_ID, Remote
from ot_bridge.wire.text import is_token

ALL = Propagator(list(FORMATS), raw=True)
ONE_BY_ONE = {name: Propagator([name], raw=True) for name in FORMATS}
ON_HTTP = [name for name, format in FORMATS.items() if not format.raw]
NAMES = [*ALL.fields, "uberctx-k", "uberctx-\u00fc", "uberctx-a b", "ot-baggage-k", "ot-baggage-\r", "Host"]
# Pieces that are nearly headers, so that chance gets further than the first check.
PIECES = [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "abc:def:0:1", "%3A", "%0d%0a", "\r\n", "\0",
    "Root=1-67891233-abcdef012345678912345678", ";Parent=53995c3f42cd8ad8", ";Sampled=1", ";Lineage=", "a=b",
    ",", ";", "=", "-", ":", " ", "\t", "0", "1", "d", "true", "463ac35c9f6413ad", "0x", "_", "+", "\uff11",
    "\ud800", "a" * 300, "k=v;p", "1-2-1", "%", "%f", "\x85", "\u2028",
]  # fmt: skip


def check(carrier: dict[str, Any]) -> None:
    """Read the carrier in every format, write what was read in every format: nothing but `BadHeader`."""
    for propagator in ONE_BY_ONE.values():
        remote = read(propagator, carrier)
        if remote is not None:
            check_bounds(remote)
            check_written(remote)
    remote = read(ALL, carrier)
    assert same(read(ALL, list(carrier.items())), remote)
    if all(is_token(name) and "_" not in name for name in carrier):
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in carrier.items()}
        if len(environ) == len(carrier) and all(isinstance(value, str) for value in carrier.values()):
            assert same(read(ALL, WsgiHeaders(environ)), remote)


def read(propagator: Propagator, carrier: Any) -> Remote | None:
    usual = read_usual(propagator, carrier)
    try:
        remote = propagator.decode(carrier)
    except BadHeader as error:
        text = str(error)
        assert len(text) < 250
        assert text.isascii()
        assert text.isprintable()
        assert usual is None
        return None
    assert usual is None or usual == remote
    return remote


def read_usual(propagator: Propagator, headers: Any) -> Remote | None:
    """What the fast path reads from headers, or None."""
    try:
        ids = propagator.read_ids(headers)
    except Exception:
        return None
    if ids is None:
        return None
    trace_id, span_id, parent_id, flags = ids
    extras = RANDOM_TRACE_ID if flags & 2 else EMPTY
    remote = Remote(trace_id, span_id, parent_id, sampled=bool(flags & 1), extras=extras)
    return remote if trace_id and span_id else None


def same(one: Remote | None, other: Remote | None) -> bool:
    """Equal, but for the order of baggage, of which the last items may be over a limit."""
    if one is None or other is None or len(one.baggage) >= LIMITS.baggage_items:
        return (one is None) == (other is None)
    return one == other


def check_bounds(remote: Remote) -> None:
    assert 0 <= remote.trace_id < 1 << 128
    assert 0 <= remote.span_id < 1 << 64
    assert 0 <= remote.parent_id < 1 << 64
    assert len(remote.baggage) <= 2 * LIMITS.baggage_items  # jaeger has two kinds of header
    assert sum(len(k) + len(v) for k, v in remote.baggage.items()) <= 2 * LIMITS.baggage_bytes
    assert len(remote.tracestate) <= LIMITS.tracestate_bytes
    assert remote.debug_id is None or 0 < len(remote.debug_id) <= 1024


def check_written(remote: Remote) -> None:
    """The written headers can be sent by any HTTP client, and can be read again."""
    for name in ON_HTTP:
        headers: dict[str, Any] = {}
        ONE_BY_ONE[name].encode(remote, headers)
        for header, value in headers.items():
            assert is_token(header), header
            assert value.isascii(), (header, value)
            assert not set("\r\n\0") & set(value), (header, value)
        if headers and remote.trace_id and remote.span_id and name not in ("baggage", "ottrace"):
            again = ONE_BY_ONE[name].decode(headers)
            assert again is not None
            assert (again.trace_id, again.span_id) == (remote.trace_id, remote.span_id)
    headers = {}
    ONE_BY_ONE["jaeger"].text_map.encode(remote, headers)
    assert not any(set("\r\n\0") & set(header + value) for header, value in headers.items())


def carrier_from(data: bytes) -> dict[str, Any]:
    """A carrier for the fuzzer's bytes: names from the list, values of its pieces and of raw text."""
    carrier: dict[str, Any] = {}
    for chunk in data.split(b"\xff")[:8]:
        if not chunk:
            continue
        name = NAMES[chunk[0] % len(NAMES)]
        if name in ("binary", "grpc-trace-bin"):
            carrier[name] = chunk[1:]
        else:
            carrier[name] = "".join(
                PIECES[b - 128] if 0 <= b - 128 < len(PIECES) else chr(b) for b in chunk[1:]
            )
    return carrier


def main() -> None:
    atheris: Any = importlib.import_module("atheris")

    atheris.instrument_all()
    atheris.Setup(sys.argv, lambda data: check(carrier_from(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
