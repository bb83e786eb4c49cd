"""Proof bundles: one file from which anybody checks a released number, offline (PROTOCOL 7, specs/proofs.md).

A bundle holds the charter chain, the definition, the author's key chain, the entry with its cells, and the author's
other summaries of the same epoch without theirs. Given the federation id from elsewhere it proves who signed what
under which rules, that noise and charge are what the definition demands, and that the epoch's charges stay under the
cap as far as the shipped log goes. It does not prove that the node bounded, noised or counted honestly, nor that
nothing was voided later.

Wire form, canonical msgpack: `[1, "proof", federation, [charter document, …], definition, inception record,
[key change, …], entry, [[header, [signature], data], …], nil]`, each part as its own bytes. The last place is kept for
another member's attestation of the head; this version writes and takes nil only.

Every byte of a bundle is under a signature, a hash or the strict decoder, so a changed byte is named by its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final, TypeVar

from federation.documents import read_definition
from federation.errors import PeerError
from federation.judgement import Prefix, judge
from federation.rules import Rules
from federation.shown_log import ShownLog
from federation.verdicts import Counted, Void
from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.charter import Member
from protocol.charter_chain import CharterChain, verify_chain
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.entries import (
    MAX_DATA_BYTES,
    MAX_ENTRY_BYTES,
    MAX_HEADER_BYTES,
    Entry,
    Header,
    ParsedEntry,
    data_hash,
    parse_entry,
    parse_header,
    verify_entry,
)
from protocol.errors import ProtocolError
from protocol.fields import check_array, check_bytes
from protocol.identity import parse_inception
from protocol.ids import EntryId, FederationId
from protocol.key_chain import KeyState, chain_states, key_at
from protocol.objects import definition_hash
from protocol.summaries import SummaryData, parse_summary, read_cells
from protocol.windows import parse_window

MAX_PROOF_BYTES: Final = 16 << 20
PROVED: Final = (
    "who signed what under which rules; that noise and charge are what the definition demands; that the epoch's "
    "charges stay under the cap as far as the shipped log goes"
)
NOT_PROVED: Final = "that the node bounded, noised or counted honestly; nor that nothing was voided later"

_WIRE: Final = 1
_NAME: Final = "proof"
_MOST_OTHERS: Final = 10_000
_MOST_CHARTERS: Final = 1_000

T = TypeVar("T")


class ProofRefused(PeerError):
    """A proof bundle does not prove what it says; `part` names where it fails."""

    code = "proof_refused"

    def __init__(self, part: str, why: str) -> None:
        super().__init__(
            what=f"The proof is refused at its {part}",
            why=why.rstrip("."),
            fix="Fetch it again from another member; if it fails there too, do not use the number",
        )
        self.part = part


@dataclass(frozen=True, slots=True)
class Verified:
    """What a bundle proves.

    Args:
        federation: Federation id, hex.
        charter_version: Of the charter it was judged by.
        node, name: The author.
        metric, question: Of its definition.
        summary: The signed statement: window, person key, blocks with their exact noise, charge.
        cells: The released integers, block after block.
        position: (generation, seq) of the entry in its author's log.
        signed_at: The author's claimed time, Unix seconds.
        charged, cap: ρ of the epoch after this release, as stated, and the most allowed; in units of 10⁻⁹.
        others: How many other summaries of the epoch were shipped.
    """

    federation: str
    charter_version: int
    node: str
    name: str
    metric: str
    question: str
    summary: SummaryData
    cells: tuple[int, ...]
    position: tuple[int, int]
    signed_at: int
    charged: int
    cap: int
    others: int

    @property
    def sigma_squared(self) -> tuple[Fraction, ...]:
        """The exact variance of each block, in units of the measure squared."""
        return tuple(block.sigma2 * block.quantum**2 for block in self.summary.blocks)


def make_proof(
    federation: FederationId,
    charters: Sequence[CharterDocument],
    definition: bytes,
    inception: bytes,
    links: Sequence[bytes],
    entry: Entry,
    others: Sequence[Entry],
) -> bytes:
    """The bundle of one release; nothing is checked here."""
    parts: list[Encodable] = [
        _WIRE,
        _NAME,
        federation,
        [document.encode() for document in charters],
        definition,
        inception,
        list(links),
        entry.encode(),
        [[other.header, list(other.signatures), other.data] for other in others],
        None,
    ]
    return canonical.encode(parts)


def verify_proof(data: bytes, federation: bytes | None = None) -> Verified:
    """What the bundle proves.

    Args:
        data: The file.
        federation: The federation id, known from elsewhere; None believes the file, which proves less.

    Raises:
        ProofRefused: naming the part.
    """
    parts = _in("form", lambda: check_array(canonical.decode(data, max_bytes=MAX_PROOF_BYTES), "proof", 10, 10))
    if not is_form(parts, _NAME) or parts[9] is not None:
        raise ProofRefused("form", "it is no proof bundle of this version")
    stated = FederationId(_in("federation id", lambda: check_bytes(parts[2], "federation", 32, 32)))
    if federation is not None and stated != federation:
        raise ProofRefused("federation id", f"expected {federation.hex()}, got {stated.hex()}")
    chain = _chain(parts[3], stated)
    entry = _in("entry", lambda: parse_entry(check_bytes(parts[7], "entry", 1, MAX_ENTRY_BYTES)))
    keys, member, shown = _author(parts[5], parts[6], chain)
    node = keys[0].node
    if (entry.header.federation, entry.header.author) != (stated, node):
        raise ProofRefused("entry", "it is another node's, or another federation's")
    _in("entry's signature", lambda: verify_entry(entry.header, entry.entry, (key_at(keys, *entry.header.position),)))
    definition_body = _in("definition", lambda: check_bytes(parts[4], "definition", 1, 64 << 10))
    definition = read_definition(definition_body)
    if definition is None:
        raise ProofRefused("definition", "this version cannot compute it, or it was changed")
    hash_ = definition_hash(definition_body)
    summary = _in("entry", lambda: parse_summary(entry.entry.data, entry.header.author))
    if summary.definition != hash_:
        raise ProofRefused("definition", "it is not the one that the entry answers")
    rules = Rules(chain, {hash_: definition})
    others = _others(parts[8], entry, keys, {charge.epoch for charge in summary.charges})
    prefix = Prefix()
    for header, id_, other in others:
        caps = {charge.epoch: rules.cap_of(parse_window(charge.epoch)) for charge in other.charges}
        reason = shown.reason_against(header, id_) or prefix.charges.fold(other, caps)
        if reason is not None:
            raise ProofRefused("other summaries", f"the one for {other.window} breaks the rule {reason}")
    fault = reason_against(entry, prefix, rules, shown)
    if fault is not None:
        raise ProofRefused("entry", f"it does not count: {fault}")
    cap = rules.cap_of(parse_window(summary.charges[0].epoch))
    return Verified(
        federation=stated.hex(),
        charter_version=chain.charter.version,
        node=node.hex(),
        name=member.name,
        metric=definition.metric,
        question=definition.question,
        summary=summary,
        cells=read_cells(summary, entry.entry.cells),
        position=entry.header.position,
        signed_at=entry.header.at,
        charged=summary.total[0].rho_nano,
        cap=0 if cap is None else cap.rho_nano,
        others=len(others),
    )


def is_form(parts: Sequence[Value], name: str) -> bool:
    """Whether a file's first two items are this version, which true is not, and this word."""
    return type(parts[0]) is int and list(parts[:2]) == [_WIRE, name]


