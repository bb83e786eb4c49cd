"""Another passphrase for key files, or none: every file of a folder, or one file; whole after a crash anywhere.

A folder: each key is written beside its place under the new passphrase (`NAME.passwd`); then the marker
`passwd.ready`; then each new file takes the old one's place, whose bytes are overwritten; then the marker goes.
`finish_change`, at every start, goes on from the marker or destroys what was prepared without one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from node.errors import ConfigError
from node.keyfiles import KeyFile, read_key, read_label, write_key
from node.passphrase import Passphrase

MARKER: Final = "passwd.ready"
_ASIDE: Final = ".passwd"


def change_folder(folder: Path, old: Passphrase | None, new: Passphrase | None) -> list[str]:
    """Seal every key file of the folder anew; the names. Nobody may use the folder meanwhile.

    Raises:
        ConfigError: a file does not open with `old`, or the disk refused; nothing has changed then.
    """
    finish_change(folder)
    names = sorted(path.name for path in folder.glob("*.key") if not path.name.startswith("."))
    keys = {name: _open(folder / name, old) for name in names}
    try:
        for name, key in keys.items():
            write_key(folder / (name + _ASIDE), key, new)
        _make_marker(folder / MARKER)
    except BaseException:
        finish_change(folder)
        raise
    finish_change(folder)
    return names


def change_file(path: Path, old: Passphrase | None, new: Passphrase | None) -> None:
    """Seal one key file anew, wherever it lies; raises as `change_folder`."""
    key = _open(path, old)
    aside = path.with_name(path.name + _ASIDE)
    _destroy(aside)
    write_key(aside, key, new)
    _replace(path, aside)


def finish_change(folder: Path) -> bool:
    """Go on with a change that a crash stopped, or take its preparation back; True when there was one to finish."""
    asides = sorted(folder.glob(f"*.key{_ASIDE}"))
    for unfinished in folder.glob(f".*{_ASIDE}.*.new"):
        _destroy(unfinished)
    if not (folder / MARKER).exists():
        for aside in asides:
            _destroy(aside)
        return False
    for aside in asides:
        _replace(aside.with_name(aside.name.removesuffix(_ASIDE)), aside)
    (folder / MARKER).unlink()
    _sync(folder)
    return True


def _open(path: Path, passphrase: Passphrase | None) -> KeyFile:
    return read_key(path, read_label(path).kind, passphrase)


def _replace(path: Path, aside: Path) -> None:
    """Put the new file in the old one's place, then overwrite the old one's bytes."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            aside.replace(path)
            _sync(path.parent)
            os.pwrite(descriptor, b"\n" * size, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(path, error) from error


def _make_marker(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fsync(descriptor)
        os.close(descriptor)
        _sync(path.parent)
    except OSError as error:
        raise _refused(path, error) from error


def _destroy(path: Path) -> None:
    try:
        with path.open("r+b") as file:
            file.write(b"\n" * os.fstat(file.fileno()).st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(path, error) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        code="key_unwritable",
        what=f"The passphrase of {path.name} was not changed",
        why=error.strerror or type(error).__name__,
        fix="Mend the folder and run the command again: it goes on where it stopped",
    )
