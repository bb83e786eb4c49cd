"""All authors' logs, admitted and judged: the replicated state of the federation.

A pure fold over entries, charter and definitions that reads no clock: two nodes that hold the same entries hold
equal heads and equal verdicts, whatever order the entries came in (DESIGN I3, I8). What the fold decides is told to
the caller's `Batch`; nothing here sends or waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from federation.admission import Admitted, Decision, Duplicate, Forked, Refused, Superseded, admit
from federation.batch import Batch
from federation.bodies import Bodies
from federation.branches import Stub
from federation.effects import Change
from federation.evidence import make_evidence, parse_evidence
from federation.evidence_book import EvidenceBook
from federation.judged_log import FORKED, JudgedLog
from federation.judgement import Vote, is_unreadable, judge_again, reads_kind
from federation.log_state import AuthorLog, Cut
from federation.ports import EntrySource
from federation.rules import Rules
from federation.settings import Settings
from federation.verdicts import Opaque, Verdict, Void
from protocol.endpoints import Endpoint
from protocol.entries import (
    APPROVE,
    PROPOSE,
    RECOVER,
    Body,
    Entry,
    ParsedEntry,
    parse_carried,
    parse_entry,
    parse_header,
)
from protocol.errors import ProtocolError
from protocol.heads import Head, heads_digest
from protocol.identity import parse_inception
from protocol.ids import DefinitionHash, EntryId, NodeId
from protocol.key_chain import follow_link, start_chain
from protocol.ops import PushVerdict
from protocol.windows import parse_window

SUPERSEDED: Final = Void("superseded")
RECOVERED: Final = Void("recovered")
CUT: Final = Void("cut")
_PAGE_BYTES: Final = 4 << 20  # of entries read at once when a log is judged anew


class Logs:
    """One `AuthorLog` and one `JudgedLog` for everyone the charter names.

    Args:
        rules: Charter and definitions.
        source: Stored entries, read when a definition arrives or a fork shows.
        bodies: Which bodies are kept.
    """

    def __init__(self, rules: Rules, source: EntrySource, bodies: Bodies | None = None) -> None:
        self.rules = rules
        self.bodies = bodies or Bodies(Settings().opaque_bytes, None)
        self._stale: set[NodeId] = set()
        self._source = source
        self._logs = {author: _open_log(author, rules) for author in rules.authors}
        self._judged = {author: JudgedLog() for author in rules.authors}
        self._parked: dict[NodeId, tuple[AuthorLog, JudgedLog]] = {}  # of authors that the trusted chain lost
        self._digest: bytes | None = None
        self._heads: dict[NodeId, Head] = {}  # of the logs that did not move since they were asked for
        self.evidence = EvidenceBook()
        self._voters: list[NodeId] | None = None
        self.has_votes = True  # proposals or approvals changed since somebody set this to False

    # -- reading

    def log(self, author: NodeId) -> AuthorLog | None:
        """What is known of an author's log; None when no charter names the author."""
        return self._logs.get(author)

    def judged(self, author: NodeId) -> JudgedLog:
        return self._judged[author]

    def votes(self) -> Iterator[tuple[NodeId, list[Vote]]]:
        """Authors whose logs hold proposals or approvals, in the charter's order, with these."""
        if self._voters is None:
            self._voters = [author for author in self.rules.authors if self._judged[author].votes]
        return ((author, self._judged[author].votes) for author in self._voters)

    def key_of(self, author: NodeId) -> bytes | None:
        """The signing key in force of a member; None while unknown."""
        log = self._logs.get(author)
        return None if log is None else log.key

    def position(self, author: NodeId) -> tuple[int, int]:
        """Position of an author's last entry that stands; (0, -1) for none."""
        log = self._logs.get(author)
        return (0, -1) if log is None else log.position

    def endpoints_of(self, author: NodeId) -> tuple[Endpoint, ...]:
        """Where a member answers: what its log says last, else what the charter says first."""
        said = self._judged[author].endpoints
        member = self.rules.member(author)
        return said if said is not None else member.endpoints if member is not None else ()

    def heads(self) -> list[Head]:
        """One head per author, in the charter's order."""
        return [self._heads.get(author) or self._head(author) for author in self.rules.authors]

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

    def offer(self, parsed: ParsedEntry, batch: Batch, *, is_asked: bool = False) -> Decision:
        """Admit and judge an entry; what follows from it stands in the batch.

        An entry that is held without its body may bring it.

        Args:
            is_asked: True when this node asked for it, comparing logs: then also a branch that cannot count by itself
                is kept, since it may go on to one that does.
        """
        log = self._logs.get(parsed.header.author)
        decision = admit(parsed, log)
        if log is None or isinstance(decision, Duplicate | Refused):
            if isinstance(decision, Duplicate) and parsed.has_body and parsed.id in self.bodies.away:
                self._body_came(parsed, batch)
            return decision
        if isinstance(decision, Admitted):
            log.inception = decision.inception or log.inception
            log.append(parsed.id, decision.stub)
            self._moved(log.author)
            if parsed.header.kind in (PROPOSE, APPROVE):
                self._votes_moved()
            changes = self._judged[log.author].fold(parsed, self.rules)
            self._store(parsed, batch, is_opaque=isinstance(changes[0][1], Opaque))
            self._tell(log, changes, batch)
        elif isinstance(decision, Forked) or (isinstance(decision, Superseded) and is_asked):
            if decision.stub is None:
                raise ValueError("admission names what it saw")
            self._store(parsed, batch, is_opaque=True)
            self._beside(log, parsed, decision.stub, batch)
        elif isinstance(decision, Superseded):
            self._misused(log, parsed, batch)
        return decision

    def follow(self, rules: Rules, batch: Batch) -> None:
        """Judge by other rules from now on: another chain of charters, or other suspensions.

        Logs of new members begin, cuts and replaced roots take hold, and what the change can touch is judged anew.
        """
        old, self.rules = self.rules, rules
        self._voters = None
        self._digest = None
        self._heads.clear()
        for author in set(self._logs) - set(rules.authors):  # a rival charter's newcomers
            self._parked[author] = self._logs.pop(author), self._judged.pop(author)
        for author in rules.authors:
            if author not in self._logs:
                fresh = _open_log(author, rules), JudgedLog()
                self._logs[author], self._judged[author] = self._parked.pop(author, fresh)
            log = self._logs[author]
            is_reshaped = self._reshape(log, batch)
            if is_reshaped or _is_touched(author, old, rules, self._judged[author]):
                self._judge_anew(self._logs[author], batch)

    def restore(self, stored: Iterable[ParsedEntry]) -> Batch:
        """Build the state from the node's database: each author's entries in order of (generation, seq, id).

        Signatures are not verified again. The batch tells every verdict once and stores nothing.
        """
        batch = Batch()
        split: set[NodeId] = set()
        for parsed in stored:
            author = parsed.header.author
            log = self._logs.get(author)
            decision = admit(parsed, log, is_stored=True)
            if log is None:
                continue
            if isinstance(decision, Admitted):
                log.inception = decision.inception or log.inception
                log.append(parsed.id, decision.stub)
                if author not in split:
                    changes = self._judged[author].fold(parsed, self.rules)
                    self._tell(log, changes, batch)
                    self._count(parsed, is_opaque=isinstance(changes[0][1], Opaque))
                else:
                    self._count(parsed, is_opaque=True)
            elif isinstance(decision, Forked | Superseded) and decision.stub is not None:
                log.beside(decision.stub)
                self._count(parsed, is_opaque=True)
                if log.matters(decision.stub):
                    split.add(author)
                    log.settle()
        for author in split:
            self._judge_anew(self._logs[author], batch)
        self._digest = self._voters = None
        self._heads.clear()
        return batch

    def learn_inception(self, record: bytes, author: NodeId) -> None:
        """Remember a member's keys from its signed inception record (DESIGN: the id is the record's hash).

        Raises:
            ProtocolError: the record is bad.
            ValueError: it is another node's.
        """
        log = self._logs.get(author)
        if log is not None and log.inception is not None:
            return
        inception = parse_inception(record)
        if inception.node_id != author:
            raise ValueError("the inception record is another node's")
        if log is not None:
            log.inception = inception

    def learn_chain(self, author: NodeId, links: Iterable[bytes]) -> None:
        """Follow a member's key chain as far as it goes beyond what is known here; it proves itself.

        Links known already are not verified again, so that nobody makes us verify a chain twice.

        Raises:
            ProtocolError: a link is refused; those before it are kept.
        """
        log = self._logs.get(author)
        keys = None if log is None else log.keys
        if log is None or keys is None:
            return
        if log.announced is not None and log.rank(log.announced) > log.rank(keys):
            keys = log.announced
        for link in links:
            parsed = parse_entry(link)
            is_recover = parsed.header.kind == RECOVER and bool(log.roots)  # perhaps by a later root
            if parsed.id in log.links or not (is_recover or parsed.header.position > keys.position):
                continue
            base = start_chain(log.inception, log.federation) if is_recover and log.inception else keys
            found = follow_link(base, parsed, log.roots)
            if log.rank(found) > log.rank(keys):
                log.announced = keys = found

    def retired_key(self, author: NodeId, links: Sequence[bytes]) -> bytes | None:
        """The key a chain ends with, when the author's log went on from it here, or past it; else None.

        Past it goes a recover that leaves out a rotate, as when a node's clone rotates while the node recovers. Such a
        chain is not on the line: the links that leave it prove themselves.

        Raises:
            ProtocolError: a link is refused.
        """
        log = self._logs.get(author)
        if log is None or log.keys is None or len(log.epochs) < 2:
            return None
        if not links:
            return log.epochs[0].signing_key
        last = parse_entry(links[-1])
        if last.id in log.links:
            return None if last.id == log.links[-1] else log.epochs[log.links.index(last.id) + 1].signing_key
        if last.header.position >= log.keys.position:
            return None
        parsed = [parse_entry(link) for link in links]
        standing = [link.id for link in parsed if link.id in log.links]
        state = log.epochs[log.links.index(standing[-1]) + 1 if standing else 0]
        for link in parsed[len(standing) :]:
            state = follow_link(state, link, log.roots)
        return state.signing_key if log.rank(state) < log.rank(log.keys) else None

    def key_chain(self, author: NodeId) -> list[bytes]:
        """The rotate and recover entries that stand in a log, in order, as they travel."""
        links = self._logs[author].links
        return [entry.encode() for entry in self._source.load_entries(links, _PAGE_BYTES)] if links else []

    def definition_learnt(self, definition: DefinitionHash, batch: Batch) -> None:
        """Judge every summary that waited for this definition, now that `rules` knows it."""
        for author, judged in self._judged.items():
            log = self._logs[author]
            for slot, seq in judged.waiting_for(definition):
                for parsed in self._entries([log.ids[seq]], batch):
                    self._tell(log, judged.settle(slot, seq, judge_again(parsed, self.rules)), batch)

    def offer_evidence(self, body: bytes, sender: NodeId, batch: Batch) -> PushVerdict:
        """A proof a member sent that another signed twice."""
        verdict = self.evidence.offer(body, self._logs, sender, batch)
        if verdict.verdict == "ok":
            first, second = parse_evidence(body).ids
            header = parse_header(parse_evidence(body).first.header)
            log = self._logs[header.author]
            is_overtaken = log.keys is not None and log.keys.position > header.position
            self._alert(log, header.seq, "retired-key-used" if is_overtaken else "equivocation", first, second, batch)
        return verdict

    def missing_bodies(self) -> Iterator[tuple[EntryId, NodeId, int]]:
        """(id, author, seq) of the entries that stand and wait for their bodies."""
        for entry, author, seq in self.bodies.missing():
            log = self._logs.get(author)
            if log is not None and seq < log.height and log.ids[seq] == entry:
                yield entry, author, seq

    def judge_what_came(self, batch: Batch) -> None:
        """Judge the logs anew of which bodies came since."""
        authors, self._stale = self._stale, set()
        for author in authors & set(self._logs):
            self._judge_anew(self._logs[author], batch)

    # -- helpers

    def _moved(self, author: NodeId) -> None:
        """The author's line is another one."""
        self._digest = None
        self._heads.pop(author, None)

    def _votes_moved(self) -> None:
        self.has_votes, self._voters = True, None

    def _head(self, author: NodeId) -> Head:
        head = self._heads[author] = self._logs[author].head
        return head

    def _store(self, parsed: ParsedEntry, batch: Batch, *, is_opaque: bool) -> None:
        """Have an entry stored, perhaps without its body; `is_opaque`: perhaps it cannot be read here."""
        if not parsed.has_body:
            self.bodies.lacks(parsed, is_wanted=reads_kind(parsed.header.kind))
        elif is_opaque and is_unreadable(parsed):
            parsed = self.bodies.keep(parsed)
        batch.entries.append(parsed)

    def _count(self, parsed: ParsedEntry, *, is_opaque: bool) -> None:
        """The same of an entry that is stored already."""
        if not parsed.has_body:
            self.bodies.lacks(parsed, is_wanted=reads_kind(parsed.header.kind))
        elif is_opaque and is_unreadable(parsed):
            self.bodies.count(parsed)

    def _body_came(self, parsed: ParsedEntry, batch: Batch) -> None:
        """The body of an entry that is held without it; form and hashes were checked."""
        self.bodies.came(parsed.id)
        kept = self.bodies.keep(parsed) if is_unreadable(parsed) else parsed
        if kept.has_body:
            self.bodies.away.discard(parsed.id)
        batch.bodies.append(kept)
        self._stale.add(parsed.header.author)

    def _beside(self, log: AuthorLog, parsed: ParsedEntry, stub: Stub, batch: Batch) -> None:
        """The entry does not extend the line: remember it, and decide anew what stands where it could matter."""
        is_branch = stub.prev not in log.sides and stub.turn != "recover" and stub.seq < log.height
        rival = log.ids[stub.seq] if is_branch else None
        log.beside(stub)
        if log.matters(stub):
            line = tuple(log.ids)
            log.settle()
            self._moved(log.author)
            if tuple(log.ids) != line:
                self._judge_anew(log, batch)
        if stub.id in log.sides:
            self._tell_beside(log, parsed, batch)
        if rival is not None:
            self._prove(log, rival, parsed, batch)

    def _tell_beside(self, log: AuthorLog, parsed: ParsedEntry, batch: Batch) -> None:
        stub = log.sides[parsed.id]
        reason = _why_void(log, stub)
        batch.change(Change(log.author, stub.generation, stub.seq, stub.id, parsed.header.kind, reason))

    def _reshape(self, log: AuthorLog, batch: Batch) -> bool:
        """Let the charter's cut and roots take hold; whether they changed, and with them what is void, and why."""
        cut, roots = _cut_of(log.author, self.rules), self.rules.chain.roots(log.author)
        if (log.cut, log.roots) == (cut, roots):
            return False
        if roots[: len(log.roots)] == log.roots:
            log.cut, log.roots = cut, roots
            log.settle()
        else:  # a root that signed recovers is none any more: admit what is held again, signatures and all
            held = [*log.ids, *log.sides]
            fresh = _open_log(log.author, self.rules)
            fresh.inception, fresh.announced, fresh.alerted = log.inception, log.announced, log.alerted
            known = sorted(self._entries(held, batch), key=lambda item: (item.header.position, item.id))
            for parsed in known:
                decision = admit(parsed, fresh)
                if isinstance(decision, Admitted):
                    fresh.append(parsed.id, decision.stub)
                elif isinstance(decision, Forked | Superseded) and decision.stub is not None:
                    fresh.beside(decision.stub)
                    fresh.settle()
            self._logs[log.author] = fresh
        return True

    def _judge_anew(self, log: AuthorLog, batch: Batch) -> None:
        """Another line stands, or by other rules: judge it from its first entry; tell what changed, and what fell."""
        self._votes_moved()
        old, new = self._judged[log.author], JudgedLog()
        told = dict(zip(old.ids, zip(old.verdicts, old.kinds, strict=True), strict=True))
        self._judged[log.author] = new
        for parsed in self._entries(log.ids, batch):
            new.fold(parsed, self.rules)
        for seq, (entry, verdict, kind) in enumerate(zip(new.ids, new.verdicts, new.kinds, strict=True)):
            before = told.pop(entry, None)
            if before is None or before[0] != verdict:
                batch.change(Change(log.author, log.generation_at(seq), seq, entry, kind, verdict))
        for entry, (_, kind) in told.items():
            if entry not in log.sides:
                batch.change(Change(log.author, 0, old.ids.index(entry), entry, kind, SUPERSEDED))
        for parsed in self._entries(list(log.sides), batch):  # another line may void them for another reason
            self._tell_beside(log, parsed, batch)

    def _misused(self, log: AuthorLog, parsed: ParsedEntry, batch: Batch) -> None:
        """A retired key signed a second entry at an old position: an alert and its proof, nothing else."""
        if parsed.header.seq < log.height:
            self._prove(log, log.ids[parsed.header.seq], parsed, batch)

    def _prove(self, log: AuthorLog, rival: EntryId, second: ParsedEntry, batch: Batch) -> None:
        """Two entries of one author at one position: say so once, and keep the proof."""
        seq = second.header.seq
        code = "equivocation" if log.is_frozen else "retired-key-used"
        if not self._alert(log, seq, code, rival, second.id, batch):
            return
        for held in self._entries([rival], batch):
            if held.header.position == second.header.position:
                self._keep_proof(log, held, second, batch)

    def _alert(self, log: AuthorLog, seq: int, code: str, first: EntryId, second: EntryId, batch: Batch) -> bool:
        """Say once that two entries of one author are known at one position; False when it was said."""
        if (seq, code) in log.alerted:
            return False
        log.alerted.add((seq, code))
        batch.alarm(code, author=log.author.hex(), seq=seq, first=first.hex(), second=second.hex())
        return True

    def _keep_proof(self, log: AuthorLog, one: ParsedEntry, other: ParsedEntry, batch: Batch) -> None:
        self.evidence.found(log.author, make_evidence(one.entry, other.entry), batch)

    def _tell(self, log: AuthorLog, changed: list[tuple[int, Verdict]], batch: Batch) -> None:
        kinds = self._judged[log.author].kinds
        for seq, verdict in changed:
            batch.change(Change(log.author, log.generation_at(seq), seq, log.ids[seq], kinds[seq], verdict))

    def _entries(self, ids: list[EntryId], batch: Batch) -> Iterator[ParsedEntry]:
        """Stored entries, and those admitted in this very call, in the order asked for."""
        fresh = {parsed.id: parsed for parsed in (*batch.entries, *batch.bodies)}
        place = 0
        while place < len(ids):
            if ids[place] in fresh:
                yield fresh[ids[place]]
                place += 1
                continue
            stop = next((at for at in range(place, len(ids)) if ids[at] in fresh), len(ids))
            found = self._source.load_entries(ids[place:stop], _PAGE_BYTES)
            if not found:
                raise LookupError("an admitted entry is not in the database")
            yield from map(_parsed, found)
            place += len(found)


