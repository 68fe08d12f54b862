"""Variables, parts by name, random ids and the globals, each by itself."""

from __future__ import annotations

import importlib.util
import os
import pickle
import random
import runpy
import sys
import types
from contextlib import suppress
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import ot_bridge
from ot_bridge import ids, otel, redirect, rpc_status, variables
from ot_bridge.errors import BadHeader, ConfigurationError, OTBridgeError
from ot_bridge.ids import RandomIds, ShortIds
from ot_bridge.registered import Registered, global_provider, set_global_provider
from ot_bridge.variables import Parts, entry_points, is_true, loaded, replaced, text, usable
from tests.install.child import run

VARIABLE = "OT_BRIDGE_OF_A_TEST"


@pytest.mark.parametrize(
    ("value", "true", "lines"),
    [
        *(("true", True, 0), (" TRUE ", True, 0), ("false", False, 0), ("False", False, 0), ("", False, 0)),
        *(("1", False, 1), ("yes", False, 1), ("tru", False, 1)),
    ],
)
def test_only_true_is_true(
    value: str, true: bool, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert is_true(VARIABLE) is true
    assert caplog.messages == [f"{VARIABLE}={value!r}: expected true or false; false is taken"] * lines


def test_variables_are_replaced_while_a_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "before")
    with suppress(KeyError), replaced({VARIABLE: None, f"{VARIABLE}_2": "new"}):
        assert (text(VARIABLE), text(f"{VARIABLE}_2")) == ("", "new")
        raise KeyError
    assert (text(VARIABLE), os.environ.get(f"{VARIABLE}_2")) == ("before", None)
    with replaced({VARIABLE: " blanks "}):
        assert text(VARIABLE) == "blanks"


PARTS = Parts(
    "thing",
    "ot_bridge_of_a_test",
    own={
        "mine": "ot_bridge.ids:ShortIds",
        "gone": "ot_bridge.no_such:Thing",
        "none": "ot_bridge.ids:Nothing",
    },
    hints={"gone": "pip install it"},
    also=("other",),
)


class Entry:
    def __init__(self, name: str, made: Any) -> None:
        self.name, self._made = name, made

    def load(self) -> Any:
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


@pytest.fixture
def _entries(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [Entry("z", 1), Entry("Big", 2), Entry("big", 3), Entry("broken", OSError("no"))]
    held += [Entry("two", OSError("first")), Entry("two", 4)]

    def found(group: str, name: str | None = None) -> list[Entry]:
        assert group == "ot_bridge_of_a_test"
        return [each for each in held if name in (None, each.name)]

    monkeypatch.setattr(variables, "entry_points", found)


@pytest.mark.usefixtures("_entries")
def test_a_part_is_found_by_its_name_or_else_by_its_name_in_lower_case() -> None:
    assert PARTS.load("mine") is PARTS.load("MINE") is ShortIds
    assert [PARTS.load(name) for name in ("z", "Z", "Big", "BIG", "two")] == [1, 1, 2, 3, 4]
    assert PARTS.known() == ["other", "mine", "gone", "none", "Big", "big", "broken", "two", "z"]


@pytest.mark.usefixtures("_entries")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Gone", "pip install it; expected one of other, mine, "),
        ("none", "AttributeError: module 'ot_bridge.ids' has no attribute 'Nothing'; expected one of "),
        ("broken", "OSError: no; expected one of "),
        ("nothing", "expected one of other, mine, gone, none, "),
    ],
)
def test_a_part_that_is_not_found_is_an_error_with_the_known_names(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        PARTS.load(name)
    assert (error.value.option, error.value.value) == ("thing", name)
    assert error.value.reason.startswith(reason)


@pytest.mark.usefixtures("_entries")
def test_only_the_bad_names_of_a_list_are_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, " mine ,, nothing,gone")
    assert usable(VARIABLE, PARTS.load, "otlp") == ["mine"]
    monkeypatch.setenv(VARIABLE, "nothing")
    assert usable(VARIABLE, PARTS.load, "otlp") == []
    both, none = caplog.messages
    assert both.startswith(f"{VARIABLE}='mine ,, nothing,gone': 'nothing': expected one of other")
    assert "; 'gone': pip install it" in both
    assert both.endswith("; only mine is taken")
    assert none.endswith("; otlp is taken, as if it were unset")


