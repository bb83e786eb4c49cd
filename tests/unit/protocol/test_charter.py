"""Charters: every rule that one body can be checked for."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from protocol import canonical
from protocol.charter import (
    CatalogueRow,
    Charter,
    Cut,
    Member,
    Organisation,
    charter_hash,
    federation_id,
    parse_charter,
)
from protocol.endpoints import Endpoint
from protocol.errors import BadKey, MalformedMessage, ProtocolError, TooLarge, UnknownVersion
from protocol.ids import CharterHash, EntryId, FederationId, NodeId
from tests.unit.protocol.samples import (
    ALL,
    CHARTER_BODY,
    COUNTS_FROM,
    DEFINITION_HASH,
    TOOLS,
    charter,
    key,
    some_hash,
)

CHARTER = charter()
FIRST = CHARTER.members[0]


def changed(**fields: canonical.Encodable) -> bytes:
    """The sample body with fields replaced."""
    value = canonical.decode(CHARTER_BODY)
    assert isinstance(value, dict)
    return canonical.encode({**value, **fields})


def test_charter_round_trips() -> None:
    """What was built is what is read, whatever order it was built in."""
    assert parse_charter(CHARTER_BODY) == CHARTER
    shuffled = dataclasses.replace(CHARTER, members=CHARTER.members[::-1], organisations=CHARTER.organisations[::-1])
    assert shuffled.encode() == CHARTER_BODY


def test_charter_with_every_field_round_trips() -> None:
    """A later version, with everything that may be there."""
    full = Member(
        node=TOOLS.node,
        name="liberation-tools",
        organisation="liberation-tools",
        counts_from=COUNTS_FROM,
        endpoints=(Endpoint("https://tools.example", bytes(32)), Endpoint("https://b.example")),
        root=key("new root").public_key,
        population=60_000,
        population_group="flock",
        cut=Cut(0, 17, EntryId(bytes(32))),
    )
    later = charter(
        version=7,
        attempt=2,
        previous=(CharterHash(bytes(32)), CharterHash(b"\x01" * 32)),
        members=tuple(full if one.node == TOOLS.node else one for one in CHARTER.members),
        token_issuers=tuple(sorted((TOOLS.node, ALL["harmonie"].node))),
        catalogue=(
            CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM, COUNTS_FROM + 24),
            CatalogueRow("people_by_app", some_hash("new"), COUNTS_FROM + 24, None),
            CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM + 48, None),
        ),
        min_organisations=3,
        min_suite=2,
        min_protocol=3,
    )
    assert parse_charter(later.encode()) == later
    assert later.member(TOOLS.node) == full
    assert later.member(bytes(32)) is None


def test_rows_of_one_definition_may_touch() -> None:
    """Until is exclusive: the next row may begin in that hour."""
    rows = (CatalogueRow("m", DEFINITION_HASH, 0, 24), CatalogueRow("m", DEFINITION_HASH, 24, None))
    assert parse_charter(charter(catalogue=rows).encode()).catalogue == rows


def test_refounding_names_its_predecessor() -> None:
    """Only version 1 may."""
    refounded = charter(succeeds=FederationId(bytes(32)))
    assert parse_charter(refounded.encode()).succeeds == bytes(32)
    with pytest.raises(MalformedMessage):
        charter(succeeds=FederationId(bytes(32)), version=2, previous=(CharterHash(bytes(32)),)).encode()


def test_federation_id_is_the_hash_of_the_founding_body() -> None:
    """And every later charter's hash is made alike."""
    assert federation_id(CHARTER_BODY) == charter_hash(CHARTER_BODY) != charter_hash(CHARTER_BODY + b"\x00")


def organisations(count: int) -> tuple[Organisation, ...]:
    return tuple(Organisation(one.name, one.name, one.governance.public_key) for one in list(ALL.values())[:count])


@pytest.mark.parametrize(
    ("voices", "threshold", "good"),
    [
        (1, 1, True),
        (1, 2, False),
        (2, 1, False),
        (2, 2, True),
        (3, 1, False),
        (3, 2, True),
        (4, 2, False),
        (4, 3, True),
        (4, 4, True),
        (4, 5, False),
    ],
)
def test_threshold_is_more_than_half(voices: int, threshold: int, good: bool) -> None:
    """2t > n, so that two quorums share a voice."""
    names = [organisation.id for organisation in organisations(voices)]
    made = charter(
        organisations=organisations(voices),
        threshold=threshold,
        suspend_threshold=1,
        members=tuple(member for member in CHARTER.members if member.organisation in names),
    )
    if good:
        assert parse_charter(made.encode()).threshold == threshold
    else:
        with pytest.raises(MalformedMessage, match="threshold"):
            made.encode()


def replaced(**fields: object) -> tuple[Member, ...]:
    return (dataclasses.replace(FIRST, **fields), *CHARTER.members[1:])  # type: ignore[arg-type]


ROW = CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM)

