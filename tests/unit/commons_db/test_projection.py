"""The commons file: what it holds, that it follows the logs, and that deleting it costs nothing but time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import duckdb
import pytest

from node.commons_db.tables import TABLES
from tests.research_kit import ResearchNode, logs_of, small
from tests.simulation.author import day
from tests.simulation.founding import found


def dump(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every documented table, in one order."""
    connection = duckdb.connect(str(file), read_only=True)
    try:
        return {name: sorted(connection.execute(f"FROM {name}").fetchall(), key=repr) for name in TABLES}
    finally:
        connection.close()


async def test_the_tables_are_what_they_are_documented_to_be(tmp_path: Path) -> None:
    """Names and types of `tables.TABLES`, which specs/commons.md and the table `dictionary` repeat."""
    node = small(tmp_path)
    await node.start()
    connection = duckdb.connect(str(node.projection.file), read_only=True)
    for name, columns in TABLES.items():
        found_columns = [tuple(row[:2]) for row in connection.execute(f"DESCRIBE {name}").fetchall()]
        assert found_columns == [(column, kind) for column, kind, _ in columns], name
    connection.close()
    assert len(dump(node.projection.file)["dictionary"]) == sum(map(len, TABLES.values()))
    await node.close()


async def test_released_cells_are_the_integers_of_the_logs(tmp_path: Path) -> None:
    """One row per cell of each release that counts, with its key, its noise and who released it."""
    node = small(tmp_path)
    await node.start()
    tables = dump(node.projection.file)
    assert len(tables["releases"]) == 15
    assert len(tables["released_cells"]) == 60
    assert len(tables["abstentions"]) == 3
    connection = duckdb.connect(str(node.projection.file), read_only=True)
    rows = connection.execute(
        "SELECT key['country'], units, value, round(sigma, 4) FROM released_cells"
        " WHERE metric = 'calls' AND period = ? AND name = ? ORDER BY cell",
        [day(1), node.authors[0].who.name],
    ).fetchall()
    assert rows == [("DE", 1097, 1097.0, 14.1421), ("FR", 1104, 1104.0, 14.1421), ("other", 1111, 1111.0, 14.1421),
                    ("none", 1118, 1118.0, 14.1421)]  # fmt: skip
    [(estimate, sigma, nodes)] = connection.execute(
        "SELECT estimate, sigma, nodes FROM insights WHERE metric = 'calls' AND period = ? AND key['country'] = 'DE'",
        [day(1)],
    ).fetchall()
    assert (estimate, round(sigma, 3), nodes) == (1097 + 2097 + 3097, 24.495, 3)
    connection.close()
    await node.close()


async def test_what_is_learnt_later_is_written_as_if_it_had_been_there(tmp_path: Path) -> None:
    """Updates and a rebuild from nothing give the same rows; a voided release leaves."""
    node = small(tmp_path / "a")
    await node.start()
    first = node.authors[0]
    definition = found(3).named("visits")
    before = dump(node.projection.file)
    node.learn(first.summary(definition, day(7), [5, 6, 7, 8]))
    node.learn(first.summary(definition, day(0), [9, 9, 9, 9]))  # a second release of a slot voids both
    node.learn(node.authors[-1].summary(definition, day(0), [1, 2, 3, 4]))  # after an abstain
    assert node.projection.state == "updating"
    await node.projection.settled()
    updated = dump(node.projection.file)
    assert len(updated["releases"]) == len(before["releases"]) + 1
    assert len(updated["abstentions"]) == len(before["abstentions"]) - 1
    fresh = ResearchNode(tmp_path / "b", node.authors)
    await fresh.start()
    assert dump(fresh.projection.file) == updated
    await node.close()
    await fresh.close()


async def test_a_deleted_file_is_rebuilt_row_for_row(tmp_path: Path) -> None:
    """The commons is no record."""
    node = small(tmp_path)
    await node.start()
    before = dump(node.projection.file)
    await node.close()
    node.projection.file.unlink()
    again = ResearchNode(tmp_path, node.authors)
    again.projection.start()
    assert again.projection.state == "rebuilding"
    await again.projection.settled()
    assert dump(again.projection.file) == before
    await again.close()


async def test_a_current_file_is_not_built_again(tmp_path: Path) -> None:
    """A restart with nothing new starts no process and writes nothing."""
    node = small(tmp_path)
    await node.start()
    written = node.projection.file.stat()
    await node.close()
    again = ResearchNode(tmp_path, node.authors)
    again.projection.start()
    assert again.projection.state == "current"
    assert again.projection.file.stat().st_ino == written.st_ino
    await again.close()
    longer = ResearchNode(tmp_path, logs_of(found(3), 4), place=1)
    longer.projection.start()
    assert longer.projection.state == "rebuilding"
    await longer.projection.settled()
    assert len(dump(longer.projection.file)["releases"]) == 20
    await longer.close()


async def test_a_mistake_of_our_own_leaves_the_file_and_the_node_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks while the file is made is told as a failure and tried again; the end is as ever."""
    node = small(tmp_path, days=1)
    await node.start()
    tries = []

    def broken() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("broken")

    monkeypatch.setattr(node.projection, "_all_slots", lambda made=node.projection._all_slots: broken() or made())
    monkeypatch.setattr("node.commons_db.projection.RETRY_S", 0.05)
    node.projection.look_again()
    async with asyncio.timeout(60):
        while len(tries) < 2 or node.projection.state != "current":
            await asyncio.sleep(0.01)
    await node.close()
