"""A running node: its parts, and what the operator plane asks of it. `node/app.py` wires it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from federation.effects import Change
from federation.peers import PeerStatus
from node.clock import Clock, hour_of_ms
from node.commons_db.projection import Projection
from node.commons_db.researcher import Researcher
from node.config import NodeConfig
from node.custody import Custody
from node.errors import StorageError
from node.ingest import Ingest, IntakePlan
from node.jobs.caps import caps_of
from node.jobs.clock_guard import ClockGuard
from node.jobs.facts import Facts
from node.jobs.ledger_document import ledger_document
from node.jobs.publishing import Publisher
from node.jobs.releases import StandingMetric
from node.jobs.workshop import Workshop
from node.key_turns import KeyTurns
from node.live import Live
from node.live_commons import LiveCommons
from node.membership import Membership
from node.mesh.driver import MeshDriver
from node.mesh.own_log import OwnLog
from node.plan_file import check_person_kinds, load_plan
from node.recent import Recent
from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.plans import PlanBook
from node.state.slots import SlotStore
from node.state.tokens import Token, TokenBook
from node.vault.vault import Vault
from privacy.plan_changes import alters_stored_form, changes_between
from privacy.tracking_plan import Plan
from privacy.units import Window, epoch_of, hour_of
from protocol.entries import ParsedEntry
from protocol.keys import SigningKey

log = structlog.get_logger()

VERSION: Final = "0.1.0"
HAND_OVER_S: Final = 30.0  # the loop takes an entry at once, unless the node is ending


class Node:
    """A running node: its parts, and what the operator plane asks of it."""

    def __init__(self, config: NodeConfig, clock: Clock, membership: Membership, stopped: asyncio.Event) -> None:
        self.config = config
        self.clock = clock
        self.membership = membership
        self.failure: BaseException | None = None
        self.recent = Recent()
        self._stopped = stopped
        self._settling: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        # Set by `_start` in this order; each needs the ones before it.
        self.database: StateDatabase
        self.tokens: TokenBook
        self.logs: LogStore
        self.ledger: LedgerStore
        self.vault: Vault
        self.plan: Plan
        self.plans: PlanBook
        self.plan_number: int
        self.standing: list[StandingMetric]
        self.facts: Facts
        self.workshop: Workshop
        self.publisher: Publisher
        self.guard: ClockGuard
        self.custody: Custody
        self.mesh: MeshDriver
        self.own_log: OwnLog
        self.turns: KeyTurns
        self.ingest: Ingest
        self.commons: LiveCommons
        self.projection: Projection
        self.researcher: Researcher
        self.live: Live
        self.socket: Path

    # -- ends

    def fail(self, error: BaseException) -> None:
        """End the process: it no longer knows what is on disk. May be called from any thread."""
        if self.failure is None:
            self.failure = error
            log.error("node.failed", code=getattr(error, "code", "internal"), error=type(error).__name__)
        self._loop.call_soon_threadsafe(self._stopped.set)

    def holds_back(self) -> str | None:
        """Why nothing may be signed now, in words; None when it may."""
        held = self.own_log.holds_back()
        if held is not None:
            return held
        expires = self.membership.charter.expires
        if self.clock.now_ms() // 1000 >= expires:
            return f"the charter expired on {datetime.fromtimestamp(expires, UTC):%Y-%m-%d}; renew it"
        return None

    def peer_skews(self) -> dict[bytes, int]:
        """How far each peer's clock was from this node's when last seen, in ms."""
        if not hasattr(self, "mesh"):  # before the mesh is there, nobody was heard
            return {}
        return {peer.node: peer.skew_ms for peer in self.mesh.core.peers() if peer.skew_ms is not None}

    def committed(self, entries: Sequence[ParsedEntry]) -> None:
        """Hand entries that are on disk, anchor included, to the mesh. Called from the release worker's thread."""
        self._loop.call_soon_threadsafe(self.mesh.own_entries, tuple(entries))

    def progressed(self) -> None:
        """Something was exchanged with a peer: perhaps all that signing waited for. In the event loop."""
        self.own_log.note_progress()
        if self.own_log.can_settle and self._settling is None:
            self._settling = self._loop.create_task(asyncio.to_thread(self._settle))

    def _settle(self) -> None:
        """Begin to sign as soon as that may be, not only at the next tick."""
        try:
            with self.turns.lock:
                self.own_log.settle()
        except StorageError as error:
            log.error("own_log.failed", code=error.code)
            if error.fatal:
                self.fail(error)
        finally:
            self._settling = None

    def hand_over(self, entry: ParsedEntry, key: SigningKey) -> None:
        """Give a committed rotate or recover to the mesh and wait until it has it; from another thread."""
        taken = threading.Event()

        def take() -> None:
            self.mesh.own_entries([entry], key)
            taken.set()

        self._loop.call_soon_threadsafe(take)
        taken.wait(HAND_OVER_S)

    def judged(self, changes: Sequence[Change]) -> None:
        """Verdicts changed: the commons follows, and whoever listens is told."""
        self.projection.on_judged(changes)
        self.live.on_judged(changes)

    # -- the operator plane

    def readiness(self) -> dict[str, Any]:
        listen = self.config.listen
        scheme = "https" if listen.has_tls else "http"
        return {
            "event": "ready",
            "name": self.config.name,
            "node": self.membership.node.hex(),
            "public": f"{scheme}://{listen.public}",
            "mesh": f"{scheme}://{listen.mesh}",
            "research": f"{scheme}://{listen.research}",
            "socket": str(self.socket),
            "pid": os.getpid(),
        }

    def status(self) -> dict[str, Any]:
        """What `murmur status` shows. Exact figures: for the operator's eyes only."""
        slots = SlotStore(self.database)
        in_step = sum(peer.in_step for peer in self.mesh.core.peers())
        return {
            "name": self.config.name,
            "version": VERSION,
            "node": self.membership.node.hex(),
            "federation": {
                "name": self.membership.charter.name,
                "id": self.membership.federation.hex(),
                "charter_version": self.membership.charter.version,
                "members": len(self.membership.charter.members),
            },
            "releases": {
                "answered_slots": len(slots.answered()),
                "closed_windows": len(self.vault.closed_windows()),
                "held_back": self.holds_back(),
                "clock": self.guard.doubt,
            },
            "mesh": {
                "entries": self.mesh.core.logs.count,
                "peers_in_step": in_step,
                "heads_digest": self.mesh.core.logs.digest.hex(),
                "position": self.mesh.core.logs.heads()[self._own_place()].seq,
            },
            "peers": [self._peer(status) for status in self.mesh.core.peers()],
            "budget": {
                epoch: f"{charge.rho_nano} of {self._cap_text(epoch)} nano-rho"
                for epoch, charge in list(slots.charges_by_epoch().items())[-7:]
            },
            "pid": os.getpid(),
        }

    def budget(self) -> dict[str, Any]:
        """What `murmur budget` shows of this node's ledger, in units of 10⁻⁹ (rho) and 10⁻¹⁸ (delta)."""
        return ledger_document(
            self.ledger,
            self.standing,
            self.vault.epoch_record,
            cap_of=lambda epoch: cap_of_epoch(self, epoch),
            plans={self.plan_number: self.plan},
            counts_from=self.membership.member.counts_from,
            now=epoch_of(self.config.epoch, int(self.clock.now_ms() // 3_600_000)),
        )

    def mesh_bytes(self) -> dict[str, Any]:
        return self.mesh.counters.snapshot()

    def finish_backfill(self, through: date) -> dict[str, Any]:
        day = Window("day", hour_of(datetime(through.year, through.month, through.day, tzinfo=UTC)))
        finished = self.vault.finish_backfill(day, self.clock.now_ms() / 1000)
        return {"finished_epochs": [epoch.text for epoch in finished]}

    def create_token(self, kind: str, scopes: list[str], label: str, origins: Sequence[str] = ()) -> tuple[str, Token]:
        return self.tokens.create(
            kind, scopes, label, origins=origins, now_s=self.clock.now_ms() // 1000, rng=os.urandom
        )

    def apply_plan(self) -> dict[str, Any]:
        """Read the plan's file again. It is in force at once, or, where it alters a stored form, from the next epoch.

        Raises:
            ConfigError, PrivacyError: the file holds no plan for this node; the plan in force stays.
        """
        plan = load_plan(self.config.plan)
        check_person_kinds(plan, self.config.epoch)
        changes = changes_between(self.plan, plan)
        listed = [{"kind": change.kind, "where": change.where, "words": change.words} for change in changes]
        if alters_stored_form(changes):
            now_ms = self.clock.now_ms()
            begins = epoch_of(self.config.epoch, hour_of_ms(now_ms)).next
            self._loop.call_later(begins.start_hour * 3600 - now_ms / 1000, self._adopt, plan)
            return {"changes": listed, "begins": begins.text}
        self._adopt(plan)
        return {"changes": listed, "begins": "at once"}

    def _adopt(self, plan: Plan) -> None:
        """Take events by this plan from now on."""
        try:
            self.plan_number = self.plans.adopt(plan, now_s=self.clock.now_ms() // 1000)
        except StorageError as error:
            self.fail(error)
            return
        self.plan = plan
        self.ingest.plan = IntakePlan(plan, self.plan_number)
        log.info("plan.adopted", number=self.plan_number)

    def revoke_token(self, token_id: str) -> Token:
        return self.tokens.revoke(token_id, now_s=self.clock.now_ms() // 1000)

    def is_ready(self) -> tuple[bool, dict[str, str]]:
        """Whether the node does all its work, and what it does not, in words without counts."""
        reasons = {"ingest": "stopped" if self.failure is not None else self.ingest.trouble or "ok", "mesh": "ok"}
        held = self.holds_back()
        reasons["releases"] = held or self.guard.doubt or "ok"
        is_ready = all(reason == "ok" for reason in reasons.values())
        reasons["commons"] = {"current": "ok"}.get(self.projection.state, self.projection.state)  # follows by itself
        return is_ready, reasons

    def _peer(self, status: PeerStatus) -> dict[str, Any]:
        member = self.membership.charter.member(status.node)
        refused = status.refused
        return {
            "name": "?" if member is None else member.name,
            "in_step": status.in_step,
            "missing_here": status.missing_here,
            "skew_ms": status.skew_ms,
            "last_failure": status.last_failure,
            "refused": None if refused is None else f"{refused.what}: {refused.code}",
        }

    def _own_place(self) -> int:
        return list(self.membership.authors).index(self.membership.node)

    def _cap_text(self, epoch: str) -> str:
        record = self.vault.epoch_record(Window.parse(epoch))
        return "?" if record is None else str(record.cap_rho_nano)


def cap_of_epoch(node: Node, epoch: Window) -> tuple[int, int]:
    """What this node may charge an epoch: (rho in 1e-9, delta in 1e-18)."""
    membership = node.membership
    return caps_of(membership.charter, membership.member, node.config.budget_cap, epoch)
