"""`python -m ot_bridge.cli`."""

import sys

from ot_bridge.cli.main import main

sys.exit(main())
