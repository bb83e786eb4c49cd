"""One round of releases: close what is due, answer each open slot of the closed windows, destroy keys that are due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.errors import StorageError
from node.jobs.memory import give_back_memory
from node.jobs.publishing import Publisher, Question, WindowRows
from node.vault.engine import FAULTS, EngineLimits, WindowEngine, run_window
from node.vault.vault import EpochClosed, Vault
from privacy.abstaining import AbstainReason
from privacy.definition import Definition
from privacy.errors import PrivacyError
from privacy.mechanisms import LAPLACE
from privacy.tracking_plan import Plan
from privacy.units import Window
from protocol.entries import ParsedEntry
from protocol.ids import DefinitionHash

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StandingMetric:
    """A catalogue row with its definition: released for each window of its kind within [from_hour, until_hour)."""

    name: str
    hash: DefinitionHash
    definition: Definition
    from_hour: int
    until_hour: int | None

    def covers(self, window: Window) -> bool:
        """Whether the window lies in the row and is of the definition's kind."""
        return (
            window.kind == self.definition.window
            and window.start_hour >= self.from_hour
            and (self.until_hour is None or window.end_hour <= self.until_hour)
        )


class ReleaseRound:
    """What the release worker does at each tick."""

    def __init__(
        self,
        *,
        vault: Vault,
        publisher: Publisher,
        metrics: Sequence[StandingMetric],
        counts_from: Callable[[], int],
        plans_of: Callable[[Window], Mapping[int, Plan]],
        clock: Clock,
        hold: Callable[[Sequence[ParsedEntry]], None],
        is_clock_trusted: Callable[[], bool] = lambda: True,
        holds_back: Callable[[], str | None] = lambda: None,
        finished: Callable[[], None] = lambda: None,
        ahead: Callable[[], None] = lambda: None,
        engine_limits: EngineLimits | None = None,
    ) -> None:
        """Make the round.

        Args:
            metrics: In catalogue order.
            counts_from: Gives the hour of the first window expected of this node.
            plans_of: The plans that stored rows of a window may be coded by.
            hold: Given each window's new entries once they are on disk; they leave at the next tick.
            holds_back: Why nothing may be signed now, None when it may.
            finished: Called after each round's releases; ends what only they needed.
            ahead: Called before a round that needs diffprivlib's noise; starts what takes seconds to start.
        """
        self._vault = vault
        self._publisher = publisher
        self._metrics = metrics
        self._counts_from = counts_from
        self._plans_of = plans_of
        self._clock = clock
        self._hold = hold
        self._is_clock_trusted = is_clock_trusted
        self._holds_back = holds_back
        self._finished = finished
        self._ahead = ahead
        self._engine_limits = engine_limits

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Do everything that is due; returns how many slots were answered.

        Raises:
            StorageError: what was committed before it stays; the next round goes on from there. An engine that fails
                at one metric or window has done the others first.
        """
        failed: StorageError | None = None
        trusted = self._is_clock_trusted()
        now_s = self._clock.now_ms() / 1000
        kinds = {metric.definition.window for metric in self._metrics}
        due = self._vault.due_windows(kinds, now_s, clock_trusted=trusted)
        if due:
            self._vault.close_windows(due, now_s)
        answered = 0
        if self._holds_back() is None:
            try:
                for window, metrics in self._open_pairs():
                    if should_stop():
                        break
                    entries, fault = self._answer_window(window, metrics, should_stop)
                    answered += entries
                    failed = failed or fault
            finally:
                self._finished()
            self._vault.drop_cache()
            if answered:
                give_back_memory()
        else:
            self._finished()
        self._vault.destroy_due_keys(now_s, clock_trusted=trusted)
        if failed is not None:
            raise failed
        return answered

    def prepare(self, tick_s: float) -> None:
        """Shortly before a tick, at this time in Unix seconds: start what its releases would else wait for."""
        kinds = {metric.definition.window for metric in self._metrics if _needs_diffprivlib(metric.definition)}
        if not kinds:
            return
        due = self._vault.due_windows(kinds, tick_s, clock_trusted=self._is_clock_trusted())
        slots = (
            metric.definition
            for window, metrics in [*((window, self._metrics) for window in due), *self._open_pairs()]
            for metric in metrics
            if metric.covers(window) and window.start_hour >= self._counts_from()
        )
        if any(_needs_diffprivlib(definition) for definition in slots):
            self._ahead()

    def open_slots(self) -> Iterator[tuple[DefinitionHash, Window]]:
        """Every slot of a closed window that has no answer yet."""
        return ((metric.hash, window) for window, metrics in self._open_pairs() for metric in metrics)

    def _open_pairs(self) -> Iterator[tuple[Window, list[StandingMetric]]]:
        answered = self._publisher.answered()
        for window in self._vault.closed_windows():
            if window.start_hour < self._counts_from():
                continue
            metrics = [m for m in self._metrics if m.covers(window) and (m.hash, window.text) not in answered]
            if metrics:
                yield window, metrics

    def _answer_window(
        self, window: Window, metrics: Sequence[StandingMetric], should_stop: Callable[[], bool]
    ) -> tuple[int, StorageError | None]:
        """How many slots were answered, and the first fault of the engine."""
        entries: list[ParsedEntry] = []
        failed: StorageError | None = None
        plans = self._plans_of(window)
        questions = self._questions(window, metrics, plans)
        try:
            with self._vault.releasing, self._rows_of(window) as rows:
                if rows is not None:
                    rows.expect([asked.binding for asked in questions.values() if isinstance(asked, Question)])
                abstained: list[tuple[DefinitionHash, AbstainReason]] = []  # in one transaction, in catalogue order
                for metric in metrics:
                    if should_stop():
                        break
                    question = questions.get(metric.hash)
                    if isinstance(question, Question) and rows is None:
                        question = "epoch_closed"
                    if isinstance(question, str):
                        abstained.append((metric.hash, question))
                    elif question is not None:
                        entries += self._publisher.abstain_all(window, abstained)
                        abstained.clear()
                        try:
                            entry = self._answer(metric, window, plans, rows, question)
                        except StorageError as error:
                            failed = failed or _told(error, metric.name, window)
                            continue
                        if entry is not None:
                            entries.append(entry)
                entries += self._publisher.abstain_all(window, abstained)
                if rows is not None:
                    rows.save_cells()
        except StorageError as error:
            failed = failed or _told(error, "all", window)
        finally:
            self._hold(entries)  # also after an error: what is committed leaves
        return len(entries), failed

    def _questions(
        self, window: Window, metrics: Sequence[StandingMetric], plans: Mapping[int, Plan]
    ) -> dict[DefinitionHash, Question | AbstainReason]:
        """What is asked, or why this node abstains; none for a metric that cannot be compiled, which is told."""
        found: dict[DefinitionHash, Question | AbstainReason] = {}
        for metric in metrics:
            try:
                found[metric.hash] = self._publisher.question(metric.definition, window, plans)
            except PrivacyError as error:
                _tell(error, metric.name, window)
        return found

    def _answer(
        self,
        metric: StandingMetric,
        window: Window,
        plans: Mapping[int, Plan],
        rows: WindowRows | None,
        question: Question,
    ) -> ParsedEntry | None:
        """The slot's new entry; None when it has one, or when it failed and is tried again at the next tick."""
        try:
            return self._publisher.answer(metric.hash, metric.definition, window, plans, rows, question)
        except PrivacyError as error:  # one metric's trouble holds up no other; the slot shows as missing
            _tell(error, metric.name, window)
            return None

    @contextmanager
    def _rows_of(self, window: Window) -> Iterator[WindowEngine | None]:
        try:
            source = self._vault.window(window)
        except EpochClosed:
            yield None
            return
        with run_window(source, limits=self._engine_limits) as engine:
            yield engine


def _needs_diffprivlib(definition: Definition) -> bool:
    """Whether its noise may be drawn by the child (few cells and a small scale) or not (then it is started in vain)."""
    return definition.mechanism == LAPLACE


def _told(error: StorageError, metric: str, window: Window) -> StorageError:
    """The error, logged, where it is of the engine: such a slot shows as missing and is tried again."""
    if error.code not in FAULTS:
        raise error
    _tell(error, metric, window)
    return error


def _tell(error: StorageError | PrivacyError, metric: str, window: Window) -> None:
    log.error("release.failed", metric=metric, window=window.text, code=error.code, what=error.what, why=error.why,
              fix=error.fix)  # fmt: skip
