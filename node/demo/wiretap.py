"""What crossed between the nodes: every body the relay carried, decoded, accounted for, and searched.

A body is *innocent* when all of it is understood: a signed envelope between two members, an operation's payload in its
one form, and inside it only entries of a known kind whose data parses, charters and definitions that the federation
was founded with. A summary must also be a committed release: its entry stands in its author's log, up to the head that
the author itself names, its cells are those that were signed there, and its release is among those that the nodes'
answers are made of (an answer's identity is a hash of them). Everything else counts as raw; so does any body in which
a needle is found.

Uses `protocol/` to decode, as any outsider would; nothing of the nodes' own code.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from node.demo.needles import Hit
from node.demo.relay import Exchange
from protocol import attestation, canonical, entries, kind_data, ops, requests, summaries, token_data
from protocol.charter_document import parse_charter_document
from protocol.errors import ProtocolError
from protocol.ids import EntryId, NodeId
from protocol.objects import definition_hash
from protocol.summaries import SummaryData

SEPARATOR: Final = b"\xff" * 8  # between bodies in the haystack; no needle holds it

# How the data of each kind is read; a kind without a reader here has no business in the demo.
_READERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    entries.INCEPTION: kind_data.parse_inception_data,
    entries.ENDPOINT: kind_data.parse_endpoint_data,
    entries.ABSTAIN: kind_data.parse_abstain,
    entries.WITHDRAW: kind_data.parse_withdraw,
    entries.HEADS_ATTEST: attestation.parse_attest,
    entries.TOKEN_KEY: token_data.parse_token_key,
    entries.REVOKE_TOKEN: token_data.parse_revoke_token,
    entries.ROTATE: kind_data.parse_rotate,
    entries.RECOVER: kind_data.parse_recover,
    entries.PROPOSE: kind_data.parse_propose,
    entries.APPROVE: kind_data.parse_approve,
}

Link = tuple[str, str]  # names of sender and receiver
Position = tuple[int, int]  # generation and seq


@dataclass(frozen=True, slots=True)
class SentSummary:
    """A release as it went over the wire."""

    node: str
    entry: EntryId
    data: SummaryData
    cells: tuple[int, ...]


@dataclass(slots=True)
class _Body:
    """One request or response: where it ran, and what is wrong with it."""

    raw: bytes
    link: Link | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that crossed.

    Attributes:
        sent: Bytes of bodies that left a node, by link; a request counts although nobody was there.
        received: Bytes of bodies that reached a node, by link.
        entries: How many different entries were seen.
        summaries: Every different summary, each once.
        raw: Raw events that crossed: per body the event ids found in it, at least one where it is not innocent.
        faults: What is wrong, in words, each with its link.
        operations: Requests by operation.
    """

    sent: Counter[Link]
    received: Counter[Link]
    entries: int
    summaries: tuple[SentSummary, ...]
    raw: int
    faults: tuple[str, ...]
    operations: Counter[str]

    @property
    def bytes(self) -> int:
        return sum(self.sent.values())


