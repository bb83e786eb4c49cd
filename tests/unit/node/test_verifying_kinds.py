"""`vault verify` over every kind of sealed file and every damage: flipped, cut, swapped, replayed, missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

from node.vault.calendar import EpochAccess
from node.vault.vault import Vault
from privacy.units import Window
from tests.unit.node.test_verifying import pieces
from tests.vault_kit import NOW, rows_of, vault_at

DAYS = [Window.containing("day", NOW), Window.containing("day", NOW - 24)]
KINDS = ("ended", "open", "cut", "merged", "kept", "pseudonym", "data")


def stored(vault: Vault, day: Window, frames: int) -> None:
    hour = day.start_hour
    assert isinstance(vault.admit_hour(max(hour, NOW - 40), NOW, backfill=True), EpochAccess)
    for seed in range(frames):
        vault.append({day: rows_of(3, hour, seed=seed)}, 4)


def made(folder: Path, kind: str) -> tuple[Vault, list[Path]]:
    """A vault with two files of a kind, of one epoch where that can be; the files."""
    vault = vault_at(folder)
    for day in DAYS:
        stored(vault, day, 3)
    if kind in ("pseudonym", "data"):
        return vault, sorted((folder / "epochs").glob(f"*.{kind}.key"))
    if kind == "open":
        return vault, sorted((folder / "segments").rglob("*.seg"))
    if kind == "cut":  # its process died: no footer
        vault._database.close()
        vault = vault_at(folder)
        return vault, sorted((folder / "segments").rglob("*.seg"))
    for day in DAYS:
        vault._shelf.end_epoch(day.text)
    if kind == "merged":
        vault.upkeep.many_frames = 2
        while vault.upkeep.compact():
            pass
    if kind == "kept":
        vault.kept.least_cells = 1
        cells = pa.table({"cell": pa.array([1, 2, 3], pa.uint32()), "value": pa.array([1, 1, 1], pa.int64())})
        for number, day in enumerate(DAYS):
            vault.kept.save(day.text, day.text, f"query {number}", b"s" * 32, cells)
        return vault, sorted((folder / "segments").rglob("*.kept"))
    return vault, sorted((folder / "segments").rglob("*.seg"))


def flipped(one: Path, other: Path) -> None:
    content = bytearray(one.read_bytes())
    content[len(content) // 2] ^= 1
    one.write_bytes(content)


def cut(one: Path, other: Path) -> None:
    os.truncate(one, one.stat().st_size - 5)


def swapped(one: Path, other: Path) -> None:
    ours, theirs = one.read_bytes(), other.read_bytes()
    one.write_bytes(theirs)
    other.write_bytes(ours)


def replayed(one: Path, other: Path) -> None:
    """A frame once more: in place of the third, or, where there is one only, after it. Of a key, another day's."""
    if one.suffix == ".key":
        one.write_bytes(other.read_bytes())
        return
    parts = pieces(one.read_bytes())
    if len(parts) > 3:
        parts[3] = parts[1]
    else:
        parts.insert(2, parts[1])
    one.write_bytes(b"".join(parts))


def missing(one: Path, other: Path) -> None:
    one.unlink()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [flipped, cut, swapped, replayed, missing])
def test_every_damage_to_every_kind_of_file_is_named(
    tmp_path: Path, kind: str, damage: Callable[[Path, Path], None]
) -> None:
    """By its epoch and file; the whole vault before it is whole."""
    vault, files = made(tmp_path, kind)
    assert len(files) == 2
    assert vault.upkeep.verify() == []
    damage(files[0], files[1])
    found = vault.upkeep.verify()
    wanted = f"{kind} key" if kind in ("pseudonym", "data") else files[0].stem
    assert wanted in {name for one in found for name in (one.segment, one.frame)}, found


@pytest.mark.parametrize("kind", ["pseudonym", "data"])
def test_a_key_file_with_another_key_is_named(tmp_path: Path, kind: Literal["pseudonym", "data"]) -> None:
    """A whole file of that epoch and node, wrapped with the master key, from an earlier making: replayed."""
    vault, _ = made(tmp_path, "ended")
    vault._keys._write(DAYS[0].text, kind, b"x" * 32)
    assert (DAYS[0].text, f"{kind} key") in {(one.epoch, one.frame) for one in vault.upkeep.verify()}
