"""The ceiling of the ingest benchmark: the same server, decoding each body and doing nothing with it.

    python tests/bench/decode_only.py PORT KEY

The same listener, handler, queue and thread as `murmur run`; only filter and vault are missing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvloop
from bench_filter import PLAN, ForgetfulVault

from node.clock import SystemClock
from node.config import Address
from node.http.events import EventsEndpoint
from node.http.forms import quick
from node.http.forms.body import decode_body
from node.http.sites import Sites
from node.ingest import Ingest, IntakePlan
from node.receipt import Receipt


class DecodeOnly(Ingest):
    """Takes groups as the way in does; decodes."""

    def _take_group(self, taken: list[Any]) -> list[Any]:
        answers = []
        while len(taken) < self._group_events:
            waiting = self._next()
            if waiting is None:
                break
            taken.append(waiting)
            found = quick.read(waiting[0].body)
            events = found[1] if found else decode_body(waiting[0].body, self.plan.declared)
            answers.append(Receipt(len(events)))
        return answers


class OneKey:
    """Knows one key."""

    def __init__(self, secret: str) -> None:
        self.id, self._secret = "bench", secret
        self.origins: tuple[str, ...] = ()
        self.is_browser = False
        self.scopes = ("events",)

    def check(self, secret: str | None, kind: str, scope: str) -> OneKey:
        assert secret == self._secret
        return self

    def find(self, secret: str | None, kind: str) -> OneKey:
        return self.check(secret, kind, "")

    def is_origin_known(self, origin: str) -> bool:
        return False

    def allows(self, secret: str | None, kind: str, scope: str) -> bool:
        return scope == "events"


async def main() -> None:
    port, key = int(sys.argv[1]), sys.argv[2]
    intake = DecodeOnly(ForgetfulVault(), IntakePlan(PLAN, 1), SystemClock(), os.urandom, print)
    intake.start()
    endpoint = EventsEndpoint(intake, OneKey(key), SystemClock(), os.urandom)
    address = Address("127.0.0.1", port)
    await Sites().open({address: endpoint.routes()}, takers={address: endpoint.at_the_door()})
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
