"""The one wiring function: a configuration becomes a running node (STYLE 1).

Order of the start: configuration, lock, keys, charter, state, vault, core, listeners, readiness line, then release
ticks and sync. What cannot work is refused before anything listens; what was opened is closed in reverse order.

Order of the end (SIGTERM, Ctrl-C): no new requests, the group in flight is sealed and acknowledged, the slot in hand
is finished, what is committed is pushed, segments get their footers, the state is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from federation.core import Core
from federation.effects import Change
from federation.peers import PeerStatus
from federation.query import MetricRow
from federation.settings import Settings
from node.anchor import EMPTY_LOG, load_anchor
from node.clock import Clock, SystemClock, boot_of, hour_of_ms
from node.commons_db.projection import Projection, Sources
from node.commons_db.researcher import Researcher
from node.config import Address, NodeConfig, load_config
from node.custody import Custody
from node.dashboard import Dashboard
from node.datalock import DataLock
from node.errors import ConfigError, StorageError
from node.http.access import RateLimiter, ReadGate, read_gate
from node.http.admin import admin_gate, make_admin_app
from node.http.client_js import client_routes
from node.http.custody import admin_custody_routes, person_routes
from node.http.docs import docs_routes
from node.http.envelope import Envelope
from node.http.events import EventsEndpoint
from node.http.health import health_routes
from node.http.keys import key_routes
from node.http.keys_admin import key_turn_routes
from node.http.live import LiveEndpoint
from node.http.mesh_admin import MeshView, mesh_view_routes
from node.http.origin import Origins, open_country_database
from node.http.privacy_page import Disclosed, privacy_routes
from node.http.releases import ReleasesEndpoint
from node.http.research import ResearchEndpoint
from node.http.sites import Sites, admin_socket_path
from node.http.sql import SqlEndpoint
from node.ingest import Ingest, IntakePlan
from node.jobs.caps import caps_of
from node.jobs.clock_guard import ClockGuard
from node.jobs.facts import Facts
from node.jobs.ledger_document import ledger_document
from node.jobs.publishing import Identity, Publisher
from node.jobs.releases import ReleaseRound, StandingMetric
from node.jobs.reserving import reserver
from node.jobs.scheduler import ReleaseWorker
from node.jobs.workshop import Workshop
from node.key_turns import KeyTurns
from node.live import Live
from node.live_commons import LiveCommons
from node.logs import configure_logs
from node.membership import Membership, load_membership
from node.mesh.driver import MeshDriver
from node.mesh.own_log import OwnLog, Parts
from node.mesh.server import mesh_routes
from node.mesh.tls import pin_of_file, self_signed, server_context
from node.mesh.transport import MeshTransport
from node.recent import Recent
from node.signing_keys import SigningKeys
from node.state.database import StateDatabase
from node.state.epochs import EpochRecord, load_epochs, open_span
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.plans import PlanBook
from node.state.slots import SlotStore
from node.state.tokens import Token, TokenBook
from node.vault.disk import Disk
from node.vault.master_key import MasterKey
from node.vault.vault import Vault
from node.yaml import load_strings
from privacy.ledger import Balance
from privacy.plan_changes import alters_stored_form, changes_between
from privacy.tracking_plan import Plan, parse_plan
from privacy.units import Window, epoch_of, hour_of
from protocol.endpoints import Endpoint
from protocol.entries import ENDPOINT, INCEPTION, ParsedEntry
from protocol.keys import SigningKey
from protocol.kind_data import EndpointData

log = structlog.get_logger()

THREAD_TURN_S: Final = 0.0005  # the loop waits no longer for the filter's thread; 5 ms, Python's own, is felt
MAX_PLAN_CHARS: Final = 1 << 20
VERSION: Final = "0.1.0"
HAND_OVER_S: Final = 30.0  # the loop takes an entry at once, unless the node is ending


def run(config_path: Path) -> int:
    """Run a node until it is told to stop. Returns the process's exit code: 0, or 1 after a fatal error.

    Raises:
        ConfigError, StorageError, ProtocolError: the node could not start; nothing is left running.
    """
    import uvloop

    sys.setswitchinterval(THREAD_TURN_S)
    config = load_config(config_path)
    configure_logs(config.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: NodeConfig) -> int:
    stopped = asyncio.Event()
    async with running_node(config, stopped) as node:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        print("ready " + json.dumps(node.readiness()), flush=True)  # noqa: T201 - the readiness line is the interface
        await stopped.wait()
        log.info("node.stopping")
    log.info("node.stopped")
    return 0 if node.failure is None else 1


@asynccontextmanager
async def running_node(
    config: NodeConfig, stopped: asyncio.Event, *, clock: Clock | None = None, disk: Disk | None = None
) -> AsyncIterator[Node]:
    """A node that answers, from here to the end of the block. `stopped` is set when it must end by itself."""
    async with AsyncExitStack() as stack:
        node = await _start(config, stopped, clock or SystemClock(), disk or Disk(), stack)
        yield node


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
            cap_of=lambda epoch: _cap_of(self, epoch),
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


@dataclass(frozen=True, slots=True)
class _Keys:
    signing: SigningKeys
    master: MasterKey


async def _start(config: NodeConfig, stopped: asyncio.Event, clock: Clock, disk: Disk, stack: AsyncExitStack) -> Node:
    """Everything in its order; what is opened is pushed on the stack."""
    lock = DataLock(config.data)
    stack.callback(lock.release)
    plan = load_plan(config.plan)
    check_person_kinds(plan, config.epoch)
    keys = _Keys(
        SigningKeys(config.data / "keys"),
        MasterKey(config.data / "keys", disk),
    )
    membership = load_membership(config.data, keys.signing.in_place())
    node = Node(config, clock, membership, stopped)
    now_s = clock.now_ms() // 1000

    node.database = StateDatabase(config.data / "state.db")
    stack.callback(node.database.close)
    node.tokens = TokenBook(node.database)
    node.logs = LogStore(node.database)
    plans = PlanBook(node.database)
    plan_number = plans.adopt(plan, now_s=now_s)
    standing = _standing_metrics(membership)

    node.ledger = LedgerStore(node.database)
    _reconcile_ledger(node)
    node.plan, node.plan_number, node.standing = plan, plan_number, standing
    node.plans = plans
    reserve = reserver(node.ledger, standing, lambda: {plan_number: plan}, membership.member.counts_from)
    node.vault = _open_vault(node, keys, standing, reserve, disk)
    stack.callback(node.vault.close)
    node.vault.recover(now_s)
    if keys.master.retiring is not None:  # a crash stopped its change
        node.vault.upkeep.wrap_again(keys.master.current, keys.master.retiring)
        keys.master.finish()
    node.guard = ClockGuard(clock, node.database, boot=boot_of(clock), skews=node.peer_skews)
    node.custody = Custody(
        vault=node.vault,
        master=keys.master,
        plans=lambda: plans.plans,
        guard=node.guard,
        clock=clock,
        rng=os.urandom,
        on_fatal=node.fail,
    )

    node.facts = Facts()
    node.workshop = Workshop()
    stack.callback(node.workshop.close)
    node.publisher = _make_publisher(node)
    _begin_log(node)

    node.mesh = _make_mesh(node)
    rounds = _make_rounds(node, plans)
    node.own_log = _make_own_log(node, keys.signing, rounds)
    node.publisher.ask_before_signing(lambda: node.own_log.may_sign)
    node.turns = KeyTurns(
        core=node.mesh.core,
        logs=node.logs,
        publisher=node.publisher,
        keys=keys.signing,
        own_log=node.own_log,
        hand_over=node.hand_over,
    )
    node.ingest = Ingest(node.vault, IntakePlan(plan, plan_number), clock, os.urandom, node.fail)
    node.ingest.start()
    stack.push_async_callback(node.ingest.stop)
    definitions = {**membership.definition_bodies, **node.logs.definitions()}
    node.commons = LiveCommons(
        core=node.mesh.core,
        logs=node.logs,
        rows=_metric_rows(standing),
        name=config.name,
        clock=clock,
        definitions=definitions,
    )
    node.projection = Projection(
        config.data / "commons",
        config.data / "state.db",
        Sources(node.mesh.core, node.logs, _metric_rows(standing), definitions),
    )
    node.researcher = Researcher(node.projection)
    names = {bytes(member.node): member.name for member in membership.charter.members}
    node.live = Live(os.urandom(4).hex(), node.logs, _metric_rows(standing), names)
    stack.push_async_callback(node.researcher.close)

    worker = ReleaseWorker(
        tick_s=config.release_tick_s,
        clock=clock,
        work=lambda should_stop: _work(node, rounds, should_stop),
        on_fatal=node.fail,
        idle=node.vault.upkeep.compact,
    )
    stack.push_async_callback(node.mesh.stop)
    stack.push_async_callback(asyncio.to_thread, worker.stop)

    sites = Sites()
    stack.push_async_callback(sites.close)
    stack.callback(node.live.close)
    await sites.open(_routes(node), _tls(config))
    node.socket = admin_socket_path(membership.node)
    await sites.open_admin_socket(_admin_app(node), node.socket)
    if config.listen.admin is not None:
        await sites.open_port(_admin_app(node, admin_gate(node.tokens)), config.listen.admin)
    _write_socket_path(config.data / "socket", node.socket)
    stack.callback(lambda: (config.data / "socket").unlink(missing_ok=True))

    node.mesh.start()
    node.projection.start()
    node.live.start()
    stack.push_async_callback(node.projection.stop)
    worker.start()
    log.info("node.ready", node=membership.node.hex()[:16], charter_version=membership.charter.version)
    return node


def check_person_kinds(plan: Plan, epoch: str) -> None:
    """ConfigError where an app counts by address in epochs longer than a day."""
    named = [app.name for app in plan.apps if app.person_kind == "address"]
    if named and epoch != "day":
        raise ConfigError(
            code="address_needs_day_epochs",
            what=f"The tracking plan is refused at apps.{named[0]}.person",
            why=f"persons by address are counted in day epochs only, and this node has {epoch} epochs",
            fix='Choose "session" or "user", or epoch = "day" for a new node',
        )


def load_plan(path: Path) -> Plan:
    """The tracking plan at `path`.

    Raises:
        ConfigError: it cannot be read, or is not YAML of texts. PrivacyError: it breaks a rule; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            code="plan_unreadable",
            what=f"The tracking plan {path} cannot be read",
            why=getattr(error, "strerror", None) or type(error).__name__,
            fix='Mend "plan" in node.toml, or the file\'s permissions',
        ) from error
    return parse_plan(load_strings(text[: MAX_PLAN_CHARS + 1], str(path)))


