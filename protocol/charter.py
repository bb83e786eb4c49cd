"""The charter: who is a member, with which keys, which catalogue and which privacy policy (specs/charter.md).

One document in versions. This module reads and writes its body and checks everything that one body can be
checked for alone. How one version follows another, and which of two is trusted, stands in `charter_chain`; the
founding charter verifies by itself (`charter_document.verify_founding`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.endpoints import Endpoint, parse_endpoint
from protocol.fields import (
    Fields,
    check_array,
    check_ascending,
    check_bytes,
    check_integer,
    check_name,
    human_value,
    ratio_value,
    refuse,
    without_none,
)
from protocol.ids import CharterHash, DefinitionHash, EntryId, FederationId, NodeId
from protocol.keys import check_public_key
from protocol.objects import CHARTER, object_id
from protocol.windows import hour_text, parse_hour

BODY_VERSION: Final = 1
MAX_CHARTER_BYTES: Final = 512 << 10  # 1000 members at ~300 bytes and 1000 catalogue rows at ~100; fits in one message
MAX_MEMBERS: Final = 1000
MAX_CATALOGUE_ROWS: Final = 1000
MAX_PREVIOUS: Final = 8
MAX_MEMBER_ENDPOINTS: Final = 4
MAX_HUMAN_NAME_BYTES: Final = 128
MAX_CAP: Final = Fraction(1000)  # ρ per epoch; far beyond sense, and 10⁹ times it is still an exact integer
EPOCH_LENGTHS: Final = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Organisation:
    """One voice: a name that is compared, a name for people, and the one governance key that signs for it."""

    id: str
    name: str
    governance_key: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a removed member's log ends: the last entry that stays."""

    generation: int
    seq: int
    entry: EntryId


@dataclass(frozen=True, slots=True)
class Member:
    """One node. `counts_from` is an hour since 1970: the start of the first window expected of it.

    `root`: a root key that replaces the one of the inception record. `endpoints`: the first ones, until the log
    names others. `population`: declared number of people; `population_group`: nodes that share one population.
    """

    node: NodeId
    name: str
    organisation: str
    counts_from: int
    endpoints: tuple[Endpoint, ...] = ()
    root: bytes | None = None
    population: int | None = None
    population_group: str | None = None
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """From which hour (inclusive) until which (exclusive; None: open) a definition holds under a name."""

    name: str
    definition: DefinitionHash
    from_hour: int
    until_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Charter:
    """A charter's body. Times in Unix seconds, window times in hours since 1970, caps in ρ per epoch length."""

    name: str
    version: int
    attempt: int
    created: int
    expires: int
    organisations: tuple[Organisation, ...]
    threshold: int
    suspend_threshold: int
    members: tuple[Member, ...]
    catalogue: tuple[CatalogueRow, ...]
    caps: dict[str, Fraction] = field(hash=False)
    previous: tuple[CharterHash, ...] = ()
    succeeds: FederationId | None = None
    token_issuers: tuple[NodeId, ...] = ()
    min_organisations: int = 1
    allow_private: bool = False
    min_suite: int = 1
    min_protocol: int = 1
    _by_node: dict[bytes, Member] = field(default_factory=dict, init=False, repr=False, compare=False)

    def member(self, node: bytes) -> Member | None:
        """The member with this node id, or None."""
        if not self._by_node:  # made once: a start looks every member up
            self._by_node.update((member.node, member) for member in reversed(self.members))
        return self._by_node.get(node)

    def encode(self) -> bytes:
        """The body's canonical bytes; lists are put in order here.

        Raises:
            ProtocolError: whatever `parse_charter` would refuse in the result.
        """
        body = canonical.encode(_value(self))
        parse_charter(body)
        return body


def charter_hash(body: bytes) -> CharterHash:
    """The hash of a charter: over its body, approvals excluded."""
    return CharterHash(object_id(CHARTER, body))


def federation_id(founding_body: bytes) -> FederationId:
    """The federation id: the hash of charter version 1."""
    return FederationId(charter_hash(founding_body))