def test_an_object_is_loaded_by_its_path_and_entry_points_by_their_group() -> None:
    assert loaded("ot_bridge.ids:ShortIds") is ShortIds
    with pytest.raises(ImportError):
        loaded("ot_bridge.no_such:Thing")
    names = {each.name for each in entry_points("opentelemetry_propagator")}
    assert {"tracecontext", "baggage"} <= names
    assert [each.name for each in entry_points("opentelemetry_propagator", "tracecontext")] == [
        "tracecontext"
    ]


def test_ids_have_their_number_of_bits_and_are_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    long, short = RandomIds(), ShortIds()
    traces = [max(made.generate_trace_id() for _ in range(100)).bit_length() for made in (long, short)]
    assert 120 < traces[0] <= 128
    assert 56 < traces[1] <= 64
    assert 56 < max(long.generate_span_id() for _ in range(100)).bit_length() <= 64
    assert (long.is_trace_id_random(), RandomIds(False).is_trace_id_random()) == (True, False)
    assert ShortIds(True).is_trace_id_random() is False
    monkeypatch.setattr(RandomIds, "fast_ids", (lambda: 0, lambda: 0))
    assert (long.generate_trace_id(), long.generate_span_id()) == (1, 1)


def test_ids_are_not_of_the_programs_own_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(1)
    before = random.getstate()
    first = RandomIds().generate_trace_id()
    assert random.getstate() == before
    random.seed(1)
    assert RandomIds().generate_trace_id() != first
    assert 0 <= ids.fraction() < 1


def test_a_process_that_forked_without_telling_python_has_ids_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds: list[bytes] = []

    def urandom(size: int) -> bytes:
        seeds.append(bytes([len(seeds)]) * size)
        return seeds[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    monkeypatch.setitem(sys.modules, "uwsgi", types.ModuleType("uwsgi"))
    bits = runpy.run_path(ids.__file__)["bits"]
    assert bits(8) < 256
    assert len(seeds) == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)
    made = [bits(64), bits(64)]
    assert len(seeds) == 2
    seeded = random.Random(seeds[1])
    assert made == [seeded.getrandbits(64), seeded.getrandbits(64)]


