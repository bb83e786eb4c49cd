"""Publishing, the only path from stored rows to the mesh (PRIVACY 5).

    outside   compile, draw the noise, bound
    inside    BEGIN IMMEDIATE · refuse if the slot is answered · check the caps · add the noise · read the head ·
              sign · insert charge, slot, entry · COMMIT
    after     held until the next tick (outbox) · the anchor, fsynced · hand to the mesh

A crash before COMMIT: nothing happened, the noise is gone and fresh noise is drawn for a slot that was never signed.
After it: the entry is in the log and reaches the peers by push or by sync, the same bytes for ever.

One writer: only the release worker publishes. `checkpoint` is called by name before each step, for tests that kill the
process there; it does nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import structlog

from node.anchor import AnchoredPosition, save_anchor
from node.clock import Clock
from node.errors import StorageError
from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.slots import SlotStore
from privacy.abstaining import AbstainReason, abstain_for_epoch
from privacy.bounding import Binding, bind
from privacy.definition import Definition
from privacy.discovery import KeyNoise, read_keys, release_keys
from privacy.errors import BudgetExhausted
from privacy.exact_sampling import Rng
from privacy.layout import Layout, compile_layout
from privacy.ledger import ATTO, Balance, Charge, fits_population
from privacy.person_unit import sampling_of, unit_of
from privacy.release import ExactVector, GeometricSource, Release, Slot, draw_noise, make_release
from privacy.tracking_plan import Plan
from privacy.units import EpochLength, Window, epoch_of
from protocol.entries import (
    ABSTAIN,
    RECOVER,
    ROTATE,
    SUMMARY,
    Entry,
    Header,
    ParsedEntry,
    build_entry,
    data_hash,
    parse_header,
)
from protocol.ids import DefinitionHash, EntryId, FederationId, NodeId, ReleaseId
from protocol.keys import SigningKey
from protocol.kind_data import AbstainData, RecoverData, RotateData, log_start
from protocol.objects import ENTRY, signature_message
from protocol.summaries import BlockData, SummaryData, build_keyed_summary, build_summary
from protocol.summaries import Charge as WireCharge

SALT_BYTES = 32

log = structlog.get_logger()


Maker = Callable[[Slot, tuple[tuple[str, int, int], ...], str, Fraction], Release]
"""(slot, charges, person-key kind, sampling rate) -> the release of what was prepared, once."""


class WindowRows(Protocol):
    """The rows of one window, opened for bounding."""

    def vector(self, binding: Binding, salt: bytes) -> list[int]: ...
    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A definition compiled for a window and bound to the plans of this node; `sampling` is the rate it states."""

    layout: Layout
    binding: Binding
    sampling: Fraction


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: this node within its federation. `charter_version` is that of the charter trusted at the start.

    `population`: the number of people it declares there, if any.
    """

    node: NodeId
    federation: FederationId
    signing_key: SigningKey
    charter_version: int
    population: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry without its signature."""

    header: Header
    data: bytes

    @property
    def id(self) -> EntryId:
        """The id it will have: signatures are no part of it."""
        return Entry(self.header.encode(), (), self.data, None).id

    @property
    def message(self) -> bytes:
        """What is to be signed."""
        return signature_message(ENTRY, self.header.federation, self.header.author, self.header.encode())