@lru_cache(maxsize=8)  # the trusted charter and the open proposals are read over and over; errors are not kept
def parse_charter(body: bytes) -> Charter:
    """A charter from its body, checked for everything one body shows.

    Raises:
        MalformedMessage: any rule of specs/charter.md 2 is broken; the message names the field.
        BadKey: a governance or root key is not a point of prime order. UnknownVersion: another body version.
    """
    fields = Fields(canonical.decode(body, max_bytes=MAX_CHARTER_BYTES), "charter")
    fields.version(BODY_VERSION)
    charter = Charter(
        name=fields.human("name", MAX_HUMAN_NAME_BYTES),
        version=fields.integer("version", 1),
        attempt=fields.integer("attempt", 1),
        created=fields.integer("created"),
        expires=fields.integer("expires"),
        organisations=tuple(map(_parse_organisation, fields.array("organisations", MAX_MEMBERS, 1))),
        threshold=fields.integer("threshold", 1),
        suspend_threshold=fields.integer("suspend_threshold", 1),
        members=tuple(map(_parse_member, fields.array("members", MAX_MEMBERS, 1))),
        catalogue=tuple(map(_parse_row, fields.array("catalogue", MAX_CATALOGUE_ROWS))),
        caps=_parse_caps(fields.take("caps")),
        previous=tuple(CharterHash(_id(item, "previous")) for item in fields.array("previous", MAX_PREVIOUS)),
        succeeds=fields.optional("succeeds", lambda name: FederationId(fields.bytes_of(name))),
        token_issuers=tuple(NodeId(_id(item, "token_issuers")) for item in fields.array("token_issuers", MAX_MEMBERS)),
        min_organisations=fields.integer("min_organisations", 1, MAX_MEMBERS),
        allow_private=fields.boolean("allow_private"),
        min_suite=fields.integer("min_suite", 1),
        min_protocol=fields.integer("min_protocol", 1),
    )
    fields.done()
    _check_time_and_chain(charter)
    _check_governance(charter)
    _check_members(charter)
    _check_catalogue(charter)
    return charter


def _check_time_and_chain(charter: Charter) -> None:
    if charter.expires <= charter.created:
        refuse("charter: expires", "it is not after created")
    if (charter.version == 1) != (not charter.previous):
        refuse("charter: previous", "version 1 names no previous charter, every later one names at least one")
    if charter.succeeds is not None and charter.version != 1:
        refuse("charter: succeeds", "only version 1 may succeed another federation")
    check_ascending(charter.previous, "charter: previous", lambda item: item)


def _check_governance(charter: Charter) -> None:
    voices = len(charter.organisations)
    check_ascending(charter.organisations, "charter: organisations", lambda organisation: organisation.id)
    if len({organisation.governance_key for organisation in charter.organisations}) != voices:
        refuse("charter: organisations", "two organisations share one governance key")
    # Two quorums must share a key, else one vote can end in two charters and nobody signed twice.
    if not voices < 2 * charter.threshold <= 2 * voices:
        refuse("charter: threshold", f"{charter.threshold} of {voices} is not more than half, or more than all")
    if charter.suspend_threshold > voices:
        refuse("charter: suspend_threshold", f"{charter.suspend_threshold} of {voices} is more than all")


def _check_members(charter: Charter) -> None:
    organisations = {organisation.id for organisation in charter.organisations}
    check_ascending(charter.members, "charter: members", lambda member: member.node)
    if len({member.name for member in charter.members}) != len(charter.members):
        refuse("charter: members", "two members have one name")
    for member in charter.members:
        # An organisation whose last member was removed loses its voice with it.
        if member.organisation not in organisations and member.cut is None:
            refuse("charter: members", f"{member.name} belongs to an organisation that is not listed")
        if not charter.allow_private and any(endpoint.needs_private for endpoint in member.endpoints):
            refuse("charter: members", f"{member.name} has a private endpoint, and allow_private is false")
    check_ascending(charter.token_issuers, "charter: token_issuers", lambda item: item)
    if not set(charter.token_issuers) <= {member.node for member in charter.members}:
        refuse("charter: token_issuers", "an issuer is not a member")


def _check_catalogue(charter: Charter) -> None:
    check_ascending(charter.catalogue, "charter: catalogue", lambda row: (row.name, row.from_hour, row.definition))
    open_until: dict[tuple[str, bytes], int | None] = {}
    names: dict[bytes, str] = {}
    for row in charter.catalogue:
        if row.until_hour is not None and row.until_hour <= row.from_hour:
            refuse("charter: catalogue", f"{row.name} ends before it begins")
        if names.setdefault(row.definition, row.name) != row.name:
            refuse("charter: catalogue", f"{row.name} and {names[row.definition]} are one definition")
        # Two rows over one window of one definition would leave open which of them governs a summary.
        key = row.name, row.definition
        if key in open_until:
            end = open_until[key]
            if end is None or row.from_hour < end:
                refuse("charter: catalogue", f"two rows of {row.name} with one definition overlap")
        open_until[key] = row.until_hour


