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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from federation.charter_book import CharterBook
from federation.core import Core
from federation.settings import Settings
from node.anchor import EMPTY_LOG, load_anchor
from node.audit import Audit
from node.backup_content import BackupMaker
from node.clock import Clock, SystemClock, boot_of, hour_of_ms
from node.commons_db.projection import Projection, Sources
from node.commons_db.researcher import Researcher
from node.config import NodeConfig, load_config
from node.custody import Custody
from node.datalock import DataLock
from node.errors import ConfigError, StorageError
from node.governing import Governing
from node.http.admin_scopes import admin_gate
from node.http.sites import Sites, admin_socket_path, raise_file_limit
from node.in_force import InForce
from node.ingest import Ingest
from node.jobs.attesting import Attesting
from node.jobs.choosing import Choices
from node.jobs.clock_guard import ClockGuard
from node.jobs.facts import Facts
from node.jobs.memory import keep_what_is_made
from node.jobs.mending import Mending
from node.jobs.naming import Names
from node.jobs.outbox import Outbox
from node.jobs.private_answers import PrivateAnswers
from node.jobs.publishing import Identity, Publisher
from node.jobs.releases import ReleaseRound, StandingMetric
from node.jobs.reserving import reserver
from node.jobs.scheduler import ReleaseWorker
from node.jobs.workshop import Workshop
from node.key_change import finish_change
from node.key_turns import KeyTurns
from node.key_watch import KeyWatch
from node.live import Live
from node.live_commons import LiveCommons
from node.logs import configure_logs
from node.membership import load_membership
from node.mesh.driver import MeshDriver
from node.mesh.own_log import OwnLog, Parts
from node.mesh.tls import pin_of_file, self_signed, server_context
from node.mesh.transport import MeshTransport
from node.passphrase import Passphrase, service_passphrase
from node.plan_file import check_person_kinds, load_plan
from node.plan_in_force import PlanInForce
from node.routes import admin_app, listener_routes
from node.running import Node, cap_of_epoch
from node.shared_tokens import SharedTokens
from node.signing_keys import SigningKeys
from node.state.audit import AuditStore
from node.state.charters import CharterStore
from node.state.database import StateDatabase
from node.state.epochs import EpochRecord, load_epochs, open_span
from node.state.joins import JoinStore
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from node.state.plans import PlanBook
from node.state.slots import SlotStore
from node.state.tokens import TokenBook
from node.vault.disk import Disk
from node.vault.engine import WindowEngine, run_window
from node.vault.master_key import MasterKey
from node.vault.vault import Vault
from privacy.ledger import Balance
from privacy.tracking_plan import Plan
from privacy.units import Window, epoch_of, hour_of
from protocol.charter import parse_charter
from protocol.endpoints import Endpoint
from protocol.entries import ENDPOINT, INCEPTION, ParsedEntry
from protocol.keys import SigningKey
from protocol.kind_data import EndpointData

log = structlog.get_logger()

THREAD_TURN_S: Final = 0.001  # the loop waits no longer for the filter's thread; 5 ms, Python's own, is felt


def run(config_path: Path, passphrase: Passphrase | None = None, *, until_eof: bool = False) -> int:
    """Run a node until it is told to stop. Returns the process's exit code: 0, or 1 after a fatal error.

    Args:
        passphrase: Of the node's keys, where it was given at the start.
        until_eof: End when standard input does, as if told to: whoever started the node is gone.

    Raises:
        ConfigError, StorageError, ProtocolError: the node could not start; nothing is left running.
    """
    import uvloop

    sys.setswitchinterval(THREAD_TURN_S)
    raise_file_limit()
    config = load_config(config_path)
    if passphrase is not None:
        config = replace(config, keys=replace(config.keys, passphrase=passphrase))
    configure_logs(config.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, until_eof))


