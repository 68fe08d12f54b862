"""What a server uses of the caller's context, and how it handles broken headers."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from ot_bridge.grpc import aio_server_interceptor, server_interceptor
from tests.conftest import Recorded
from tests.grpc.conftest import Finished
from tests.grpc.sides import Call, aio_call, broken, servers
from tests.grpc.test_server import take
from tests.grpc.things import Seen, Sync, method, sync_server

CALLER = (("uber-trace-id", "abc:def:0:0"), ("uberctx-user", "ann"))


@servers
@pytest.mark.parametrize(
    ("options", "continues", "links", "recorded"),
    [
        ({}, True, 0, False),
        ({"trust": "all"}, True, 0, False),
        ({"trust": "context"}, True, 0, True),
        ({"trust": "link"}, False, 1, True),
        ({"public_endpoint": True}, False, 1, True),
        ({"trust": "none"}, False, 0, True),
        ({"trust": lambda details: {method("UU"): "link"}[details.method]}, False, 1, True),
        ({"trust": lambda details: "all" if dict(details.invocation_metadata) else ""}, True, 0, False),
        ({"trust": lambda details: "everybody"}, False, 0, True),
        ({"trust": lambda details: []}, False, 0, True),
        ({"trust": broken}, False, 0, True),
    ],
    ids=[
        "default",
        "all",
        "context",
        "link",
        "public",
        "none",
        "by method",
        "by metadata",
        "word",
        "list",
        "broken",
    ],
)
def test_the_trust_option_decides_what_is_used_of_the_caller(
    call: Call, seen: Seen, finished: Finished, options: Any, continues: bool, links: int, recorded: bool
) -> None:
    call(seen, "UU", b"ok", metadata=CALLER, **options)
    spans = finished(1 if recorded else 0)
    context = seen.spans[0].context
    assert (context.trace_id == 0xABC) is continues
    assert context.baggage.get("user") == ("ann" if continues else None)
    for span in spans:
        assert [link.context.trace_id for link in span.links] == [0xABC] * links


BROKEN = (("uber-trace-id", "not:a:trace"),)


@servers
def test_a_broken_header_leaves_the_rpc_without_a_span(call: Call, seen: Seen, otel: Recorded) -> None:
    assert call(seen, "UU", b"ok", metadata=BROKEN) == b"ok"
    assert not otel.exporter.get_finished_spans()
    seen.spans[0].set_tag("harmless", 1)


@servers
def test_with_on_corrupt_root_a_broken_header_starts_a_new_trace(
    call: Call, seen: Seen, finished: Finished
) -> None:
    assert call(seen, "UU", b"ok", metadata=BROKEN, on_corrupt="root") == b"ok"
    (span,) = finished(1)
    assert span.parent is None
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("make", [server_interceptor, aio_server_interceptor])
def testbroken_headers_are_counted(make: Any, seen: Seen) -> None:
    interceptor = make()
    if make is server_interceptor:
        with sync_server(Sync(seen), interceptor) as address, grpc.insecure_channel(address) as channel:
            for metadata in (BROKEN, CALLER, BROKEN):
                take(channel, "UU", b"ok", metadata=metadata)
    else:
        for metadata in (BROKEN, CALLER, BROKEN):
            aio_call(seen, "UU", b"ok", grpc.aio.insecure_channel, interceptor, metadata=metadata)
    assert interceptor.corrupt_headers == 2
