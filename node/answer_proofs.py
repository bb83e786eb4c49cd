"""Gathers what the proof bundle of an answer holds (federation/answer_proofs.py): entries, keys, charters."""

from __future__ import annotations

from collections.abc import Mapping

from federation.answer_proofs import AuthorPart, make_answer_proof
from federation.combine import Refusal
from federation.core import Core
from federation.proofs import MAX_PROOF_BYTES
from federation.query import Query, QueryRefused
from node.release_bodies import window_of
from node.state.log import LogStore
from privacy.units import Window
from protocol.entries import SUMMARY, Entry, parse_entry, parse_header
from protocol.ids import DefinitionHash, EntryId, NodeId
from protocol.summaries import parse_summary


class ProofTooLarge(QueryRefused):
    """What a proof of this answer would hold is more than a verifier takes."""

    code = "proof_too_large"
    status = 413

    def __init__(self) -> None:
        super().__init__(
            what="The answer is not proved",
            why=f"its entries, and the others that charge the same epochs, are more than {MAX_PROOF_BYTES >> 20} MiB",
            fix="Ask for fewer windows, or choose members with nodes=",
        )


def answer_proof(
    core: Core, logs: LogStore, definitions: Mapping[DefinitionHash, bytes], query: Query, data: bytes
) -> bytes:
    """The bundle of an answer; in the event loop, for the core is read.

    Args:
        query: With the windows that the answer is about.
        data: The answer's canonical JSON.

    Raises:
        ProofTooLarge: it would be larger than verifiers take.
    """
    rules = core.rules
    wanted = set(query.nodes)
    authors: list[AuthorPart] = []
    voided: list[Refusal] = []
    size = 0
    for author in rules.authors:
        if rules.member(author) is None or (wanted and author.hex() not in wanted):
            continue
        judged = core.logs.judged(author)
        spoken: dict[int, EntryId] = {}
        for window, row in query.windows:
            slot = DefinitionHash(row.definition_hash), window.text
            outcome = judged.slot(slot)
            claim = None if outcome is None else outcome.released or outcome.abstained
            if claim is not None:
                spoken[claim.seq] = claim.entry
            elif void := judged.void_in(slot):
                voided.append(Refusal(author, window, void[-1][1].reason))
        if spoken:
            part = _author_part(core, logs, author, spoken)
            size += sum(len(entry.data) + len(entry.cells or b"") + 500 for _, entry in part.items)
            if size > MAX_PROOF_BYTES:
                raise ProofTooLarge
            authors.append(part)
    asked = {row.definition_hash for _, row in query.windows} | {query.row.definition_hash}
    bodies = [definitions[DefinitionHash(digest)] for digest in sorted(asked)]
    bundle = make_answer_proof(
        rules.federation, [item.document for item in rules.chain.items], bodies, query, data, authors, voided,
        rules.suspended,
    )  # fmt: skip
    if len(bundle) > MAX_PROOF_BYTES:
        raise ProofTooLarge
    return bundle


def _author_part(core: Core, logs: LogStore, author: NodeId, spoken: Mapping[int, EntryId]) -> AuthorPart:
    """The entries that speak, and without cells the other summaries that charge their epochs before them."""
    items = {seq: (True, entry) for seq, entry in _stored(logs, spoken).items()}
    epochs: dict[Window, int] = {}
    for seq, (_, entry) in items.items():
        if parse_header(entry.header).kind == SUMMARY:
            for charge in parse_summary(entry.data, author).charges:
                epoch = window_of(charge.epoch)
                epochs[epoch] = max(epochs.get(epoch, 0), seq)
    lengths = {epoch.kind for epoch in epochs}
    others = {
        claim.seq: claim.entry
        for (_, text), outcome in core.logs.judged(author).slots()
        if (claim := outcome.released) is not None
        and claim.seq not in spoken
        and any(claim.seq < epochs.get(Window.containing(kind, window_of(text).start_hour), 0) for kind in lengths)
    }
    items |= {seq: (False, entry) for seq, entry in _stored(logs, others).items()}
    last = max(items)
    links = [link for link in core.logs.key_chain(author) if parse_entry(link).header.seq < last]
    [first] = logs.entries_after(author, (-1, -1), 1 << 20, 1)
    return AuthorPart(first.data, links, [items[seq] for seq in sorted(items)])


def _stored(logs: LogStore, wanted: Mapping[int, EntryId]) -> dict[int, Entry]:
    """Entries by seq.

    Raises:
        ProofTooLarge: they are more than a verifier takes.
    """
    found = logs.load_entries(list(wanted.values()), MAX_PROOF_BYTES)
    if len(found) < len(wanted):
        raise ProofTooLarge
    return dict(zip(wanted, found, strict=True))
