"""A disk that is full, fails or is read-only, at every kind of call of a real node, below every library (rig.py).

Whatever fails: nobody is told that something is stored which is not; the process ends only where it no longer knows
what is on disk (a sync, or a state update that failed for another reason than room), says the code, and leaves no stack
trace; with the disk mended everything acknowledged is there once and every window is released once.
"""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import pytest

from node.admin_client import RefusedByNode
from node.errors import TransportError
from tests.conftest import ROOT, Measure
from tests.fault.rig import FOREVER, Rig, Tree, rigs  # noqa: F401 - a fixture
from tests.fault.test_disk_points import SLOTS, Round, Tried, watched
from tests.fault.test_node_kill import RELEASED_S, DidNotStart, answered, senders
from tests.node_kit import START_S, event, found_shop

pytestmark = pytest.mark.timeout(600)


def wait_for(is_so: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def asked(tried: Tried, path: str, body: dict[str, Any], method: str = "POST") -> str:
    """The code an operator's request is refused with, `ok` where it is not."""
    try:
        tried.shop.admin.exchange(method, path, body)
    except RefusedByNode as refused:
        return str(refused.problem["code"])
    except TransportError as gone:
        return gone.code
    return "ok"


def operators_requests(tried: Tried) -> dict[str, str]:
    """What an operator may ask that writes: how each ends."""
    person = {"kind": "user", "ids": ["person-1"]}
    return {
        "forget": asked(tried, "/v1/person", person, "DELETE"),
        "rotate-master": asked(tried, "/v1/admin/keys/rotate-master", {}),
        "rotate": asked(tried, "/v1/admin/keys/rotate", {}),
        "tokens": asked(tried, "/v1/admin/tokens", {"kind": "write"}),
    }


def parts(tried: Tried) -> dict[str, str]:
    """What /readyz says of each part."""
    return dict(tried.shop.call("GET", "/readyz")[1]["parts"])


def test_a_disk_that_is_full_for_a_while_stops_nothing(rigs: Callable[[], Rig], tmp_path: Path) -> None:  # noqa: F811
    """503 and `disk_full` for everyone, /readyz says why, nothing is signed or lost; with room the process goes on."""
    tried = Tried(rigs(), tmp_path / "vectors")
    with tried.node(START_S, env=tried.rig.begin()) as process:
        wait_for(lambda: parts(tried)["releases"] == "ok")
        assert tried.shop.post([event(1)])[0] == 202
        tried.rig.fail_at(1, errno.ENOSPC, times=FOREVER)
        status, document = tried.shop.post([event(2)])
        assert (status, document["code"]) == (503, "ingest_unavailable")
        assert "full" in document["detail"]
        assert set(operators_requests(tried).values()) == {"disk_full"}
        assert parts(tried)["ingest"] == "disk_full"
        tried.rig.mend()
        assert tried.shop.post([event(2), event(3)])[0] == 202
        assert set(operators_requests(tried).values()) == {"ok"}  # person-1 is forgotten here
        assert process.poll() is None
    tried.check()
    with tried.node(RELEASED_S, env=tried.rig.begin()) as process:
        wait_for(lambda: parts(tried)["releases"] == "ok")
        wait_for(lambda: len(answered(tried.shop)) >= SLOTS)
    tried.load.next_number = 2
    assert tried.is_exact()


@pytest.mark.slow
def test_a_round_of_releases_without_room_is_made_later(rigs: Callable[[], Rig], tmp_path: Path) -> None:  # noqa: F811
    """Full from the first state update of a round on: no entry, no charge, and /readyz says why; later all of it."""
    tried = Tried(rigs(), tmp_path / "vectors")
    with tried.node(START_S):
        assert tried.shop.post([event(0), event(1)])[0] == 202
    with tried.node(RELEASED_S, env=tried.rig.begin()) as process:
        tried.rig.fail_at(1, errno.ENOSPC, times=FOREVER)
        wait_for(lambda: parts(tried)["releases"] in ("disk_full", "anchor_unwritable"))
        tried.rig.fail_at(1, errno.ENOSPC, "*state.db*", times=FOREVER)
        wait_for(lambda: parts(tried)["releases"] == "disk_full")
        assert answered(tried.shop) == []
        tried.rig.mend()
        wait_for(lambda: len(answered(tried.shop)) >= SLOTS)
        wait_for(lambda: parts(tried)["releases"] == "ok")
        assert process.poll() is None
    tried.check()
    tried.load.next_number = 2
    assert tried.is_exact()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_start_on_a_disk_that_takes_nothing_is_refused_in_words(
    rigs: Callable[[], Rig],  # noqa: F811
    code: int,
) -> None:
    """From the first call on, and from the state database on: a code, the place and what to do; no stack trace."""
    rig = rigs()
    shop = found_shop(rig.folder / "shop")
    before = rig.tree()
    for pattern, said in (("", "data_unwritable"), ("* /shop/data/state.db*", "state.db")):
        rig.put(before)
        env = {**rig.begin(), "PYTHONPATH": str(ROOT)}
        rig.fail_at(1, code, pattern, times=FOREVER)
        command = [sys.executable, "-P", "-m", "node", "run", "--config", shop.config]
        ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert str(shop.data) in ended.stderr
        assert "Traceback" not in ended.stderr


def may_end(one: Round, code: int) -> bool:
    """Whether an error there leaves unknown what is on disk."""
    return one.kind.startswith("sync") or ("state.db" in one.kind and code != errno.ENOSPC)


def comes_again(one: Round) -> bool:
    """Whether it is passed in every such phase. What comes once is test_node_disk's, at every call of the way in."""
    is_of_releases = "state.db" in one.kind or "anchor" in one.kind or one.kind == "sync /shop"
    return not one.is_first and "shm" not in one.kind and (one.phase in ("load", "stop") or is_of_releases)


@pytest.mark.slow
def test_an_error_at_every_kind_of_call_acknowledges_nothing_and_loses_nothing(
    rigs: Callable[[], Rig],  # noqa: F811
    tmp_path: Path,
    measured: Measure,
) -> None:
    """Each kind of call fails once, with ENOSPC where it takes room, and with EIO."""
    rounds = [one for one in watched(rigs(), tmp_path / "watched") if comes_again(one)]
    tried, log = Tried(rigs(), tmp_path / "vectors"), tmp_path / "log"
    cases = [(one, code) for one in rounds for code in (errno.ENOSPC, errno.EIO)
             if code == errno.EIO or one.kind.split()[0] in ("create", "write", "mkdir", "rename")]  # fmt: skip
    before: Tree | None = None
    failed = 0
    outcomes: Counter[str] = Counter()
    for number, (one, code) in enumerate(cases):
        is_late = one.phase in ("release", "end")
        if is_late:
            if before is None:
                tried.settle()
                before = tried.rig.tree()
            tried.rig.put(before)
            tried.said.clear()
        env = tried.rig.begin()
        tried.rig.fail_at(1 + number % 3 if one.often > 3 else 1, code, one.kind)
        with log.open("wb") as lines:
            how = life(tried, env, lines, is_late=is_late)
        failed += bool(tried.rig.failures)
        outcomes[how] += 1
        said = log.read_text()
        if how == "ended":
            assert may_end(one, code), (one, said[-3000:])
            assert "node.failed" in said
            assert "Traceback" not in said, (one, said[-3000:])
        tried.check()
    tried.settle()
    is_exact = tried.is_exact()
    measured(f"acknowledged events lost or doubled, of {tried.load.next_number}; {failed} failed system calls of "
             f"{len(rounds)} kinds ({dict(outcomes)})", "0" if is_exact else "not 0", "0", is_exact)  # fmt: skip
    assert is_exact
    assert failed >= 0.9 * len(cases)
    assert outcomes["went on"] > outcomes["ended"] > 3


def life(tried: Tried, env: dict[str, str], lines: IO[bytes], *, is_late: bool) -> str:
    """A short life in which one call fails; how it went."""
    try:
        with tried.node(RELEASED_S if is_late else START_S, env=env, stderr=lines) as process:
            with nullcontext() if is_late else senders(tried.load):
                for _ in range(15):
                    time.sleep(0.1)
                    if process.poll() is not None:
                        return "ended"
            process.terminate()
            process.wait(30)
            return "went on"
    except DidNotStart:
        return "did not start"
