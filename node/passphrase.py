"""Passphrases for key files: where one comes from, and the key it makes (PROTOCOL 8, specs/node.md 1).

A passphrase comes from a file that only its owner can read, from a descriptor, or from a systemd credential named
`murmur.passphrase`; at a terminal it is asked for. Never from the command line or the environment, where others can
read it. It is bytes: what stands in the file, without one line feed at its end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from nacl import pwhash

from node.errors import ConfigError

OPS: Final = 3  # passes over the memory
KIB: Final = 64 << 10  # 64 MiB: some 100 ms a guess
MAX_OPS: Final = 16
MAX_KIB: Final = 1 << 20  # what a file may ask of whoever opens it
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
CREDENTIAL: Final = "murmur.passphrase"
_MAX_BYTES: Final = 1024


class Passphrase:
    """A passphrase, hidden from `repr`; remembers the keys it made, so that opening a file again costs nothing."""

    __slots__ = ("_made", "_secret")

    def __init__(self, secret: bytes) -> None:
        """Raises ConfigError (`passphrase_refused`) for an empty one, or one over 1024 bytes."""
        if not 0 < len(secret) <= _MAX_BYTES:
            raise _refused("it is empty" if not secret else f"it is longer than {_MAX_BYTES} bytes")
        self._secret = secret
        self._made: dict[tuple[bytes, int, int], bytes] = {}

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def __reduce__(self) -> str:
        raise TypeError("a passphrase is not copied into other files")

    def key(self, salt: bytes, ops: int = OPS, kib: int = KIB) -> bytes:
        """The 32-byte key that Argon2id makes of it.

        Source: RFC 9106; parameters are those of the file, within MAX_OPS and MAX_KIB.
        """
        made = self._made.get((salt, ops, kib))
        if made is None:
            made = pwhash.argon2id.kdf(KEY_BYTES, self._secret, salt, opslimit=ops, memlimit=kib << 10)
            self._made[salt, ops, kib] = made
        return made


def read_passphrase(path: Path) -> Passphrase:
    """The passphrase in a file.

    Raises:
        ConfigError: the file cannot be read, others can read it, or it is empty or too long.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise _refused(f"others can read the file {path}", f'Run "chmod 600 {path}", and choose another one')
            return _read(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(f"{path}: {error.strerror or type(error).__name__}", "Check the path and its owner") from error


def passphrase_from(descriptor: int) -> Passphrase:
    """The passphrase on an open descriptor, read to its end; raises as `read_passphrase`."""
    try:
        return _read(descriptor)
    except OSError as error:
        raise _refused(f"descriptor {descriptor}: {error.strerror}", "Open it in the shell: 3< FILE") from error


def service_passphrase(configured: Path | None) -> Passphrase | None:
    """What a service opens its keys with: the configured file, else systemd's credential, else nothing."""
    if configured is not None:
        return read_passphrase(configured)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")  # set by systemd; it names a folder and holds no secret
    credential = None if folder is None else Path(folder) / CREDENTIAL
    return read_passphrase(credential) if credential is not None and credential.exists() else None


def _read(descriptor: int) -> Passphrase:
    content = b""
    while len(content) <= _MAX_BYTES + 1 and (part := os.read(descriptor, _MAX_BYTES + 2)):
        content += part
    return Passphrase(content.removesuffix(b"\n").removesuffix(b"\r"))


def _refused(why: str, fix: str = "Give one of 1 to 1024 bytes, such as six words") -> ConfigError:
    return ConfigError(code="passphrase_refused", what="The passphrase is not taken", why=why, fix=fix)