def _standing_metrics(membership: Membership) -> list[StandingMetric]:
    """The catalogue in charter order; definitions this version cannot compute were refused at `charter accept`."""
    return [
        StandingMetric(row.name, row.definition, membership.definitions[row.definition], row.from_hour, row.until_hour)
        for row in membership.charter.catalogue
    ]


def _metric_rows(standing: Sequence[StandingMetric]) -> list[MetricRow]:
    return [MetricRow(one.name, one.hash, one.definition, one.from_hour, one.until_hour) for one in standing]


def _cap_of(node: Node, epoch: Window) -> tuple[int, int]:
    """What this node may charge an epoch: (rho in 1e-9, delta in 1e-18)."""
    membership = node.membership
    return caps_of(membership.charter, membership.member, node.config.budget_cap, epoch)


def _reconcile_ledger(node: Node) -> None:
    """The ledger is the larger of its table and the own log; what was missing is charged before any release."""
    raised = node.ledger.reconcile(node.logs.replay(node.membership.node))
    if raised:
        log.warning("ledger.raised", epochs=raised, why="the own log states more than the table held")


def _open_vault(
    node: Node,
    keys: _Keys,
    standing: Sequence[StandingMetric],
    on_epoch: Callable[[sqlite3.Connection, EpochRecord], None],
    disk: Disk,
) -> Vault:
    start = node.config.backfill_from
    return Vault(
        node.config.data,
        node.database,
        master_key=keys.master.current,
        retiring_master=keys.master.retiring,
        disk=disk,
        node_id=node.membership.node,
        length=node.config.epoch,
        caps=lambda epoch: _cap_of(node, epoch),
        rng=os.urandom,
        backfill_from_hour=None if start is None else hour_of(datetime(start.year, start.month, start.day, tzinfo=UTC)),
        window_kinds={metric.definition.window for metric in standing},
        on_epoch=on_epoch,
    )


