"""The effects of one call, collected and put in the order the shell needs: store, judge, tell, send, reply."""

from __future__ import annotations

from dataclasses import dataclass, field

from federation.effects import (
    Alarm,
    Change,
    CharterTrusted,
    Effect,
    EvidenceTold,
    Fields,
    JoinAsked,
    Judged,
    Log,
    Reply,
    SendRequest,
    StoreBodies,
    StoreCharter,
    StoreDefinition,
    StoreEntries,
    StoreEvidence,
)
from protocol.entries import ParsedEntry
from protocol.ids import EntryId


@dataclass(slots=True)
class Batch:
    """What one call of the core has decided so far; `effects` gives it to the shell."""

    entries: list[ParsedEntry] = field(default_factory=list)
    bodies: list[ParsedEntry] = field(default_factory=list)
    documents: list[StoreEvidence | EvidenceTold | StoreDefinition | StoreCharter] = field(default_factory=list)
    trusted: CharterTrusted | None = None
    joins: list[JoinAsked] = field(default_factory=list)
    notices: list[Alarm | Log] = field(default_factory=list)
    requests: list[SendRequest] = field(default_factory=list)
    _changes: dict[EntryId, Change] = field(default_factory=dict)

    def change(self, change: Change) -> None:
        """An entry's verdict; the last one of a call is the one that is told."""
        self._changes.pop(change.entry, None)
        self._changes[change.entry] = change

    def alarm(self, code: str, **fields: str | int) -> None:
        self.notices.append(Alarm(code, _fields(fields)))

    def log(self, event: str, **fields: str | int) -> None:
        self.notices.append(Log(event, _fields(fields)))

    def effects(self, reply: Reply | None = None) -> list[Effect]:
        """Everything decided, in the order it is to be carried out."""
        ordered: list[Effect] = []
        if self.entries:
            ordered.append(StoreEntries(tuple(self.entries)))
        if self.bodies:
            ordered.append(StoreBodies(tuple(self.bodies)))
        ordered += self.documents
        if self.trusted is not None:
            ordered.append(self.trusted)
        ordered += self.joins
        if self._changes:
            ordered.append(Judged(tuple(self._changes.values())))
        ordered += self.notices
        ordered += self.requests
        if reply is not None:
            ordered.append(reply)
        return ordered


def _fields(fields: dict[str, str | int]) -> Fields:
    return tuple(fields.items())
