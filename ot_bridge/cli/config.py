"""`ot-bridge config`: `ot-bridge doctor --no-send` under its old name."""

from __future__ import annotations

import argparse

from ot_bridge.cli import doctor

EPILOG = """\
examples:
  ot-bridge config                                            # the settings in effect here
  ot-bridge config -- gunicorn app:app                        # in that program's Python
  ot-bridge config jaeger.yml --service-name shop             # of a dictionary of jaeger-client's Config
  ot-bridge config jaeger.yml --otel > otel.env               # translated to OpenTelemetry's variables

This is `ot-bridge doctor --no-send`. Values of headers, tokens and user names are not shown.

exit status: 0 nothing is wrong, 1 something is wrong, 2 the check failed (a file cannot be read).
"""
AFTER_DASHES = doctor.AFTER_DASHES
run = doctor.run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    doctor.add_arguments(parser, send=False)
