"""What is asked of the audit log: to show it, to check it against what was attested, to hand it on.

An export is NDJSON: first a line `murmur.audit-export/1` with the node id, the federation id, the signed inception
record and the key chain, then every record, then each own `heads_attest` entry. So the file proves by itself that its
chain is whole and holds the heads its node attested; that these are *all* its attestations only another member's log
can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from federation.core import Core
from node.audit import Audit
from node.audit_chain import AttestedAudit, AuditProblem, AuditRecord, problems
from node.errors import RejectedInput
from node.state.log import LogStore
from protocol.attestation import AttestData, parse_attest
from protocol.entries import HEADS_ATTEST, ParsedEntry
from protocol.errors import ProtocolError
from protocol.ids import NodeId

_LATELY: Final = 8  # attestations of a peer that are looked at: each covers all that stood before it


class AuditView:
    """The audit log of the running node, seen by its operator.

    Args:
        names: Members' names by node id.
        inception: The node's own signed birth record.
    """

    def __init__(
        self, *, audit: Audit, core: Core, logs: LogStore, names: Mapping[NodeId, str], inception: bytes
    ) -> None:
        self._audit = audit
        self._core = core
        self._logs = logs
        self._names = names
        self._inception = inception

    def show(self, *, after: int = 0, since_s: int = 0, last: int = 100) -> dict[str, Any]:
        """The last records after a number and not before a time."""
        self._audit.flush()
        store = self._audit.store
        found = store.records(after=after, since_s=since_s)[-last:] if after or since_s else store.last(last)
        return {"records": [_shown(record) for record in found]}

    def verify(self) -> dict[str, Any]:
        """Check the whole chain against every head this node attested, and its log against what peers attested."""
        me = self._core.me
        records = self._audit.store.records()
        attested = list(self._attested(me))
        found = [*problems(records, me, attested), *self._of_own_log()]
        return {
            "is_whole": not found,
            "records": len(records),
            "attested": len(attested),
            "witnesses": self._witnesses(),
            "problems": [{"kind": one.kind, "words": one.words} for one in found],
        }

    def attested_by(self, node: str) -> dict[str, Any]:
        """The audit heads that a member attested, as this node holds them.

        Raises:
            RejectedInput: no member has this name or id.
        """
        found = next((one for one, name in self._names.items() if node in (one.hex(), name)), None)
        if found is None:
            raise RejectedInput(
                code="unknown_member", what="Nothing was attested", why=f'no member is called "{node[:64]}"',
                fix='"murmur peers" shows the members',
            )  # fmt: skip
        heads = [{"head": one.head.hex(), "at": one.at_s, "seq": one.seq} for one in self._attested(found)]
        return {"node": found.hex(), "heads": heads}

    def export(self) -> bytes:
        """The whole log with its proofs, NDJSON."""
        self._audit.flush()
        return b"".join(msgspec.json.encode(line) + b"\n" for line in self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        core = self._core
        yield {
            "schema": "murmur.audit-export/1", "node": core.me.hex(), "federation": core.rules.federation.hex(),
            "inception": self._inception.hex(), "links": [link.hex() for link in core.logs.key_chain(core.me)],
        }  # fmt: skip
        for record in self._audit.store.records():
            yield record.as_json()
        for parsed, _ in self._attestations(core.me):
            yield {"entry": parsed.entry.encode().hex()}

    def _attested(self, node: NodeId) -> Iterator[AttestedAudit]:
        for parsed, data in self._attestations(node):
            if data.audit is not None:
                yield AttestedAudit(data.audit, parsed.header.at, parsed.header.seq)

    def _attestations(self, node: NodeId, latest: int | None = None) -> Iterator[tuple[ParsedEntry, AttestData]]:
        """Those that stand in the author's log, in its order."""
        log = self._core.logs.log(node)
        if log is None:
            return
        for parsed in self._logs.of_kind(node, HEADS_ATTEST, latest):
            seq = parsed.header.seq
            if seq < log.height and log.ids[seq] == parsed.id:
                try:
                    yield parsed, parse_attest(parsed.entry.data)
                except ProtocolError:
                    continue  # judged malformed or of a later version

    def _lately(self, node: NodeId) -> list[tuple[ParsedEntry, AttestData]]:
        return list(self._attestations(node, _LATELY))

    def _witnesses(self) -> int:
        """How many other members attested a head of this node's log."""
        peers = [node for node in self._core.rules.authors if node != self._core.me]
        return sum(any(data.head_of(self._core.me) for _, data in self._lately(node)) for node in peers)

    def _of_own_log(self) -> Iterator[AuditProblem]:
        own = self._core.logs.log(self._core.me)
        for node in self._core.rules.authors:
            if node == self._core.me or own is None:
                continue
            for _, data in self._lately(node):
                head = data.head_of(self._core.me)
                if head is None or head.generation < own.generation:
                    continue  # a recovery may have made void what was attested before it
                if head.seq >= own.height or own.ids[head.seq] != head.id:
                    yield AuditProblem(
                        "own_log",
                        f"{self._names.get(node, node.hex()[:16])} attested entry {head.seq} of this node's log, "
                        "which is not the one held here",
                    )


def _shown(record: AuditRecord) -> dict[str, Any]:
    shown = record.as_json()
    del shown["salt"]
    return shown
