"""`python -m ot_bridge` runs the `ot-bridge` command, even if its script is not on the path."""

import sys

from ot_bridge.cli.main import main

sys.exit(main())
