"""Parsing the `propagators` setting."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import Propagator, get_remote, parse_propagators
from ot_bridge.propagation.parse import EnvironmentPropagator
from ot_bridge.wire import DEFAULT, FORMATS, Remote
from tests.ids import param_id

B3 = FORMATS["b3"]


def names(propagator: Any) -> list[str]:
    assert isinstance(propagator, Propagator)
    return [format.name for format in propagator.formats]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("b3", ["b3"]),
        ("tracecontext,baggage,b3", ["tracecontext", "baggage", "b3"]),
        (" tracecontext , baggage ,", ["tracecontext", "baggage"]),
        (["jaeger", "b3"], ["jaeger", "b3"]),
        (["jaeger", B3], ["jaeger", "b3"]),
        (["jaeger,xray", "b3"], ["jaeger", "xray", "b3"]),
        (B3, ["b3"]),
        ("none", []),
        ("tracecontext,none", []),
        ([], []),
        ("", []),
        (",".join(FORMATS), list(FORMATS)),
    ],
    ids=param_id,
)
def test_names_and_formats_become_one_propagator(spec: Any, expected: list[str]) -> None:
    assert names(parse_propagators(spec)) == expected


def test_the_default_is_tracecontext_baggage_and_jaeger() -> None:
    assert names(parse_propagators()) == list(DEFAULT) == ["tracecontext", "baggage", "jaeger"]
    assert names(Propagator()) == list(DEFAULT)


def test_a_propagator_is_taken_as_it_is() -> None:
    ours, foreign = Propagator(["b3"]), TraceContextTextMapPropagator()
    assert parse_propagators(ours) is ours
    assert parse_propagators(foreign) is foreign
    assert parse_propagators([foreign]) is foreign


def test_a_foreign_propagator_among_ours_makes_a_composite_in_the_given_order() -> None:
    foreign = W3CBaggagePropagator()
    composite = parse_propagators(["jaeger", "b3", foreign, "xray"])
    assert isinstance(composite, CompositePropagator)
    assert composite.fields >= {"uber-trace-id", "b3", "baggage", "X-Amzn-Trace-Id"}
    headers: dict[str, str] = {}
    composite.inject(headers, composite.extract({"b3": f"{1:032x}-{2:016x}-1", "baggage": "k=v"}))
    assert headers == {
        "uber-trace-id": "1:2:0:1",
        "uberctx-k": "v",
        "b3": f"{1:016x}-{2:016x}-1",
        "baggage": "k=v",
        "X-Amzn-Trace-Id": f"Root=1-00000000-{1:024x};Parent={2:016x};Sampled=1",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_the_names_of_our_entry_points_mean_our_formats(name: str) -> None:
    entry = f"ot_bridge_{name.replace('-', '_')}"
    assert names(parse_propagators(f"{name},b3")) == names(parse_propagators(f"{entry},b3")) == [name, "b3"]
    assert names(parse_propagators("ot_bridge,b3")) == [*DEFAULT, "b3"]


def test_a_name_of_another_package_is_found_among_its_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = EntryPoint("theirs", f"{W3CBaggagePropagator.__module__}:{W3CBaggagePropagator.__name__}", "")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda **selected: [foreign] * (selected.get("name") == "theirs")
    )
    assert isinstance(parse_propagators("theirs"), W3CBaggagePropagator)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"propagators='b4': expected one of tracecontext, .*none.*ot_bridge_b3"
    ):
        parse_propagators("tracecontext,b4")


ENVIRONMENT: dict[str, tuple[str | None, list[str], str]] = {
    "unset": (None, ["tracecontext", "baggage"], ""),
    "empty": ("", ["tracecontext", "baggage"], ""),
    "one": ("jaeger", ["jaeger"], ""),
    "two": (" b3 , ot_bridge_xray", ["b3", "xray"], ""),
    "none": ("none", [], ""),
    "one that is unknown": ("b3,b4", ["b3"], "b4"),
    "only an unknown one": ("b4", ["tracecontext", "baggage"], "b4"),
}


@pytest.mark.parametrize(("value", "expected", "logged"), ENVIRONMENT.values(), ids=ENVIRONMENT)
def test_the_propagator_of_the_environment_reads_and_writes_what_the_variable_names(
    value: str | None,
    expected: list[str],
    logged: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if value is None:
        monkeypatch.delenv("OTEL_PROPAGATORS", raising=False)
    else:
        monkeypatch.setenv("OTEL_PROPAGATORS", value)
    found = EnvironmentPropagator()
    wanted = Propagator(expected)
    assert found.fields == wanted.fields
    carrier = {
        "traceparent": f"00-{1:032x}-{2:016x}-01",
        "baggage": "k=v",
        "b3": "3-4-1",
        "uber-trace-id": "5:6:0:1",
    }
    context = found.extract(carrier, Context())
    assert get_remote(context) == get_remote(wanted.extract(carrier, Context()))
    written: list[dict[str, str]] = [{}, {}]
    found.inject(written[0], context)
    wanted.inject(written[1], context)
    assert written[0] == written[1]
    assert [logged in record.message for record in caplog.records] == [True] * bool(logged)
    assert "OTEL_PROPAGATORS" in caplog.text or not logged


@pytest.mark.parametrize("setter", [False, True], ids=["as usual", "another setter"])
def test_the_propagator_of_the_environment_uses_the_getter_and_the_setter_that_it_is_given(
    setter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "jaeger")
    found = EnvironmentPropagator()
    context = found.extract([("uber-trace-id", "1:2:0:1")], Context(), Pairs())
    carrier: Any = [] if setter else {}
    found.inject(carrier, context, *[Pairs()] * setter)
    assert dict(carrier) == {"uber-trace-id": "1:2:0:1"}


class Pairs(Getter[Any], Setter[Any]):
    """Reads and writes lists of pairs."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        return [value for name, value in carrier if name == key] or None

    def keys(self, carrier: Any) -> list[str]:
        return [name for name, _ in carrier]

    def set(self, carrier: Any, key: str, value: str) -> None:
        carrier.append((key, value))


