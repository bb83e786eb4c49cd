"""What does an event cost between its bytes and its row? CPU microseconds, decoding and filtering.

Events of about 300 bytes with four declared attributes and one that is personal and undeclared, in each of the four
forms, in bodies of 1, 25 and 500, taken in groups of 5,000 as `node.ingest` takes them (sealing left out). Five rounds
after one warm-up, median and spread; `json.loads` of the same bytes in the same run is the yardstick, since machines
differ. `--ingest` sends the bodies through the queue and its thread, with a vault that forgets.

    .venv/bin/python tests/bench/bench_filter.py [--events 100000] [--ingest]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from node.clock import SystemClock
from node.http.forms.body import decode_body
from node.ingest import GROUP_EVENTS, Ingest, IntakePlan, Submission
from node.vault.calendar import EpochAccess
from privacy.filtering import Signals
from privacy.person_key import Pseudonyms
from privacy.tracking_plan import parse_plan
from privacy.units import Window

ROUNDS = 5
PLAN = parse_plan(
    {
        "plan": "bench",
        "purposes": ["analytics"],
        "apps": {
            "runway-calculator": {
                "person": "session",
                "consent": "analytics",
                "actions": {
                    "calculate": {
                        "industry": {"type": "category", "values": ["software", "health", "finance", "education"]},
                        "runway_months": {"type": "band", "edges": ["0", "1", "2", "3", "6", "9", "12", "18", "24"]},
                        "amount": {"type": "number", "quantum": "0.01", "range": ["0", "500"]},
                        "remote": {"type": "flag"},
                    }
                },
            }
        },
    }
)


def common(number: int) -> tuple[dict[str, Any], str, str, str]:
    """Attributes, timestamp, session and id of the n-th event: about three events a session, in one day."""
    attributes = {
        "industry": ("software", "health", "finance", "fishing")[number % 4],
        "runway_months": number % 30,
        "amount": number % 977 / 100,
        "remote": number % 3 == 0,
        "email": f"person{number % 1000}@example.org",
    }
    moment = f"2026-11-05T{number % 24:02}:{number % 60:02}:{number * 7 % 60:02}.123Z"
    return attributes, moment, f"session-{number * 7919 % 33_000:08}", f"event-{number:012}"


def universal(number: int) -> dict[str, Any]:
    attributes, moment, session, event_id = common(number)
    return {"app": "runway-calculator", "action": "calculate", "attributes": attributes, "timestamp": moment,
            "geo_hint": "DE", "session_id": session, "event_id": event_id, "consent": ["analytics"]}  # fmt: skip


def analytics(number: int) -> dict[str, Any]:
    attributes, moment, session, event_id = common(number)
    return {"event_id": event_id, "event_name": "calculate", "event_category": "runway-calculator",
            "session_id": session, "timestamp": moment, "properties": attributes, "context": {"country": "DE"},
            "privacy": {"consent": ["analytics"]}}  # fmt: skip


def dotted(number: int) -> dict[str, Any]:
    attributes, moment, session, event_id = common(number)
    return {"type": "runway-calculator.calculate", "data": attributes, "timestamp": moment, "country": "DE",
            "session": session, "id": event_id, "consent": ["analytics"]}  # fmt: skip


def compact(number: int) -> dict[str, Any]:
    attributes, _, session, event_id = common(number)
    return {"a": "runway-calculator", "n": "calculate", "p": attributes, "t": 1_793_836_800 + number % 86_400,
            "g": "DE", "s": session, "i": event_id, "c": ["analytics"]}  # fmt: skip


FORMS: tuple[Callable[[int], dict[str, Any]], ...] = (universal, analytics, dotted, compact)


def bodies_of(form: Callable[[int], dict[str, Any]], events: int, batch: int) -> list[bytes]:
    return [
        json.dumps([form(number) for number in range(start, start + batch)]).encode()
        for start in range(0, events - batch + 1, batch)
    ]


class ForgetfulVault:
    """Takes every hour and every row; keeps nothing."""

    gate = nullcontext()
    key = os.urandom(32)

    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess:
        return EpochAccess(Window.containing("day", hour), self.key)

    def append(self, rows_by_epoch: object, plan_slots: int) -> None:
        pass


def decode_only(plan: IntakePlan, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        decode_body(body, plan.declared)


def decode_and_filter(plan: IntakePlan, bodies: Sequence[bytes]) -> None:
    """What the worker does, group by group; fails where an event is not kept."""
    signals = Signals()
    taken = 0
    for body in bodies:
        if taken % GROUP_EVENTS == 0:  # batches divide groups
            rows: list[object] = []
            epoch_of = _epoch_of(Pseudonyms(ForgetfulVault.key, os.urandom))
        for position, sent in enumerate(decode_body(body, plan.declared)):
            assert isinstance(sent, tuple), sent
            row = plan.filter.apply(sent[1], signals, epoch_of, position)
            assert isinstance(row, tuple), row
            rows.append(row)
            taken += 1


def _epoch_of(pseudonyms: Pseudonyms) -> Callable[[int], Pseudonyms]:
    return lambda hour: pseudonyms


def through_ingest(plan: IntakePlan, bodies: Sequence[bytes]) -> None:
    async def play() -> None:
        ingest = Ingest(ForgetfulVault(), plan, SystemClock(), os.urandom, print)
        ingest.start()
        for start in range(0, len(bodies), 200):
            waiting = [ingest.submit(Submission(body)) for body in bodies[start : start + 200]]
            assert all(receipt.rejected == () for receipt in await asyncio.gather(*waiting))
        await ingest.stop()

    asyncio.run(play())


def cost_us(work: Callable[[], object], events: int) -> tuple[float, float, float]:
    """Median, least and most CPU microseconds an event, of the whole process."""
    work()
    costs = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        costs.append((time.process_time() - start) / events * 1e6)
    return statistics.median(costs), min(costs), max(costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--ingest", action="store_true", help="also through the queue and its thread")
    options = parser.parse_args()
    plan = IntakePlan(PLAN, 1)
    works: dict[str, Callable[[Sequence[bytes]], object]] = {
        "json.loads": lambda bodies: [json.loads(body) for body in bodies],
        "decode": lambda bodies: decode_only(plan, bodies),
        "decode + filter": lambda bodies: decode_and_filter(plan, bodies),
    }
    if options.ingest:
        works["through ingest"] = lambda bodies: through_ingest(plan, bodies)
    print(f"{'form':<10} {'batch':>5} {'bytes':>5}  " + "  ".join(f"{name:>24}" for name in works))
    for form in FORMS:
        for batch in (1, 25, 500):
            bodies = bodies_of(form, options.events, batch)
            count = len(bodies) * batch
            costs = [cost_us(lambda work=work, bodies=bodies: work(bodies), count) for work in works.values()]  # type: ignore[misc]
            cells = "  ".join(f"{middle:8.2f} ({low:5.2f}–{high:5.2f}) µs" for middle, low, high in costs)
            print(f"{form.__name__:<10} {batch:>5} {sum(map(len, bodies)) // count:>5}  {cells}")


if __name__ == "__main__":
    main()
