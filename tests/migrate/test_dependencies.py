"""What `ot-bridge check` says of declared packages, by the kind of file that declares them."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

from ot_bridge.migrate.dependencies import RULES, findings, too_old
from ot_bridge.migrate.report import check
from ot_bridge.migrate.requirements import normal

NO_LONGER = "works, and is no longer needed: opentelemetry-instrumentation has a package for it"
MIDDLEWARE = "is no longer needed: ot_bridge's TracingMiddleware takes its place"
OLD = "opentracing before 2.0 has neither scopes nor a global tracer: nothing is rewritten"
#: requirements -> the code and the message about the first of them
ROWS = [
    ("opentracing<2", "OTB502", OLD),
    ("opentracing==1.3.0", "OTB502", OLD),
    ("opentracing==2.2.0", "OTB502", "this pin keeps opentracing below 2.4, which ot_bridge needs"),
    (
        "jaeger-client==4.8.0",
        "OTB501",
        (
            "jaeger-client cannot be imported after a fresh install: it needs six and does not declare it; "
            "on ot_bridge it is no longer needed"
        ),
    ),
    (
        "jaeger_client>=4\nsix",
        "OTB503",
        "jaeger-client is no longer needed: ot_bridge.jaeger_client has its names",
    ),
    (
        "opentracing-instrumentation~=3.3",
        "OTB501",
        "opentracing-instrumentation pins tornado below 6, which does not work on Python 3.10 or later",
    ),
    (
        "Flask-OpenTracing==1.1.0\nFlask>=3",
        "OTB501",
        "Flask-OpenTracing before 2.0 cannot be imported with Flask 3",
    ),
    ("Flask-OpenTracing==1.1.0\nFlask==2.2", "OTB503", f"Flask-OpenTracing {MIDDLEWARE}"),
    ("Flask-OpenTracing==2.0.0\nFlask>=3", "OTB503", f"Flask-OpenTracing {MIDDLEWARE}"),
    (
        "django-opentracing\ndjango>=5.1",
        "OTB501",
        "django-opentracing turns every request into an error from Django 5.1 on",
    ),
    ("django-opentracing\nDjango==4.2.1", "OTB503", f"django-opentracing {MIDDLEWARE}"),
    (
        "grpcio-opentracing==1.1.4",
        "OTB501",
        "grpcio-opentracing's channels reject stubs that are generated today; ot_bridge.grpc takes them",
    ),
    (
        "tornado_opentracing",
        "OTB501",
        "tornado_opentracing pins opentracing below 2.1 and cannot be imported with tornado 6",
    ),
    (
        "sqlalchemy_opentracing",
        "OTB502",
        "sqlalchemy_opentracing brings opentracing 1.3, which has no scopes and blocks everything else",
    ),
    (
        "elasticsearch_opentracing",
        "OTB502",
        "elasticsearch_opentracing brings opentracing 1.1 and cannot be imported with elasticsearch 9",
    ),
    (
        "opentracing_utils",
        "OTB501",
        "opentracing_utils cannot be imported with today's setuptools, which has no pkg_resources",
    ),
    (
        "lightstep",
        "OTB502",
        "lightstep holds protobuf at 3.20, which blocks code that gRPC and OTLP generate today",
    ),
    ("basictracer", "OTB503", "basictracer is no longer needed: install() makes the tracer"),
    ("starlette-opentracing", "OTB503", f"starlette-opentracing {NO_LONGER}"),
    ("Requests-OpenTracing", "OTB503", f"Requests-OpenTracing {NO_LONGER}"),
    ("PyMongo-OpenTracing", "OTB503", f"PyMongo-OpenTracing {NO_LONGER}"),
    ("redis_opentracing", "OTB503", f"redis_opentracing {NO_LONGER}; it declares no opentracing itself"),
    ("Celery-OpenTracing", "OTB503", f"Celery-OpenTracing {NO_LONGER}; it declares no celery itself"),
    ("bottle-opentracing", "OTB503", f"bottle-opentracing {MIDDLEWARE}"),
]


def test_the_table_of_this_file_has_each_package() -> None:
    assert {normal(re.split("[<>=~\n]", row[0])[0]) for row in ROWS} == RULES.keys()


@pytest.mark.parametrize(("text", "code", "message"), ROWS, ids=[row[0].replace("\n", " ") for row in ROWS])
def test_a_declared_incompatible_package_is_listed(
    text: str, code: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text(text + "\n")
    (line,) = check([tmp_path]).lines
    assert (line.line, line.code, line.text, line.rewritten) == (1, code, message, False)


@pytest.mark.parametrize(
    ("installed", "fails"), [("5.0.9", False), ("5.1", True), ("5.1.2", True), ("10.0", True), (None, False)]
)
def test_of_a_package_that_is_not_declared_the_installed_version_counts(
    installed: str | None, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        assert name == "django"
        if installed is None:
            raise metadata.PackageNotFoundError
        return installed

    monkeypatch.setattr(metadata, "version", version)
    (tmp_path / "requirements.txt").write_text("django-opentracing\n")
    (line,) = check([tmp_path]).lines
    assert line.code == ("OTB501" if fails else "OTB503")


@pytest.mark.parametrize(
    "text", ["opentracing", "opentracing>=2.0,<3", "opentracing==2.4.0", "flask", "# opentracing<2"]
)
def test_a_compatible_requirement_is_not_listed(text: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(text + "\n")
    assert check([tmp_path]).lines == []


FILES = {
    "requirements-dev.txt": "-r requirements.txt\nlightstep==4.4.8 ; python_version > '3'  # tracing\n",
    "requirements/base.txt": "lightstep[a]>=4\n",
    "setup.py": "from setuptools import setup\nsetup(name='a', install_requires=['flask', 'lightstep>=4'])\n",
    "setup.cfg": "[options]\ninstall_requires =\n    flask\n    lightstep>=4\n",
    "pyproject.toml": '[project]\nname = "a"\ndependencies = [\n  "flask",\n  "lightstep>=4",\n]\n',
    "poetry/pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.10"\nlightstep = "^4.4"\n',
    "poetry.lock": '[[package]]\nname = "lightstep"\nversion = "4.4.8"\n',
    "Pipfile": '[packages]\nlightstep = {version = "==4.4.8", extras = []}\n',
    "Pipfile.lock": '{"default": {\n "lightstep": {\n  "version": "==4.4.8"\n }}}\n',
}


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_every_kind_of_file_is_read(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (line,) = check([tmp_path]).lines
    assert line.code == "OTB502"
    assert "lightstep" in text.splitlines()[line.line - 1]


def test_a_file_of_requirements_that_is_given_is_not_read_as_python(tmp_path: Path) -> None:
    given = [tmp_path / name for name in ("requirements.txt", "base.in", "Pipfile")]
    for path, text in zip(given, ("flask~=2.0", "flask~=2.0", "[packages]\nflask = '~=2.0'"), strict=True):
        path.write_text(f"# opentracing\n{text}\n")
    (tmp_path / "app.wsgi").write_text("import opentracing\nopentracing.tracer\n")
    report = check([*given, tmp_path / "app.wsgi"])
    assert report.unread == []
    assert report.searched == 1
    assert [line.code for line in report.lines] == ["OTB101"]


@pytest.mark.parametrize(
    ("text", "old"),
    [("opentracing<2", True), ("opentracing==2.2.0", False), ("sqlalchemy_opentracing", False)],
)
def test_only_a_pin_of_opentracing_below_2_prevents_everything(text: str, old: bool, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"lightstep\n{text}\n")
    found = too_old(findings([tmp_path]))
    assert (found is not None) is old
    assert found is None or found.requirement.line == 2


def test_findings_are_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("lightstep\nopentracing<2\njaeger-client\n")
    (tmp_path / "constraints.txt").write_text("lightstep\n")
    found = [(each.requirement.path.name, each.requirement.line) for each in findings([tmp_path])]
    assert found == [("constraints.txt", 1), *(("requirements.txt", line) for line in (1, 2, 3))]
