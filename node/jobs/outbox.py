"""Entries of the own log that are on disk and wait for the next tick: releases leave at fixed ticks, whatever they took
to compute (PRIVACY 5).

Rules:
- An entry is held from its COMMIT on and sent at the beginning of the next tick: the anchor at the last of them, on
  disk; then all are given to the mesh. Until then no peer, answer or head knows of it.
- Where the anchor cannot be written, nothing is sent and all are kept: the next tick tries again, in order.
- Whoever signs outside a round (a rotation) sends what is held first, so that entries reach the core in their order.
- A crash loses nothing: the log has them, and the next start gives them to the mesh with all others.

Left out on purpose: sending at the end of the process, which would tell how long the slot in hand took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protocol.entries import ParsedEntry


class Outbox:
    """What waits for the tick. Used under the lock of `KeyTurns` only.

    Args:
        anchor: Makes the anchor durable at an entry's position; raises StorageError.
        committed: Gives entries to the mesh.
    """

    def __init__(
        self, anchor: Callable[[ParsedEntry], None], committed: Callable[[Sequence[ParsedEntry]], None]
    ) -> None:
        self._anchor = anchor
        self._committed = committed
        self._held: list[ParsedEntry] = []

    @property
    def held(self) -> int:
        """How many entries wait."""
        return len(self._held)

    def hold(self, entries: Sequence[ParsedEntry]) -> None:
        """Keep committed entries until `send`."""
        self._held += entries

    def send(self) -> None:
        """Anchor and give out everything held.

        Raises:
            StorageError: the anchor could not be written; everything stays held.
        """
        if self._held:
            self._anchor(self._held[-1])
            held, self._held = self._held, []
            self._committed(held)
