"""Any bytes at every door of the mesh: a value or a named error, in bounded memory and time.

The kept corpus is replayed here; the slow suite bends it for two minutes. A new trace is no fault: keep it with
`mesh_doors.py`. Seeds of the long run are new each time; a failure prints the input.
"""

from __future__ import annotations

import os
import time
import tracemalloc

import pytest

from tests.conftest import Measure
from tests.fuzz.mesh_doors import Door, corpus, doors, fuzz, trace

MIB = 1 << 20
FUZZ_S = float(os.environ.get("MURMUR_FUZZ_S", "120"))
DOORS = doors()


@pytest.mark.parametrize(("name", "door"), DOORS.items(), ids=DOORS.keys())
def test_the_corpus_leaves_values_and_named_errors(name: str, door: Door) -> None:
    """Each kept input at its door; each but a few leave a trace of their own."""
    inputs = corpus(name)
    assert inputs
    traces = {trace(name, door, data) for data in inputs}
    assert 2 * len(traces) >= len(inputs)


def test_the_corpus_costs_little_memory_and_time() -> None:
    """All inputs of all doors at every decoder that is no node: at most eight MiB at once, and a second of CPU each."""
    decoders = {name: door for name, door in DOORS.items() if not name.startswith("node")}
    inputs = sorted({data for name in DOORS for data in corpus(name)})[::7]
    tracemalloc.start()
    try:
        start = time.process_time()
        for data in inputs:
            for name, door in decoders.items():
                trace(name, door, data)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
        assert time.process_time() - start < len(inputs)
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S * 4 + 300)
def test_long_fuzzing_finds_values_and_named_errors_only(measured: Measure) -> None:
    """Whatever else a door does is raised out of here."""
    seed = int(time.time())
    fresh = sum(told not in known for known, told in _fresh(seed))
    measured(
        f"traces that the corpus lacks, {FUZZ_S:g} s of fuzzing, seed {seed}; faults", f"{fresh}; 0", "any; 0", True
    )


def _fresh(seed: int) -> list[tuple[set[str], str]]:
    kept = {name: {trace(name, door, data) for data in corpus(name)} for name, door in DOORS.items()}
    return [(kept[name], told) for name, told, _ in fuzz(FUZZ_S, seed)]
