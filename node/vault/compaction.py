"""Which segments are worth merging: decided from their recorded sizes, never from rows (specs/vault.md 3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.vault.segments import Extent, Segment

SMALL_FRAME_BYTES: Final = 256 << 10  # a segment whose frames are smaller on average may be merged
STEP_BYTES: Final = 32 << 20  # of segments read in one step, so that a step takes about a second
MANY_FRAMES: Final = 1024  # while the epoch takes rows: rarely enough that little is written twice
SOME_FRAMES: Final = 8  # once it takes no more
_GAIN: Final = 4  # frames now, for each that would be left
_TYPICAL_FULL_BYTES: Final = 1 << 20  # low, so that a gain is never overrated


def to_compact(segments: Sequence[tuple[Segment, Extent]], at_least: int) -> list[tuple[Segment, Extent]]:
    """The segments of one epoch that one step should merge; none where it would gain little.

    Args:
        at_least: How many small frames are worth a step: MANY_FRAMES or SOME_FRAMES.
    """
    chosen: list[tuple[Segment, Extent]] = []
    size = frames = 0
    for segment, extent in segments:
        if extent.frames and extent.size_bytes / extent.frames < SMALL_FRAME_BYTES and size < STEP_BYTES:
            chosen.append((segment, extent))
            size += extent.size_bytes
            frames += extent.frames
    left = -(-size // _TYPICAL_FULL_BYTES)
    return chosen if frames >= max(at_least, _GAIN * left) else []
