"""Charters under any keys and in any order: what a chain accepts, told by a second, plain account of the rules."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.charter import Organisation
from protocol.charter_chain import (
    CharterChain,
    TrustedCharter,
    chain_order,
    extend_chain,
    verify_chain,
    verify_successor,
)
from protocol.charter_document import CharterDocument, parse_charter_document, sign_charter
from protocol.errors import ProtocolError, ThresholdNotMet
from protocol.ids import CharterHash
from protocol.keys import SigningKey
from tests.unit.protocol.charters import DAY_S, founded, signed, successor
from tests.unit.protocol.samples import ALL, FOUNDED, NAMES, key

FIRST = founded().tip
KEYS: dict[str, SigningKey] = {name: ALL[name].governance for name in NAMES}
KEYS |= {f"spare{place}": key(f"spare governance {place}") for place in range(3)}
ORGANISATIONS = {name: next(item for item in FIRST.charter.organisations if item.id == name) for name in NAMES}
ORGANISATIONS |= {
    f"spare{place}": Organisation(f"spare{place}", "spare", KEYS[f"spare{place}"].public_key) for place in range(3)
}


@cache
def approval(name: str, body: bytes) -> bytes:
    return sign_charter(KEYS[name], body, FOUNDED)


@pytest.mark.requirement("T-GOV-1")
@settings(max_examples=60, deadline=None)
@given(
    added=st.sets(st.sampled_from(["spare0", "spare1", "spare2"])),
    rekeyed=st.none() | st.sampled_from(NAMES),
    slack=st.integers(0, 3),
    signers=st.sets(st.sampled_from(sorted(KEYS))),
)
def test_any_subset_of_keys_decides_by_the_two_thresholds(
    added: set[str], rekeyed: str | None, slack: int, signers: set[str]
) -> None:
    """t of the old, t of the new, every new key; the members' count is told by sets of names, not by the code."""
    voices = {name: name for name in NAMES} | {name: name for name in added}
    if rekeyed is not None and "spare0" not in added:
        voices[rekeyed] = "spare0"
    else:
        rekeyed = None
    threshold = min(len(voices), len(voices) // 2 + 1 + slack)
    organisations = tuple(
        replace(ORGANISATIONS[name], governance_key=KEYS[voices[name]].public_key) for name in sorted(voices)
    )
    body = successor(FIRST, organisations=organisations, threshold=threshold).encode()
    document = CharterDocument(body)
    for name in signers:
        document = document.with_approval(KEYS[name].public_key, approval(name, body))
    may = set(NAMES) | set(voices.values())
    new = set(voices.values()) - set(NAMES)
    holds = len(signers & set(NAMES)) >= 3 and len(signers & set(voices.values())) >= threshold and new <= signers
    if not signers <= may:
        with pytest.raises(ProtocolError) as refused:
            verify_successor(document, {FIRST.hash: FIRST}, FOUNDED)
        assert refused.value.code == "bad-signature"
    elif holds:
        assert verify_successor(document, {FIRST.hash: FIRST}, FOUNDED).charter.version == 2
    else:
        with pytest.raises(ThresholdNotMet):
            verify_successor(document, {FIRST.hash: FIRST}, FOUNDED)


def grown(seed: int) -> dict[CharterHash, TrustedCharter]:
    """A tree of charters: successors, rivals of one vote and of later attempts, and charters that heal."""
    rng = random.Random(seed)
    known = {FIRST.hash: FIRST}
    for number in range(rng.randrange(3, 9)):
        parent = rng.choice(list(known.values()))
        rivals = [
            item
            for item in known.values()
            if item.charter.version == parent.charter.version and item.charter.version > 1 and item is not parent
        ]
        others = rivals[:1] if rivals and rng.randrange(3) == 0 else []
        created = max(item.charter.created for item in (parent, *others)) + rng.randrange(3) * DAY_S
        body = successor(
            parent, *others, name=f"{seed} {number}", created=created, attempt=rng.randrange(1, 3)
        ).encode()
        item = verify_successor(signed(body, list(KEYS.values())[:4], FOUNDED), known, FOUNDED)
        known[item.hash] = item
    return known


@pytest.mark.parametrize("seed", range(20))
def test_one_chain_is_trusted_whatever_came_first(seed: int) -> None:
    """The order is total, never shorter than what it was compared with, and equal for every order of arrival."""
    known = grown(seed)
    chains = [extend_chain(founded(), item, known) for item in known.values()]
    best = max(chains, key=chain_order)
    rng = random.Random(seed)
    for _ in range(3):
        rng.shuffle(chains)
        trusted: CharterChain | None = None
        for chain in chains:
            if trusted is None or chain_order(chain) > chain_order(trusted):
                assert trusted is None or chain.charter.version >= trusted.charter.version, "it shrank"
                trusted = chain
        assert trusted is not None
        assert trusted.tip.hash == best.tip.hash
    assert len({chain.tip.hash for chain in chains if chain_order(chain) == chain_order(best)}) == 1
    again = verify_chain([item.document for item in best.items])
    assert (again.tip, again.authors) == (best.tip, best.authors)


@pytest.mark.parametrize("seed", range(20))
def test_every_changed_byte_of_a_document_is_refused(seed: int) -> None:
    """Body, key or signature: no byte of a charter document may change."""
    rng = random.Random(seed)
    document = signed(successor(FIRST, name=str(seed)).encode(), list(KEYS.values())[:4], FOUNDED)
    data = bytearray(document.encode())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    with pytest.raises(ProtocolError):
        verify_successor(parse_charter_document(bytes(data)), {FIRST.hash: FIRST}, FOUNDED)
