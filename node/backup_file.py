"""The form of a backup: one file, sealed with a passphrase, read and written in one pass (specs/node.md 4.1).

    "murmur-backup 1\\n" ‖ "argon2id OPS KIB SALT STREAM\\n" ‖ frame …         SALT, STREAM as hex
    frame:  u32 size ‖ libsodium secretstream (XChaCha20-Poly1305) of at most 1 MiB

The first frame binds both lines; the last one carries the final tag and nothing follows it, so a file that was cut or
joined does not open. Inside is a gzipped tar.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

from nacl import bindings
from nacl.exceptions import CryptoError

from node.errors import RejectedInput
from node.passphrase import KIB, MAX_KIB, MAX_OPS, OPS, SALT_BYTES, Passphrase

_FIRST: Final = b"murmur-backup 1\n"
_CHUNK: Final = 1 << 20
_OVERHEAD: Final = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_MESSAGE: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL


def sealed(parts: Iterable[bytes], passphrase: Passphrase, rng: Callable[[int], bytes] = os.urandom) -> Iterator[bytes]:
    """The file's bytes, part by part, from the content's."""
    salt = rng(SALT_BYTES)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    stream = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, passphrase.key(salt, OPS, KIB))
    head = _FIRST + f"argon2id {OPS} {KIB} {salt.hex()} {stream.hex()}\n".encode("ascii")
    yield head
    bound: bytes | None = head
    chunks = _chunks(parts)
    chunk = next(chunks, b"")
    while True:
        following = next(chunks, None)
        tag = _FINAL if following is None else _MESSAGE
        box = bindings.crypto_secretstream_xchacha20poly1305_push(state, chunk, bound, tag)
        yield len(box).to_bytes(4, "big") + box
        if following is None:
            return
        chunk, bound = following, None


class Opened(io.RawIOBase):
    """The content of a backup as a file that is read once.

    Raises (here and while reading):
        RejectedInput: no backup (`no_backup`), another passphrase (`passphrase_wrong`), or damaged or cut
        (`backup_damaged`).
    """

    def __init__(self, file: BinaryIO, passphrase: Passphrase) -> None:
        super().__init__()
        self._file = file
        first, second = file.readline(64), file.readline(256)
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        salt, stream, cost = _parse_head(first, second)
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, stream, passphrase.key(salt, *cost))
        self._bound: bytes | None = first + second
        self._left = b""
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # of io: any writable buffer
        while not self._left and not self._is_over:
            self._pull()
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def finish(self) -> None:
        """Read what is left; the file must end with its final frame, and nothing may follow."""
        while not self._is_over:
            self._pull()
        if self._file.read(1):
            raise _damaged("something follows its end")

    def _pull(self) -> None:
        size = int.from_bytes(self._file.read(4), "big")
        box = self._file.read(size) if _OVERHEAD <= size <= _CHUNK + _OVERHEAD else b""
        if len(box) != size or not box:
            raise _damaged("it ends too early")
        is_first = self._bound is not None
        try:
            self._left, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(self._state, box, self._bound)
        except (CryptoError, RuntimeError) as error:
            if is_first:
                raise RejectedInput(
                    code="passphrase_wrong", what="The backup does not open",
                    why="the passphrase is another one, or its beginning was changed",
                    fix="Give the passphrase this backup was made with; nobody can open it without",
                ) from error  # fmt: skip
            raise _damaged("a part of it is not what was written") from error
        self._bound = None
        self._is_over = tag == _FINAL


def _parse_head(first: bytes, second: bytes) -> tuple[bytes, bytes, tuple[int, int]]:
    try:
        method, ops, kib, salt, stream = second.decode("ascii").removesuffix("\n").split(" ")
        found = bytes.fromhex(salt), bytes.fromhex(stream), (int(ops), int(kib))
    except (UnicodeDecodeError, ValueError) as error:
        raise _no_backup() from error
    is_fair = 1 <= found[2][0] <= MAX_OPS and 8 <= found[2][1] <= MAX_KIB
    sizes = (len(found[0]), len(found[1]))
    known = (SALT_BYTES, bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES)
    if first != _FIRST or method != "argon2id" or not is_fair or sizes != known:
        raise _no_backup()
    return found


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    for part in parts:
        pending += part
        while len(pending) >= _CHUNK:
            yield bytes(pending[:_CHUNK])
            del pending[:_CHUNK]
    if pending:
        yield bytes(pending)


def _no_backup() -> RejectedInput:
    return RejectedInput(
        code="no_backup", what="The file is no backup", why="it does not begin as this version writes them",
        fix='Check the path; "murmur backup FILE" makes one',
    )  # fmt: skip


def _damaged(why: str) -> RejectedInput:
    return RejectedInput(
        code="backup_damaged", what="The backup does not open", why=why, fix="Take another copy of it, or an older one"
    )