class Wiretap:
    """Reads exchanges into an account."""

    def __init__(
        self, names: Mapping[bytes, str], definitions: Iterable[bytes], charter_bodies: Iterable[bytes]
    ) -> None:
        """Prepare.

        Args:
            names: Members' names by node id.
            definitions: Hashes of the definitions that the federation knows.
            charter_bodies: Bodies of its charters.
        """
        self._names = dict(names)
        self._definitions = frozenset(definitions)
        self._charters = frozenset(charter_bodies)
        self._bodies: list[_Body] = []
        self._entries: dict[EntryId, entries.ParsedEntry] = {}
        self._summaries: dict[EntryId, SentSummary] = {}
        self._carriers: dict[EntryId, list[_Body]] = {}
        self._sent: Counter[Link] = Counter()
        self._received: Counter[Link] = Counter()
        self._operations: Counter[str] = Counter()

    def read(self, exchanges: Iterable[Exchange]) -> None:
        """Decode exchanges; whatever is not understood becomes a fault of its body."""
        for exchange in exchanges:
            self._read_exchange(exchange)

    def haystack(self) -> bytes:
        """All bodies, end to end, for `Needles.search`."""
        return SEPARATOR.join(body.raw for body in self._bodies)

    def summaries(self) -> tuple[SentSummary, ...]:
        """Every different summary seen so far."""
        return tuple(self._summaries.values())

    def agrees_with(self, counters: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether the nodes' own byte counters, by name, say of every link what the relay carried."""
        ids = {name: node.hex() for node, name in self._names.items()}
        for node, own in counters.items():
            for peer in ids.keys() - {node}:
                sent, received = self._sent[node, peer], self._received[peer, node]
                if own["sent"].get(ids[peer], 0) != sent or own["received"].get(ids[peer], 0) != received:
                    return False
        return True

    def account(self, heads: Mapping[str, Position], hits: Sequence[Hit], counted: Container[bytes]) -> Account:
        """The account.

        Args:
            heads: Position (generation, seq) of the last entry of each author's log, by name, as the author says.
            hits: What `Needles.search` found in `haystack()`.
            counted: Ids of the releases that the nodes say are in their answers.
        """
        committed = {name: self._committed(name, head) for name, head in heads.items()}
        for entry, summary in self._summaries.items():
            if entry not in committed.get(summary.node, ()) or summary.data.release not in counted:
                for body in self._carriers[entry]:
                    body.faults.append(f"a summary for {summary.data.window} that is in no log of {summary.node}")
        found = self._place(hits)
        raw, faults = 0, []
        for index, body in enumerate(self._bodies):
            words = body.faults + [f"a {hit.kind} that was sent to a node" for hit in found.get(index, ())]
            if not words:
                continue
            raw += max(1, len({hit.needle for hit in found.get(index, ()) if hit.kind == "event id"}))
            link = " → ".join(body.link) if body.link else "unknown link"
            faults += [f"{link}: {word}" for word in dict.fromkeys(words)]
        return Account(
            sent=self._sent,
            received=self._received,
            entries=len(self._entries),
            summaries=tuple(self._summaries.values()),
            raw=raw,
            faults=tuple(faults),
            operations=self._operations,
        )

    def _read_exchange(self, exchange: Exchange) -> None:
        asked = _Body(exchange.request)
        self._bodies.append(asked)
        request = None
        try:
            request = requests.parse_request(exchange.request).request
            asked.link = self._link(request.sender, request.recipient)
            self._operations[request.op] += 1
            if exchange.path != f"/mesh/v1/{request.op}":
                asked.faults.append(f"operation {request.op} at another path")
            self._read_request(request, asked)
        except ProtocolError as error:
            asked.faults.append(f"a request that is none of the mesh ({error.code})")
        if asked.link is not None:
            self._sent[asked.link] += len(exchange.request)
        if exchange.response is None:
            return
        if asked.link is not None:
            self._received[asked.link] += len(exchange.request)
        answered = _Body(exchange.response, None if asked.link is None else (asked.link[1], asked.link[0]))
        self._bodies.append(answered)
        if exchange.response != requests.REFUSAL:
            try:
                response = requests.parse_response(exchange.response).response
                answered.link = self._link(response.sender, response.recipient)
                if request is None:
                    answered.faults.append("an answer to no request of the mesh")
                else:
                    self._read_response(request.op, response, answered)
            except ProtocolError as error:
                answered.faults.append(f"an answer that is none of the mesh ({error.code})")
        if answered.link is not None:
            self._sent[answered.link] += len(exchange.response)
            self._received[answered.link] += len(exchange.response)

    def _read_request(self, request: requests.Request, body: _Body) -> None:
        match request.op:
            case requests.HELLO:
                self._read_hello(request.payload, body)
            case requests.HEADS:
                ops.parse_heads(request.payload)
            case requests.RANGE:
                ops.parse_range_request(request.payload)
            case requests.PUSH:
                self._read_entries(ops.parse_push_request(request.payload).entries, body)
            case requests.ANNOUNCE:
                ops.parse_announce(request.payload)
            case requests.DOCS:
                ops.parse_docs_request(request.payload)
            case _:
                body.faults.append(f"operation {request.op}, which the demo never needs")

    def _read_response(self, op: str, response: requests.Response, body: _Body) -> None:
        if response.status != requests.OK:
            ops.parse_refusal(response.payload)
            return
        match op:
            case requests.HELLO:
                self._read_hello(response.payload, body)
            case requests.HEADS:
                ops.parse_heads(response.payload)
            case requests.RANGE:
                self._read_entries(ops.parse_range_reply(response.payload).entries, body)
            case requests.PUSH:
                ops.parse_push_reply(response.payload)
            case requests.DOCS:
                self._read_documents(ops.parse_docs_reply(response.payload).documents, body)
            case _:
                if response.payload:
                    body.faults.append(f"an answer to {op} that should be empty")

    def _read_hello(self, payload: bytes, body: _Body) -> None:
        for link in ops.parse_hello(payload).links:  # of the key chain, where somebody tried the keys
            if entries.parse_entry(link).header.kind not in (entries.ROTATE, entries.RECOVER):
                body.faults.append("a link of a key chain that is none")

    def _read_entries(self, items: Sequence[bytes], body: _Body) -> None:
        for item in items:
            try:
                self._read_entry(entries.parse_entry(item), body)
            except ProtocolError as error:
                body.faults.append(f"an entry that cannot be read ({error.code})")

    def _read_entry(self, parsed: entries.ParsedEntry, body: _Body) -> None:
        header, entry = parsed.header, parsed.entry
        author = self._names.get(header.author)
        if author is None:
            body.faults.append("an entry by nobody known")
            return
        self._entries[parsed.id] = parsed
        self._carriers.setdefault(parsed.id, []).append(body)
        if parsed.id in self._summaries:
            return
        if header.kind == entries.SUMMARY:
            data = summaries.parse_summary(entry.data, NodeId(header.author))
            cells = summaries.read_cells(data, entry.cells)
            self._summaries[parsed.id] = SentSummary(author, parsed.id, data, cells)
        elif header.kind in _READERS:
            _READERS[header.kind](entry.data)
        else:
            body.faults.append(f"an entry of kind {header.kind}")

    def _read_documents(self, documents: Sequence[ops.Document], body: _Body) -> None:
        for document in documents:
            if document.kind == ops.CHARTER_DOCUMENT:
                known = parse_charter_document(document.body).body in self._charters
            else:
                canonical.decode(document.body)
                known = document.kind == ops.DEFINITION_DOCUMENT and definition_hash(document.body) in self._definitions
            if not known:
                body.faults.append(f"a {document.kind} that the federation does not have")

    def _committed(self, author: str, head: Position) -> set[EntryId]:
        """The ids of a log, walked back from its head; empty where two entries claim the head's position."""
        at_head = [
            parsed
            for parsed in self._entries.values()
            if parsed.header.position == head and self._names[parsed.header.author] == author
        ]
        found: set[EntryId] = set()
        step = at_head[0].id if len(at_head) == 1 else None
        while step in self._entries and step not in found:
            found.add(step)
            step = self._entries[step].header.prev
        return found

    def _link(self, sender: bytes, recipient: bytes) -> Link:
        return self._names.get(sender, "a stranger"), self._names.get(recipient, "a stranger")

    def _place(self, hits: Sequence[Hit]) -> dict[int, list[Hit]]:
        """The hits by index of the body they lie in."""
        if not hits:
            return {}
        starts, end = [], 0
        for body in self._bodies:
            starts.append(end)
            end += len(body.raw) + len(SEPARATOR)
        found: dict[int, list[Hit]] = {}
        for hit in hits:
            found.setdefault(bisect_right(starts, hit.offset) - 1, []).append(hit)
        return found
