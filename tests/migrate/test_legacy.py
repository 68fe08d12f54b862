"""The tables of names against OpenTracing itself; annotations and packages, row by row."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import opentracing
import opentracing.logs
import opentracing.tags
import pytest
from opentracing.ext import tags as older_tags

from ot_bridge.migrate import legacy
from ot_bridge.migrate.report import check
from ot_bridge.migrate.tag_names import LIBRARIES


def test_the_constants_are_those_of_opentracing() -> None:
    real = {
        f"{module.__name__}.{name}": value
        for module in (opentracing.tags, opentracing.logs)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    assert real == legacy.CONSTANTS


@pytest.mark.parametrize("module", sorted(set(legacy.MODULES) - {"opentracing.ext", "opentracing.harness"}))
def test_a_name_is_the_same_object_under_its_shortest_name(module: str) -> None:
    held = importlib.import_module(module)
    short = importlib.import_module(legacy.MODULES[module])
    shared = [name for name in vars(held) if hasattr(short, name) and not name.startswith("_")]
    names = [name for name in shared if not inspect.ismodule(getattr(held, name))]
    assert names
    for name in names:
        assert legacy.canonical(f"{module}.{name}") == f"{legacy.MODULES[module]}.{name}"
        assert getattr(held, name) is getattr(short, name)
    assert older_tags.ERROR is opentracing.tags.ERROR


def test_a_name_of_an_unknown_module_is_its_own_shortest_name() -> None:
    assert legacy.canonical("opentracing.other.a") == "opentracing.other.a"
    assert legacy.canonical("opentracing.harness.api_check.A") == "opentracing.harness.api_check.A"


OWNERS: dict[str, Any] = {
    **dict.fromkeys(("start_span", "start_active_span", "inject", "extract"), opentracing.Tracer),
    **dict.fromkeys(("set_tag", "log_kv", "log_event", "finish", "set_operation_name"), opentracing.Span),
    "activate": opentracing.ScopeManager,
}


@pytest.mark.parametrize("method", OWNERS)
def test_the_arguments_are_in_the_order_of_opentracing(method: str) -> None:
    names = tuple(inspect.signature(getattr(OWNERS[method], method)).parameters)[1:]
    assert legacy.ARGUMENTS[method] == names


def test_each_method_with_arguments_has_its_row() -> None:
    assert legacy.ARGUMENTS.keys() == {*OWNERS, "log"}
    assert legacy.ARGUMENTS["log"] == ()


KINDS = {"tracer": "Tracer", "span": "Span", "scope": "Scope", "manager": "ScopeManager"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_member_of_a_class_has_a_code(kind: str) -> None:
    real = {name for name in dir(getattr(opentracing, KINDS[kind])) if not name.startswith("_")}
    assert real <= legacy.METHODS[kind].keys()
    assert legacy.CLASSES[f"opentracing.{KINDS[kind]}"][0] == kind


CODES = {
    "tracer": "OTB102 start_span start_active_span, OTB106 inject extract, OTB107 active_span scope_manager, "
    "OTB401 close flush, OTB207 finished_spans reset, OTB402 register_required_propagators",
    "span": "OTB103 set_tag, OTB104 log_kv log_event log, OTB105 finish set_operation_name, OTB107 context, "
    "OTB309 tracer, OTB204 set_baggage_item get_baggage_item",
    "scope": "OTB107 span, OTB303 close manager",
    "manager": "OTB107 active activate",
    "context": "OTB204 baggage, OTB107 trace_id span_id",
    "extracted": "OTB204 baggage",
}


@pytest.mark.parametrize("kind", legacy.METHODS)
def test_the_code_of_each_member(kind: str) -> None:
    wanted: dict[str, str] = {}
    for part in CODES[kind].split(", "):
        code, *names = part.split()
        wanted |= dict.fromkeys(names, code)
    assert wanted == legacy.METHODS[kind]


def test_the_classes_and_formats_and_what_else_has_a_name() -> None:
    assert legacy.CLASSES == {
        "opentracing.Tracer": ("tracer", "Tracer"),
        "opentracing.Span": ("span", "Span"),
        "opentracing.SpanContext": ("context", "SpanContext"),
        "opentracing.Scope": ("scope", None),
        "opentracing.ScopeManager": ("manager", None),
    }
    formats = {name: value for name, value in vars(opentracing.Format).items() if name.isupper()}
    assert {f"opentracing.Format.{name}" for name in formats} == legacy.FORMATS.keys()
    assert {formats["HTTP_HEADERS"], formats["TEXT_MAP"]} == legacy.FORMAT_TEXTS
    assert [name for name, whole in legacy.FORMATS.items() if not whole] == ["opentracing.Format.BINARY"]
    for name in legacy.EXCEPTIONS | legacy.REFERENCES:
        assert getattr(opentracing, name.removeprefix("opentracing."))
    assert len(legacy.EXCEPTIONS) == 3
    assert len(legacy.REFERENCES) == 4


PACKAGES = {
    "OTB404": "bottle_opentracing django_opentracing fastapi_opentracing flask_opentracing grpc_opentracing "
    "grpcext pyramid_opentracing sanic_opentracing starlette_opentracing tornado_opentracing",
    "OTB405": "aioredis_opentracing asyncpg_opentracing cassandra_opentracing celery_opentracing "
    "confluent_kafka_opentracing dbapi_opentracing elasticsearch_opentracing "
    "opentracing_async_instrumentation opentracing_decorator opentracing_instrumentation opentracing_utils "
    "pymongo_opentracing redis_opentracing requests_opentracing sqlalchemy_opentracing",
    "OTB402": "basictracer jaeger_client lightstep opentracing_prometheus",
}


@pytest.mark.parametrize("code", PACKAGES)
def test_the_code_of_each_package(code: str) -> None:
    named = {"OTB404": legacy.FRAMEWORKS, "OTB405": legacy.CLIENTS, "OTB402": legacy.TRACERS}[code]
    assert sorted(named) == PACKAGES[code].split()
    for package in named:
        assert legacy.advice(f"{package}.other") == (code, legacy.SETUP[code])


@pytest.mark.parametrize(
    "name", ["Config", "Tracer", "BasicTracer", "initialize_tracer", "create_tracer", "new_tracer"]
)
def test_the_names_that_set_a_tracer_up(name: str) -> None:
    assert legacy.package_code(f"jaeger_client.config.{name}") == "OTB401"
    assert legacy.package_code("jaeger_client") == "OTB401"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mocktracer.MockTracer", "OTB207"),
        ("harness.api_check.APICompatibilityCheckMixin", "OTB207"),
        ("scope_managers.asyncio.AsyncioScopeManager", "OTB208"),
        ("set_global_tracer", "OTB403"),
        ("is_global_tracer_registered", "OTB403"),
        ("start_child_span", "OTB309"),
        ("something", "OTB308"),
    ],
)
def test_the_code_of_a_name_without_a_counterpart(name: str, code: str) -> None:
    assert legacy.advice(f"opentracing.{name}")[0] == code


ANNOTATIONS = (
    *("opentracing.Span", '"opentracing.Span"', "Span", '"Span"', "O", "opentracing.span.Span"),
    *("Span | None", "None | Span", "Optional[Span]", "typing.Optional[Span]", 'Optional["Span"]'),
    *('"ot.Span"', "ot.Span", "t.Optional[ot.Span]"),
)
OTHERS = ("Span | int", "list[Span]", "str", "None", "Other", '"Span["', "Dict[str, Span]", '"None"', "3")
SOURCE = """\
import typing
import typing as t
from typing import Dict, Optional
import opentracing
import opentracing as ot
from opentracing import Span, Span as O
import other.Span as Other

