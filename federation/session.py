"""One session of anti-entropy with one peer: greet, compare heads, fetch what is missing here, send what is there.

A session is a queue of steps with one request in flight. It asks the shell for nothing itself: `next_request` gives
the next question, `absorb` takes the answer. It ends when the queue is empty.

- Of a log's pages the next is asked for before the one that came is taken in (`take_in`), so that the peer looks up
  the one while this node verifies the other. After a page that did not fit, the next one is left unread.
- A log is fetched by one session at a time (`claims`), so that several peers are not asked for the same bodies.
- Where two logs part, the lowest such position is found by halving (`Dig`) and both branches are fetched.
- What the peer lacks is sent when it is a push we owe it, a fork, or when the peer does not reach us; else it fetches.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from federation import spans
from federation.admission import PREV_MISMATCH, Behind, Refused
from federation.batch import Batch
from federation.charters import Charters
from federation.documents import Documents, read_definition
from federation.effects import StoreDefinition
from federation.logs import Logs
from federation.peers import Peer
from federation.ports import EntrySource
from federation.service import EVIDENCE_DOCUMENT, Service
from federation.settings import Settings
from federation.steps import AskCharters, Compare, CompareSpans, Fetch, FetchBodies, Greet, Step, Testify
from federation.sync import Dig, Pull, Send, Todo, compare
from federation.watch import report_charter
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.entries import parse_carried
from protocol.errors import BadSuccession, MalformedMessage, ProtocolError
from protocol.ids import EntryId, NodeId
from protocol.key_chain import MAX_CHAIN_LINKS
from protocol.ops import (
    CHARTER_DOCUMENT,
    DEFINITION_DOCUMENT,
    MAX_AUTHORS,
    MAX_DOCUMENTS,
    MAX_EVIDENCE,
    MAX_SPANS,
    DocsRequest,
    EvidencePush,
    HeadMark,
    Heads,
    PushRequest,
    RangeReply,
    RangeRequest,
    entries_that_fit,
    parse_docs_reply,
    parse_heads,
    parse_hello,
    parse_push_reply,
    parse_range_reply,
    parse_spans_reply,
)
from protocol.requests import DOCS, HEADS, HELLO, MAX_PAYLOAD_BYTES, PUSH, RANGE

BODY_RUN: Final = 64  # entries asked for at once because their bodies are away
BODY_RUNS: Final = 4


@dataclass(frozen=True, slots=True)
class Means:
    """What every session works with.

    Args:
        claims: Which session's peer is fetching which author's log.
    """

    me: NodeId
    logs: Logs
    source: EntrySource
    service: Service
    documents: Documents
    charters: Charters
    settings: Settings
    claims: dict[NodeId, NodeId]


@dataclass(slots=True)
class Session:
    """A session with one peer.

    Args:
        steps: What is left to do.
        step: What the request in flight is for.
        dug: Authors whose logs were searched already: once a session is enough.
        is_partial: True when a log was left to another session.
        has_greeted: True once hello was said in this session.
        only_announced: True when it fetches what the peer announced and compares nothing.
        has_compared: True once heads were compared.
        asked_under: The charter trusted when the question in flight was asked.
        is_probe: True when it started only because digests differed for a while.
    """

    means: Means
    peer: Peer
    steps: deque[Step] = field(default_factory=deque)
    step: Step | None = None
    dug: set[NodeId] = field(default_factory=set)
    is_partial: bool = False
    has_greeted: bool = False
    has_compared: bool = False
    asked_under: bytes = b""
    is_probe: bool = False
    started_ms: int = 0
    only_announced: bool = False
    _todo: list[Todo] = field(default_factory=list)  # what the comparison under way has found so far
    _fetches: int = 0  # of our own log by the peer, before we compared
    _sent: int = 0
    _more: bool = False
    _page: tuple[Pull, RangeReply] | None = None  # came, and is not taken in
    _is_off: bool = False  # the page before the one in flight did not fit

    @classmethod
    def start(
        cls, means: Means, peer: Peer, now_ms: int, *, is_probe: bool = False, only_announced: bool = False
    ) -> Session:
        """A session that greets when that is due, and compares, or fetches what was announced."""
        session = cls(means, peer, is_probe=is_probe, started_ms=now_ms, only_announced=only_announced)
        announced, peer.announced = sorted(peer.announced), set()
        if not peer.greeted:
            session.steps.append(Greet())
        is_removed = means.logs.rules.is_removed(means.me)
        if is_removed and peer.greeted:
            session.steps.append(Greet())  # nobody tells a removed node anything but charters
        if only_announced and not is_removed:
            logs = (means.logs.log(author) for author in announced)
            session.steps.extend(Pull(log.author, log.height, 1) for log in logs if log is not None)
            return session
        asked = peer.charter_asked_ms
        if peer.charter_due and (asked is None or now_ms - asked >= means.settings.charter_again_ms):
            peer.charter_asked_ms = now_ms
            session.steps.append(AskCharters(means.charters.book.chain.charter.version))
        if is_removed:
            return session
        wanted = (*means.logs.rules.missing_definitions(), *means.charters.council.wanted(), *_proposed(means))
        missing = wanted[:MAX_DOCUMENTS]
        if missing:
            session.steps.append(Fetch(missing))
        if not means.logs.endpoints_of(means.me) and means.logs.evidence.is_to_ask(
            peer.node, now_ms, means.settings.charter_again_ms
        ):
            session.steps.append(Fetch(()))  # evidence, which nobody can push here
        session.steps.append(session._comparison())
        session._testify()
        session._want_bodies()
        return session

    def greet_again(self) -> bool:
        """The peer did not know us: say hello and repeat the step; False when all was tried already."""
        step, self.step = self.step, None
        if step is None:
            return False
        if isinstance(step, Greet):
            length = self.means.service.hello().chain_length
            following = 0 if step.first_link is None else step.first_link + MAX_CHAIN_LINKS
            if length <= MAX_CHAIN_LINKS or following >= length:
                return False
            self.steps.appendleft(Greet(following))
            return True
        if self.has_greeted:
            return False
        self.steps.extendleft((step, Greet()))
        return True

    def next_request(self, nonce: bytes) -> tuple[str, bytes] | None:
        """(op, payload) of the next question; None when the session is over."""
        while self.steps:
            self.step = self.steps.popleft()
            self.asked_under = self.means.logs.rules.stamp.hash
            if isinstance(self.step, Compare | CompareSpans) and self._charters_differ:
                if self.has_greeted:
                    continue
                self.step = Greet()  # heads of two charters do not compare; the greeting shows ours
            question = self._question(self.step, nonce)
            if question is not None:
                return question
        self.step = None
        return None

    def question_again(self, nonce: bytes) -> tuple[str, bytes] | None:
        """The question in flight once more, under a new nonce."""
        return None if self.step is None else self._question(self.step, nonce)

    @property
    def has_page(self) -> bool:
        """Whether a page waits to be taken in."""
        return self._page is not None

    def take_in(self, now_ms: int, batch: Batch) -> None:
        """Verify, judge and have stored the page that waits, if one does."""
        if self._page is not None:
            (step, page), self._page = self._page, None
            self._is_off = not self._pulled(step, page, now_ms, batch)

    def absorb(self, payload: bytes, nonce: bytes, now_ms: int, batch: Batch) -> None:
        """Take the answer to the question in flight; a page that is not the last of its log waits for `take_in`.

        Raises:
            ProtocolError: the answer has not the form of its operation.
        """
        step = self.step
        match step:
            case Greet():
                self._greeted(payload)
            case Fetch():
                self._fetched(step, payload, now_ms, batch)
            case AskCharters():
                self._got_charters(step, payload, batch)
            case Compare() | CompareSpans() if self.asked_under != self.means.logs.rules.stamp.hash:
                # Another charter came meanwhile, and the answer speaks of the old one, perhaps of fewer authors.
                self.steps = deque(other for other in self.steps if not isinstance(other, CompareSpans))
                self.steps.appendleft(self._comparison())
            case Compare():
                self._compared(step, payload, nonce)
            case CompareSpans():
                self._compared_spans(step, payload, nonce)
            case FetchBodies():
                self._bodies_came(step, payload, now_ms, batch)
            case Testify():
                self._testified(step, payload, batch)
            case Pull():
                self._page_came(step, payload, now_ms, batch)
            case Dig():
                self._dug(step, payload)
            case Send():
                self._was_sent(step, payload)

    def close(self) -> None:
        """Let other sessions fetch what this one claimed."""
        for author in [author for author, peer in self.means.claims.items() if peer == self.peer.node]:
            del self.means.claims[author]

    # -- questions

    def _question(self, step: Step, nonce: bytes) -> tuple[str, bytes] | None:
        match step:
            case Greet():
                self.has_greeted = True
                return HELLO, self.means.service.hello(step.first_link).encode()
            case Fetch():
                return DOCS, DocsRequest(hashes=step.hashes).encode()
            case AskCharters():
                return DOCS, DocsRequest(charters_from=step.from_version).encode()
            case Compare():
                self._fetches = self.peer.fetches
                return HEADS, Heads((), step.full).encode()
            case FetchBodies():
                return self._range(step.author, step.seq, len(step.ids))
            case Testify():
                return PUSH, EvidencePush(step.documents).encode()
            case CompareSpans():
                return HEADS, spans.question(self.means.logs.heads(), step.places, nonce).encode()
            case Pull():
                return self._range(step.author, step.seq, self.means.settings.payload_entries, step.after)
            case Dig():
                return self._range(step.author, (step.low + step.high) // 2, 2)
            case Send():
                return self._push(step)

    def _range(self, author: NodeId, seq: int, limit: int, after: EntryId | None = None) -> tuple[str, bytes] | None:
        if self.means.claims.setdefault(author, self.peer.node) != self.peer.node:
            self.is_partial = True
            return None
        return RANGE, RangeRequest(author, 0, seq, after, limit).encode()

    def _push(self, step: Send) -> tuple[str, bytes] | None:
        log = self.means.logs.log(step.author)
        if log is None or (step.author == self.means.me and self.peer.fetches != self._fetches):
            return None  # it began to fetch what we owe it: bodies travel once
        limit = self.means.settings.payload_entries
        shown = list(islice(log.shown(step.seq), step.skip, step.skip + limit + 1))
        ids = [entry for _, entry in shown[:limit]]
        stored = self.means.source.load_entries(ids, MAX_PAYLOAD_BYTES) if ids else ()
        data = [entry.encode() for entry in stored]
        self._sent = entries_that_fit(data, limit)
        self._more = self._sent < len(shown)
        return (PUSH, PushRequest(tuple(data[: self._sent])).encode()) if self._sent else None

    # -- answers

    def _greeted(self, payload: bytes) -> None:
        hello = parse_hello(payload)
        self.peer.protocols = hello.min_protocol, hello.max_protocol
        self.peer.greeted = True
        if self.peer.digest == self.means.logs.digest:
            self.steps = deque(step for step in self.steps if not isinstance(step, Compare | CompareSpans))

    def _fetched(self, step: Fetch, payload: bytes, now_ms: int, batch: Batch) -> None:
        documents = parse_docs_reply(payload).documents
        proofs = [] if step.hashes else [one.body for one in documents if one.kind == EVIDENCE_DOCUMENT][:MAX_EVIDENCE]
        held = [
            one for one in proofs if self.means.service.hear(one, self.peer, now_ms, batch).verdict in ("ok", "have")
        ]
        if held:
            self.steps.append(Testify(tuple(held)))  # so the peer learns that it need not tell
        for document in documents:
            if document.kind == CHARTER_DOCUMENT:
                self._take_charter(step, parse_charter_document(document.body), batch)
            if document.kind != DEFINITION_DOCUMENT:
                continue
            found = self.means.documents.keep(document.body, step.hashes)
            if found is not None:
                self.means.logs.rules.learn(found, read_definition(document.body))
                batch.documents.append(StoreDefinition(found, document.body))
                self.means.logs.definition_learnt(found, batch)
        # Who proposes a charter has its definitions: what is to be collected can be read before anybody signs.
        unread = [hash_ for hash_ in _proposed(self.means) if hash_ not in step.hashes][:MAX_DOCUMENTS]
        if unread:
            self.steps.appendleft(Fetch(tuple(unread)))

    def _take_charter(self, step: Fetch, charter: CharterDocument, batch: Batch) -> None:
        """A charter that was asked for. One that is of no use, as a rival that too few signed, costs nothing else."""
        if charter.hash in step.hashes:
            try:
                self.means.charters.take(charter, batch)
            except ProtocolError as error:
                batch.log("mesh.charter_refused", peer=self.peer.node.hex(), code=error.code, why=error.why)

    def _got_charters(self, step: AskCharters, payload: bytes, batch: Batch) -> None:
        """Charters in order; where they do not follow what is known here, the peer's chain parts lower down."""
        reply = parse_docs_reply(payload)
        last, known = step.from_version, len(self.means.charters.book.known)
        for item in reply.documents:
            if item.kind != CHARTER_DOCUMENT:
                continue
            charter = parse_charter_document(item.body)
            try:
                self.means.charters.keep(charter, batch)
            except BadSuccession:
                if step.from_version > 1:
                    self.steps.appendleft(AskCharters(1))
                    return
                raise
            last = max(last, parse_charter(charter.body).version)
        if len(self.means.charters.book.known) > known:
            self.peer.charter_asked_ms = None  # it shows what it names: its next charter need not wait
        if reply.more and last > step.from_version:
            self.steps.appendleft(AskCharters(last))
        else:
            report_charter(self.peer, self.means.charters.book, batch)

    @property
    def _charters_differ(self) -> bool:
        stamp = self.peer.stamp
        return stamp is not None and stamp.hash != self.means.logs.rules.stamp.hash

    def _compared(self, step: Compare, payload: bytes, nonce: bytes) -> None:
        theirs = parse_heads(payload)
        self.has_compared = True
        authors = self.means.logs.rules.authors
        if not theirs.marks:
            return  # the peer found our digest equal to its own
        if len(theirs.marks) != len(authors) or theirs.full != step.full:
            raise MalformedMessage(what="heads refused", why=f"{len(theirs.marks)} heads for {len(authors)} authors")
        self._begin_todo()
        for author, mark in zip(authors, theirs.marks, strict=True):
            self._note(author, mark, nonce, full=step.full)
        self._end_todo(may_look_closer=not step.full)

    def _compared_spans(self, step: CompareSpans, payload: bytes, nonce: bytes) -> None:
        """Shorten the stretches in which the vectors differ."""
        reply, authors = parse_spans_reply(payload), self.means.logs.rules.authors
        found = spans.read(self.means.logs.heads(), step.places, reply, nonce)
        if not step.places:
            self._begin_todo()
            if not reply.spans and not reply.stretches:  # the peer found our digest equal to its own
                self.has_compared = True
                return
        for place, mark in found.marks:
            self._note(authors[place], mark, nonce, full=False)
        further = [found.places[at : at + MAX_SPANS] for at in range(0, len(found.places), MAX_SPANS)]
        self.steps.extendleft(CompareSpans(places) for places in reversed(further))
        if not any(isinstance(other, CompareSpans) for other in self.steps):
            self.has_compared = True
            self._end_todo(may_look_closer=len(authors) <= MAX_AUTHORS)

    def _want_bodies(self) -> None:
        """A few runs of entries without their bodies, of those this peer was not asked for."""
        runs: list[tuple[NodeId, int, list[EntryId]]] = []
        for entry, author, seq in self.means.logs.missing_bodies():
            if entry in self.peer.bodies_asked:
                continue
            if runs and runs[-1][0] == author and runs[-1][1] + len(runs[-1][2]) == seq and len(runs[-1][2]) < BODY_RUN:
                runs[-1][2].append(entry)
            elif len(runs) < BODY_RUNS:
                runs.append((author, seq, [entry]))
            else:
                break
        self.steps.extend(FetchBodies(author, seq, tuple(ids)) for author, seq, ids in runs)

    def _bodies_came(self, step: FetchBodies, payload: bytes, now_ms: int, batch: Batch) -> None:
        """What the peer holds of them; what it does not, it is not asked for again for a while."""
        entries = parse_range_reply(payload).entries
        for data in entries:
            self.means.service.take(data, self.peer, now_ms, batch, is_asked=True)
        missing = {entry for entry, _, _ in self.means.logs.missing_bodies()}
        # Of what was told the missing ones are missing there, too; a peer that told nothing of use is not asked on.
        has_come = any(entry not in missing for entry in step.ids)
        self.peer.bodies_asked.update(step.ids[: len(entries)] if has_come else step.ids)
        self.means.claims.pop(step.author, None)
        if not any(isinstance(other, FetchBodies) for other in self.steps):
            self._want_bodies()

    def _testify(self) -> None:
        documents = self.means.logs.evidence.untold(self.peer.node)
        if documents:
            self.steps.append(Testify(tuple(documents)))

    def _testified(self, step: Testify, payload: bytes, batch: Batch) -> None:
        verdicts = parse_push_reply(payload).verdicts
        if len(verdicts) != len(step.documents):
            raise MalformedMessage(what="push reply refused", why=f"{len(verdicts)} verdicts on {len(step.documents)}")
        self.means.logs.evidence.answered(self.peer.node, step.documents, verdicts, batch)
        if not any(verdict.verdict == "behind" for verdict in verdicts):  # those come again with the next session
            self._testify()

    def _comparison(self) -> Compare | CompareSpans:
        """How heads are compared in a federation of this size."""
        is_large = len(self.means.logs.rules.authors) > self.means.settings.spans_above
        return CompareSpans() if is_large else Compare()

    def _begin_todo(self) -> None:
        self.peer.missing_here = self.peer.missing_there = 0
        self._todo = []

    def _note(self, author: NodeId, mark: HeadMark, nonce: bytes, *, full: bool) -> None:
        log = self.means.logs.log(author)
        todo = () if log is None else compare(log, mark, nonce, full=full)
        self.peer.missing_here += sum(item.missing for item in todo if isinstance(item, Pull))
        self.peer.missing_there += sum(item.missing for item in todo if isinstance(item, Send))
        self._todo += todo

    def _end_todo(self, *, may_look_closer: bool) -> None:
        """Everything is compared: fetch first, then send what is ours to send."""
        todo, self._todo = self._todo, []
        if not todo and may_look_closer and self.peer.digest != self.means.logs.digest:
            self.steps.append(Compare(full=True))
        self.steps.extend(item for item in todo if not isinstance(item, Send))
        self.steps.extend(item for item in todo if isinstance(item, Send) and self._is_ours_to_send(item))

    def _is_ours_to_send(self, item: Send) -> bool:
        log = self.means.logs.log(item.author)
        return (
            (item.author == self.means.me and self.peer.is_owed)
            or (log is not None and log.is_frozen)
            or not self.peer.reaches_us(self.peer.word_ms, self.means.settings)
        )

    def _page_came(self, step: Pull, payload: bytes, now_ms: int, batch: Batch) -> None:
        page = parse_range_reply(payload)
        if self._is_off:
            self._is_off = False
            return
        following = _after(step, page)
        if following is not None:
            self._page = step, page
            self.steps.appendleft(following)
        elif self._pulled(step, page, now_ms, batch):
            self.means.claims.pop(step.author, None)

    def _pulled(self, step: Pull, page: RangeReply, now_ms: int, batch: Batch) -> bool:
        """Offer the entries of a page; False when one does not fit on what is here."""
        log = self.means.logs.log(step.author)
        if log is None:
            return False
        for data in page.entries:
            _, decision = self.means.service.take(data, self.peer, now_ms, batch, is_asked=True)
            if isinstance(decision, Refused | Behind):
                is_elsewhere = isinstance(decision, Behind) or decision.code == PREV_MISMATCH
                if is_elsewhere and not step.is_last_try:
                    self._dig_below(step.author, min(log.height, step.seq) - 1)
                return False
        self.peer.missing_here = max(0, self.peer.missing_here - len(page.entries))
        return True

    def _dug(self, step: Dig, payload: bytes) -> None:
        """Halve the stretch in which the logs part."""
        log = self.means.logs.log(step.author)
        middle = (step.low + step.high) // 2
        found = [parse_carried(data) for data in parse_range_reply(payload).entries]
        ids = [parsed.id for parsed in found if parsed.header.seq == middle]
        if log is None or not ids or middle >= log.height:
            return
        low, high = (middle + 1, step.high) if log.ids[middle] in ids else (step.low, middle)
        if low < high:
            self.steps.appendleft(Dig(step.author, low, high))
        else:
            self.steps.appendleft(Pull(step.author, low, 1, is_last_try=True))

    def _was_sent(self, step: Send, payload: bytes) -> None:
        verdicts = parse_push_reply(payload).verdicts
        if len(verdicts) != self._sent:
            raise MalformedMessage(what="push reply refused", why=f"{len(verdicts)} verdicts on {self._sent} entries")
        log = self.means.logs.log(step.author)
        if any(verdict.code == PREV_MISMATCH for verdict in verdicts):
            self._dig_below(step.author, min(step.seq, log.height if log else 0) - 1)
        elif all(verdict.verdict in ("ok", "have") for verdict in verdicts) and self._more:
            self.steps.appendleft(replace(step, skip=step.skip + self._sent))

    def _dig_below(self, author: NodeId, high: int) -> None:
        if author not in self.dug and high >= 0:
            self.dug.add(author)
            self.steps.appendleft(Dig(author, 0, high))


def _after(step: Pull, page: RangeReply) -> Pull | None:
    """The page to ask for after this one; None when it is the last, or its last entry no step on or not in form."""
    if not page.more or not page.entries:
        return None
    try:
        last = parse_carried(page.entries[-1])
    except ProtocolError:
        return None
    place = last.header.seq, last.id
    is_further = last.header.author == step.author and place > (step.seq, step.after or b"")
    return replace(step, seq=last.header.seq, after=last.id) if is_further else None


def _proposed(means: Means) -> list[bytes]:
    """Definitions of open proposals whose bodies are not here."""
    rules, proposals = means.logs.rules, means.charters.council.proposals()
    named = (row.definition for item in proposals for row in item.charter.catalogue)
    return [hash_ for hash_ in dict.fromkeys(named) if not rules.knows(hash_)]
