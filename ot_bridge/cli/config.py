"""`ot-bridge config`: `ot-bridge doctor --no-send` under its old name."""

from __future__ import annotations

import argparse

from ot_bridge.cli import doctor

EPILOG = doctor.EPILOG
AFTER_DASHES = doctor.AFTER_DASHES
run = doctor.run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    doctor.add_arguments(parser, send=False)