def reason_against(entry: ParsedEntry, prefix: Prefix, rules: Rules, shown: ShownLog) -> str | None:
    """Why an entry that a bundle shows does not count, None where it does."""
    is_later = entry.header.charter_version > rules.charter.version
    reason = None if is_later else shown.reason_against(entry.header, entry.id)
    verdict = judge(entry, prefix, rules).verdict
    if isinstance(verdict, Counted):
        return reason
    return reason or (verdict.reason if isinstance(verdict, Void) else "unknown")


def _chain(value: Value, federation: FederationId) -> CharterChain:
    """The charters from the founding one to the one in force, each verified."""
    bodies = _in("charter", lambda: check_array(value, "charter chain", 1, _MOST_CHARTERS))
    documents = _in(
        "charter",
        lambda: [parse_charter_document(check_bytes(body, "charter", 1, MAX_PROOF_BYTES)) for body in bodies],
    )
    chain = _in("charter", lambda: verify_chain(documents))
    if chain.federation != federation:
        raise ProofRefused("charter", f"it founds the federation {chain.federation.hex()}, expected {federation.hex()}")
    return chain


def _author(inception: Value, links: Value, chain: CharterChain) -> tuple[list[KeyState], Member, ShownLog]:
    """The author's keys through time, its place in the charter, and what its log may show."""
    record = _in("inception record", lambda: check_bytes(inception, "inception record", 1, 4096))
    found = _in("inception record", lambda: parse_inception(record))
    member = chain.member(found.node_id)
    if member is None:
        raise ProofRefused("inception record", "the charter does not name this node")
    changes = _in("key chain", lambda: [check_bytes(link, "link", 1, 70_000) for link in check_array(links, "", 0, 64)])
    roots = chain.roots(found.node_id)
    keys = _in("key chain", lambda: chain_states(record, changes, chain.federation, roots))
    return keys, member, ShownLog(chain, found.node_id, [parse_entry(change).header for change in changes])


def _others(
    value: Value, entry: ParsedEntry, keys: Sequence[KeyState], epochs: set[str]
) -> list[tuple[Header, EntryId, SummaryData]]:
    """The author's other summaries, in log order before the entry, each by the key in force where it stands."""
    part = "other summaries"
    found: list[tuple[Header, EntryId, SummaryData]] = []
    last = -1
    for item in _in(part, lambda: check_array(value, part, 0, _MOST_OTHERS)):
        header, other = _in(part, partial(_other, item))
        if (header.federation, header.author) != (entry.header.federation, entry.header.author):
            raise ProofRefused(part, f"entry {other.id.hex()[:16]} is another node's")
        if not last < header.seq < entry.header.seq:
            raise ProofRefused(part, f"entry {header.seq} of the log is out of order")
        last = header.seq
        key = _in(part, partial(key_at, keys, *header.position))
        _in(part, partial(verify_entry, header, other, (key,)))
        if header.data_hash != data_hash(other.data):
            raise ProofRefused(part, f"the data of entry {header.seq} of the log are not those that were signed")
        summary = _in(part, partial(parse_summary, other.data, entry.header.author))
        if epochs.isdisjoint(charge.epoch for charge in summary.charges):
            raise ProofRefused(part, f"entry {header.seq} of the log charges another epoch")
        found.append((header, other.id, summary))
    return found


def _other(item: Value) -> tuple[Header, Entry]:
    """One of the other summaries: its header, and the entry without cells."""
    what = "a summary"
    header, signatures, data = check_array(item, what, 3, 3)
    raw = check_bytes(header, what, 1, MAX_HEADER_BYTES)
    signed = tuple(check_bytes(one, what, 64, 64) for one in check_array(signatures, what, 1, 1))
    return parse_header(raw), Entry(raw, signed, check_bytes(data, what, 1, MAX_DATA_BYTES))


def _in(part: str, check: Callable[[], T]) -> T:
    """What the check gives; a refusal names the part."""
    try:
        return check()
    except ProtocolError as error:
        raise ProofRefused(part, error.why) from error
