"""After any storm, once the network is whole again, all honest nodes hold the same and judge the same (DESIGN I2-I8).

A hundred seeds of three to six nodes in the fast suite, two thousand of three to twelve in the slow one, and one
federation of two hundred. A failing run is made short and printed; under a name in `found/` it is run for ever after.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import pytest

from protocol.errors import BadSignature
from protocol.keys import SigningKey, verify
from tests.simulation.once import each_signature_once
from tests.simulation.operations import Run, draw_run
from tests.simulation.shrink import shrink
from tests.simulation.storm import FEW, fault_of, survive
from tests.simulation.world import World

FOUND: Final = Path(__file__).parent / "found"
MANY: Final = range(3, 13)
SEEDS: Final = 2_000
PART: Final = 20


@pytest.mark.requirement("M-ADM-1", "M-MSG-24", "T-NET-4", "T-FLT-1")
@pytest.mark.parametrize("seed", range(100), ids=lambda seed: f"seed_{seed}")
def test_after_healing_all_nodes_agree(seed: int) -> None:
    """Loss, delay, reorder, duplicates, flipped bits, partitions, one-way links, crashes, rollbacks, clones, wrong
    clocks, stalled members, votes and liars leave no trace."""
    _check([seed], FEW)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOUND.glob("*.json")))
def test_what_once_failed_holds(name: str) -> None:
    """Runs kept by name, each made short: `found/NAME.json`."""
    survive(Run.decode((FOUND / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_two_thousand_seeds() -> None:
    """Federations of three to twelve nodes, on all cores."""
    parts = [range(start, start + PART) for start in range(1_000, 1_000 + SEEDS, PART)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        for done in as_completed([pool.submit(_check, list(part), MANY) for part in parts]):
            done.result()


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_two_hundred_nodes_agree() -> None:
    """One federation above the limits of pushing: announcements, spans of heads, and the same answers in the end.

    Two members fork and overspend, one has a clone, some crash, one stalls, thirty publish. Who crashes at every tenth
    entry would do little but greet 199 others anew.
    """
    drawn = draw_run(11, [200])
    publications = [one for one in drawn.operations if one.does == "publish"]
    operations = tuple(one for one in drawn.operations if one not in publications[30:])
    run = replace(drawn, faults={**drawn.faults, "loss": 10, "crash_after_save": 0}, operations=operations)
    assert run.by_spans
    assert {"fork", "overspend", "noise_twice", "replay", "crash", "clone", "stall", "skew", "cut_one_way"} <= {
        one.does for one in run.operations
    }
    world = survive(run)
    assert world.traffic["announce"] > world.traffic["push"]


def _check(seeds: Sequence[int], sizes: Sequence[int]) -> None:
    """Every seed's run holds; of the first that does not, the shortest run that fails in the same way is told."""
    for seed in seeds:
        run = draw_run(seed, sizes)
        fault = fault_of(run)
        if fault is not None:
            short = shrink(run, partial(_fails_like, type(fault)))
            raise AssertionError(f"seed {seed}: {fault}\nKeep it in found/NAME.json:\n{short.encode()}") from fault


def _fails_like(kind: type[Exception], run: Run) -> bool:
    return isinstance(fault_of(run), kind)


def test_a_run_is_the_same_each_time_and_survives_being_written_down() -> None:
    """Equal heads after equal messages: the same seed, the same run read back, and every signature computed by all."""

    def course(run: Run, *, verify_each: bool = False) -> object:
        world: World = survive(run, verify_each=verify_each)
        assert world.nodes[0].core is not None
        return world.nodes[0].core.logs.digest, world.traffic, world.now_ms

    run = draw_run(7, FEW)
    assert Run.decode(run.encode()) == run
    once = course(run)
    assert once == course(draw_run(7, FEW)) == course(Run.decode(run.encode())) == course(run, verify_each=True)


def test_a_signature_that_is_not_good_is_found_each_time() -> None:
    """Remembered is only what was good, of this key and these bytes."""
    key, other = SigningKey(bytes(32)), SigningKey(b"o" * 32)
    with each_signature_once():
        signature = key.sign(b"message")
        for _ in range(2):
            verify(key.public_key, b"message", signature)
            for wrong in (
                (other.public_key, b"message", signature),
                (key.public_key, b"messages", signature),
                (key.public_key, b"message", signature[:-1] + bytes([signature[-1] ^ 1])),
            ):
                with pytest.raises(BadSignature):
                    verify(*wrong)


def test_shrinking_leaves_what_the_fault_needs() -> None:
    """Of many operations those two remain without which it does not fail."""
    run = draw_run(5, FEW)
    needed = {run.operations[2], run.operations[-3]}
    short = shrink(run, lambda one: needed <= set(one.operations))
    assert set(short.operations) == needed