async def _serve(config: NodeConfig, until_eof: bool) -> int:
    stopped = asyncio.Event()
    async with running_node(config, stopped) as node:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        if until_eof:
            threading.Thread(target=_wait_for_eof, args=(loop, stopped), name="eof", daemon=True).start()
        keep_what_is_made()
        print("ready " + json.dumps(node.readiness()), flush=True)  # noqa: T201 - the readiness line is the interface
        await stopped.wait()
        log.info("node.stopping")
    log.info("node.stopped")
    return 0 if node.failure is None else 1


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Set the event once standard input ends, whatever it is: a pipe, a terminal, a file, nothing at all."""
    with contextlib.suppress(OSError):  # closed or unreadable: it has ended
        while os.read(0, 4096):
            pass  # what comes before is not looked at
    with contextlib.suppress(RuntimeError):  # the node ended by itself meanwhile
        loop.call_soon_threadsafe(stopped.set)


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
    finish_change(config.data / "keys")
    passphrase = config.keys.passphrase or service_passphrase(config.keys.passphrase_file)
    keys = _Keys(
        SigningKeys(config.data / "keys", passphrase=passphrase),
        MasterKey(config.data / "keys", disk, passphrase),
    )
    membership = load_membership(config.data, keys.signing.in_place())
    node = Node(config, clock, membership, stopped)
    now_s = clock.now_ms() // 1000

    node.database = StateDatabase(config.data / "state.db")
    stack.callback(node.database.close)
    node.audit = Audit(AuditStore(node.database, membership.node), clock)
    stack.callback(node.audit.flush, is_end=True)
    node.tokens = TokenBook(node.database, now_s=lambda: clock.now_ms() // 1000, on_refusal=node.audit.count)
    node.logs = LogStore(node.database)
    plans = node.plans = PlanBook(node.database)
    node.plans_now = PlanInForce(plans, clock, config.epoch)
    begins = node.plans_now.take(plan).begins
    if begins is not None:
        log.warning("plan.waits", begins=begins.text, why="it alters how events are stored")
    node.charters = CharterStore(node.database)
    for document in membership.later:
        node.charters.save(document.hash, parse_charter(document.body).version, document.encode(), is_proposal=False)
    chain = CharterBook(membership.document, node.charters.verified()).chain
    node.in_force = InForce(membership, chain, node.logs.definitions())
    standing = node.standing

    node.ledger = LedgerStore(node.database)
    _reconcile_ledger(node)
    reserve = reserver(node.ledger, standing, node.plans_now.at_hour, node.in_force.counts_from)
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
    answers = _make_private_answers(node, plans)
    node.choices = Choices(answers)
    node.names = Names(answers, node.membership.member.population)
    _begin_log(node)

    node.mesh = _make_mesh(node)
    node.outbox = Outbox(node.publisher.anchor, node.committed)
    rounds = _make_rounds(node, plans)
    node.own_log = _make_own_log(node, keys.signing, rounds)
    node.publisher.ask_before_signing(lambda: node.own_log.may_sign)
    node.governing = Governing(node.mesh, JoinStore(node.database), clock, node.publish)
    node.turns = KeyTurns(
        core=node.mesh.core,
        logs=node.logs,
        publisher=node.publisher,
        keys=keys.signing,
        ledger=node.ledger,
        own_log=node.own_log,
        outbox=node.outbox,
        hand_over=node.hand_over,
        on_fatal=node.fail,
    )
    node.key_watch = _make_key_watch(node)
    node.shared_tokens = SharedTokens(
        core=node.mesh.core,
        logs=node.logs,
        publisher=node.publisher,
        outbox=node.outbox,
        turns=node.turns,
        audit=node.audit,
        clock=clock,
        folder=config.data / "keys",
        passphrase=passphrase,
        names=lambda one: one.hex()[:16] if (found := node.membership.charter.member(one)) is None else found.name,
    )
    node.backups = BackupMaker(
        config,
        node.database,
        node.turns.lock,
        {"node": membership.node.hex(), "federation": membership.federation.hex(), "name": config.name},
    )
    node.attesting = _make_attesting(node)
    node.mending = Mending(
        core=node.mesh.core,
        logs=node.logs,
        slots=SlotStore(node.database),
        publisher=node.publisher,
        clock=clock,
        hold=node.outbox.hold,
    )
    node.ingest = Ingest(node.vault, lambda: node.plans_now.intake, clock, os.urandom, node.fail)
    node.ingest.start()
    stack.push_async_callback(node.ingest.stop)
    rows, definitions = node.in_force.rows, node.in_force.definitions
    node.commons = LiveCommons(
        core=node.mesh.core,
        logs=node.logs,
        rows=rows,
        name=config.name,
        clock=clock,
        definitions=definitions,
    )
    node.projection = Projection(
        config.data / "commons",
        config.data / "state.db",
        Sources(node.mesh.core, node.logs, rows, definitions),
    )
    node.researcher = Researcher(node.projection)
    node.live = Live(
        os.urandom(4).hex(),
        node.logs,
        rows,
        node.in_force.names,
        lambda: node.mesh.core.rules.charter.min_organisations,
    )
    stack.push_async_callback(node.researcher.close)

    worker = node.worker = ReleaseWorker(
        tick_s=config.release_tick_s,
        clock=clock,
        work=lambda should_stop: _work(node, rounds, should_stop),
        on_fatal=node.fail,
        idle=node.vault.upkeep.compact,
        ahead=rounds.prepare,
    )
    stack.push_async_callback(node.signing_ended)
    stack.push_async_callback(node.mesh.stop)
    stack.push_async_callback(asyncio.to_thread, worker.stop)

    sites = Sites()
    stack.push_async_callback(sites.close)
    stack.callback(node.live.close)
    routes, takers = listener_routes(node)
    await sites.open(routes, _tls(config), takers, config.listen.workers)
    node.workers = sites.workers
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
    node.audit.count("node", "node.started")  # a full disk keeps no node from starting
    log.info("node.ready", node=membership.node.hex()[:16], charter_version=node.membership.charter.version)
    return node


def _reconcile_ledger(node: Node) -> None:
    """The ledger is the larger of its table and the own log; what was missing is charged before any release."""
    raised = node.ledger.reconcile(node.logs.replay_kept(node.membership.node))
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


def _cap_now(node: Node, epoch: Window) -> Balance | None:
    """The stricter of the caps the epoch began with and today's; None where it has no record."""
    record = node.vault.epoch_record(epoch)
    if record is None:
        return None
    return Balance(*cap_of_epoch(node, epoch)).with_lower_cap(record.cap_rho_nano, record.cap_delta_atto)


