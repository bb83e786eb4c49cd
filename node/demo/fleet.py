"""Four nodes on this machine: founded with the commands that everyone has, run as processes of their own.

The founding verbs run in this process, one after the other, because starting Python anew for each would take longer
than the work; they are the same verbs, called with the same words. The nodes are `murmur run`, started like an
operator would, and stopped by their process ids.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from node.admin_client import AdminClient
from node.demo.problems import DemoFailed
from node.demo.stage import Stage

HOST: Final = "127.0.0.1"
RELAY_OFFSET: Final = 10  # the relay's port of a node lies this far above the node's
ADMIN_OFFSET: Final = 20  # so does the port of its operator's pages
_START_S: Final = 60.0  # longest wait for a readiness line
_STOP_S: Final = 15.0  # longest wait for a node that was told to end


@dataclass(frozen=True, slots=True)
class Place:
    """Where one node lives and listens; without an `admin_port`, its operator has the socket alone."""

    name: str
    folder: Path
    port: int
    admin_port: int | None = None

    @property
    def relay_port(self) -> int:
        return self.port + RELAY_OFFSET

    @property
    def ports(self) -> list[int]:
        """Every port that must be free."""
        return [port for port in (self.port, self.relay_port, self.admin_port) if port is not None]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def admin(self) -> AdminClient:
        return AdminClient(self.data)


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A started node and what its readiness line said."""

    place: Place
    process: subprocess.Popen[bytes]
    ready: dict[str, Any]

    @property
    def node_id(self) -> bytes:
        return bytes.fromhex(self.ready["node"])

    @property
    def pid(self) -> int:
        return self.process.pid


def places(stage: Stage, root: Path, port_base: int) -> tuple[Place, ...]:
    """A place for every part of the stage."""
    return tuple(
        Place(name, root / name, port_base + index, port_base + index + ADMIN_OFFSET)
        for index, name in enumerate(stage.names)
    )


def check_ports(ports: Sequence[int]) -> None:
    """Nothing, when every port can be listened on.

    Raises:
        DemoFailed: one is in use, or is none.
    """
    for port in ports:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "it is no port number"
            raise DemoFailed(
                f"port {port} on {HOST}: {reason}",
                "Stop what uses it, or choose other ports with --port-base",
                what="The demo cannot listen",
                code="port_in_use",
            ) from error


def found(stage: Stage, all_places: Sequence[Place], charter: Path, sync_interval_s: float, tick_s: int) -> None:
    """Make the nodes, write the charter, have all sign and accept it.

    Raises:
        DemoFailed: a verb refused.
    """
    for place in all_places:
        place.folder.mkdir(parents=True)
        _murmur(
            "init", "--data", place.data, "--config", place.config, "--name", place.name, "--organisation", place.name,
            "--listen", f"{HOST}:{place.port}", "--advertise", f"http://{HOST}:{place.relay_port}",
            "--plan", stage.plans[place.name], "--root-key", place.folder / "root.key",
            "--governance-key", place.folder / "governance.key", "--request", place.folder / "request",
            "--anchor", place.folder / "anchor", "--epoch", stage.epoch, "--backfill-from", stage.counts_from,
        )  # fmt: skip
        text = place.config.read_text(encoding="utf-8")
        if place.admin_port is not None:
            text = text.replace("[listen]\n", f'[listen]\nadmin = "{HOST}:{place.admin_port}"\n')
        text = text.replace("[mesh]\n", f"[mesh]\nsync_interval_s = {sync_interval_s}\n")
        place.config.write_text(f"{text}\n[release]\ntick_s = {tick_s}\n", encoding="utf-8")
    requests = [word for place in all_places for word in ("--with", place.folder / "request")]
    _murmur(
        "federation", "create", *requests, "--metrics", stage.metrics_folder, "--name", "murmur demo",
        "--counts-from", stage.counts_from, "--threshold", len(all_places) - 1, "--allow-private", "--out", charter,
    )  # fmt: skip
    for place in all_places:
        _murmur("charter", "sign", charter, "--governance-key", place.folder / "governance.key")
    for place in all_places:
        _murmur("charter", "accept", charter, "--config", place.config)


