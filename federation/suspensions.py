"""Which hours of which member suspensions take out: from the votes in the logs and the chain of charters alone."""

from __future__ import annotations

from federation.logs import Logs
from federation.rules import Span
from protocol.charter_chain import CharterChain
from protocol.errors import ProtocolError
from protocol.ids import NodeId
from protocol.kind_data import ApproveData, ProposeData
from protocol.suspension import (
    Suspension,
    SuspensionDocument,
    parse_suspension,
    suspension_in_force,
    verify_suspension,
    verify_suspension_approval,
)


def suspended_hours(logs: Logs, chain: CharterChain) -> dict[NodeId, tuple[Span, ...]]:
    """[from, until) of every suspension that holds, by member, in order.

    One a member and charter holds; of several the one with the lowest hash (specs/charter.md 3.6).
    """
    bodies: dict[bytes, bytes] = {}
    signatures: dict[bytes, list[ApproveData]] = {}
    for _, votes in logs.votes():
        for vote in votes:
            if isinstance(vote, ProposeData) and vote.suspension is not None:
                bodies[vote.document] = vote.suspension
            elif isinstance(vote, ApproveData):
                signatures.setdefault(vote.document, []).append(vote)
    holding: dict[tuple[bytes, NodeId], list[SuspensionDocument]] = {}
    for hash_, body in bodies.items():
        found = _verified(body, signatures.get(hash_, []), chain)
        if found is not None:
            document, said = found
            holding.setdefault((said.charter, said.member), []).append(document)
    spans: dict[NodeId, list[Span]] = {}
    for (_, member), documents in holding.items():
        chosen = suspension_in_force(documents)
        if chosen is not None:
            said = parse_suspension(chosen.body)
            spans.setdefault(member, []).append((said.from_hour, said.until_hour))
    return {member: tuple(sorted(found)) for member, found in spans.items()}


def _verified(
    body: bytes, approvals: list[ApproveData], chain: CharterChain
) -> tuple[SuspensionDocument, Suspension] | None:
    """The suspension with the good approvals among these, when they are enough."""
    try:
        said = parse_suspension(body)
    except ProtocolError:
        return None
    item = next((item for item in chain.items if item.hash == said.charter), None)
    if item is None:
        return None
    keys = {organisation.governance_key for organisation in item.charter.organisations}
    document = SuspensionDocument(body)
    for vote in approvals:
        if vote.governance_key not in keys:
            continue
        try:
            verify_suspension_approval(body, vote.governance_key, vote.signature, chain.federation)
        except ProtocolError:
            continue
        document = document.with_approval(vote.governance_key, vote.signature)
    try:
        return document, verify_suspension(document, item.charter, item.hash, chain.federation)
    except ProtocolError:
        return None
