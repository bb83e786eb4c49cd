"""A failing run made short: operations are taken away as long as it still fails (Zeller, Hildebrandt 2002, ddmin)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.operations import Operation, Run


def shrink(run: Run, fails: Callable[[Run], bool], tries: int = 400) -> Run:
    """The shortest run found that fails; each of its operations is needed, unless the tries ran out.

    Args:
        fails: Whether a run fails; asked at most `tries` times.
    """
    kept, parts = list(run.operations), 2
    while len(kept) > 1 and tries > 0:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            tries -= 1
            if rest and fails(_with(run, rest)):
                kept, parts = rest, max(parts - 1, 2)
                break
            if tries <= 0:
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return _with(run, kept)


def _with(run: Run, operations: list[Operation]) -> Run:
    return replace(run, operations=tuple(operations))
