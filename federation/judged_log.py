"""One author's log as judged: a verdict per entry, and what each slot says.

The fold is incremental and gives what judging the whole log at once would give: an opinion per entry from its
prefix, then the rules of slots over all claims of a slot. A later entry can change an earlier verdict (a second
release voids the first), and so can a definition that arrives or a fork that shows; every call returns the
verdicts that changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from federation.judgement import Opinion, Prefix, Vote, judge
from federation.rules import Rules
from federation.slots import Claim, SlotKey, SlotOutcome, resolve
from federation.verdicts import Opaque, Verdict, Void
from protocol.endpoints import Endpoint
from protocol.entries import KINDS, ParsedEntry
from protocol.ids import DefinitionHash, EntryId
from protocol.windows import WindowSpan, parse_window

FORKED: Final = Void("forked")
SLOT_FULL: Final = Void("slot_full")
MAX_SLOT_ENTRIES: Final = 64  # an honest author needs three; resolving a slot costs as much as it holds
MAX_VOTES: Final = 1024  # proposals and approvals remembered of one log, the last ones
_KINDS: Final = {kind: kind for kind in KINDS}  # one string per kind, not one per entry


class JudgedLog:
    """Verdicts, kinds and ids by seq, slots by (definition, window), votes, and the endpoints the log last named."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.kinds: list[str] = []
        self.ids: list[EntryId] = []
        self.endpoints: tuple[Endpoint, ...] | None = None
        self.votes: list[Vote] = []
        self._prefix = Prefix()
        self._claims: dict[SlotKey, list[Claim]] = {}
        self._without_claim: dict[SlotKey, list[tuple[int, Verdict]]] = {}  # void or opaque for themselves
        self._endpoint_history: list[tuple[int, tuple[Endpoint, ...]]] = []
        self._windows: dict[DefinitionHash, list[str]] = {}  # of the slots with claims, in the order of the first
        self._version = object()
        self._versions: dict[DefinitionHash, object] = {}

    def fold(self, parsed: ParsedEntry, rules: Rules) -> list[tuple[int, Verdict]]:
        """Take the next entry; (seq, verdict) of it and of every earlier entry whose verdict changed."""
        seq = parsed.header.seq
        if seq != len(self.verdicts):
            raise ValueError(f"expected entry {len(self.verdicts)} of the log, got {seq}")
        opinion = judge(parsed, self._prefix, rules)
        if opinion.slot is not None and self._is_full(opinion.slot):
            opinion = Opinion(SLOT_FULL)
        self.verdicts.append(opinion.verdict)
        self.ids.append(parsed.id)
        self.kinds.append(_KINDS.get(parsed.header.kind, parsed.header.kind))
        if opinion.endpoints is not None:
            self._endpoint_history.append((seq, opinion.endpoints))
            self.endpoints = opinion.endpoints
        if opinion.vote is not None:
            self.votes.append(opinion.vote)
            del self.votes[:-MAX_VOTES]
        changes = [] if opinion.slot is None else self._claim(opinion.slot, seq, opinion)
        return [(seq, self.verdicts[seq]), *((at, verdict) for at, verdict in changes if at != seq)]

    def named_slots(self) -> Iterator[SlotKey]:
        """Every slot some entry named, void ones included."""
        yield from self._claims
        yield from self._without_claim

    def epochs(self) -> Iterator[WindowSpan]:
        """Every epoch that was charged."""
        return (parse_window(epoch) for epoch in self._prefix.charges.totals)

    @property
    def charter_version(self) -> int:
        """The highest charter version an entry names."""
        return self._prefix.charter_version

    @property
    def version(self) -> object:
        """A thing that is another one whenever anything the log says of any slot has changed."""
        return self._version

    def version_of(self, definition: DefinitionHash) -> object:
        """A thing that is another one whenever anything the log says of a definition's slots has changed."""
        return self._versions.get(definition)

    def settle(self, slot: SlotKey, seq: int, verdict: Verdict) -> list[tuple[int, Verdict]]:
        """The summary at `seq` no longer waits for its definition."""
        self._version = self._versions[slot[0]] = object()
        claims = self._claims[slot]
        place = next(index for index, claim in enumerate(claims) if claim.seq == seq)
        if isinstance(verdict, Void | Opaque):
            del claims[place]
            self.verdicts[seq] = verdict
            self._without_claim.setdefault(slot, []).append((seq, verdict))
            return [(seq, verdict), *self._resolve(slot)]
        claims[place] = Claim(seq, claims[place].entry, claims[place].release, "", waiting=False)
        return self._resolve(slot)

    def fork_from(self, seq: int) -> list[tuple[int, Verdict]]:
        """Everything from `seq` on is void and leaves the log: the author signed twice there."""
        self._version = object()
        self._versions = dict.fromkeys(self._versions, self._version)
        changes: dict[int, Verdict] = dict.fromkeys(range(seq, len(self.verdicts)), FORKED)
        del self.verdicts[seq:], self.kinds[seq:], self.ids[seq:]
        for slot, claims in list(self._claims.items()):
            kept = [claim for claim in claims if claim.seq < seq]
            if len(kept) < len(claims):
                self._claims[slot] = kept
                changes.update(self._resolve(slot))
        for others in self._without_claim.values():
            others[:] = [item for item in others if item[0] < seq]
        self._endpoint_history = [item for item in self._endpoint_history if item[0] < seq]
        self.endpoints = self._endpoint_history[-1][1] if self._endpoint_history else None
        return sorted(changes.items())

    def waiting_for(self, definition: DefinitionHash) -> list[tuple[SlotKey, int]]:
        """(slot, seq) of the summaries that wait for this definition."""
        return [
            (slot, claim.seq)
            for slot, claims in self._claims.items()
            for claim in claims
            if slot[0] == definition and claim.waiting
        ]

    def slot(self, slot: SlotKey) -> SlotOutcome | None:
        """What a slot says, None when no good claim was ever made on it."""
        claims = self._claims.get(slot)
        return None if claims is None else resolve(slot[0], claims)

    def slots(self) -> Iterator[tuple[SlotKey, SlotOutcome]]:
        """Every slot with a claim, in the order of the first claim."""
        return ((slot, resolve(slot[0], claims)) for slot, claims in self._claims.items())

    def slots_of(self, definition: DefinitionHash) -> Iterator[tuple[str, SlotOutcome]]:
        """(window, what it says) of every slot of one definition with a claim, in the order of the first claim."""
        for window in self._windows.get(definition, ()):
            yield window, resolve(definition, self._claims[definition, window])

    def void_in(self, slot: SlotKey) -> list[tuple[int, Void]]:
        """(seq, verdict) of the summaries and abstains of a slot that are void, for whatever reason."""
        if slot not in self._claims and slot not in self._without_claim:
            return []
        claimed = [(claim.seq, self.verdicts[claim.seq]) for claim in self._claims.get(slot, ())]
        both = sorted(claimed + self._without_claim.get(slot, []), key=lambda item: item[0])
        return [(seq, verdict) for seq, verdict in both if isinstance(verdict, Void)]

    def _claim(self, slot: SlotKey, seq: int, opinion: Opinion) -> list[tuple[int, Verdict]]:
        self._version = self._versions[slot[0]] = object()
        if opinion.claim is None:
            self._without_claim.setdefault(slot, []).append((seq, opinion.verdict))
            return []
        if slot not in self._claims:
            self._claims[slot] = []
            self._windows.setdefault(slot[0], []).append(slot[1])
        self._claims[slot].append(opinion.claim)
        return self._resolve(slot)

    def _is_full(self, slot: SlotKey) -> bool:
        """Whether the log named this slot too often; every entry in form counts, known definitions or not."""
        return len(self._claims.get(slot, ())) + len(self._without_claim.get(slot, ())) >= MAX_SLOT_ENTRIES

    def _resolve(self, slot: SlotKey) -> list[tuple[int, Verdict]]:
        """Apply the rules of slots anew; the verdicts that changed."""
        claims = self._claims[slot]
        if not claims:
            del self._claims[slot]
            self._windows[slot[0]].remove(slot[1])
            return []
        seqs = (claim.seq for claim in claims)
        return list(self._changed(zip(seqs, resolve(slot[0], claims).verdicts, strict=True)))

    def _changed(self, verdicts: Iterable[tuple[int, Verdict]]) -> Iterator[tuple[int, Verdict]]:
        for seq, verdict in verdicts:
            if self.verdicts[seq] != verdict:
                self.verdicts[seq] = verdict
                yield seq, verdict