def _make_publisher(node: Node) -> Publisher:
    membership = node.membership

    def cap_of(epoch: Window) -> Balance | None:
        record = node.vault.epoch_record(epoch)
        if record is None:
            return None
        now = Balance(*_cap_of(node, epoch))
        return now.with_lower_cap(record.cap_rho_nano, record.cap_delta_atto)

    return Publisher(
        database=node.database,
        logs=node.logs,
        identity=Identity(membership.node, membership.federation, membership.signing_key, membership.charter.version),
        anchor=node.config.anchor,
        epoch_length=node.config.epoch,
        cap_of=cap_of,
        clock=node.clock,
        rng=os.urandom,
        geometric=node.workshop.geometric,
        tick_s=node.config.release_tick_s,
    )


def _begin_log(node: Node) -> None:
    """The first entry of a new node's log. A log that may have been lost waits for its peers (node/mesh/own_log.py)."""
    anchor = load_anchor(node.config.anchor)
    if anchor == EMPTY_LOG and node.logs.head(node.membership.node) is None:
        node.publisher.anchor(node.publisher.publish_other(INCEPTION, node.membership.inception))


def _tell_endpoint(node: Node) -> None:
    """An endpoint entry where the configuration names another than charter and log, or the pinned key is another."""
    advertised = node.config.mesh.advertise
    if not advertised:
        return
    files = _tls_files(node.config)
    pin = pin_of_file(files[0]) if files is not None and node.config.listen.self_signed else None
    endpoint = Endpoint(advertised, pin)
    if endpoint != _known_endpoint(node):
        entry = node.publisher.publish_other(ENDPOINT, EndpointData((endpoint,)).encode())
        node.publisher.anchor(entry)
        node.committed([entry])


