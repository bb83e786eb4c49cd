"""A publisher in a process of its own, which kills itself at a named step. Run by test_publishing_kill.py.

usage: publishing_child.py FOLDER STEP COUNT    (kills at the COUNT-th time STEP is reached; STEP "never" runs through)
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from node.clock import SystemClock
from node.jobs.publishing import Identity, Publisher
from node.logs import configure_logs
from node.state.database import StateDatabase
from node.state.log import LogStore
from privacy.bounding import Binding
from privacy.definition import parse_definition
from privacy.ledger import Balance, nano_rho_of_cap
from privacy.tracking_plan import parse_plan
from privacy.units import Window
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey

WINDOWS = [Window.parse(f"2026-11-0{day}/P1D") for day in range(1, 5)]
NODE_ID = NodeId(b"n" * 32)
CAP = Balance(nano_rho_of_cap(Fraction(1, 40)), 0)
PLANS = {
    1: parse_plan({"plan": "shop", "apps": {"web": {"person": "user", "consent": "none", "actions": {"buy": {}}}}})
}


def definition_tree(name: str, rho: str) -> dict[str, object]:
    return {
        "metric": name,
        "question": "How many?",
        "from": "any",
        "measure": "count",
        "by": {"country": ["DE", "FR"]},
        "window": "day",
        "privacy": {"max_cells": "1", "max_per_cell": "2", "rho": rho},
    }


TREES = [definition_tree("first", "1/100"), definition_tree("second", "1/100"), definition_tree("third", "1/100")]


class FixedRows:
    """Rows whose bounded vector is known: the noise around it tells one draw from another."""

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        return [1000] * binding.cells

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        raise NotImplementedError("nothing is discovered here")


def make_publisher(folder: Path, database: StateDatabase, step: str, count: int) -> Publisher:
    seen = 0

    def checkpoint(name: str) -> None:
        nonlocal seen
        seen += name == step
        if name == step and seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    identity = Identity(NODE_ID, FederationId(b"f" * 32), SigningKey(b"s" * 32), 1)
    return Publisher(
        database=database,
        logs=LogStore(database),
        identity=identity,
        anchor=folder / "anchor",
        epoch_length="day",
        cap_of=lambda _epoch: CAP,
        clock=SystemClock(),
        rng=os.urandom,
        checkpoint=checkpoint,
    )


def publish_all(folder: Path, step: str, count: int) -> None:
    database = StateDatabase(folder / "state.db")
    publisher = make_publisher(folder, database, step, count)
    for window in WINDOWS:
        for tree in TREES:
            digest = DefinitionHash(hashlib.sha256(str(tree["metric"]).encode()).digest())
            entry = publisher.answer(digest, parse_definition(tree), window, PLANS, FixedRows())
            if entry is not None:
                publisher.anchor(entry)
                print(entry.id.hex(), flush=True)  # what a peer would have been sent
    database.close()


if __name__ == "__main__":
    configure_logs("error")  # stdout is for the ids
    publish_all(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
