"""Key chains: rotations and recoveries that prove themselves."""

from __future__ import annotations

import pytest

from protocol.entries import Entry
from protocol.errors import BadKey, BadSignature, MalformedMessage, ProtocolError
from protocol.key_chain import verify_chain
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import RecoverData, RotateData
from tests.unit.protocol.samples import FEDERATION, HARMONIE, TOOLS, entry, key

INCEPTION = TOOLS.signed_inception.encode()
THIRD, FOURTH = key("third"), key("fourth")


def rotate(old: SigningKey, new: SigningKey, after: SigningKey, seq: int, generation: int = 0) -> Entry:
    data = RotateData(new.public_key, key_digest(after.public_key)).encode()
    return entry(kind="rotate", signing_key=old, next_key=new, seq=seq, generation=generation, data=data)


def recover(signer: SigningKey, new: SigningKey, after: SigningKey, seq: int, generation: int = 1) -> Entry:
    data = RecoverData(new.public_key, key_digest(after.public_key)).encode()
    return entry(kind="recover", signing_key=signer, seq=seq, generation=generation, data=data)


def chain(*links: Entry) -> list[bytes]:
    return [link.encode() for link in links]


def test_chain_without_links_is_the_inception() -> None:
    """The keys a node is born with."""
    state = verify_chain(INCEPTION, [], FEDERATION)
    assert (state.node, state.signing_key, state.root_key) == (
        TOOLS.node, TOOLS.signing.public_key, TOOLS.root.public_key,
    )  # fmt: skip
    assert state.position == (0, 0)


@pytest.mark.requirement("M-KEY-7", "M-KEY-8")
def test_rotations_and_recovery_follow_each_other() -> None:
    """Two rotations, then the root key starts a new generation, which rotates on."""
    links = chain(
        rotate(TOOLS.signing, TOOLS.next, THIRD, 5),
        rotate(TOOLS.next, THIRD, FOURTH, 9),
        recover(TOOLS.root, key("fresh"), key("fresh next"), 7),
        rotate(key("fresh"), key("fresh next"), key("x"), 8, generation=1),
    )
    keys = [verify_chain(INCEPTION, links[:count], FEDERATION).signing_key for count in range(5)]
    assert keys == [one.public_key for one in (TOOLS.signing, TOOLS.next, THIRD, key("fresh"), key("fresh next"))]
    assert verify_chain(INCEPTION, links, FEDERATION).position == (1, 8)


@pytest.mark.requirement("M-KEY-7", "T-KEY-3")
def test_thief_of_the_signing_key_cannot_rotate() -> None:
    """Without the key committed to, a rotation to a key of one's own is refused."""
    with pytest.raises(BadKey):
        verify_chain(INCEPTION, chain(rotate(TOOLS.signing, key("thief"), key("thief next"), 5)), FEDERATION)


BAD = {
    "rotated-out key rotates again": [
        rotate(TOOLS.signing, TOOLS.next, THIRD, 5),
        rotate(TOOLS.signing, THIRD, FOURTH, 6),
    ],
    "rotation at its predecessor's place": [
        rotate(TOOLS.signing, TOOLS.next, THIRD, 5),
        rotate(TOOLS.next, THIRD, FOURTH, 5),
    ],
    "rotation at the inception": [rotate(TOOLS.signing, TOOLS.next, THIRD, 0)],
    "rotation in a generation nobody began": [rotate(TOOLS.signing, TOOLS.next, THIRD, 5, generation=1)],
    "recovery by the signing key": [recover(TOOLS.signing, THIRD, FOURTH, 3)],
    "recovery by the next key": [recover(TOOLS.next, THIRD, FOURTH, 3)],
    "recovery in its own generation": [recover(TOOLS.root, THIRD, FOURTH, 3, generation=0)],
    "recovery before the inception": [recover(TOOLS.root, THIRD, FOURTH, 0)],
    "another kind": [entry()],
    "another node": [
        entry(
            HARMONIE,
            kind="rotate",
            next_key=HARMONIE.next,
            data=RotateData(HARMONIE.next.public_key, bytes(32)).encode(),
        )
    ],
}


@pytest.mark.requirement("M-KEY-7", "M-KEY-8")
@pytest.mark.parametrize("links", BAD.values(), ids=BAD.keys())
def test_bad_links_are_refused(links: list[Entry]) -> None:
    """Each by a named error, and nothing after them is believed."""
    with pytest.raises(ProtocolError):
        verify_chain(INCEPTION, chain(*links), FEDERATION)


@pytest.mark.requirement("M-KEY-8")
def test_a_replaced_root_recovers_nothing_after_its_successor_did() -> None:
    """Roots come in the order charters named them; a thief of the one before cannot take the log back."""
    first, second = key("first new root"), key("second new root")
    roots = (first.public_key, second.public_key)
    by_second = recover(second, THIRD, FOURTH, 3)
    good = chain(by_second, recover(second, key("x"), key("y"), 4, generation=2))
    assert verify_chain(INCEPTION, good, FEDERATION, roots).position == (2, 4)
    for stolen in (first, TOOLS.root):
        with pytest.raises(BadSignature):
            verify_chain(
                INCEPTION, chain(by_second, recover(stolen, key("x"), key("y"), 4, generation=2)), FEDERATION, roots
            )


@pytest.mark.requirement("M-KEY-9")
def test_a_key_used_before_is_no_reason_to_refuse() -> None:
    """Back to a former key, or a commitment to the root: unwise, and the same on every node."""
    to_root = rotate(TOOLS.signing, TOOLS.next, TOOLS.root, 5)
    back = rotate(TOOLS.next, TOOLS.root, TOOLS.signing, 6)
    again = recover(TOOLS.root, TOOLS.signing, TOOLS.signing, 7)
    state = verify_chain(INCEPTION, chain(to_root, back, again), FEDERATION)
    assert (state.signing_key, state.position) == (TOOLS.signing.public_key, (1, 7))


def test_chain_belongs_to_one_federation() -> None:
    """Links of another federation prove nothing here."""
    with pytest.raises(MalformedMessage):
        verify_chain(INCEPTION, chain(rotate(TOOLS.signing, TOOLS.next, THIRD, 5)), HARMONIE.node)  # type: ignore[arg-type]


def test_unsigned_inception_starts_no_chain() -> None:
    """The record's own signatures are checked first."""
    other = HARMONIE.signed_inception
    forged = type(other)(other.type, TOOLS.signed_inception.body, other.signatures)
    with pytest.raises(BadSignature):
        verify_chain(forged.encode(), [], FEDERATION)


def test_chain_is_limited() -> None:
    """At most 64 links are verified for one request."""
    with pytest.raises(MalformedMessage):
        verify_chain(INCEPTION, [b""] * 65, FEDERATION)
