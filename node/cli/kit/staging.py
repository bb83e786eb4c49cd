"""One new folder and several new files outside it, published together: all of them or none.

Rules:
- Everything is first written beside its place: the folder in `.NAME.murmur-init/`, each file in
  `.FILE.murmur-init`.
- Publishing links each file to its name (a link never replaces anything) and then renames the folder: that
  rename is
  the moment at which all of it counts.
- A failure before it takes back what was linked. A killed process leaves the staging folder and its journal
  behind;
  the next start with the same folder takes back from the journal what the dead one had published, and begins
  anew. A published file is known as ours by its inode, so a file someone else put there is never removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Final

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import exists_already, sync_folder

_SUFFIX: Final = ".murmur-init"


class Staging:
    """Use as a context manager; without `publish()` nothing remains of it."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: Where the finished folder will stand; it must not hold anything yet."""
        self._target = folder.absolute()
        self._staging = self._target.with_name(f".{self._target.name}{_SUFFIX}")
        self.folder = self._staging / "folder"  # the staged folder; write into it freely
        self._journal = self._staging / "journal"
        self._files: dict[Path, Path] = {}  # target -> staged
        self._made_folders: list[Path] = []
        self._lock = -1

    def __enter__(self) -> Staging:
        self._make_folders(self._target.parent)
        self._staging.mkdir(mode=0o700, exist_ok=True)
        self._take_lock()
        try:
            self._take_back()  # what a killed process left
            self._refuse_existing(self._target)
            self.folder.mkdir(mode=0o700)
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_back()
        self._clean_up()

    def write(self, name: str, content: bytes, *, mode: int = 0o600) -> None:
        """Write a file inside the staged folder; makes the folders in `name`."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, content, mode)

    def write_outside(self, path: Path, content: bytes, *, mode: int = 0o600, make_folder: bool = False) -> None:
        """Stage a file for `path`, outside the folder.

        Raises:
            CommandRefused: something stands at `path` (exit 7), or its folder is missing (exit 3).
        """
        target = path.absolute()
        if make_folder:
            self._make_folders(target.parent)
        elif not target.parent.is_dir():
            raise CommandRefused(
                exits.NOT_FOUND, code="folder_missing", what=f"{path} cannot be written",
                why=f"there is no folder {target.parent}", fix="Make the folder first, or choose another path",
            )  # fmt: skip
        if target.exists() or target.is_symlink():
            raise exists_already(path)
        staged = target.with_name(f".{target.name}{_SUFFIX}")
        if target in self._files or staged in self._files.values():
            raise CommandRefused(
                exits.USAGE, code="same_path_twice", what="Nothing was made",
                why=f"{path} is named for two different files", fix="Give each file a path of its own",
            )  # fmt: skip
        self._files[target] = staged
        self._write_journal()  # before the file, so that a killed process leaves nothing unknown
        staged.unlink(missing_ok=True)
        _write(staged, content, mode)

    def publish(self) -> None:
        """Make everything visible, durably. Raises as `write_outside`; then nothing is visible."""
        for target, staged in self._files.items():
            try:
                os.link(staged, target)
            except FileExistsError as error:
                raise exists_already(target) from error
            sync_folder(target.parent)
        for place, _folders, _files in os.walk(self.folder):
            sync_folder(Path(place))
        self._refuse_existing(self._target)
        self.folder.rename(self._target)  # the moment at which it counts; replaces an empty folder at most
        sync_folder(self._target.parent)

    def _take_back(self) -> None:
        """Remove staged files; and published ones too, unless the folder has been published."""
        is_published = self._journal.exists() and not self.folder.exists()
        for target, staged in self._read_journal().items():
            with contextlib.suppress(FileNotFoundError):
                if not is_published and target.samefile(staged):
                    target.unlink()
            staged.unlink(missing_ok=True)
        if is_published:
            self._made_folders.clear()
        self._files.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._journal.unlink(missing_ok=True)

    def _clean_up(self) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        os.close(self._lock)
        for folder in reversed(self._made_folders):
            with contextlib.suppress(OSError):  # someone else uses it by now
                folder.rmdir()

    def _take_lock(self) -> None:
        self._lock = os.open(self._staging / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise CommandRefused(
                exits.CONFLICT, code="init_running", what="Nothing was made",
                why=f"another command is making {self._target} right now", fix="Wait for it to end",
            ) from error  # fmt: skip

    def _refuse_existing(self, folder: Path) -> None:
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise exists_already(folder)

    def _make_folders(self, folder: Path) -> None:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o755)
            self._made_folders.append(place)

    def _write_journal(self) -> None:
        lines = [[str(target), str(staged)] for target, staged in self._files.items()]
        _write(self._journal.with_suffix(".new"), json.dumps(lines).encode(), 0o600)
        self._journal.with_suffix(".new").replace(self._journal)
        sync_folder(self._staging)

    def _read_journal(self) -> dict[Path, Path]:
        try:
            pairs = json.loads(self._journal.read_bytes())
        except FileNotFoundError:
            return {}
        return {Path(target): Path(staged) for target, staged in pairs}


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
