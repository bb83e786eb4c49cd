"""The search finds what it should at any offset, and nothing else."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from node.demo.needles import Needles


def _needles() -> Needles:
    needles = Needles()
    needles.add_texts("event id", ["e-0123456789abcdef", "e-fedcba9876543210"], telling=-8)
    needles.add_texts("marker", ["planted value 77", "x" * 40])
    needles.add_times(np.array([1_794_140_712, 1_794_140_712_345]))
    return needles


@pytest.mark.parametrize("offset", range(17))
def test_a_needle_is_found_at_any_offset(offset: int) -> None:
    noise = random.Random(offset).randbytes(offset)
    for kind, needle in (
        ("event id", b"e-fedcba9876543210"),
        ("marker", b"planted value 77"),
        ("marker", b"x" * 40),
        ("time", struct.pack(">q", 1_794_140_712)),
        ("time", struct.pack("<q", 1_794_140_712_345)),
    ):
        hits = _needles().search(noise + needle + b"tail")
        assert (kind, needle, offset) in [(hit.kind, hit.needle, hit.offset) for hit in hits]


def test_a_cut_or_changed_needle_is_no_hit() -> None:
    """Equal telling bytes are not enough: the whole needle is compared."""
    needles = _needles()
    assert needles.search(b"0123456789abcdef") == []
    assert needles.search(b"e-1123456789abcdef") == []
    assert needles.search(b"x" * 39) == []
    assert needles.search(b"89abcdef") == []
    assert needles.search(b"") == []


def test_every_occurrence_counts() -> None:
    hits = _needles().search(b"planted value 77, planted value 77")
    assert sorted(hit.offset for hit in hits) == [0, 18]


def test_random_bytes_hold_no_needle() -> None:
    """Two megabytes of noise against a hundred thousand ids: chance does not find them."""
    source = random.Random(5)
    needles = Needles()
    needles.add_texts("event id", [f"e-{source.getrandbits(64):016x}" for _ in range(100_000)], telling=-8)
    assert needles.search(source.randbytes(2_000_000)) == []


def test_short_needles_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Needles().add_texts("person id", ["b73715"])