FORKING = """
import os
from ot_bridge.ids import bits_64
read, write = os.pipe()
if not os.fork():
    os.write(write, str(bits_64()).encode())
    os._exit(0)
os.wait()
print(os.read(read, 99).decode(), bits_64())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    of_child, of_parent = run(FORKING).stdout.split()
    assert of_child != of_parent


@pytest.mark.parametrize("server", ["uwsgi", "another"])
def test_in_uwsgi_which_forks_without_telling_python_each_id_asks_for_the_process(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, server, sys)
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: None)
    spec: Any = importlib.util.spec_from_file_location("ids_of_a_server", ids.__file__)
    copied: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copied)
    state = copied._random.getstate()
    before = copied.bits_64()
    copied._random.setstate(state)
    copied._process = -1  # as in a forked child
    assert (copied.bits_64() != before) is (server == "uwsgi")


def test_the_names_of_an_rpcs_status_in_the_order_in_which_they_are_read() -> None:
    assert (
        *("rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "grpc.status_code"),
    ) == rpc_status.READ
    assert (rpc_status.NAME, rpc_status.NUMBER) == ("rpc.status_code", "rpc.grpc.status_code")


def _globals() -> tuple[Any, ...]:
    return (
        opentracing.tracer,
        opentracing.is_tracer_registered,
        propagate.get_global_textmap(),
        otel.held_provider(),
    )


@pytest.fixture
def _no_provider() -> Any:
    before = otel.provider_slot()
    otel.hold_provider(None)
    yield
    otel.hold_provider(*before)


@pytest.mark.usefixtures("_no_provider")
def test_the_globals_are_set_and_given_back() -> None:
    before = _globals()
    tracer, textmap = opentracing.Tracer(), TraceContextTextMapPropagator()
    provider = TracerProvider(shutdown_on_exit=False)
    registered = Registered(tracer, textmap, provider)
    assert _globals() == (tracer, True, textmap, provider)
    assert global_provider() is provider
    registered.take_back()
    assert _globals() == before
    assert global_provider() is None


@pytest.mark.usefixtures("_no_provider")
def test_what_others_have_set_since_then_stays() -> None:
    before = propagate.get_global_textmap()
    registered = Registered(
        opentracing.Tracer(), TraceContextTextMapPropagator(), TracerProvider(shutdown_on_exit=False)
    )
    theirs = opentracing.Tracer(), TraceContextTextMapPropagator(), TracerProvider(shutdown_on_exit=False)
    opentracing.set_global_tracer(theirs[0])
    propagate.set_global_textmap(theirs[1])
    otel.hold_provider(theirs[2])
    registered.take_back()
    assert _globals() == (theirs[0], True, theirs[1], theirs[2])
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("_no_provider")
def test_without_a_propagator_and_a_provider_only_the_tracer_is_set() -> None:
    before = _globals()
    registered = Registered(tracer := opentracing.Tracer())
    assert _globals() == (tracer, True, *before[2:])
    registered.take_back()
    assert _globals() == before


@pytest.mark.usefixtures("_no_provider")
@pytest.mark.parametrize("empty", [trace.NoOpTracerProvider, trace.ProxyTracerProvider])
def test_a_provider_that_does_nothing_counts_as_none_and_is_replaced(empty: type[Any]) -> None:
    trace.set_tracer_provider(empty())
    assert global_provider() is None
    set_global_provider(provider := TracerProvider(shutdown_on_exit=False))
    assert trace.get_tracer_provider() is provider


@pytest.mark.usefixtures("_no_provider")
def test_a_provider_that_is_global_stays_and_opentelemetry_says_so(caplog: pytest.LogCaptureFixture) -> None:
    first, *others = (TracerProvider(shutdown_on_exit=False) for _ in range(3))
    set_global_provider(first)
    for set_provider, other in zip((set_global_provider, trace.set_tracer_provider), others, strict=True):
        set_provider(other)
        assert trace.get_tracer_provider() is first
    assert caplog.messages == ["Overriding of current TracerProvider is not allowed"] * 2


def test_the_packages_that_are_redirected() -> None:
    assert redirect.REDIRECTED == {
        "jaeger_client": "ot_bridge.jaeger_client",
        "grpc_opentracing": "ot_bridge.grpc_opentracing",
    }
    finder = redirect.Finder()
    assert finder.find_spec("jaeger") is None
    assert finder.find_spec("opentracing") is None
    found = finder.find_spec("jaeger_client")
    assert found is not None
    assert found.name == "jaeger_client"
    assert found.submodule_search_locations
    assert str(found.origin).endswith("ot_bridge/jaeger_client/__init__.py".replace("/", os.sep))


def test_without_ot_bridge_nothing_is_redirected_and_that_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    finder = redirect.Finder()
    assert [finder.find_spec("jaeger_client") for _ in range(2)] == [None, None]
    assert caplog.messages == [
        f"jaeger_client is not redirected: ot_bridge is not installed in {sys.executable}"
    ]


PARTS_OF_JAEGER = {"config": False, "thrift_gen": True, "thrift_gen.jaeger": False}


@pytest.mark.parametrize("part", PARTS_OF_JAEGER)
def test_a_part_of_a_package_is_redirected_if_the_package_is(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours, finder = importlib.import_module("ot_bridge.jaeger_client"), redirect.Finder()
    monkeypatch.setitem(sys.modules, "jaeger_client", ours)
    found = finder.find_spec(f"jaeger_client.{part}")
    assert found is not None
    assert (found.name, bool(found.submodule_search_locations)) == (
        f"jaeger_client.{part}",
        PARTS_OF_JAEGER[part],
    )
    monkeypatch.setitem(sys.modules, "jaeger_client", pytest)
    assert finder.find_spec(f"jaeger_client.{part}") is None
    assert caplog.messages == []


def test_a_part_that_ot_bridge_lacks_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "jaeger_client", importlib.import_module("ot_bridge.jaeger_client"))
    finder = redirect.Finder()
    assert [finder.find_spec("jaeger_client.nope") for _ in range(2)] == [None, None]
    assert caplog.messages == [
        "jaeger_client.nope is not among the parts of jaeger_client that ot_bridge stands in for"
    ]


def test_redirection_begins_once_says_what_came_too_early_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = importlib.import_module("ot_bridge.jaeger_client.config")
    real = type(sys)("grpc_opentracing")
    before = [*sys.meta_path]
    monkeypatch.setattr(sys, "meta_path", [*before])
    monkeypatch.setitem(sys.modules, "jaeger_client.config", ours)
    monkeypatch.setitem(sys.modules, "grpc_opentracing", real)
    monkeypatch.delitem(sys.modules, "jaeger_client", raising=False)
    assert [redirect.redirect(), redirect.redirect()] == [["jaeger_client", "grpc_opentracing"]] * 2
    assert [type(each) for each in sys.meta_path] == [redirect.Finder, *map(type, before)]
    assert caplog.messages == ["imported before redirect(), therefore not redirected: grpc_opentracing"]
    redirect.undo()
    assert sys.meta_path == before
    assert "jaeger_client.config" not in sys.modules
    assert sys.modules["grpc_opentracing"] is real
    assert sys.modules["ot_bridge.jaeger_client.config"] is ours


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 78, "h: bad: '" + "x" * 78 + "'"),
        ("x" * 79, "h: bad: '" + "x" * 76 + "..."),
        ("é", r"h: bad: '\xe9'"),
        (b"\xff", r"h: bad: b'\xff'"),
        (5, "h: bad: 5"),
        (Unprintable(), "h: bad: <unprintable Unprintable>"),
    ],
    ids=["80 characters", "81 characters", "a letter", "bytes", "a number", "none"],
)
def test_a_bad_header_shows_its_value_within_eighty_characters(value: object, shown: str) -> None:
    error = BadHeader("h", value, "bad", 3)
    assert str(error) == shown
    assert repr(error) == f"BadHeader({shown!r})"
    assert (error.header, error.value, error.reason, error.position) == ("h", value, "bad", 3)
    assert BadHeader("h", value, "bad").position is None


def test_a_configuration_error_shows_the_option_and_the_value() -> None:
    error = ConfigurationError("sampler", "é" + "x" * 100, "expected another")
    assert str(error) == "sampler='\\xe9" + "x" * 79 + "': expected another"
    assert isinstance(error, (OTBridgeError, ValueError))


ERRORS: dict[str, OTBridgeError] = {
    "a header": BadHeader("h", "v", "bad", 3),
    "a header, by names": BadHeader(header="h", value=b"v", reason="bad", position=3),
    "an option": ConfigurationError("sampler", 3, "expected another"),
    "an option, by names": ConfigurationError(option="sampler", value=3, reason="expected another"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_can_be_sent_to_another_process(name: str) -> None:
    error = ERRORS[name]
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))
    assert str(again) == str(error)


#: Public name -> where it is made.
PUBLIC = {
    "Scope": "ot_bridge.bridge",
    "ScopeManager": "ot_bridge.bridge",
    "Span": "ot_bridge.bridge",
    "SpanContext": "ot_bridge.bridge",
    "Tracer": "ot_bridge.bridge",
    "TracingMiddleware": "ot_bridge.wsgi",
    "create_tracer": "ot_bridge.bridge",
    "install": "ot_bridge.installation",
    "trace_wsgi": "ot_bridge.wsgi",
    "uninstall": "ot_bridge.installation",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_found_and_listed_before_it_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(vars(ot_bridge), name, raising=False)
    assert name in dir(ot_bridge)
    assert name not in vars(ot_bridge)
    found = getattr(ot_bridge, name)
    assert found is getattr(importlib.import_module(PUBLIC[name]), name)
    assert vars(ot_bridge)[name] is found


def test_the_public_names_are_these_and_no_other_is_found() -> None:
    assert sorted(ot_bridge.__all__) == sorted([*PUBLIC, "__version__"])
    with pytest.raises(AttributeError, match="module 'ot_bridge' has no attribute 'Trcer'"):
        _ = ot_bridge.Trcer
