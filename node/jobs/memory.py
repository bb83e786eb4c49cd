"""Giving memory back after a burst of work: a node is idle most of its life, and a release round is not.

Arrow's pool and the C allocator keep what was freed for the next allocation; both are asked to return it to the system.
"""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Return freed memory to the system. Costs some milliseconds; does nothing where a library is not loaded."""
    gc.collect()
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
