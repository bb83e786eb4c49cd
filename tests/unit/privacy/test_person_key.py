"""Pseudonyms: keyed, apart by kind and purpose, equal only where they must be."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from privacy.errors import InvalidParameterError
from privacy.person_key import Pseudonyms, kind_code
from tests.unit.privacy.filter_kit import EPOCH_KEY, counting_rng, epoch


def other_epoch() -> Pseudonyms:
    return Pseudonyms(bytes(32), counting_rng)


def test_pseudonyms_are_what_the_spec_says() -> None:
    """specs/events.md 7, computed by hand."""
    person = blake2b(b"\x01session-1", digest_size=8, key=EPOCH_KEY, person=b"murmur/person/v1").digest()
    found = epoch().person(kind_code("session"), "session-1")
    assert found == int.from_bytes(person, "big")
    event = blake2b(person + b"event-1", digest_size=8, key=EPOCH_KEY, person=b"murmur/event/v1").digest()
    assert epoch().event(found, "event-1") == int.from_bytes(event, "big")
    place = blake2b(person + b"\0\0\0\x05" + b"key-1", digest_size=8, key=EPOCH_KEY, person=b"murmur/place/v1").digest()
    assert epoch().event_at(found, "key-1", 5) == int.from_bytes(place, "big")


def test_one_epoch_gives_one_pseudonym() -> None:
    first = epoch()
    assert first.person(0, "u") == first.person(0, "u") == epoch().person(0, "u")


def test_another_epoch_gives_another() -> None:
    """Rows of two epochs are not linkable without their keys."""
    assert epoch().person(0, "u") != other_epoch().person(0, "u")
    assert epoch().session("s") != other_epoch().session("s")
    assert epoch().event(1, "e") != other_epoch().event(1, "e")


def test_kinds_and_purposes_are_apart() -> None:
    """One id as user, session, address, session column, event id and idempotency key: all different."""
    pseudonyms = epoch()
    found = [pseudonyms.person(code, "x") for code in (0, 1, 2)]
    found += [pseudonyms.session("x"), pseudonyms.event(1, "x"), pseudonyms.event_at(1, "x", 0)]
    assert len(set(found)) == len(found)
    assert pseudonyms.session("\x01x") != pseudonyms.person(1, "x")  # equal input, another purpose
    assert pseudonyms.event(1, "\0\0\0\0x") != pseudonyms.event_at(1, "x", 0)


def test_event_keys_are_by_person_and_position() -> None:
    pseudonyms = epoch()
    assert pseudonyms.event(1, "e") != pseudonyms.event(2, "e")
    assert pseudonyms.event_at(1, "k", 0) != pseudonyms.event_at(1, "k", 1)
    assert pseudonyms.event_at(1, "k", 0) == epoch().event_at(1, "k", 0)


def test_an_event_without_anything_gets_a_new_key_each_time() -> None:
    assert epoch().event_unique() != epoch().event_unique()


def test_shares_are_even() -> None:
    """Sampling keeps the share of persons it says: 2,000 persons at 1/4, within 6 sigma (false alarm < 1e-8)."""
    pseudonyms = epoch()
    kept = sum(pseudonyms.share(pseudonyms.person(0, str(n))) < 250_000 for n in range(2000))
    assert abs(kept - 500) < 6 * (2000 * 0.25 * 0.75) ** 0.5
    assert all(0 <= pseudonyms.share(person) < 1_000_000 for person in (0, 1, 2**64 - 1))


def test_lone_surrogates_are_ids_too() -> None:
    assert epoch().person(0, "\ud800") != epoch().person(0, "\ud801")


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        Pseudonyms(key, counting_rng)


def test_nothing_shows_in_a_repr() -> None:
    pseudonyms = epoch()
    pseudonyms.person(0, "marker-person")
    assert "marker" not in repr(pseudonyms)
    assert EPOCH_KEY.hex() not in repr(pseudonyms)
