"""Per-person cells, kept as a cache in sealed files beside the segments (specs/vault.md 3.11).

    segments/<epoch>/<id>.kept      header ‖ { u32 size ‖ u8 kind ‖ sealed } …      as a segment (`segments`)

Rules:
- A set of cells is rows in another form: sealed with the epoch's data key, gone with it, gone when a person of its
  epoch is forgotten, never in a backup, an export, a log or a count.
- A set is used for exactly the query, the window and the rows that it was made of. The state database says of which
  segments, frame by frame; a rewriting that keeps every row says so in its own transaction.
- Nothing depends on it: missing, stale or damaged it is given up, and the cells are made from the rows again.
- Together the sets take at most `most_bytes` on disk; the oldest go first. A small set is not worth a file.

All methods run under the vault's lock on files.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from node.errors import StorageError
from node.state import kept_cells as table
from node.state.database import StateDatabase
from node.state.epochs import insert_removal
from node.state.kept_cells import KeptRecord
from node.vault.disk import Disk
from node.vault.epoch_keys import folder_name
from node.vault.row_columns import FrameError
from node.vault.segments import (
    ID_BYTES,
    Extent,
    Segment,
    SegmentId,
    SegmentWriter,
    read_sealed,
    sealed_header,
)
from protocol import canonical

if TYPE_CHECKING:
    import pyarrow as pa

log = structlog.get_logger()

MAGIC: Final = b"murmkep\x01"  # the last byte is the version
MOST_BYTES: Final = 256 << 20  # on disk, of all sets
LEAST_CELLS: Final = 50_000  # below, making them again takes milliseconds
FRAME_CELLS: Final = 1 << 16
_MOST_FRAME_BYTES: Final = 64 << 20  # expanded; a frame of 65,536 cells has some 2 MB
_FORM: Final = b"murmur/kept-cells/1\x00"  # changes with the meaning of a set that its query does not tell
_SIZE: Final = struct.Struct(">I")


def query_digest(amounts: str) -> bytes:
    """What names the query that a set answers."""
    return hashlib.sha256(_FORM + amounts.encode()).digest()


def source_of(segments: Sequence[tuple[Segment, Extent]]) -> bytes:
    """What names the rows of an epoch: its segments in order, and how many frames of each."""
    return hashlib.sha256(b"".join(one.id + extent.frames.to_bytes(8, "big") for one, extent in segments)).digest()


@dataclass(frozen=True, slots=True)
class KeptCells:
    """What identifies a set and says how to open it; as `Segment`."""

    id: SegmentId
    epoch: str
    window: str
    query: bytes

    @property
    def header(self) -> bytes:
        return sealed_header(
            MAGIC,
            canonical.encode({"epoch": self.epoch, "query": self.query, "set": bytes(self.id), "window": self.window}),
        )


@dataclass(frozen=True, slots=True)
class SealedCells:
    """A set as it rests, ready to be read; as `Sealed`."""

    path: Path
    segment: KeptCells
    extent: Extent
    data_key: bytes = field(repr=False)

    def frames(self) -> Iterator[pa.RecordBatch]:
        return read_sealed(self.path, self.segment, self.data_key, self.extent, _opened)


class KeptShelf:
    """The sets of all epochs."""

    def __init__(
        self,
        folder: Path,
        database: StateDatabase,
        *,
        data_key: Callable[[str], bytes],
        rng: Callable[[int], bytes],
        disk: Disk,
        remove_marked: Callable[[], None],
    ) -> None:
        """Args:
        remove_marked: Overwrites and unlinks the files of what was given up, or of what a crash left unfinished.
        """
        self._folder = folder
        self._database = database
        self._data_key = data_key
        self._rng = rng
        self._disk = disk
        self._remove_marked = remove_marked
        self.most_bytes = MOST_BYTES
        self.least_cells = LEAST_CELLS

    def recover(self) -> None:
        """Give up the sets whose files are not there, as after a restore."""
        lost = [
            record for record in table.load_kept(self._database) if not self._path(record.epoch, record.id).exists()
        ]
        if lost:
            with self._database.transaction() as connection:
                for record in lost:
                    table.give_up_kept(connection, record)

    def load(self, window: str, amounts: str, source: bytes) -> pa.Table | None:
        """The cells that this query makes of these rows; None where there are none, or none that are whole."""
        import pyarrow as pa

        record = table.find_kept(self._database, window, query_digest(amounts))
        if record is None:
            return None
        if record.source == source:
            try:
                return pa.Table.from_batches(list(self._sealed(record).frames()))
            except StorageError as error:
                log.warning("kept_cells.lost", set=record.id.hex(), epoch=record.epoch, code=error.code)
        with _only_fatal():
            self._give_up([record])
        return None

    def save(self, epoch: str, window: str, amounts: str, source: bytes, cells: pa.Table) -> None:
        """Keep the cells, durable on return, where that is worth a file and fits.

        Raises:
            StorageError: fatal; any other failure of the disk leaves no set.
        """
        if cells.num_rows < max(1, self.least_cells) or cells.nbytes > self.most_bytes:
            return
        kept = KeptCells(SegmentId(self._rng(ID_BYTES)), epoch, window, query_digest(amounts))
        try:
            self._write(kept, source, cells)
        except StorageError as error:
            if error.fatal:
                raise
            with _only_fatal():
                self._remove_marked()

    def sealed(self, epoch: str) -> list[SealedCells]:
        """Every set of the epoch, for verification."""
        return [self._sealed(record) for record in table.load_kept(self._database, epoch)]

    def _write(self, kept: KeptCells, source: bytes, cells: pa.Table) -> None:
        with self._database.transaction() as connection:
            insert_removal(connection, kept.id, kept.epoch)
        writer = SegmentWriter(self._disk, self._path(kept.epoch, kept.id), kept, self._data_key(kept.epoch))
        try:
            for batch in cells.combine_chunks().to_batches(max_chunksize=FRAME_CELLS):
                writer.append(_plaintext(batch), batch.num_rows)
            extent = writer.finish()
        except BaseException:
            writer.close()
            raise
        record = KeptRecord(kept.id, kept.epoch, kept.window, kept.query, source, extent.frames, extent.size_bytes)
        with self._database.transaction() as connection:
            old = table.find_kept(self._database, kept.window, kept.query)
            if old is not None:
                table.give_up_kept(connection, old)
            table.insert_kept(connection, record)
        self._give_up(self._beyond())

    def _beyond(self) -> list[KeptRecord]:
        """The oldest sets, those that there is no room for."""
        records = table.load_kept(self._database)
        size = sum(record.size_bytes for record in records)
        beyond = []
        for record in records:
            if size <= self.most_bytes:
                break
            beyond.append(record)
            size -= record.size_bytes
        return beyond

    def _give_up(self, records: Sequence[KeptRecord]) -> None:
        if records:
            with self._database.transaction() as connection:
                for record in records:
                    table.give_up_kept(connection, record)
        self._remove_marked()

    def _sealed(self, record: KeptRecord) -> SealedCells:
        return sealed_cells(self._folder, record, self._data_key(record.epoch))

    def _path(self, epoch: str, set_id: bytes) -> Path:
        return _path(self._folder, epoch, set_id)


@contextmanager
def _only_fatal() -> Iterator[None]:
    """A cache that cannot be tidied costs nothing else; what is left is tidied at the next occasion."""
    try:
        yield
    except StorageError as error:
        if error.fatal:
            raise


def sealed_cells(folder: Path, record: KeptRecord, data_key: bytes) -> SealedCells:
    """A recorded set under the folder of segments."""
    kept = KeptCells(SegmentId(record.id), record.epoch, record.window, record.query)
    extent = Extent(record.frames, record.size_bytes, has_footer=True)
    return SealedCells(_path(folder, record.epoch, record.id), kept, extent, data_key)


def _path(folder: Path, epoch: str, set_id: bytes) -> Path:
    return folder / folder_name(epoch) / f"{set_id.hex()}.kept"


def _plaintext(batch: pa.RecordBatch) -> bytes:
    """u32 size, then the lz4 block of an Arrow IPC stream of the batch."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    message = sink.getvalue()
    compressed: bytes = pa.compress(message, codec="lz4_raw", asbytes=True)
    return _SIZE.pack(message.size) + compressed


def _opened(plaintext: bytes) -> tuple[pa.RecordBatch, int]:
    """The batch of a frame and its number of cells. FrameError when the bytes are none."""
    import pyarrow as pa

    try:
        (size,) = _SIZE.unpack_from(plaintext)
        if size > _MOST_FRAME_BYTES:
            raise FrameError("size")
        message = pa.decompress(memoryview(plaintext)[_SIZE.size :], size, codec="lz4_raw")
        (batch,) = pa.ipc.open_stream(message)
    except FrameError:
        raise
    except Exception as error:  # Arrow raises many families on bytes that are no stream
        raise FrameError(type(error).__name__) from error
    return batch, batch.num_rows
