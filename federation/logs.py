"""All authors' logs, admitted and judged: the replicated state of the federation.

A pure fold over entries, charter and definitions that reads no clock: two nodes that hold the same entries hold
equal heads and equal verdicts, whatever order the entries came in (DESIGN I3, I8). What the fold decides is told to
the caller's `Batch`; nothing here sends or waits.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.admission import Admitted, Decision, Forked, Refused, admit
from federation.batch import Batch
from federation.effects import Change, StoreEvidence
from federation.evidence import make_evidence
from federation.judged_log import FORKED, JudgedLog
from federation.judgement import judge_again
from federation.log_state import GENERATION, AuthorLog
from federation.ports import EntrySource
from federation.rules import Rules
from federation.verdicts import Verdict
from protocol.endpoints import Endpoint
from protocol.entries import Entry, ParsedEntry, parse_entry
from protocol.errors import ProtocolError
from protocol.heads import Head, heads_digest
from protocol.identity import parse_inception
from protocol.ids import DefinitionHash, NodeId

_ANY_SIZE = 1 << 40  # one entry is read whatever its size


class Logs:
    """One `AuthorLog` and one `JudgedLog` for everyone the charter names.

    Args:
        rules: Charter and definitions.
        source: Stored entries, read when a definition arrives or a fork shows.
    """

    def __init__(self, rules: Rules, source: EntrySource) -> None:
        self.rules = rules
        self._source = source
        self._logs = {author: AuthorLog(author, rules.federation) for author in rules.authors}
        self._judged = {author: JudgedLog() for author in rules.authors}
        self._digest: bytes | None = None

    # -- reading

    def log(self, author: NodeId) -> AuthorLog | None:
        """What is known of an author's log; None when no charter names the author."""
        return self._logs.get(author)

    def judged(self, author: NodeId) -> JudgedLog:
        return self._judged[author]

    def key_of(self, author: NodeId) -> bytes | None:
        """The signing key in force of a member; None while unknown."""
        log = self._logs.get(author)
        return None if log is None else log.key

    def endpoints_of(self, author: NodeId) -> tuple[Endpoint, ...]:
        """Where a member answers: what its log says last, else what the charter says first."""
        said = self._judged[author].endpoints
        member = self.rules.member(author)
        return said if said is not None else member.endpoints if member is not None else ()

    def heads(self) -> list[Head]:
        """One head per author, in the charter's order."""
        return [self._logs[author].head for author in self.rules.authors]

    @property
    def digest(self) -> bytes:
        """The digest of charter and heads; equal digests mean equal logs."""
        if self._digest is None:
            stamp = self.rules.stamp
            self._digest = heads_digest(stamp.version, stamp.attempt, stamp.hash, self.heads())
        return self._digest

    @property
    def count(self) -> int:
        """Number of good entries of all authors."""
        return sum(log.height for log in self._logs.values())

    # -- growing

    def offer(self, parsed: ParsedEntry, batch: Batch, *, is_stored: bool = False) -> Decision:
        """Admit and judge an entry; what follows from it stands in the batch.

        Args:
            is_stored: True for entries read back from the node's own database; they are not stored again.
        """
        log = self._logs.get(parsed.header.author)
        decision = admit(parsed, log, is_stored=is_stored)
        if log is None or not isinstance(decision, Admitted | Forked):
            return decision
        self._digest = None
        if isinstance(decision, Admitted):
            log.inception = decision.inception or log.inception
            log.append(parsed.id)
            self._tell(log, self._judged[log.author].fold(parsed, self.rules), batch)
        else:
            self._fork(log, parsed, batch, is_stored)
        if not is_stored:
            batch.entries.append(parsed)
        return decision

    def restore(self, stored: Iterable[ParsedEntry]) -> Batch:
        """Build the state from the node's database: each author's entries in order of (generation, seq).

        Signatures are not verified again. The batch tells every verdict once and stores nothing.
        """
        batch = Batch()
        for parsed in stored:
            self.offer(parsed, batch, is_stored=True)
        return batch

    def learn_inception(self, record: bytes, author: NodeId) -> None:
        """Remember a member's keys from its signed inception record (DESIGN: the id is the record's hash).

        Raises:
            ProtocolError: the record is bad.
            ValueError: it is another node's.
        """
        inception = parse_inception(record)
        if inception.node_id != author:
            raise ValueError("the inception record is another node's")
        log = self._logs.get(author)
        if log is not None and log.inception is None:
            log.inception = inception

    def definition_learnt(self, definition: DefinitionHash, batch: Batch) -> None:
        """Judge every summary that waited for this definition, now that `rules` knows it."""
        for author, judged in self._judged.items():
            for slot, seq in judged.waiting_for(definition):
                parsed = self._read(author, seq, batch)
                if parsed is not None:
                    self._tell(self._logs[author], judged.settle(slot, seq, judge_again(parsed, self.rules)), batch)

    # -- helpers

    def _fork(self, log: AuthorLog, second: ParsedEntry, batch: Batch, is_stored: bool) -> None:
        """The author signed `second` beside an entry held: everything from there on falls."""
        seq = second.header.seq
        first = log.ids[seq]
        self._tell(log, [(at, FORKED) for at in range(seq, log.height)], batch)
        self._tell(log, [item for item in self._judged[log.author].fork_from(seq) if item[0] < seq], batch)
        log.fork(seq, second.id)
        batch.change(Change(log.author, GENERATION, seq, second.id, second.header.kind, FORKED))
        if is_stored:
            return
        batch.alarm("equivocation", author=log.author.hex(), seq=seq, first=first.hex(), second=second.id.hex())
        held = self._read(log.author, seq, batch)
        if held is not None:
            evidence = make_evidence(held.entry, second.entry)
            batch.documents.append(StoreEvidence(log.author, seq, evidence.encode()))

    def _tell(self, log: AuthorLog, changed: list[tuple[int, Verdict]], batch: Batch) -> None:
        kinds = self._judged[log.author].kinds
        for seq, verdict in changed:
            batch.change(Change(log.author, GENERATION, seq, log.ids[seq], kinds[seq], verdict))

    def _read(self, author: NodeId, seq: int, batch: Batch) -> ParsedEntry | None:
        """A stored entry, or one admitted in this very call."""
        for parsed in batch.entries:
            if (parsed.header.author, parsed.header.seq) == (author, seq):
                return parsed
        found = self._source.entries_after(author, (GENERATION, seq - 1), _ANY_SIZE, 1)
        return _parsed(found[0]) if found else None


def offer_bytes(logs: Logs, data: bytes, batch: Batch) -> tuple[ParsedEntry | None, Decision]:
    """Parse and offer foreign bytes; a broken entry is refused by the code of the rule it breaks."""
    try:
        parsed = parse_entry(data)
    except ProtocolError as error:
        return None, Refused(error.code, error.why)
    return parsed, logs.offer(parsed, batch)


def _parsed(entry: Entry) -> ParsedEntry:
    return parse_entry(entry.encode())
