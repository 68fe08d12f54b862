"""Row "modules": the same paths, the same public names, the same arguments with the same defaults.

The real package is walked: whatever it has, ours has, but for what the tables below name.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pickle
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import jaeger_client
import opentracing
import pytest

from tests.cli import programs

PREFIX = len(jaeger_client.__name__)
MODULES = [
    "",
    *(each.name[PREFIX:] for each in pkgutil.walk_packages(jaeger_client.__path__, "jaeger_client.")),
]

#: Whose names count: a module of ours need not have `tornado` or `Optional` because theirs imports it.
_HOMES = ("jaeger_client", "opentracing")
#: Names that are missing, and why.
MISSING = {
    "xrange": "of Python 2",
    "jaeger_client": "the package itself, as Thrift's compiler imports it",
    "fastbinary": "Thrift's",
    "opentracing": "the package itself",
}
#: Members that are missing.
MEMBERS = {
    # Thrift's transport, of which jaeger-client's are subclasses
    *("DEFAULT_BUFFER", "cstringio_buf", "cstringio_refill", "flush", "isOpen", "open", "read", "readAll"),
    *("readFrame", "write", "close", "getProtocol"),
    # Thrift's structures and services
    *("thrift_spec", "validate"),
    # nothing is locked here
    "update_lock",
}
_SERVICES = ("Iface", "Client", "Processor")


@cache
def _pair(module: str) -> tuple[ModuleType, ModuleType]:
    return importlib.import_module(f"jaeger_client{module}"), importlib.import_module(
        f"ot_bridge.jaeger_client{module}"
    )


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module has that is jaeger-client's or OpenTracing's, wherever it was defined."""
    for name, value in vars(module).items():
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        ours = home is None or home.split(".")[0] in _HOMES
        if ours and not name.startswith("_") and name not in MISSING:
            yield name, value


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_exists(module: str) -> None:
    real, ours = _pair(module)
    assert [name for name, _ in _public(real) if not hasattr(ours, name)] == []


def _signatures(module: str) -> Iterator[tuple[str, Any, Any]]:
    real, ours = _pair(module)
    for name, theirs in _public(real):
        mine = getattr(ours, name)
        if not callable(theirs) or name in _SERVICES or name.endswith(("_args", "_result")):
            continue
        if not theirs.__module__.startswith("jaeger_client"):
            continue
        yield name, theirs, mine
        if inspect.isclass(theirs):
            for member, value in vars(theirs).items():
                if callable(value) and not member.startswith("_") and member not in MEMBERS:
                    yield f"{name}.{member}", value, getattr(mine, member)


def test_the_compared_lists_are_not_empty() -> None:
    assert len([name for module in MODULES for name, _ in _public(_pair(module)[0])]) > 150
    assert len([name for module in MODULES for name, _, _ in _signatures(module)]) > 100
    members = {name: theirs for module in MODULES for name, theirs, _ in _members(module)}
    assert len(members) > 50
    assert sum(map(len, members.values())) > 150


@pytest.mark.parametrize("module", MODULES)
def test_every_argument_exists_at_the_same_position_with_the_same_default(module: str) -> None:
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


def _members(module: str) -> Iterator[tuple[str, set[str], Any]]:
    """The classes of a module: the name, jaeger-client's public members, our class."""
    real, ours = _pair(module)
    for name, theirs in _public(real):
        if inspect.isclass(theirs) and name not in _SERVICES and not name.endswith(("_args", "_result")):
            yield (
                name,
                {each for each in dir(theirs) if not each.startswith("_")} - MEMBERS,
                getattr(ours, name),
            )


@pytest.mark.parametrize("module", MODULES)
def test_every_member_of_a_class_exists(module: str) -> None:
    for name, members, ours in _members(module):
        assert {each for each in members if not hasattr(ours, each)} == set(), name


@pytest.mark.parametrize("module", MODULES)
def test_classes_have_the_same_public_bases(module: str) -> None:
    real, ours = _pair(module)
    classes = [name for name, _, _ in _members(module)]
    for name in classes:
        bases = {each for each in classes if issubclass(getattr(real, name), getattr(real, each))}
        assert {each for each in bases if issubclass(getattr(ours, name), getattr(ours, each))} == bases, name


