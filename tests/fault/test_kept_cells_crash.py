"""A crash at every write of kept cells: never a set that is not of the rows, never one that outlives a person.

The life below runs once to count its points (each disk call and transaction), then once for each, where it dies: as by
kill -9 and as by a power cut.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from node.vault import kept_cells, shelf
from node.vault.calendar import EpochAccess
from node.vault.upkeep import NamedPerson
from privacy.person_key import Pseudonyms
from tests.fault.test_vault_crash import Died, Life, MortalDatabase, vault_on
from tests.unit.node.test_kept_cells import AGAIN, EVENTS, from_cells, kept_files, released
from tests.vault_kit import NOW, TODAY, Faults, rows_of, seeded, vault_at

ANNS = 4


def play(life: Life) -> None:
    """Two sets are kept, segments are compacted, one set is replaced, ann is forgotten, a set is kept again."""
    life.faults.act = life.point
    vault = vault_on(MortalDatabase(life.folder / "state.db", life), life.folder, disk=life.faults.disk)
    vault.upkeep.many_frames = 2
    vault.kept.least_cells = 0
    vault.recover(NOW * 3600)
    access = vault.admit_hour(NOW, NOW, backfill=False)
    assert isinstance(access, EpochAccess)
    ann = Pseudonyms(access.pseudonym_key, seeded(1)).person(0, "ann")
    for seed in range(ANNS):
        vault.append(
            {TODAY: [(ann, *row[1:]) if not place else row for place, row in enumerate(rows_of(8, seed=seed))]}, 4
        )
        vault._shelf.end_epoch(TODAY.text)
    life.done.append("stored")
    vault.close_window(TODAY, (TODAY.end_hour + 24) * 3600)
    released(vault)
    life.done.append("kept")
    released(vault, binding=AGAIN)
    assert vault.upkeep.compact()
    vault.append({TODAY: rows_of(1, seed=99)}, 4)
    life.done.append("more")
    released(vault)
    vault.upkeep.forget([NamedPerson("user", "ann")])
    life.done.append("forgotten")
    released(vault)
    life.done.append("all")


def lived(folder: Path, dies_at: int = 10**9) -> Life:
    life = Life(folder, Faults(), dies_at)
    folder.mkdir()
    try:
        play(life)
    except Died:
        life.faults.act = lambda *_: None
    return life


def check(life: Life) -> None:
    """After a restart: every file is a whole set of the rows, and nothing of ann is left once she was forgotten."""
    vault = vault_at(life.folder)
    assert vault.upkeep.verify() == []
    recorded = {bytes(row[0]).hex() for row in vault._database.query("SELECT id FROM kept_cells")}
    assert {path.stem for path in kept_files(life.folder)} == recorded
    if "stored" not in life.done:
        return
    for binding, factor in ((EVENTS, 1), (AGAIN, 2)):
        found = from_cells(vault, binding=binding)
        rows = vault.read(TODAY).num_rows
        assert found is None or sum(found) == factor * rows
        if "forgotten" in life.done:
            assert rows == 8 * ANNS + 1 - ANNS
    vault.kept.least_cells = 0
    assert sum(released(vault)) == vault.read(TODAY).num_rows
    assert from_cells(vault) is not None or not vault.is_closed(TODAY)


def die_at_points(folder: Path, every: int = 1) -> None:
    """Die at every such point; at all of them by kill and by power cut, at some by turns."""
    whole = lived(folder / "whole")
    assert whole.done[-1] == "all"
    check(whole)
    for dies_at in range(0, whole.points, every):
        for is_power_cut in (False, True) if every == 1 else (dies_at % 2 == 0,):
            life = lived(folder / f"{dies_at}{'p' * is_power_cut}", dies_at)
            if is_power_cut:
                life.faults.lose_power()
            check(life)


def test_no_crash_leaves_a_wrong_or_a_lost_set(tmp_path: Path) -> None:
    """At every seventh point, by turns killed and cut off."""
    die_at_points(tmp_path, every=7)


@pytest.mark.slow
def test_no_crash_anywhere_leaves_a_wrong_or_a_lost_set(tmp_path: Path) -> None:
    """At every point, kill and power cut."""
    die_at_points(tmp_path)


@pytest.mark.parametrize("broken", ["forgetting leaves the sets", "no removal is noted", "any set is used"])
def test_a_careless_cache_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The test above fails for each of these."""
    if broken == "forgetting leaves the sets":
        monkeypatch.setattr(shelf, "give_up_epoch", lambda _connection, _epoch: None)
        monkeypatch.setattr(shelf, "source_of", lambda _segments: b"0" * 32)
        monkeypatch.setattr("node.vault.vault.source_of", lambda _segments: b"0" * 32)
    elif broken == "no removal is noted":
        monkeypatch.setattr(kept_cells, "insert_removal", lambda *_: None)
    else:
        monkeypatch.setattr("node.vault.vault.source_of", lambda _segments: b"0" * 32)
    with pytest.raises(AssertionError):
        die_at_points(tmp_path, every=3 if broken == "no removal is noted" else 7)
