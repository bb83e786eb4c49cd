"""I2 and I7: killed at any step of the publishing transaction, nothing is released twice and the charge covers it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from node.anchor import load_anchor
from node.state.database import StateDatabase
from node.state.log import LogStore
from protocol.entries import ABSTAIN, SUMMARY
from protocol.ids import NodeId
from protocol.kind_data import parse_abstain
from protocol.summaries import parse_summary

CHILD = Path(__file__).with_name("publishing_child.py")
NODE = NodeId(b"n" * 32)
STEPS = ("draw", "bound", "begin", "add", "sign", "insert", "commit", "committed", "anchor", "anchored")
SLOTS = 12  # four windows, three metrics
ROOM = 2  # releases at 1/100 that a cap of 1/40 leaves room for


def run_child(folder: Path, step: str, count: int = 1) -> tuple[int, list[str]]:
    """The child's exit code and the entry ids it had pushed."""
    root = CHILD.parents[2]
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), step, str(count)], capture_output=True, text=True, cwd=root,
        env={"PYTHONPATH": str(root), "PATH": ""}, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_releases_nothing_twice(tmp_path: Path, step: str) -> None:
    """Kill at the first, then at the third time a step is reached, then run through: one answer per slot, paid once."""
    pushed: list[str] = []
    for count in (1, 3):
        code, sent = run_child(tmp_path, step, count)
        assert code == -9, "the child was to be killed"
        pushed += sent
    code, sent = run_child(tmp_path, "never")
    assert code == 0
    pushed += sent

    database = StateDatabase(tmp_path / "state.db")
    entries = list(LogStore(database).replay(NODE))
    assert [entry.header.seq for entry in entries] == list(range(len(entries)))
    assert all(one.id == two.header.prev for one, two in itertools.pairwise(entries))
    ids = [entry.id.hex() for entry in entries]
    assert set(pushed) <= set(ids), "what was pushed is in the log"
    assert len(pushed) == len(set(pushed))

    summaries = [parse_summary(entry.entry.data, NODE) for entry in entries if entry.header.kind == SUMMARY]
    abstains = [parse_abstain(entry.entry.data) for entry in entries if entry.header.kind == ABSTAIN]
    slots = [(one.definition, one.window) for one in (*summaries, *abstains)]
    assert len(slots) == len(set(slots)) == SLOTS
    assert {one.reason for one in abstains} == {"budget"}

    charged = dict(database.query("SELECT epoch, sum(rho_nano) FROM charges GROUP BY epoch"))
    for window in {one.window for one in summaries}:
        paid = [one for one in summaries if one.window == window]
        assert len(paid) == ROOM
        assert charged[window] == sum(charge.rho_nano for one in paid for charge in one.charges) == 20_000_000
        assert max(total.rho_nano for one in paid for total in one.total) == 20_000_000

    anchor = load_anchor(tmp_path / "anchor")
    assert anchor is not None
    assert (anchor.generation, anchor.seq) <= (0, len(entries) - 1), "the anchor is never ahead of the disk"


def test_the_checks_see_a_second_release(tmp_path: Path) -> None:
    """A ledger that forgets: with the slot's row gone, the same slot is released again and the slots repeat."""
    assert run_child(tmp_path, "never")[0] == 0
    database = StateDatabase(tmp_path / "state.db")
    with database.transaction() as connection:
        connection.execute("DELETE FROM charges")
        connection.execute("DELETE FROM slots")
    database.close()
    assert run_child(tmp_path, "never")[0] == 0
    entries = list(LogStore(StateDatabase(tmp_path / "state.db")).replay(NODE))
    summaries = [parse_summary(entry.entry.data, NODE) for entry in entries if entry.header.kind == SUMMARY]
    slots = [(one.definition, one.window) for one in summaries]
    assert len(slots) == 2 * len(set(slots))
    assert len({one.release for one in summaries}) == len(summaries), "fresh noise: another release each time"
