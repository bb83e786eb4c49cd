"""The node's signing keys as files, through rotations and recoveries, whatever a crash leaves (PROTOCOL 2).

    keys/signing.key   the key in force          keys/next.key    the key committed to
    keys/after.key     made for the next rotation or recovery    keys/fresh.key   a recovery's new signing key
    keys/staged.key    made ahead by the operator, to be what the next turn commits to

A new key's file is durable before the entry that names it is signed; the log, not the files, says which key is in
force. `settle`, at every start and after every turn, finds the keys the log names among the files, puts each in its
place and destroys the others at once: overwritten, then removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from node.errors import ConfigError
from node.keyfiles import KeyFile, KeyKind, read_key, write_key
from node.passphrase import Passphrase
from protocol.key_chain import KeyState
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import RecoverData

_FILES: Final[tuple[tuple[str, KeyKind], ...]] = (
    ("signing.key", "signing"), ("next.key", "next"), ("after.key", "next"), ("fresh.key", "signing"),
    ("staged.key", "next"),
)  # fmt: skip


class SigningKeys:
    """The key files of one node; `folder` is `DATA/keys`."""

    def __init__(
        self, folder: Path, rng: Callable[[int], bytes] = os.urandom, passphrase: Passphrase | None = None
    ) -> None:
        self._folder = folder
        self._rng = rng
        self._passphrase = passphrase

    def settle(self, keys: KeyState) -> SigningKey:
        """The key in force by the log, with the files put in order.

        Raises:
            ConfigError: no file holds it; the data are older than a rotation, or the wrong files are here.
        """
        self._sweep()
        found = self._read_all()
        current = next((key for _, key in found if key.public == keys.signing_key), None)
        if current is None:
            raise ConfigError(
                code="wrong_signing_key",
                what="The node cannot sign",
                why="no file in keys/ holds the signing key that this node's log has in force",
                fix="Put the right key files back, or make new keys with the root key: murmur keys recover",
            )
        following = next((key for _, key in found if key_digest(key.public or b"") == keys.next_digest), None)
        self._put("signing.key", "signing", current, found)
        if following is not None:
            self._put("next.key", "next", following, found)
        for name in ("after.key", "fresh.key", *(("next.key",) if following is None else ())):
            self._destroy(name)
        staged = next((key for name, key in found if name == "staged.key"), None)
        if staged is not None and staged.public in (current.public, None if following is None else following.public):
            self._destroy("staged.key")  # the turn it was staged for has come
        return SigningKey(current.secret)

    def in_place(self) -> SigningKey:
        """The key in `signing.key`, for the time before the log is known; another one if a crash left that half done.

        Raises:
            ConfigError: there is none that can be read.
        """
        found = self._read_all()
        if found:
            return SigningKey(found[0][1].secret)
        return SigningKey(read_key(self._folder / "signing.key", "signing", self._passphrase).secret)

    def committed(self, keys: KeyState) -> SigningKey:
        """The key the log committed to, which the next rotation puts in force.

        Raises:
            ConfigError: it is lost: only a recovery can change keys.
        """
        for _, key in self._read_all():
            if key.public is not None and key_digest(key.public) == keys.next_digest:
                return SigningKey(key.secret)
        raise ConfigError(
            code="next_key_missing",
            what="The key was not rotated",
            why="keys/next.key is not the key this node's log committed to",
            fix="Put that file back, or use the root key: murmur keys recover --from POSITION --root-key FILE",
        )

    def make_after(self) -> bytes:
        """The key for the turn after the one being prepared, staged or made now; the digest to commit to."""
        staged = self.staged()
        return key_digest(self._make("after.key", "next").public_key if staged is None else staged)

    def stage(self) -> bytes:
        """Make the key that the next turn will commit to, durable, so that it can be looked at before; its public key.

        The one that was staged before stays.
        """
        return self.staged() or self._make("staged.key", "next").public_key

    def staged(self) -> bytes | None:
        """The public key staged for the next turn."""
        return next((key.public for name, key in self._read_all() if name == "staged.key"), None)

    def make_fresh(self) -> SigningKey:
        """Make a recovery's new signing key."""
        return self._make("fresh.key", "signing")

    def holds(self, turn: RecoverData) -> bool:
        """Whether files hold both keys that a recovery would bring."""
        found = [key.public for _, key in self._read_all() if key.public is not None]
        return turn.signing_key in found and turn.next_digest in [key_digest(key) for key in found]

    # -- files

    def _make(self, name: str, kind: KeyKind) -> SigningKey:
        self._sweep()
        self._destroy(name)  # of a turn that never came to be
        seed = self._rng(32)
        key = SigningKey(seed)
        write_key(self._folder / name, KeyFile(kind, seed, key.public_key), self._passphrase)
        return key

    def _read_all(self) -> list[tuple[str, KeyFile]]:
        found = []
        for name, kind in _FILES:
            path = self._folder / name
            if not path.exists():
                continue
            try:
                found.append((name, read_key(path, kind, self._passphrase)))
            except ConfigError as error:
                if error.code != "key_malformed":  # half destroyed: its key has another file by then
                    raise
        return found

    def _put(self, name: str, kind: KeyKind, key: KeyFile, found: list[tuple[str, KeyFile]]) -> None:
        """Make `name` hold this key; its present one is destroyed. Another file holds the key until this one does."""
        if any(at == name and held.public == key.public for at, held in found):
            return
        if not any(at != name and held.public == key.public for at, held in found):
            raise RuntimeError("a key is moved only while another file holds it")
        self._destroy(name)
        write_key(self._folder / name, KeyFile(kind, key.secret, key.public), self._passphrase)

    def _sweep(self) -> None:
        """Destroy what a crash left of a file being written: it may hold a whole key."""
        for name, _ in _FILES:
            for path in self._folder.glob(f".{name}.*.new"):
                self._destroy(path.name)

    def _destroy(self, name: str) -> None:
        path = self._folder / name
        try:
            with path.open("r+b") as file:
                size = os.fstat(file.fileno()).st_size
                file.write(b"\n" * size)
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(
                code="key_not_destroyed",
                what=f"The old key in {path} was not destroyed",
                why=error.strerror or type(error).__name__,
                fix="Mend the permissions of keys/ and start the node again: it then finishes this",
            ) from error
