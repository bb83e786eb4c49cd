"""Vectors played to the real logs: entries and charters in, states, heads and what is served out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from federation.admission import Behind, Decision, Refused
from federation.batch import Batch
from federation.documents import read_definition
from federation.effects import Judged
from federation.logs import CUT, Logs, offer_bytes
from federation.rules import Rules
from federation.suspensions import suspended_hours
from federation.verdicts import Verdict, Void, verdict_text
from protocol.charter_chain import CharterChain, verify_chain
from protocol.charter_document import parse_charter_document
from protocol.entries import Entry, ParsedEntry, parse_entry
from protocol.ids import EntryId
from protocol.objects import definition_hash


@dataclass
class Held:
    """A node's database of entries, in memory."""

    entries: dict[EntryId, ParsedEntry] = field(default_factory=dict)

    def load_entries(self, ids: Sequence[EntryId], max_bytes: int) -> list[Entry]:
        return [self.entries[one].entry for one in ids]

    def read(self, entry: EntryId) -> ParsedEntry | None:
        return self.entries.get(entry)


@cache  # a few chains and definitions are in hundreds of cases
def _chain(charters: tuple[bytes, ...]) -> CharterChain:
    return verify_chain([parse_charter_document(one) for one in charters])


_definition = cache(read_definition)


class Replay:
    """One node that knows these charters and definitions, and is offered entries."""

    def __init__(self, charters: Iterable[bytes], definitions: Iterable[bytes]) -> None:
        chain = _chain(tuple(charters))
        self.held = Held()
        self.verdicts: dict[EntryId, Verdict] = {}
        self.logs = Logs(Rules(chain, {definition_hash(one): _definition(one) for one in definitions}), self.held)

    def offer(self, entry: bytes, *, is_asked: bool = True) -> Decision:
        """One entry, and whatever follows from it, suspensions too."""
        batch = Batch()
        _, decision = offer_bytes(self.logs, entry, batch, is_asked=is_asked)
        self._carry_out(batch)
        if suspended_hours(self.logs, self.logs.rules.chain) != self.logs.rules.suspended:
            self._judge_by(self.logs.rules.chain)
        return decision

    def follow(self, charters: Iterable[bytes]) -> None:
        """Trust a longer chain from now on."""
        self._judge_by(_chain(tuple(charters)))

    def offer_all(self, entries: Iterable[bytes]) -> None:
        """All of them, in whatever order; what does not fit yet is offered again, as an exchange of logs would.

        What is refused because a charter cut the log, and what stands on that, is void for the cut.
        """
        waiting = list(entries)
        while waiting:
            later = []
            for one in waiting:
                decision = self.offer(one)
                if isinstance(decision, Refused) and decision.code == "cut":
                    self.verdicts[parse_entry(one).id] = CUT
                elif isinstance(decision, Behind | Refused):
                    later.append((one, decision))
            if len(later) == len(waiting):
                break
            waiting = [one for one, _ in later]
        for one in waiting:
            parsed = parse_entry(one)
            log = self.logs.log(parsed.header.author)
            if log is not None and log.cut is not None:
                self.verdicts[parsed.id] = CUT

    def state(self, entry: bytes) -> str:
        """What an entry is worth."""
        verdict = self.verdicts[parse_entry(entry).id]
        return f"void: {verdict.reason}" if isinstance(verdict, Void) else verdict_text(verdict)

    def _judge_by(self, chain: CharterChain) -> None:
        batch = Batch()
        self.logs.follow(Rules(chain, self.logs.rules.definitions, suspended_hours(self.logs, chain)), batch)
        self._carry_out(batch)

    def _carry_out(self, batch: Batch) -> None:
        self.held.entries.update((parsed.id, parsed) for parsed in batch.entries)
        for effect in batch.effects():
            if isinstance(effect, Judged):
                self.verdicts.update((change.entry, change.verdict) for change in effect.changes)