def _make_private_answers(node: Node, plans: PlanBook) -> PrivateAnswers:
    @contextmanager
    def rows_of(window: Window) -> Iterator[WindowEngine]:
        with node.vault.releasing, run_window(node.vault.window(window)) as engine:
            yield engine

    return PrivateAnswers(
        database=node.database,
        epoch_length=node.config.epoch,
        is_closed=node.vault.is_closed,
        rows_of=rows_of,
        plans_of=lambda window: _plans_of(node, plans, window),
        cap_of=lambda epoch: _cap_now(node, epoch),
        rng=os.urandom,
    )


def _make_publisher(node: Node) -> Publisher:
    membership = node.membership
    return Publisher(
        database=node.database,
        logs=node.logs,
        identity=Identity(
            membership.node,
            membership.federation,
            membership.signing_key,
            membership.charter.version,
            membership.member.population,
        ),
        anchor=node.config.anchor,
        epoch_length=node.config.epoch,
        cap_of=lambda epoch: _cap_now(node, epoch),
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
        node.outbox.hold([node.publisher.publish_other(ENDPOINT, EndpointData((endpoint,)).encode())])


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
        counts_from=node.in_force.counts_from,
        plans_of=lambda window: _plans_of(node, plans, window),
        clock=node.clock,
        hold=node.outbox.hold,
        is_clock_trusted=node.guard.is_trusted,
        holds_back=node.holds_back,
        finished=node.workshop.close,
        ahead=node.workshop.start,
    )


