"""The evidence a node holds, and whom it has told: sent to every member until that member acknowledged it. Pure.

Bounded whoever sends it: one document a position and `MAX_OF_AUTHOR` an author are kept, what is held is not verified
again, and a document costs at most `MAX_KEYS` verifications for each of its two headers. A framer needs two signatures
of its victim; a liar can fill the place of its own log alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from federation.batch import Batch
from federation.effects import EvidenceTold, StoreEvidence
from federation.errors import PeerError
from federation.evidence import Evidence, parse_evidence, verify_evidence
from federation.log_state import AuthorLog
from protocol.entries import RECOVER, Header, parse_header
from protocol.errors import ProtocolError
from protocol.ids import NodeId
from protocol.ops import MAX_EVIDENCE, PushVerdict

MAX_OF_AUTHOR: Final = 8
MAX_KEYS: Final = 4  # of the author's keys tried on a header: those in force there, the latest first


@dataclass(slots=True)
class Kept:
    """One document.

    Args:
        told: Members that acknowledged it, or brought it.
        settled: Members that refused it since the start; they are not asked again before the next.
    """

    author: NodeId
    position: tuple[int, int]
    body: bytes
    told: set[NodeId] = field(default_factory=set)
    settled: set[NodeId] = field(default_factory=set)

    @property
    def digest(self) -> bytes:
        return evidence_digest(self.body)


def evidence_digest(body: bytes) -> bytes:
    """The name of a document at this node: SHA-256 of its bytes."""
    return hashlib.sha256(body).digest()


class EvidenceBook:
    """Documents by author and position.

    Args:
        is_new: A document was found here, and nobody was told yet; whoever tells them sets it to False.
    """

    def __init__(self) -> None:
        self._kept: dict[NodeId, dict[tuple[int, int], Kept]] = {}
        self._asked_ms: dict[NodeId, int] = {}
        self.is_new = False

    def __iter__(self) -> Iterator[Kept]:
        return (kept for author in sorted(self._kept) for kept in self._kept[author].values())

    def restore(self, stored: Iterable[tuple[bytes, Iterable[NodeId]]]) -> None:
        """Documents from the node's own database, verified when they came, and whom they were told."""
        for body, told in stored:
            header = parse_header(parse_evidence(body).first.header)
            found = self._kept.setdefault(header.author, {})
            found[header.position] = Kept(header.author, header.position, body, set(told))

    def found(self, author: NodeId, evidence: Evidence, batch: Batch) -> None:
        """This node saw an author sign twice: keep the proof, and tell everybody."""
        position = parse_header(evidence.first.header).position
        if self._has_room(author, position):
            self._keep(Kept(author, position, evidence.encode()), batch)
            self.is_new = True

    def offer(self, body: bytes, log_of: dict[NodeId, AuthorLog], sender: NodeId, batch: Batch) -> PushVerdict:
        """A document a member sent: kept when it proves itself and is the first of its position.

        `behind`: a key of its author is not known here yet, or the author is not; ask again later.
        """
        try:
            evidence = parse_evidence(body)
            header = parse_header(evidence.first.header)
            known = self._kept.get(header.author, {}).get(header.position)
            if known is not None:
                if known.body == body:
                    self._told(known, sender, batch)
                return PushVerdict("have")
            log = log_of.get(header.author)
            if log is None:
                return PushVerdict("refused", code="not-a-member")
            if not self._has_room(header.author, header.position):
                return PushVerdict("refused", code="evidence-full")
            second = parse_header(evidence.second.header)
            keys, second_keys = keys_for(log, header), keys_for(log, second)
            if header.position == second.position and not (keys and second_keys):
                return PushVerdict("behind")
            verify_evidence(evidence, log.federation, header.author, keys, second_keys)
        except (ProtocolError, PeerError) as error:
            return PushVerdict("refused", code=error.code)
        kept = Kept(header.author, header.position, body, {sender})
        self._keep(kept, batch)
        batch.documents.append(EvidenceTold(sender, (kept.digest,)))
        return PushVerdict("ok")

    def untold(self, peer: NodeId) -> list[bytes]:
        """Documents a member neither acknowledged nor refused; as many as one push holds."""
        return [kept.body for kept in self if peer not in kept.told and peer not in kept.settled][:MAX_EVIDENCE]

    def is_to_ask(self, peer: NodeId, now_ms: int, again_ms: int) -> bool:
        """Whether to ask a member for what it could not tell; asked now, it is not asked again for a while."""
        last = self._asked_ms.get(peer)
        if last is not None and last <= now_ms < last + again_ms:
            return False
        self._asked_ms[peer] = now_ms
        return True

    def answered(self, peer: NodeId, bodies: Iterable[bytes], verdicts: Iterable[PushVerdict], batch: Batch) -> None:
        """What a member said of the documents we sent it."""
        sent = {kept.body: kept for kept in self}
        for body, verdict in zip(bodies, verdicts, strict=True):
            kept = sent.get(body)
            if kept is None:
                continue
            if verdict.verdict in ("ok", "have"):
                self._told(kept, peer, batch)
            elif verdict.verdict == "refused":
                kept.settled.add(peer)

    def _told(self, kept: Kept, peer: NodeId, batch: Batch) -> None:
        if peer not in kept.told:
            kept.told.add(peer)
            batch.documents.append(EvidenceTold(peer, (kept.digest,)))

    def _keep(self, kept: Kept, batch: Batch) -> None:
        self._kept.setdefault(kept.author, {})[kept.position] = kept
        batch.documents.append(StoreEvidence(kept.author, kept.position[1], kept.body))

    def _has_room(self, author: NodeId, position: tuple[int, int]) -> bool:
        found = self._kept.get(author, {})
        return position not in found and len(found) < MAX_OF_AUTHOR


def keys_for(log: AuthorLog, header: Header) -> list[bytes]:
    """Keys of the author that may have signed a header of this position: those in force there, on any branch known."""
    if header.kind == RECOVER:
        roots = [*log.roots[::-1], *([] if log.inception is None else [log.inception.root_key])]
        return roots[:MAX_KEYS]
    states = [*log.epochs, *(stub.keys for stub in log.sides.values())]
    if not states and log.keys is not None:
        states = [log.keys]
    if log.announced is not None:
        states.append(log.announced)
    fitting = [state for state in states if state.generation == header.generation and state.seq <= header.seq]
    fitting.sort(key=lambda state: state.seq, reverse=True)
    return list(dict.fromkeys(state.signing_key for state in fitting))[:MAX_KEYS]
