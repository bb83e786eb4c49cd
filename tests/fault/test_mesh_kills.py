"""Real nodes on bad wires, killed again and again while summaries flow: nothing is lost, nothing counts twice.

In the end all nodes hold the same entries and give the same answers byte for byte; every slot holds one release; and
the vectors that releases were made of hold every acknowledged event once.

Ten nodes in network namespaces whose packets are lost, late and out of order, or on loopback behind a relay that loses
and delays where this process may not make namespaces: for a minute in the fast suite, for ten in the slow one
(`MURMUR_MESH_KILLS_S`).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Measure
from tests.fault.lossy_relay import LossyRelay
from tests.fault.mesh_rig import METRICS, Mesh, Wires
from tests.fault.packet_wires import PacketWires

SLOW_S = float(os.environ.get("MURMUR_MESH_KILLS_S", "600"))


def play(mesh: Mesh, deaths: int, for_s: float, pause_s: float) -> None:
    """Run, heal, and assert all of it."""
    try:
        mesh.run(deaths, for_s, pause_s)
        mesh.agree()
    finally:
        mesh.stop()
    stored = mesh.stored()
    assert len(set(stored)) == 1
    releases = mesh.releases()
    assert len(releases) == len(mesh.members) * mesh.days * len(METRICS)
    assert {len(found) for found in releases.values()} == {1}  # one release a slot, published once or more
    for member in mesh.members:
        assert mesh.vectors(member) == mesh.expected(member)


def best_wires(count: int, seed: int, folder: Path) -> Wires:
    """Namespaces where they may be made, else the relay."""
    try:
        return PacketWires(count, seed, folder)
    except (OSError, subprocess.CalledProcessError):
        return LossyRelay(count, seed)


@pytest.mark.timeout(900)
def test_case_9_ten_nodes_killed_for_a_minute_agree_and_lose_nothing(tmp_path: Path) -> None:
    """A day of everybody's every ten seconds, and a death or two meanwhile."""
    play(Mesh(tmp_path / "mesh", best_wires(10, 1, tmp_path / "wires"), days=6, seed=1), 6, 60, 6.0)


@pytest.mark.slow
@pytest.mark.timeout(SLOW_S + 900)
def test_case_9_ten_nodes_killed_for_ten_minutes_agree_and_lose_nothing(tmp_path: Path, measured: Measure) -> None:
    """The same, longer, with packets lost below TCP."""
    wires = best_wires(10, 2, tmp_path / "wires")
    mesh = Mesh(tmp_path / "mesh", wires, days=max(10, int(SLOW_S / 10)), seed=2)
    play(mesh, 10, SLOW_S, 1.0)
    slots = len(mesh.releases())
    told = f"{mesh.deaths} deaths in {SLOW_S:g} s, {wires.what}"
    measured(f"slots lost or doubled, of {slots} of ten nodes; {told}", "0", "0", True)
