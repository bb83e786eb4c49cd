"""The anchor: a small file outside data folder and backups that holds the highest position this node has signed.

It is written and fsynced before every push (PROTOCOL 5). At start it answers one question: is the disk older than
what this node has already said? An anchor ahead of the log, or no anchor at all, means the data were restored.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from node.errors import StorageError

_FORM = "murmur-anchor 1"


@dataclass(frozen=True, slots=True, order=True)
class AnchoredPosition:
    """(generation, seq) of the last entry signed; seq -1 is the empty log."""

    generation: int
    seq: int


EMPTY_LOG = AnchoredPosition(0, -1)


def load_anchor(path: Path) -> AnchoredPosition | None:
    """The position in the anchor file, or None where there is no file.

    Raises:
        StorageError: the file is there but cannot be read or is not an anchor.
    """
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, str(error)) from error
    lines = text.split("\n")
    try:
        generation, seq = (int(part) for part in lines[1].split())
    except (IndexError, ValueError) as error:
        raise _broken(path, "it does not hold a position") from error
    if lines[0] != _FORM or generation < 0 or seq < -1:
        raise _broken(path, "it does not hold a position")
    return AnchoredPosition(generation, seq)


def anchor_text(position: AnchoredPosition) -> str:
    """The content of an anchor file that holds this position."""
    return f"{_FORM}\n{position.generation} {position.seq}\n"


def save_anchor(path: Path, position: AnchoredPosition) -> None:
    """Replace the anchor durably: write aside, fsync, rename, fsync the folder.

    Raises:
        StorageError: the disk refused; nothing may be pushed until a later call returns. With `fatal` (a sync failed)
            it is unknown which anchor is in place, and the process must end.
    """
    temporary = path.with_name(path.name + ".new")
    is_syncing = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="ascii") as file:
            file.write(anchor_text(position))
            file.flush()
            is_syncing = True
            os.fsync(file.fileno())
            is_syncing = False
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        is_syncing = True
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            code="anchor_unwritable",
            what=f"The anchor {path} cannot be written",
            why=error.strerror or type(error).__name__,
            fix="Free space or mend the permissions; nothing is pushed until the anchor is safe",
            fatal=is_syncing,  # the kernel may have dropped the pages: a second try would prove nothing
        ) from error


def _broken(path: Path, why: str) -> StorageError:
    return StorageError(
        code="anchor_unreadable",
        what=f"The anchor {path} cannot be read",
        why=why,
        fix="Restore the file, or remove it: the node then starts as restored and asks its peers for its own log",
    )