def test_a_star_import_gives_what_jaeger_client_shows_first() -> None:
    real, ours = _pair("")
    classes = {name for name in vars(real) if name[0].isupper() and inspect.isclass(getattr(real, name))}
    assert {name for name in ours.__all__ if name != "__version__"} == classes
    assert len(classes) > 5
    assert [name for name in ours.__all__ if not hasattr(ours, name)] == []


def test_the_version_is_that_of_the_replaced_jaeger_client() -> None:
    real, ours = _pair("")
    assert ours.__version__ == real.__version__


def _constants(module: str) -> list[str]:
    return [name for name, value in _public(_pair(module)[0]) if name.isupper() and not callable(value)]


@pytest.mark.parametrize("module", [each for each in MODULES if _constants(each)])
def test_every_constant_has_its_value(module: str) -> None:
    real, ours = _pair(module)
    for name in _constants(module):
        if name != "JAEGER_CLIENT_VERSION":
            assert getattr(ours, name) == getattr(real, name), name


def test_the_submodules_that_a_program_can_import_exist() -> None:
    assert jaeger_client.thrift_gen.jaeger.ttypes.TagType.LONG == 3
    import ot_bridge.jaeger_client as ours

    assert ours.thrift_gen.jaeger.ttypes.TagType.LONG == 3
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        ours.nope  # noqa: B018


def test_submodules_are_imported_at_their_first_use() -> None:
    names = ("TUDPTransport", "ioloop_util", "rate_limiter", "thrift", "thrift_gen")
    program = "import ot_bridge.jaeger_client as jaeger_client\n"
    program += "".join(f"print(jaeger_client.{name}.__name__)\n" for name in names)
    done = programs.python("-c", program)
    assert done.stdout.split() == [f"ot_bridge.jaeger_client.{name}" for name in names], done.stderr


def test_thrift_value_classes_work_and_functions_that_need_thrift_raise_when_called() -> None:
    from ot_bridge.jaeger_client.TUDPTransport import TUDPTransport

    Agent = importlib.import_module("ot_bridge.jaeger_client.thrift_gen.agent.Agent")
    ttypes = importlib.import_module("ot_bridge.jaeger_client.thrift_gen.jaeger.ttypes")
    Tag, TagType = ttypes.Tag, ttypes.TagType
    real = importlib.import_module("jaeger_client.thrift_gen.jaeger.ttypes")
    tag = Tag("key", TagType.STRING, vStr="value")
    assert repr(tag) == repr(real.Tag("key", real.TagType.STRING, vStr="value"))
    assert tag == Tag(key="key", vType=0, vStr="value")
    assert {tag: 1}[tag] == 1
    assert pickle.loads(pickle.dumps(tag)) == tag
    tag.vStr = "other"
    assert tag != Tag("key", 0, "value")
    assert TagType._VALUES_TO_NAMES == real.TagType._VALUES_TO_NAMES
    for use in (
        lambda: tag.write(None),
        lambda: tag.read(None),
        lambda: Agent.Client(None),
        lambda: TUDPTransport("a", 1),
    ):
        with pytest.raises(NotImplementedError, match="speaks Thrift, and ot_bridge sends OTLP"):
            use()


