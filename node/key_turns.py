"""Rotation and recovery of the running node's signing key, as one step each that a crash cannot halve.

Order: the new key's file, durable; the entry, committed; the anchor; the core, which signs with the new key from
then on; the old key's file, destroyed. Whatever is missing after a crash the next start does: the log says which key
is in force (node/signing_keys.py).

`lock` is held by the release worker during a round, so that entries reach the core in the order they were written.

A recovery is prepared here and signed elsewhere: the root key never comes into this process. What was prepared is
held in memory, one at a time, and refused when the log has moved so that it would not follow any more.

What a recovery makes void was not this node's word, so it is neither charged nor keeps a slot from its release; but
what this node answered itself stays charged and answered. Only the operator knows whether others had the events, too
(a clone, a copied disk): then what they released is charged here before the recovery, and never released again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from federation.core import Core
from federation.log_state import AuthorLog
from node.errors import RejectedInput, StorageError
from node.jobs.outbox import Outbox
from node.jobs.publishing import Draft, Publisher
from node.mesh.own_log import OwnLog
from node.signing_keys import SigningKeys
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry, data_hash
from protocol.errors import BadSignature, ProtocolError
from protocol.ids import DefinitionHash
from protocol.key_chain import KeyState, advance_chain
from protocol.keys import SigningKey, key_digest, verify
from protocol.kind_data import RecoverData, RotateData, parse_abstain
from protocol.summaries import parse_summary

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Prepared:
    draft: Draft
    fresh: SigningKey
    next_digest: bytes
    root_key: bytes


class KeyTurns:
    """Turns the signing key over.

    Args:
        outbox: What the last round left for the next tick; sent before a key turns.
        hand_over: Gives a committed entry and its new key to the core; returns once the core has taken them.
        on_fatal: Called with an error after which the process must end.
    """

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        publisher: Publisher,
        keys: SigningKeys,
        ledger: LedgerStore,
        own_log: OwnLog,
        outbox: Outbox,
        hand_over: Callable[[ParsedEntry, SigningKey], None],
        on_fatal: Callable[[StorageError], None],
    ) -> None:
        self.lock = threading.Lock()
        self._core = core
        self._logs = logs
        self._publisher = publisher
        self._keys = keys
        self._ledger = ledger
        self._own_log = own_log
        self._outbox = outbox
        self._hand_over = hand_over
        self._on_fatal = on_fatal
        self._prepared: _Prepared | None = None

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
            "next_digest": keys.next_digest.hex(),
            "root_key": keys.root_key.hex(),
            "since": self.since_s(),
            "position": {"generation": own.position[0], "seq": own.position[1]},
            "is_frozen": own.is_frozen,
            "held_back": self._own_log.holds_back(),
        }

    def log(self, last: int) -> dict[str, Any]:
        """The last entries of the own log that stand, oldest first: what `recover` chooses from."""
        rows = []
        for entry in self._own().ids[-last:]:
            parsed = self._logs.read(entry)
            if parsed is not None:
                header = parsed.header
                rows.append({"seq": header.seq, "generation": header.generation, "kind": header.kind,
                             "at": header.at, "entry": entry.hex()})  # fmt: skip
        return {"entries": rows}

    def since_s(self) -> int | None:
        """When the signing key in force was put there, by the entry that did; None while the log is unknown."""
        own = self._own()
        entry = own.links[-1] if own.links else own.ids[0] if own.ids else None
        parsed = None if entry is None else self._logs.read(entry)
        return None if parsed is None else parsed.header.at

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
            self._outbox.send()
            before = self._keys_at_pen()
            following = self._keys.committed(before)
            entry = self._publisher.rotate(following, self._keys.make_after())
            return self._finish("rotated", entry, before, following)

    def plan_rotation(self) -> dict[str, Any]:
        """What `rotate` would sign now; `digest` is None while the key after it is not staged.

        Raises:
            ConfigError: the committed key is lost.
        """
        with self.lock:
            before = self._keys_at_pen()
            following = self._keys.committed(before)
            staged = self._keys.staged()
        data = None if staged is None else RotateData(following.public_key, key_digest(staged)).encode()
        return {
            "signing_key": following.public_key.hex(),
            "old_signing_key": before.signing_key.hex(),
            "staged": None if staged is None else staged.hex(),
            "digest": None if data is None else data_hash(data).hex(),
        }

    def stage_next(self) -> dict[str, Any]:
        """Make the key that the next turn commits to, ahead of it."""
        with self.lock:
            return {"staged": self._keys.stage().hex()}

    def plan_recovery(self, seq: int) -> dict[str, Any]:
        """What a recovery on the own entry at `seq` would keep and make void; nothing is made.

        Raises:
            RejectedInput: there is no such entry.
        """
        with self.lock:
            own, keys, good = self._good(seq)
            return self._plan(own, keys, good)

    def prepare_recovery(self, seq: int) -> dict[str, Any]:
        """Make new keys and the entry that begins a new generation on the own entry at `seq`, for the root key to sign.

        Nothing changes before it comes back signed. A later preparation replaces this one.

        Raises:
            RejectedInput: there is no such entry.
        """
        with self.lock:
            self._own_log.settle()  # it puts key files in order, and would sweep away those made here
            self._outbox.send()
            own, keys, good = self._good(seq)
            fresh = self._keys.make_fresh()
            data = RecoverData(fresh.public_key, self._keys.make_after())
            draft = self._publisher.draft_recovery(data, good, self._next_generation())
            self._prepared = _Prepared(draft, fresh, data.next_digest, keys.root_key)
            told = {"ticket": draft.id.hex(), "message": draft.message.hex()}
            return {**told, **self._plan(own, keys, good)}

    def recover(self, ticket: bytes, signature: bytes, *, had_events: bool = False) -> dict[str, Any]:
        """Publish the prepared recovery with the root key's signature; everything after the kept entry is void.

        Args:
            had_events: Whoever wrote what goes had this node's events: what was released stays charged and released.

        Raises:
            RejectedInput: nothing of this ticket is prepared, the log has moved, or the signature is another key's.
        """
        with self.lock:
            prepared, own = self._prepared, self._own()
            if prepared is None or prepared.draft.id != ticket:
                raise _refused("not_prepared", "no recovery waits for this signature", "Begin again")
            header = prepared.draft.header
            moved = header.seq > own.height or own.before(header.seq) != header.prev
            if moved or header.generation != self._next_generation() or own.keys is None:
                self._prepared = None
                raise _refused("log_moved", "the log is another one than when this was prepared", "Begin again")
            try:
                verify(prepared.root_key, prepared.draft.message, signature)
            except BadSignature:
                raise _refused(
                    "wrong_root_key", "it is not signed by the root key of this node", "Give the key made at init"
                ) from None
            if not self._keys.holds(RecoverData(prepared.fresh.public_key, prepared.next_digest)):
                self._prepared = None
                raise _refused("not_prepared", "the key files made for it are gone", "Begin again")
            self._outbox.send()
            if had_events:  # before the recovery: a crash in between leaves too much charged, never too little
                self._ledger.reconcile(self._logs.replay_kept(self._core.me))
            keys, void = own.keys, own.height - header.seq
            entry = self._publisher.recover(prepared.draft, signature, prepared.fresh)
            self._prepared = None
            kept = {"kept": header.prev.hex(), "void_entries": void}
            return {**self._finish("recovered", entry, keys, prepared.fresh), **kept}

    def _finish(self, what: str, entry: ParsedEntry, before: KeyState, key: SigningKey) -> dict[str, Any]:
        try:
            self._publisher.anchor(entry)
        except StorageError as error:  # signed, and not to be sent: the next start reads the turn from the log
            self._on_fatal(error)
            raise
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

    def _good(self, seq: int) -> tuple[AuthorLog, KeyState, ParsedEntry]:
        """The own log, its keys, and the entry at `seq`."""
        own = self._own()
        if own.keys is None or not 0 <= seq < own.height:
            raise _refused("no_such_entry", f"the own log has no entry {seq}", "See the positions: murmur keys log")
        good = self._logs.read(own.ids[seq])
        if good is None:
            raise _refused("no_such_entry", f"entry {seq} is not stored", "Start the node again")
        return own, own.keys, good

    def _plan(self, own: AuthorLog, keys: KeyState, good: ParsedEntry) -> dict[str, Any]:
        seq = good.header.seq
        void = [parsed for entry in own.ids[seq + 1 :] if (parsed := self._logs.read(entry)) is not None]
        answered = {(definition.hex(), window) for definition, window in self._publisher.answered()}
        answers, known = _answers_of(void), self._core.rules.definitions
        return {
            "root_key": keys.root_key.hex(),
            "generation": self._next_generation(),
            "kept": good.id.hex(),
            "kept_at": good.header.at,
            "void_entries": own.height - seq - 1,
            "void_answers": [
                {
                    **one,
                    "metric": None if (found := known.get(_hash(one["definition"]))) is None else found.metric,
                    "is_own": (one["definition"], one["window"]) in answered,
                }
                for one in answers
            ],
        }

    def _next_generation(self) -> int:
        own = self._own()
        known = 0 if own.keys is None else own.keys.generation
        return max([known, own.frozen_generation, *(stub.generation for stub in own.sides.values())]) + 1

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


def _answers_of(entries: Sequence[ParsedEntry]) -> list[dict[str, str]]:
    """The slots whose answer goes with these entries: definition and window."""
    found = []
    for parsed in entries:
        with contextlib.suppress(ProtocolError):
            if parsed.header.kind == SUMMARY:
                summary = parse_summary(parsed.entry.data, parsed.header.author)
                found.append({"definition": summary.definition.hex(), "window": summary.window, "was": "released"})
            elif parsed.header.kind == ABSTAIN:
                abstain = parse_abstain(parsed.entry.data)
                found.append({"definition": abstain.definition.hex(), "window": abstain.window, "was": "abstained"})
    return found


def _hash(text: str) -> DefinitionHash:
    return DefinitionHash(bytes.fromhex(text))


def _refused(code: str, why: str, fix: str) -> RejectedInput:
    return RejectedInput(code=code, what="The keys were not changed", why=why, fix=fix)
