"""Key files: one key in one small text file that only its owner can read.

Form (ASCII, lines end in LF, `murmur-key` version 1; PROTOCOL 8):

    murmur-key 1
    kind signing            one of KINDS
    protection none         room for passphrases; this version knows `none`
    public 9f86d0…          64 hex digits; absent for kind `master`, which has no public half
    secret 2c26b4…          64 hex digits: the Ed25519 seed, or the 32 bytes of the master key

Rules: a file is made with mode 0600 and never overwritten (it appears complete or not at all); it is refused
when its group or others can read or write it; a key of one kind is never taken for another. A secret never
stands in a `repr`, a message or a log line. What is left out on purpose: deleting keys, and keys on the
command line.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from node.errors import ConfigError

KeyKind = Literal["root", "signing", "next", "governance", "master"]
KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)

SECRET_BYTES: Final = 32
MAX_FILE_BYTES: Final = 4096  # the form needs 250; anything longer is some other file
_FIRST_LINE: Final = "murmur-key 1"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a key file holds. `secret` is hidden from `repr`.

    Args:
        kind: What the key is for.
        secret: 32 bytes: an Ed25519 seed, or the master key itself.
        public: The 32-byte public key of the seed; None for kind `master`.
    """

    kind: KeyKind
    secret: bytes = field(repr=False)
    public: bytes | None = None

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError(f"a key has {SECRET_BYTES} secret bytes, not {len(self.secret)}")
        if (self.public is None) != (self.kind == "master"):
            raise ValueError("every key but the master key has a public half")
        if self.public is not None and len(self.public) != 32:
            raise ValueError("a public key has 32 bytes")

    @property
    def text(self) -> str:
        """The file's content. It holds the secret: write it, do not show it."""
        lines = [_FIRST_LINE, f"kind {self.kind}", "protection none"]
        if self.public is not None:
            lines.append(f"public {self.public.hex()}")
        return "\n".join([*lines, f"secret {self.secret.hex()}", ""])


def read_key(path: Path, kind: KeyKind) -> KeyFile:
    """The key of this kind in the file at `path`.

    Raises:
        ConfigError: the file is missing, can be read or written by others, is no key file, or holds another
        kind.
    """
    text = _read_private_text(path)
    fields: dict[str, str] = {}
    lines = text.split("\n")
    for line in lines[1:-1]:
        name, space, value = line.partition(" ")
        if not space or not value or name in fields:
            raise _no_key_file(path, "a line is damaged or stands twice")
        fields[name] = value
    if lines[0] != _FIRST_LINE or lines[-1] != "":
        raise _no_key_file(path, f'it does not begin with "{_FIRST_LINE}" and end with a line feed')
    found = fields.get("kind", "")
    expected_fields = {"kind", "protection", "secret"} | ({"public"} if found != "master" else set())
    if found not in KINDS or set(fields) != expected_fields:
        raise _no_key_file(path, "its lines are not those of a key this version knows")
    if fields["protection"] != "none":
        raise _no_key_file(path, f'its protection is "{fields["protection"]}", this version knows "none"')
    if found != kind:
        raise ConfigError(
            code="key_wrong_kind",
            what=f"The key file {path} is refused",
            why=f"it holds a {found} key where a {kind} key is needed",
            fix=f"Give the path of the {kind} key",
        )
    public = _hex32(path, fields["public"]) if kind != "master" else None
    return KeyFile(kind, _hex32(path, fields["secret"]), public)


def write_key(path: Path, key: KeyFile) -> None:
    """Write `key` to a new file at `path`, mode 0600, durably and atomically. Makes no folders.

    Raises:
        ConfigError: something already stands at `path` (it is left as it is), or the folder cannot be
        written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(key.text)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike rename, link never replaces what stands there
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ConfigError(
            code="key_exists",
            what=f"The {key.kind} key was not written to {path}",
            why="a file is already there, and a key is never overwritten",
            fix="Choose another path, or move the old file away if it is no longer needed",
        ) from error
    except OSError as error:
        raise ConfigError(
            code="key_unwritable",
            what=f"The {key.kind} key cannot be written to {path}",
            why=error.strerror or type(error).__name__,
            fix="Make the folder first, or choose a path you may write to",
        ) from error


def _read_private_text(path: Path) -> str:
    try:
        # O_NONBLOCK: a named pipe must be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)  # of the file that was opened, not of the name
            if not stat.S_ISREG(status.st_mode):
                raise _no_key_file(path, "it is not an ordinary file")
            if status.st_mode & 0o077:
                raise ConfigError(
                    code="key_readable_by_others",
                    what=f"The key file {path} is refused",
                    why=f"its mode is {stat.S_IMODE(status.st_mode):04o}, so others can read or change it",
                    fix=f'Run "chmod 600 {path}", and rotate the key if someone may have read it',
                )
            raw = os.read(descriptor, MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(
            code="key_unreadable",
            what=f"The key file {path} cannot be read",
            why=error.strerror or type(error).__name__,
            fix="Check the path and its owner; run the command as the user who owns the key",
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise _no_key_file(path, f"it is longer than {MAX_FILE_BYTES} bytes")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise _no_key_file(path, "it holds bytes that are not ASCII") from error


def _hex32(path: Path, text: str) -> bytes:
    if len(text) != 64 or any(digit not in "0123456789abcdef" for digit in text):
        raise _no_key_file(path, "a value is not 64 lower-case hex digits")
    return bytes.fromhex(text)


def _no_key_file(path: Path, why: str) -> ConfigError:
    return ConfigError(
        code="key_malformed",
        what=f"The key file {path} is refused",
        why=why,
        fix='Restore the file from where you keep keys; "murmur init" makes new ones for a new node',
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