def test_the_thrift_helper_functions_return_the_same_as_jaeger_clients() -> None:
    real, ours = _pair(".thrift")
    trace, limits = (1 << 127) | (1 << 63) | 5, (5, 20)
    try:
        raise ValueError
    except ValueError as error:
        trace_back = error.__traceback__
    for key, value in {
        "b": True,
        "i": 2,
        "f": 1.5,
        "s": "longer than five",
        4: None,
        "t": trace_back,
    }.items():
        assert repr(ours.make_tag(key, value, *limits)) == repr(real.make_tag(key, value, *limits))
    for number in (None, 0, 5, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        assert ours.id_to_int(number) == real.id_to_int(number)
    assert repr(ours.make_log(1.5, {"a": 1}, *limits)) == repr(real.make_log(1.5, {"a": 1}, *limits))
    assert repr(ours.make_process("s", {"a": 1}, 5)) == repr(real.make_process("s", {"a": 1}, 5))
    context = _pair(".span_context")[0].SpanContext(trace, 7, 0, 1)
    references = [opentracing.child_of(context), opentracing.follows_from(context)]
    for some in (None, [], references[:1], references):
        assert repr(ours.make_references(some)) == repr(real.make_references(some))
    ttypes = importlib.import_module("jaeger_client.thrift_gen.sampling.ttypes")
    for response in (
        *(
            ttypes.SamplingStrategyResponse(0, ttypes.ProbabilisticSamplingStrategy(rate))
            for rate in (-1, 0, 0.5, 1, 2)
        ),
        *(
            ttypes.SamplingStrategyResponse(1, None, ttypes.RateLimitingSamplingStrategy(rate))
            for rate in (-1, 0, 3, 499, 500, 501)
        ),
        *(ttypes.SamplingStrategyResponse(each) for each in (0, 1, 2)),
    ):
        (theirs, their_problem), (mine, our_problem) = (
            real.parse_sampling_strategy(response),
            ours.parse_sampling_strategy(response),
        )
        assert (str(theirs), their_problem) == (str(mine), our_problem)


def test_strategies_are_read_as_jaeger_client_reads_them() -> None:
    real, ours = _pair(".sampler")
    strategy: Any
    for strategy in (
        None,
        {},
        {"probabilisticSampling": {"samplingRate": 0.3}},
        {"probabilisticSampling": {}},
    ):
        assert ours.get_sampling_probability(strategy) == real.get_sampling_probability(strategy)
    for strategy in (
        None,
        {},
        {"rateLimitingSampling": {"maxTracesPerSecond": 3}},
        {"rateLimitingSampling": {}},
    ):
        assert ours.get_rate_limit(strategy) == real.get_rate_limit(strategy)


def _loggers(module: str) -> list[str]:
    return [name for name, value in vars(_pair(module)[0]).items() if isinstance(value, logging.Logger)]


#: Those that have a logger, but for one that logs nothing here.
LOGGING = [each for each in MODULES if _loggers(each) and each != ".TUDPTransport"]


@pytest.mark.parametrize("module", LOGGING)
def test_every_logger_has_the_name_that_programs_configure(module: str) -> None:
    ours = _pair(module)[1]
    assert {getattr(ours, name).name for name in _loggers(module)} == {"jaeger_tracing"}


#: How to make one, in words that both packages understand; and what of its attributes ours does not have.
MADE: dict[str, tuple[str, tuple[Any, ...], set[str]]] = {
    "ConstSampler": (".sampler", (True,), set()),
    "ProbabilisticSampler": (".sampler", (0.3,), set()),
    "RateLimitingSampler": (".sampler", (3.0,), {"rate_limiter"}),  # a bucket of another kind counts here
    "GuaranteedThroughputProbabilisticSampler": (".sampler", ("op", 0.1, 0.5), set()),
    "RateLimiter": (".rate_limiter", (3.0, 4.0), set()),
    "ErrorReporter": (".utils", (None,), set()),
    "Metrics": (".metrics", (), set()),
    "AdaptiveSampler": (".sampler", ({"defaultSamplingProbability": 0.5}, 7), set()),
    "TextCodec": (".codecs", (True, "t", "b-", "d", "g"), set()),
    "B3Codec": (".codecs", (True,), set()),
    "SpanContext": (".span_context", (1, 2, 3, 1, {"k": "v"}, "d"), set()),
    "LocalAgentHTTP": (".local_agent_net", ("there", "5778"), set()),
    "InMemoryReporter": (".reporter", (), set()),
    "CompositeReporter": (".reporter", (1, 2), set()),
}


@pytest.mark.parametrize("name", MADE)
def test_objects_have_the_same_public_attributes_and_values_as_jaeger_clients(name: str) -> None:
    module, arguments, without = MADE[name]
    theirs, ours = (getattr(each, name)(*arguments) for each in _pair(module))
    attributes = {each for each in vars(theirs) if not each.startswith("_")}
    assert {each for each in attributes if not hasattr(ours, each)} == without
    for each in attributes - without - {"balance", "last_tick"}:  # these are of their moment
        if isinstance(getattr(theirs, each), int | float | str):
            assert getattr(ours, each) == getattr(theirs, each)
