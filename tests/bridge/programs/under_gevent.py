"""Runs pytest with everything that gevent can patch patched: threads are greenlets."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import pytest  # noqa: E402

if __name__ == "__main__":
    # An *.egg-info beside the tests makes pytest want to rewrite what this program has imported.
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    sys.exit(pytest.main([*options, *sys.argv[1:]]))
