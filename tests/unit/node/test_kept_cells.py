"""Kept per-person cells: the release from them is the release from the rows; stale, damaged or unwanted, they go."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings

from node.vault.calendar import EpochAccess
from node.vault.engine import run_window
from node.vault.upkeep import NamedPerson
from node.vault.vault import Vault
from privacy.bounding import Binding
from privacy.bounding_reference import deduplicate, reference_vector
from privacy.person_key import Pseudonyms
from privacy.rows import Row
from privacy.units import Window
from tests.property.bounding_tables import WINDOW, Case, cases
from tests.vault_kit import NOW, TODAY, rows_of, seeded, vault_at

SALT = b"s" * 32
_AMOUNTS = "SELECT person, app AS unit, count(*) AS events FROM window_rows GROUP BY person, app"
_SELECTION = (
    "kept AS (SELECT * FROM pieces WHERE $turn + $shift >= 0) SELECT unit AS cell, sum(events) FROM kept GROUP BY unit"
)
EVENTS = Binding("", 5, _AMOUNTS, "", _SELECTION)
AGAIN = Binding("", 5, _AMOUNTS.replace("count(*)", "2 * count(*)"), "", _SELECTION)


def released(vault: Vault, window: Window = TODAY, binding: Binding = EVENTS) -> list[int]:
    """The vector, as a round of releases makes it."""
    with run_window(vault.window(window)) as engine:
        engine.expect([binding])
        vector = engine.vector(binding, SALT)
        engine.save_cells()
    return vector


def from_cells(vault: Vault, window: Window = TODAY, binding: Binding = EVENTS) -> list[int] | None:
    """The vector from kept cells alone; None where it would need the rows."""
    with patch.object(Vault, "open_rows", side_effect=LookupError), run_window(vault.window(window)) as engine:
        try:
            return engine.vector(binding, SALT)
        except LookupError:
            return None


def kept_files(folder: Path) -> list[Path]:
    return sorted((folder / "segments").rglob("*.kept"))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A day that is over, in four segments, ann and others in it."""
    vault = vault_at(tmp_path)
    access = vault.admit_hour(NOW, NOW, backfill=False)
    assert isinstance(access, EpochAccess)
    ann = Pseudonyms(access.pseudonym_key, seeded(1)).person(0, "ann")
    for seed in range(4):
        vault.append(
            {TODAY: [(ann, *row[1:]) if not place else row for place, row in enumerate(rows_of(30, seed=seed))]}, 4
        )
        vault._shelf.end_epoch(TODAY.text)
    vault.close_window(TODAY, (TODAY.end_hour + 24) * 3600)
    vault.kept.least_cells = 0
    return vault


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_kept_cells_give_the_vector_of_the_rows(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    """Sealed, opened by another process's vault, with another salt than they were made for: as plain Python counts."""
    folder, day = tmp_path_factory.mktemp("vault"), WINDOW
    rows = [row for row in case.rows if day.contains(row[4] or 0)]
    if case.layout.window != day or not rows:
        return
    vault = vault_at(folder, now_hour=day.start_hour + 8)
    vault.admit_hour(day.start_hour + 8, day.start_hour + 8, backfill=False)
    vault.append({day: rows}, 16)
    vault.close_window(day, (day.end_hour + 24) * 3600)
    vault.kept.least_cells = 0
    released(vault, day, case.binding)
    again = vault_at(folder, now_hour=day.start_hour + 8)
    for salt in (case.salt, SALT):
        wanted = reference_vector(deduplicate(rows, day), case.definition, case.layout, case.plans, salt)
        with run_window(again.window(day)) as engine:
            assert engine.vector(case.binding, salt) == wanted
    cells = from_cells(again, day, case.binding)
    assert cells is not None or not kept_files(folder)  # nobody's rows make no cells, and no file
    assert vault.upkeep.verify() == []


def test_the_second_release_needs_no_rows(vault: Vault, tmp_path: Path) -> None:
    """Also after a restart; another query, another window or rows of a day that still takes some do."""
    assert from_cells(vault) is None
    vector = released(vault)
    assert sum(vector) == 120
    assert from_cells(vault) == vector
    vault.close()
    again = vault_at(tmp_path)
    assert from_cells(again) == vector
    assert from_cells(again, binding=AGAIN) is None
    assert from_cells(again, Window("hour", NOW)) is None
    assert len(kept_files(tmp_path)) == 1


def test_nothing_is_kept_of_a_window_that_may_still_grow(tmp_path: Path) -> None:
    """The day is not closed."""
    vault = vault_at(tmp_path)
    vault.admit_hour(NOW, NOW, backfill=False)
    vault.append({TODAY: rows_of(30)}, 4)
    vault.kept.least_cells = 0
    released(vault)
    assert kept_files(tmp_path) == []


def test_few_cells_are_not_worth_a_file(vault: Vault, tmp_path: Path) -> None:
    """Made again in milliseconds."""
    vault.kept.least_cells = 1_000
    released(vault)
    assert kept_files(tmp_path) == []


def test_rows_that_came_later_are_not_left_out(vault: Vault, tmp_path: Path) -> None:
    """Cells of fewer rows are given up, file and all."""
    released(vault)
    vault.append({TODAY: rows_of(10, seed=77)}, 4)
    assert from_cells(vault) is None
    assert kept_files(tmp_path) == []
    assert sum(released(vault)) == 130


def test_compaction_keeps_the_cells_and_forgetting_does_not(vault: Vault, tmp_path: Path) -> None:
    """The same rows in other segments; then rows without ann."""
    vector = released(vault)
    vault.upkeep.many_frames = 2
    assert vault.upkeep.compact()
    assert from_cells(vault) == vector
    content = kept_files(tmp_path)[0].read_bytes()
    assert vault.upkeep.forget([NamedPerson("user", "nobody")]).rows_by_day == {}
    assert from_cells(vault) == vector
    assert sum(vault.upkeep.forget([NamedPerson("user", "ann")]).rows_by_day.values()) == 4
    assert kept_files(tmp_path) == []
    assert from_cells(vault) is None
    assert sum(released(vault)) == 116
    assert kept_files(tmp_path)[0].read_bytes() != content


def test_cells_made_while_a_person_was_forgotten_are_not_kept(vault: Vault, tmp_path: Path) -> None:
    """The release began with her rows; what it made of them is not written after they are gone."""
    with run_window(vault.window(TODAY)) as engine:
        engine.vector(EVENTS, SALT)
        vault.upkeep.forget([NamedPerson("user", "ann")])
        engine.save_cells()
    assert kept_files(tmp_path) == []


def test_cells_go_with_their_epoch(vault: Vault, tmp_path: Path) -> None:
    """File and record."""
    released(vault)
    vault.destroy_due_keys((TODAY.end_hour + 91 * 24) * 3600)
    assert kept_files(tmp_path) == []
    assert vault._database.query("SELECT count(*) FROM kept_cells") == [(0,)]


def test_a_flipped_byte_is_named_and_the_release_comes_from_the_rows(vault: Vault, tmp_path: Path) -> None:
    """Every 40th byte of the file and the last; the damaged set goes, and a whole one takes its place."""
    vector = released(vault)
    (path,) = kept_files(tmp_path)
    data = path.read_bytes()
    for place in (*range(0, len(data), 40), len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        (damage,) = {(one.segment, one.epoch) for one in vault.upkeep.verify()}
        assert damage == (path.stem, TODAY.text)
        assert all("kept cells" in one.why for one in vault.upkeep.verify())
    assert from_cells(vault) is None
    assert kept_files(tmp_path) == []
    assert released(vault) == vector == from_cells(vault)
    assert vault.upkeep.verify() == []


@pytest.mark.parametrize("harm", ["missing", "cut", "longer", "another set", "a segment"])
def test_a_file_that_is_not_the_one_is_not_used(vault: Vault, tmp_path: Path, harm: str) -> None:
    """Whatever stands in its place."""
    vector = released(vault)
    (path,) = kept_files(tmp_path)
    released(vault, binding=AGAIN)
    (other,) = (one for one in kept_files(tmp_path) if one != path)
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif harm == "longer":
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        instead = other if harm == "another set" else next((tmp_path / "segments").rglob("*.seg"))
        path.write_bytes(instead.read_bytes())
    assert {damage.segment for damage in vault.upkeep.verify()} == {path.stem}
    assert from_cells(vault) is None
    assert released(vault) == vector


def test_a_restored_node_without_the_files_forgets_the_sets(vault: Vault, tmp_path: Path) -> None:
    """Backups hold the state database, never cells."""
    vector = released(vault)
    vault.close()
    kept_files(tmp_path)[0].unlink()
    again = vault_at(tmp_path)
    assert again.upkeep.verify() == []
    assert again._database.query("SELECT count(*) FROM kept_cells") == [(0,)]
    assert released(again) == vector


def test_all_sets_together_stay_small(vault: Vault, tmp_path: Path) -> None:
    """The oldest goes; one that could never fit is not written."""
    released(vault)
    size = kept_files(tmp_path)[0].stat().st_size
    vault.kept.most_bytes = 2 * size + size // 2
    for factor in range(2, 6):
        released(vault, binding=Binding("", 5, _AMOUNTS.replace("count(*)", f"{factor} * count(*)"), "", _SELECTION))
    assert len(kept_files(tmp_path)) == 2
    assert from_cells(vault) is None
    before = kept_files(tmp_path)
    vault.kept.most_bytes = 10
    released(vault)
    assert kept_files(tmp_path) == before


def test_a_full_disk_costs_the_cache_only(vault: Vault, tmp_path: Path) -> None:
    """The release is made; no file, and no trace that would be looked for."""
    full = OSError(28, "No space left on device")

    def refuse(_descriptor: int, _data: bytes) -> int:
        raise full

    object.__setattr__(vault.kept._disk, "write", refuse)
    assert sum(released(vault)) == 120
    assert vault._database.query("SELECT count(*) FROM kept_cells") == [(0,)]


def test_a_set_that_cannot_even_be_removed_costs_no_release(vault: Vault, tmp_path: Path) -> None:
    """Stale, on a disk that fails; once it works, the file goes."""
    released(vault)
    vault.append({TODAY: rows_of(10, seed=77)}, 4)

    def refuse(_descriptor: int, _data: bytes) -> int:
        raise OSError(5, "Input/output error")

    vault._shelf.end_epoch(TODAY.text)
    write = vault.kept._disk.write
    object.__setattr__(vault.kept._disk, "write", refuse)
    assert sum(released(vault)) == 130
    assert len(kept_files(tmp_path)) == 1
    object.__setattr__(vault.kept._disk, "write", write)
    assert sum(released(vault)) == 130
    assert sum(from_cells(vault) or []) == 130
    assert len(kept_files(tmp_path)) == 1


def test_no_pseudonym_stands_in_a_file(vault: Vault, tmp_path: Path) -> None:
    """The epoch's data key seals it."""
    released(vault)
    content = kept_files(tmp_path)[0].read_bytes()
    persons: list[Row] = rows_of(30)
    assert not any((row[0] or 0).to_bytes(8, order) in content for row in persons for order in ("big", "little"))  # type: ignore[arg-type]
