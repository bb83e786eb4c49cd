"""The release worker: one thread that, at fixed ticks, closes windows, answers their slots and destroys keys.

Ticks are multiples of `tick_s` on the wall clock, so that the moment of a release says nothing about how long it took
(PRIVACY 5). What a tick finds undone it does, so a node that was down catches up at its first tick. Releases go in
window order, then catalogue order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from node.clock import Clock
from node.errors import StorageError

LEAD_S: Final = 4.0  # before a tick: the child that carries diffprivlib takes two seconds to start

log = structlog.get_logger()


class ReleaseWorker:
    """Runs `work()` at each tick until stopped; a failed tick is retried at the next one."""

    def __init__(
        self,
        *,
        tick_s: int,
        clock: Clock,
        work: Callable[[Callable[[], bool]], int],
        on_fatal: Callable[[StorageError], None],
        idle: Callable[[], bool] = lambda: False,
        ahead: Callable[[float], None] = lambda _tick_s: None,
    ) -> None:
        """Make the worker.

        Args:
            work: Does what is due and returns how many slots it answered; asks the callable it is given, between
                slots, whether to stop early.
            on_fatal: Called, from this thread, with an error after which the process must end.
            idle: One step of work that can wait; False when there is none. Called after a round, in the first half of
                the time to the next tick, so that no release waits for it.
            ahead: Called some seconds before each tick with its time in Unix seconds, to start what its round needs.
        """
        self._tick_s = tick_s
        self._clock = clock
        self._work = work
        self._on_fatal = on_fatal
        self._idle = idle
        self._ahead = ahead
        self.trouble: str | None = None  # code of the error that the last round met, for /readyz
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="releases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the slot in hand finish, then end the thread."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def seconds_to_tick(self) -> float:
        """Until the next multiple of `tick_s` on the wall clock."""
        return self._tick_s - (self._clock.now_ms() / 1000) % self._tick_s

    def _run(self) -> None:
        while self._waited():
            started = self._clock.monotonic_s()
            is_idle = False
            try:
                answered = self._work(self._stop.is_set)
                self.trouble = None
                self._log_done(answered, started)
                is_idle = True
                # Not right after releases: peers and readers have more need of the machine then.
                while not answered and not self._stop.is_set() and self._is_early() and self._idle():
                    pass
            except StorageError as error:
                self.trouble = error.code
                log.error("upkeep.failed" if is_idle else "releases.failed", code=error.code)
                if error.fatal:
                    self._on_fatal(error)
                    return
            except Exception:
                # Nothing half done: each slot is its own transaction. The slot shows as missing until it works.
                self.trouble = "internal"
                log.exception("upkeep.failed" if is_idle else "releases.failed", code="internal")

    def _waited(self) -> bool:
        """Wait for the next tick, preparing for it shortly before; False when the worker is to stop."""
        seconds = self.seconds_to_tick()
        tick_s = self._clock.now_ms() / 1000 + seconds
        lead = min(LEAD_S, self._tick_s / 2, seconds)
        if self._stop.wait(seconds - lead):
            return False
        began = self._clock.monotonic_s()
        try:
            self._ahead(tick_s)
        except Exception:  # the round meets it again, where it is dealt with
            log.exception("releases.unprepared", code="internal")
        return not self._stop.wait(max(0.0, lead - (self._clock.monotonic_s() - began)))

    def _is_early(self) -> bool:
        """Whether upkeep may begin a step: the second half of a tick belongs to nobody, so that ticks come on time."""
        return self.seconds_to_tick() > self._tick_s / 2

    def _log_done(self, answered: int, started: float) -> None:
        if answered:
            log.info("releases.done", duration_ms=round((self._clock.monotonic_s() - started) * 1000))
