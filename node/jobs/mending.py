"""After a recovery: every slot of this node whose answer became void with it abstains `recovered`.

So the log itself says which answers changed and why, on every node alike and also to those who never saw the void
entries (DESIGN I8). Two kinds of slots:

- Those this node answered itself. They abstain once and for ever, since their first release was seen.
- Those that only somebody else with its key answered, as far as this node was sent that: ended windows which the
  catalogue has and from which the node counts. Nothing of this node was released there, so it still may be, once; and
  where the node would abstain later, this abstention is the answer.

Found from the tables at each start and after each recovery, each slot in one transaction, so a crash in between loses
nothing and says nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog

from federation.core import Core
from node.clock import Clock
from node.jobs.publishing import Publisher
from node.state.log import LogStore
from node.state.slots import SlotStore
from protocol.entries import ParsedEntry
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash, EntryId
from protocol.summaries import parse_summary
from protocol.windows import parse_window

_HOUR_MS: Final = 3_600_000

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
        clock: Clock,
        hold: Callable[[Sequence[ParsedEntry]], None],
    ) -> None:
        self._core = core
        self._logs = logs
        self._slots = slots
        self._publisher = publisher
        self._clock = clock
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
        generation, standing = own.generation, frozenset(own.ids)
        entries = list[ParsedEntry]()
        try:
            for definition, window in self._fallen(self._slots.entries(), standing, generation):
                entries.append(self._publisher.abstain_recovered(definition, window))
            for definition, window in self._not_ours(standing, generation):
                taken_back = self._publisher.abstain_taken_back(definition, window)
                if taken_back is not None:
                    entries.append(taken_back)
        finally:
            self._hold(entries)
        self._done = generation
        if entries:
            log.warning("answers.recovered", slots=len(entries))
        return len(entries)

    def _fallen(
        self, answers: Iterable[tuple[DefinitionHash, str, bytes]], standing: frozenset[EntryId], generation: int
    ) -> list[Slot]:
        """Slots all of whose answers are of an earlier generation and stand no more."""
        alive: dict[Slot, bool] = {}
        for definition, window, entry in answers:
            is_alive = entry in standing or self._generation_of(entry) >= generation
            alive[definition, window] = alive.get((definition, window), False) or is_alive
        return [slot for slot, is_alive in alive.items() if not is_alive]

    def _not_ours(self, standing: frozenset[EntryId], generation: int) -> list[Slot]:
        """Slots that void summaries of other hands spoke of, and nothing of this node does."""
        said = self._slots.taken_back()
        spoken = {(definition, window) for definition, window, _ in said} - set(
            self._fallen(said, standing, generation)
        )
        answered = self._slots.answered()
        found = dict.fromkeys(self._void_slots(standing, generation))  # in the order of the log, each once
        return [slot for slot in found if slot not in answered and slot not in spoken and self._matters(slot)]

    def _void_slots(self, standing: frozenset[EntryId], generation: int) -> Iterator[Slot]:
        for entry in self._logs.summaries_before(self._core.me, generation):
            parsed = None if entry in standing else self._logs.read(entry)
            if parsed is None:
                continue
            try:
                summary = parse_summary(parsed.entry.data, parsed.header.author)
            except ProtocolError:  # it never counted
                continue
            yield summary.definition, summary.window

    def _matters(self, slot: Slot) -> bool:
        """Whether an answer may ask for the slot by now: else a thief could have this node fill its log."""
        definition, text = slot
        window, rules = parse_window(text), self._core.rules
        member = rules.member(self._core.me)
        return (
            member is not None
            and member.counts_from <= window.start_hour
            and window.end_hour * _HOUR_MS <= self._clock.now_ms()
            and rules.has_window(definition, window)
        )

    def _generation_of(self, entry: bytes) -> int:
        parsed = self._logs.read(entry)  # type: ignore[arg-type]  # the table keeps plain bytes
        return -1 if parsed is None else parsed.header.generation
