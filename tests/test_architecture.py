"""The rooms' import rule, and what `import ot_bridge` must not cost.

A room imports only from the rooms named beside it. Anything else of the package is out of reach for it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from ot_bridge.otel import MIRRORED

PACKAGE = Path(__file__).parent.parent / "ot_bridge"

#: room -> the rooms that it may import from
MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "errors": set(),
    "ids": set(),
    "instance": set(),
    "rpc_status": set(),
    "otel": {"errors"},
    "variables": {"errors"},
    "_start": {"errors", "variables", "propagation"},
    "wire": {"errors"},
    "engine": {"otel", "ids", "instance"},
    "sending": set(),  # what the exporters of two rooms share: one connection, clock and account of losses
    "otlp": {
        "otel",
        "_version",
        "errors",
        "instance",
        "sending",
    },  # the version, which is sent to the collector
    "view": {"_version", "otlp"},
    "delivery": {"errors", "otel"},
    "semconv": {"errors", "variables", "rpc_status"},  # for a bad argument, the opt-in, a name of the table
    "sampling": {"otel", "errors", "ids"},
    "xray": {"otel", "errors", "ids", "otlp", "sending", "rpc_status"},
    "propagation": {"otel", "errors", "variables", "wire"},
    # delivery: for the exit, which waits for what `Tracer.close()` has begun.
    "bridge": {"otel", "_version", "errors", "instance", "wire", "propagation", "engine", "delivery"},
    "testing": {"bridge", "engine", "propagation", "wire"},
    "pytest_plugin": {"testing"},
    "edge": {"otel", "errors", "ids", "instance", "propagation", "bridge"},
    # delivery, in both doors: for what ends in a finalizer.
    "wsgi": {"edge", "otel", "errors", "semconv", "wire", "propagation", "bridge", "delivery"},
    "grpc": {"edge", "errors", "rpc_status", "wire", "propagation", "bridge", "delivery"},
    "choices": {"errors", "variables"},  # rooms that it names are loaded by that name, when they are named
    "exporters": {"errors", "variables"},
    "provider": {"errors", "variables", "choices", "exporters", "engine", "delivery", "sampling", "semconv"},
    "declared": {"otel", "errors", "variables"},
    "registered": {"otel", "errors", "variables"},
    "installation": {
        "otel",
        "errors",
        "propagation",
        "bridge",
        "provider",
        "declared",
        "registered",
        "delivery",
        "semconv",
        "variables",
    },
}
ABOVE = {"jaeger_client", "grpc_opentracing", "redirect", "instrumentor"}
MAY_IMPORT |= {room: {*MAY_IMPORT, *ABOVE} for room in ABOVE}
MAY_IMPORT["migrate"] = {"semconv"}  # the one table of old and new names
MAY_IMPORT["cli"] = {*MAY_IMPORT}
MAY_IMPORT["__main__"] = {"cli"}

#: room -> packages that only this room may import
OWN = {
    "grpc": {"grpc", "grpc_opentracing", "view", "cli"},
    "google": {"cli"},
    "botocore": {"xray", "cli"},
    "werkzeug": {"wsgi", "view", "cli"},
    "jaeger_client": set(),
    "libcst": {"migrate"},
}


def _files() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        # The index of all rooms has no room; the gateways are examples that the command line shows.
        if inside.parts != ("__init__.py",) and not {"gateway", "xray_gateway"} & {*inside.parts}:
            yield inside.parts[0].removesuffix(".py"), path


class Used(NamedTuple):
    """What a file uses. It is parsed and walked through once for all tests; its tree is not kept."""

    imports: set[str]
    opentelemetrys: set[tuple[str, str]]


@cache
def _used(path: Path) -> Used:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    return Used(_imports_among(nodes, path), {*_opentelemetrys(nodes)})


def _imports(path: Path) -> set[str]:
    return _used(path).imports


def _imports_among(nodes: list[ast.AST], path: Path) -> set[str]:
    """Dotted names of what a file imports, relative ones made absolute; blocks for type checkers left out."""
    package = ["ot_bridge", *path.relative_to(PACKAGE).parts[:-1]]
    names = set[str]()
    unseen = {
        child
        for node in nodes
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in nodes:
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def _rooms_of(path: Path) -> set[str]:
    names = (name.split(".") for name in _imports(path))
    return {name[1] for name in names if name[0] == "ot_bridge" and len(name) > 1}


FILES = list(_files())


def test_every_room_has_its_rule() -> None:
    rooms = {room for room, _ in FILES}
    assert len(rooms) > 20
    assert rooms <= {*MAY_IMPORT}


def test_a_room_imports_only_from_the_rooms_below() -> None:
    for room, path in FILES:
        assert (_rooms_of(path) & {*MAY_IMPORT}) - {room} <= MAY_IMPORT[room], path


def test_rooms_and_files_have_no_circular_imports() -> None:
    graph: dict[str, set[str]] = {}
    modules = {
        ".".join(["ot_bridge", *path.relative_to(PACKAGE).with_suffix("").parts]): path for _, path in FILES
    }
    for name, path in modules.items():
        graph[name] = {found for found in _imports(path) if found in modules} - {name}
    list(TopologicalSorter(graph).static_order())


def test_a_dependency_stays_in_its_room() -> None:
    for room, path in FILES:
        for top in {name.split(".")[0] for name in _imports(path)} & {*OWN}:
            assert room in OWN[top], f"{path} imports {top}"
    assert _imports(PACKAGE / "migrate" / "editor.py") >= {"libcst"}  # they are seen


def _opentelemetrys(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Names with an underscore that a file uses: (of OpenTelemetry's modules, of any object or text)."""
    modules: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry"):
            modules |= {alias.asname or alias.name for alias in node.names}
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((name, "") for name in names if name.startswith("_"))
        elif isinstance(node, ast.Import):
            names = [name for alias in node.names for name in alias.name.split(".")]
            if names[0] == "opentelemetry":
                yield from ((name, "") for name in names if name.startswith("_"))
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            if isinstance(node.value, ast.Name) and node.value.id in modules:
                yield node.attr, ""
            else:
                yield "", node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield "", node.value


