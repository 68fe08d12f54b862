"""`dict_of`: what a garbage collection does to an object's `__dict__` while it is made."""

from __future__ import annotations

import subprocess
import sys

from ot_bridge.instance import dict_of

#: In the first access to `__dict__`, a garbage collection calls code that accesses it, too.
PROGRAM = """
import gc
from ot_bridge.instance import dict_of

class Span:
    def __init__(self):
        self.name, self.tags = ["name"], ["tags"]

def collected(phase, info):
    if phase == "start" and waiting:
        dict_of(waiting.pop())["by the callback"] = True

waiting, others = [], []
gc.callbacks.append(collected)
for number in range(500):
    span = Span()
    others.extend({} for _ in range(100))  # so that no dropped dictionary is left
    gc.set_threshold(1)
    waiting.append(span)
    own = dict_of(span)
    gc.set_threshold(700)
    waiting.clear()
    missing = {"name", "tags"} - set(own)
    assert not missing, missing
    del span, own
    values = [[number] * 10 for _ in range(50)]
    if number % 50 == 0:
        gc.collect()
print("done")
"""


def test_a_garbage_collection_during_the_first_access_does_not_crash_the_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_an_object_without_a_dict_has_none() -> None:
    assert dict_of(object()) == {}
    assert dict_of(test_an_object_without_a_dict_has_none) == {}
