"""Drives the federation core: time and bytes in, effects carried out in order, one timer.

Everything here runs in the event loop. What the core wants stored is on disk before anything that follows is carried
out; if the disk refuses, the process ends and the core is built again from what the disk holds (DESIGN 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from federation.core import Core, Failed
from federation.effects import (
    Alarm,
    Change,
    CharterTrusted,
    Effect,
    EvidenceTold,
    JoinAsked,
    Judged,
    Log,
    Reply,
    SendRequest,
    StoreBodies,
    StoreCharter,
    StoreDefinition,
    StoreEntries,
    StoreEvidence,
)
from federation.errors import OwnLogConflict
from federation.ports import Rng
from node.clock import Clock
from node.errors import NodeError, StorageError, TransportError
from node.mesh.counters import UNKNOWN, MeshCounters
from node.mesh.transport import MeshTransport
from node.state.log import LogStore
from protocol.charter_document import CharterDocument
from protocol.entries import ParsedEntry
from protocol.errors import ProtocolError
from protocol.ids import CharterHash
from protocol.keys import SigningKey
from protocol.requests import parse_request

log = structlog.get_logger()

LONGEST_WAIT_S: Final = 60.0  # a timer survives a wall clock that jumps by waking up at least this often


class MeshDriver:
    """One node's end of the mesh, alive."""

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        transport: MeshTransport,
        clock: Clock,
        rng: Rng,
        on_fatal: Callable[[NodeError], None],
        on_conflict: Callable[[str], None],
        on_judged: Callable[[Sequence[Change]], None] = lambda _: None,
        on_foreign: Callable[[Sequence[ParsedEntry]], None] = lambda _: None,
        on_progress: Callable[[], None] = lambda: None,
        save_charter: Callable[[StoreCharter], None] = lambda _: None,
        on_charter: Callable[[], None] = lambda: None,
        on_join: Callable[[JoinAsked], None] = lambda _: None,
    ) -> None:
        """Make the driver.

        Args:
            on_fatal: Called once with an error after which the process must end.
            on_conflict: Called when the core does not take an entry of our own: the node must stop signing.
            on_foreign: Given entries of the own log that came from peers, before they are stored.
            on_progress: Called after everything that was exchanged.
            save_charter: Stores a charter durably.
            on_charter: Called when another charter is trusted, or a definition is known, once it is stored.
            on_join: Told who asks to be admitted; stores the request.
            on_judged: Told which verdicts changed, once what they rest on is stored.
        """
        self.core = core
        self.counters = MeshCounters()
        self._logs = logs
        self._transport = transport
        self._clock = clock
        self._rng = rng
        self._on_fatal = on_fatal
        self._on_conflict = on_conflict
        self._on_judged = on_judged
        self._on_foreign = on_foreign
        self._on_progress = on_progress
        self._save_charter = save_charter
        self._on_charter = on_charter
        self._on_join = on_join
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def start(self) -> None:
        """Judge what is stored and begin to sync; call inside the event loop, once the node can answer."""
        self._carry_out(self.core.start(self._clock.now_ms(), self._rng))

    async def stop(self) -> None:
        """Send what waits to be pushed, then end every request and the timer."""
        self._carry_out(self.core.tick(self._clock.now_ms() + self.core.settings.push_delay_ms, self._rng))
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=2)
        for task in self._sending:
            task.cancel()
        await self._transport.close()

    async def receive(self, _op: str, body: bytes) -> tuple[int, bytes]:
        """Answer one mesh request. The op in the path is a hint for proxies; the signed one decides (I5)."""
        sender = _sender(body)
        self.counters.received[sender] += len(body)
        reply = self._carry_out(self.core.receive(body, self._clock.now_ms(), self._rng))
        if reply is None:
            raise RuntimeError("the core answers every request")
        self.counters.sent[sender] += len(reply.body)
        return reply.status, reply.body

    def take_charter(self, document: CharterDocument) -> None:
        """A charter from the operator: proposed, approved by more, or decided.

        Raises:
            ProtocolError: it is broken, or does not follow what is trusted here.
        """
        self._carry_out(self.core.take_charter(document, self._clock.now_ms()))

    def confirm_charter(self, charter: CharterHash) -> None:
        """The operator compared a charter's fingerprint elsewhere: follow it."""
        self._carry_out(self.core.confirm_charter(charter, self._clock.now_ms()))

    def learn_definition(self, body: bytes) -> None:
        """A definition from the operator: kept, served and judged by from now on."""
        self._carry_out(self.core.learn_definition(body))

    def sync_now(self) -> int:
        """Compare logs with every peer that can be called; how many those are."""
        asked = self.core.sync_soon(self._clock.now_ms())
        self._carry_out(self.core.tick(self._clock.now_ms(), self._rng))
        return asked

    def own_entries(self, entries: Sequence[ParsedEntry], key: SigningKey | None = None) -> None:
        """Entries of the own log that are committed and anchored: judge and push them.

        `key`: after a rotation or recovery, what is signed with from now on.
        """
        try:
            for entry in entries:
                self._carry_out(self.core.own_entry(entry, self._clock.now_ms(), key))
        except OwnLogConflict as error:
            log.error("mesh.own_log_conflict", code=error.code)
            self._on_conflict(str(error))

    def _carry_out(self, effects: Iterable[Effect]) -> Reply | None:
        """The effects in order; returns the reply among them."""
        reply: Reply | None = None
        is_other = False  # catalogue or charter
        try:
            for effect in effects:
                match effect:
                    case StoreEntries(entries):
                        own = [entry for entry in entries if entry.header.author == self.core.me]
                        if own:  # before it is on disk, so that nothing is signed on top of it
                            self._on_foreign(own)
                        self._logs.append(entries)
                    case StoreBodies(came):
                        self._logs.save_bodies(came)
                    case StoreEvidence(author, _, proof):
                        self._logs.save_evidence(author, proof)
                    case EvidenceTold(peer, digests):
                        self._logs.save_told(peer, digests)
                    case StoreDefinition(digest, definition):
                        self._logs.save_definition(digest, definition)
                        is_other = True
                    case StoreCharter():
                        self._save_charter(effect)
                    case CharterTrusted():
                        is_other = True
                    case JoinAsked():
                        self._on_join(effect)
                    case SendRequest():
                        self._send(effect)
                    case Reply():
                        reply = effect
                    case Alarm(code, fields):
                        log.error("mesh.alarm", code=code, **dict(fields))
                    case Log(event, fields):
                        log.info(event, **dict(fields))
                    case Judged(changes):
                        self._on_judged(changes)
        except StorageError as error:
            # The core has moved on: it and the disk differ until it is built anew.
            self._on_fatal(error)
            raise
        if is_other:
            self._on_charter()
        self._on_progress()
        self._set_timer()
        return reply

    def _send(self, request: SendRequest) -> None:
        if self._is_stopping:
            return
        task = asyncio.get_running_loop().create_task(self._exchange(request))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _exchange(self, request: SendRequest) -> None:
        peer = request.peer.hex()
        answer: bytes | Failed
        self.counters.sent[peer] += len(request.body)
        try:
            answer = await self._transport.post(request.url, request.op, request.body, request.tls_pin)
            self.counters.received[peer] += len(answer)
        except TransportError as error:
            answer = Failed(error.why)
        self._carry_out(self.core.on_response(request.token, answer, self._clock.now_ms(), self._rng))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_stopping:
            return
        wakeup_ms = self.core.next_wakeup_ms()
        wait_s = LONGEST_WAIT_S if wakeup_ms is None else (wakeup_ms - self._clock.now_ms()) / 1000
        self._timer = asyncio.get_running_loop().call_later(min(max(wait_s, 0.001), LONGEST_WAIT_S), self._tick)

    def _tick(self) -> None:
        self._carry_out(self.core.tick(self._clock.now_ms(), self._rng))


def _sender(body: bytes) -> str:
    """The node id a request says it is from, for counting only."""
    try:
        return parse_request(body).request.sender.hex()
    except ProtocolError:
        return UNKNOWN
