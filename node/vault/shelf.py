"""All segments of the node: which are open, how far each is known to be good, where the next frame goes.

Order of writes, so that a kill at any line loses nothing that was acknowledged:
- a new segment: file with header, synced; its name, synced; then the row `open` in the state database; then frames;
- a frame: written; synced; then acknowledged by the return of `append`;
- an end: footer, synced; then the row `closed` with frames and bytes;
- a rewriting: a row in `segment_removals`, then the new segment whole and synced; then one transaction that switches
  from the old segments to the new and puts the old ones among the removals; then the old files overwritten, unlinked.
A file without a row was never acknowledged. A row without a file, or a file shorter than its row, is damage.

The vault's gate guards every method but the reading of a `Sealed` it was given, `write_new` and `remove_marked`;
those three run under the lock that keeps readers and rewriters apart (`Vault`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from node.errors import StorageError
from node.state import epochs as table
from node.state.database import StateDatabase
from node.state.kept_cells import delete_kept, give_up_epoch, move_source
from node.vault.disk import Disk
from node.vault.epoch_keys import folder_name
from node.vault.kept_cells import source_of
from node.vault.row_columns import RowsInColumns
from node.vault.segments import (
    ID_BYTES,
    Extent,
    Segment,
    SegmentId,
    SegmentWriter,
    holds_no_frame,
    read_segment,
    recover_segment,
)
from privacy.rows import Row

if TYPE_CHECKING:
    from node.vault.frames import DecodedFrame

ROTATE_BYTES: Final = 8 << 20  # small enough to recover in some 20 ms, large enough that headers vanish
REWRITE_BYTES: Final = 32 << 20  # of one rewritten segment; a reader holds one file at a time
MAX_OPEN: Final = 32  # a backfill of a month of day epochs writes to all of them at once

Rng = Callable[[int], bytes]
DataKey = Callable[[str], bytes]  # epoch text -> data key


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment as it stands at one moment, ready to be read without the gate."""

    path: Path
    segment: Segment
    extent: Extent
    data_key: bytes = field(repr=False)

    def frames(self) -> Iterator[DecodedFrame]:
        return read_segment(self.path, self.segment, self.data_key, self.extent)


