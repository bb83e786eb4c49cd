"""Giving memory back after a burst of work: a node is idle most of its life, and a release round is not.

Arrow's pool and the C allocator keep what was freed for the next allocation; both are asked to return it to the system.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

_COLLECT_AFTER: Final = 10_000, 20, 20
"""New objects before the youngest are looked through, and how much rarer the older ones: a page of 512 entries makes
some ten thousand that stay, and hardly anything here stands in a cycle."""


def keep_what_is_made() -> None:
    """What the start made stays: no collection looks through it again, and the event loop never waits for one."""
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def give_back_memory() -> None:
    """Return freed memory to the system. Costs some milliseconds; does nothing where a library is not loaded."""
    gc.collect()
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
