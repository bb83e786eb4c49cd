"""What persons withdrew, held by the pseudonyms of each epoch and sealed under its pseudonym key (specs/vault.md 9).

Rules:
- Durable when `add` returns. One record a pseudonym and change, in order; what is known follows from all of them.
- Nothing is readable once the epoch's pseudonym key is destroyed; the records go with it.
- A record that does not open is an error: events of somebody who withdrew must not be taken.

Left out on purpose: any id, and anything that would know the person in another epoch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.errors import NodeError, StorageError
from node.state.database import StateDatabase
from node.vault.epoch_keys import Rng
from privacy.withdrawal import NOBODY, NOTHING, Withdrawn, after

MAX_PUBLIC: Final = 100_000  # pseudonyms of one epoch, from browser keys: anyone may hold one
MAX_KNOWN: Final = 400_000  # from all keys; some 60 MB
_INFO: Final = b"murmur/vault/withdrawal/1"
_NONCE_BYTES: Final = 12


class TooManyWithdrawals(NodeError):
    """The node holds as many withdrawals of an epoch as it has room for."""

    code = "too_many_withdrawals"
    status = 503
    retry_after_s = 3600


class Withdrawals:
    """The withdrawals of all epochs whose pseudonym key exists. The vault's gate guards it."""

    def __init__(self, database: StateDatabase, pseudonym_key: Callable[[str], bytes], rng: Rng) -> None:
        self._database = database
        self._pseudonym_key = pseudonym_key
        self._rng = rng
        self._known: dict[str, dict[int, frozenset[str]]] = {}
        self._seals: dict[str, AESGCM] = {}

    def recover(self, epochs: Collection[str]) -> None:
        """Read what was withdrawn in these epochs; what is kept of any other goes.

        Raises:
            StorageError: a record does not open.
        """
        self._known, self._seals = {}, {}
        kept = {epoch for (epoch,) in self._database.query("SELECT DISTINCT epoch FROM withdrawals")}
        if gone := kept.difference(epochs):
            with self._database.transaction() as connection:
                for epoch in gone:
                    delete_withdrawals(connection, epoch)
        for epoch in kept.intersection(epochs):
            for (sealed,) in self._database.query(
                "SELECT sealed FROM withdrawals WHERE epoch = ? ORDER BY number", (epoch,)
            ):
                self._note(epoch, *self._opened(epoch, sealed))

    def of(self, epoch: str) -> Withdrawn:
        """What is withdrawn in an epoch; follows what is added until the epoch is dropped."""
        return self._known.setdefault(epoch, {})

    def add(self, said: Mapping[str, Sequence[tuple[int, frozenset[str]]]], *, is_given: bool, is_public: bool) -> None:
        """Withdraw purposes, or give them again, for pseudonyms of each epoch; all in one, durable on return.

        Args:
            is_public: A browser key says so.

        Raises:
            TooManyWithdrawals, StorageError: nothing changed.
        """
        fresh: list[tuple[str, int, frozenset[str]]] = []
        for epoch, pairs in said.items():
            known = self._known.get(epoch, NOBODY)
            changed = [
                (epoch, person, purposes)
                for person, purposes in dict.fromkeys(pairs)
                if after(known.get(person, NOTHING), purposes, is_given=is_given) != known.get(person, NOTHING)
            ]
            new = {person for _, person, _ in changed} - known.keys()
            if not is_given and new and len(known) + len(new) > (MAX_PUBLIC if is_public else MAX_KNOWN):
                raise TooManyWithdrawals(
                    what="The withdrawal was not recorded",
                    why="the node holds as many withdrawals of this epoch as it has room for",
                    fix="Send no more events of this person today; tell the operator, as a browser key may be abused",
                )
            fresh += changed
        if not fresh:
            return
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO withdrawals (epoch, sealed) VALUES (?, ?)",
                [(epoch, self._sealed(epoch, person, purposes, is_given)) for epoch, person, purposes in fresh],
            )
        for epoch, person, purposes in fresh:
            self._note(epoch, person, purposes, is_given)

    def drop(self, epoch: str) -> None:
        """Forget an epoch whose pseudonym key is destroyed."""
        self._known.pop(epoch, None)
        self._seals.pop(epoch, None)

    def _note(self, epoch: str, person: int, purposes: frozenset[str], is_given: bool) -> None:
        known = self._known.setdefault(epoch, {})
        left = after(known.get(person, NOTHING), purposes, is_given=is_given)
        if left:
            known[person] = left
        else:
            known.pop(person, None)

    def _sealed(self, epoch: str, person: int, purposes: frozenset[str], is_given: bool) -> bytes:
        plain = person.to_bytes(8, "big") + bytes([is_given]) + "\n".join(sorted(purposes)).encode()
        nonce = self._rng(_NONCE_BYTES)
        return nonce + self._seal(epoch).encrypt(nonce, plain, epoch.encode())

    def _opened(self, epoch: str, sealed: bytes) -> tuple[int, frozenset[str], bool]:
        try:
            plain = self._seal(epoch).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], epoch.encode())
        except (InvalidTag, ValueError):
            raise StorageError(
                code="withdrawal_damaged",
                what=f"A withdrawal of consent in epoch {epoch} cannot be read",
                why="its record in the state database is not what was written, so nobody knows who withdrew",
                fix="Check the disk; the state database is damaged, or holds another epoch's records",
            ) from None
        return int.from_bytes(plain[:8], "big"), frozenset(plain[9:].decode().split("\n")), bool(plain[8])

    def _seal(self, epoch: str) -> AESGCM:
        seal = self._seals.get(epoch)
        if seal is None:
            kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO)
            seal = self._seals[epoch] = AESGCM(kdf.derive(self._pseudonym_key(epoch)))
        return seal


def delete_withdrawals(connection: sqlite3.Connection, epoch: str) -> None:
    """The records of an epoch go, in the transaction that records the end of its pseudonym key."""
    connection.execute("DELETE FROM withdrawals WHERE epoch = ?", (epoch,))