def handle(thing: {annotation}):
    thing.set_operation_name("b")
    thing.finish()
"""


def _finishes(annotation: str, tmp_path: Path) -> bool:
    (tmp_path / "program.py").write_text(SOURCE.format(annotation=annotation))
    return any(each.line == 11 and each.code == "OTB105" for each in check([tmp_path]).lines)


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_an_annotation_in_each_form_makes_a_span_of_its_argument(annotation: str, tmp_path: Path) -> None:
    assert _finishes(annotation, tmp_path)


@pytest.mark.parametrize("annotation", OTHERS)
def test_another_annotation_makes_no_span(annotation: str, tmp_path: Path) -> None:
    assert not _finishes(annotation, tmp_path)


HTTP = "component http.method http.url http.status_code"
#: Package -> the tags of its spans.
TAGS = {
    "flask_opentracing": HTTP,
    "django_opentracing": HTTP,
    "bottle_opentracing": HTTP,
    "pyramid_opentracing": f"{HTTP} pyramid.route",
    "tornado_opentracing": HTTP,
    "requests_opentracing": f"{HTTP} error.object",
    "opentracing_instrumentation": "http.method http.url http.status_code db.type db.instance db.statement "
    "peer.ipv4 peer.port peer.service sql sql.params redis.key celery.task_name",
    "grpc_opentracing": "component peer.ipv4 peer.port error.kind",
    "sqlalchemy_opentracing": "component db.type db.statement sqlalchemy.dialect",
    "dbapi_opentracing": "db.type db.statement db.rows_produced",
    "redis_opentracing": "component db.type db.statement command.name",
    "pymongo_opentracing": "component db.type db.instance command namespace event.reply",
    "elasticsearch_opentracing": "component db.type db.statement elasticsearch.url",
    "celery_opentracing": "component message_bus.destination celery.task_name",
}


def test_the_tags_of_each_library() -> None:
    assert {name: " ".join(tags) for name, tags in LIBRARIES.items()} == TAGS
