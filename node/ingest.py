"""The way in: raw bodies wait in memory, one thread filters them in groups, the vault seals each group once.

Rules:
- Raw bodies are never on disk, in a log or in an error. They wait in a queue of bounded length and bytes; when
  it is full, the sender is asked to come back (`IngestBusy`, 503).
- A receipt goes out only after `Vault.append` returned for its group: what is acknowledged is durable.
- The vault's gate is held from the first question about an hour to the end of `append`, so no window closes in
  between.
- A body that cannot be taken costs only its own request. An error from the vault ends the intake for good: no
  one is acknowledged, and `on_fatal` ends the process; what is true is read again at the next start.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import structlog

from node.clock import Clock, hour_of_ms
from node.errors import NodeError, RejectedInput
from node.http.forms.body import Sent, decode_body
from node.http.forms.declared import Declared
from node.receipt import Receipt, ReceiptBuilder
from node.vault.calendar import EpochAccess, Refusal
from privacy.filtering import (
    TIMESTAMP_OUT_OF_RANGE,
    EpochOf,
    Filter,
    Filtered,
    Rejected,
    Signals,
    is_idempotent,
)
from privacy.person_key import Pseudonyms, Rng
from privacy.rows import Row
from privacy.tracking_plan import Plan
from privacy.units import Window

log = structlog.get_logger()

MAX_WAITING_REQUESTS: Final = 1024
MAX_WAITING_BYTES: Final = 64 << 20
GROUP_EVENTS: Final = 5000  # a group is sealed when it holds as many, or when nobody waits
GROUP_BYTES: Final = 8 << 20  # or as many: bodies without a good event must not keep the others waiting
RETRY_AFTER_S: Final = 1

_HOUR_COLUMN: Final = 4  # of a row (privacy/rows.py)


class Vault(Protocol):
    """What the way in needs of the vault."""

    @property
    def gate(self) -> AbstractContextManager[object]: ...
    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess | Refusal: ...
    def append(self, rows_by_epoch: Mapping[Window, Sequence[Row]], plan_slots: int) -> None: ...


class IngestBusy(NodeError):
    """The queue is full, or the node is stopping: the sender may try again."""

    code = "ingest_busy"
    status = 503
    retry_after_s = RETRY_AFTER_S


class IngestFailed(NodeError):
    """The request was not taken in, and nothing of it is stored."""

    code = "ingest_failed"
    status = 500


class IntakePlan:
    """A tracking plan version, compiled for the way in."""

    __slots__ = ("declared", "filter", "needs_address", "slots")

    def __init__(self, plan: Plan, plan_number: int) -> None:
        self.filter = Filter(plan, plan_number)
        self.declared = Declared(plan)
        self.slots = plan.slots
        self.needs_address = any(app.person_kind == "address" for app in plan.apps)


@dataclass(frozen=True, slots=True)
class Submission:
    """One request's body, with what its headers and its API key say.

    Args:
        body: As received.
        is_ndjson: One event a line.
        signals: GPC and DNT.
        idempotency_key: The header's value.
        is_backfill: The API key may write past epochs.
        address: IP and user agent, only where the plan has an app of that person kind.
    """

    body: bytes = field(repr=False)
    is_ndjson: bool = False
    signals: Signals = field(default_factory=Signals)
    idempotency_key: str | None = field(default=None, repr=False)
    is_backfill: bool = False
    address: str | None = field(default=None, repr=False)


_Waiting = tuple[Submission, "asyncio.Future[Receipt]"]
_Answer = Receipt | NodeError


class Ingest:
    """The queue and its thread. `submit` and `stop` belong to the event loop that called `start`.

    Args:
        vault: Where rows are sealed.
        plan: The tracking plan in force.
        clock: Wall time decides whether an hour is late or too far ahead.
        rng: Random bytes, for event keys of events that bring nothing to know them by.
        on_fatal: Called in the event loop, once, when the vault failed; must end the process.
    """

    def __init__(
        self,
        vault: Vault,
        plan: IntakePlan,
        clock: Clock,
        rng: Rng,
        on_fatal: Callable[[BaseException], None],
        *,
        max_requests: int = MAX_WAITING_REQUESTS,
        max_bytes: int = MAX_WAITING_BYTES,
        group_events: int = GROUP_EVENTS,
    ) -> None:
        self.plan = plan
        self._vault = vault
        self._clock = clock
        self._rng = rng
        self._on_fatal = on_fatal
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._group_events = group_events
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()  # guards the three fields above and below
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="murmur-ingest", daemon=True)

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
        size = len(submission.body)
        with self._changed:
            if self._is_stopping:
                raise _busy("the node is stopping")
            if len(self._waiting) >= self._max_requests or self._waiting_bytes + size > self._max_bytes:
                raise _busy("more events are waiting than it may hold in memory")
            self._waiting.append((submission, future))
            self._waiting_bytes += size
            self._changed.notify()
        return await future

    async def stop(self) -> None:
        """Refuse new requests, finish those that wait, and end the thread."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    # -- the thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._wait():
            taken: list[_Waiting] = []
            try:
                answers = self._take_group(taken)
            except Exception as error:
                self._fail(error.__cause__ or error if isinstance(error, _VaultFailed) else error, taken)
                return
            self._answer(zip((future for _, future in taken), answers, strict=True))

    def _wait(self) -> bool:
        """True when a request waits; False when none does and none will."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_stopping)
            return bool(self._waiting)

    def _take_group(self, taken: list[_Waiting]) -> list[_Answer]:
        """Decode, filter and seal what waits, up to a group. `taken` names what was taken, also on failure."""
        answers: list[_Answer] = []
        with self._vault.gate:
            group = _Group(self._vault, self.plan, hour_of_ms(self._clock.now_ms()), self._rng)
            size = 0
            while max(group.events, len(taken)) < self._group_events and size < GROUP_BYTES:
                waiting = self._next()
                if waiting is None:
                    break
                taken.append(waiting)
                size += len(waiting[0].body)
                answers.append(self._take(group, waiting[0]))
            if group.has_rows:
                self._vault.append(group.rows_by_epoch, self.plan.slots)
        return answers

    def _take(self, group: _Group, submission: Submission) -> _Answer:
        """Decode one body and filter it at once: a group decoded first and filtered later costs a third more."""
        try:
            return group.take(
                submission, decode_body(submission.body, self.plan.declared, is_ndjson=submission.is_ndjson)
            )
        except RejectedInput as refused:
            return refused
        except _VaultFailed:
            raise
        except Exception as error:  # a fault of ours: it costs this request, not its neighbours
            return _failed(error)

    def _next(self) -> _Waiting | None:
        with self._changed:
            if not self._waiting:
                return None
            waiting = self._waiting.popleft()
            self._waiting_bytes -= len(waiting[0].body)
            return waiting

    def _fail(self, error: BaseException, taken: Sequence[_Waiting]) -> None:
        """The vault failed: acknowledge nobody, take nothing more, and end the process."""
        with self._changed:
            self._is_stopping = True
            left = [*taken, *self._waiting]
            self._waiting.clear()
            self._waiting_bytes = 0
        log.error("ingest.failed", error=type(error).__name__)  # the message stays out: it may quote a row
        self._answer((future, _failed(error)) for _, future in left)
        self._call(self._on_fatal, error)

    def _answer(self, answers: Iterable[tuple[asyncio.Future[Receipt], _Answer]]) -> None:
        self._call(_resolve, list(answers))

    def _call(self, function: Callable[..., None], argument: object) -> None:
        if self._loop is None:
            raise RuntimeError("Ingest works only after start()")
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:  # the loop is closed: nobody waits for an answer
            log.warning("ingest.loop_closed")


class _VaultFailed(Exception):
    """The vault's own error is the cause."""


