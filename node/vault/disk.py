"""The few disk calls the vault is made of, each named, so that tests can count, fail or kill at any of them.

Rules: a file is durable after `sync`, its name after `sync_folder`. A failed write changes nothing that was
acknowledged and may be tried again in another file; after a failed sync the kernel may have dropped the pages, so
what is on disk is unknown and the StorageError is `fatal`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has none


def _no_hook(action: str, path: Path) -> None:
    """Production: nothing happens between two calls."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The operating system's calls, replaceable one by one.

    Attributes:
        fdatasync, fsync, write: as in `os`.
        hook: called with the action and the path just before each call that changes the disk; tests raise there.
    """

    fdatasync: Callable[[int], None] = _fdatasync
    fsync: Callable[[int], None] = os.fsync
    write: Callable[[int, bytes], int] = os.write
    hook: Callable[[str, Path], None] = _no_hook

    def create(self, path: Path) -> int:
        """Create a new file, mode 0600, opened for writing; its name is not durable yet."""
        try:
            self.hook("create", path)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _failed("create", path, error) from error

    def append(self, descriptor: int, data: bytes, path: Path) -> None:
        """Write all of `data` at the end. After an error some of it may stand in the file."""
        try:
            self.hook("write", path)
            rest = memoryview(data)
            while rest:
                rest = rest[self.write(descriptor, bytes(rest) if len(rest) < len(data) else data) :]
        except OSError as error:
            raise _failed("write", path, error) from error

    def sync(self, descriptor: int, path: Path) -> None:
        """Make the file's content durable."""
        try:
            self.hook("sync", path)
            self.fdatasync(descriptor)
        except OSError as error:
            raise _failed("sync", path, error, fatal=True) from error

    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable."""
        try:
            self.hook("sync-folder", folder)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _failed("sync", folder, error, fatal=True) from error

    def make_folder(self, folder: Path) -> None:
        """Create the folder, mode 0700, and make its name durable; nothing happens if it exists."""
        if folder.is_dir():
            return
        try:
            self.hook("mkdir", folder)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _failed("create", folder, error) from error
        self.sync_folder(folder.parent)

    def write_file(self, path: Path, content: bytes) -> None:
        """Put `content` at `path`, all or nothing: temporary file, sync, rename, sync of the folder."""
        temporary = path.with_name(path.name + ".tmp")
        self.remove(temporary)
        descriptor = self.create(temporary)
        try:
            self.append(descriptor, content, temporary)
            self.sync(descriptor, temporary)
        finally:
            os.close(descriptor)
        self.rename(temporary, path)

    def rename(self, path: Path, target: Path) -> None:
        """Give the file another name in its folder, durably; what had that name is gone."""
        try:
            self.hook("rename", target)
            path.replace(target)
        except OSError as error:
            raise _failed("rename", target, error) from error
        self.sync_folder(target.parent)

    def destroy_file(self, path: Path) -> None:
        """Overwrite the content with zeros, sync, unlink, sync the folder; nothing happens if it is gone.

        Flash storage and copy-on-write file systems may keep the old blocks; what stands in the file as the
        file stands is gone (I12), and the key it held was wrapped anyway.
        """
        try:
            size = path.stat().st_size
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed("overwrite", path, error) from error
        try:
            self.append(descriptor, b"\0" * size, path)
            self.sync(descriptor, path)
        finally:
            os.close(descriptor)
        self.remove(path)
        self.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        """Unlink the file; nothing happens if it is gone. The caller syncs the folder."""
        try:
            self.hook("remove", path)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", path, error) from error

    def remove_folder(self, folder: Path) -> None:
        """Remove an empty folder, durably."""
        try:
            self.hook("rmdir", folder)
            folder.rmdir()
        except OSError as error:
            raise _failed("remove", folder, error) from error
        self.sync_folder(folder.parent)


def read_bytes(path: Path) -> bytes:
    """The whole file. StorageError when it cannot be read, code `file_missing` when it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(
            code="file_missing",
            what=f"{path} is missing",
            why="the state database says that it exists",
            fix="Put the file back from the same disk; there is no backup of events or epoch keys",
        ) from error
    except OSError as error:
        raise _failed("read", path, error) from error


def _failed(action: str, path: Path, error: OSError, *, fatal: bool = False) -> StorageError:
    full = error.errno in _FULL
    return StorageError(
        code="disk_full" if full else "disk",
        what=f"Cannot {action} {path}",
        why=error.strerror or type(error).__name__,
        fix="Make room on the disk" if full else "Check the disk and the permissions of the data folder",
        fatal=fatal,
    )
