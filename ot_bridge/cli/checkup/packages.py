"""K6, K7: packages that are missing, broken or incompatible."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from importlib import import_module
from importlib.metadata import Distribution, distributions
from typing import Final, NamedTuple

from ot_bridge.cli.checkup.model import LOOK, WRONG, Finding
from ot_bridge.exporters import protocol

_REQUIREMENT: Final = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;(.*))?")
_CLAUSE: Final = re.compile(r"(==|>=|<=|!=|~=|<|>)\s*([\w.*]+)")
_GROUPS: Final = (
    "opentelemetry_traces_exporter",
    "opentelemetry_propagator",
    "opentelemetry_traces_sampler",
    "opentelemetry_id_generator",
)
#: A package and a requirement of it that is not needed. (OpenTelemetry withdraws its shims.)
_NOT_NEEDED: Final = ("ot-bridge", "opentelemetry-opentracing-shim")
_GENERATED: Final = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"


class _Package(NamedTuple):
    files: Distribution
    fields: Message

    @property
    def name(self) -> str:
        return str(self.fields["Name"] or "")

    @property
    def version(self) -> str:
        return str(self.fields["Version"] or "")


def findings() -> Iterator[Finding]:
    """The findings about the packages of OpenTelemetry and ot_bridge."""
    packages = [_Package(one, _fields(one)) for one in distributions()]
    # Of two packages with the same name, the first on sys.path is imported.
    versions = {_normal(each.name): each.version for each in reversed(packages)}
    for each in packages:
        if each.name.startswith(("opentelemetry-", "ot-bridge")):
            yield from _requirements(each, versions)
    yield from _generated()
    yield from _twice(packages)


def _fields(one: Distribution) -> Message:
    """A package's metadata without its description, which is as long as a book and takes as long to read."""
    text = one.read_text("METADATA") or one.read_text("PKG-INFO") or ""
    return HeaderParser().parsestr(text.partition("\n\n")[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(package: _Package, versions: Mapping[str, str]) -> Iterator[Finding]:
    name = package.name
    for line in package.fields.get_all("Requires-Dist") or package.files.requires or ():
        match = _REQUIREMENT.match(line)
        if match is None or "extra" in (match[3] or "") or "python_version" in (match[3] or ""):
            continue
        installed = versions.get(_normal(match[1]))
        if installed is None:
            if (name, match[1]) == _NOT_NEEDED:
                continue
            yield Finding(
                WRONG, "package", f"{name} needs {match[1]}, which is not installed", _pip(match[1])
            )
            continue
        if not all(fits(installed, operator, wanted) for operator, wanted in _CLAUSE.findall(match[2])):
            wanted = match[2].strip()
            text = f"{name} {package.version} needs {match[1]} {wanted}, and {installed} is installed"
            yield Finding(WRONG, "package", text, f"pip install '{match[1]}{wanted}'")


def _pip(name: str) -> str:
    return f"pip install {name}"


def _numbers(text: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in re.findall(r"\d+", text.partition("b")[0].partition("rc")[0]))
    return (*parts, 0, 0, 0)[:4]


def fits(installed: str, operator: str, wanted: str) -> bool:
    """Whether the installed version is one that `operator` and `wanted` (as `>=`, `1.2`) allow."""
    if operator in ("==", "~=", "!="):
        if operator == "==" and not wanted.endswith("*"):
            return installed == wanted or (_numbers(installed) == _numbers(wanted) and "b" not in wanted)
        return True  # other markers are rare, and pip has evaluated them
    one, other = _numbers(installed), _numbers(wanted)
    return {">=": one >= other, "<=": one <= other, "<": one < other, ">": one > other}[operator]


def _generated() -> Iterator[Finding]:
    """Reports generated code that is newer than the installed protobuf supports."""
    try:
        import_module(_GENERATED)
    except ImportError:
        return  # not installed, and not needed here
    except Exception as error:
        needed = protocol() == "grpc"
        yield Finding(
            WRONG if needed else LOOK,
            "package",
            "opentelemetry-proto and the installed protobuf are incompatible"
            f" ({type(error).__name__}: {' '.join(str(error).split())[:120]})",
            "pip install 'ot-bridge[otlp-json]' and OTEL_EXPORTER_OTLP_PROTOCOL=http/json, or http/protobuf,"
            " which needs no protobuf",
        )


def _twice(packages: list[_Package]) -> Iterator[Finding]:
    """Reports names that two packages provide. The order of sys.path decides which one is used."""
    serving: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in packages:
        for entry in each.files.entry_points:
            if entry.group in _GROUPS:
                serving[entry.group, entry.name].add(each.name or "?")
    for (group, name), providers in sorted(serving.items()):
        if len(providers - {"ot-bridge"}) > 1:
            text = f"{name} ({group}) is provided by {' and '.join(sorted(providers))}"
            yield Finding(LOOK, "package", text, f"pip uninstall {sorted(providers)[-1]}")