class SegmentShelf:
    """The segments under one folder, `<folder>/<epoch>/<id>.seg`."""

    def __init__(
        self,
        folder: Path,
        database: StateDatabase,
        *,
        data_key: DataKey,
        rng: Rng,
        disk: Disk,
        rotate_bytes: int = ROTATE_BYTES,
        max_open: int = MAX_OPEN,
    ) -> None:
        self._folder = folder
        self._database = database
        self._data_key = data_key
        self._rng = rng
        self._disk = disk
        self._rotate_bytes = rotate_bytes
        self._max_open = max_open
        self._writers: dict[str, SegmentWriter[Segment]] = {}  # by epoch, least recently used first
        self._ended: dict[str, dict[SegmentId, tuple[Segment, Extent]]] = {}  # by epoch, in order
        self._failed = False

    def recover(self) -> None:
        """Learn all segments from the state database and end those a crash left open.

        Raises:
            SegmentDamaged: an open segment is damaged before its last frame.
            StorageError: a segment's file or its epoch's key is missing.
        """
        for record in table.load_segments(self._database):
            segment = Segment(SegmentId(record.id), record.epoch, record.slots)
            if record.state == "open" or record.frames is None or record.size_bytes is None:
                extent = recover_segment(self._path(segment), segment, self._data_key(record.epoch))
                self._record_end(segment, extent)
            else:
                extent = Extent(record.frames, record.size_bytes, has_footer=record.state == "closed")
                self._remember(segment, extent)
        self.remove_marked()
        self._remove_strays()

    def append(self, rows_by_epoch: Mapping[str, Sequence[Row] | RowsInColumns], slots: int) -> None:
        """Seal the rows of each epoch as one frame; durable on return.

        Raises:
            ValueError: a row does not fit (`encode_rows`); nothing was written.
            StorageError: the disk failed; nothing counts as acknowledged. With `fatal`, no append works any more.
        """
        if self._failed:
            raise StorageError(
                code="vault_stopped",
                what="The vault takes no more events",
                why="an earlier sync failed, so what is on disk is unknown",
                fix="Check the disk, then start the node again",
                fatal=True,
            )
        from node.vault.frames import encode_rows

        plaintexts = {epoch: encode_rows(rows, slots) for epoch, rows in rows_by_epoch.items()}
        touched: list[SegmentWriter[Segment]] = []
        try:
            for epoch, plaintext in plaintexts.items():
                writer = self._writer(epoch, slots)
                touched.append(writer)
                writer.append(plaintext, len(rows_by_epoch[epoch]))
        except BaseException as error:
            self._failed = isinstance(error, StorageError) and error.fatal
            self._set_aside(touched)
            raise
        self._sync(touched)

    def sealed(self, epoch: str) -> list[Sealed]:
        """Every segment of the epoch with its known range, in order."""
        found = self.extents(epoch)
        key = self._data_key(epoch) if found else b""
        return [Sealed(self._path(segment), segment, extent, key) for segment, extent in found]

    def extents(self, epoch: str) -> list[tuple[Segment, Extent]]:
        """Every segment of the epoch with its known range, in order; no key is needed."""
        writer = self._writers.get(epoch)
        return [*self._ended.get(epoch, {}).values(), *([] if writer is None else [(writer.segment, writer.extent)])]

    def open_segments(self, epoch: str) -> list[Segment]:
        """Those of the epoch that may still grow."""
        return [self._writers[epoch].segment] if epoch in self._writers else []

    def end_epoch(self, epoch: str) -> None:
        """Close the epoch's open segment, if there is one, with its footer."""
        writer = self._writers.pop(epoch, None)
        if writer is not None:
            self._finish(writer)

    def close(self) -> None:
        """Close every open segment, with its footer where the disk still takes one.

        Where it does not, nothing is lost: each frame was durable before it was acknowledged, and the next start ends
        the segment as after a crash. The error that stopped the node is the one to be told.
        """
        for epoch, writer in list(self._writers.items()):
            if self._failed:
                writer.close()
            else:
                with suppress(StorageError):
                    self.end_epoch(epoch)
        self._writers.clear()

    def remove_epoch(self, epoch: str) -> None:
        """Unlink the epoch's segments, then forget them. Its data key is gone already."""
        writer = self._writers.pop(epoch, None)
        if writer is not None:
            writer.close()
        folder = self._folder / folder_name(epoch)
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                self._disk.remove(path)
            self._disk.sync_folder(folder)
            self._disk.remove_folder(folder)
        with self._database.transaction() as connection:
            table.delete_segments(connection, epoch)
            delete_kept(connection, epoch)
        self._ended.pop(epoch, None)

    def write_new(self, epoch: str, slots: int, frames: Iterable[tuple[bytes, int]]) -> list[tuple[Segment, Extent]]:
        """Seal (plaintext, rows) frames in new segments that nobody reads before `switch`; durable on return.

        Raises:
            StorageError: the disk failed; what was written is removed now or at the next start.
        """
        done: list[tuple[Segment, Extent]] = []
        writer: SegmentWriter[Segment] | None = None
        try:
            for plaintext, rows in frames:
                if writer is None:
                    writer = self._create_marked(epoch, slots)
                writer.append(plaintext, rows)
                if writer.extent.size_bytes >= REWRITE_BYTES:
                    done.append((writer.segment, writer.finish()))
                    writer = None
            if writer is not None:
                done.append((writer.segment, writer.finish()))
        except BaseException as error:
            if writer is not None:
                writer.close()
            if isinstance(error, StorageError) and not error.fatal:
                with suppress(StorageError):
                    self.remove_marked()
            raise
        return done

    def switch(
        self, epoch: str, old: Sequence[SegmentId], new: Sequence[tuple[Segment, Extent]], *, keeps_rows: bool
    ) -> None:
        """From now on the new segments stand for the old ones, whose files must go (`remove_marked`).

        Cells kept of the old rows are those of the new ones when every row was kept; else they go with the old files.
        """
        ended = self._ended.get(epoch, {})
        before = self.extents(epoch)
        after = [one for one in before if one[0].id not in old] + list(new)
        with self._database.transaction() as connection:
            table.replace_segments(
                connection,
                epoch,
                old,
                [
                    table.SegmentRecord(segment.id, epoch, segment.slots, "closed", extent.frames, extent.size_bytes)
                    for segment, extent in new
                ],
            )
            if keeps_rows:
                move_source(connection, epoch, source_of(before), source_of(after))
            else:
                give_up_epoch(connection, epoch)
        for segment_id in old:
            del ended[segment_id]
        for segment, extent in new:
            self._remember(segment, extent)

    def remove_marked(self) -> None:
        """Overwrite and unlink the files of the segments that were replaced, or that a crash left unfinished."""
        marked = table.load_removals(self._database)
        for segment_id, epoch in marked:
            for suffix in ("seg", "kept"):
                self._disk.destroy_file(self._folder / folder_name(epoch) / f"{segment_id.hex()}.{suffix}")
        if marked:
            with self._database.transaction() as connection:
                table.delete_removals(connection, [segment_id for segment_id, _ in marked])

    def _create_marked(self, epoch: str, slots: int) -> SegmentWriter[Segment]:
        segment = Segment(SegmentId(self._rng(ID_BYTES)), epoch, slots)
        with self._database.transaction() as connection:
            table.insert_removal(connection, segment.id, epoch)
        return SegmentWriter(self._disk, self._path(segment), segment, self._data_key(epoch))

    def _writer(self, epoch: str, slots: int) -> SegmentWriter[Segment]:
        """The epoch's open segment, most recently used now; a new one where none fits."""
        writer = self._writers.pop(epoch, None)
        if writer is not None and (writer.segment.slots != slots or writer.extent.size_bytes >= self._rotate_bytes):
            self._finish(writer)
            writer = None
        if writer is None:
            while len(self._writers) >= self._max_open:
                self.end_epoch(next(iter(self._writers)))
            writer = self._create(epoch, slots)
        self._writers[epoch] = writer
        return writer

    def _create(self, epoch: str, slots: int) -> SegmentWriter[Segment]:
        segment = Segment(SegmentId(self._rng(ID_BYTES)), epoch, slots)
        data_key = self._data_key(epoch)
        self._disk.make_folder(self._folder)
        self._disk.make_folder(self._folder / folder_name(epoch))
        writer = SegmentWriter(self._disk, self._path(segment), segment, data_key)
        try:
            with self._database.transaction() as connection:
                table.insert_segment(connection, segment.id, epoch, slots)
        except BaseException:
            writer.close()
            raise
        return writer

    def _finish(self, writer: SegmentWriter[Segment]) -> None:
        """End a segment with its footer. It is remembered first: what it held stays readable if that fails."""
        self._remember(writer.segment, writer.extent)
        try:
            extent = writer.finish()
        except StorageError as error:
            writer.close()
            self._failed = self._failed or error.fatal
            raise
        self._record_end(writer.segment, extent)

    def _record_end(self, segment: Segment, extent: Extent) -> None:
        with self._database.transaction() as connection:
            state: Literal["closed", "cut"] = "closed" if extent.has_footer else "cut"
            table.end_segment(connection, segment.id, state, extent.frames, extent.size_bytes)
        self._remember(segment, extent)

    def _remember(self, segment: Segment, extent: Extent) -> None:
        self._ended.setdefault(segment.epoch, {})[segment.id] = (segment, extent)

    def _set_aside(self, touched: list[SegmentWriter[Segment]]) -> None:
        """After a failed append: a broken segment gets no more frames (its row stays open, as after a crash),
        and the whole frames of the others are synced, so that at most one frame is ever in flight."""
        for epoch, writer in list(self._writers.items()):
            if writer.is_broken:
                del self._writers[epoch]
                self._remember(writer.segment, writer.extent)
                writer.close()
        self._sync(touched)

    def _sync(self, touched: list[SegmentWriter[Segment]]) -> None:
        for writer in touched:
            if writer.is_broken:  # or finished, and so synced, to make room for another epoch of the group
                continue
            try:
                writer.sync()
            except BaseException:
                self._failed = True
                raise

    def _remove_strays(self) -> None:
        """Unlink files that hold no frame and have no row: the trace of a crash while a segment was made.

        A file with frames but without a row is left alone: it is not ours to read, and goes with its epoch.
        """
        if not self._folder.is_dir():
            return
        known = {self._path(segment) for items in self._ended.values() for segment, _ in items.values()}
        for folder in sorted(self._folder.iterdir()):
            for path in sorted(folder.glob("*.seg")):
                if path not in known and holds_no_frame(path):
                    self._disk.remove(path)

    def _path(self, segment: Segment) -> Path:
        return self._folder / folder_name(segment.epoch) / f"{segment.id.hex()}.seg"
