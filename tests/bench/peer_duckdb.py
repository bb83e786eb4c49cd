"""DuckDB as a collector: every request's events appended and committed before the answer. A peer of bench_ingest.

    python tests/bench/peer_duckdb.py PORT KEY FOLDER

The node's own door, queue, decoder and filter; where the node seals a group, this commits the rows of each request to a
table of a DuckDB file, as one Arrow append, in a transaction of its own. So the difference is the storage alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import uvloop
from bench_filter import PLAN, ForgetfulVault
from decode_only import OneKey

from node.clock import SystemClock, hour_of_ms
from node.config import Address
from node.group import Group
from node.http.events import EventsEndpoint
from node.http.sites import Sites
from node.ingest import Ingest, IntakePlan
from node.vault.frames import arrow_schema


class DuckVault(ForgetfulVault):
    """Commits each append to a DuckDB file."""

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect(str(folder / "events.duckdb"))
        self._schema = arrow_schema(PLAN.slots)
        empty = self._schema.empty_table()  # noqa: F841 - named in the statement
        self._connection.execute("CREATE TABLE events AS SELECT * FROM empty")

    def append(self, rows_by_epoch: Any, plan_slots: int) -> None:
        for rows in rows_by_epoch.values():
            arrays = [
                pa.array(column, type) for column, type in zip(rows.settle().columns, self._schema.types, strict=True)
            ]
            batch = pa.Table.from_arrays(arrays, schema=self._schema)  # noqa: F841 - named in the statement
            self._connection.execute("INSERT INTO events SELECT * FROM batch")


class PerBatch(Ingest):
    """Takes one request at a time."""

    def _take_group(self, taken: list[Any]) -> list[Any]:
        waiting = self._next()
        if waiting is None:
            return []
        taken.append(waiting)
        group = Group(self._vault, self.plan, hour_of_ms(self._clock.now_ms()), os.urandom)
        group.take(waiting[0])
        receipts = group.finish()
        self._vault.append(group.rows_by_epoch, self.plan.slots)
        return receipts

    def _gather(self) -> None:
        pass


async def main() -> None:
    port, key, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    intake = PerBatch(DuckVault(folder), IntakePlan(PLAN, 1), SystemClock(), os.urandom, print)
    intake.start()
    endpoint = EventsEndpoint(intake, OneKey(key), SystemClock(), os.urandom)
    address = Address("127.0.0.1", port)
    await Sites().open({address: endpoint.routes()}, takers={address: endpoint.at_the_door()})
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
