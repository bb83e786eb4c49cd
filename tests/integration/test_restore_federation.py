"""A node that lost its machine, anchor and all, comes back from a backup among real peers (T8, case 10, DESIGN I2)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.small_federation import Federation
from tests.integration.test_own_log import TICK_S, begin, entries, in_step, signing, wait_for


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    made = Federation(tmp_path, tick_s=dict.fromkeys(("amber", "birch", "cedar", "dune"), TICK_S))
    yield made
    made.close()


@pytest.mark.requirement("T-DISK-1")
def test_a_lost_machine_signs_nothing_before_a_majority_told_it_what_it_had_said(federation: Federation) -> None:
    """Backup, releases, loss; restored and alone it waits; with two of three peers it goes on, and repeats nothing."""
    begin(federation, "amber", "birch", "cedar")
    place, secret = federation.places["amber"], federation.root / "secret"
    secret.write_text("six words that nobody guesses\n")
    secret.chmod(0o600)
    backup = federation.root / "amber.backup"

    def murmur(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "node", *map(str, words), "--config", str(place.config)], capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    murmur("backup", backup, "--passphrase-file", secret)
    federation.play("amber", 5)
    federation.finish("amber")
    wait_for("birch has it", lambda: sum(kind == "summary" for *_, kind in entries(federation, "birch")) >= 6)
    wait_for("peers have it", lambda: in_step(federation, "amber", "birch", "cedar"))
    told = [item for item in entries(federation, "birch") if item[2] in ("summary", "abstain")]
    assert [item for item in told if item[2] == "summary"]
    for name in ("amber", "birch", "cedar"):
        federation.fleets[name].stop()
    shutil.rmtree(place.data)
    (place.folder / "anchor").unlink()
    assert "a majority must answer" in murmur("restore", backup, "--passphrase-file", secret)
    federation.start("amber")
    time.sleep(3 * TICK_S)
    assert "anchor" in signing(federation, "amber")["held_back"]
    assert len(entries(federation, "amber")) < len(told)
    federation.start("birch", "cedar")
    wait_for("amber signs", lambda: signing(federation, "amber")["held_back"] is None)
    wait_for("all agree", lambda: in_step(federation, "amber", "birch", "cedar"))
    after = [item for item in entries(federation, "birch") if item[2] in ("summary", "abstain")]
    assert after[: len(told)] == told
    assert len(set(after)) == len(after)
    assert not [item for item in after[len(told) :] if item[2] == "summary"]  # no event is left to release
    assert (place.folder / "anchor").exists()
