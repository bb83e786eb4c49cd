"""How one charter follows another: pure, from bodies and signatures alone (specs/charter.md 3.4 and 3.5).

A charter names the charters it follows by hash, usually one; a charter that heals a split vote names both. What may
change from one to the next is written down here and nowhere else: nothing that was said may be lost, nothing that was
promised may be loosened for days that have begun. Whether a charter is valid depends on it and on those it follows,
never on who brought it or when; which of two valid ones a node trusts is `chain_order`'s part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from protocol.charter import CatalogueRow, Charter, Cut, Member, parse_charter
from protocol.charter_document import CharterDocument, verify_approval, verify_founding
from protocol.errors import BadSignature, BadSuccession, ThresholdNotMet
from protocol.ids import CharterHash, FederationId, NodeId

NOTICE_S: Final = 48 * 3600
"""Seconds from a charter's `created` to what it ends or caps anew: nodes must have heard of it by then."""

_FOREVER: Final = 1 << 60  # an hour beyond any row's end


@dataclass(frozen=True, slots=True)
class TrustedCharter:
    """A charter whose signatures and succession were verified."""

    document: CharterDocument
    charter: Charter

    @property
    def hash(self) -> CharterHash:
        return self.document.hash

    @property
    def place(self) -> tuple[int, int, CharterHash]:
        """Where it stands in every list of charters."""
        return self.charter.version, self.charter.attempt, self.hash


class CharterChain:
    """A trusted charter and all that it follows, in order of (version, attempt, hash). Never changed; `verify_chain`
    and `extend_chain` make it.

    Args:
        federation: The federation id: the hash of version 1.
        items: From version 1 to the trusted one, which is the last.
    """

    def __init__(self, federation: FederationId, items: Sequence[TrustedCharter]) -> None:
        self.federation = federation
        self.items = tuple(items)
        self.tip = self.items[-1]
        self._authors = tuple(dict.fromkeys(member.node for item in self.items for member in item.charter.members))
        self._members = {member.node: member for member in self.tip.charter.members}

    @property
    def charter(self) -> Charter:
        """The trusted charter."""
        return self.tip.charter

    @property
    def authors(self) -> tuple[NodeId, ...]:
        """Everyone named in any charter so far, in order of first appearance (specs/mesh.md 6.4)."""
        return self._authors

    def holds(self, charter: CharterHash) -> bool:
        """Whether this charter is one of the chain."""
        return any(item.hash == charter for item in self.items)

    def member(self, node: NodeId) -> Member | None:
        """What the trusted charter says of a node, None when none ever named it. Nobody is ever left out again."""
        return self._members.get(node)

    def roots(self, node: NodeId) -> tuple[bytes, ...]:
        """Root keys charters named for a node after the one of its inception record, oldest first."""
        named = (member.root for member in self._named(node))
        return tuple(dict.fromkeys(root for root in named if root is not None))

    def cut(self, node: NodeId) -> Cut | None:
        """Where a charter ended the node's log last; it holds on after the node was readmitted."""
        return next((member.cut for member in reversed(list(self._named(node))) if member.cut is not None), None)

    def is_removed(self, node: NodeId) -> bool:
        """Whether the trusted charter ends the node's log."""
        member = self._members.get(node)
        return member is not None and member.cut is not None

    def caps_at(self, hour: int) -> Mapping[str, Fraction]:
        """The caps of an epoch that begins at this hour since 1970: of the last charter made 48 hours before it.

        Those of version 1 hold for all epochs before.
        """
        made = (item.charter for item in reversed(self.items) if item.charter.created + NOTICE_S <= hour * 3600)
        return next(made, self.items[0].charter).caps

    def absences(self, node: NodeId) -> tuple[tuple[int, int | None], ...]:
        """Hours [from, until) in which a node was removed, by the dates of the charters; until None: to this day."""
        found: list[tuple[int, int | None]] = []
        since: int | None = None
        for item in self.items:
            member = item.charter.member(node)
            is_out = member is not None and member.cut is not None
            hour = item.charter.created // 3600
            if is_out and since is None:
                since = hour
            elif not is_out and since is not None:
                found.append((since, hour))
                since = None
        return (*found, *(() if since is None else ((since, None),)))

    def _named(self, node: NodeId) -> Iterable[Member]:
        found = (item.charter.member(node) for item in self.items)
        return (member for member in found if member is not None)


