"""The node's listeners: routes grouped by address, one aiohttp application each; and the admin socket."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from node.config import Address
from node.errors import ConfigError, StorageError
from node.http.access import tell_allowance
from node.http.door import IDLE_S, MAX_CONNECTIONS, Doors
from node.http.events import Take
from node.http.problems import problem_middleware
from node.http.workers import Workers

MAX_BODY_BYTES: Final = (1 << 20) + 1024  # a handler's own limit speaks first, with a better message
BACKLOG: Final = 1024
HANDSHAKE_S: Final = 10.0
WANTED_FILES: Final = 65_536
OTHER_FILES: Final = 512  # segments, databases, peers
_NO_TAKER: Final[Mapping[str, Take]] = {}
_NO_TAKERS: Final[Mapping[Address, Mapping[str, Take]]] = {}
SHUTDOWN_S: Final = 5.0  # how long open connections may finish once the node stops listening


class Sites:
    """Every listening socket of the node, opened together and closed together."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []
        self._doors: list[Doors] = []
        self._listening: list[asyncio.Server] = []
        self.workers: Workers | None = None
        self._socket_path: Path | None = None

    async def open(
        self,
        routes: Mapping[Address, Sequence[web.AbstractRouteDef]],
        tls: ssl.SSLContext | None = None,
        takers: Mapping[Address, Mapping[str, Take]] = _NO_TAKERS,
        workers: int = 1,
    ) -> None:
        """Listen on each address with its routes; with `tls` over TLS only. `takers`: answered at the door already.

        With more than one of `workers`, others stand at the doors of addresses that have takers, too.

        Raises:
            ConfigError: an address is in use or not this machine's; what was opened is closed again.
        """
        for address, of_address in routes.items():
            app = web.Application(middlewares=[problem_middleware], client_max_size=MAX_BODY_BYTES)
            app.on_response_prepare.append(tell_allowance)
            app.router.add_routes(of_address)
            await self.open_port(app, address, tls, takers.get(address, {}), workers)

    async def open_port(
        self,
        app: web.Application,
        address: Address,
        tls: ssl.SSLContext | None = None,
        takers: Mapping[str, Take] = _NO_TAKER,
        workers: int = 1,
    ) -> None:
        """Listen on one address; raises as `open`."""
        runner = await self._run(app)
        loop = asyncio.get_running_loop()
        if runner.server is None:
            raise RuntimeError("the runner is set up")
        doors = Doors(loop, runner.server, takers, max_connections=room_for_connections())
        self._doors.append(doors)
        try:
            listening = await loop.create_server(
                doors,
                address.host,
                address.port,
                backlog=BACKLOG,
                reuse_port=bool(takers) and workers > 1,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            )
            self._listening.append(listening)
            if takers and workers > 1:
                self.workers = Workers(runner.server, takers)
                await self.workers.start(workers - 1, address, BACKLOG)
        except OSError as error:
            await self.close()
            raise _cannot_listen(address, error) from error

    async def open_admin_socket(self, app: web.Application, path: Path) -> None:
        """Listen on a unix socket that only this user can open (0600 in a folder of 0700).

        A socket left by a killed node is replaced: the data lock has already said that no other node is alive.

        Raises:
            StorageError: the socket's folder cannot be made or written, or its path is too long for the system.
        """
        runner = await self._run(app)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            before = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(before)
            await web.SockSite(runner, listener, backlog=64).start()
        except OSError as error:
            await self.close()
            raise StorageError(
                code="socket_unusable",
                what=f"The admin socket {path} cannot be opened",
                why=error.strerror or str(error),
                fix="Set XDG_RUNTIME_DIR to a folder of yours that exists and has a short path",
            ) from error
        self._socket_path = path

    async def close(self) -> None:
        """Stop listening, let open requests finish for a moment, remove the socket."""
        for listening in self._listening:
            listening.close()
        ends = [doors.close(SHUTDOWN_S) for doors in self._doors]
        if self.workers is not None:
            ends.append(self.workers.close(SHUTDOWN_S))
        await asyncio.gather(*ends)
        self._listening.clear()
        self._doors.clear()
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
            self._socket_path = None

    async def _run(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=IDLE_S,
            auto_decompress=False,  # who takes gzip inflates it under its own cap
        )
        await runner.setup()
        self._runners.append(runner)
        return runner


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for_connections() -> int:
    """How many connections a listener may hold, so that files are left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, soft - OTHER_FILES))


def admin_socket_path(node_id: bytes) -> Path:
    """`$XDG_RUNTIME_DIR/murmur/ID.sock` with 16 hex digits of the node id, else in this user's own temp folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "murmur" if runtime else Path(tempfile.gettempdir()) / f"murmur-{os.getuid()}"
    return base / f"{node_id.hex()[:16]}.sock"


def _cannot_listen(address: Address, error: OSError) -> ConfigError:
    in_use = error.errno == errno.EADDRINUSE
    return ConfigError(
        code="port_busy" if in_use else "address_unusable",
        what=f"The node cannot listen on {address}",
        why="another program already does" if in_use else (error.strerror or type(error).__name__),
        fix="Stop that program, or give another address under [listen] in node.toml",
    )
