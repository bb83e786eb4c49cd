"""Proof bundles: a good one says what it proves; every changed byte, and every wrong statement, is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.proofs import ProofRefused, make_proof, verify_proof
from protocol import canonical
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, sign_charter
from protocol.entries import Entry
from tests.simulation.author import Author, day
from tests.simulation.founding import Founding, found, key_of


def founding() -> Founding:
    """Three members, and a charter that all of them signed."""
    made = found(3)
    body = made.document.body
    approvals = {}
    for place in range(3):
        key = key_of("governance", 0, place)
        approvals[key.public_key] = sign_charter(key, body)
    assert len(parse_charter(body).organisations) == 3
    return replace(made, document=CharterDocument(body, approvals))


FOUNDING = founding()


def written() -> Author:
    author = Author(FOUNDING, FOUNDING.members[0])
    author.born()
    for metric in ("calls", "visits"):
        author.summary(FOUNDING.named(metric), day(0), [4, 5, 6, -7])
    return author


AUTHOR = written()


def bundle(entry: Entry = AUTHOR.entries[2].entry, others: tuple[Entry, ...] = (AUTHOR.entries[1].entry,)) -> bytes:
    return make_proof(
        FOUNDING.federation, [FOUNDING.document], FOUNDING.definitions[FOUNDING.named("visits")],
        AUTHOR.who.inception, [], entry, others,
    )  # fmt: skip


def test_a_good_bundle_says_what_it_proves() -> None:
    verified = verify_proof(bundle(), FOUNDING.federation)
    assert (verified.metric, verified.summary.window, verified.name) == ("visits", day(0), AUTHOR.who.name)
    assert verified.cells == (4, 5, 6, -7)
    assert (verified.others, verified.position) == (1, (0, 2))
    assert verified.charged == 2 * FOUNDING.rho_nano(FOUNDING.named("visits")) <= verified.cap
    assert [float(square) for square in verified.sigma_squared] == [200.0]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_changed_byte_is_refused(step: int) -> None:
    """Each byte of the file in turn (quickly: each seventh), with its lowest bit turned; the refusal names a part."""
    good = bundle()
    parts = set()
    for place in range(0, len(good), step):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(ProofRefused) as refused:
            verify_proof(bad, FOUNDING.federation)
        parts.add(refused.value.part)
    assert {"form", "federation id", "charter", "definition", "inception record", "entry", "other summaries"} <= parts


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_cut_or_longer_file_is_refused(size: int) -> None:
    good = bundle()
    for bad in (good[:size], good + b"\x00"):
        with pytest.raises(ProofRefused):
            verify_proof(bad, FOUNDING.federation)


def test_another_federation_is_refused() -> None:
    with pytest.raises(ProofRefused, match="federation id"):
        verify_proof(bundle(), b"x" * 32)


def test_less_noise_or_a_lower_charge_than_demanded_is_refused() -> None:
    """A member cannot prove what judgement would void."""
    author = written()
    definition = FOUNDING.named("visits")
    data, _ = author.summary_data(definition, day(1))
    quiet = author.summary(
        definition, day(1), blocks=[replace(block, sigma2=block.sigma2 / 4) for block in data.blocks]
    )
    with pytest.raises(ProofRefused, match="sigma_mismatch"):
        verify_proof(bundle(quiet.entry, ()), FOUNDING.federation)
    cheap = author.summary(definition, day(2), rho_nano=1)
    with pytest.raises(ProofRefused, match="charge_mismatch"):
        verify_proof(bundle(cheap.entry, ()), FOUNDING.federation)


def test_a_total_that_hides_earlier_charges_is_refused() -> None:
    author = written()
    low = author.summary(FOUNDING.named("visits"), day(0), total=FOUNDING.rho_nano(FOUNDING.named("visits")))
    with pytest.raises(ProofRefused, match="total_mismatch"):
        verify_proof(bundle(low.entry), FOUNDING.federation)


def test_a_charter_that_not_all_founders_signed_is_refused() -> None:
    approvals = dict(list(FOUNDING.document.approvals.items())[:2])
    parts = canonical.decode(bundle())
    assert isinstance(parts, list)
    parts[3] = [CharterDocument(FOUNDING.document.body, approvals).encode()]
    with pytest.raises(ProofRefused, match="charter"):
        verify_proof(canonical.encode(parts), FOUNDING.federation)


def test_a_key_turned_within_the_epoch_leaves_its_releases_provable() -> None:
    """Each entry by the key in force where it stands, also one before the turn; never by another of the chain."""
    author = Author(FOUNDING, FOUNDING.members[0])
    author.born()
    first = author.summary(FOUNDING.named("calls"), day(0), [4, 5, 6, -7])
    turn = author.rotate()
    second = author.summary(FOUNDING.named("visits"), day(0), [4, 5, 6, -7])
    made = make_proof(
        FOUNDING.federation, [FOUNDING.document], FOUNDING.definitions[FOUNDING.named("visits")],
        author.who.inception, [turn.entry.encode()], second.entry, [first.entry],
    )  # fmt: skip
    assert verify_proof(made, FOUNDING.federation).others == 1
    late = Author(FOUNDING, FOUNDING.members[0])
    late.born()
    late.rotate()
    by_the_new_key = late.summary(FOUNDING.named("calls"), day(0), [4, 5, 6, -7], seq=1, prev=author.entries[0].id)
    forged = make_proof(
        FOUNDING.federation, [FOUNDING.document], FOUNDING.definitions[FOUNDING.named("visits")],
        author.who.inception, [turn.entry.encode()], second.entry, [by_the_new_key.entry],
    )  # fmt: skip
    with pytest.raises(ProofRefused, match="other summaries"):
        verify_proof(forged, FOUNDING.federation)


def test_a_position_that_the_key_chain_does_not_lead_to_is_refused() -> None:
    """Of another generation than the line of the shown chain has there."""
    author = written()
    off = author.summary(FOUNDING.named("visits"), day(1), generation=1)
    with pytest.raises(ProofRefused, match="signature"):
        verify_proof(bundle(off.entry, ()), FOUNDING.federation)


def test_a_summary_of_another_epoch_has_no_place_in_a_bundle() -> None:
    author = Author(FOUNDING, FOUNDING.members[0])
    author.born()
    other = author.summary(FOUNDING.named("calls"), day(1), [4, 5, 6, -7])
    entry = author.summary(FOUNDING.named("visits"), day(0), [4, 5, 6, -7])
    with pytest.raises(ProofRefused, match="another epoch"):
        verify_proof(bundle(entry.entry, (other.entry,)), FOUNDING.federation)
