"""The garbage collector after the start of the daemon."""

from __future__ import annotations

import gc
import subprocess
import sys

SCRIPT = """
import gc
from gateway.app.daemon import settle_memory
here = len(gc.get_objects())
settle_memory()
class Node: pass
one, other = Node(), Node()
one.other, other.one = other, one
del one, other
print(gc.get_freeze_count() > here / 2, len(gc.get_objects()) < here / 10, gc.get_threshold()[0], gc.collect() >= 2)
"""


def test_what_is_there_after_the_start_is_looked_at_no_more_and_cycles_are_still_found() -> None:
    """In a process of its own: what is frozen stays frozen."""
    before = gc.get_threshold()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "50000", "True"]
    assert gc.get_threshold() == before
