"""How the demo tests call the command line: free ports, an empty home, no colour."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

TIMEOUT_S = 300


def port_base() -> int:
    """A base whose twelve ports are free now; the range is apart from the default ports."""
    for base in range(21_000 + os.getpid() % 500 * 30, 60_000, 30):
        try:
            for port in [*range(base, base + 4), *range(base + 10, base + 14), *range(base + 20, base + 24)]:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


def demo_command(*words: object, base: int | None = None) -> list[str]:
    ports = ["--port-base", str(base or port_base())]
    return [sys.executable, "-P", "-m", "node", "demo", *ports, *map(str, words)]


def empty_home(home: Path) -> dict[str, str]:
    """An empty home: the demo must need nothing from it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MURMUR", "XDG"))}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "NO_COLOR": "1"}
