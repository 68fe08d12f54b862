"""The `ot-bridge` command."""

from ot_bridge.cli.main import main

__all__ = ["main"]
