"""Sorts and groups far more rows than a starved engine has memory for. Child of test_starved_engine.

Run as `python starved_child.py connect|FOLDER`: with the node's own connection, or with one that may spill to FOLDER.
Says `refused` where the memory did not do, `done` where it did. The shim counts from `begin` on.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import duckdb

from node.vault.engine import EngineLimits, connect

HUNGRY = """
    SELECT hash(i % 1999983) AS h, count(*), string_agg(i::VARCHAR, ',') FROM range(6000000) t(i) GROUP BY h ORDER BY h
"""


def main(how: str) -> str:
    connection = connect(EngineLimits(memory_mb=60))
    if how != "connect":
        connection = duckdb.connect(":memory:", config={"memory_limit": "60MB", "threads": 1, "temp_directory": how})
    try:
        connection.execute(f"CREATE TABLE found AS {HUNGRY}").fetchall()
    except duckdb.Error:
        return "refused"
    return "done"


if __name__ == "__main__":
    print("begin", flush=True)
    print(main(sys.argv[1]), flush=True)
