"""`murmur run` with a probe of its event loop: `python lag_child.py CONFIG OUT`. Writes what it saw to OUT at the end.

A callback comes each millisecond, lets go of the interpreter, as the loop does whenever it looks for new requests, and
measures how long it takes to have it again: that is how long the loop waits for the filter's thread. Where the machine
gave the processor to others meanwhile is nobody's fault here, so the time this thread stood in the machine's queue is
taken off, and no more counts than the filter's thread computed. `late` is how late the callback itself came, the loop's
own work and its waits together.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from node import app

STEP_S = 0.001
SETTLING_S = 1.0  # what a start leaves behind is not what is looked at


class Probe:
    """How late the loop came, and how long of it it waited for the filter; in milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.late: list[float] = []
        self.waited: list[float] = []
        self._loop = loop
        (ident,) = [thread.ident for thread in threading.enumerate() if thread.name == "murmur-ingest"]
        self._filter_clock = time.pthread_getcpuclockid(ident or 0)
        self._begun_s = time.perf_counter()
        self._next()

    def _next(self) -> None:
        self._due_s, self._queued_s = time.perf_counter() + STEP_S, _queued_s()
        self._own_s, self._filter_s = time.thread_time(), time.clock_gettime(self._filter_clock)
        self._loop.call_later(STEP_S, self._called)

    def _called(self) -> None:
        now_s, queued_s, filter_s = time.perf_counter(), _queued_s(), time.clock_gettime(self._filter_clock)
        late_s = now_s - self._due_s - (queued_s - self._queued_s)
        computed_s = time.thread_time() - self._own_s + filter_s - self._filter_s
        time.sleep(0)  # lets go of the interpreter and takes it again
        waited_s = time.perf_counter() - now_s - (_queued_s() - queued_s)
        waited_s = min(waited_s, time.clock_gettime(self._filter_clock) - filter_s)
        if now_s - self._begun_s > SETTLING_S:
            self.late.append(1000 * max(0.0, min(late_s, computed_s)))
            self.waited.append(1000 * max(0.0, waited_s))
        self._next()


def _queued_s() -> float:
    """How long this thread was ready to run and another had the processor (Linux says so; elsewhere nothing)."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def main(config: Path, out: Path) -> int:
    real = app.running_node

    @asynccontextmanager
    async def probed(*args: Any, **options: Any) -> AsyncIterator[Any]:
        async with real(*args, **options) as node:
            probe = Probe(asyncio.get_running_loop())
            yield node
            out.write_text(json.dumps({"late": sorted(probe.late), "waited": sorted(probe.waited)}))

    app.running_node = probed
    return app.run(config)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
