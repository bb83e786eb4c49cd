"""Logs of millions of released cells for bench_commons: written, signed and stored once, read by as many nodes as ask.

Ten members, 250 days, as many metrics of 100 cells (country) as make up the number asked for. Each member's log is
written by a process of its own; all of them are stored in one state database, as a node stores what it received.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

from federation.definitions import parse_definition_bytes
from federation.rules import demand_of
from node.state.database import StateDatabase
from node.state.log import LogStore
from protocol.entries import ParsedEntry
from tests.simulation import author as authors
from tests.simulation import founding
from tests.simulation.author import Author, day
from tests.simulation.founding import Founding

MEMBERS, DAYS, CELLS = 10, 250, 100


def metrics_of(cells: int) -> int:
    """How many metrics make so many cells."""
    return max(1, cells // (MEMBERS * DAYS * CELLS))


def founded(metrics: int) -> Founding:
    """The same federation each time: its keys are made from numbers. 98 countries, other, none."""
    countries = [f"{chr(65 + place // 26)}{chr(65 + place % 26)}" for place in range(CELLS - 2)]
    founding.TREES = tuple(  # type: ignore[assignment]  # the founding of this run
        {**founding.tree(f"metric_{number:02}", rho="1/100000"), "by": {"country": countries}}
        for number in range(metrics)
    )
    return founding.found(MEMBERS)


def stored(database: Path, metrics: int) -> None:
    """Write every member's log and store them all."""
    state = StateDatabase(database)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for entries in pool.map(_written, range(MEMBERS), [metrics] * MEMBERS):
            LogStore(state).append(entries)
    state.close()


def _written(place: int, metrics: int) -> list[ParsedEntry]:
    made = founded(metrics)
    for name, function in (("parse_definition_bytes", parse_definition_bytes), ("demand_of", demand_of)):
        setattr(authors, name, lru_cache(None)(function))  # the same for every day
    author = Author(made, made.members[place])
    author.born()
    for number in range(DAYS):
        for metric in range(metrics):
            cells = [(place + 1) * (cell + 1) + number for cell in range(CELLS)]
            author.summary(made.named(f"metric_{metric:02}"), day(number), cells)
    return author.entries