def _known_endpoint(node: Node) -> Endpoint | None:
    from protocol.kind_data import parse_endpoint_data

    endpoints = node.membership.member.endpoints
    for entry in node.logs.replay(node.membership.node):
        if entry.header.kind == ENDPOINT:
            endpoints = parse_endpoint_data(entry.entry.data).endpoints
    return endpoints[0] if endpoints else None


def _make_rounds(node: Node, plans: PlanBook) -> ReleaseRound:
    return ReleaseRound(
        vault=node.vault,
        publisher=node.publisher,
        metrics=node.standing,
        counts_from=node.membership.member.counts_from,
        plans_of=lambda window: plans.in_force(*open_span(node.database, window)),
        clock=node.clock,
        committed=node.committed,
        is_clock_trusted=node.guard.is_trusted,
        holds_back=node.holds_back,
        finished=node.workshop.close,
    )


def _make_own_log(node: Node, keys: SigningKeys, rounds: ReleaseRound) -> OwnLog:
    def begun() -> list[tuple[Window, Balance]]:
        records = load_epochs(node.database)
        return [(record.epoch, Balance(record.cap_rho_nano, record.cap_delta_atto)) for record in records]

    def use_key(key: SigningKey) -> None:
        node.publisher.use_key(key)
        node.mesh.core.use_key(key)

    own = node.mesh.core.logs.log(node.membership.node)
    if own is not None and own.keys is not None:
        with contextlib.suppress(ConfigError):  # said again once peers were asked
            use_key(keys.settle(own.keys))
    parts = Parts(
        core=node.mesh.core,
        logs=node.logs,
        ledger=node.ledger,
        publisher=node.publisher,
        keys=keys,
        clock=node.clock,
        inception=node.membership.inception,
        begun=begun,
        open_slots=rounds.open_slots,
        committed=node.committed,
        use_key=use_key,
    )
    return OwnLog(parts, node.config.anchor)


def _work(node: Node, rounds: ReleaseRound, should_stop: Callable[[], bool]) -> int:
    """One round of the release worker, the only thread that signs."""
    with node.turns.lock:
        node.own_log.settle()
        if node.holds_back() is None:
            _tell_endpoint(node)
        return rounds.run(should_stop)


