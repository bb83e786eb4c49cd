"""The audit log's chain, without a database: what a record's hash covers, and what is wrong with a list of records.

    hash = SHA-256( "murmur-audit-v1" ‖ 00 ‖ canonical [before, number, at, actor, action, subject, outcome, salt] )

`before` is the hash of the record before; of the first one the node id. `salt` is random, so that a hash that others
attested (`heads_attest`) confirms no guess at what stands in a record (specs/node.md 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from protocol import canonical
from protocol.canonical import MAX_INTEGER

SALT_BYTES: Final = 16
_DOMAIN: Final = b"murmur-audit-v1\x00"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the log.

    Args:
        number: 1, 2, 3 …
        at_s: Unix seconds by the node's clock.
        actor: `operator` (the socket), `key:<id>`, `token:<issuer>/<id>`, `stranger` or `node`.
        action: What was asked for: a route, or a word such as `keys.rotate`.
        subject: What it was about: the id of a key, a number of times. Never a person, never a question's values.
        outcome: `begun`, `done`, or `refused: <code>`.
    """

    number: int
    at_s: int
    actor: str
    action: str
    subject: str
    outcome: str
    salt: bytes
    hash: bytes

    def expected_hash(self, before: bytes) -> bytes:
        """What the hash must be after the record whose hash is `before`."""
        texts = [text.encode() for text in (self.actor, self.action, self.subject, self.outcome)]
        body = canonical.encode([before, self.number, self.at_s, *texts, self.salt])
        return hashlib.sha256(_DOMAIN + body).digest()

    def as_json(self) -> dict[str, Any]:
        """As `audit show` and `audit export` give it."""
        return {
            "number": self.number, "at": self.at_s, "actor": self.actor, "action": self.action,
            "subject": self.subject, "outcome": self.outcome, "salt": self.salt.hex(), "hash": self.hash.hex(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, document: Any) -> AuditRecord:
        """Raises ValueError for anything that is no record."""
        try:
            texts = [document[name] for name in ("actor", "action", "subject", "outcome")]
            numbers = [document[name] for name in ("number", "at")]
            salt, digest = bytes.fromhex(document["salt"]), bytes.fromhex(document["hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("a line is no audit record") from error
        in_form = all(type(text) is str for text in texts) and all(
            type(number) is int and 0 <= number <= MAX_INTEGER for number in numbers
        )
        if not in_form or len(salt) != SALT_BYTES or len(digest) != 32:
            raise ValueError("a line is no audit record")
        actor, action, subject, outcome = texts
        return cls(numbers[0], numbers[1], actor, action, subject, outcome, salt, digest)


@dataclass(frozen=True, slots=True)
class AttestedAudit:
    """The head of the log as an entry of the node's own log attested it, in the order of that log."""

    head: bytes
    at_s: int
    seq: int


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """What is wrong, and where: `changed`, `missing`, `cut` or `order`."""

    kind: str
    words: str


def problems(records: Sequence[AuditRecord], node: bytes, attested: Iterable[AttestedAudit] = ()) -> list[AuditProblem]:
    """Everything that is wrong with the log, by place; empty when it is whole and holds every attested head in order.

    Args:
        records: The whole log, as it is stored.
        node: The node id.
        attested: Heads that signed entries carry, best as another member holds them.
    """
    return [*_of_chain(records, node), *_of_heads(records, attested)]


def _of_chain(records: Sequence[AuditRecord], node: bytes) -> Iterator[AuditProblem]:
    before, number = node, 0
    for record in records:
        if record.number != number + 1:
            lost = f"{number + 1} to {record.number - 1}" if record.number > number + 2 else str(number + 1)
            yield AuditProblem("missing", f"what was recorded as {lost} is missing before record {record.number}")
        elif record.expected_hash(before) != record.hash:
            yield AuditProblem("changed", f"record {record.number}, or the one before it, is not what was written")
        before, number = record.hash, record.number


def _of_heads(records: Sequence[AuditRecord], attested: Iterable[AttestedAudit]) -> Iterator[AuditProblem]:
    place = {record.hash: record.number for record in records}
    highest = 0
    for head in attested:
        number = place.get(head.head)
        when = f"{datetime.fromtimestamp(head.at_s, UTC):%Y-%m-%d %H:%M} UTC (own entry {head.seq})"
        if number is None:
            yield AuditProblem(
                "cut", f"the head that was attested on {when} is not in this log: it was cut, rewritten or restored"
            )
        elif number < highest:
            yield AuditProblem("order", f"the head that was attested on {when} lies before an earlier attested one")
        else:
            highest = number
