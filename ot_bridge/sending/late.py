"""`loading`: held while an export thread imports a module for its first export.

Such modules take up to 30 ms to load, which a program's start need not wait for. A fork waits for `loading`:
otherwise a child could inherit a half-loaded module from a thread that it does not have, and its own import
would wait for that thread for ever.
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
