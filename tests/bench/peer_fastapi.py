"""A straightforward collector, FastAPI + PostgreSQL: what one would write first. A peer of bench_ingest, not a product.

    PYTHON_OF_THE_PEERS tests/bench/peer_fastapi.py PORT KEY FOLDER

It does the same work on an event: check it with pydantic, drop what is undeclared, bands and codes, keyed hashes for
session and event, the hour for the time. Each request is one COPY in one transaction, committed with
`synchronous_commit = on` before it is answered. PostgreSQL has its shipped settings but for 256 MB of shared buffers.
Run as the peers' own Python; both servers are children of this process.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

COLUMNS = "app text, action text, person bigint, event_key bigint, hour int, country text, industry smallint, "
COLUMNS += "runway smallint, amount int, remote boolean"
EDGES = (0, 1, 2, 3, 6, 9, 12, 18, 24)
INDUSTRIES = ("software", "health", "finance", "education")


def make_app(key: str, address: str) -> Any:
    """The collector."""
    from bisect import bisect_right

    from fastapi import FastAPI, Header, HTTPException
    from psycopg_pool import AsyncConnectionPool
    from pydantic import BaseModel

    class Attributes(BaseModel):
        industry: str | None = None
        runway_months: float | None = None
        amount: float | None = None
        remote: bool | None = None

    class Event(BaseModel):
        app: Literal["runway-calculator"]
        action: Literal["calculate"]
        attributes: Attributes
        timestamp: datetime
        geo_hint: str | None = None
        session_id: str
        event_id: str
        consent: list[str] = []

    secret = os.urandom(32)

    def hashed(text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=secret).digest(), "big", signed=True)

    def row(event: Event) -> tuple[Any, ...]:
        found = event.attributes
        industry = INDUSTRIES.index(found.industry) if found.industry in INDUSTRIES else len(INDUSTRIES)
        runway = None if found.runway_months is None else bisect_right(EDGES, found.runway_months)
        amount = None if found.amount is None else round(min(max(found.amount, 0), 500) * 100)
        hour = int(event.timestamp.astimezone(UTC).timestamp() // 3600)
        person = hashed(event.session_id)
        return (event.app, event.action, person, hashed(f"{person}{event.event_id}"), hour, event.geo_hint, industry,
                runway, amount, found.remote)  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with AsyncConnectionPool(address, min_size=8, max_size=8, open=False) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    # FastAPI reads these annotations at run time, so they cannot be texts here.
    async def take(events, authorization=Header()):  # type: ignore[no-untyped-def]  # noqa: B008
        if authorization != f"Bearer {key}":
            raise HTTPException(401)
        some = events if isinstance(events, list) else [events]
        rows = [row(event) for event in some if "analytics" in event.consent]
        async with (
            app.state.pool.connection() as connection,
            connection.cursor() as cursor,
            cursor.copy("COPY events FROM STDIN") as copy,
        ):
            for one in rows:
                await copy.write_row(one)
        return {"accepted": len(rows)}

    take.__annotations__ = {"events": list[Event] | Event, "authorization": str}
    app.post("/v1/events", status_code=202)(take)
    return app


def start_database(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A PostgreSQL of our own on a unix socket in the folder, with the table; not as root, since it refuses that."""
    bins = next(Path("/usr/lib/postgresql").glob("*/bin"), None)
    where = str(bins or Path(shutil.which("postgres") or "/usr/bin/postgres").parent)
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        who = {"user": "postgres"}
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    data = folder / "data"
    subprocess.run([f"{where}/initdb", "-A", "trust", "-U", "bench", "-D", str(data)], check=True,
                   stdout=subprocess.DEVNULL, cwd="/", **who)  # fmt: skip
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "synchronous_commit": "on",
                "fsync": "on", "shared_buffers": "256MB"}  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen([f"{where}/postgres", "-D", str(data), *words], stderr=subprocess.DEVNULL, cwd="/", **who)
    address = f"host={folder} user=bench dbname=postgres"
    import psycopg

    for _ in range(200):
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address) as connection:
            connection.execute(f"CREATE TABLE events ({COLUMNS})")
            return server, address
        time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not start")


def main() -> None:
    import uvicorn

    port, key, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    server, address = start_database(folder)
    try:
        config = uvicorn.Config(make_app(key, address), port=port, log_level="error", loop="uvloop", http="httptools")
        running = uvicorn.Server(config)
        whole = running.startup

        async def startup(sockets: Any = None) -> None:
            await whole(sockets)
            print("ready", flush=True)

        running.startup = startup  # type: ignore[method-assign]
        running.run()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
