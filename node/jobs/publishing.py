"""Publishing, the only path from stored rows to the mesh (PRIVACY 5).

    outside   compile, draw the noise, bound
    inside    BEGIN IMMEDIATE · refuse if the slot is answered · check the caps · add the noise · read the head ·
              sign · insert charge, slot, entry · COMMIT
    after     the anchor, fsynced · hand to the mesh

A crash before COMMIT: nothing happened, the noise is gone and fresh noise is drawn for a slot that was never signed.
After it: the entry is in the log and reaches the peers by push or by sync, the same bytes for ever.

One writer: only the release worker publishes. `checkpoint` is called by name before each step, for tests that kill the
process there; it does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

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
from privacy.errors import BudgetExhausted
from privacy.exact_sampling import Rng
from privacy.layout import compile_layout
from privacy.ledger import Balance, Charge
from privacy.person_unit import sampling_of, unit_of
from privacy.release import ExactVector, GeometricSource, Release, Slot, draw_noise, make_release
from privacy.tracking_plan import Plan
from privacy.units import EpochLength, Window, epoch_of
from protocol.entries import ABSTAIN, RECOVER, ROTATE, SUMMARY, Entry, ParsedEntry, build_entry, parse_header
from protocol.ids import DefinitionHash, EntryId, FederationId, NodeId, ReleaseId
from protocol.keys import SigningKey
from protocol.kind_data import AbstainData, RecoverData, RotateData, log_start
from protocol.summaries import BlockData, build_summary
from protocol.summaries import Charge as WireCharge

SALT_BYTES = 32

log = structlog.get_logger()


class WindowRows(Protocol):
    """The rows of one window, opened for bounding."""

    def vector(self, binding: Binding, salt: bytes) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: this node within its federation. `charter_version` is that of the trusted charter."""

    node: NodeId
    federation: FederationId
    signing_key: SigningKey
    charter_version: int


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

    def answer(
        self,
        definition_hash: DefinitionHash,
        definition: Definition,
        window: Window,
        plans: Mapping[int, Plan],
        rows: WindowRows | None,
    ) -> ParsedEntry | None:
        """Release the slot, or abstain; None when it was answered before.

        Args:
            plans: Every plan that rows of the window may be coded by.
            rows: The window's rows; None when the epoch's keys are gone.

        Raises:
            StorageError: nothing was released or charged; with `fatal`, the process must end.
            PrivacyError: no noise, or a fault of the engine; nothing was released or charged.
        """
        reason: AbstainReason | None = abstain_for_epoch(window, self._epoch_length)
        if reason is not None:
            return self._abstain(definition_hash, window, reason)
        layout = compile_layout(definition, window)
        bound = bind(definition, layout, plans)
        if isinstance(bound, str):
            return self._abstain(definition_hash, window, bound)
        sampling = sampling_of(definition, plans)
        if isinstance(sampling, str):
            return self._abstain(definition_hash, window, sampling)
        if rows is None:
            return self._abstain(definition_hash, window, "epoch_closed")
        self._checkpoint("draw")
        noise = draw_noise(layout, self._rng, self._geometric)
        self._checkpoint("bound")
        vector = ExactVector(rows.vector(bound, self._rng(SALT_BYTES)))
        layout.check_vector(vector)
        epoch = epoch_of(self._epoch_length, window.start_hour)
        cost = Charge.of(layout.rho)
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
                release = make_release(
                    slot,
                    layout,
                    noise,
                    vector,
                    ((epoch.text, cost.rho_nano, cost.delta_atto),),
                    unit_of(definition, plans),
                    sampling,
                )
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

    def publish_other(self, kind: str, data: bytes) -> ParsedEntry:
        """Append an entry that releases nothing: the inception, an endpoint."""
        with self._database.transaction() as connection:
            entry = self._sign(kind, data, None)
            self._logs.write_down(connection, entry)
        return entry

    def abstain(self, definition: DefinitionHash, window: Window, reason: AbstainReason) -> ParsedEntry | None:
        """Say that the slot is never released here, and why; None when it was answered before."""
        return self._abstain(definition, window, reason)

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

    def recover(
        self, root: SigningKey, fresh: SigningKey, next_digest: bytes, good: ParsedEntry, generation: int
    ) -> ParsedEntry:
        """Append a recovery on the entry `good`, signed by the root key: everything that followed it is void."""
        data = RecoverData(fresh.public_key, next_digest).encode()
        with self._database.transaction() as connection:
            entry = self._entry(root, generation, good.header.seq + 1, good.id, RECOVER, data)
            self._logs.write_down(connection, entry)
        self.use_key(fresh)
        return entry

    def ask_before_signing(self, may_sign: Callable[[], bool]) -> None:
        """Ask inside each transaction, before an entry is signed, whether that may be."""
        self._may_sign = may_sign

    def use_key(self, key: SigningKey) -> None:
        """Sign with this key from now on."""
        self._identity = replace(self._identity, signing_key=key)

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
            if self._slots.is_answered(connection, definition, window.text):
                return None
            entry = self._sign(ABSTAIN, AbstainData(definition, window.text, reason).encode(), None)
            self._slots.record_abstain(connection, definition, window.text, reason, entry.id)
            self._ledger.give_back(connection, definition, window.text)
            if refused is not None:
                self._ledger.record_refusal(connection, definition, window.text, *refused)
            self._logs.write_down(connection, entry)
        return entry

    def _sign_release(self, release: Release, balance: Balance, epoch: Window) -> tuple[ParsedEntry, ReleaseId]:
        """The entry of a release. A `Release` is the only thing this takes (I1)."""
        data, cells = build_summary(
            definition=DefinitionHash(release.slot.definition_hash),
            window=release.slot.window.text,
            node=self._identity.node,
            unit=release.unit,
            blocks=[
                BlockData(block.cells, block.mechanism, block.quantum, block.sigma_squared) for block in release.blocks
            ],
            charges=[WireCharge(*charge) for charge in release.charges],
            total=[WireCharge(epoch.text, balance.rho_nano, balance.delta_atto)],
            sampling=release.sampling,
            cells=release.cells,
        )
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
            charter_version=self._identity.charter_version,
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
