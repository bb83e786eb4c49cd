"""Attacks that specs/threat-model.md names, where protocol alone answers them: cases 4 and 13, threats T9 and T15."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import canonical
from protocol.charter import Charter, Member, Organisation, parse_charter
from protocol.charter_chain import TrustedCharter, verify_successor
from protocol.charter_document import CharterDocument, parse_charter_document, sign_charter
from protocol.errors import BadKey, BadSignature, BadSuccession, ProtocolError, ThresholdNotMet
from protocol.identity import parse_inception
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, NodeId
from protocol.join_request import parse_join_request
from protocol.keys import SigningKey, verify
from protocol.objects import INCEPTION, JOIN_REQUEST, sign_object
from specs.vectors.v1 import edwards as ed
from tests.simulation.founding import FIRST_HOUR, found, key_of
from tests.unit.protocol.samples import TOOLS, key

MESSAGE = b"a message"
HOSTILE_KEYS = {
    "the identity": ed.encode(ed.IDENTITY),
    **{f"of small order {order}": ed.encode(ed.TORSION[order]) for order in range(1, 8)},
    "of mixed order": ed.encode(ed.add(ed.multiply(7, ed.BASE), ed.TORSION[1])),
    "not canonical": ed.non_canonical_encodings()[0],
}


# ── case 4: hostile keys and signatures at the door ─────────────────────────────────────────────────────────────


def with_field(raw: bytes, place: int | str, value: bytes) -> bytes:
    """The body with one field of it replaced, by its place in a list or its name in a map."""
    body = canonical.decode(raw)
    body[place] = value  # type: ignore[index]
    return canonical.encode(body)


@pytest.mark.parametrize("hostile", HOSTILE_KEYS.values(), ids=list(HOSTILE_KEYS))
def test_case_4_a_hostile_key_is_refused_in_an_inception_and_a_join_request(hostile: bytes) -> None:
    """As root or signing key of a node, and as its organisation's governance key, signed as well as can be."""
    body = TOOLS.inception.body
    for place in (1, 2):  # root key, signing key
        forged = sign_object(
            INCEPTION, ZERO_FEDERATION, ZERO_NODE, with_field(body, place, hostile), (TOOLS.root, TOOLS.signing)
        )
        with pytest.raises(BadKey):
            parse_inception(forged.encode())
    request = with_field(parse_join_request(TOOLS.join_request).body, "governance_key", hostile)
    with pytest.raises(BadKey):
        parse_join_request(sign_object(JOIN_REQUEST, ZERO_FEDERATION, TOOLS.node, request, (TOOLS.signing,)).encode())


