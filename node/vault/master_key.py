"""The master key's file and its change: `keys/master.key`, wrapped around every epoch key (specs/vault.md 2.6).

A change goes so, and a start goes on with it wherever a crash stopped it:

1. `master.next.key` is written, durable: from here new epoch keys are wrapped with it;
2. every epoch key's file is wrapped again, each whole or not at all; what is not yet opens with the old one;
3. `master.key` becomes `master.old.key`, `master.next.key` becomes `master.key`; the old one is overwritten, unlinked.

Two files at once mean: next beside master, step 2 is to do; old beside next, step 3; old beside master, its end.
"""

from __future__ import annotations

from pathlib import Path

from node import keyfiles
from node.errors import ConfigError
from node.passphrase import Passphrase
from node.vault.disk import Disk
from node.vault.epoch_keys import KEY_BYTES, Rng


class MasterKey:
    """The master key in a folder of keys, with the one it takes over from while a change is under way."""

    def __init__(self, folder: Path, disk: Disk | None = None, passphrase: Passphrase | None = None) -> None:
        """Destroy what a crash left of a file being written, read what is there, finish step 3 if it had begun.

        Raises:
            ConfigError: there is no master key, or its file is not one.
            StorageError: the disk failed.
        """
        self._disk = disk or Disk()
        self._passphrase = passphrase
        self._file, self._next, self._old = (folder / f"{name}.key" for name in ("master", "master.next", "master.old"))
        for left in (*folder.glob(".master*.new"), *folder.glob("master*.tmp")):
            self._disk.destroy_file(left)  # of a file that was being written: it may hold a whole key
        if not self._file.exists() and self._next.exists() and self._old.exists():
            self._disk.rename(self._next, self._file)
        self._disk.destroy_file(self._old)
        self.current = keyfiles.read_key(self._file, "master", passphrase).secret
        self.retiring: bytes | None = None
        if self._next.exists():
            self.current, self.retiring = keyfiles.read_key(self._next, "master", passphrase).secret, self.current

    def begin(self, rng: Rng) -> None:
        """Step 1; goes on with a change that an error stopped."""
        if self.retiring is not None:
            return
        fresh = rng(KEY_BYTES)
        if fresh == self.current:
            raise ConfigError(
                code="master_key_same",
                what="The master key was not changed",
                why="the random source gave the present key again",
                fix="Stop the node: its randomness is broken",
            )
        text = keyfiles.KeyFile("master", fresh).text_under(self._passphrase)
        self._disk.write_file(self._next, text.encode("ascii"))
        self.current, self.retiring = fresh, self.current

    def finish(self) -> None:
        """Step 3, once nothing is wrapped with the old key any more."""
        if self.retiring is None:
            return
        self._disk.rename(self._file, self._old)
        self._disk.rename(self._next, self._file)
        self._disk.destroy_file(self._old)
        self.retiring = None
