"""Parsing the `propagators` setting."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import Propagator, parse_propagators
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


@pytest.mark.parametrize("name", ["ot_bridge_xray", "xray"])
def test_the_names_of_our_entry_points_mean_our_formats(name: str) -> None:
    assert names(parse_propagators(f"{name},b3")) == ["xray", "b3"]
    assert names(parse_propagators("ot_bridge,b3")) == [*DEFAULT, "b3"]


def test_a_name_of_another_package_is_found_among_its_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = EntryPoint("theirs", f"{W3CBaggagePropagator.__module__}:{W3CBaggagePropagator.__name__}", "")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda **selected: [foreign] * (selected.get("name") == "theirs")
    )
    assert isinstance(parse_propagators("theirs"), W3CBaggagePropagator)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigurationError, match=r"propagators='b4': known are tracecontext, .*none.*ot_bridge_b3"
    ):
        parse_propagators("tracecontext,b4")


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
    with pytest.raises(ConfigurationError, match="known are tracecontext"):
        parse_propagators("theirs")


def test_an_object_that_is_not_a_propagator_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="expected names, formats or propagators"):
        parse_propagators(["jaeger", 7])  # type: ignore[list-item]
