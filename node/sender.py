"""A small sender for servers: events in batches, again until the node has them, each counted once. No dependency.

    with Sender("https://events.example.org", "mw_…", app="shop") as murmur:
        murmur.send("buy", {"kind": "book"}, user="u-17", consent=["analytics"])

Events wait in memory, at most MAX_WAITING of them; beyond, the oldest go. `send` never waits and never raises for the
node's sake; `close` sends what waits. Copy this file into a project that does not install murmur.
"""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

BATCH: Final = 100
MAX_WAITING: Final = 10_000
MAX_PAUSE_S: Final = 60.0


class Sender:
    """Sends from a thread of its own.

    Args:
        url: Where the node takes events.
        key: A write key (`murmur tokens create`).
        app: The app of the tracking plan.
        pause_s: How long events gather before they are sent.
    """

    def __init__(self, url: str, key: str, *, app: str, pause_s: float = 1.0) -> None:
        self._url, self._key, self._app, self._pause_s = url.rstrip("/"), key, app, pause_s
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING)
        self._withdrawn: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING)
        self._wake, self._is_closing = threading.Event(), False
        self.refused: dict[str, int] = {}  # by code: what the node filtered or rejected
        self._thread = threading.Thread(target=self._work, name="murmur-sender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        action: str,
        attributes: Mapping[str, str | int | float | bool] | None = None,
        *,
        user: str | None = None,
        session: str | None = None,
        consent: Sequence[str] = (),
        country: str | None = None,
    ) -> None:
        """Put one event among those that wait."""
        self._waiting.append(
            {
                "a": self._app, "n": action, "p": dict(attributes or {}), "t": int(time.time()), "u": user,
                "s": session, "g": country, "c": list(consent), "i": uuid.uuid4().hex,
            }
        )  # fmt: skip
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def withdraw(
        self, purposes: Sequence[str] | None = None, *, user: str | None = None, session: str | None = None
    ) -> None:
        """A person withdraws consent to these purposes, None for everything. The node drops their events from then on,
        until its running epoch ends; begin no event of theirs with that consent any more."""
        said = {"user_id": user, "session_id": session, "withdraw": "all" if purposes is None else list(purposes)}
        self._withdrawn.append(said)
        self._wake.set()

    def close(self, timeout_s: float = 10.0) -> None:
        """Send what waits, for at most so long."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        failures = 0
        while True:
            pause_s = min(self._pause_s * 2**failures, MAX_PAUSE_S)
            self._wake.wait(pause_s * (0.5 + random.random()))  # noqa: S311
            self._wake.clear()
            while self._withdrawn:
                receipt = self._post("consent", self._withdrawn[0], 1)
                if receipt is None:
                    failures += 1
                    break
                self._note(receipt)
                self._withdrawn.popleft()
            while self._waiting and not self._withdrawn:  # what was withdrawn must hold first
                batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
                receipt = self._post("events", batch, len(batch))
                if receipt is None:
                    failures += 1
                    break
                failures = 0
                self._note(receipt)
                sent = {event["i"] for event in batch}
                while self._waiting and self._waiting[0]["i"] in sent:
                    self._waiting.popleft()
            if self._is_closing and (not (self._waiting or self._withdrawn) or failures > 3):
                return

    def _post(self, path: str, body: object, count: int) -> dict[str, Any] | None:
        """What the node answered; None where it neither took it nor ever refused it."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(f"{self._url}/v1/{path}", json.dumps(body).encode(), headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code >= 500 or error.code in (408, 429):
                return None
            try:
                refusal = dict(json.load(error))
            except (ValueError, TypeError):
                refusal = {}
            if "accepted" not in refusal:
                code = str(refusal.get("code", error.code))
                self.refused[code] = self.refused.get(code, 0) + count
            return refusal
        except (OSError, ValueError, TypeError):
            return None

    def _note(self, receipt: Mapping[str, Any]) -> None:
        for code, count in receipt.get("filtered", {}).items():
            self.refused[code] = self.refused.get(code, 0) + count
        for one in receipt.get("rejected", ()):
            self.refused[one["code"]] = self.refused.get(one["code"], 0) + 1
