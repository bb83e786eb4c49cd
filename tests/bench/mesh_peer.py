"""One end of the mesh as a process: the real core, store, driver, HTTP server and client; nothing else of a node.

Run as `python mesh_peer.py PLACE SIZE FOLDER`: the member at PLACE of the founding of SIZE nodes of the simulation, at
its port there, with the state database FOLDER/PLACE.db. Prints `ready`, then a line of JSON every 50 ms in which
something came: seconds of the monotonic clock, entries held, CPU seconds of this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [str(ROOT / "tests")]

import structlog  # noqa: E402
import uvloop  # noqa: E402
from aiohttp import web  # noqa: E402

from federation.core import Core  # noqa: E402
from federation.settings import Settings  # noqa: E402
from node.clock import SystemClock  # noqa: E402
from node.jobs.memory import keep_what_is_made  # noqa: E402
from node.mesh.driver import MeshDriver  # noqa: E402
from node.mesh.server import MAX_REQUEST_BYTES, mesh_routes  # noqa: E402
from node.mesh.transport import MeshTransport  # noqa: E402
from node.state.database import StateDatabase  # noqa: E402
from node.state.log import LogStore  # noqa: E402
from tests.bench.mesh_logs import founding  # noqa: E402
from tests.simulation.author import Author  # noqa: E402

FIRST_PORT = 7700  # of tests/simulation/founding.py


async def serve(place: int, size: int, folder: Path) -> None:
    founded = founding(size)
    who = founded.members[place]
    store = LogStore(StateDatabase(folder / f"{place}.db"))
    if not store.count():
        store.append([Author(founded, who).born()])
    stored = [entry for member in founded.members for entry in store.replay(member.node)]
    core = Core(who.node, who.key, founded.document, founded.definitions, {who.node: who.inception}, store, stored,
                replace(Settings(), backoff_most_ms=2_000))  # fmt: skip
    del stored
    driver = MeshDriver(
        core=core, logs=store, transport=MeshTransport(lambda: True), clock=SystemClock(), rng=os.urandom,
        on_fatal=lambda error: os._exit(3), on_conflict=print,
    )  # fmt: skip
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.add_routes(mesh_routes(driver.receive))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", FIRST_PORT + int(who.name.removeprefix("node"))).start()
    held = core.logs.count
    driver.start()
    keep_what_is_made()  # as `murmur run`
    sys.stdout.write("ready\n")
    while True:
        sys.stdout.flush()
        await asyncio.sleep(0.05)
        if core.logs.count != held:
            held = core.logs.count
            sys.stdout.write(json.dumps([time.monotonic(), held, time.process_time()]) + "\n")


if __name__ == "__main__":
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