class Publisher:
    """Answers slots: each once, with a release that is paid for or with an abstention from the closed list."""

    def __init__(
        self,
        *,
        database: StateDatabase,
        logs: LogStore,
        identity: Identity,
        anchor: Path,
        epoch_length: EpochLength,
        cap_of: Callable[[Window], Balance | None],
        clock: Clock,
        rng: Rng,
        geometric: GeometricSource | None = None,
        tick_s: int = 1,
        checkpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Make the publisher. `tick_s`: entries are dated by the tick before them, never by when they were ready."""
        self._tick_s = tick_s
        self._database = database
        self._logs = logs
        self._slots = SlotStore(database)
        self._ledger = LedgerStore(database)
        self._identity = identity
        self._charter_version = identity.charter_version
        self._anchor = anchor
        self._epoch_length = epoch_length
        self._cap_of = cap_of
        self._clock = clock
        self._rng = rng
        self._geometric = geometric
        self._may_sign: Callable[[], bool] = lambda: True
        self._checkpoint = checkpoint

    def answered(self) -> set[tuple[DefinitionHash, str]]:
        """The slots that need no answer any more."""
        return self._slots.answered()

    def question(self, definition: Definition, window: Window, plans: Mapping[int, Plan]) -> Question | AbstainReason:
        """The definition compiled for the window and bound to the plans, or why this node abstains whatever it holds.

        Raises:
            PrivacyError: it cannot be compiled.
        """
        reason: AbstainReason | None = abstain_for_epoch(window, self._epoch_length)
        if reason is not None:
            return reason
        layout = compile_layout(definition, window)
        bound = bind(definition, layout, plans)
        if isinstance(bound, str):
            return bound
        sampling = sampling_of(definition, plans)
        return sampling if isinstance(sampling, str) else Question(layout, bound, sampling)

    def answer(
        self,
        definition_hash: DefinitionHash,
        definition: Definition,
        window: Window,
        plans: Mapping[int, Plan],
        rows: WindowRows | None,
        question: Question | AbstainReason | None = None,
    ) -> ParsedEntry | None:
        """Release the slot, or abstain; None when it was answered before.

        Args:
            plans: Every plan that rows of the window may be coded by.
            rows: The window's rows; None when the epoch's keys are gone.
            question: What `question` said, where that was asked before.

        Raises:
            StorageError: nothing was released or charged; with `fatal`, the process must end.
            PrivacyError: no noise, or a fault of the engine; nothing was released or charged.
        """
        if question is None:
            question = self.question(definition, window, plans)
        if isinstance(question, str):
            return self._abstain(definition_hash, window, question)
        layout, bound, sampling = question.layout, question.binding, question.sampling
        if rows is None:
            return self._abstain(definition_hash, window, "epoch_closed")
        epoch = epoch_of(self._epoch_length, window.start_hour)
        if not fits_population(layout.delta_atto, self._identity.population):
            return self._abstain(definition_hash, window, "budget", (epoch, self._delta_refused(layout.delta_atto)))
        self._checkpoint("draw")
        make = self._prepare(layout, bound, rows)
        cost = Charge.of(layout.rho, layout.delta_atto)
        slot = Slot(definition_hash, window, self._identity.node)
        self._checkpoint("begin")
        try:
            with self._database.transaction() as connection:
                if self._slots.is_answered(connection, definition_hash, window.text):
                    return None
                cap = self._cap_of(epoch)
                if cap is None:
                    raise _NoEpoch
                budget = self._ledger.budget(connection, epoch, cap).spend(slot.name, cost)
                self._checkpoint("add")
                charges = ((epoch.text, cost.rho_nano, cost.delta_atto),)
                release = make(slot, charges, unit_of(definition, plans), sampling)
                self._checkpoint("sign")
                entry, release_id = self._sign_release(release, budget.balance, epoch)
                self._checkpoint("insert")
                self._slots.record_release(
                    connection,
                    definition=definition_hash,
                    window=window.text,
                    release=release_id,
                    entry=entry.id,
                    epoch=epoch.text,
                    charge=cost,
                )
                self._ledger.give_back(connection, definition_hash, window.text)
                self._logs.write_down(connection, entry)
                self._checkpoint("commit")
        except BudgetExhausted as refusal:
            # The definition and the ledger decide this, never data: saying it, and to whom, leaks nothing.
            log.warning("release.refused", metric=definition.metric, window=window.text, rule=refusal.rule,
                        deficit=refusal.deficit, returns=refusal.returns, nearest=refusal.nearest)  # fmt: skip
            return self._abstain(definition_hash, window, "budget", (epoch, refusal))
        except _NoEpoch:
            return self._abstain(definition_hash, window, "epoch_closed")
        self._checkpoint("committed")
        return entry

    def _prepare(self, layout: Layout, bound: Binding, rows: WindowRows) -> Maker:
        """Draw the noise, then read the exact numbers; what comes back adds them, once, inside the transaction."""
        if layout.discovery is not None:
            key_noise = KeyNoise(layout, self._rng)
            self._checkpoint("bound")
            exact = read_keys(rows.keys(bound, self._rng(SALT_BYTES)))
            return lambda slot, charges, unit, sampling: release_keys(
                slot, layout, key_noise, exact, charges, unit, sampling
            )
        noise = draw_noise(layout, self._rng, self._geometric)
        self._checkpoint("bound")
        vector = ExactVector(rows.vector(bound, self._rng(SALT_BYTES)))
        layout.check_vector(vector)
        return lambda slot, charges, unit, sampling: make_release(slot, layout, noise, vector, charges, unit, sampling)

    def _delta_refused(self, delta_atto: int) -> BudgetExhausted:
        """δ above 1/(10 · declared people): of so many, somebody's own key might well be shown."""
        most = ATTO // (10 * (self._identity.population or 1))
        refusal = BudgetExhausted(
            rule="delta of one release",
            deficit=delta_atto - most,
            returns="with another definition, or fewer declared people",
            nearest=f"delta {Fraction(most, ATTO)}",
        )
        log.warning("release.refused", rule=refusal.rule, deficit=refusal.deficit, nearest=refusal.nearest)
        return refusal

    def publish_other(self, kind: str, data: bytes) -> ParsedEntry:
        """Append an entry that releases nothing: the inception, an endpoint."""
        with self._database.transaction() as connection:
            entry = self._sign(kind, data, None)
            self._logs.write_down(connection, entry)
        return entry

    def abstain(self, definition: DefinitionHash, window: Window, reason: AbstainReason) -> ParsedEntry | None:
        """Say that the slot is never released here, and why; None when it was answered before."""
        return self._abstain(definition, window, reason)

    def abstain_all(self, window: Window, reasons: Sequence[tuple[DefinitionHash, AbstainReason]]) -> list[ParsedEntry]:
        """Abstain from several slots of a window in one transaction, in order; those answered before are left out.

        All or none of them is on disk afterwards, whatever crashes.
        """
        if not reasons:
            return []
        with self._database.transaction() as connection:
            entries = [self._abstain_in(connection, definition, window, reason) for definition, reason in reasons]
            self._checkpoint("commit abstentions")
        return [entry for entry in entries if entry is not None]

    def abstain_recovered(self, definition: DefinitionHash, window: str) -> ParsedEntry:
        """Say of a slot whose answer a recovery made void that it is never released again."""
        with self._database.transaction() as connection:
            entry = self._sign(ABSTAIN, AbstainData(definition, window, "recovered").encode(), None)
            self._slots.record_recovered(connection, definition, window, entry.id)
            self._logs.write_down(connection, entry)
        return entry

    def abstain_taken_back(self, definition: DefinitionHash, window: str) -> ParsedEntry | None:
        """Say of a slot that only somebody else answered that this was taken back; None when it is answered by now.

        It may be released still, once: a summary may follow an abstention (specs/mesh.md 8.5).
        """
        with self._database.transaction() as connection:
            if self._slots.is_answered(connection, definition, window):
                return None
            entry = self._sign(ABSTAIN, AbstainData(definition, window, "recovered").encode(), None)
            self._slots.record_taken_back(connection, definition, window, entry.id)
            self._logs.write_down(connection, entry)
        return entry

    def rotate(self, following: SigningKey, next_digest: bytes) -> ParsedEntry:
        """Append a rotation to the key committed to; what is signed after it is signed with that key.

        Also where the log is frozen by a fork: it stands on this node's own last entry, and so ends the freeze.
        """
        data = RotateData(following.public_key, next_digest).encode()
        with self._database.transaction() as connection:
            entry = self._sign(ROTATE, data, None, following=following, is_held_back=False)
            self._logs.write_down(connection, entry)
        self.use_key(following)  # the caller keeps the release worker from signing meanwhile
        return entry

    def draft_recovery(self, data: RecoverData, good: ParsedEntry, generation: int) -> Draft:
        """The entry that recovers on `good`, for the root key to sign; nothing is written."""
        identity, body = self._identity, data.encode()
        header = Header(
            identity.federation, identity.node, generation, good.header.seq + 1, good.id, identity.charter_version,
            self._tick(), RECOVER, data_hash(body), len(body),
        )  # fmt: skip
        return Draft(header, body)

    def recover(self, draft: Draft, signature: bytes, fresh: SigningKey) -> ParsedEntry:
        """Append a drafted recovery with the root key's verified signature: what followed its entry is void."""
        entry = Entry(draft.header.encode(), (signature,), draft.data, None)
        parsed = ParsedEntry(entry.id, draft.header, entry)
        with self._database.transaction() as connection:
            self._logs.write_down(connection, parsed)
        self.use_key(fresh)
        return parsed

    def ask_before_signing(self, may_sign: Callable[[], bool]) -> None:
        """Ask inside each transaction, before an entry is signed, whether that may be."""
        self._may_sign = may_sign

    def use_key(self, key: SigningKey) -> None:
        """Sign with this key from now on."""
        self._identity = replace(self._identity, signing_key=key)

    def use_charter(self, version: int) -> None:
        """Name this charter in every entry from now on; it never falls."""
        self._charter_version = max(self._charter_version, version)

    def anchor(self, entry: ParsedEntry) -> None:
        """Step 7: the anchor at this entry's position, on disk. Only then may the entry be pushed."""
        self._checkpoint("anchor")
        save_anchor(self._anchor, AnchoredPosition(*entry.header.position))
        self._checkpoint("anchored")

    def _abstain(
        self,
        definition: DefinitionHash,
        window: Window,
        reason: AbstainReason,
        refused: tuple[Window, BudgetExhausted] | None = None,
    ) -> ParsedEntry | None:
        with self._database.transaction() as connection:
            return self._abstain_in(connection, definition, window, reason, refused)

    def _abstain_in(
        self,
        connection: sqlite3.Connection,
        definition: DefinitionHash,
        window: Window,
        reason: AbstainReason,
        refused: tuple[Window, BudgetExhausted] | None = None,
    ) -> ParsedEntry | None:
        if self._slots.is_answered(connection, definition, window.text):
            return None
        self._ledger.give_back(connection, definition, window.text)
        if refused is not None:
            self._ledger.record_refusal(connection, definition, window.text, *refused)
        said = self._slots.abstention_in(connection, definition, window.text)
        if said is not None:  # the log abstains there already, and a second abstention would be void
            self._slots.record_abstain(connection, definition, window.text, "recovered", EntryId(said))
            return None
        entry = self._sign(ABSTAIN, AbstainData(definition, window.text, reason).encode(), None)
        self._slots.record_abstain(connection, definition, window.text, reason, entry.id)
        self._logs.write_down(connection, entry)
        return entry

    def _sign_release(self, release: Release, balance: Balance, epoch: Window) -> tuple[ParsedEntry, ReleaseId]:
        """The entry of a release. A `Release` is the only thing this takes (I1)."""
        about: dict[str, Any] = {  # of one shape in both versions
            "definition": DefinitionHash(release.slot.definition_hash),
            "window": release.slot.window.text,
            "node": self._identity.node,
            "unit": release.unit,
            "blocks": [
                BlockData(block.cells, block.mechanism, block.quantum, block.sigma_squared) for block in release.blocks
            ],
            "charges": [WireCharge(*charge) for charge in release.charges],
            "total": [WireCharge(epoch.text, balance.rho_nano, balance.delta_atto)],
            "sampling": release.sampling,
            "cells": release.cells,
        }
        data: SummaryData
        cells: bytes | None
        if release.keys is None:
            data, cells = build_summary(**about)
        else:
            data, cells = build_keyed_summary(**about, keys=release.keys)
        return self._sign(SUMMARY, data.encode(), cells), data.release

    def _sign(
        self,
        kind: str,
        data: bytes,
        cells: bytes | None,
        *,
        following: SigningKey | None = None,
        is_held_back: bool = True,
    ) -> ParsedEntry:
        """The next entry of the own log; called inside a transaction, so the head cannot move.

        Raises:
            StorageError: an own entry came from elsewhere meanwhile; what would be signed could be a second one.
        """
        if is_held_back and not self._may_sign():
            raise StorageError(
                code="signing_stopped",
                what="Nothing is signed",
                why="peers hold entries of this node that it did not write itself",
                fix='See "murmur mesh doctor"',
            )
        identity = self._identity
        head = self._logs.pen(identity.node)
        generation, seq, prev = (
            (0, 0, log_start(identity.federation)) if head is None else (head[0].generation, head[0].seq + 1, head[1])
        )
        return self._entry(identity.signing_key, generation, seq, prev, kind, data, cells, following)

    def _entry(
        self,
        key: SigningKey,
        generation: int,
        seq: int,
        prev: EntryId,
        kind: str,
        data: bytes,
        cells: bytes | None = None,
        following: SigningKey | None = None,
    ) -> ParsedEntry:
        entry: Entry = build_entry(
            key,
            federation=self._identity.federation,
            author=self._identity.node,
            generation=generation,
            seq=seq,
            prev=prev,
            charter_version=self._charter_version,
            at=self._tick(),
            kind=kind,
            data=data,
            cells=cells,
            next_key=following,
        )
        return ParsedEntry(entry.id, parse_header(entry.header), entry)

    def _tick(self) -> int:
        """The last tick, in Unix seconds: the moment a release was ready would tell how long it took (PRIVACY 6)."""
        now_s = self._clock.now_ms() // 1000
        return now_s - now_s % self._tick_s


class _NoEpoch(Exception):
    """The window's epoch has no record: its keys were never made, so nothing of it can be released."""