def _plans_of(node: Node, plans: PlanBook, window: Window) -> Mapping[int, Plan]:
    """The plans that a closed window's rows may be coded by; history by whatever plan was in force as it came."""
    from_s, until_s = open_span(node.database, window)
    is_history = from_s == 0
    return plans.in_force(from_s, until_s, None if is_history else (window.start_hour * 3600, window.end_hour * 3600))


def _make_own_log(node: Node, keys: SigningKeys, rounds: ReleaseRound) -> OwnLog:
    clock_ms = node.clock.now_ms

    def begun() -> list[tuple[Window, Balance]]:
        records = {record.epoch: record for record in load_epochs(node.database)}
        found = [(epoch, Balance(record.cap_rho_nano, record.cap_delta_atto)) for epoch, record in records.items()]
        # Data that were put back may be older than epochs this node has begun since: those count as begun, too.
        last = epoch_of(node.config.epoch, hour_of_ms(clock_ms()))
        later = max(records, key=lambda epoch: epoch.start_hour).next if records else last
        while later.start_hour <= last.start_hour:
            if later not in records:
                found.append((later, Balance(*cap_of_epoch(node, later))))
            later = later.next
        return found

    def use_key(key: SigningKey) -> None:
        node.publisher.use_key(key)
        node.mesh.core.use_key(key)

    def send(entries: Sequence[ParsedEntry]) -> None:
        node.outbox.hold(entries)
        node.outbox.send()

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
        send=send,
        use_key=use_key,
    )
    return OwnLog(parts, node.config.anchor)


def _work(node: Node, rounds: ReleaseRound, should_stop: Callable[[], bool]) -> int:
    """One round of the release worker, the only thread that signs: what the last one made leaves, then more is made."""
    node.key_watch.run()
    with node.turns.lock:
        node.own_log.settle()
        if node.holds_back() is None:
            _tell_endpoint(node)
            node.attesting.run()
            node.mending.run()
        node.outbox.send()
        answered = rounds.run(should_stop)
    node.call_soon(node.carry_soon)
    return answered


def _make_key_watch(node: Node) -> KeyWatch:
    return KeyWatch(
        turns=node.turns,
        core=node.mesh.core,
        audit=node.audit,
        clock=node.clock,
        rotate_every_s=node.config.keys.rotate_every_s,
        holds_back=node.holds_back,
        names=node.in_force.names,
    )


def _make_attesting(node: Node) -> Attesting:
    return Attesting(
        core=node.mesh.core,
        logs=node.logs,
        audit=node.audit,
        publisher=node.publisher,
        clock=node.clock,
        hold=node.outbox.hold,
    )


def _make_mesh(node: Node) -> MeshDriver:
    membership, mesh = node.membership, node.config.mesh
    core = Core(
        membership.node,
        membership.signing_key,
        node.founding.document,
        node.in_force.definitions,
        membership.inceptions,
        node.logs,
        (entry for author in node.in_force.chain.authors for entry in node.logs.replay(author)),
        Settings(sync_interval_ms=round(mesh.sync_interval_s * 1000), push_delay_ms=mesh.push_delay_ms),
        later=node.charters.verified(),
        proposals=node.charters.proposals(),
        evidence=node.logs.evidence(),
    )
    return MeshDriver(
        core=core,
        logs=node.logs,
        transport=MeshTransport(lambda: node.membership.charter.allow_private),
        clock=node.clock,
        rng=os.urandom,
        on_fatal=node.fail,
        on_conflict=lambda _why: node.own_log.note_conflict(),
        on_foreign=lambda entries: node.own_log.note_foreign(entries),
        on_progress=node.progressed,
        on_judged=node.judged,
        on_join=node.join_asked,
        save_charter=lambda kept: node.charters.save(kept.hash, kept.version, kept.body, is_proposal=kept.is_proposal),
        on_charter=node.charter_changed,
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