def test_no_name_that_opentelemetry_does_not_publish_is_used_outside_its_room() -> None:
    names = {name for pair in _used(PACKAGE / "otel.py").opentelemetrys for name in pair}
    kept = {name for name in names if name.startswith("_") and not name.startswith("__")}
    kept -= MIRRORED | {"_tracer"}  # our own classes have it, too
    assert len(kept) > 5
    for path in (path for room, path in FILES if room != "otel"):
        used = _used(path).opentelemetrys
        assert [name for name, _ in used if name.startswith("_")] == [], path
        assert {name for _, name in used} & kept == set(), path


def test_every_test_that_the_code_names_exists() -> None:
    tests: dict[str, str] = {}
    for path in (PACKAGE.parent / "tests").rglob("test_*.py"):
        tests[path.name] = tests.get(path.name, "") + path.read_text()
    named = {
        pair for _, path in FILES for pair in re.findall(r"(test_\w+\.py)::\s*(test_\w+)", path.read_text())
    }
    assert len(named) > 60
    assert [pair for pair in sorted(named) if f"def {pair[1]}(" not in tests.get(pair[0], "")] == []


def test_an_error_about_an_option_says_what_was_expected() -> None:
    texts = {
        ast.unparse(node.args[2])
        for _, path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ConfigurationError"
        if isinstance(node.args[2], ast.Constant | ast.JoinedStr)
    }
    assert len(texts) > 25
    assert [text for text in sorted(texts) if "expected " not in text] == []


