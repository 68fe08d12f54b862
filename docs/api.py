"""Builds the API reference from the docstrings, as HTML pages: `python docs/api.py DIRECTORY`.

Needs `pip install 'ot-bridge[all,docs]'`. A name that cannot be imported, or a docstring that cannot be read,
ends it with an error.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path

import pdoc

#: The public modules. What they do not list in `__all__` may change at any time (docs/versions.md).
PUBLIC = (
    "ot_bridge",
    "ot_bridge.delivery",
    "ot_bridge.engine",
    "ot_bridge.errors",
    "ot_bridge.grpc",
    "ot_bridge.grpc_opentracing",
    "ot_bridge.jaeger_client",
    "ot_bridge.otlp",
    "ot_bridge.propagation",
    "ot_bridge.redirect",
    "ot_bridge.sampling",
    "ot_bridge.semconv",
    "ot_bridge.testing",
    "ot_bridge.wire",
    "ot_bridge.wsgi",
    "ot_bridge.xray",
)


def main(directory: str) -> None:
    for name in PUBLIC:
        module = import_module(name)
        for late in getattr(module, "__all__", ()):
            setattr(module, late, getattr(module, late))  # pdoc reads a module's dict, which lacks late names
    pdoc.render.configure(
        docformat="markdown", footer_text="ot_bridge " + import_module(PUBLIC[0]).__version__
    )
    pdoc.pdoc(*PUBLIC, output_directory=Path(directory))


if __name__ == "__main__":
    warnings.simplefilter("error")
    # A type that only type checkers can import is shown as it is written, without a link.
    warnings.filterwarnings("ignore", "(Failed to run TYPE_CHECKING code|Error parsing type annotation)")
    main(*sys.argv[1:])