def _make_mesh(node: Node) -> MeshDriver:
    membership, mesh = node.membership, node.config.mesh
    core = Core(
        membership.node,
        membership.signing_key,
        membership.document,
        {**membership.definition_bodies, **node.logs.definitions()},
        membership.inceptions,
        node.logs,
        (entry for author in membership.authors for entry in node.logs.replay(author)),
        Settings(sync_interval_ms=round(mesh.sync_interval_s * 1000), push_delay_ms=mesh.push_delay_ms),
    )
    return MeshDriver(
        core=core,
        logs=node.logs,
        transport=MeshTransport(lambda: membership.charter.allow_private),
        clock=node.clock,
        rng=os.urandom,
        on_fatal=node.fail,
        on_conflict=lambda _why: node.own_log.note_conflict(),
        on_foreign=lambda entries: node.own_log.note_foreign(entries),
        on_progress=node.progressed,
        on_judged=node.judged,
    )


def _routes(node: Node) -> dict[Address, list[web.AbstractRouteDef]]:
    """Which routes each listening address answers; one address may be all of them."""
    listen = node.config.listen
    origin, limits = node.config.origin, node.config.limits
    database = origin.country_database
    origins = Origins(origin, None if database is None else open_country_database(database))
    events = EventsEndpoint(node.ingest, node.tokens, node.clock, os.urandom, origins, limits, node.recent)
    gate = read_gate(
        node.tokens,
        is_open=listen.research.is_loopback and not listen.behind_proxy,
        limiter=RateLimiter(time.monotonic),
    )
    dashboard = Dashboard()
    routes: dict[Address, list[web.AbstractRouteDef]] = {}
    routes.setdefault(listen.public, []).extend([*events.routes(), *client_routes(), *health_routes(node.is_ready)])
    routes.setdefault(listen.mesh, []).extend(mesh_routes(node.mesh.receive))
    routes.setdefault(listen.research, []).extend([*_research(node, gate), *dashboard.routes()])
    routes[listen.public].extend(_public_pages(node, dashboard))
    routes[listen.research].extend(person_routes(node.custody, node.tokens))
    return routes


def _public_pages(node: Node, dashboard: Dashboard) -> list[web.RouteDef]:
    """What anybody may read about this node; with the pages' files, unless they are served there already."""
    config = node.config
    together = config.listen.public == config.listen.research
    disclosed = Disclosed(config.name, lambda: node.plan, config.plan, config.epoch, node.commons, together)
    files = [] if together else dashboard.file_routes()
    return [*privacy_routes(disclosed), *dashboard.public_routes(), *files]


def _research(node: Node, gate: ReadGate) -> list[web.RouteDef]:
    """Every route a researcher may use, behind this gate."""
    sql = SqlEndpoint(node.researcher, gate, node.commons.node, node.commons.name)
    envelope = Envelope(node.commons.node, node.commons.name)
    logs = node.mesh.core.logs
    keys = key_routes(node.membership.inceptions, node.membership.authors, logs.key_of, envelope, gate)
    releases = ReleasesEndpoint(node.commons, gate)
    live = LiveEndpoint(node.live, gate)
    research = ResearchEndpoint(node.commons, gate, node.facts)
    return [*research.routes(), *releases.routes(), *sql.routes(), *live.routes(), *docs_routes(), *keys]


def _admin_app(node: Node, gate: Callable[[web.Request], None] | None = None) -> web.Application:
    research = _research(node, read_gate(node.tokens, is_open=True))
    return make_admin_app(
        node,
        [
            *research,
            *admin_custody_routes(node.custody),
            *key_turn_routes(node.turns),
            *mesh_view_routes(_mesh_view(node)),
        ],
        gate,
    )


def _tls(config: NodeConfig) -> ssl.SSLContext | None:
    files = _tls_files(config)
    return None if files is None else server_context(*files)


def _tls_files(config: NodeConfig) -> tuple[Path, Path] | None:
    """Certificate and key the listeners serve with; None for plain HTTP."""
    listen = config.listen
    if listen.self_signed:
        return self_signed(config.data / "tls", config.name)
    return None if listen.tls_cert is None or listen.tls_key is None else (listen.tls_cert, listen.tls_key)


def _mesh_view(node: Node) -> MeshView:
    names = {member.node: member.name for member in node.membership.charter.members}
    return MeshView(driver=node.mesh, logs=node.logs, own_log=node.own_log, clock=node.clock, names=names)


def _write_socket_path(file: Path, socket: Path) -> None:
    try:
        file.write_text(f"{socket}\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            code="data_unwritable",
            what=f"The file {file} cannot be written",
            why=error.strerror or type(error).__name__,
            fix="Free space on the disk or mend the folder's permissions",
        ) from error
