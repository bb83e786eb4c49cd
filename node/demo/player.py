"""One platform at play, in a process of its own: it makes its history, sends it to its node, counts the truth of what
it sent, and searches what crossed the mesh for anything of it.

The driver speaks to a player in small steps over a pipe; nothing but receipts, truths and hits comes back. Four players
share the machine with four nodes, as four platforms' servers would.
"""

from __future__ import annotations

import gc
import http.client
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

from node.demo.needles import Hit, Needles
from node.demo.play import Batch, Play
from node.demo.problems import DemoFailed
from node.demo.reading import PlanApp, read_events
from node.demo.truth import Metric, Truth, count_truth

CONNECTIONS: Final = 2  # per player: one request is decoded while the next is on its way
_PATIENCE_S: Final = 30.0  # how long a busy node is asked again


@dataclass(frozen=True, slots=True)
class Receipts:
    """What a node said about everything that was sent to it."""

    sent: int = 0
    accepted: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Receipts) -> Receipts:
        return Receipts(
            self.sent + other.sent,
            self.accepted + other.accepted,
            self.filtered + other.filtered,
            self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What one player needs to know of its part.

    Args:
        name: The platform's.
        make: Makes its history; called in the player's process.
        apps: Its tracking plan.
        metrics: The federation's.
        windows: Names of the windows that are released.
    """

    name: str
    make: Callable[[], Play]
    apps: Mapping[str, PlanApp]
    metrics: Sequence[Metric]
    windows: Sequence[str]


class Player:
    """The driver's end of one player."""

    def __init__(self, part: Part) -> None:
        """Start the process; it begins to make its history at once."""
        self.name = part.name
        # fork starts in a millisecond and needs no pickling; elsewhere than on Linux it is not safe with numpy.
        method: Literal["fork", "spawn"] = "fork" if sys.platform == "linux" else "spawn"
        context: Any = multiprocessing.get_context(method)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_perform, args=(part, theirs), name=f"demo-{part.name}", daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> tuple[int, int]:
        """(people, events) of the history, once it is made."""
        made: tuple[int, int] = self._receive()
        return made

    def start_playing(self, port: int, token: str) -> None:
        """Send everything to the node on that port; `receipts` waits for the end of it."""
        self._pipe.send(("play", port, token))

    def receipts(self) -> Receipts:
        """What the node answered in all. The player then goes on to count the truth."""
        receipts: Receipts = self._receive()
        return receipts

    def truth(self) -> Truth:
        """The truth of every release its node owes."""
        truth: Truth = self._receive()
        return truth

    def start_searching(self, haystack: bytes) -> None:
        """Search bytes for every needle; `hits` waits for the result."""
        self._pipe.send(("search", haystack))

    def hits(self) -> list[Hit]:
        """What the search found."""
        hits: list[Hit] = self._receive()
        return hits

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(5)

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise DemoFailed(f"the platform {self.name} ended before its part was done") from None
        if isinstance(answer, DemoFailed):
            raise answer
        return answer


def _perform(part: Part, pipe: Connection) -> None:
    """A player's life; ends when the driver closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()  # millions of small values, no cycles, a short life
    try:
        play = part.make()
        pipe.send((play.people, play.events))
        _, port, token = pipe.recv()
        pipe.send(play_to(play, port, token))
        os.nice(5)  # the nodes are busy releasing: they go first
        pipe.send(count_truth(read_events(play.batches, part.apps), part.metrics, part.apps, part.windows))
        needles: Needles | None = None
        while True:
            _, haystack = pipe.recv()
            needles = needles or play.texts.needles()
            pipe.send(needles.search(haystack))
    except DemoFailed as failure:
        pipe.send(failure)
    except (EOFError, OSError):
        pass  # the driver has gone


def play_to(play: Play, port: int, token: str) -> Receipts:
    """Send a history to a node; every request carries an Idempotency-Key, so a repeat is safe.

    Raises:
        DemoFailed: the node refused a request, or is gone.
    """
    queue = iter(play.batches)  # next() on one iterator is atomic, so the senders share it

    def send_all() -> Receipts:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        total = Receipts()
        try:
            for batch in queue:
                total += _send(connection, batch, token, play.name)
        finally:
            connection.close()
        return total

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        senders = [pool.submit(send_all) for _ in range(CONNECTIONS)]
        return sum((sender.result() for sender in senders), Receipts())


def _send(connection: http.client.HTTPConnection, batch: Batch, token: str, name: str) -> Receipts:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": batch.content_type,
        "Idempotency-Key": batch.key,
        **dict(batch.headers),
    }
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.request("POST", "/v1/events", batch.body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailed(f"the node of {name} no longer answered while events were sent to it") from error
        if answer.status not in (429, 503) or time.monotonic() > deadline:
            break
        time.sleep(min(float(answer.headers.get("Retry-After", "0.2")), 1.0))
    if answer.status not in (202, 422):
        raise DemoFailed(f"the node of {name} refused events with HTTP {answer.status}: {text[:300].decode()!r}")
    receipt = json.loads(text)
    return Receipts(
        sent=batch.events,
        accepted=receipt.get("accepted", 0),
        filtered=Counter(receipt.get("filtered", {})),
        rejected=Counter(item["code"] for item in receipt.get("rejected", ())),
    )
