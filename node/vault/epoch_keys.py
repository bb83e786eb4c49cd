"""The two keys of each epoch, wrapped by the node's master key, one file each (specs/vault.md 2).

    magic (8) ‖ nonce (12) ‖ AES-256-GCM(master key, key; associated data: magic, node id, kind, epoch)

- *pseudonym*: hashes person keys and event ids of the epoch. Without it nobody can tell who a row belongs to.
- *data*: seals the epoch's segments. Without it the rows are gone.

Files appear whole or not at all and are destroyed by overwrite, sync, unlink, sync of the folder. Which epochs have
keys is said by the state database, never by what lies in the folder: the vault decides the order of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
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

    def __init__(self, folder: Path, *, master_key: bytes, node_id: bytes, rng: Rng, disk: Disk) -> None:
        self._folder = folder
        self._wrap = AESGCM(master_key)
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
            key, nonce = self._rng(KEY_BYTES), self._rng(_NONCE_BYTES)
            wrapped = self._wrap.encrypt(nonce, key, self._associated(epoch, kind))
            self._disk.write_file(self._path(epoch, kind), MAGIC + nonce + wrapped)

    def load(self, epoch: str, kind: EpochKeyKind) -> bytes:
        """The key. StorageError `epoch_key_damaged` when the file does not unwrap, `file_missing` when gone."""
        key = self._open.get((epoch, kind))
        if key is None:
            path = self._path(epoch, kind)
            content = read_bytes(path)
            try:
                if len(content) != _FILE_BYTES or not content.startswith(MAGIC):
                    raise InvalidTag
                nonce = content[len(MAGIC) : len(MAGIC) + _NONCE_BYTES]
                wrapped = content[len(MAGIC) + _NONCE_BYTES :]
                key = self._wrap.decrypt(nonce, wrapped, self._associated(epoch, kind))
            except InvalidTag:
                raise StorageError(
                    code="epoch_key_damaged",
                    what=f"The {kind} key of epoch {epoch} does not open",
                    why=f"{path.name} is damaged, is another epoch's, or was wrapped by another master key",
                    fix="Check that the master key is this node's; events have no backup",
                ) from None
            self._open[epoch, kind] = key
        return key

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
