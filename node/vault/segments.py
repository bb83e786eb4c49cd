"""Segment files: sealed frames behind a header, ended by a footer (specs/vault.md 3).

    magic (8) ‖ u32 size ‖ header ‖ { u32 size ‖ u8 kind ‖ sealed } …

A segment is written once, by one process, and never opened for writing again. Each has its own AES-256-GCM key,
HKDF-SHA256(epoch data key, salt = segment id), so the frame counter is a safe nonce; the associated data binds
magic, segment id, hash of the header, frame index and kind, so that a flipped, swapped, replayed or missing frame
does not open. The footer is the last frame and holds the number of frames and rows.

How many bytes and frames of a segment are known to be good stands outside: in the writer while it is open, in the
state database once it ended. A crash leaves an open segment, whose end `recover_segment` finds; whatever lies
behind was never acknowledged.

What decodes frames is imported on first use: numpy costs a start more than all else here.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Literal, NewType, Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.errors import StorageError
from node.vault.disk import Disk, read_bytes
from node.vault.row_columns import FrameError
from protocol import canonical  # the one dependency on the encoding of header and footer
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from node.vault.frames import DecodedFrame

SegmentId = NewType("SegmentId", bytes)  # 16 random bytes

MAGIC: Final = b"murmseg\x01"  # the last byte is the version
ID_BYTES: Final = 16
MAX_HEADER_BYTES: Final = 64 << 10  # a header needs 2 KiB; anything larger is not ours
_Opened = TypeVar("_Opened")
_Of = TypeVar("_Of", bound="Sealable")

ROWS: Final = 0
FOOTER: Final = 1

_SIZE: Final = struct.Struct(">I")
_FRAME: Final = struct.Struct(">IB")
_TAG_BYTES: Final = 16
_KEY_INFO: Final = b"murmur/vault/segment/1"


class SegmentDamaged(StorageError):
    """A segment's bytes are not what was written. Names the segment and the frame, never what it holds."""

    code = "segment_damaged"

    def __init__(self, segment: SegmentId, frame: int | Literal["header", "footer"], why: str) -> None:
        self.segment = segment
        self.frame = frame
        where = f"frame {frame}" if isinstance(frame, int) else f"its {frame}"
        super().__init__(
            what=f"Segment {segment.hex()} is damaged at {where}",
            why=why,
            fix="Check the disk, and stop the node's releases of this epoch; events have no backup",
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """What identifies a segment and says how to open it.

    Args:
        id: 16 random bytes, used once.
        epoch: Text of the epoch whose data key seals it.
        slots: Number of attribute slots its frames hold, 0 to 16.
    """

    id: SegmentId
    epoch: str
    slots: int

    @property
    def header(self) -> bytes:
        """Magic, size and canonical header: the first bytes of the file."""
        from node.vault.frames import arrow_schema

        body = canonical.encode(
            {
                "epoch": self.epoch,
                "schema": arrow_schema(self.slots).serialize().to_pybytes(),
                "segment": bytes(self.id),
                "slots": self.slots,
            }
        )
        return sealed_header(MAGIC, body)


class Sealable(Protocol):
    """What a sealed file is of: a segment, or a set of kept cells."""

    @property
    def id(self) -> SegmentId: ...

    @property
    def header(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Extent:
    """The known range of a segment: so many frames of rows in the first so many bytes.

    `has_footer` says that the footer follows those frames and is the last thing in those bytes and in the file.
    """

    frames: int
    size_bytes: int
    has_footer: bool


def sealed_header(magic: bytes, body: bytes) -> bytes:
    """The first bytes of a sealed file."""
    return magic + _SIZE.pack(len(body)) + body


class _Sealer:
    """Seals and opens the frames of one segment."""

    __slots__ = ("_aead", "_bound")

    def __init__(self, segment: Sealable, header: bytes, data_key: bytes) -> None:
        kdf = HKDF(algorithm=SHA256(), length=32, salt=segment.id, info=_KEY_INFO)
        self._aead = AESGCM(kdf.derive(data_key))
        self._bound = MAGIC + segment.id + hashlib.sha256(header).digest()

    def seal(self, index: int, kind: int, plaintext: bytes) -> bytes:
        return self._aead.encrypt(index.to_bytes(12, "big"), plaintext, self._associated(index, kind))

    def open(self, index: int, kind: int, sealed: memoryview | bytes) -> bytes:
        return self._aead.decrypt(index.to_bytes(12, "big"), bytes(sealed), self._associated(index, kind))

    def _associated(self, index: int, kind: int) -> bytes:
        return self._bound + struct.pack(">QB", index, kind)


class SegmentWriter(Generic[_Of]):
    """A new segment, open for appending. Not safe to share between threads: the vault's gate guards it.

    After any error the writer is `broken`: a frame index is never used for two plaintexts. What it held before
    stays good (`extent`).
    """

    def __init__(self, disk: Disk, path: Path, segment: _Of, data_key: bytes) -> None:
        """Create the file with its header, both durable on return; on an error no file is left behind."""
        self.segment = segment
        self.path = path
        self.is_broken = False
        self._disk = disk
        self._frames = self._rows = 0
        header = segment.header
        self._sealer = _Sealer(segment, header, data_key)
        self._size_bytes = len(header)
        self._descriptor = disk.create(path)
        try:
            disk.append(self._descriptor, header, path)
            disk.sync(self._descriptor, path)
            disk.sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            with suppress(StorageError):  # on a failing disk the file may stay; it has no row, so it is a stray
                disk.remove(path)
            raise

    @property
    def extent(self) -> Extent:
        """What was written whole so far; acknowledged only after `sync`."""
        return Extent(self._frames, self._size_bytes, has_footer=False)

    def append(self, plaintext: bytes, rows: int) -> None:
        """Seal and write one frame of `rows` rows; `sync` makes it durable."""
        self._write(ROWS, plaintext)
        self._frames += 1
        self._rows += rows

    def sync(self) -> None:
        """Make every frame written so far durable."""
        try:
            self._disk.sync(self._descriptor, self.path)
        except BaseException:
            self.is_broken = True
            raise

    def finish(self) -> Extent:
        """Write the footer, make it durable, close the file."""
        self._write(FOOTER, canonical.encode({"frames": self._frames, "rows": self._rows}))
        self.sync()
        self.close()
        return Extent(self._frames, self._size_bytes, has_footer=True)

    def close(self) -> None:
        """Close the file without a footer, as a crash would."""
        self.is_broken = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, kind: int, plaintext: bytes) -> None:
        if self.is_broken:
            raise RuntimeError("this segment has ended")
        sealed = self._sealer.seal(self._frames, kind, plaintext)
        framed = _FRAME.pack(len(sealed), kind) + sealed
        try:
            self._disk.append(self._descriptor, framed, self.path)
        except BaseException:
            self.is_broken = True
            raise
        self._size_bytes += len(framed)


def read_segment(path: Path, segment: Segment, data_key: bytes, extent: Extent) -> Iterator[DecodedFrame]:
    """The frames of the known range, in order; raises as `read_sealed`."""
    from node.vault.frames import decode_frame

    def decoded(plaintext: bytes) -> tuple[DecodedFrame, int]:
        frame = decode_frame(plaintext, segment.slots)
        return frame, frame.rows

    return read_sealed(path, segment, data_key, extent, decoded)


def read_sealed(
    path: Path, segment: Sealable, data_key: bytes, extent: Extent, decode: Callable[[bytes], tuple[_Opened, int]]
) -> Iterator[_Opened]:
    """The frames of the known range of a sealed file, in order.

    Args:
        decode: A frame and its rows from a plaintext; raises FrameError.

    Raises:
        SegmentDamaged: anything in the range is not what was written, or the file ends early or late.
        StorageError: the file is missing or cannot be read.
    """
    data = read_bytes(path)
    if len(data) < extent.size_bytes or (extent.has_footer and len(data) > extent.size_bytes):
        why = f"the file has {len(data)} bytes, expected {extent.size_bytes}"
        raise SegmentDamaged(segment.id, extent.frames if len(data) < extent.size_bytes else "footer", why)
    view = memoryview(data)[: extent.size_bytes]
    sealer, position = _open_header(view, segment, data_key)
    rows = 0
    for index in range(extent.frames):
        plaintext, position = _open_frame(view, position, segment, sealer, index, ROWS)
        try:
            frame, more = decode(plaintext)
        except FrameError as error:
            raise SegmentDamaged(segment.id, index, f"it opens, but is no frame of rows ({error})") from error
        rows += more
        yield frame
    if extent.has_footer:
        footer, position = _open_frame(view, position, segment, sealer, extent.frames, FOOTER)
        _check_footer(footer, segment, extent.frames, rows)
    if position != extent.size_bytes:
        raise SegmentDamaged(segment.id, extent.frames, f"frames end at byte {position} of {extent.size_bytes}")


class SegmentFrames:
    """The sealed frames of some bytes, by their declared sizes alone: (kind, sealed). For finding out what is damaged.

    Iterate once. Raises SegmentDamaged at once where the header is not the segment's.
    """

    def __init__(self, data: bytes, segment: Sealable, data_key: bytes) -> None:
        self._view = memoryview(data)
        self._sealer, self._position = _open_header(self._view, segment, data_key)

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        while (framed := _frame_at(self._view, self._position)) is not None:
            kind, sealed, self._position = framed
            yield kind, sealed

    @property
    def ends_whole(self) -> bool:
        """Whether the bytes end where a frame ends, once iterated."""
        return self._position == len(self._view)

    def index_of(self, guess: int, kind: int, sealed: memoryview, below: int) -> int | None:
        """The index, `guess` or any below `below`, under which the frame was sealed; None where it does not open."""
        index: int
        for index in (guess, *range(below)):
            try:
                self._sealer.open(index, kind, sealed)
            except InvalidTag:
                continue
            return index
        return None


def recover_segment(path: Path, segment: Segment, data_key: bytes) -> Extent:
    """The known range of a segment that was open when its process died.

    At most one frame was being written, and it was not acknowledged. So bytes at the end that do not open are
    ignored, unless a later frame follows them: then a frame in the middle was damaged.

    Raises:
        SegmentDamaged: the header, or a frame before the last, is not what was written.
    """
    from node.vault.frames import decode_frame

    data = read_bytes(path)
    view = memoryview(data)
    sealer, position = _open_header(view, segment, data_key)
    index = rows = 0
    while position < len(data):
        framed = _frame_at(view, position)
        if framed is None:
            break
        kind, sealed, end = framed
        try:
            plaintext = sealer.open(index, kind, sealed)
        except InvalidTag:
            if end < len(data):
                raise SegmentDamaged(segment.id, index, "it does not open, and more follows it") from None
            break
        if kind == FOOTER:
            _check_footer(plaintext, segment, index, rows)
            if end != len(data):
                raise SegmentDamaged(segment.id, "footer", f"{len(data) - end} bytes follow it")
            return Extent(index, end, has_footer=True)
        rows += decode_frame(plaintext, segment.slots).rows
        index, position = index + 1, end
    if _has_frame_after(view, position, sealer, index + 1):
        raise SegmentDamaged(segment.id, index, "it does not open, and the next frame does")
    return Extent(index, position, has_footer=False)


def holds_no_frame(path: Path) -> bool:
    """Whether the file ends within its header, as one does that was being made when its process died."""
    data = read_bytes(path)
    start = len(MAGIC) + _SIZE.size
    return len(data) < start or len(data) <= start + _SIZE.unpack_from(data, len(MAGIC))[0]


def _open_header(view: memoryview, segment: Sealable, data_key: bytes) -> tuple[_Sealer, int]:
    """The sealer and the position of the first frame."""
    start = len(MAGIC) + _SIZE.size
    wanted = segment.header
    if bytes(view[: len(MAGIC)]) != wanted[: len(MAGIC)] or len(view) < start:
        raise SegmentDamaged(segment.id, "header", "it does not begin as a sealed file of its kind and version 1")
    (size,) = _SIZE.unpack_from(view, len(MAGIC))
    header = bytes(view[: start + size]) if size <= MAX_HEADER_BYTES else b""
    if header != wanted:
        raise SegmentDamaged(segment.id, "header", _header_difference(header[start:], segment))
    return _Sealer(segment, header, data_key), len(header)


def _header_difference(body: bytes, segment: Sealable) -> str:
    try:
        found = canonical.decode(body, max_bytes=MAX_HEADER_BYTES)
    except ProtocolError:
        return "it cannot be decoded"
    if isinstance(found, dict) and segment.id not in (found.get("segment"), found.get("set")):
        return "it names another segment"
    return "what it says of itself is not what is recorded"


def _frame_at(view: memoryview, position: int) -> tuple[int, memoryview, int] | None:
    """(kind, sealed, end) of what stands at `position`, or None when no whole frame can stand there."""
    start = position + _FRAME.size
    if start > len(view):
        return None
    size, kind = _FRAME.unpack_from(view, position)
    if size < _TAG_BYTES or kind not in (ROWS, FOOTER) or start + size > len(view):
        return None
    return kind, view[start : start + size], start + size


def _open_frame(
    view: memoryview, position: int, segment: Sealable, sealer: _Sealer, index: int, kind: int
) -> tuple[bytes, int]:
    name: int | Literal["footer"] = index if kind == ROWS else "footer"
    framed = _frame_at(view, position)
    if framed is None or framed[0] != kind:
        raise SegmentDamaged(segment.id, name, "no whole frame stands where it should")
    try:
        return sealer.open(index, kind, framed[1]), framed[2]
    except InvalidTag:
        raise SegmentDamaged(segment.id, name, "it does not open: flipped, swapped or replayed") from None


def _check_footer(footer: bytes, segment: Sealable, frames: int, rows: int) -> None:
    try:
        found = canonical.decode(footer)
    except ProtocolError as error:
        raise SegmentDamaged(segment.id, "footer", "it cannot be decoded") from error
    if found != {"frames": frames, "rows": rows}:
        raise SegmentDamaged(segment.id, "footer", f"it does not count {frames} frames and the rows they hold")


def _has_frame_after(view: memoryview, position: int, sealer: _Sealer, index: int) -> bool:
    """Whether the frame `index` opens at any later byte: a torn tail never has one behind it.

    Only places where size and kind could be those of a frame are tried, about one in 65,536.
    """
    import numpy as np

    rest = np.frombuffer(view[position:], np.uint8)
    if len(rest) <= _FRAME.size + _TAG_BYTES:
        return False
    heads = np.lib.stride_tricks.sliding_window_view(rest, _FRAME.size)
    sizes = heads[:, :4].astype(np.int64) @ np.array([1 << 24, 1 << 16, 1 << 8, 1])
    room = len(rest) - _FRAME.size - np.arange(len(heads))
    for offset in np.flatnonzero((heads[:, 4] <= FOOTER) & (sizes >= _TAG_BYTES) & (sizes <= room)):
        framed = _frame_at(view, position + int(offset))
        if framed is not None:
            try:
                sealer.open(index, framed[0], framed[1])
            except InvalidTag:
                continue
            return True
    return False
