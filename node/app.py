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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from federation.core import Core
from federation.query import MetricRow
from federation.settings import Settings
from node.anchor import EMPTY_LOG, load_anchor
from node.clock import Clock, SystemClock, boot_of
from node.commons_db.projection import Projection, Sources
from node.commons_db.researcher import Researcher
from node.config import NodeConfig, load_config
from node.custody import Custody
from node.datalock import DataLock
from node.errors import ConfigError, StorageError
from node.http.admin import admin_gate
from node.http.sites import Sites, admin_socket_path
from node.ingest import Ingest, IntakePlan
from node.jobs.clock_guard import ClockGuard
from node.jobs.facts import Facts
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
from node.mesh.tls import pin_of_file, self_signed, server_context
from node.mesh.transport import MeshTransport
from node.plan_file import check_person_kinds, load_plan
from node.routes import admin_app, listener_routes
from node.running import Node, cap_of_epoch
from node.signing_keys import SigningKeys
from node.state.database import StateDatabase
from node.state.epochs import EpochRecord, load_epochs, open_span
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.plans import PlanBook
from node.state.tokens import TokenBook
from node.vault.disk import Disk
from node.vault.master_key import MasterKey
from node.vault.vault import Vault
from privacy.ledger import Balance
from privacy.units import Window, hour_of
from protocol.endpoints import Endpoint
from protocol.entries import ENDPOINT, INCEPTION
from protocol.keys import SigningKey
from protocol.kind_data import EndpointData

log = structlog.get_logger()

THREAD_TURN_S: Final = 0.0005  # the loop waits no longer for the filter's thread; 5 ms, Python's own, is felt


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
    await sites.open(listener_routes(node), _tls(config))
    node.socket = admin_socket_path(membership.node)
    await sites.open_admin_socket(admin_app(node), node.socket)
    if config.listen.admin is not None:
        await sites.open_port(admin_app(node, admin_gate(node.tokens)), config.listen.admin)
    _write_socket_path(config.data / "socket", node.socket)
    stack.callback(lambda: (config.data / "socket").unlink(missing_ok=True))

    node.mesh.start()
    node.projection.start()
    node.live.start()
    stack.push_async_callback(node.projection.stop)
    worker.start()
    log.info("node.ready", node=membership.node.hex()[:16], charter_version=membership.charter.version)
    return node


def _standing_metrics(membership: Membership) -> list[StandingMetric]:
    """The catalogue in charter order; definitions this version cannot compute were refused at `charter accept`."""
    return [
        StandingMetric(row.name, row.definition, membership.definitions[row.definition], row.from_hour, row.until_hour)
        for row in membership.charter.catalogue
    ]


def _metric_rows(standing: Sequence[StandingMetric]) -> list[MetricRow]:
    return [MetricRow(one.name, one.hash, one.definition, one.from_hour, one.until_hour) for one in standing]


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
        caps=lambda epoch: cap_of_epoch(node, epoch),
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
        now = Balance(*cap_of_epoch(node, epoch))
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


def _tls(config: NodeConfig) -> ssl.SSLContext | None:
    files = _tls_files(config)
    return None if files is None else server_context(*files)


def _tls_files(config: NodeConfig) -> tuple[Path, Path] | None:
    """Certificate and key the listeners serve with; None for plain HTTP."""
    listen = config.listen
    if listen.self_signed:
        return self_signed(config.data / "tls", config.name)
    return None if listen.tls_cert is None or listen.tls_key is None else (listen.tls_cert, listen.tls_key)


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