def found_chain(document: CharterDocument) -> CharterChain:
    """The chain of a founding charter alone.

    Raises:
        as `charter_document.verify_founding`.
    """
    charter, federation = verify_founding(document)
    return CharterChain(federation, (TrustedCharter(document, charter),))


def verify_chain(documents: Sequence[CharterDocument]) -> CharterChain:
    """The chain of these documents: version 1 first, the trusted one last, each after those it follows.

    Raises:
        ProtocolError: one is refused by its own rules.
        BadSuccession: one follows a charter that is not there, stands out of order, or leads nowhere.
    """
    federation, items = verify_charters(documents)
    chain = ancestry(items[-1], {item.hash: item for item in items})
    if len(chain) != len(items):
        raise _refused("a charter is there that the last one does not follow")
    return CharterChain(federation, chain)


def verify_charters(documents: Sequence[CharterDocument]) -> tuple[FederationId, list[TrustedCharter]]:
    """The federation and its charters, rivals among them: version 1 first, each after those it follows.

    Raises:
        as `verify_chain`, which allows no rivals.
    """
    if not documents:
        raise _refused("a chain begins with version 1")
    chain = found_chain(documents[0])
    known = {chain.tip.hash: chain.tip}
    for document in documents[1:]:
        item = verify_successor(document, known, chain.federation)
        if item.place <= max(other.place for other in known.values()):
            raise _refused(f"version {item.charter.version} stands out of its order")
        known[item.hash] = item
    return chain.federation, list(known.values())


def verify_successor(
    document: CharterDocument, known: Mapping[CharterHash, TrustedCharter], federation: FederationId
) -> TrustedCharter:
    """A charter after version 1, when its rules and its signatures hold against the charters it follows.

    Raises:
        BadSuccession: it follows a charter that is not known, or changes what may not change.
        BadSignature: a signature is bad, or of a key that may not sign.
        ThresholdNotMet: too few keys of the old or of the new charter signed, or a new key did not.
    """
    charter = parse_charter(document.body)
    if charter.version == 1:
        raise _refused("version 1 follows nothing")
    missing = [previous for previous in charter.previous if previous not in known]
    if missing:
        raise _refused(f"version {charter.version} follows a charter that is not known here, {missing[0].hex()[:16]}")
    parents = [known[previous].charter for previous in charter.previous]
    check_succession(charter, parents)
    check_approvals(document, charter, parents, federation)
    return TrustedCharter(document, charter)


def extend_chain(chain: CharterChain, tip: TrustedCharter, known: Mapping[CharterHash, TrustedCharter]) -> CharterChain:
    """The chain that ends with `tip`, all of whose forerunners are known."""
    return CharterChain(chain.federation, ancestry(tip, known))


def ancestry(tip: TrustedCharter, known: Mapping[CharterHash, TrustedCharter]) -> list[TrustedCharter]:
    """A charter and everything it follows, in order of (version, attempt, hash)."""
    found = {tip.hash: tip}
    todo = [tip]
    while todo:
        for previous in todo.pop().charter.previous:
            if previous not in found:
                found[previous] = known[previous]
                todo.append(known[previous])
    return sorted(found.values(), key=lambda item: item.place)


def chain_order(chain: CharterChain) -> tuple[int, list[tuple[int, bytes]]]:
    """Of two valid chains of one federation the greater one is trusted.

    The longer one; of two of one length the one with the later attempt where they first differ; of one attempt (two
    quorums for one vote: keys were used twice) the lower hash, so that all nodes agree until a charter heals it.
    """
    rows: dict[int, tuple[int, bytes]] = {}
    for item in chain.items:
        version, attempt, hash_ = item.place
        rank = attempt, bytes(0xFF - byte for byte in hash_)
        rows[version] = max(rows.get(version, rank), rank)
    return chain.charter.version, [rows[version] for version in sorted(rows)]


