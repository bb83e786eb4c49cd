"""Buckets: a sender may burst, then waits; addresses are held as short-lived hashes, a bounded number of them."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import structlog

from node.http import limits as module
from node.http.limits import Limits, SlowDown
from node.senders import Rates


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_empties_and_refills(clock: Clock) -> None:
    limits = Limits(Rates(server=1), clock, os.urandom)
    for _ in range(10):
        assert limits.take("k", is_browser=False, address=None) is None
    with pytest.raises(SlowDown) as refused:
        limits.take("k", is_browser=False, address=None)
    assert refused.value.retry_after_s == 1
    clock.now_s += 1
    limits.take("k", is_browser=False, address=None)


def test_one_address_does_not_use_up_another(clock: Clock) -> None:
    limits = Limits(Rates(address=0.1), clock, os.urandom)
    assert limits.take("k", is_browser=True, address="a").remaining == 0  # type: ignore[union-attr]
    with pytest.raises(SlowDown):
        limits.take("k", is_browser=True, address="a")
    limits.take("k", is_browser=True, address="b")


def test_addresses_are_few_and_forgotten_within_the_hour(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 3)
    limits = Limits(Rates(), clock, os.urandom)
    for number in range(9):
        limits.take("k", is_browser=True, address=f"198.51.100.{number}")
    assert len(limits._addresses) == 3
    assert all(b"198.51" not in name and len(name) == 16 for name in limits._addresses)
    clock.now_s += 3600
    limits.take("k", is_browser=True, address="198.51.100.1")
    assert len(limits._addresses) == 1


def test_a_key_far_above_its_habit_is_told_once(clock: Clock) -> None:
    limits = Limits(Rates(), clock, os.urandom)
    with structlog.testing.capture_logs() as logs:
        for minute in range(20):
            for _ in range(5 if minute < 10 else 2000):
                limits.take("k", is_browser=False, address=None)
                clock.now_s += 0.001
            clock.now_s += 60
    assert [entry for entry in logs if entry["event"] == "ingest.unusual"] == [
        {"event": "ingest.unusual", "key": "k", "what": "key", "log_level": "warning"}
    ]


class Told:
    """Limits of a node where thirty addresses send two requests a minute each, and what it tells."""

    def __init__(self, clock: Clock) -> None:
        self.found: list[tuple[str, str, int]] = []
        self.clock = clock
        self.limits = Limits(Rates(), clock, os.urandom, lambda *one: self.found.append(one))
        for _ in range(3):
            for number in range(30):
                self.send(f"198.51.100.{number}", 2)
            clock.now_s += 60

    def send(self, address: str, count: int) -> None:
        for _ in range(count):
            with suppress(SlowDown):
                self.limits.take("k", is_browser=True, address=address)


def test_an_address_far_above_its_habit_is_told_once_and_not_named(clock: Clock) -> None:
    told = Told(clock)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            told.send("198.51.100.7", 200)
            clock.now_s += 60
    assert told.found == [("k", "address", 121)]
    assert "198.51" not in str(logs) + str(told.found)


def test_an_address_without_a_habit_is_held_against_the_others(clock: Clock) -> None:
    told = Told(clock)
    told.send("192.0.2.66", 200)
    assert told.found == [("k", "address", 121)]


def test_a_busy_address_with_that_habit_is_nothing_unusual(clock: Clock) -> None:
    """A school behind one address: its habit, once known, is the measure."""
    told = Told(clock)
    told.send("192.0.2.1", 100)
    for _ in range(30):
        clock.now_s += 60
        told.send("192.0.2.1", 150)
    assert told.found == []


def test_on_a_new_node_no_address_is_unusual(clock: Clock) -> None:
    found: list[tuple[str, str, int]] = []
    limits = Limits(Rates(), clock, os.urandom, lambda *one: found.append(one))
    for _ in range(150):
        limits.take("k", is_browser=True, address="192.0.2.1")
    assert found == []
