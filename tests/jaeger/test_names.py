"""Row "modules": the same paths, the same public names, the same arguments with the same defaults."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from jaeger_client import constants

MODULES = [
    "",
    ".codecs",
    ".config",
    ".constants",
    ".local_agent_net",
    ".metrics",
    ".metrics.metrics",
    ".metrics.prometheus",
    ".rate_limiter",
    ".reporter",
    ".sampler",
    ".span",
    ".span_context",
    ".throttler",
    ".tracer",
    ".utils",
]

#: Jaeger's own plumbing: nothing that a program could use without Thrift and Tornado.
INTERNAL = {
    ".local_agent_net": {"LocalAgentHTTP"},
    ".reporter": {"ReporterMetrics"},
    ".sampler": {"SamplerMetrics", "get_rate_limit", "get_sampling_probability"},
    ".throttler": {"ThrottlerMetrics"},
    ".tracer": {"TracerMetrics"},
    ".utils": {"get_local_ip_by_interfaces", "get_local_ip_by_socket", "interface_ip"},
}
#: Members that were never for others.
MEMBERS = {
    "update_lock",
    "readFrame",
    "request_sampling_strategy",
    "request_throttling_credits",
    "getProtocol",
}


def _pair(module: str) -> tuple[ModuleType, ModuleType]:
    return importlib.import_module(f"jaeger_client{module}"), importlib.import_module(
        f"ot_bridge.jaeger_client{module}"
    )


def _own(module: ModuleType) -> Iterator[str]:
    """What a module itself defines: classes, functions, and constants."""
    for name, value in vars(module).items():
        if name.startswith("_") or inspect.ismodule(value):
            continue
        if hasattr(constants, name) and module is not constants:
            continue
        home = getattr(value, "__module__", None)
        if home == module.__name__ or (home is None and not name.endswith(("_STR", "_STRATEGY"))):
            yield name


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_there(module: str) -> None:
    real, ours = _pair(module)
    assert {name for name in _own(real) if not hasattr(ours, name)} == INTERNAL.get(module, set())


def _signatures(module: str) -> Iterator[tuple[str, Any, Any]]:
    real, ours = _pair(module)
    for name in _own(real):
        theirs, mine = getattr(real, name), getattr(ours, name, None)
        if mine is None or not callable(theirs):
            continue
        yield name, theirs, mine
        if inspect.isclass(theirs):
            for member, value in vars(theirs).items():
                if callable(value) and not member.startswith("_") and member not in MEMBERS:
                    yield f"{name}.{member}", value, getattr(mine, member)


@pytest.mark.parametrize("module", MODULES)
def test_every_argument_is_there_in_its_place_with_its_default(module: str) -> None:
    for name, theirs, mine in _signatures(module):
        expected = [
            each for each in inspect.signature(theirs).parameters.values() if each.kind < each.VAR_POSITIONAL
        ]
        got = [
            each for each in inspect.signature(mine).parameters.values() if each.kind < each.VAR_POSITIONAL
        ]
        assert [each.name for each in got[: len(expected)]] == [each.name for each in expected], name
        for one, other in zip(expected, got, strict=False):
            if one.default is not one.empty:
                assert other.default == one.default, f"{name}: {one.name}"
        assert all(each.default is not each.empty for each in got[len(expected) :]), name


def test_the_version_is_that_of_the_names() -> None:
    real, ours = _pair("")
    assert ours.__version__ == real.__version__


@pytest.mark.parametrize("name", [name for name in dir(_pair(".constants")[0]) if name.isupper()])
def test_every_constant_has_its_value(name: str) -> None:
    real, ours = _pair(".constants")
    if name != "JAEGER_CLIENT_VERSION":
        assert getattr(ours, name) == getattr(real, name)
