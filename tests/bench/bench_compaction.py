"""What do events cost on disk before and after compaction, and how long and how much memory does merging take?

A vault gets EVENTS events in frames of 1, 25, 800 and 5,000 (a batch of one at idle, of 25, a loaded node, a full
group), each case in a folder and a process of its own; then one person is forgotten, and all is verified. Rows as in
tests/vault_kit.py: four attributes, 0.6 persons an event. Memory is what the step added to the process's peak.

    .venv/bin/python tests/bench/bench_compaction.py [--events 1000000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from vault_kit import NOW, rows_of, vault_at  # noqa: E402

from node.vault.calendar import EpochAccess  # noqa: E402
from node.vault.upkeep import NamedPerson  # noqa: E402
from privacy.person_key import Pseudonyms  # noqa: E402
from privacy.units import Window  # noqa: E402

TODAY = Window.containing("day", NOW)
CASES = (1, 25, 800, 5_000)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "segments").rglob("*.seg"))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def case(events: int, frame: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vault = vault_at(folder)
        access = vault.admit_hour(NOW, NOW, backfill=False)
        assert isinstance(access, EpochAccess)
        ann = Pseudonyms(access.pseudonym_key, lambda size: bytes(size)).person(0, "ann")
        chunk = 100_000
        for start in range(0, events, chunk):
            rows = rows_of(min(chunk, events - start), NOW, seed=start, hours=12)
            rows[0] = (ann, *rows[0][1:])
            for at in range(0, len(rows), frame):
                vault._shelf.append({TODAY.text: rows[at : at + frame]}, 4)
        vault._shelf.end_epoch(TODAY.text)
        vault.upkeep.many_frames = 8
        files, before, peak = len(list((folder / "segments").rglob("*.seg"))), size_of(folder), peak_mb()
        cpu, wall, steps = time.process_time(), time.perf_counter(), 0
        while vault.upkeep.compact():
            steps += 1
        cpu, wall, added = time.process_time() - cpu, time.perf_counter() - wall, peak_mb() - peak
        after, left = size_of(folder), len(list((folder / "segments").rglob("*.seg")))
        mark = time.perf_counter()
        found = sum(vault.upkeep.forget([NamedPerson("user", "ann")]).rows_by_day.values())
        forgetting = time.perf_counter() - mark
        mark = time.perf_counter()
        assert vault.upkeep.verify() == []
        verifying = time.perf_counter() - mark
        return (
            f"| {frame} | {files} → {left} | {before / events:.1f} → {after / events:.1f} | {steps} | "
            f"{cpu * 1e6 / events:.2f} | {wall:.1f} | {added:.0f} | {forgetting:.1f} ({found}) | {verifying:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    print(f"{events:,} events, NumPy and lz4 on one thread")
    print("| frame | files | bytes an event | steps | CPU µs an event | s | MB more | forget, s (events) | verify, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for frame in CASES:
        share = events // 50 if frame == 1 else events  # one at a time is slow to write
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(case, (share, frame)) + (f" of {share:,}" if share != events else ""), flush=True)


if __name__ == "__main__":
    main()
