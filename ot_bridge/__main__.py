"""`python -m ot_bridge`: the `ot-bridge` command, where no script is on the path."""

import sys

from ot_bridge.cli.main import main

sys.exit(main())
