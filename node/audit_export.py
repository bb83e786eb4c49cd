"""An exported audit log, read and checked without a node (specs/node.md 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from node.audit_chain import AttestedAudit, AuditProblem, AuditRecord, problems
from node.errors import RejectedInput
from protocol.attestation import parse_attest
from protocol.entries import HEADS_ATTEST, ParsedEntry, parse_entry, verify_entry
from protocol.identity import parse_inception
from protocol.ids import FederationId, NodeId
from protocol.key_chain import KeyState, advance_chain, start_chain

SCHEMA = "murmur.audit-export/1"


@dataclass(frozen=True, slots=True)
class Export:
    """The records of one node, with the heads its own signed entries attest."""

    node: NodeId
    federation: FederationId
    records: Sequence[AuditRecord]
    attested: Sequence[AttestedAudit]

    def problems(self) -> list[AuditProblem]:
        """What is wrong by what stands in the file."""
        return problems(self.records, self.node, self.attested)

    def against(self, attested: Sequence[AttestedAudit]) -> list[AuditProblem]:
        """What is wrong by heads that another member holds and the file does not name."""
        known = {one.head for one in self.attested}
        return [
            one
            for one in problems(self.records, self.node, [one for one in attested if one.head not in known])
            if one.kind in ("cut", "order")
        ]


def parse_export(content: bytes) -> Export:
    """Read the file and verify who signed its attestations.

    Raises:
        RejectedInput: it is no export.
        ProtocolError: an attestation, or the key chain, does not verify.
    """
    lines = content.split(b"\n")
    if len(lines) < 2 or lines[-1]:
        _refuse("it does not end with a whole line")
    head = _json(lines[0])
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        _refuse(f"it does not begin with {SCHEMA}")
    try:
        inception = parse_inception(bytes.fromhex(head["inception"]))
        federation = FederationId(bytes.fromhex(head["federation"]))
        links = [parse_entry(bytes.fromhex(link)) for link in head["links"]]
    except (KeyError, TypeError, ValueError):
        _refuse("its first line lacks the node's keys")
    if inception.node_id.hex() != head.get("node"):
        _refuse("its first line names another node than the birth record")
    states = [start_chain(inception, federation)]
    for link in links:
        states.append(advance_chain(states[-1], link))
    records: list[AuditRecord] = []
    attested: list[AttestedAudit] = []
    for line in lines[1:-1]:
        document = _json(line)
        if isinstance(document, dict) and "entry" in document:
            found = _attested(document["entry"], states)
            if found is not None:
                attested.append(found)
            continue
        try:
            records.append(AuditRecord.from_json(document))
        except ValueError as error:
            _refuse(str(error))
    return Export(inception.node_id, federation, records, attested)


def _attested(entry: Any, states: Sequence[KeyState]) -> AttestedAudit | None:
    try:
        parsed: ParsedEntry = parse_entry(bytes.fromhex(entry))
    except (TypeError, ValueError):
        _refuse("a line is no entry")
    header, keys = parsed.header, states[0]
    if (header.author, header.federation, header.kind) != (keys.node, keys.federation, HEADS_ATTEST):
        _refuse("an entry in it is not an attestation of its node")
    for state in states:
        if state.position < header.position:
            keys = state
    verify_entry(header, parsed.entry, (keys.signing_key,))
    data = parse_attest(parsed.entry.data)
    return None if data.audit is None else AttestedAudit(data.audit, header.at, header.seq)


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        _refuse("a line is not JSON")


def _refuse(why: str) -> NoReturn:
    raise RejectedInput(
        code="no_audit_export", what="The file is no audit log", why=why,
        fix='Make one with "murmur audit export FILE"',
    )  # fmt: skip
