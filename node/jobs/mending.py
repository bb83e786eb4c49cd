"""After a recovery: every slot of this node whose answer became void with it abstains `recovered`, once and for ever.

So the log itself says which answers changed and why, on every node alike and also to those who never saw the void
entries (DESIGN I8); and no such slot is released again, since its first release was seen. Found from the tables at each
start and after each recovery, so a crash in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from federation.core import Core
from node.jobs.publishing import Publisher
from node.state.log import LogStore
from node.state.slots import SlotStore
from protocol.entries import ParsedEntry
from protocol.ids import DefinitionHash

log = structlog.get_logger()

Slot = tuple[DefinitionHash, str]


class Mending:
    """Says which answers a recovery took back. Runs in the release worker, where the node may sign.

    Args:
        hold: Given the new entries, which leave at this tick or the next.
    """

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        slots: SlotStore,
        publisher: Publisher,
        hold: Callable[[Sequence[ParsedEntry]], None],
    ) -> None:
        self._core = core
        self._logs = logs
        self._slots = slots
        self._publisher = publisher
        self._hold = hold
        self._done = 0  # the generation that was looked through

    def run(self) -> int:
        """Abstain in every slot that a recovery left without an answer; how many those were.

        Raises:
            StorageError: as publishing; what was committed is held, and the next run goes on.
        """
        own = self._core.logs.log(self._core.me)
        if own is None or own.generation <= self._done:
            return 0
        generation, entries = own.generation, list[ParsedEntry]()
        try:
            for definition, window in self._lost(frozenset(own.ids), generation):
                entries.append(self._publisher.abstain_recovered(definition, window))
        finally:
            self._hold(entries)
        self._done = generation
        if entries:
            log.warning("answers.recovered", slots=len(entries))
        return len(entries)

    def _lost(self, standing: frozenset[bytes], generation: int) -> list[Slot]:
        """Slots all of whose answers are of an earlier generation and stand no more."""
        alive: dict[Slot, bool] = {}
        for definition, window, entry in self._slots.entries():
            is_alive = entry in standing or self._generation_of(entry) >= generation
            alive[definition, window] = alive.get((definition, window), False) or is_alive
        return [slot for slot, is_alive in alive.items() if not is_alive]

    def _generation_of(self, entry: bytes) -> int:
        parsed = self._logs.read(entry)  # type: ignore[arg-type]  # the table keeps plain bytes
        return -1 if parsed is None else parsed.header.generation
