"""The data of `summary` entries: one release as it travels (specs/mesh.md 5.5).

A summary states what it answers (definition, window, person-key kind), how it was noised (mechanism and exact
variance per block), what it cost (charges and the epoch's running total) and the hash of its cells. It holds no
number of users, events or rows, and no run time. The release id covers the slot and the released numbers, so
that the same release published twice has one id and a second release for one slot shows.

Left out on purpose: whether variance and charge are what the definition demands (judgement), and keys of `discover`
(data version 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.cells import MAX_CELLS, cells_hash, decode_cells, encode_cells
from protocol.errors import MalformedMessage, PartsMismatch
from protocol.fields import Fields, check_array, check_ascending, check_integer, check_text, ratio_value, refuse
from protocol.ids import DefinitionHash, NodeId, ReleaseId
from protocol.objects import RELEASE, object_id
from protocol.windows import parse_window

DATA_VERSION: Final = 1
MAX_BLOCKS: Final = 64
MAX_CHARGES: Final = 8  # a window lies in one epoch; room for releases over several
UNITS: Final = ("user", "session", "address")
MECHANISMS: Final = ("gaussian", "laplace", "geometric")


@dataclass(frozen=True, slots=True)
class BlockData:
    """One block of the vector: its number of cells, and the exact noise on each.

    `quantum`: the value of one unit of a cell; `sigma2`: the variance of the noise in units squared, > 0.
    """

    cells: int
    mechanism: str
    quantum: Fraction
    sigma2: Fraction

    def value(self) -> Encodable:
        return {
            "cells": self.cells,
            "mechanism": self.mechanism,
            "quantum": ratio_value(self.quantum),
            "sigma2": ratio_value(self.sigma2),
        }


@dataclass(frozen=True, slots=True)
class Charge:
    """What one epoch paid, or has paid in all; wire form `[epoch, rho_nano, delta_atto]`.

    `rho_nano` counts units of 10⁻⁹, `delta_atto` units of 10⁻¹⁸.
    """

    epoch: str
    rho_nano: int
    delta_atto: int

    def value(self) -> Encodable:
        return [self.epoch, self.rho_nano, self.delta_atto]


@dataclass(frozen=True, slots=True)
class SummaryData:
    """The data of a summary. `total` is the ledger's running total of each charged epoch, this release included."""

    definition: DefinitionHash
    window: str
    unit: str
    blocks: tuple[BlockData, ...]
    charges: tuple[Charge, ...]
    total: tuple[Charge, ...]
    cells_hash: bytes
    sampling: Fraction
    release: ReleaseId

    @property
    def cells(self) -> int:
        """The number of cells of all blocks."""
        return sum(block.cells for block in self.blocks)

    def encode(self) -> bytes:
        return canonical.encode(
            {
                "v": DATA_VERSION,
                "definition": self.definition,
                "window": self.window,
                "unit": self.unit,
                "blocks": [block.value() for block in self.blocks],
                "charges": [charge.value() for charge in self.charges],
                "total": [charge.value() for charge in self.total],
                "cells_hash": self.cells_hash,
                "sampling": ratio_value(self.sampling),
                "release": self.release,
            }
        )


def release_id(
    *,
    definition: DefinitionHash,
    window: str,
    node: NodeId,
    cells_hash: bytes,
    blocks: Sequence[BlockData],
    charges: Sequence[Charge],
) -> ReleaseId:
    """The id of a release: the hash of its slot, its vector (by hash), its blocks and its charges."""
    body: list[Encodable] = [
        DATA_VERSION,
        definition,
        window,
        node,
        cells_hash,
        [block.value() for block in blocks],
        [charge.value() for charge in charges],
    ]
    return ReleaseId(object_id(RELEASE, canonical.encode(body)))


def build_summary(
    *,
    definition: DefinitionHash,
    window: str,
    node: NodeId,
    unit: str,
    blocks: Sequence[BlockData],
    charges: Sequence[Charge],
    total: Sequence[Charge],
    sampling: Fraction,
    cells: Sequence[int],
) -> tuple[SummaryData, bytes]:
    """The data of a summary and its cell vector, for `entries.build_entry(data=data.encode(), cells=vector)`.

    Raises:
        MalformedMessage: whatever `parse_summary` and `read_cells` would refuse in the result.
    """
    vector = encode_cells(cells)
    digest = cells_hash(vector)
    data = SummaryData(
        definition=definition,
        window=window,
        unit=unit,
        blocks=tuple(blocks),
        charges=tuple(charges),
        total=tuple(total),
        cells_hash=digest,
        sampling=sampling,
        release=release_id(
            definition=definition, window=window, node=node, cells_hash=digest, blocks=blocks, charges=charges
        ),
    )
    read_cells(parse_summary(data.encode(), node), vector)
    return data, vector


