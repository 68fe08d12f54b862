"""The entry points, each loaded as pytest and OpenTelemetry load it: in a process that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest

from ot_bridge.propagation import Propagator
from ot_bridge.wire import DEFAULT, FORMATS, Format

ENTRIES = sorted(distribution("ot-bridge").entry_points)
PROPAGATORS = [entry.name for entry in ENTRIES if entry.group == "opentelemetry_propagator"]
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))


def run(*command: str, **variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error::RuntimeWarning", **variables}
    done = subprocess.run([*command], env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("entry", ENTRIES, ids=[f"{entry.group}-{entry.name}" for entry in ENTRIES])
def test_an_entry_point_loads_before_all_else(entry: EntryPoint) -> None:
    program = (
        "from importlib.metadata import EntryPoint\n"
        f"found = EntryPoint({entry.name!r}, {entry.value!r}, {entry.group!r}).load()\n"
        "print(callable(found) or found.__name__)"
    )
    assert run(sys.executable, "-c", program) in ("True", "ot_bridge.pytest_plugin")


def test_every_format_has_an_entry_point_that_gives_its_propagator() -> None:
    found = {entry.name: entry for entry in ENTRIES if entry.group == "opentelemetry_propagator"}
    expected: dict[str, tuple[Format, ...]]
    expected = {f"ot_bridge_{name.replace('-', '_')}": (FORMATS[name],) for name in FORMATS}
    expected["ot_bridge"] = tuple(FORMATS[name] for name in DEFAULT)
    expected |= {name: (FORMATS[name],) for name in ("b3", "b3multi", "jaeger", "ottrace", "xray")}
    made = {name: entry.load()() for name, entry in found.items()}
    assert {type(each) for each in made.values()} == {Propagator}
    assert {name: each.formats for name, each in made.items()} == expected


GLOBAL = (
    "from opentelemetry import propagate\n"
    "import sys\n"
    "print(*sorted(propagate.get_global_textmap().fields), 'ot_bridge' in sys.modules)"
)


@pytest.mark.parametrize("name", PROPAGATORS)
def test_opentelemetry_takes_our_propagator_while_it_is_half_imported(name: str) -> None:
    entry = next(each for each in ENTRIES if (each.group, each.name) == ("opentelemetry_propagator", name))
    fields = sorted(entry.load()().fields)
    assert run(sys.executable, "-c", GLOBAL, OTEL_PROPAGATORS=name).split() == [*fields, "True"]


@pytest.mark.parametrize("name", PROPAGATORS)
def test_opentelemetry_instrument_takes_our_propagator(name: str) -> None:
    entry = next(each for each in ENTRIES if (each.group, each.name) == ("opentelemetry_propagator", name))
    fields = sorted(entry.load()().fields)
    quiet = dict.fromkeys(("TRACES", "METRICS", "LOGS"), "none")
    variables = {f"OTEL_{signal}_EXPORTER": value for signal, value in quiet.items()}
    output = run(INSTRUMENT, sys.executable, "-c", GLOBAL, OTEL_PROPAGATORS=name, **variables)
    assert output.split() == [*fields, "True"]


def test_pytest_imports_no_opentelemetry_before_a_test_asks_for_it(tmp_path: Path) -> None:
    test = tmp_path / "test_any.py"
    test.write_text(
        "import sys\n"
        "def test_without_tracing():\n"
        "    assert 'ot_bridge.pytest_plugin' in sys.modules\n"
        "    assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'opentracing'))]\n"
        "def test_with_tracing(ot_tracer):\n"
        "    ot_tracer.start_span('op').finish()\n"
        "    assert len(ot_tracer.finished_spans()) == 1\n"
    )
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--rootdir={tmp_path}")
    assert "2 passed" in run(sys.executable, "-m", "pytest", *options, str(test))
