"""Finds declared packages that do not work today, block an upgrade, or are no longer needed on ot_bridge.

Each row was found by installing the package on Python 3.11 and 3.13, with the newest releases of all other
packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from ot_bridge.migrate.requirements import Requirement, allows, find, numbers


class Finding(NamedTuple):
    """A requirement, and the message about it."""

    requirement: Requirement
    code: str
    text: str


class Declared:
    """The requirements of a project, by name."""

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        self.by_name: dict[str, list[Requirement]] = {}
        for each in requirements:
            self.by_name.setdefault(each.name, []).append(each)

    def may_be(self, name: str, version: str) -> bool:
        """Whether a package may have this version or a newer one, as declared or else as installed here."""
        if name in self.by_name:
            return any(_reaches(each.spec, version) for each in self.by_name[name])
        try:
            return numbers(metadata.version(name)) >= numbers(version)
        except metadata.PackageNotFoundError:
            return False


def _reaches(spec: str, version: str) -> bool:
    """Whether a specification allows `version` or a newer one."""
    return (
        allows(spec, version)
        or allows(spec, "999")
        or any(allows(spec, text) and numbers(text) >= numbers(version) for text in _versions(spec))
    )


def _versions(spec: str) -> list[str]:
    return [part.strip("<>=!~^ ") for part in spec.split(",") if part]


def _always(code: str, text: str) -> Callable[[Requirement, Declared], tuple[str, str]]:
    return lambda requirement, declared: (code, text)


def _jaeger(requirement: Requirement, declared: Declared) -> tuple[str, str]:
    if "six" in declared.by_name:
        return "OTB503", "jaeger-client is no longer needed: ot_bridge.jaeger_client has its names"
    return "OTB501", (
        "jaeger-client cannot be imported after a fresh install: it needs six and does not declare it; "
        "on ot_bridge it is no longer needed"
    )


def _flask(requirement: Requirement, declared: Declared) -> tuple[str, str]:
    if not _reaches(requirement.spec, "2.0.0") and declared.may_be("flask", "3.0"):
        return "OTB501", "Flask-OpenTracing before 2.0 cannot be imported with Flask 3"
    return "OTB503", "Flask-OpenTracing is no longer needed: ot_bridge's TracingMiddleware takes its place"


def _django(requirement: Requirement, declared: Declared) -> tuple[str, str]:
    if declared.may_be("django", "5.1"):
        return "OTB501", "django-opentracing turns every request into an error from Django 5.1 on"
    return "OTB503", "django-opentracing is no longer needed: ot_bridge's TracingMiddleware takes its place"


def _opentracing(requirement: Requirement, declared: Declared) -> tuple[str, str] | None:
    if not _reaches(requirement.spec, "2.0"):
        return "OTB502", "opentracing before 2.0 has neither scopes nor a global tracer: nothing is rewritten"
    if not _reaches(requirement.spec, "2.4"):
        return "OTB502", "this pin keeps opentracing below 2.4, which ot_bridge needs"
    return None


_NO_LONGER: Final = "works, and is no longer needed: opentelemetry-instrumentation has a package for it"

RULES: Final[Mapping[str, Callable[[Requirement, Declared], tuple[str, str] | None]]] = {
    "opentracing": _opentracing,
    "jaeger-client": _jaeger,
    "flask-opentracing": _flask,
    "django-opentracing": _django,
    "opentracing-instrumentation": _always(
        "OTB501",
        "opentracing-instrumentation pins tornado below 6, which does not work on Python 3.10 or later",
    ),
    "grpcio-opentracing": _always(
        "OTB501",
        "grpcio-opentracing's channels reject stubs that are generated today; ot_bridge.grpc takes them",
    ),
    "tornado-opentracing": _always(
        "OTB501", "tornado_opentracing pins opentracing below 2.1 and cannot be imported with tornado 6"
    ),
    "sqlalchemy-opentracing": _always(
        "OTB502",
        "sqlalchemy_opentracing brings opentracing 1.3, which has no scopes and blocks everything else",
    ),
    "elasticsearch-opentracing": _always(
        "OTB502",
        "elasticsearch_opentracing brings opentracing 1.1 and cannot be imported with elasticsearch 9",
    ),
    "opentracing-utils": _always(
        "OTB501", "opentracing_utils cannot be imported with today's setuptools, which has no pkg_resources"
    ),
    "lightstep": _always(
        "OTB502", "lightstep holds protobuf at 3.20, which blocks code that gRPC and OTLP generate today"
    ),
    "basictracer": _always("OTB503", "basictracer is no longer needed: install() makes the tracer"),
    "starlette-opentracing": _always("OTB503", f"starlette-opentracing {_NO_LONGER}"),
    "requests-opentracing": _always("OTB503", f"Requests-OpenTracing {_NO_LONGER}"),
    "pymongo-opentracing": _always("OTB503", f"PyMongo-OpenTracing {_NO_LONGER}"),
    "redis-opentracing": _always(
        "OTB503", f"redis_opentracing {_NO_LONGER}; it declares no opentracing itself"
    ),
    "celery-opentracing": _always("OTB503", f"Celery-OpenTracing {_NO_LONGER}; it declares no celery itself"),
    "bottle-opentracing": _always(
        "OTB503", "bottle-opentracing is no longer needed: ot_bridge's TracingMiddleware takes its place"
    ),
}


def findings(paths: Iterable[Path]) -> list[Finding]:
    """The findings about the requirements declared below the paths, ordered by file and line."""
    declared = Declared(find(paths))
    found = []
    for name, rule in RULES.items():
        for requirement in declared.by_name.get(name, ()):
            problem = rule(requirement, declared)
            if problem is not None:
                found.append(Finding(requirement, *problem))
    return sorted(found, key=lambda each: (str(each.requirement.path), each.requirement.line))


def too_old(found: Iterable[Finding]) -> Finding | None:
    """The pin that keeps opentracing below 2, for which nothing can be rewritten, or None."""
    return next(
        (each for each in found if each.requirement.name == "opentracing" and "before 2.0" in each.text), None
    )