def operator_key(place: Place) -> str:
    """A new admin key of a running node, for whoever started the demo."""
    key: str = place.admin.post("/v1/admin/tokens", {"kind": "admin", "scopes": [], "label": "demo"})["token"]
    return key


class Fleet:
    """The running nodes; leaving the context stops every one of them."""

    def __init__(self) -> None:
        self._processes: list[tuple[Place, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, all_places: Sequence[Place]) -> tuple[RunningNode, ...]:
        """Start all nodes at once and wait until each says that it is ready.

        Raises:
            DemoFailed: a node ended or stayed silent.
        """
        lines: dict[str, dict[str, Any]] = {}
        threads = []
        for place in all_places:
            process = self._start(place)
            thread = threading.Thread(target=_read_ready, args=(process, place.name, lines), daemon=True)
            thread.start()
            threads.append((place, process, thread))
        deadline = time.monotonic() + _START_S
        for place, _, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if place.name not in lines:
                raise DemoFailed(f"the node {place.name} did not start: {_last_words(place)}")
        return tuple(RunningNode(place, process, lines[place.name]) for place, process, _ in threads)

    def check_alive(self) -> None:
        """Nothing, while all nodes run.

        Raises:
            DemoFailed: one has ended.
        """
        for place, process in self._processes:
            if process.poll() is not None:
                raise DemoFailed(f"the node {place.name} ended by itself: {_last_words(place)}")

    def stop(self) -> None:
        """End every node this fleet started, by its process id, and wait for it."""
        for _, process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        deadline = time.monotonic() + _STOP_S
        for _, process in self._processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def _start(self, place: Place) -> subprocess.Popen[bytes]:
        with place.log.open("ab") as log:
            process = subprocess.Popen(
                # -P: a folder called `node` where the person stands is not ours
                [sys.executable, "-P", "-m", "node", "run", "--until-eof", "--config", str(place.config)],
                stdin=subprocess.PIPE,  # held open: a demo that is killed takes its nodes along
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the demo, which then stops the nodes in order
                cwd=place.folder,
            )
        self._processes.append((place, process))
        return process


def wait_until(what: str, is_done: Callable[[], bool], fleet: Fleet, timeout_s: float, pause_s: float = 0.1) -> None:
    """Ask again and again until it is so.

    Raises:
        DemoFailed: a node ended, or the time is over; says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not is_done():
        fleet.check_alive()
        if time.monotonic() > deadline:
            raise DemoFailed(f"after {timeout_s:g} s, {what} had still not happened")
        time.sleep(pause_s)


def _read_ready(process: subprocess.Popen[bytes], name: str, lines: dict[str, dict[str, Any]]) -> None:
    """Wait for the readiness line, then keep the pipe empty."""
    stdout: IO[bytes] | None = process.stdout
    if stdout is None:
        return
    for line in stdout:
        start = line.find(b"{")
        with contextlib.suppress(ValueError):
            document = json.loads(line[start:]) if start >= 0 else {}
            if document.get("event") == "ready":
                lines[name] = document
                break
    threading.Thread(target=stdout.read, daemon=True).start()


def _last_words(place: Place) -> str:
    """The sentence with which a node ended, from its log."""
    with contextlib.suppress(OSError):
        for line in reversed(place.log.read_text(encoding="utf-8", errors="replace").splitlines()):
            if line.startswith("murmur: "):
                return line.removeprefix("murmur: ")
        return f"it said nothing that explains it; its log is {place.log}"
    return "it left no log"


def _murmur(*words: object) -> None:
    """One command of the command line, in this process, with its talk kept for the case that it fails."""
    from node.cli import main

    talk = io.StringIO()
    try:
        with contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
            main([str(word) for word in words])
    except SystemExit as end:
        if end.code not in (0, None):
            said = talk.getvalue().strip().splitlines()
            reason = said[0].removeprefix("murmur: ") if said else "no reason given"
            raise DemoFailed(f"murmur {words[0]} refused: {reason}") from None


def remove_folder(folder: Path) -> None:
    """Delete what a demo left behind, sealed data and keys with it."""
    import shutil

    if folder.exists() and not folder.is_symlink() and os.access(folder, os.W_OK):
        shutil.rmtree(folder, ignore_errors=True)
