"""One process owns a data folder: an exclusive `flock` on `DATA/lock`, held until the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from node.errors import ConfigError, StorageError


class DataLock:
    """Holds the folder from construction to `release()` or the end of the process, whichever comes first."""

    def __init__(self, data: Path) -> None:
        """Take the lock.

        Raises:
            ConfigError: there is no data folder at this path.
            StorageError: another process holds the lock (the message names its pid), or the disk takes nothing.
        """
        self.path = data / "lock"
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                code="data_folder_missing",
                what=f"The data folder {data} cannot be opened",
                why=error.strerror or type(error).__name__,
                fix='Make a node with "murmur init", or mend "data" in node.toml',
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StorageError(
                code="data_folder_in_use",
                what=f"The data folder {data} is in use",
                why=f"Process {holder} owns it, and one process at a time may",
                fix='Stop that node first, or talk to it: "murmur status" shows it',
            ) from error
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageError(
                code="data_unwritable",
                what=f"The data folder {data} cannot be written",
                why=error.strerror or type(error).__name__,
                fix="Free space on the disk, or mount it for writing",
            ) from error

    def release(self) -> None:
        """Let the folder go."""
        os.close(self._descriptor)
