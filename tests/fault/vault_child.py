"""The child of test_vault_kill: appends groups of 25 rows until it is killed, and says each acknowledged number.

Run as `python vault_child.py FOLDER FIRST`. Event keys are numbered from FIRST. It finds the kit by its folder, as a
package called `tests` may be installed elsewhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from vault_kit import HISTORY, NOW, rows_of, vault_at  # noqa: E402

from node.vault.calendar import EpochAccess  # noqa: E402

HOURS = (NOW, NOW - 24, HISTORY, HISTORY + 24)


def main(folder: Path, number: int) -> None:
    vault = vault_at(folder, backfill_from_hour=HISTORY)
    vault._shelf._rotate_bytes, vault._shelf._max_open = 20_000, 3
    while True:
        groups = {}
        for hour in HOURS[number % 3 :]:
            access = vault.admit_hour(hour, NOW, backfill=True)
            assert isinstance(access, EpochAccess)
            rows = rows_of(25, hour)
            numbers = range(number, number + len(rows))
            groups[access.epoch] = [(*row[:3], key, *row[4:]) for row, key in zip(rows, numbers, strict=True)]
            number += len(rows)
        vault.append(groups, 4)
        os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
