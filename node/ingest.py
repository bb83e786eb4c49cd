"""The way in: raw bodies wait in memory, one thread filters them in groups, the vault seals each group once.

Rules:
- Raw bodies are never on disk, in a log or in an error. They wait in a queue of bounded length and bytes; when
  it is full, the sender is asked to come back (`IngestBusy`, 503).
- A receipt goes out only after `Vault.append` returned for its group: what is acknowledged is durable.
- The vault's gate is held from the first question about an hour to the end of `append`, so no window closes in
  between.
- A body that cannot be taken costs only its own request.
- A disk that is full or cannot be written costs its group: nobody in it is acknowledged (503), the next group tries
  again. Any other error from the vault ends the intake for good: no one is acknowledged, and `on_fatal` ends the
  process; what is true is read again at the next start.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from node.clock import Clock, hour_of_ms
from node.errors import NodeError, RejectedInput, StorageError
from node.group import Group, IntakePlan, Submission, Vault, VaultFailed
from node.receipt import Receipt
from privacy.person_key import Rng

__all__ = ["Ingest", "IngestBusy", "IngestFailed", "IngestUnavailable", "IntakePlan", "Submission", "Vault"]

log = structlog.get_logger()

MAX_WAITING_REQUESTS: Final = 1024
MAX_WAITING_BYTES: Final = 64 << 20
GROUP_EVENTS: Final = 5000  # a group is sealed when it holds as many, or when nobody waits
GROUP_BYTES: Final = 8 << 20  # or as many: bodies without a good event must not keep the others waiting
RETRY_AFTER_S: Final = 1
TOLD_AT_ONCE: Final = 128  # answers in one turn of the loop; some 20 µs each
GATHER_STEP_S: Final = 0.001
GATHER_STEPS: Final = 5  # so at most some 5 ms are waited


class IngestBusy(NodeError):
    """The queue is full, or the node is stopping: the sender may try again."""

    code = "ingest_busy"
    status = 503
    retry_after_s = RETRY_AFTER_S


class IngestFailed(NodeError):
    """The request was not taken in, and nothing of it is stored."""

    code = "ingest_failed"
    status = 500


class IngestUnavailable(IngestFailed):
    """The disk is full or failed: nothing was acknowledged, and the sender may try again."""

    code = "ingest_unavailable"
    status = 503
    retry_after_s = 5


_Answer = Receipt | NodeError
Tell = Callable[[_Answer], None]
_Waiting = tuple[Submission, Tell]


class Ingest:
    """The queue and its thread. `offer`, `submit` and `stop` belong to the event loop that called `start`.

    The loop alone puts requests in, the thread alone takes them out, and each counts its own: no lock is needed.

    Args:
        vault: Where rows are sealed.
        plan: The tracking plan in force, or what says which it is now; asked for each group.
        clock: Wall time decides whether an hour is late or too far ahead.
        rng: Random bytes, for event keys of events that bring nothing to know them by.
        on_fatal: Called in the event loop, once, when the vault failed; must end the process.
    """

    def __init__(
        self,
        vault: Vault,
        plan: IntakePlan | Callable[[], IntakePlan],
        clock: Clock,
        rng: Rng,
        on_fatal: Callable[[BaseException], None],
        *,
        max_requests: int = MAX_WAITING_REQUESTS,
        max_bytes: int = MAX_WAITING_BYTES,
        group_events: int = GROUP_EVENTS,
    ) -> None:
        self._plan = plan
        self._vault = vault
        self._clock = clock
        self._rng = rng
        self._on_fatal = on_fatal
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._group_events = group_events
        self._waiting: deque[_Waiting] = deque()
        self._put_bytes = self._taken_bytes = 0  # counted by the loop, by the thread
        self._is_idle = False  # the thread found nothing and is about to wait for `_wake`
        self._wake = threading.Event()
        self._is_stopping = False
        self.trouble: str | None = None  # code of the error that the last group met, for /readyz
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="murmur-ingest", daemon=True)

    @property
    def plan(self) -> IntakePlan:
        """The tracking plan in force."""
        return self._plan if isinstance(self._plan, IntakePlan) else self._plan()

    def start(self) -> None:
        """Start the thread; call inside the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def submit(self, submission: Submission) -> Receipt:
        """Take one request in; returns when its rows are durable.

        Raises:
            MalformedBody, TooManyEvents: nothing of it is stored.
            IngestBusy: the queue is full, or the node is stopping; nothing of it is stored.
            IngestFailed: the node failed; without an acknowledgement nothing is promised.
        """
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.offer(submission, lambda answer: _resolve(future, answer))
        return await future

    def offer(self, submission: Submission, tell: Tell) -> None:
        """As `submit`; `tell` is called once, in the event loop, with the receipt or the error. It must not raise.

        Raises:
            IngestBusy: the queue is full, or the node is stopping; nothing of it is stored, `tell` is not called.
        """
        if self._is_stopping:
            raise _busy("the node is stopping")
        size = len(submission.body)
        if len(self._waiting) >= self._max_requests or self._put_bytes - self._taken_bytes + size > self._max_bytes:
            raise _busy("more events are waiting than it may hold in memory")
        self._put_bytes += size
        self._waiting.append((submission, tell))
        if self._is_idle:
            self._wake.set()

    async def stop(self) -> None:
        """Refuse new requests, finish those that wait, and end the thread."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    # -- the thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        group_size = 0
        while self._wait():
            if group_size > 1:
                self._gather()
            taken: list[_Waiting] = []
            try:
                answers = self._take_group(taken)
            except Exception as error:
                cause = error.__cause__ or error if isinstance(error, VaultFailed) else error
                if not isinstance(cause, StorageError) or cause.fatal:
                    self._fail(cause, taken)
                    return
                self.trouble = cause.code
                log.error("ingest.refused", code=cause.code)
                self._answer((tell, _failed(cause)) for _, tell in taken)
                continue
            self.trouble = None
            group_size = len(taken)
            self._answer(zip((tell for _, tell in taken), answers, strict=True))

    def _wait(self) -> bool:
        """True when a request waits; False when none does and none will."""
        while not self._waiting:
            if self._is_stopping:
                return False
            self._wake.clear()
            self._is_idle = True  # from here on the loop wakes this thread; what came before is seen now
            if not self._waiting and not self._is_stopping:
                self._wake.wait()
            self._is_idle = False
        return True

    def _gather(self) -> None:
        """Several senders are at work: let what they are sending arrive, for as long as more comes.

        A group has a price of its own, most of it the sync; at 64 connections this makes groups five times as large,
        and lets the loop work alone meanwhile. A lone sender never waits here.
        """
        seen, steps = 0, 0
        while seen < len(self._waiting) < self._max_requests and steps < GATHER_STEPS:
            seen, steps = len(self._waiting), steps + 1
            time.sleep(GATHER_STEP_S)

    def _take_group(self, taken: list[_Waiting]) -> list[_Answer]:
        """Decode, filter and seal what waits, up to a group. `taken` names what was taken, also on failure."""
        refusals: list[NodeError | None] = []
        plan = self.plan  # another one may come meanwhile
        with self._vault.gate:
            group = Group(self._vault, plan, hour_of_ms(self._clock.now_ms()), self._rng)
            size = 0
            while max(group.events, len(taken)) < self._group_events and size < GROUP_BYTES:
                waiting = self._next()
                if waiting is None:
                    break
                taken.append(waiting)
                size += len(waiting[0].body)
                refusals.append(_take(group, waiting[0]))
            receipts = iter(group.finish())
            if group.rows_by_epoch:
                self._vault.append(group.rows_by_epoch, plan.slots)
        found = (next(receipts) if refused is None else refused for refused in refusals)
        return [one if isinstance(one, Receipt | NodeError) else _failed(one) for one in found]

    def _next(self) -> _Waiting | None:
        if not self._waiting:
            return None
        waiting = self._waiting.popleft()
        self._taken_bytes += len(waiting[0].body)
        return waiting

    def _fail(self, error: BaseException, taken: Sequence[_Waiting]) -> None:
        """The vault failed: acknowledge nobody, take nothing more, and end the process."""
        self._is_stopping = True
        log.error("ingest.failed", error=type(error).__name__)  # the message stays out: it may quote a row
        self._call(self._on_fatal, error)
        self._answer((tell, _failed(error)) for _, tell in taken)
        self._call(self._refuse_all, error)

    def _refuse_all(self, error: BaseException) -> None:
        """Answer what still waits; in the loop, where nothing can be added meanwhile, and no thread takes any more."""
        _tell_each([(tell, _failed(error)) for _, tell in self._waiting])
        self._waiting.clear()

    def _answer(self, answers: Iterable[tuple[Tell, _Answer]]) -> None:
        self._call(_tell_each, list(answers))

    def _call(self, function: Callable[..., None], argument: object) -> None:
        if self._loop is None:
            raise RuntimeError("Ingest works only after start()")
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:  # the loop is closed: nobody waits for an answer
            log.warning("ingest.loop_closed")


def _take(group: Group, submission: Submission) -> NodeError | None:
    """Take one request into the group; why not, where it cannot be taken."""
    try:
        group.take(submission)
    except RejectedInput as refused:
        return refused
    except VaultFailed:
        raise
    except Exception as error:  # a fault of ours: it costs this request, not its neighbours
        return _failed(error)
    return None


def _tell_each(answers: Sequence[tuple[Tell, _Answer]]) -> None:
    """Hand answers out, in turns: the loop has other work."""
    for tell, answer in answers[:TOLD_AT_ONCE]:
        try:
            tell(answer)
        except Exception as error:  # a fault of ours: it costs this request its answer, not its neighbours
            log.error("ingest.answer_failed", error=type(error).__name__)
    if len(answers) > TOLD_AT_ONCE:
        asyncio.get_running_loop().call_soon(_tell_each, answers[TOLD_AT_ONCE:])


def _resolve(future: asyncio.Future[Receipt], answer: _Answer) -> None:
    if future.done():  # its sender went away
        return
    if isinstance(answer, NodeError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _busy(why: str) -> IngestBusy:
    return IngestBusy(
        what="The events were not taken", why=why, fix=f"Send them again after {RETRY_AFTER_S} s, same Idempotency-Key"
    )


def _failed(error: BaseException) -> IngestFailed:
    """Says the kind of error only: its message may quote a row, or name the operator's folders."""
    if isinstance(error, StorageError):
        return IngestUnavailable(
            what="The events were not taken",
            why="the node's disk is full" if error.code == "disk_full" else f"the node's disk failed ({error.code})",
            fix=f"Send them again after {IngestUnavailable.retry_after_s} s with the same Idempotency-Key or event ids",
        )
    return IngestFailed(
        what="The events were not taken",
        why=f"the node failed ({type(error).__name__})",
        fix="Send them again with the same Idempotency-Key or event ids; the operator finds the cause in the log",
    )