class _Group:
    """The rows of one `append`, and what was derived on the way. Dropped as a whole: no id outlives it."""

    def __init__(self, vault: Vault, plan: IntakePlan, now_hour: int, rng: Rng) -> None:
        self.rows_by_epoch: dict[Window, list[Row]] = {}
        self.events = 0  # looked at, kept or not
        self._vault = vault
        self._plan = plan
        self._now_hour = now_hour
        self._rng = rng
        self._pseudonyms: dict[Window, Pseudonyms] = {}
        self._rows_of_hour: dict[int, list[Row]] = {}
        self._known: dict[tuple[int, bool], Pseudonyms | Filtered | Rejected] = {}
        self._epoch_of: dict[bool, EpochOf] = {is_backfill: self._asker(is_backfill) for is_backfill in (False, True)}

    @property
    def has_rows(self) -> bool:
        return any(self.rows_by_epoch.values())

    def take(self, submission: Submission, body: Sequence[Sent]) -> Receipt:
        """Filter one request's events and keep their rows: all of them, or none where it raises.

        Raises:
            _VaultFailed: the vault could not say whether an hour may be written.
        """
        self.events += len(body)
        apply, signals, key = self._plan.filter.apply, submission.signals, submission.idempotency_key
        epoch_of = self._epoch_of[submission.is_backfill]
        receipt = ReceiptBuilder()
        rows: list[Row] = []
        for position, sent in enumerate(body):
            if isinstance(sent, Rejected):
                receipt.refuse(position, sent)
                continue
            form, event = sent
            if submission.address is not None:
                event = msgspec.structs.replace(event, address=submission.address)
            outcome = apply(event, signals, epoch_of, position, key)
            if isinstance(outcome, tuple):
                rows.append(outcome)
                receipt.accept(is_idempotent=is_idempotent(event, key))
            else:
                receipt.refuse(position, form.in_own_words(outcome) if isinstance(outcome, Rejected) else outcome)
        for row in rows:
            # The filter asked for this hour, so its list exists.
            self._rows_of_hour[row[_HOUR_COLUMN]].append(row)  # type: ignore[index]
        return receipt.receipt()

    def _asker(self, is_backfill: bool) -> EpochOf:
        known = self._known

        def epoch_of(hour: int) -> Pseudonyms | Filtered | Rejected:
            answer = known.get((hour, is_backfill))
            if answer is None:
                answer = known[hour, is_backfill] = self._ask(hour, is_backfill)
            return answer

        return epoch_of

    def _ask(self, hour: int, is_backfill: bool) -> Pseudonyms | Filtered | Rejected:
        try:
            access = self._vault.admit_hour(hour, self._now_hour, backfill=is_backfill)
        except Exception as error:
            raise _VaultFailed from error
        if isinstance(access, Refusal):
            code = access.code
            return TIMESTAMP_OUT_OF_RANGE if code == "timestamp_out_of_range" else Filtered(code)
        epoch = access.epoch
        self._rows_of_hour[hour] = self.rows_by_epoch.setdefault(epoch, [])
        if epoch not in self._pseudonyms:
            self._pseudonyms[epoch] = Pseudonyms(access.pseudonym_key, self._rng)
        return self._pseudonyms[epoch]


def _resolve(answers: Iterable[tuple[asyncio.Future[Receipt], _Answer]]) -> None:
    for future, answer in answers:
        if future.done():  # its sender went away
            continue
        if isinstance(answer, NodeError):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _busy(why: str) -> IngestBusy:
    return IngestBusy(
        what="The events were not taken", why=why, fix=f"Send them again after {RETRY_AFTER_S} s, same Idempotency-Key"
    )


def _failed(error: BaseException) -> IngestFailed:
    """Says the kind of error only: its message may quote a row."""
    return IngestFailed(
        what="The events were not taken",
        why=f"the node failed ({type(error).__name__})",
        fix="Send them again with the same Idempotency-Key or event ids; the operator finds the cause in the log",
    )