def parse_summary(data: bytes, node: NodeId) -> SummaryData:
    """The summary `node` (the entry's author) wrote; its release id is recomputed and must match.

    Raises:
        MalformedMessage: wrong form, or another release id. UnknownVersion: another data version.
    """
    fields = Fields(canonical.decode(data), "summary")
    fields.version(DATA_VERSION)
    summary = SummaryData(
        definition=DefinitionHash(fields.bytes_of("definition")),
        window=parse_window(fields.take("window"), "summary: window").text,
        unit=_one_of(fields.text("unit"), UNITS, "summary: unit"),
        blocks=tuple(_parse_block(item) for item in fields.array("blocks", MAX_BLOCKS, 1)),
        charges=parse_charges(fields.take("charges"), "summary: charges"),
        total=parse_charges(fields.take("total"), "summary: total"),
        cells_hash=fields.bytes_of("cells_hash"),
        sampling=_positive(fields.ratio("sampling"), "summary: sampling"),
        release=ReleaseId(fields.bytes_of("release")),
    )
    fields.done()
    if summary.cells > MAX_CELLS:
        refuse("summary", f"{summary.cells} cells, at most {MAX_CELLS} are allowed")
    if summary.sampling > 1:
        refuse("summary: sampling", "a rate is at most 1")
    if [charge.epoch for charge in summary.total] != [charge.epoch for charge in summary.charges]:
        refuse("summary: total", "it names other epochs than the charges")
    expected = release_id(
        definition=summary.definition,
        window=summary.window,
        node=node,
        cells_hash=summary.cells_hash,
        blocks=summary.blocks,
        charges=summary.charges,
    )
    if summary.release != expected:
        refuse("summary: release", "the id does not follow from slot, cells, blocks and charges")
    return summary


def read_cells(summary: SummaryData, cells: bytes | None) -> tuple[int, ...]:
    """The summary's cells from its vector, block after block.

    Raises:
        PartsMismatch: no vector, or another one. MalformedMessage: it is not the smallest form of that many cells.
    """
    if cells is None or cells_hash(cells) != summary.cells_hash:
        raise PartsMismatch(what="summary refused", why="the cell vector is not the one that was signed")
    return decode_cells(cells, summary.cells)


def parse_charges(value: Value, what: str) -> tuple[Charge, ...]:
    """Charges in ascending order of their epoch's text, one an epoch.

    Raises:
        MalformedMessage: wrong form, an epoch that is no day, week or month, or out of order.
    """
    charges = []
    for item in check_array(value, what, 1, MAX_CHARGES):
        epoch, rho_nano, delta_atto = check_array(item, what, 3, 3)
        span = parse_window(epoch, f"{what}: epoch")
        if span.kind == "hour":
            refuse(f"{what}: epoch", "an epoch is a day, a week or a month")
        charges.append(
            Charge(span.text, check_integer(rho_nano, f"{what}: rho"), check_integer(delta_atto, f"{what}: delta"))
        )
    check_ascending(charges, what, lambda charge: charge.epoch)
    return tuple(charges)


def _parse_block(value: Value) -> BlockData:
    fields = Fields(value, "summary: block")
    block = BlockData(
        cells=fields.integer("cells", 1, MAX_CELLS),
        mechanism=_one_of(fields.text("mechanism"), MECHANISMS, "summary: mechanism"),
        quantum=_positive(fields.ratio("quantum"), "summary: quantum"),
        sigma2=_positive(fields.ratio("sigma2"), "summary: sigma2"),
    )
    fields.done()
    return block


def _one_of(value: Value, known: tuple[str, ...], what: str) -> str:
    text = check_text(value, what)
    if text not in known:
        refuse(what, f"'{text}' is none of {', '.join(known)}")
    return text


def _positive(ratio: Fraction, what: str) -> Fraction:
    if ratio <= 0:
        raise MalformedMessage(what=f"{what} refused", why="it must be above zero")
    return ratio
