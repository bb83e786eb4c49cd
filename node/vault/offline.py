"""The vault of a node that does not run: what is damaged, and giving up an epoch whose key is lost.

Both hold the data folder's lock, so no node starts meanwhile. Verifying changes nothing on disk but what opening the
state database does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.datalock import DataLock
from node.errors import RejectedInput, StorageError
from node.passphrase import Passphrase
from node.state import epochs as table
from node.state.database import StateDatabase
from node.state.kept_cells import load_kept
from node.vault.calendar import has_key
from node.vault.disk import Disk, read_bytes
from node.vault.epoch_keys import EpochKeyStore, folder_name
from node.vault.kept_cells import sealed_cells
from node.vault.master_key import MasterKey
from node.vault.segments import Extent, Segment, SegmentDamaged, SegmentId, recover_segment
from node.vault.shelf import Sealed
from node.vault.upkeep import no_randomness
from node.vault.verifying import Damage, damaged_keys, damages_of
from protocol.identity import parse_inception


def verify_offline(data: Path, passphrase: Passphrase | None = None) -> list[Damage]:
    """As `Upkeep.verify`, of the node whose data folder this is.

    Raises:
        StorageError: a node runs on it (`data_folder_in_use`), or the state database cannot be read.
        ConfigError: the folder or the master key is not there.
    """
    found: list[Damage] = []
    with _opened(data, passphrase) as (database, keys):
        segments = table.load_segments(database)
        for record in table.load_epochs(database):
            if not has_key(record, "data"):
                continue
            damaged = damaged_keys(record, keys)
            found += damaged
            if not any(one.frame == "data key" for one in damaged):
                for segment in segments:
                    if segment.epoch == record.epoch.text:
                        found += _damages(data, segment, keys.load(segment.epoch, "data"))
                for kept in load_kept(database, record.epoch.text):
                    found += damages_of(sealed_cells(data / "segments", kept, keys.load(kept.epoch, "data")))
    return found


def abandon_offline(data: Path, epoch: str, now_s: int, passphrase: Passphrase | None = None) -> bool:
    """Record the lost keys of an epoch as destroyed, so that the node starts again; never undone.

    Without its data key its rows are gone (True), and the next start removes them. Without its pseudonym key they
    stay and are released, but the epoch takes no more (False).

    Raises:
        RejectedInput: this node has no such epoch, or none of its keys is lost or damaged: it is not given up.
        StorageError, ConfigError: as `verify_offline`.
    """
    with _opened(data, passphrase) as (database, keys):
        record = table.find_epoch(database, epoch)
        lost = {one.frame for one in damaged_keys(record, keys)} if record is not None else set()
        if record is None or not lost:
            raise RejectedInput(
                code="epoch_not_lost",
                what=f"Epoch {epoch[:40]} is not given up",
                why="this node has no such epoch" if record is None else "none of its keys is missing or damaged",
                fix='"murmur vault verify" names what is damaged; write the epoch as there, such as 2026-11-20/P1D',
            )
        is_gone = "data key" in lost
        with database.transaction() as connection:
            table.mark_destroyed(connection, epoch, "pseudonym", now_s)
            if is_gone:
                table.mark_destroyed(connection, epoch, "data", now_s)
        return is_gone


def _damages(data: Path, record: table.SegmentRecord, data_key: bytes) -> list[Damage]:
    segment = Segment(SegmentId(record.id), record.epoch, record.slots)
    path = data / "segments" / folder_name(record.epoch) / f"{segment.id.hex()}.seg"
    if record.frames is not None and record.size_bytes is not None:
        extent = Extent(record.frames, record.size_bytes, has_footer=record.state == "closed")
    else:  # its process died: what it had acknowledged is found as a start would
        try:
            extent = recover_segment(path, segment, data_key)
        except SegmentDamaged as error:
            return [Damage(record.epoch, segment.id.hex(), error.frame, error.why)]
        except StorageError as error:
            return [Damage(record.epoch, segment.id.hex(), "file", f"{error.what}: {error.why}")]
    return damages_of(Sealed(path, segment, extent, data_key))


@contextmanager
def _opened(data: Path, passphrase: Passphrase | None) -> Iterator[tuple[StateDatabase, EpochKeyStore]]:
    lock = DataLock(data)
    try:
        master = MasterKey(data / "keys", passphrase=passphrase)
        node = parse_inception(read_bytes(data / "inception")).node_id
        database = StateDatabase(data / "state.db")
        try:
            yield (
                database,
                EpochKeyStore(
                    data / "epochs",
                    master_key=master.current,
                    retiring_master=master.retiring,
                    node_id=node,
                    rng=no_randomness,
                    disk=Disk(),
                ),
            )
        finally:
            database.close()
    finally:
        lock.release()