BAD_VALUES: dict[str, dict[str, object]] = {
    "no organisation": {"organisations": ()},
    "no member": {"members": ()},
    "expires before created": {"expires": CHARTER.created},
    "version 1 with previous": {"previous": (CharterHash(bytes(32)),)},
    "version 2 without previous": {"version": 2},
    "previous twice": {"version": 2, "previous": (CharterHash(bytes(32)),) * 2},
    "previous nine times": {"version": 2, "previous": tuple(CharterHash(bytes([n]) * 32) for n in range(9))},
    "suspend threshold above all": {"suspend_threshold": 5},
    "suspend threshold zero": {"suspend_threshold": 0},
    "organisation twice": {"organisations": CHARTER.organisations + CHARTER.organisations[:1]},
    "governance key twice": {
        "organisations": (
            *CHARTER.organisations,
            Organisation("fifth", "Fifth", CHARTER.organisations[0].governance_key),
        )
    },
    "member twice": {"members": CHARTER.members + CHARTER.members[:1]},
    "member name twice": {"members": replaced(name=CHARTER.members[1].name)},
    "stranger's organisation": {"members": replaced(organisation="nobody")},
    "private endpoint": {"allow_private": False},
    "five endpoints": {"members": replaced(endpoints=(Endpoint("https://node.example"),) * 5)},
    "population zero": {"members": replaced(population=0)},
    "issuer is no member": {"token_issuers": (NodeId(bytes(32)),)},
    "issuer twice": {"token_issuers": (TOOLS.node, TOOLS.node)},
    "row ends before it begins": {"catalogue": (dataclasses.replace(ROW, until_hour=COUNTS_FROM),)},
    "row twice": {"catalogue": (ROW, ROW)},
    "open row overlapped": {"catalogue": (ROW, dataclasses.replace(ROW, from_hour=COUNTS_FROM + 24))},
    "closed row overlapped": {
        "catalogue": (
            dataclasses.replace(ROW, until_hour=COUNTS_FROM + 48),
            dataclasses.replace(ROW, from_hour=COUNTS_FROM + 24),
        )
    },
    "one definition, two names": {"catalogue": (ROW, dataclasses.replace(ROW, name="other"))},
    "bad metric name": {"catalogue": (dataclasses.replace(ROW, name="Bad Name"),)},
    "cap missing": {"caps": {"day": Fraction(1, 40)}},
    "cap of a year": {"caps": {**CHARTER.caps, "year": Fraction(1)}},
    "cap beyond sense": {"caps": {**CHARTER.caps, "day": Fraction(1001)}},
    "cap below zero": {"caps": {**CHARTER.caps, "day": Fraction(-1, 40)}},
    "no organisations needed": {"min_organisations": 0},
    "suite zero": {"min_suite": 0},
    "protocol zero": {"min_protocol": 0},
    "attempt zero": {"attempt": 0},
    "version zero": {"version": 0},
    "empty name": {"name": ""},
    "long name": {"name": "é" * 65},
    "name with a control character": {"name": "a\x1b[2Jb"},
}


@pytest.mark.requirement("M-END-3")
@pytest.mark.parametrize("fields", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_bad_charter_is_neither_written_nor_read(fields: dict[str, object]) -> None:
    """The writer refuses what every reader would."""
    with pytest.raises(ProtocolError):
        charter(**fields).encode()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"v": 2}, UnknownVersion),
        ({"epsilon": 1}, MalformedMessage),
        ({"name": "text, not bytes"}, MalformedMessage),
        ({"name": b"\xff"}, MalformedMessage),
        ({"allow_private": 1}, MalformedMessage),
        ({"threshold": True}, MalformedMessage),
        ({"succeeds": None}, MalformedMessage),
        ({"caps": {"day": [2, 80], "week": [1, 16], "month": [1, 4]}}, MalformedMessage),
        ({"caps": {"day": [1, 40]}}, MalformedMessage),
        ({"members": [{}]}, MalformedMessage),
        ({"organisations": [{"id": "a", "name": b"A", "governance_key": bytes(32)}]}, BadKey),
        ({"catalogue": [["a", bytes(32), "2026-11-05", None]]}, MalformedMessage),
        ({"catalogue": [["a", bytes(32), "2026-11-05T00"]]}, MalformedMessage),
        ({"members": [[]] * 1001}, TooLarge),
    ],
)
def test_bad_body_is_refused(fields: dict[str, canonical.Encodable], error: type[ProtocolError]) -> None:
    """What the dataclass could not even hold."""
    with pytest.raises(error):
        parse_charter(changed(**fields))


def test_lists_out_of_order_are_refused() -> None:
    """One charter, one body: a shuffled list is another hash for the same rules."""
    value = canonical.decode(CHARTER_BODY)
    assert isinstance(value, dict)
    for name in ("members", "organisations"):
        items = value[name]
        assert isinstance(items, list)
        with pytest.raises(MalformedMessage, match="order"):
            parse_charter(changed(**{name: items[::-1]}))


def test_missing_field_is_refused() -> None:
    """Every field but `succeeds` is there in every charter."""
    value = canonical.decode(CHARTER_BODY)
    assert isinstance(value, dict)
    assert len(value) == 18
    for gone in value:
        with pytest.raises(MalformedMessage, match=gone):
            parse_charter(canonical.encode({name: item for name, item in value.items() if name != gone}))


def test_thousand_members_fit() -> None:
    """The largest federation the format allows stays below the limit of a charter and parses."""
    voice = key("voice").public_key
    members = tuple(
        Member(
            NodeId(n.to_bytes(32, "big")),
            f"node-{n:04}",
            "one",
            COUNTS_FROM,
            (Endpoint(f"https://node{n}.example.org"),),
            population=10**6,
        )
        for n in range(1000)
    )
    big: Charter = charter(
        organisations=(Organisation("one", "One", voice),), threshold=1, suspend_threshold=1, members=members,
        catalogue=tuple(CatalogueRow(f"metric_{n:04}", some_hash(str(n)), COUNTS_FROM) for n in range(1000)),
    )  # fmt: skip
    assert len(big.encode()) < 512 << 10
