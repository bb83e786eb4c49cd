"""Bodies of counted releases, read fast and kept small: what an answer over hundreds of releases is made of.

An entry that counts was parsed strictly and judged before (`protocol.summaries`, `federation.judgement`), so it is read
here without checking it again; a test holds the two readers equal. Cells stay in the width they were sent in, and what
releases of one definition have in common (blocks, sampling) is one object: a release of 100 cells takes about half a
kilobyte. The ones used lately stay in memory, since a counted release never changes.
"""

from __future__ import annotations

import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import msgspec

from federation.combine import BlockNoise, CountedRelease
from node.commons import EpochCharge
from node.state.log import LogStore
from privacy.layout import MAX_CELLS
from privacy.units import Window
from protocol.ids import EntryId, NodeId

KEPT_CELLS: Final = 4_000_000  # of 1 to 8 bytes; with 100 in each, 40,000 releases of half a kilobyte
_FORMATS: Final = {1: "b", 2: "h", 4: "i", 8: "q"}
_HEADER_AT: Final = 7  # place of the claimed time in a header (specs/mesh.md 5.1)
_MOST_KINDS: Final = 4096  # different blocks remembered


@dataclass(frozen=True, slots=True)
class Body:
    """A counted release and its author's claimed time, Unix seconds."""

    release: CountedRelease
    at_s: int


class _Block(msgspec.Struct):
    cells: int
    mechanism: str
    quantum: tuple[int, int]
    sigma2: tuple[int, int]


class _Summary(msgspec.Struct):
    blocks: msgspec.Raw
    unit: str
    sampling: tuple[int, int]
    release: bytes
    keys: list[bytes] | None = None


class _Charged(msgspec.Struct):
    definition: bytes
    blocks: list[_Block]
    charges: list[tuple[str, int, int]]
    keys: list[bytes] | None = None


window_of: Final = lru_cache(maxsize=4096)(Window.parse)  # a window's text is in a release of each member and metric
_charged_of: Final = msgspec.msgpack.Decoder(_Charged).decode
_summary_of: Final = msgspec.msgpack.Decoder(_Summary).decode
_blocks_of: Final = msgspec.msgpack.Decoder(list[_Block]).decode
_header_of: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_integer_of: Final = msgspec.msgpack.Decoder(int).decode


class ReleaseBodies:
    """Reads bodies of entries that count.

    Args:
        logs: Where entries are stored.
        most_cells: Cells kept in memory, of the releases used last.
    """

    def __init__(self, logs: LogStore, most_cells: int = KEPT_CELLS) -> None:
        self._logs = logs
        self._most_cells = most_cells
        self._kept: OrderedDict[EntryId, Body] = OrderedDict()
        self._cells = 0
        self._blocks: dict[bytes, tuple[BlockNoise, ...]] = {}
        self._samplings: dict[tuple[int, int], Fraction] = {}

    def read(self, wanted: Sequence[tuple[EntryId, NodeId, Window]]) -> dict[EntryId, Body]:
        """The bodies of these entries, each a counted summary of this author and window."""
        found: dict[EntryId, Body] = {}
        missing: dict[EntryId, tuple[NodeId, Window]] = {}
        for entry_id, author, window in wanted:
            kept = self._kept.get(entry_id)
            if kept is None:
                missing[entry_id] = author, window
            else:
                self._kept.move_to_end(entry_id)
                found[entry_id] = kept
        for entry_id, header, data, cells in self._logs.bodies(list(missing)):
            found[entry_id] = body = self._body(*missing[entry_id], header, data, cells)
            self._keep(entry_id, body)
        if len(found) < len({entry_id for entry_id, *_ in wanted}):
            raise RuntimeError("an entry that counts is stored")
        return found

    def charges(self, author: NodeId, entries: Sequence[EntryId]) -> Iterator[EpochCharge]:
        """What each of these counted summaries of one author charged to its one epoch; nothing of it is kept."""
        for _, _, data, _ in self._logs.bodies(entries):
            summary = _charged_of(data)
            [(epoch, rho_nano, delta_atto)] = summary.charges  # judgement counts no summary of several
            # How many keys were noised beside those that passed is the author's own; no person touches more than these.
            drawn = sum(block.cells for block in summary.blocks)
            draws = drawn if summary.keys is None else MAX_CELLS * len(summary.blocks)
            yield EpochCharge(author, window_of(epoch), rho_nano, delta_atto, draws, (summary.definition,))

    def _body(self, author: NodeId, window: Window, header: bytes, data: bytes, cells: bytes | None) -> Body:
        summary = _summary_of(data)
        blocks = self._blocks_of(bytes(summary.blocks))
        sampling = self._samplings.get(summary.sampling)
        if sampling is None:
            sampling = self._samplings.setdefault(summary.sampling, Fraction(*summary.sampling))
        release = CountedRelease(
            node=author,
            window=window,
            cells=_cells(cells, sum(block.cells for block in blocks)),
            blocks=blocks,
            unit=sys.intern(summary.unit),
            release_id=summary.release,
            sampling=sampling,
            keys=None if summary.keys is None else tuple(key.decode() for key in summary.keys),
        )
        return Body(release, _integer_of(_header_of(header)[_HEADER_AT]))

    def _blocks_of(self, raw: bytes) -> tuple[BlockNoise, ...]:
        known = self._blocks.get(raw)
        if known is None:
            known = tuple(
                BlockNoise(one.cells, one.mechanism, Fraction(*one.quantum), Fraction(*one.sigma2))
                for one in _blocks_of(raw)
            )
            if len(self._blocks) >= _MOST_KINDS:  # discovered keys make blocks of many sizes
                self._blocks.clear()
            self._blocks[raw] = known
        return known

    def _keep(self, entry_id: EntryId, body: Body) -> None:
        self._kept[entry_id] = body
        self._cells += len(body.release.cells)
        while self._cells > self._most_cells and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._cells -= len(dropped.release.cells)


def _cells(vector: bytes | None, count: int) -> Sequence[int]:
    """The cells of a vector (specs/mesh.md 5.4), in its own width."""
    if not vector:
        return ()
    cells = array(_FORMATS[len(vector) // count], vector)
    if sys.byteorder == "little":
        cells.byteswap()
    return cells