def offer_bytes(
    logs: Logs, data: bytes, batch: Batch, *, is_asked: bool = False
) -> tuple[ParsedEntry | None, Decision]:
    """Parse and offer foreign bytes; a broken entry is refused by the code of the rule it breaks."""
    try:
        parsed = parse_carried(data)
    except ProtocolError as error:
        return None, Refused(error.code, error.why)
    return parsed, logs.offer(parsed, batch, is_asked=is_asked)


def _open_log(author: NodeId, rules: Rules) -> AuthorLog:
    return AuthorLog(author, rules.federation, roots=rules.chain.roots(author), cut=_cut_of(author, rules))


def _cut_of(author: NodeId, rules: Rules) -> Cut | None:
    cut = rules.cut(author)
    return None if cut is None else (cut.generation, cut.seq, cut.entry)


def _is_touched(author: NodeId, old: Rules, new: Rules, judged: JudgedLog) -> bool:
    """Whether other rules can change a verdict in the author's log: a log of any length is judged anew only then."""
    one, other = old.charter, new.charter
    if not new.chain.holds(old.stamp.hash) or one.allow_private != other.allow_private:
        return True
    if judged.charter_version > one.version:  # it spoke of a charter that was not known here
        return True
    if one.caps != other.caps and any(old.cap_of(epoch) != new.cap_of(epoch) for epoch in judged.epochs()):
        return True
    moved = {row.definition for row in {*one.catalogue} ^ {*other.catalogue}}
    slots = ((slot[0], parse_window(slot[1])) for slot in judged.named_slots() if slot[0] in moved)
    if any(old.has_window(*slot) != new.has_window(*slot) or not old.rows(slot[0]) for slot in slots):
        return True
    before, after = old.member(author), new.member(author)
    counts = [
        None if member is None else (member.counts_from, member.cut, member.population) for member in (before, after)
    ]
    return counts[0] != counts[1] or old.suspended.get(author, ()) != new.suspended.get(author, ())


def _why_void(log: AuthorLog, stub: Stub) -> Void:
    """Why an entry beside the line does not count: from what stands alone, never from what came first (8.3)."""
    parting = log.parting(stub)
    if parting is None:
        return SUPERSEDED
    if log.cut is not None and parting <= log.cut[1] + 1:
        return CUT
    if parting <= log.recovered_at:
        return RECOVERED
    return FORKED if log.is_frozen and parting >= log.height else SUPERSEDED


def _parsed(entry: Entry) -> ParsedEntry:
    parsed = parse_carried(entry.encode())
    return parsed if entry.body is not Body.UNREADABLE else parsed.without_body(Body.UNREADABLE)
