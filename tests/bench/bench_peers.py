"""How does the node's way in compare with what one would write first? FastAPI + PostgreSQL, and DuckDB per batch.

Question, load and yardsticks: bench_ingest. The peers run beside the node in one run, their CPU time with that of all
their children (PostgreSQL included), so read the ratios. `bench_ingest.py --peers` is the same.

    .venv/bin/python tests/bench/bench_peers.py [--seconds 4] [--rounds 3] [--batches 1,25,500]

PostgreSQL is not this project's and FastAPI no dependency of it. Once, to make the peers' own Python:

    apt-get install postgresql
    export MURMUR_PEERS=$HOME/murmur-peers
    python3 -m venv $MURMUR_PEERS
    $MURMUR_PEERS/bin/pip install fastapi 'uvicorn[standard]' 'psycopg[binary,pool]'

Without MURMUR_PEERS it is looked for as `murmur-peers` among the temporary files. What is missing is said, and its leg
skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

HERE = Path(__file__).parent
KEY = "mw_bench"

Server = tuple[int, int, str]  # pid, port, key


class Missing(Exception):
    """A peer cannot run here; says what is missing."""


def _peers_python() -> str:
    python = Path(os.environ.get("MURMUR_PEERS") or Path(tempfile.gettempdir()) / "murmur-peers") / "bin/python"
    if not python.exists():
        raise Missing(f"no {python}; bench_peers.py says how to make it")
    needed = "import fastapi, uvicorn, psycopg, psycopg_pool"
    if subprocess.run([str(python), "-c", needed], capture_output=True, check=False).returncode:
        raise Missing(f"{python} lacks fastapi, uvicorn or psycopg")
    if shutil.which("postgres") is None and not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        raise Missing("PostgreSQL is not installed")
    return str(python)


@contextlib.contextmanager
def fastapi_postgres(folder: Path) -> Iterator[Server]:
    from bench_ingest import child, free_port

    place = folder / "postgres"
    place.mkdir()
    for parent in (folder, place):  # PostgreSQL runs as a user of its own
        parent.chmod(0o755)
    port = free_port()
    command = [_peers_python(), str(HERE / "peer_fastapi.py"), str(port), KEY, str(place)]
    with child(command) as process:
        yield process.pid, port, KEY


@contextlib.contextmanager
def duckdb_per_batch(folder: Path) -> Iterator[Server]:
    from bench_ingest import ROOT, child, free_port

    place = folder / "duckdb"
    place.mkdir()
    port = free_port()
    command = [sys.executable, str(HERE / "peer_duckdb.py"), str(port), KEY, str(place)]
    with child(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        yield process.pid, port, KEY


STARTS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "FastAPI + PostgreSQL": fastapi_postgres,
    "DuckDB per batch": duckdb_per_batch,
}

if __name__ == "__main__":
    import bench_ingest

    sys.argv.append("--peers")
    bench_ingest.main()