PLAIN_OTEL = """
from opentelemetry import propagate
context = propagate.extract({"Uber-Trace-Id": "1:2:0:1"})
headers = {}
propagate.inject(headers, context)
print(sorted(headers.items()), sorted(propagate.get_global_textmap().fields))
"""


@pytest.mark.parametrize(
    "first", ["", "import ot_bridge", "import opentelemetry.propagate", "import opentracing"]
)
@pytest.mark.parametrize("given", ["ot_bridge_jaeger,ot_bridge_b3", "jaeger,b3"])
def test_plain_opentelemetry_finds_our_propagators_by_their_names(first: str, given: str) -> None:
    environment = {"OTEL_PROPAGATORS": given, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", f"{first}\n{PLAIN_OTEL}"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    written = [("b3", f"{1:016x}-{2:016x}-1"), ("uber-trace-id", "1:2:0:1")]
    fields = ["b3", "jaeger-baggage", "jaeger-debug-id", "uber-trace-id"]
    assert done.stdout.strip() == f"{written} {fields}"


def test_a_format_can_be_given_by_name_or_as_an_object() -> None:
    carrier = {"b3": "0"}
    assert parse_propagators("b3").fields == parse_propagators(B3).fields == {"b3"}
    assert Propagator(["b3"]).decode(carrier) == Propagator([B3]).decode(carrier) == Remote(sampled=False)


def test_without_entry_points_an_unknown_name_is_still_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **selected: [])
    with pytest.raises(ConfigurationError, match="expected one of tracecontext"):
        parse_propagators("theirs")


def test_an_object_that_is_not_a_propagator_is_a_configuration_error() -> None:
    for spec in (["jaeger", 7], 7):
        with pytest.raises(ConfigurationError, match="expected names, formats or propagators") as refused:
            parse_propagators(spec)  # type: ignore[arg-type]
        assert refused.value.option == "propagators"
