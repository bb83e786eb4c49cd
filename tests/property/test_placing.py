"""Places on arrays are those that the SQL gives: every person's cells in rising order, numbered and counted."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.bounding import LOT_MASK
from privacy.placing import placed

_PERSONS = st.sampled_from((0, 1, 7, 7 + 2**48, 7 + 2**63, 2**64 - 1, 2**64 - 2**48))  # some share their last 48 bits
_SMALL = st.integers(0, 2**16 - 1)
_LARGE = st.integers(0, 2**64 - 1)  # sessions


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.one_of(st.sets(st.tuples(_PERSONS, _SMALL)), st.sets(st.tuples(_PERSONS, _LARGE))), source=st.randoms())
def test_places_are_those_of_the_window_function(
    connection: duckdb.DuckDBPyConnection, cells: set[tuple[int, int]], source: object
) -> None:
    """Cell for cell."""
    shuffled = sorted(cells)
    source.shuffle(shuffled)  # type: ignore[attr-defined]
    persons, units = (np.array([cell[place] for cell in shuffled], np.uint64) for place in (0, 1))
    places = placed(persons, units)
    theirs = zip(persons[places.order], units[places.order], places.lot, places.nth, places.units, strict=True)
    found = [tuple(map(int, cell)) for cell in theirs]
    connection.register("cells", pa.table({"person": persons, "unit": units}))
    wanted = connection.execute(f"""
        SELECT person, unit, CAST(person & {LOT_MASK} AS BIGINT), row_number() OVER own - 1, count(*) OVER own
        FROM cells WINDOW own AS (PARTITION BY person ORDER BY unit
          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)""").fetchall()
    assert sorted(found) == sorted(wanted)
    numbers = dict(zip(persons[places.order].tolist(), places.number.tolist(), strict=True))
    assert sorted(numbers.values()) == list(range(len(numbers)))
    assert all(numbers[int(one)] == number for one, number in zip(persons[places.order], places.number, strict=True))
