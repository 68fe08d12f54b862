"""What is left of the modules: helpers and codecs by themselves."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import jaeger_client.codecs
import jaeger_client.ioloop_util
import jaeger_client.utils
import pytest
from opentracing import InvalidCarrierException, SpanContextCorruptedException
from tornado import gen
from tornado.ioloop import IOLoop

from ot_bridge.jaeger_client import codecs, ioloop_util, utils
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender, get
from tests.jaeger.servers import Agent, Server, running
from tests.jaeger.sides import Side, both


@pytest.mark.parametrize("text", ["true", "True", "1", 1, True, "false", "0", 0, "None", None, "", "maybe"])
@pytest.mark.parametrize("default", [True, False])
def test_get_boolean_reads_as_jaeger_client_does(text: Any, default: bool) -> None:
    assert utils.get_boolean(text, default) == jaeger_client.utils.get_boolean(text, default)


def test_the_error_reporter_logs_only_after_its_interval(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("errors")
    reporter = utils.ErrorReporter(None, logger)
    reporter.error("nobody hears %s", "this")
    utils.ErrorReporter(None).error("nor this")
    loud = utils.ErrorReporter(None, logger, log_interval_minutes=-1)
    loud.error("heard: %s", 1)
    loud.error("heard: %s", 2)
    assert [record.getMessage() for record in caplog.records] == ["heard: 1", "heard: 2"]


@pytest.mark.parametrize(
    ("name_to", "reachable", "expected"),
    [("10.1.2.3", True, "10.1.2.3"), ("127.0.1.1", False, "127.0.1.1"), (None, False, "127.0.0.1")],
)
def test_the_local_address_falls_back_to_less_precise_methods(
    name_to: str | None, reachable: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(name: str) -> str:
        if name_to is None:
            raise OSError
        return name_to

    monkeypatch.setattr(socket, "gethostbyname", lookup)
    if not reachable:
        monkeypatch.setattr(socket.socket, "connect", lambda *args: (_ for _ in ()).throw(OSError()))
    assert utils.local_ip() == expected


@pytest.mark.parametrize("ids", [(1, 2, None, 1), (1 << 100, 2, 3, 0)])
def test_an_uber_trace_id_is_written_and_read(ids: Any) -> None:
    def program(module: Any) -> Any:
        text = module.span_context_to_string(*ids)
        return text, module.span_context_from_string(text), module.span_context_from_string([text])

    assert program(codecs) == program(jaeger_client.codecs)


@pytest.mark.parametrize("value", ["x", "1:2", "", None, 7, [], ["1:2:0:1", "1:2:0:1"], "0:0:0:0"])
def test_an_invalid_uber_trace_id_is_refused(value: Any) -> None:
    for module in (codecs, jaeger_client.codecs):
        with pytest.raises(SpanContextCorruptedException):
            module.span_context_from_string(value)


def test_header_to_hex_reads_hex() -> None:
    for module in (codecs, jaeger_client.codecs):
        assert module.header_to_hex("ff") == 255
        for value in ("x", None):
            with pytest.raises(SpanContextCorruptedException):
                module.header_to_hex(value)


def test_the_methods_of_the_base_codec_are_not_implemented() -> None:
    with pytest.raises(NotImplementedError):
        codecs.Codec().inject(None, {})
    with pytest.raises(NotImplementedError):
        codecs.Codec().extract({})


class _Frame:
    """As TChannel has it."""

    trace_id, span_id, parent_id, traceflags = 1, 2, 3, 1


class _IterableFrame(_Frame):
    def __iter__(self) -> Any:
        return iter(())


def test_the_zipkin_codec_reads_the_attributes_of_an_object() -> None:
    def program(side: Side) -> Any:
        codec = side.package.codecs.ZipkinCodec()
        contexts = [codec.extract(frame) for frame in (_Frame(), _IterableFrame(), {"trace_id": 0})]
        for invalid in (object(), [("trace_id", 1), ("span_id", 2), ("parent_id", 3), ("traceflags", 1)]):
            with pytest.raises(InvalidCarrierException):
                codec.extract(invalid)
        return [each and (each.trace_id, each.span_id, each.parent_id, each.flags) for each in contexts]

    both(program)


def test_b3_debug_implies_that_it_is_sampled() -> None:
    context = codecs.B3Codec().extract({"X-B3-TraceId": "1", "X-B3-SpanId": "2", "X-B3-Flags": "1"})
    assert context is not None
    assert context.flags == 3


def test_the_sampler_decides_if_b3_headers_have_no_decision() -> None:
    from tests.jaeger.sides import OURS

    tracer, _ = OURS.tracer(extra_codecs={"b3": codecs.B3Codec()})
    context = tracer.extract("b3", {"X-B3-TraceId": "1", "X-B3-SpanId": "2"})
    assert context.flags == 0
    assert tracer.start_span("op", child_of=context).is_sampled()


def test_a_carrier_that_raises_is_an_invalid_carrier() -> None:
    class Broken(dict[str, str]):
        def __setitem__(self, name: str, value: str) -> None:
            raise TypeError("read only")

    from tests.jaeger.sides import OURS

    tracer, _ = OURS.tracer()
    with pytest.raises(InvalidCarrierException):
        tracer.inject(tracer.start_span("op"), "text_map", Broken())


def test_the_sender_requests_strategies_and_credits_from_the_agent(agent: Agent) -> None:
    agent.strategy = {"strategyType": "PROBABILISTIC"}
    sender = LocalAgentSender("127.0.0.1", agent.port, throttling_port=str(agent.port))
    strategy = sender.request_sampling_strategy("the service", timeout=5).result(5)
    assert (strategy.code, strategy.json()) == (200, agent.strategy)
    assert strategy.headers["Content-Length"] == str(len(strategy.body))
    credits = sender.request_throttling_credits("s", 7, ["a", "b"], timeout=5).result(5)
    assert credits.json() == {"balances": [{"operation": name, "balance": 1.0} for name in "ab"]}
    assert [path for path, *_ in agent.requests] == [
        "/sampling?service=the+service",
        "/credits?service=s&uuid=7&operations=a&operations=b",
    ]
    agent.status = 500
    with pytest.raises(HTTPError, match="500") as raised:
        sender.request_sampling_strategy("s").result(5)
    assert raised.value.fp.closed  # and its connection with it


def test_submit_calls_a_function_on_a_loop_and_gives_a_future_of_its_result() -> None:
    async def ask(submit: Callable[..., Any], work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.wait_for(submit(work, IOLoop.current(), *args, **kwargs), 10)

    @gen.coroutine
    def in_tornado(value: int, *, more: int) -> Any:
        yield gen.moment
        return value + more

    for submit in (jaeger_client.ioloop_util.submit, ioloop_util.submit):
        assert asyncio.run(ask(submit, max, 1, 2)) == 2
        assert asyncio.run(ask(submit, in_tornado, 3, more=4)) == 7
        assert asyncio.run(ask(submit, lambda: ioloop_util.future_result("done"))) == "done"
    for work in (lambda: 1 // 0, lambda: ioloop_util.future_exception(ZeroDivisionError())):
        with pytest.raises(ZeroDivisionError):  # jaeger-client's waits for ever with today's Tornado
            asyncio.run(ask(ioloop_util.submit, work))


def test_get_local_ip_by_socket_returns_the_same_as_jaeger_clients() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the socket that jaeger-client leaves open
        expected = jaeger_client.utils.get_local_ip_by_socket()
        gc.collect()
    assert utils.get_local_ip_by_socket() == expected


def test_interface_ip_returns_the_address_of_an_interface() -> None:
    # On Windows there is no such call.
    assert utils.interface_ip(b"lo") == (None if sys.platform == "win32" else "127.0.0.1")
    with pytest.raises(OSError, match="No such device"):
        utils.interface_ip(b"nope0")


def test_a_response_of_an_agent_is_read_up_to_a_mebibyte() -> None:
    with running(Server(lambda path, body: (200, bytes(1 << 21)))) as server:
        assert len(get(server.url, [], 10).body) == 1 << 20
