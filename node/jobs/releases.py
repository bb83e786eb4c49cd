"""One round of releases: close what is due, answer each open slot of the closed windows, destroy keys that are due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.jobs.memory import give_back_memory
from node.jobs.publishing import Publisher, WindowRows
from node.vault.engine import EngineLimits, run_window
from node.vault.vault import EpochClosed, Vault
from privacy.definition import Definition
from privacy.errors import PrivacyError
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
        counts_from: int,
        plans_of: Callable[[Window], Mapping[int, Plan]],
        clock: Clock,
        committed: Callable[[Sequence[ParsedEntry]], None],
        is_clock_trusted: Callable[[], bool] = lambda: True,
        holds_back: Callable[[], str | None] = lambda: None,
        finished: Callable[[], None] = lambda: None,
        engine_limits: EngineLimits | None = None,
    ) -> None:
        """Make the round.

        Args:
            metrics: In catalogue order.
            counts_from: Hour of the first window expected of this node.
            plans_of: The plans that stored rows of a window may be coded by.
            committed: Given each window's new entries once they and the anchor are on disk.
            holds_back: Why nothing may be signed now, None when it may.
            finished: Called after each round's releases; ends what only they needed.
        """
        self._vault = vault
        self._publisher = publisher
        self._metrics = metrics
        self._counts_from = counts_from
        self._plans_of = plans_of
        self._clock = clock
        self._committed = committed
        self._is_clock_trusted = is_clock_trusted
        self._holds_back = holds_back
        self._finished = finished
        self._engine_limits = engine_limits

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Do everything that is due; returns how many slots were answered.

        Raises:
            StorageError: what was committed before it stays; the next round goes on from there.
        """
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
                    answered += self._answer_window(window, metrics, should_stop)
            finally:
                self._finished()
            self._vault.drop_cache()
            if answered:
                give_back_memory()
        self._vault.destroy_due_keys(now_s, clock_trusted=trusted)
        return answered

    def open_slots(self) -> Iterator[tuple[DefinitionHash, Window]]:
        """Every slot of a closed window that has no answer yet."""
        return ((metric.hash, window) for window, metrics in self._open_pairs() for metric in metrics)

    def _open_pairs(self) -> Iterator[tuple[Window, list[StandingMetric]]]:
        answered = self._publisher.answered()
        for window in self._vault.closed_windows():
            if window.start_hour < self._counts_from:
                continue
            metrics = [m for m in self._metrics if m.covers(window) and (m.hash, window.text) not in answered]
            if metrics:
                yield window, metrics

    def _answer_window(self, window: Window, metrics: Sequence[StandingMetric], should_stop: Callable[[], bool]) -> int:
        entries: list[ParsedEntry] = []
        plans = self._plans_of(window)
        try:
            with self._rows_of(window) as rows:
                for metric in metrics:
                    if should_stop():
                        break
                    entry = self._answer(metric, window, plans, rows)
                    if entry is not None:
                        entries.append(entry)
        finally:
            if entries:  # also after an error: what is committed is pushed
                self._publisher.anchor(entries[-1])
                self._committed(entries)
        return len(entries)

    def _answer(
        self, metric: StandingMetric, window: Window, plans: Mapping[int, Plan], rows: WindowRows | None
    ) -> ParsedEntry | None:
        """The slot's new entry; None when it has one, or when it failed and is tried again at the next tick."""
        try:
            return self._publisher.answer(metric.hash, metric.definition, window, plans, rows)
        except PrivacyError as error:  # one metric's trouble holds up no other; the slot shows as missing
            log.error("release.failed", metric=metric.name, window=window.text, code=error.code, what=error.what,
                      why=error.why, fix=error.fix)  # fmt: skip
            return None

    @contextmanager
    def _rows_of(self, window: Window) -> Iterator[WindowRows | None]:
        try:
            table = self._vault.read(window)
        except EpochClosed:
            yield None
            return
        engine: AbstractContextManager[WindowRows] = run_window(table, window, self._engine_limits)
        del table
        with engine as rows:
            yield rows
