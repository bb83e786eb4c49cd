"""The two keys of each epoch, wrapped by the node's master key, one file each (specs/vault.md 2).

    magic (8) ‖ nonce (12) ‖ AES-256-GCM(master key, key; associated data: magic, node id, kind, epoch)

- *pseudonym*: hashes person keys and event ids of the epoch. Without it nobody can tell who a row belongs to.
- *data*: seals the epoch's segments. Without it the rows are gone.

Files appear whole or not at all and are destroyed by overwrite, sync, unlink, sync of the folder. Which epochs have
keys is said by the state database, never by what lies in the folder: the vault decides the order of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.errors import StorageError
from node.vault.disk import Disk, read_bytes

Rng = Callable[[int], bytes]
EpochKeyKind = Literal["pseudonym", "data"]

KEY_BYTES: Final = 32
MAGIC: Final = b"murmkey\x01"  # the last byte is the version
_NONCE_BYTES: Final = 12
_FILE_BYTES: Final = len(MAGIC) + _NONCE_BYTES + KEY_BYTES + 16
EPOCH_KEY_KINDS: Final[tuple[EpochKeyKind, ...]] = ("pseudonym", "data")


def folder_name(epoch: str) -> str:
    """An epoch's text as the name of a file or folder: `2026-11-01_P1D`."""
    return epoch.replace("/", "_")


class EpochKeyStore:
    """The key files in one folder, and the keys already unwrapped. The vault's gate guards it."""

    def __init__(
        self,
        folder: Path,
        *,
        master_key: bytes,
        node_id: bytes,
        rng: Rng,
        disk: Disk,
        retiring_master: bytes | None = None,
    ) -> None:
        """Args: retiring_master: what files not wrapped again yet open with, while the master key changes."""
        self._folder = folder
        self._wrap = AESGCM(master_key)
        self._old_wrap = None if retiring_master is None else AESGCM(retiring_master)
        self._node_id = node_id
        self._rng = rng
        self._disk = disk
        self._open: dict[tuple[str, EpochKeyKind], bytes] = {}

    def create(self, epoch: str) -> None:
        """Make both keys, durable on return. Files a crash left behind for this epoch are replaced.

        Only for an epoch without a record: rows of a recorded one may be sealed with the present key.
        """
        self._disk.make_folder(self._folder)
        for kind in EPOCH_KEY_KINDS:
            self._write(epoch, kind, self._rng(KEY_BYTES))

    def load(self, epoch: str, kind: EpochKeyKind) -> bytes:
        """The key. StorageError `epoch_key_damaged` when the file does not unwrap, `file_missing` when gone."""
        key = self._open.get((epoch, kind))
        if key is None:
            key = self._open[epoch, kind] = self._unwrap(epoch, kind)[0]
        return key

    def check(self, epoch: str, kind: EpochKeyKind) -> None:
        """Nothing, when the file is there and holds the key in use; raises like `load`."""
        key = self._unwrap(epoch, kind)[0]
        if key != self._open.get((epoch, kind), key):
            raise _damaged(epoch, kind, f"{self._path(epoch, kind).name} holds another key than the one in use")

    def change_master(self, master_key: bytes, retiring: bytes | None) -> None:
        """From now on wrap with `master_key`; what `retiring` wraps still opens. None: it wraps nothing any more."""
        self._wrap = AESGCM(master_key)
        self._old_wrap = None if retiring is None else AESGCM(retiring)

    def wrap_again(self, epoch: str, kind: EpochKeyKind) -> None:
        """Wrap the key with the present master key, durably, if another one wraps it; raises like `load`."""
        key, is_present = self._unwrap(epoch, kind)
        if not is_present:
            self._write(epoch, kind, key)

    def _write(self, epoch: str, kind: EpochKeyKind, key: bytes) -> None:
        nonce = self._rng(_NONCE_BYTES)
        wrapped = self._wrap.encrypt(nonce, key, self._associated(epoch, kind))
        self._disk.write_file(self._path(epoch, kind), MAGIC + nonce + wrapped)

    def _unwrap(self, epoch: str, kind: EpochKeyKind) -> tuple[bytes, bool]:
        """The key in its file, and whether the present master key wraps it."""
        path = self._path(epoch, kind)
        content = read_bytes(path)
        if len(content) == _FILE_BYTES and content.startswith(MAGIC):
            nonce = content[len(MAGIC) : len(MAGIC) + _NONCE_BYTES]
            wrapped = content[len(MAGIC) + _NONCE_BYTES :]
            for wrap in (self._wrap, self._old_wrap):
                if wrap is not None:
                    with suppress(InvalidTag):
                        return wrap.decrypt(nonce, wrapped, self._associated(epoch, kind)), wrap is self._wrap
        why = f"{path.name} is damaged, is another epoch's, or was wrapped by another master key"
        raise _damaged(epoch, kind, why)

    def destroy(self, epoch: str, kind: EpochKeyKind) -> None:
        """Forget the key and destroy its file; nothing happens if it is gone."""
        self._open.pop((epoch, kind), None)
        self._disk.destroy_file(self._path(epoch, kind))

    def keep_only(self, wanted: Collection[tuple[str, EpochKeyKind]]) -> None:
        """Destroy every key file but these: what a crash left half made or half destroyed."""
        if not self._folder.is_dir():
            return
        keep = {self._path(epoch, kind).name for epoch, kind in wanted}
        for path in sorted(self._folder.iterdir()):
            if path.name.endswith((".key", ".key.tmp")) and path.name not in keep:
                self._disk.destroy_file(path)

    def _path(self, epoch: str, kind: EpochKeyKind) -> Path:
        return self._folder / f"{folder_name(epoch)}.{kind}.key"

    def _associated(self, epoch: str, kind: EpochKeyKind) -> bytes:
        return b"\0".join((MAGIC, self._node_id.hex().encode(), kind.encode(), epoch.encode()))


def _damaged(epoch: str, kind: EpochKeyKind, why: str) -> StorageError:
    return StorageError(
        code="epoch_key_damaged",
        what=f"The {kind} key of epoch {epoch} does not open",
        why=why,
        fix='Check that the master key is this node\'s; "murmur vault abandon" gives the epoch up',
    )
