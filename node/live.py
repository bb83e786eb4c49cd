"""What changed, for those who listen: each release that begins or ceases to count, and each answer it changes.

- Every event has an id, `BOOT-NUMBER`. The last `KEPT` events are kept: who comes back with an id gets what came after
  it, or the event `resync` when that is no longer known (ask again; answers are cheap).
- A listener that does not read is dropped when `BEHIND` events wait for it; it may come back with its last id.
- Events say that something changed and where to ask, never a number: the answer is the same for everybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from federation.effects import Change
from federation.figure_rows import Json
from federation.query import MetricRow
from federation.verdicts import Void, verdict_text
from node.state.log import LogStore
from protocol.entries import ABSTAIN, SUMMARY
from protocol.errors import ProtocolError
from protocol.ids import NodeId
from protocol.kind_data import parse_abstain
from protocol.summaries import parse_summary

KEPT: Final = 1024
BEHIND: Final = 256

EventName = Literal["release", "abstain", "answer", "resync"]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing that happened.

    Args:
        id: `BOOT-NUMBER`; numbers rise by one.
        name: What kind of thing.
        data: Its details, JSON-able.
    """

    id: str
    name: EventName
    data: Mapping[str, Json]


class Listener:
    """One reader's queue; `is_dropped` once it fell too far behind."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue()
        self.is_dropped = False

    async def next(self) -> LiveEvent | None:
        """The next event; None when the listener is dropped or the node ends."""
        return None if self.is_dropped else await self._queue.get()

    def put(self, event: LiveEvent) -> bool:
        """Queue an event; False when the reader is too far behind, and dropped."""
        if self._queue.qsize() >= BEHIND:
            self.end()
            return False
        self._queue.put_nowait(event)
        return True

    def end(self) -> None:
        """No more events: the reader is told, whatever still waits."""
        self.is_dropped = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


class Live:
    """The events of one node and who listens. Lives in the event loop."""

    def __init__(
        self,
        boot: str,
        logs: LogStore,
        rows: Sequence[MetricRow],
        names: Mapping[NodeId, str],
        demanded: Callable[[], int] = lambda: 1,
    ) -> None:
        """Make the hub.

        Args:
            boot: Tells one start of the node from another, a few hex digits.
            names: Members' names by node id.
            demanded: The charter's `min_organisations`: above 1 no release id is told (federation/organisations.py).
        """
        self._demanded = demanded
        self._boot = boot
        self._logs = logs
        self._rows = rows
        self._names = names
        self._number = 0
        self._kept: deque[LiveEvent] = deque(maxlen=KEPT)
        self._listeners: set[Listener] = set()
        self._is_started = False

    def start(self) -> None:
        """Tell from now on: what is judged at start is old news."""
        self._is_started = True

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def listen(self, after: str | None = None) -> Listener:
        """A new listener; with `after`, first what came after that event."""
        listener = Listener()
        for event in self._since(after):
            listener.put(event)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self) -> None:
        """The node ends: every listener is told."""
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()

    def on_judged(self, changes: Iterable[Change]) -> None:
        """Verdicts changed: tell what was released or declined, then once which answers are other than before."""
        answers: dict[tuple[str, str], None] = {}
        for change in changes if self._is_started else ():
            if change.kind not in (SUMMARY, ABSTAIN):
                continue
            found = self._described(change)
            if found is None:
                continue
            self._tell("release" if change.kind == SUMMARY else "abstain", found)
            answers[str(found["metric"]), str(found["window"])] = None
        for metric, window in answers:
            ask = f"/v1/insights/{quote(metric, safe='')}?window={quote(window, safe='')}"
            self._tell("answer", {"metric": metric, "window": window, "ask": ask})

    def _described(self, change: Change) -> dict[str, Json] | None:
        parsed = self._logs.read(change.entry)
        if parsed is None:
            return None
        try:
            if change.kind == SUMMARY:
                summary = parse_summary(parsed.entry.data, parsed.header.author)
                definition, window, release = summary.definition, summary.window, summary.release.hex()
            else:
                abstain = parse_abstain(parsed.entry.data)
                definition, window, release = abstain.definition, abstain.window, None
        except ProtocolError:
            return None  # void from the first: it speaks of no slot
        verdict = change.verdict
        return {
            "metric": next((row.name for row in self._rows if row.definition_hash == definition), definition.hex()),
            "window": window,
            "node": change.author.hex(),
            "name": self._names.get(change.author, "?"),
            "verdict": verdict_text(verdict),
            "reason": verdict.reason if isinstance(verdict, Void) else None,
            "release": release if self._demanded() == 1 else None,
        }

    def _tell(self, name: EventName, data: Mapping[str, Json]) -> None:
        self._number += 1
        event = LiveEvent(f"{self._boot}-{self._number}", name, data)
        self._kept.append(event)
        for listener in [one for one in self._listeners if not one.put(event)]:
            self._listeners.discard(listener)

    def _since(self, after: str | None) -> list[LiveEvent]:
        if after is None:
            return []
        boot, _, number = after.rpartition("-")
        if boot == self._boot and number.isascii() and number.isdigit() and len(number) < 20:
            missed = self._number - int(number)
            waiting = list(self._kept)[len(self._kept) - missed :] if missed else []
            if 0 <= missed <= len(self._kept) and missed < BEHIND:
                return waiting
        return [LiveEvent(f"{self._boot}-{self._number}", "resync", {"why": "what came after is no longer known"})]
