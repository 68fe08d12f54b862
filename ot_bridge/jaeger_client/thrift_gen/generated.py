"""Makes the modules that Thrift's compiler generates for jaeger-client, from one table.

Structures and enumerations are plain values. The services cannot work without Thrift: their names can be
imported, and raise NotImplementedError when they are used. jaeger-client 4.8 has five modules a package:
`ttypes` with the structures, `constants` and the service (which repeat these names), and the package itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import make_dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, NamedTuple, NoReturn


class Package(NamedTuple):
    """service: its module. calls: of the service's methods, as Thrift names their argument classes.

    enums: name -> members, counted from 0. structs: name -> fields, in the order of the arguments.
    """

    service: str
    calls: str
    enums: Mapping[str, str] = {}
    structs: Mapping[str, str] = {}
    constants: str = ""


PACKAGES: Final[Mapping[str, Package]] = {
    "agent": Package("Agent", "emitZipkinBatch_args emitBatch_args"),
    "jaeger": Package(
        "Collector",
        "submitBatches_args submitBatches_result",
        {"TagType": "STRING DOUBLE BOOL LONG BINARY", "SpanRefType": "CHILD_OF FOLLOWS_FROM"},
        {
            "Tag": "key vType vStr vDouble vBool vLong vBinary",
            "Log": "timestamp fields",
            "SpanRef": "refType traceIdLow traceIdHigh spanId",
            "Span": "traceIdLow traceIdHigh spanId parentSpanId operationName references flags startTime"
            " duration tags logs",
            "Process": "serviceName tags",
            "Batch": "process spans",
            "BatchSubmitResponse": "ok",
        },
    ),
    "sampling": Package(
        "SamplingManager",
        "getSamplingStrategy_args getSamplingStrategy_result",
        {"SamplingStrategyType": "PROBABILISTIC RATE_LIMITING"},
        {
            "ProbabilisticSamplingStrategy": "samplingRate",
            "RateLimitingSamplingStrategy": "maxTracesPerSecond",
            "OperationSamplingStrategy": "operation probabilisticSampling",
            "PerOperationSamplingStrategies": "defaultSamplingProbability defaultLowerBoundTracesPerSecond"
            " perOperationStrategies defaultUpperBoundTracesPerSecond",
            "SamplingStrategyResponse": "strategyType probabilisticSampling rateLimitingSampling"
            " operationSampling",
        },
    ),
    "zipkincore": Package(
        "ZipkinCollector",
        "submitZipkinBatch_args submitZipkinBatch_result",
        {"AnnotationType": "BOOL BYTES I16 I32 I64 DOUBLE STRING"},
        {
            "Endpoint": "ipv4 port service_name ipv6",
            "Annotation": "timestamp value host",
            "BinaryAnnotation": "key value annotation_type host",
            "Span": "trace_id name id parent_id annotations binary_annotations debug timestamp duration"
            " trace_id_high",
            "Response": "ok",
        },
        "CLIENT_SEND=cs CLIENT_RECV=cr SERVER_SEND=ss SERVER_RECV=sr MESSAGE_SEND=ms"
        " MESSAGE_RECV=mr WIRE_SEND=ws WIRE_RECV=wr CLIENT_SEND_FRAGMENT=csf"
        " CLIENT_RECV_FRAGMENT=crf SERVER_SEND_FRAGMENT=ssf SERVER_RECV_FRAGMENT=srf"
        " LOCAL_COMPONENT=lc CLIENT_ADDR=ca SERVER_ADDR=sa MESSAGE_ADDR=ma",
    ),
}
_DEFAULTS: Final[Mapping[str, Any]] = {"debug": False}  # of a field; None for every other one


class Value:
    """Base of all structures: a field is None unless given, and two are equal if all their fields are."""

    def read(self, iprot: Any) -> NoReturn:
        raise needs_thrift(f"{type(self).__name__}.read")

    def write(self, oprot: Any) -> NoReturn:
        raise needs_thrift(f"{type(self).__name__}.write")

    def validate(self) -> None:
        """Does nothing: these values are not sent, so no field is required."""


def needs_thrift(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"{name} speaks Thrift, and ot_bridge sends OTLP: take the real jaeger-client for it"
    )


def _refuse(self: object, *args: Any, **kwargs: Any) -> NoReturn:
    raise needs_thrift(type(self).__name__)


def _struct(name: str, fields: str) -> type:
    listed = [(field, Any, _DEFAULTS.get(field)) for field in fields.split()]
    return make_dataclass(name, listed, bases=(Value,), unsafe_hash=True)


def _enum(name: str, members: str) -> type:
    """An enumeration as Thrift's compiler makes it: integers, and two tables that translate names."""
    numbers = {each: number for number, each in enumerate(members.split())}
    names = {number: each for each, number in numbers.items()}
    return type(name, (), {**numbers, "_NAMES_TO_VALUES": numbers, "_VALUES_TO_NAMES": names})


def _constants(listed: str) -> dict[str, str]:
    return dict(each.split("=") for each in listed.split())


def _module(path: str, names: Mapping[str, Any], of_package: bool = False) -> ModuleType:
    module = sys.modules[path] = ModuleType(path, "Made from the table in `generated`.")
    module.__spec__ = ModuleSpec(path, None, is_package=of_package)
    if of_package:
        module.__path__ = []
    vars(module).update(names)
    return module


def modules(parent: str) -> dict[str, ModuleType]:
    """Makes the packages of `PACKAGES` importable below `parent`, and returns them by name."""
    made = {}
    for name, package in PACKAGES.items():
        path = f"{parent}.{name}"
        types = {each: _enum(each, members) for each, members in package.enums.items()}
        types.update((each, _struct(each, fields)) for each, fields in package.structs.items())
        for each in types.values():
            each.__module__ = f"{path}.ttypes"
        calls = ("Iface", "Client", "Processor", *package.calls.split())
        service = {each: type(each, (), {"__init__": _refuse}) for each in calls}
        parts = {
            "ttypes": _module(f"{path}.ttypes", types),
            "constants": _module(f"{path}.constants", {**types, **_constants(package.constants)}),
            package.service: _module(f"{path}.{package.service}", {**types, **service}),
        }
        made[name] = _module(path, parts, of_package=True)
    return made
