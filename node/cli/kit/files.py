"""Files that appear complete or not at all: new ones never replace anything, replaced ones change in one step."""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused


def write_new(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Make a file that was not there, durably.

    Raises:
        CommandRefused: something stands at `path` already (exit 7); it is left as it is.
        OSError: the folder is missing or cannot be written.
    """
    temporary = _temporary(path)
    try:
        _write_durably(temporary, content, mode)
        os.link(temporary, path)  # unlike rename, link never replaces what stands there
    except FileExistsError as error:
        raise exists_already(path) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Replace a file's content in one step, durably, keeping its mode."""
    temporary = _temporary(path)
    try:
        _write_durably(temporary, content, path.stat().st_mode & 0o777)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def read_bounded(path: Path, max_bytes: int, *, noun: str) -> bytes:
    """The content of a file someone sent, refused before it is read whole when it is too long.

    Raises:
        CommandRefused: no such file (exit 3), unreadable (1) or longer than `max_bytes` (6).
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise CommandRefused(
            exits.NOT_FOUND, code="file_not_found", what=f"The {noun} {path} cannot be read",
            why="there is no such file", fix="Check the path",
        ) from error  # fmt: skip
    except OSError as error:
        raise CommandRefused(
            exits.FAILED, code="file_unreadable", what=f"The {noun} {path} cannot be read",
            why=error.strerror or type(error).__name__, fix="Check the path and its permissions",
        ) from error  # fmt: skip
    if len(content) > max_bytes:
        raise CommandRefused(
            exits.VERIFICATION, code="file_too_large", what=f"The {noun} {path} is refused",
            why=f"it is longer than {max_bytes} bytes", fix="Check that it is the right file",
        )  # fmt: skip
    return content


def read_text(path: Path, max_bytes: int, *, noun: str) -> str:
    """As `read_bounded`, decoded; refused (exit 78) where it is not UTF-8."""
    try:
        return read_bounded(path, max_bytes, noun=noun).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandRefused(
            exits.CONFIG, code="not_text", what=f"The {noun} {path} is refused",
            why=f"byte {error.start + 1} is not UTF-8 text", fix="Save the file as UTF-8",
        ) from error  # fmt: skip


def exists_already(path: Path) -> CommandRefused:
    """The refusal to overwrite `path` (exit 7)."""
    return CommandRefused(
        exits.CONFLICT, code="already_exists", what=f"{path} was left as it is",
        why="it exists already, and this command never overwrites",
        fix="Choose another path, or move what is there away",
    )  # fmt: skip


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    """A name beside `path` for its content in the making; what killed commands left under such a name is removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        process = left.name.removeprefix(f".{path.name}.").removesuffix(".new")
        if process.isascii() and process.isdigit() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True


def _write_durably(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