def _loggers(path: Path) -> Iterator[str]:
    """The variable and the name of each logger that a file makes for itself."""
    for node in ast.parse(path.read_text()).body:
        found = ast.unparse(node)
        if "getLogger(" in found and isinstance(node, ast.Assign | ast.AnnAssign):
            (target,) = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            assert isinstance(node.value, ast.Call)
            yield f"{ast.unparse(target)} {ast.literal_eval(node.value.args[0])}"


def test_a_room_logs_under_its_own_name() -> None:
    seen = set()
    for room, path in FILES:
        name = f"ot_bridge.{room}" if (PACKAGE / room).is_dir() else "ot_bridge"
        allowed = {f"_log {name}"}
        if room == "jaeger_client":  # whose modules have a public `logger`
            allowed = {"_log jaeger_tracing", "logger jaeger_tracing"}
        found = {*_loggers(path)}
        assert found <= allowed, path
        seen |= found
    assert len(seen) > 10


INDEX = (
    ast.Import
    | ast.ImportFrom
    | ast.Assign
    | ast.Expr  # `__all__`, the table of late names, the docstring
    | ast.If  # `if TYPE_CHECKING`
)


def test_an_init_file_contains_only_imports_and_functions_for_lazy_imports() -> None:
    indexes = list(PACKAGE.rglob("__init__.py"))
    assert len(indexes) > 15
    for path in indexes:
        for node in ast.parse(path.read_text()).body:
            late = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
            assert isinstance(node, INDEX) or late, f"{path}: {ast.unparse(node)[:60]}"


def test_importing_the_package_imports_nothing_but_the_standard_library() -> None:
    program = "import sys; before = set(sys.modules); import ot_bridge; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert "ot_bridge" in tops
    assert tops - {*sys.stdlib_module_names} == {"ot_bridge"}


def test_the_core_imports_none_of_the_optional_packages() -> None:
    program = (
        "import sys, ot_bridge; ot_bridge.install\n"
        "heavy = {'grpc', 'google.protobuf', 'botocore', 'requests', 'werkzeug', 'jaeger_client', 'libcst'}\n"
        "print(sorted(heavy & set(sys.modules)), 'opentelemetry.sdk.trace' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_install_does_not_import_modules_that_only_some_requests_need() -> None:
    program = (
        "import sys, opentelemetry.sdk.trace  # which loads asyncio itself in old versions\n"
        "theirs = set(sys.modules)\n"
        "import ot_bridge; ot_bridge.install(exporters=[])\n"
        "ot_bridge.TracingMiddleware(lambda environ, start_response: [])\n"
        "heavy = {'asyncio', 'ssl', 'http.client', 'werkzeug', 'google.protobuf', 'requests'}\n"
        "heavy |= {'ot_bridge.' + name for name in ('semconv.translate', 'declared')}\n"
        "heavy |= {'ot_bridge.wire.' + name for name in ('b3', 'xray', 'binary')}\n"
        "print(sorted(heavy & (set(sys.modules) - theirs)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _public() -> tuple[str, ...]:
    """The modules of the API reference, whose names in `__all__` docs/versions.md promises to keep."""
    tree = ast.parse((PACKAGE.parent / "docs" / "api.py").read_text())
    (found,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
    modules: tuple[str, ...] = ast.literal_eval(found)
    return modules


@pytest.mark.parametrize("name", [*_public(), "ot_bridge.bridge", "ot_bridge.edge"])
def test_a_module_for_others_lists_its_names_and_has_them(name: str) -> None:
    module = import_module(name)
    assert module.__all__
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


def test_every_name_in_all_of_the_package_can_be_imported_in_every_way() -> None:
    program = (
        "import ot_bridge.installation, ot_bridge\n"
        "assert set(ot_bridge.__all__) <= set(dir(ot_bridge))\n"
        "for name in ot_bridge.__all__:\n"
        "    once, again = getattr(ot_bridge, name), getattr(ot_bridge, name)\n"
        "    assert once is again and (name == '__version__' or callable(once)), name\n"
        "from ot_bridge import *\n"
        "print(install.__module__, hasattr(ot_bridge, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ot_bridge.installation", "False"]
