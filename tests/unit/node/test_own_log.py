"""When a node may sign: whom it waits for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.mesh.own_log import OwnLog

A, B, C, D = (bytes([letter]) * 32 for letter in b"abcd")


def own_log(tmp_path: Path, *, compared: set[bytes], removed: set[bytes]) -> OwnLog:
    """The own log of a node with four others, all of whom could be called and none of whom failed."""
    peers = [SimpleNamespace(node=node, url="https://node.example", last_failure_ms=None) for node in (A, B, C, D)]
    core: Any = SimpleNamespace(
        peers=lambda: peers, compared_with=frozenset(compared), rules=SimpleNamespace(is_removed=removed.__contains__)
    )
    parts: Any = SimpleNamespace(core=core)
    made = OwnLog(parts, tmp_path / "anchor")
    made.note_progress()
    return made


@pytest.mark.requirement("T-DISK-1")
@pytest.mark.parametrize(
    ("compared", "removed", "may_go_on"),
    [
        (set(), set(), False),
        ({A, B}, set(), False),
        ({A, B, C}, set(), True),
        ({A}, {B, C, D}, True),
        ({A}, {C, D}, False),
        ({C, D}, {C, D}, False),
    ],
)
def test_a_majority_is_of_the_members_that_are_members_still(
    tmp_path: Path, compared: set[bytes], removed: set[bytes], may_go_on: bool
) -> None:
    """Removed members are never asked: nobody waits for them, and their word counts for nothing."""
    assert own_log(tmp_path, compared=compared, removed=removed).can_settle == may_go_on
