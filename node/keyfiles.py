"""Key files: one key in one small text file that only its owner can read.

Form (ASCII, lines end in LF, `murmur-key` version 1; PROTOCOL 8):

    murmur-key 1
    kind signing            one of KINDS
    protection none         or: argon2id OPS KIB SALT
    public 9f86d0…          64 hex digits; absent for kind `master`, which has no public half
    secret 2c26b4…          64 hex digits: the Ed25519 seed, or the 32 bytes of the master key

With a passphrase the last line is `sealed NONCE BOX` instead: XChaCha20-Poly1305 of those 32 bytes under the key that
Argon2id makes of the passphrase, with every line before it as associated data.

Rules: a file is made with mode 0600 and never overwritten (it appears complete or not at all); it is refused
when its group or others can read or write it; a key of one kind is never taken for another. A secret never
stands in a `repr`, a message or a log line. What is left out on purpose: deleting keys, and keys or passphrases on
the command line.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from nacl import bindings
from nacl.exceptions import CryptoError

from node.errors import ConfigError
from node.passphrase import KIB, MAX_KIB, MAX_OPS, OPS, SALT_BYTES, Passphrase

KeyKind = Literal["root", "signing", "next", "governance", "master", "token"]
KINDS: Final[tuple[KeyKind, ...]] = get_args(KeyKind)

SECRET_BYTES: Final = 32
MAX_FILE_BYTES: Final = 4096  # the form needs 250; anything longer is some other file
_FIRST_LINE: Final = "murmur-key 1"
_NONCE_BYTES: Final = 24


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
        """The file's content without a passphrase. It holds the secret: write it, do not show it."""
        return "\n".join([*self._lines("none"), f"secret {self.secret.hex()}", ""])

    def text_under(self, passphrase: Passphrase | None, rng: Callable[[int], bytes] = os.urandom) -> str:
        """The file's content, sealed where there is a passphrase."""
        if passphrase is None:
            return self.text
        salt, nonce = rng(SALT_BYTES), rng(_NONCE_BYTES)
        lines = self._lines(f"argon2id {OPS} {KIB} {salt.hex()}")
        box = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            self.secret, _bound(lines), nonce, passphrase.key(salt, OPS, KIB)
        )
        return "\n".join([*lines, f"sealed {nonce.hex()} {box.hex()}", ""])

    def _lines(self, protection: str) -> list[str]:
        lines = [_FIRST_LINE, f"kind {self.kind}", f"protection {protection}"]
        return lines if self.public is None else [*lines, f"public {self.public.hex()}"]


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """What a key file says to whoever may read it, without its passphrase."""

    kind: KeyKind
    is_sealed: bool
    public: bytes | None


def read_label(path: Path) -> KeyLabel:
    """The open part of any key file; raises as `read_key`."""
    fields = _fields(path)
    kind = fields["kind"]
    public = _hex32(path, fields["public"]) if kind != "master" else None
    return KeyLabel(_kind_of(kind), fields["protection"] != "none", public)


def read_key(path: Path, kind: KeyKind, passphrase: Passphrase | None = None) -> KeyFile:
    """The key of this kind in the file at `path`. A file without a passphrase is read whether or not one is given.

    Raises:
        ConfigError: the file is missing, can be read or written by others, is no key file, holds another kind
        (`key_wrong_kind`), or is sealed and the passphrase is missing (`key_sealed`) or wrong (`passphrase_wrong`).
    """
    fields = _fields(path)
    if fields["kind"] != kind:
        raise ConfigError(
            code="key_wrong_kind",
            what=f"The key file {path} is refused",
            why=f"it holds a {fields['kind']} key where a {kind} key is needed",
            fix=f"Give the path of the {kind} key",
        )
    public = _hex32(path, fields["public"]) if kind != "master" else None
    if fields["protection"] == "none":
        return KeyFile(kind, _hex32(path, fields["secret"]), public)
    return KeyFile(kind, _unsealed(path, fields, passphrase), public)


def _fields(path: Path) -> dict[str, str]:
    """The lines of a key file by their first word; exactly those its kind and protection ask for."""
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
    found, protection = fields.get("kind", ""), fields.get("protection", "")
    method = protection.partition(" ")[0]
    expected_fields = {"kind", "protection", "secret" if method == "none" else "sealed"}
    expected_fields |= {"public"} if found != "master" else set()
    if found not in KINDS or set(fields) != expected_fields:
        raise _no_key_file(path, "its lines are not those of a key this version knows")
    if protection != "none" and method != "argon2id":
        raise _no_key_file(path, f'its protection is "{protection[:40]}", this version knows "none" and "argon2id"')
    return fields


def _unsealed(path: Path, fields: dict[str, str], passphrase: Passphrase | None) -> bytes:
    if passphrase is None:
        raise ConfigError(
            code="key_sealed",
            what=f"The key file {path} does not open",
            why="it is protected by a passphrase, and none was given",
            fix="Name the file that holds it: keys.passphrase_file in node.toml, or --passphrase-file",
        )
    try:
        _, ops, kib, salt_text = fields["protection"].split(" ")
        nonce, box = (bytes.fromhex(part) for part in fields["sealed"].split(" "))
        cost, salt = (int(ops), int(kib)), bytes.fromhex(salt_text)
    except ValueError as error:
        raise _no_key_file(path, "a line is damaged or stands twice") from error
    is_fair = 1 <= cost[0] <= MAX_OPS and 8 <= cost[1] <= MAX_KIB
    if not is_fair or len(salt) != SALT_BYTES or len(nonce) != _NONCE_BYTES or len(box) != SECRET_BYTES + 16:
        raise _no_key_file(path, "a line is damaged or stands twice")
    lines = [_FIRST_LINE, *(f"{name} {value}" for name, value in fields.items() if name != "sealed")]
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            box, _bound(lines), nonce, passphrase.key(salt, *cost)
        )
    except CryptoError as error:
        raise ConfigError(
            code="passphrase_wrong",
            what=f"The key file {path} does not open",
            why="the passphrase is another one, or the file was changed",
            fix="Give the passphrase this file was sealed with; nobody can open it without",
        ) from error


def _bound(lines: list[str]) -> bytes:
    """What the seal binds: every line before it, so that no word of them can be changed."""
    return "\n".join(lines).encode("ascii")


def _kind_of(text: str) -> KeyKind:
    return next(kind for kind in KINDS if kind == text)


def write_key(path: Path, key: KeyFile, passphrase: Passphrase | None = None) -> None:
    """Write `key` to a new file at `path`, mode 0600, durably and atomically; sealed with the passphrase, if any.

    Makes no folders.

    Raises:
        ConfigError: something already stands at `path` (it is left as it is), or the folder cannot be
        written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(key.text_under(passphrase))
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
