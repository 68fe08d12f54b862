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
#: A process for each module: what an import in a bare or half-imported process may miss is the module's.
MODULES = {
    module: [entry for entry in ENTRIES if entry.module == module]
    for module in sorted({entry.module for entry in ENTRIES})
}
PROPAGATORS = {
    module: names
    for module, entries in MODULES.items()
    if (names := [entry.name for entry in entries if entry.group == "opentelemetry_propagator"])
}
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))


def run(*command: str, **variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error::RuntimeWarning", **variables}
    done = subprocess.run([*command], env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("entries", MODULES.values(), ids=MODULES)
def test_an_entry_point_can_be_the_first_import(entries: list[EntryPoint]) -> None:
    program = (
        "from importlib.metadata import EntryPoint\n"
        f"for entry in {[(entry.name, entry.value, entry.group) for entry in entries]!r}:\n"
        "    found = EntryPoint(*entry).load()\n"
        "    print(callable(found) or found.__name__)"
    )
    found = run(sys.executable, "-c", program).split()
    assert len(found) == len(entries)
    assert {*found} <= {"True", "ot_bridge.pytest_plugin"}


def test_every_format_has_an_entry_point_that_gives_its_propagator() -> None:
    found = {entry.name: entry for entry in ENTRIES if entry.group == "opentelemetry_propagator"}
    expected: dict[str, tuple[Format, ...]]
    expected = {f"ot_bridge_{name.replace('-', '_')}": (FORMATS[name],) for name in FORMATS}
    expected["ot_bridge"] = tuple(FORMATS[name] for name in DEFAULT)
    expected |= {name: (FORMATS[name],) for name in ("b3", "b3multi", "jaeger", "ottrace", "xray")}
    missing = [name for name in expected if name not in found]
    assert missing == [], "these are missing in pyproject.toml, or have not been installed since"
    made = {name: entry.load()() for name, entry in found.items()}
    assert {type(each) for each in made.values()} == {Propagator}
    assert {name: each.formats for name, each in made.items()} == expected


def test_the_tables_of_entry_points_are_not_empty() -> None:
    assert len(ENTRIES) > 25
    assert len(MODULES) > 8
    assert len(PROPAGATORS) == 2


GLOBAL = (
    "from opentelemetry import propagate\n"
    "import sys\n"
    "print(*sorted(propagate.get_global_textmap().fields), 'ot_bridge' in sys.modules)"
)


def fields(names: list[str]) -> list[str]:
    made = [entry.load()() for entry in ENTRIES if entry.name in names and "propagator" in entry.group]
    return sorted({field for each in made for field in each.fields})


@pytest.mark.parametrize("names", PROPAGATORS.values(), ids=PROPAGATORS)
def test_opentelemetry_can_load_our_propagators_during_its_own_import(names: list[str]) -> None:
    found = run(sys.executable, "-c", GLOBAL, OTEL_PROPAGATORS=",".join(names))
    assert found.split() == [*fields(names), "True"]


@pytest.mark.parametrize("names", PROPAGATORS.values(), ids=PROPAGATORS)
def test_opentelemetry_instrument_takes_our_propagators(names: list[str]) -> None:
    no_exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    found = run(INSTRUMENT, sys.executable, "-c", GLOBAL, OTEL_PROPAGATORS=",".join(names), **no_exporters)
    assert found.split() == [*fields(names), "True"]


def test_pytest_does_not_import_opentelemetry_before_a_test_needs_it(tmp_path: Path) -> None:
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
