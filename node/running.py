"""A running node: its parts, and what the operator plane asks of it. `node/app.py` wires it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from federation.effects import Change, JoinAsked
from federation.peers import PeerStatus
from node.audit import Audit
from node.backup_content import BackupMaker
from node.clock import Clock, hour_of_ms
from node.commons_db.projection import Projection
from node.commons_db.researcher import Researcher
from node.config import NodeConfig
from node.custody import Custody
from node.errors import RejectedInput, StorageError
from node.governing import Governing
from node.http.workers import Workers
from node.in_force import InForce
from node.ingest import Ingest
from node.jobs.attesting import Attesting
from node.jobs.caps import caps_of
from node.jobs.choosing import Choices
from node.jobs.clock_guard import ClockGuard
from node.jobs.facts import Facts
from node.jobs.ledger_document import ledger_document
from node.jobs.mending import Mending
from node.jobs.naming import Names
from node.jobs.outbox import Outbox
from node.jobs.publishing import Publisher
from node.jobs.releases import StandingMetric
from node.jobs.scheduler import ReleaseWorker
from node.jobs.workshop import Workshop
from node.key_turns import KeyTurns
from node.key_watch import KeyWatch
from node.live import Live
from node.live_commons import LiveCommons
from node.membership import Membership
from node.mesh.driver import MeshDriver
from node.mesh.own_log import OwnLog
from node.plan_file import check_person_kinds, load_plan
from node.plan_in_force import PlanInForce
from node.recent import Recent
from node.shared_tokens import SharedTokens
from node.state.charters import CharterStore
from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.plans import PlanBook
from node.state.slots import SlotStore
from node.state.tokens import Token, TokenBook
from node.vault.vault import Vault
from privacy.tracking_plan import Plan
from privacy.units import Window, epoch_of, hour_of
from protocol.entries import ParsedEntry
from protocol.ids import NodeId
from protocol.keys import SigningKey

log = structlog.get_logger()

VERSION: Final = "0.1.0"
HAND_OVER_S: Final = 30.0  # the loop takes an entry at once, unless the node is ending


class Node:
    """A running node: its parts, and what the operator plane asks of it."""

    def __init__(self, config: NodeConfig, clock: Clock, founding: Membership, stopped: asyncio.Event) -> None:
        self.config = config
        self.clock = clock
        self.founding = founding
        self.failure: BaseException | None = None
        self.recent = Recent()
        self._stopped = stopped
        self._settling: asyncio.Task[None] | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        # Set by `_start` in this order; each needs the ones before it.
        self.database: StateDatabase
        self.audit: Audit
        self.tokens: TokenBook
        self.logs: LogStore
        self.ledger: LedgerStore
        self.vault: Vault
        self.plans: PlanBook
        self.plans_now: PlanInForce
        self.charters: CharterStore
        self.in_force: InForce
        self.governing: Governing
        self.facts: Facts
        self.workshop: Workshop
        self.choices: Choices
        self.names: Names
        self.publisher: Publisher
        self.guard: ClockGuard
        self.custody: Custody
        self.mesh: MeshDriver
        self.outbox: Outbox
        self.own_log: OwnLog
        self.turns: KeyTurns
        self.key_watch: KeyWatch
        self.backups: BackupMaker
        self.shared_tokens: SharedTokens
        self.attesting: Attesting
        self.mending: Mending
        self.ingest: Ingest
        self.worker: ReleaseWorker
        self.commons: LiveCommons
        self.projection: Projection
        self.researcher: Researcher
        self.live: Live
        self.workers: Workers | None = None
        self.socket: Path

    @property
    def membership(self) -> Membership:
        """This node's place under the charter in force."""
        return self.in_force.membership if hasattr(self, "in_force") else self.founding

    @property
    def standing(self) -> list[StandingMetric]:
        """The catalogue of the charter in force."""
        return self.in_force.standing

    def inception_of(self, node: NodeId) -> bytes | None:
        """A member's signed birth record: a founder's from the bundle, a later one's from its log."""
        founder = self.founding.inceptions.get(node)
        if founder is not None:
            return founder
        first = next(iter(self.logs.replay(node)), None)
        return None if first is None else first.entry.data

    def key_since(self, node: NodeId) -> int | None:
        """The claimed time, Unix seconds, of the entry that brought a member's signing key in force."""
        log = self.mesh.core.logs.log(node)
        brought = None if log is None else next(iter(log.links[-1:] or log.ids[:1]), None)
        entry = None if brought is None else self.logs.read(brought)
        return None if entry is None else entry.header.at

    def publish(self, said: Sequence[tuple[str, bytes]], *, can_wait: bool = False) -> None:
        """Write entries (kind, data) into the own log and send them; from a thread.

        `can_wait`: others brought this about. It must not take releases with it that wait for their tick, as whoever
        asked would learn that they are ready: then it is refused, and tried again at the tick.

        Raises:
            RejectedInput: the node does not know its own log well enough to sign.
        """
        with self.turns.lock:
            self.own_log.settle()
            held = self.own_log.holds_back() or self.in_force.silence() or self._readmitted()
            if can_wait and self.outbox.held:
                held = held or "releases wait for their tick, and nothing leaves before them"
            if held is not None:
                raise RejectedInput(code="held_back", what="Nothing was said", why=held,
                                    fix="Wait until the node signs again")  # fmt: skip
            for kind, data in said:
                self.outbox.hold([self.publisher.publish_other(kind, data)])
            self.outbox.send()

    def join_asked(self, asked: JoinAsked) -> None:
        """Somebody asks to be admitted, or approved the charter that would admit it. In the event loop."""
        self.governing.note_join(asked)
        self.carry_soon()

    def call_soon(self, do: Callable[[], None]) -> None:
        """Have something done in the event loop; from any thread."""
        self._loop.call_soon_threadsafe(do)

    def carry_soon(self) -> None:
        """Say what is known of charters and stands in no log yet; tried at every tick. In the event loop."""
        if self._carrying is None and self.governing.unsaid():
            self._carrying = self._loop.create_task(self._carry())

    async def _carry(self) -> None:
        try:
            await asyncio.to_thread(self.publish, self.governing.unsaid(), can_wait=True)
        except RejectedInput as error:
            log.info("governing.waits", why=error.why)
        except StorageError as error:
            self.fail(error)
        finally:
            self._carrying = None

    def charter_changed(self) -> None:
        """Another charter is trusted, or a definition came: everything goes by it from now on. In the event loop."""
        core = self.mesh.core
        before = self.in_force.chain.tip.hash
        self.in_force.follow(core.rules.chain, self.logs.definitions())
        self.publisher.use_charter(core.rules.charter.version)
        self.vault.set_window_kinds({metric.definition.window for metric in self.standing})
        self.projection.follow_charter()
        if before != core.rules.stamp.hash:
            self.charters.forget_proposals(core.rules.charter.version)
            self.carry_soon()
            self.audit.record("mesh", "charter.trusted", str(core.rules.charter.version))

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
        silent = self.in_force.silence() or self._readmitted()
        if silent is not None:
            return silent
        expires = self.membership.charter.expires
        if self.clock.now_ms() // 1000 >= expires:
            return f"the charter expired on {datetime.fromtimestamp(expires, UTC):%Y-%m-%d}; renew it"
        return None

    def _readmitted(self) -> str | None:
        """Why a node that was removed and taken back says nothing yet: its log goes on from the cut by a recovery."""
        own = self.mesh.core.logs.log(self.membership.node)
        if own is None or not own.is_cut:
            return None
        return (
            "a charter removed this node and a later one took it back; "
            f"begin again from its cut: murmur keys recover --from {own.height - 1} --root-key FILE"
        )

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

    async def signing_ended(self) -> None:
        """Return once no thread signs or carries anything any more; the mesh is stopped, and begins nothing new."""
        while under_way := [task for task in (self._settling, self._carrying) if task is not None]:
            await asyncio.wait(under_way)

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

    @property
    def plan(self) -> Plan:
        """The tracking plan in force now."""
        return self.plans_now.plan

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
        slots, waiting = SlotStore(self.database), self.plans_now.waiting
        age = self.key_watch.age()
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
                "charter_ends": f"{datetime.fromtimestamp(self.membership.charter.expires, UTC):%Y-%m-%d}",
                "notices": self.governing.notices(),
            },
            "releases": {
                "answered_slots": len(slots.answered()),
                "closed_windows": len(self.vault.closed_windows()),
                "held_back": self.holds_back(),
                "clock": self.guard.doubt,
            },
            "plan": {
                "number": self.plans_now.number,
                "another_begins_with": None if waiting is None else waiting.text,
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
            "keys": {"signing": "the own log is not known yet" if age is None else age.words},
            "pid": os.getpid(),
            **({} if self.workers is None else {"workers": self.workers.state()}),
        }

    def budget(self) -> dict[str, Any]:
        """What `murmur budget` shows of this node's ledger, in units of 10⁻⁹ (rho) and 10⁻¹⁸ (delta)."""
        now = epoch_of(self.config.epoch, hour_of_ms(self.clock.now_ms()))
        return ledger_document(
            self.ledger,
            self.standing,
            self.vault.epoch_record,
            cap_of=lambda epoch: cap_of_epoch(self, epoch),
            plans=self.plans_now.at_hour(now.next.start_hour),
            counts_from=self.membership.member.counts_from,
            now=now,
        )

    def mesh_bytes(self) -> dict[str, Any]:
        return self.mesh.counters.snapshot()

    def finish_backfill(self, through: date) -> dict[str, Any]:
        day = Window("day", hour_of(datetime(through.year, through.month, through.day, tzinfo=UTC)))
        finished = self.vault.finish_backfill(day, self.clock.now_ms() / 1000)
        return {"finished_epochs": [epoch.text for epoch in finished]}

    def create_token(
        self,
        kind: str,
        scopes: list[str],
        label: str,
        origins: Sequence[str] = (),
        life_s: int | None = None,
        *,
        is_dry_run: bool = False,
    ) -> tuple[str, Token]:
        now_s = self.clock.now_ms() // 1000
        return self.tokens.create(
            kind, scopes, label, origins=origins, life_s=life_s, now_s=now_s, rng=os.urandom, is_dry_run=is_dry_run
        )

    def apply_plan(self, *, is_dry_run: bool = False) -> dict[str, Any]:
        """Read the plan's file again. It is in force at once, or, where it alters a stored form, from the next epoch.

        Raises:
            ConfigError, PrivacyError: the file holds no plan for this node; the plan in force stays.
        """
        plan = load_plan(self.config.plan)
        check_person_kinds(plan, self.config.epoch)
        try:
            taken = self.plans_now.take(plan, is_dry_run=is_dry_run)
        except StorageError as error:
            if error.fatal:
                self.fail(error)
            raise
        begins = taken.begins
        if not is_dry_run:
            log.info("plan.taken", begins="at once" if begins is None else begins.text)
        return {
            "changes": [
                {"kind": change.kind, "where": change.where, "words": change.words} for change in taken.changes
            ],
            "begins": "at once" if begins is None else begins.text,
            "took_back": None if taken.took_back is None else taken.took_back.text,
        }

    def revoke_token(self, token_id: str) -> Token:
        return self.tokens.revoke(token_id, now_s=self.clock.now_ms() // 1000)

    def is_ready(self) -> tuple[bool, dict[str, str]]:
        """Whether the node does all its work, and what it does not, in words without counts."""
        reasons = {"ingest": "stopped" if self.failure is not None else self.ingest.trouble or "ok", "mesh": "ok"}
        held = self.holds_back()
        reasons["releases"] = self.worker.trouble or held or self.guard.doubt or "ok"
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
        return self.mesh.core.rules.authors.index(self.membership.node)

    def _cap_text(self, epoch: str) -> str:
        record = self.vault.epoch_record(Window.parse(epoch))
        return "?" if record is None else str(record.cap_rho_nano)


def cap_of_epoch(node: Node, epoch: Window) -> tuple[int, int]:
    """What this node may charge an epoch: (rho in 1e-9, delta in 1e-18)."""
    membership = node.membership
    caps = node.in_force.chain.caps_at(epoch.start_hour)
    return caps_of(membership.charter, membership.member, node.config.budget_cap, epoch, caps)
