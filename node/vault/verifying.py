"""What is wrong with a sealed segment, frame by frame: flipped, cut, swapped, replayed or missing.

A reader stops at the first damage and gives nothing of the segment; this goes on, for the operator who must know how
much is lost. It names places, never what a frame holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from node.errors import StorageError
from node.state.epochs import EpochRecord
from node.vault.calendar import has_key
from node.vault.disk import read_bytes
from node.vault.epoch_keys import EPOCH_KEY_KINDS, EpochKeyStore
from node.vault.kept_cells import KeptCells, SealedCells
from node.vault.segments import SegmentDamaged, SegmentFrames
from node.vault.shelf import Sealed

_MAX_NAMED: Final = 100  # places of one segment; a segment torn to pieces need not be listed byte by byte


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written.

    Args:
        epoch: The epoch's text.
        segment: Its id in hex (or that of a set of kept cells, as `why` says), or None where a key is damaged.
        frame: Index of the frame, `header`, `footer`, `file`, `data key` or `pseudonym key`.
        why: In words.
    """

    epoch: str
    segment: str | None
    frame: int | str
    why: str

    def as_json(self) -> dict[str, int | str | None]:
        return {"epoch": self.epoch, "segment": self.segment, "frame": self.frame, "why": self.why}


def damaged_keys(record: EpochRecord, keys: EpochKeyStore) -> list[Damage]:
    """The keys of an epoch that should be there and do not open."""
    found = []
    for kind in EPOCH_KEY_KINDS:
        if has_key(record, kind):
            try:
                keys.check(record.epoch.text, kind)
            except StorageError as error:
                found.append(Damage(record.epoch.text, None, f"{kind} key", error.why))
    return found


def damages_of(sealed: Sealed | SealedCells) -> list[Damage]:
    """Everything in the known range that is not what was written; none for a whole file."""
    of_what = "; these are kept cells, which are made again from the rows" * isinstance(sealed.segment, KeptCells)

    def damage(frame: int | Literal["header", "footer", "file"], why: str) -> Damage:
        return Damage(sealed.segment.epoch, sealed.segment.id.hex(), frame, why + of_what)

    try:
        data = read_bytes(sealed.path)
        frames = SegmentFrames(data[: sealed.extent.size_bytes], sealed.segment, sealed.data_key)
    except SegmentDamaged as error:
        return [damage("header", error.why)]
    except StorageError as error:
        return [damage("file", f"{error.what}: {error.why}")]
    found = [damage(*place) for place in _places(frames, sealed)]
    if sealed.extent.has_footer and len(data) > sealed.extent.size_bytes:
        found.append(damage("footer", f"{len(data) - sealed.extent.size_bytes} bytes follow it"))
    if not found:  # the frames open; whether they hold rows and add up only a reader knows
        try:
            for _ in sealed.frames():
                pass
        except SegmentDamaged as error:
            return [damage(error.frame, error.why)]
    return found[:_MAX_NAMED]


def _places(frames: SegmentFrames, sealed: Sealed | SealedCells) -> Iterator[tuple[int | Literal["footer"], str]]:
    """(place, why) of each frame that is not where and what it should be."""
    expected = sealed.extent.frames + sealed.extent.has_footer
    seen: set[int] = set()
    unopened: set[int] = set()
    last = -1  # the frame that came before, by what it was sealed as
    for kind, frame in frames:
        others = expected if len(unopened) < _MAX_NAMED else 0  # or a ruin would be searched for hours
        index = frames.index_of(last + 1, kind, frame, others)
        if index is None:
            last += 1
            unopened.add(last)
            yield _name(last, sealed), "it does not open: flipped, or of another segment"
        elif index in seen:
            yield _name(index, sealed), f"it is replayed after {_words(last, sealed)}"
        else:
            seen.add(index)
            if index < last:
                yield _name(index, sealed), f"it stands after {_words(last, sealed)}: swapped"
            last = max(last, index)
    if not frames.ends_whole:
        yield _name(last + 1, sealed), "no whole frame stands here: cut, or its length flipped"
        unopened.add(last + 1)
    for index in range(expected):
        if index not in seen and index not in unopened:
            yield _name(index, sealed), "it is missing"


def _name(position: int, sealed: Sealed | SealedCells) -> int | Literal["footer"]:
    return position if position < sealed.extent.frames else "footer"


def _words(index: int, sealed: Sealed | SealedCells) -> str:
    name = _name(index, sealed)
    return "the footer" if name == "footer" else f"frame {name}"
