"""The tests. This file is loaded first, before pytest compiles anything of the package or of the tests."""

import os
import sys

# Without bytecode, each of the hundreds of programs that the tests start compiles the package again, and
# pytest rewrites the package and every file of tests in each of its processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