def _parse_organisation(value: Value) -> Organisation:
    fields = Fields(value, "charter: organisation")
    organisation = Organisation(
        id=fields.name("id"),
        name=fields.human("name", MAX_HUMAN_NAME_BYTES),
        governance_key=check_public_key(fields.bytes_of("governance_key")),
    )
    fields.done()
    return organisation


def _parse_member(value: Value) -> Member:
    what = "charter: member"
    fields = Fields(value, what)
    member = Member(
        node=NodeId(fields.bytes_of("node")),
        name=fields.name("name"),
        organisation=fields.name("organisation"),
        counts_from=parse_hour(fields.take("counts_from"), f"{what}: counts_from"),
        endpoints=tuple(parse_endpoint(item) for item in fields.array("endpoints", MAX_MEMBER_ENDPOINTS)),
        root=fields.optional("root", lambda name: check_public_key(fields.bytes_of(name))),
        population=fields.optional("population", lambda name: fields.integer(name, 1)),
        population_group=fields.optional("population_group", fields.name),
        cut=fields.optional("cut", lambda name: _parse_cut(fields.take(name))),
    )
    fields.done()
    return member


def _parse_cut(value: Value) -> Cut:
    what = "charter: cut"
    generation, seq, entry = check_array(value, what, 3, 3)
    return Cut(check_integer(generation, what), check_integer(seq, what), EntryId(_id(entry, "cut")))


def _parse_row(value: Value) -> CatalogueRow:
    what = "charter: catalogue row"
    name, definition, start, end = check_array(value, what, 4, 4)
    return CatalogueRow(
        check_name(name, what),
        DefinitionHash(check_bytes(definition, f"{what}: definition", 32, 32)),
        parse_hour(start, f"{what}: from"),
        None if end is None else parse_hour(end, f"{what}: until"),
    )


def _parse_caps(value: Value) -> dict[str, Fraction]:
    fields = Fields(value, "charter: caps")
    caps = {length: fields.ratio(length) for length in EPOCH_LENGTHS}
    fields.done()
    if max(caps.values()) > MAX_CAP:
        refuse("charter: caps", f"a cap is above {MAX_CAP}")
    return caps


def _id(value: Value, what: str) -> bytes:
    return check_bytes(value, f"charter: {what}", 32, 32)


def _value(charter: Charter) -> Encodable:
    catalogue = sorted(charter.catalogue, key=lambda row: (row.name, row.from_hour, row.definition))
    return without_none(
        {
            "v": BODY_VERSION,
            "name": human_value(charter.name),
            "version": charter.version,
            "attempt": charter.attempt,
            "created": charter.created,
            "expires": charter.expires,
            "organisations": [
                {"id": item.id, "name": human_value(item.name), "governance_key": item.governance_key}
                for item in sorted(charter.organisations, key=lambda item: item.id)
            ],
            "threshold": charter.threshold,
            "suspend_threshold": charter.suspend_threshold,
            "members": [_member_value(item) for item in sorted(charter.members, key=lambda item: item.node)],
            "catalogue": [_row_value(row) for row in catalogue],
            "caps": {length: ratio_value(cap) for length, cap in charter.caps.items()},
            "previous": sorted(charter.previous),
            "succeeds": charter.succeeds,
            "token_issuers": sorted(charter.token_issuers),
            "min_organisations": charter.min_organisations,
            "allow_private": charter.allow_private,
            "min_suite": charter.min_suite,
            "min_protocol": charter.min_protocol,
        }
    )


def _member_value(member: Member) -> Encodable:
    cut = member.cut
    return without_none(
        {
            "node": member.node,
            "name": member.name,
            "organisation": member.organisation,
            "counts_from": hour_text(member.counts_from),
            "endpoints": [endpoint.value() for endpoint in member.endpoints],
            "root": member.root,
            "population": member.population,
            "population_group": member.population_group,
            "cut": None if cut is None else [cut.generation, cut.seq, cut.entry],
        }
    )


def _row_value(row: CatalogueRow) -> Encodable:
    until = None if row.until_hour is None else hour_text(row.until_hour)
    return [row.name, row.definition, hour_text(row.from_hour), until]
