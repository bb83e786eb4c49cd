"""Rotation and recovery of the running node's signing key, as one step each that a crash cannot halve.

Order: the new key's file, durable; the entry, committed; the anchor; the core, which signs with the new key from
then on; the old key's file, destroyed. Whatever is missing after a crash the next start does: the log says which key
is in force (node/signing_keys.py).

`lock` is held by the release worker during a round, so that entries reach the core in the order they were written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from federation.core import Core
from federation.log_state import AuthorLog
from node.errors import RejectedInput
from node.jobs.publishing import Publisher
from node.keyfiles import read_key
from node.mesh.own_log import OwnLog
from node.signing_keys import SigningKeys
from node.state.log import LogStore
from protocol.entries import ParsedEntry
from protocol.key_chain import KeyState, advance_chain
from protocol.keys import SigningKey, key_digest

log = structlog.get_logger()


class KeyTurns:
    """Turns the signing key over.

    Args:
        hand_over: Gives a committed entry and its new key to the core; returns once the core has taken them.
    """

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        publisher: Publisher,
        keys: SigningKeys,
        own_log: OwnLog,
        hand_over: Callable[[ParsedEntry, SigningKey], None],
    ) -> None:
        self.lock = threading.Lock()
        self._core = core
        self._logs = logs
        self._publisher = publisher
        self._keys = keys
        self._own_log = own_log
        self._hand_over = hand_over

    def show(self) -> dict[str, Any]:
        """The keys in force, and how often they changed."""
        own = self._own()
        keys = own.keys
        if keys is None:
            raise _refused("no_log", "this node has no log yet", "Wait until it has talked to its peers")
        return {
            "signing_key": keys.signing_key.hex(),
            "generation": keys.generation,
            "changed_at": keys.seq if own.links else None,
            "changes": len(own.links),
            "position": {"generation": own.position[0], "seq": own.position[1]},
            "is_frozen": own.is_frozen,
            "held_back": self._own_log.holds_back(),
        }

    def rotate(self) -> dict[str, Any]:
        """Put the committed key in force and commit to a new one. Lifts a freeze that a thief's fork made.

        Raises:
            RejectedInput: the node does not know its own log yet.
            ConfigError: the committed key is lost.
        """
        with self.lock:
            self._own_log.settle()
            held = self._own_log.holds_back()
            if held is not None and not self._own().is_frozen:
                raise _refused("held_back", held, "Wait until the node signs again, or use murmur keys recover")
            before = self._keys_at_pen()
            following = self._keys.committed(before)
            entry = self._publisher.rotate(following, self._keys.make_after())
            return self._finish("rotated", entry, before, following)

    def recover(self, seq: int, root_file: Path) -> dict[str, Any]:
        """Begin a new generation on the own entry at `seq`; everything after it is void everywhere.

        Raises:
            RejectedInput: there is no such entry, or the key is not this node's root key.
            ConfigError: the root key's file cannot be read.
        """
        root = SigningKey(read_key(root_file, "root").secret)
        with self.lock:
            own = self._own()
            keys = own.keys
            if keys is None or not 0 <= seq < own.height:
                raise _refused(
                    "no_such_entry", f"the own log has no entry {seq}", "See the positions: murmur keys show"
                )
            if root.public_key != keys.root_key:
                raise _refused("wrong_root_key", "it is not the root key of this node", "Give the file made at init")
            good = self._logs.read(own.ids[seq])
            if good is None:
                raise _refused("no_such_entry", f"entry {seq} is not stored", "Start the node again")
            generations = [keys.generation, own.frozen_generation, *(stub.generation for stub in own.sides.values())]
            fresh = self._keys.make_fresh()
            digest = self._keys.make_after()
            entry = self._publisher.recover(root, fresh, digest, good, max(generations) + 1)
            kept = {"kept": good.id.hex(), "void_entries": own.height - seq - 1}
            return {**self._finish("recovered", entry, keys, fresh), **kept}

    def _finish(self, what: str, entry: ParsedEntry, before: KeyState, key: SigningKey) -> dict[str, Any]:
        self._publisher.anchor(entry)
        after = advance_chain(before, entry)
        self._hand_over(entry, key)
        self._keys.settle(after)  # the old key is destroyed here
        self._own_log.resume()
        generation, seq = entry.header.position
        log.warning(f"keys.{what}", generation=generation, seq=seq)
        return {
            "entry": entry.id.hex(),
            "generation": generation,
            "seq": seq,
            "signing_key": key.public_key.hex(),
            "next_digest": after.next_digest.hex(),
            "old_signing_key": before.signing_key.hex(),
            "is_chain_good": key_digest(key.public_key) == before.next_digest or what == "recovered",
        }

    def _own(self) -> AuthorLog:
        own = self._core.logs.log(self._core.me)
        if own is None:
            raise ValueError("the core knows its own log")
        return own

    def _keys_at_pen(self) -> KeyState:
        """The keys in force after the entry this node wrote last, also where a fork keeps it from standing."""
        own, pen = self._own(), self._logs.pen(self._core.me)
        keys = own.keys
        if pen is not None:
            header, entry = pen
            keys = own.sides[entry].keys if entry in own.sides else own.keys_after(header.seq)
        if keys is None:
            raise _refused("no_log", "this node has no log yet", "Wait until it has talked to its peers")
        return keys


def _refused(code: str, why: str, fix: str) -> RejectedInput:
    return RejectedInput(code=code, what="The keys were not changed", why=why, fix=fix)
