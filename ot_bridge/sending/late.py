"""`loading`: held while an export thread imports a module for its first export.

1. Such modules take up to 30 ms to load, which a program's start need not wait for
   (tests/otlp/test_http_own_traffic.py::test_importing_and_making_it_loads_nothing_that_http_does_not_need).
2. A fork waits for `loading`: otherwise a child could inherit a half-loaded module from a thread that it does
   not have, and its own import would wait for that thread for ever
   (tests/otlp/test_http_processes.py::test_a_child_forked_while_a_thread_loads_the_http_parser_exports).
3. It is reentrant, since a signal handler may export, or fork, while its thread loads
   (tests/sending/test_parts.py::test_a_signal_handler_may_fork_while_its_thread_loads).
"""

from __future__ import annotations

import os
import threading
from typing import Final

loading: Final = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=loading.acquire, after_in_parent=loading.release, after_in_child=loading.release
    )