def check_succession(charter: Charter, parents: Sequence[Charter]) -> None:
    """Nothing, when this body may follow these. Signatures are not looked at.

    Raises:
        BadSuccession: it may not; the message names the rule.
    """
    for parent in parents:
        if charter.version != parent.version + 1:
            raise _refused(f"version {charter.version} does not follow version {parent.version}")
        if charter.created < parent.created:
            raise _refused("it was created before the one it follows")
        if charter.min_suite < parent.min_suite or charter.min_protocol < parent.min_protocol:
            raise _refused("min_suite and min_protocol only rise")
        for member in parent.members:
            _check_member(member, charter.member(member.node))
    _check_rows(charter, parents)


def check_approvals(
    document: CharterDocument, charter: Charter, parents: Sequence[Charter], federation: FederationId
) -> None:
    """Nothing, when enough keys of the charters it follows and of itself signed, and every new key did.

    Raises:
        BadSignature, ThresholdNotMet: as said of `verify_successor`.
    """
    check_signatures(document, [*parents, charter], federation)
    signed = document.approvals.keys()
    for voters, which in [*((parent, "before it") for parent in parents), (charter, "itself")]:
        missing = unsigned(voters, signed)
        count = len(voters.organisations) - len(missing)
        if count < voters.threshold:
            raise ThresholdNotMet(
                what=f"charter version {charter.version} refused",
                why=f"{count} of the {voters.threshold} keys that the charter {which} asks for signed, "
                f"missing: {', '.join(missing)}",
            )
    silent = sorted(new_voices(charter, parents) - set(signed))
    if silent:
        names = {item.governance_key: item.id for item in charter.organisations}
        raise ThresholdNotMet(
            what=f"charter version {charter.version} refused",
            why="a new governance key has not signed the charter that adds it: "
            + ", ".join(names[key] for key in silent),
        )


def check_signatures(document: CharterDocument, voters: Iterable[Charter], federation: FederationId) -> None:
    """Nothing, when every approval is of a key that one of these charters names, and good.

    Raises:
        BadSignature: one is not.
    """
    may_sign = {item.governance_key for charter in voters for item in charter.organisations}
    for key, signature in document.approvals.items():
        if key not in may_sign:
            raise BadSignature(what="charter refused", why="a key signed that no organisation has, before it or in it")
        verify_approval(document.body, key, signature, federation)


def unsigned(charter: Charter, signed: Collection[bytes]) -> list[str]:
    """Organisations of a charter whose key is not among these."""
    return [item.id for item in charter.organisations if item.governance_key not in signed]


def new_voices(charter: Charter, parents: Iterable[Charter]) -> set[bytes]:
    """Governance keys of a charter that none of those it follows had; they sign the version that adds them."""
    old = {item.governance_key for parent in parents for item in parent.organisations}
    return {item.governance_key for item in charter.organisations} - old


def _check_member(before: Member, after: Member | None) -> None:
    """A member never disappears (a cut ends its log), and what its log rests on is kept."""
    if after is None:
        raise _refused(f"the member {before.name} is missing; a member is removed by a cut")
    if after.organisation != before.organisation:
        raise _refused(f"the member {before.name} changed its organisation")
    if after.counts_from > before.counts_from:
        raise _refused(f"the member {before.name} counts from a later hour than before")
    if before.root is not None and after.root is None:
        raise _refused(f"the replaced root of {before.name} is missing")


def _check_rows(charter: Charter, parents: Sequence[Charter]) -> None:
    """Rows are only added, and only their end may be set or brought forward, with notice."""
    ends = {_row_key(row): row.until_hour for row in charter.catalogue}
    said: dict[tuple[str, bytes, int], list[int]] = {}
    for parent in parents:
        for row in parent.catalogue:
            said.setdefault(_row_key(row), []).append(_end(row.until_hour))
    for key, before in said.items():
        if key not in ends:
            raise _refused(f"the catalogue row of {key[0]} is missing; a row is ended by its until")
        end = _end(ends[key])
        if end in before:
            continue
        if end > max(before):
            raise _refused(f"the catalogue row of {key[0]} ends later than before; that needs a new row")
        if end * 3600 <= charter.created + NOTICE_S:
            raise _refused(f"the catalogue row of {key[0]} ends less than 48 hours after the charter was made")


def _row_key(row: CatalogueRow) -> tuple[str, bytes, int]:
    return row.name, row.definition, row.from_hour


def _end(until: int | None) -> int:
    return _FOREVER if until is None else until


def _refused(why: str) -> BadSuccession:
    return BadSuccession(what="charter refused", why=why)
