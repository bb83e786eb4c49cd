"""How far an import of a file came: so that stopped, killed or run again it goes on there, and each event counts once.

Beside the file, or where --state says: the import's random key, how many records are acknowledged, and the beginning of
the file by its hash, by which it is known again. It stays after the end: running the import again sends nothing twice,
and what was added to the file meanwhile. Another file under the same name begins anew.

Order: the key is durable before the first event is sent, and a place is moved only behind what the node acknowledged.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.errors import ConfigError

HEAD_BYTES: Final = 1 << 20
KEY_BYTES: Final = 32


class Place:
    """The place of one import. `key` makes ids of what has none; `done` records are behind it.

    Args:
        path: Where it is kept; None where nothing is (stdin, a dry run).
        file: The file that is imported; None with no path.

    Raises:
        ConfigError: it cannot be written or read.
    """

    def __init__(self, path: Path | None, file: Path | None) -> None:
        self.key, self.done = os.urandom(KEY_BYTES), 0
        self.is_other_file = False  # something of another file, or nothing readable, stood there
        self._path, self._file = path, file
        self._head: tuple[int, str] = (0, "")
        if path is not None and file is not None:
            self._find(path, file)
            self.move(self.done)

    def move(self, done: int) -> None:
        """So many records are acknowledged; durable on return."""
        self.done = done
        if self._path is None:
            return
        state = {"key": self.key.hex(), "done": done, "head_bytes": self._head[0], "head_sha256": self._head[1]}
        beside = self._path.with_name(f"{self._path.name}.tmp")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(state, file)
                file.flush()
                os.fdatasync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise self._unusable(error) from error

    def _find(self, path: Path, file: Path) -> None:
        try:
            with file.open("rb") as content:
                head = content.read(HEAD_BYTES)
            text = path.read_text() if path.exists() else None
        except OSError as error:
            raise self._unusable(error) from error
        self._head = (len(head), sha256(head).hexdigest())
        if text is None:
            return
        try:
            state = json.loads(text)
            key, done = bytes.fromhex(state["key"]), int(state["done"])
            begins, known = int(state["head_bytes"]), state["head_sha256"]
        except (ValueError, KeyError, TypeError):
            self.is_other_file = True
            return
        if len(head) < begins or sha256(head[:begins]).hexdigest() != known or len(key) != KEY_BYTES:
            self.is_other_file = True
            return
        self.key, self.done = key, done

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(
            code="import_place",
            what="The import was not started" if not self.done else "The import has stopped",
            why=f"{error.filename or self._path} cannot be used: {error.strerror or type(error).__name__}",
            fix="Give --state FILE where you may write; it says how far the import came",
        )