def openssl_takes(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def we_take(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(public, message, signature)
    except BadSignature:
        return False
    return True


def test_case_4_two_libraries_agree_on_good_signatures_and_ours_never_takes_more() -> None:
    """Honest ones, each with S + L, with a flipped bit, and the trivial one under every hostile key."""
    signer = SigningKey(bytes(range(32)))
    for number in range(50):
        message = MESSAGE + bytes([number])
        good = signer.sign(message)
        flipped = bytearray(good)
        flipped[number] ^= 1 << number % 8
        larger = good[:32] + (int.from_bytes(good[32:], "little") + ed.L).to_bytes(32, "little")
        for signature, is_good in ((good, True), (bytes(flipped), False), (larger, False)):
            assert we_take(signer.public_key, message, signature) is is_good
            assert openssl_takes(signer.public_key, message, signature) is is_good
    trivial = ed.encode(ed.IDENTITY) + bytes(32)
    assert not [name for name, hostile in HOSTILE_KEYS.items() if we_take(hostile, MESSAGE, trivial)]


# ── case 13 and T9: fewer keys than the threshold ───────────────────────────────────────────────────────────────

FOUNDING = found(5)  # threshold 3 of 5
FIRST = TrustedCharter(FOUNDING.document, parse_charter(FOUNDING.document.body))
VOICES = [key_of("governance", 0, place) for place in range(5)]
FRESH = [key_of("fresh governance", place) for place in range(5)]


def after(before: TrustedCharter = FIRST, **changes: object) -> Charter:
    fields = {"version": before.charter.version + 1, "created": before.charter.created + 1, "previous": (before.hash,)}
    return replace(before.charter, **{**fields, **changes})  # type: ignore[arg-type]


def signed(charter: Charter, keys: Iterable[SigningKey]) -> CharterDocument:
    made = CharterDocument(charter.encode())
    for one in keys:
        made = made.with_approval(one.public_key, sign_charter(one, made.body, FOUNDING.federation))
    return made


def judged(document: CharterDocument, before: TrustedCharter = FIRST) -> Charter:
    return verify_successor(document, {before.hash: before}, FOUNDING.federation).charter


def test_case_13_and_threat_9_two_of_five_decide_nothing_and_three_do() -> None:
    """Whichever two; three of them are enough, so the refusals are for the number alone."""
    charter = after(name="renamed")
    for first in range(5):
        for second in range(first):
            with pytest.raises(ThresholdNotMet):
                judged(signed(charter, (VOICES[first], VOICES[second])))
    assert judged(signed(charter, VOICES[:3])).name == "renamed"


def test_case_13_and_threat_9_one_key_counts_once() -> None:
    """Approved twice, written twice into the document, or listed for two organisations."""
    charter = after(name="renamed")
    twice = signed(charter, (VOICES[0], VOICES[1], VOICES[1], VOICES[0]))
    assert len(twice.approvals) == 2
    with pytest.raises(ThresholdNotMet):
        judged(twice)
    approvals = sorted([one, signature] for one, signature in twice.approvals.items())
    for repeated in ([*approvals, approvals[1]], [approvals[0], approvals[0], approvals[1]]):
        with pytest.raises(ProtocolError):
            parse_charter_document(canonical.encode([1, "charter", charter.encode(), repeated]))
    assert parse_charter_document(canonical.encode([1, "charter", charter.encode(), approvals])) == twice
    both = tuple(replace(one, governance_key=VOICES[0].public_key) for one in FIRST.charter.organisations[:2])
    with pytest.raises(ProtocolError):
        after(organisations=(*both, *FIRST.charter.organisations[2:])).encode()


def test_case_13_and_threat_9_new_keys_stand_in_for_no_old_ones() -> None:
    """Three fresh keys of their own charter, with two old ones: the old threshold is not met."""
    organisations = tuple(
        replace(one, governance_key=FRESH[place].public_key) if place < 3 else one
        for place, one in enumerate(FIRST.charter.organisations)
    )
    charter = after(organisations=organisations)
    with pytest.raises(ThresholdNotMet):
        judged(signed(charter, [*FRESH[:3], *VOICES[3:]]))
    assert judged(signed(charter, [*FRESH[:3], *VOICES[2:]])).version == 2


def test_case_13_a_charter_meets_its_own_threshold_and_no_half_decides() -> None:
    """A new threshold of four signed by three; two of five or of four as a threshold."""
    stricter = after(threshold=4)
    with pytest.raises(ThresholdNotMet):
        judged(signed(stricter, VOICES[:3]))
    assert judged(signed(stricter, VOICES[:4])).threshold == 4
    for threshold in (1, 2):
        with pytest.raises(ProtocolError):
            after(threshold=threshold).encode()
    with pytest.raises(ProtocolError):
        after(threshold=2, organisations=FIRST.charter.organisations[:4]).encode()


def test_case_13_the_version_after_the_next_is_refused() -> None:
    """Signed by all, on top of the first."""
    with pytest.raises(BadSuccession):
        judged(signed(after(version=3), VOICES))


# ── T15: one organisation with many nodes ───────────────────────────────────────────────────────────────────────


def test_threat_15_ten_nodes_of_one_organisation_have_one_voice() -> None:
    """Nor does the organisation get a second voice by another name under its key, nor alone a charter."""
    crowd = tuple(
        Member(NodeId(bytes([200 + number]) * 32), f"crowd{number}", "org0", FIRST_HOUR) for number in range(10)
    )
    members = tuple(sorted((*FIRST.charter.members, *crowd), key=lambda one: one.node))
    second = after(members=members)
    document = signed(second, VOICES[:3])
    trusted = TrustedCharter(document, judged(document))
    third = after(trusted, name="ours")
    with pytest.raises(ThresholdNotMet):
        judged(signed(third, VOICES[:1]), trusted)
    with pytest.raises(ThresholdNotMet):
        judged(signed(third, VOICES[:2]), trusted)
    assert judged(signed(third, VOICES[1:4]), trusted).name == "ours"
    twin = (*FIRST.charter.organisations, Organisation("zz", "another name", VOICES[0].public_key))
    with pytest.raises(ProtocolError):
        after(trusted, organisations=twin, threshold=4).encode()


def test_threat_15_a_new_organisation_votes_only_once_the_old_ones_admitted_it() -> None:
    """Ten of them, their keys all signing: without three of the five nothing is admitted."""
    many = [key(f"sybil {number}") for number in range(10)]
    new = tuple(Organisation(f"s{number}", "sybil", one.public_key) for number, one in enumerate(many))
    charter = after(organisations=(*FIRST.charter.organisations, *new), threshold=8)
    with pytest.raises(ThresholdNotMet):
        judged(signed(charter, [*VOICES[:2], *many]))
