"""The data of `summary` entries: one release as it travels (specs/mesh.md 5.5).

A summary states what it answers (definition, window, person-key kind), how it was noised (mechanism and exact
variance per block), what it cost (charges and the epoch's running total) and the hash of its cells. It holds no
number of users, events or rows, and no run time. The release id covers the slot and the released numbers, so
that the same release published twice has one id and a second release for one slot shows.

Data version 2 is a summary with keys: names that nobody listed, one for each cell of a block (`discover`). Where no key
passed there is no cell, and so neither a vector nor `cells_hash`.

Left out on purpose: whether variance, charge and keys are what the definition demands (judgement).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.cells import MAX_CELLS, cells_hash, decode_cells, encode_cells
from protocol.errors import MalformedMessage, PartsMismatch, UnknownVersion
from protocol.fields import (
    Fields,
    check_array,
    check_ascending,
    check_human,
    check_integer,
    check_ratio,
    check_text,
    human_value,
    ratio_value,
    refuse,
)
from protocol.ids import ID_BYTES, DefinitionHash, NodeId, ReleaseId
from protocol.objects import RELEASE, object_id
from protocol.windows import parse_window
from protocol.wire import WireBlock, WireCharge, WireSummary, encode_release, read_summary

DATA_VERSION: Final = 1
KEYED_VERSION: Final = 2
MAX_KEYS: Final = 512  # of 64 bytes: half of the data
MAX_KEY_BYTES: Final = 64
MAX_BLOCKS: Final = 64
MAX_CHARGES: Final = 8  # a window lies in one epoch; room for releases over several
UNITS: Final = ("user", "session", "address")
_HIDDEN: Final = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
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
    """The data of a summary. `total` is the ledger's running total of each charged epoch, this release included.

    `keys`: None in version 1; in version 2 the names of each block's cells, in the order of their bytes.
    """

    definition: DefinitionHash
    window: str
    unit: str
    blocks: tuple[BlockData, ...]
    charges: tuple[Charge, ...]
    total: tuple[Charge, ...]
    cells_hash: bytes
    sampling: Fraction
    release: ReleaseId
    keys: tuple[str, ...] | None = None

    @property
    def cells(self) -> int:
        """The number of cells of all blocks."""
        return sum(block.cells for block in self.blocks)

    def encode(self) -> bytes:
        fields: dict[str, Encodable] = {
            "v": DATA_VERSION if self.keys is None else KEYED_VERSION,
            "definition": self.definition,
            "window": self.window,
            "unit": self.unit,
            "blocks": [block.value() for block in self.blocks],
            "charges": [charge.value() for charge in self.charges],
            "total": [charge.value() for charge in self.total],
            "sampling": ratio_value(self.sampling),
            "release": self.release,
        }
        if self.keys is not None:
            fields["keys"] = _key_values(self.keys)
        if self.keys != ():
            fields["cells_hash"] = self.cells_hash
        return canonical.encode(fields)


def release_id(
    *,
    definition: DefinitionHash,
    window: str,
    node: NodeId,
    cells_hash: bytes,
    blocks: Sequence[BlockData],
    charges: Sequence[Charge],
    keys: Sequence[str] | None = None,
) -> ReleaseId:
    """The id of a release: the hash of its slot, vector (by hash), blocks, charges and keys, if any."""
    body: list[Encodable] = [
        DATA_VERSION if keys is None else KEYED_VERSION,
        definition,
        window,
        node,
        cells_hash,
        [block.value() for block in blocks],
        [charge.value() for charge in charges],
    ]
    if keys is not None:
        body.append(_key_values(keys))
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
    return _built(definition, window, node, unit, blocks, charges, total, sampling, vector, None), vector


def build_keyed_summary(
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
    keys: Sequence[str],
) -> tuple[SummaryData, bytes | None]:
    """The same of data version 2: `keys` name the cells of each block; without any key there is no vector.

    Raises:
        MalformedMessage: whatever `parse_summary` and `read_cells` would refuse in the result.
    """
    vector = encode_cells(cells) if keys or cells else None
    return _built(definition, window, node, unit, blocks, charges, total, sampling, vector, tuple(keys)), vector


def _built(
    definition: DefinitionHash,
    window: str,
    node: NodeId,
    unit: str,
    blocks: Sequence[BlockData],
    charges: Sequence[Charge],
    total: Sequence[Charge],
    sampling: Fraction,
    vector: bytes | None,
    keys: tuple[str, ...] | None,
) -> SummaryData:
    digest = cells_hash(vector or b"")
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
            definition=definition,
            window=window,
            node=node,
            cells_hash=digest,
            blocks=blocks,
            charges=charges,
            keys=keys,
        ),
        keys=keys,
    )
    read_cells(parse_summary(data.encode(), node), vector)
    return data


def parse_summary(data: bytes, node: NodeId) -> SummaryData:
    """The summary `node` (the entry's author) wrote; its release id is recomputed and must match.

    Raises:
        MalformedMessage: wrong form, or another release id. UnknownVersion: another data version.
    """
    quick = read_summary(data)
    if quick is not None and (summary := _quick_summary(quick, node)) is not None:
        return summary
    fields = Fields(canonical.decode(data), "summary")
    version = fields.version(DATA_VERSION, KEYED_VERSION)
    keys = fields.optional("keys", lambda name: parse_keys(fields.take(name))) if version == KEYED_VERSION else None
    if keys is None and version == KEYED_VERSION:
        raise UnknownVersion(what="summary not understood", why="version 2 has keys, and here are none")
    least = 1 if keys is None else len(keys)
    summary = SummaryData(
        definition=DefinitionHash(fields.bytes_of("definition")),
        window=parse_window(fields.take("window"), "summary: window").text,
        unit=_one_of(fields.text("unit"), UNITS, "summary: unit"),
        blocks=tuple(_parse_block(item, least) for item in fields.array("blocks", MAX_BLOCKS, 1)),
        charges=parse_charges(fields.take("charges"), "summary: charges"),
        total=parse_charges(fields.take("total"), "summary: total"),
        cells_hash=cells_hash(b"") if keys == () else fields.bytes_of("cells_hash"),
        sampling=_positive(fields.ratio("sampling"), "summary: sampling"),
        release=ReleaseId(fields.bytes_of("release")),
        keys=keys,
    )
    fields.done()
    if keys is not None and any(block.cells != len(keys) for block in summary.blocks):
        refuse("summary: block", "a block has another number of cells than there are keys")
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
        keys=keys,
    )
    if summary.release != expected:
        refuse("summary: release", "the id does not follow from slot, cells, blocks, charges and keys")
    return summary


def _quick_summary(wire: WireSummary, node: NodeId) -> SummaryData | None:
    """The summary of data in canonical form, when all is well; None: `parse_summary` says what is not."""
    if (
        wire.v != DATA_VERSION
        or not len(wire.definition) == len(wire.cells_hash) == len(wire.release) == ID_BYTES
        or wire.unit not in UNITS
        or not 1 <= len(wire.blocks) <= MAX_BLOCKS
        or object_id(RELEASE, encode_release(wire, node)) != wire.release
    ):
        return None
    try:
        window = parse_window(wire.window).text
        blocks = tuple(map(_quick_block, wire.blocks))
        charges, total = _quick_charges(wire.charges), _quick_charges(wire.total)
        sampling = _quick_ratio(wire.sampling)
    except MalformedMessage:
        return None
    is_good = (
        sum(block.cells for block in blocks) <= MAX_CELLS
        and sampling <= 1
        and [charge.epoch for charge in total] == [charge.epoch for charge in charges]
    )
    if not is_good:
        return None
    return SummaryData(
        DefinitionHash(wire.definition), window, wire.unit, blocks, charges, total, wire.cells_hash, sampling,
        ReleaseId(wire.release),
    )  # fmt: skip


@lru_cache(maxsize=1_024)  # the blocks of a definition are the same in all its summaries
def _quick_block(block: WireBlock) -> BlockData:
    if not 1 <= block.cells <= MAX_CELLS or block.mechanism not in MECHANISMS:
        refuse("summary: block", "not in form")
    return BlockData(block.cells, block.mechanism, _quick_ratio(block.quantum), _quick_ratio(block.sigma2))


@lru_cache(maxsize=1_024)
def _quick_ratio(ratio: tuple[int, int]) -> Fraction:
    return _positive(check_ratio(list(ratio), "summary"), "summary")


def _quick_charges(items: Sequence[WireCharge]) -> tuple[Charge, ...]:
    if not 1 <= len(items) <= MAX_CHARGES:
        refuse("summary: charges", "not in form")
    _check_epochs(tuple([item[0] for item in items]))
    return tuple([Charge(*item) for item in items])


@lru_cache(maxsize=1_024)  # all summaries of a day charge the same epochs, and each says so twice
def _check_epochs(epochs: tuple[str, ...]) -> None:
    if "hour" in [parse_window(epoch).kind for epoch in epochs]:
        refuse("summary: charges", "not in form")
    check_ascending(epochs, "summary: charges", str)


def read_cells(summary: SummaryData, cells: bytes | None) -> tuple[int, ...]:
    """The summary's cells from its vector, block after block.

    Raises:
        PartsMismatch: no vector, or another one. MalformedMessage: it is not the smallest form of that many cells.
    """
    if summary.keys == () and cells is None:
        return ()
    if cells is None or cells_hash(cells) != summary.cells_hash:
        raise PartsMismatch(what="summary refused", why="the cell vector is not the one that was signed")
    return decode_cells(cells, summary.cells)


def parse_keys(value: Value) -> tuple[str, ...]:
    """Keys as bins of UTF-8, 1 to 64 bytes each, in strictly ascending order of their bytes.

    No control characters, none that are invisible, and none that turn the direction of text: whoever shows a key shows
    what it says. The list is fixed, so that all members judge alike.

    Raises:
        MalformedMessage, TooLarge: anything else, or more than 512.
    """
    what = "summary: keys"
    keys = tuple(check_human(item, what, MAX_KEY_BYTES) for item in check_array(value, what, 0, MAX_KEYS))
    if any(_HIDDEN.search(key) for key in keys):
        refuse(what, "a character is invisible or turns the direction of text")
    check_ascending(keys, what, lambda key: key.encode())
    return keys


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


def _parse_block(value: Value, least: int) -> BlockData:
    fields = Fields(value, "summary: block")
    block = BlockData(
        cells=fields.integer("cells", min(least, 1), MAX_CELLS),
        mechanism=_one_of(fields.text("mechanism"), MECHANISMS, "summary: mechanism"),
        quantum=_positive(fields.ratio("quantum"), "summary: quantum"),
        sigma2=_positive(fields.ratio("sigma2"), "summary: sigma2"),
    )
    fields.done()
    return block


def _key_values(keys: Sequence[str]) -> list[Encodable]:
    return [human_value(key) for key in keys]


def _one_of(value: Value, known: tuple[str, ...], what: str) -> str:
    text = check_text(value, what)
    if text not in known:
        refuse(what, f"'{text}' is none of {', '.join(known)}")
    return text


def _positive(ratio: Fraction, what: str) -> Fraction:
    if ratio <= 0:
        raise MalformedMessage(what=f"{what} refused", why="it must be above zero")
    return ratio
