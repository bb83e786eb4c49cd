"""What must never cross a node's boundary, and a fast search for it.

A needle is a byte string of at least eight bytes that the demo sent to a node: an event id, a person id, a session id,
an exact time (as text, and as an 8-byte integer of seconds and of milliseconds in both byte orders), a planted marker.
The haystack is every byte the nodes exchanged, a few megabytes; the needles are some millions.

The search slides an 8-byte window over the haystack, one pass for all needles: a table of bits throws out nearly every
position, the sorted list of the needles' own 8 bytes the rest, and what is left is compared in full. It finds every
occurrence at any offset: nothing is believed that is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 8  # bytes of a needle that the first two sieves look at
_TABLE_BITS: Final = 24
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads the windows over the table


@dataclass(frozen=True, slots=True)
class Hit:
    """One needle at one place."""

    kind: str
    needle: bytes
    offset: int


class _Group:
    """Needles of one kind and one length, end to end in `raw`; `offset` is where their telling 8 bytes begin."""

    def __init__(self, kind: str, raw: bytes, length: int, offset: int) -> None:
        if length < offset + WINDOW:
            raise ValueError(f"needles of {length} bytes are too short to search for: chance would find them")
        self.kind, self.raw, self.length, self.offset = kind, raw, length, offset
        self._all: frozenset[bytes] | None = None  # built when the sieves let the first place through

    def __len__(self) -> int:
        return len(self.raw) // self.length

    def windows(self) -> NDArray[np.uint64]:
        rows = np.frombuffer(self.raw, np.uint8).reshape(-1, self.length)
        return np.ascontiguousarray(rows[:, self.offset : self.offset + WINDOW]).view("<u8").reshape(-1)

    def at(self, haystack: bytes, place: int) -> Hit | None:
        """The needle whose telling bytes stand at `place`, if one does."""
        start = place - self.offset
        piece = haystack[start : start + self.length] if start >= 0 else b""
        if self._all is None:
            step = self.length
            self._all = frozenset(self.raw[at : at + step] for at in range(0, len(self.raw), step))
        return Hit(self.kind, piece, start) if piece in self._all else None


class Needles:
    """All needles of one platform."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []
        self._sieves: tuple[NDArray[np.bool_], NDArray[np.uint64]] | None = None

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups)

    def add_texts(self, kind: str, texts: Iterable[str], telling: int = 0) -> None:
        """Add texts.

        Args:
            kind: What they are, for reports.
            texts: Each of at least eight bytes.
            telling: Where the 8 bytes begin that tell a text best from anything else; negative counts from its end.

        Raises:
            ValueError: a text is too short.
        """
        by_length: dict[int, list[str]] = {}
        for text in texts:
            by_length.setdefault(len(text), []).append(text)
        for length, group in by_length.items():
            raw = "".join(group).encode("ascii")
            self._groups.append(_Group(kind, raw, length, telling if telling >= 0 else length + telling))
        self._sieves = None

    def add_times(self, times: NDArray[np.int64]) -> None:
        """Add integers as eight bytes, big-endian and little-endian."""
        distinct = np.unique(times)
        for order in (">", "<"):
            self._groups.append(_Group("time", distinct.astype(f"{order}i8").tobytes(), WINDOW, 0))
        self._sieves = None

    def search(self, haystack: bytes) -> list[Hit]:
        """Every needle at every place, in no order."""
        table, windows = self._sieves or self._build()
        hits: list[Hit] = []
        for shift in range(max(0, min(WINDOW, len(haystack) - WINDOW + 1))):
            here = np.frombuffer(haystack, "<u8", (len(haystack) - shift) // WINDOW, shift)
            maybe = np.flatnonzero(table[_slots(here)])
            maybe = maybe[_is_in(here[maybe], windows)]
            for place in (maybe * WINDOW + shift).tolist():
                hits.extend(hit for group in self._groups if (hit := group.at(haystack, place)))
        return hits

    def _build(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        empty = [np.zeros(0, np.uint64)]
        windows = np.sort(np.concatenate(empty + [group.windows() for group in self._groups]))
        table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        table[_slots(windows)] = True
        self._sieves = table, windows
        return self._sieves


def _slots(windows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    slots: NDArray[np.uint64] = (windows * _MIX) >> np.uint64(64 - _TABLE_BITS)
    return slots


def _is_in(values: NDArray[np.uint64], ordered: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values stand in the sorted array."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    same: NDArray[np.bool_] = ordered[places] == values
    return same
