"""Contribution bounding in SQL: from the rows of a window to one integer per cell (PRIVACY 3).

1. Reading keeps one row per (person, event key), the smallest in row order: `deduplicate_sql`.
2. Each row finds its group and the fields that the measure reads: `privacy.projection`.
3. The measure makes one *piece* of a person's rows for each kept unit (group, or group and bin, pair, session): a few
   integers (`Binding.amounts`).
   Each stands at a place among those of its person (`Binding.pieces`, or `privacy.placing`, which says the same
   faster). These are the per-person cells that a node may keep as a cache.
4. A person's units stand in a circle, in rising order; C of them in a row count, from a start that a keyed hash of the
   person draws: start = (a·x + b) mod p, with x the last 31 bits of the pseudonym, p = 2³¹ − 1, and a, b made of the
   salt, which is fresh for each release and the same for all its blocks (specs/decisions/0020).
5. Each kept piece adds to the cells that the measure says; values are added by cell.

Nothing before step 5's last sum looks at two persons at once: no global top-N, no first values seen, no
shared LIMIT, no edges, clamps or vocabularies from data. All arithmetic is on integers. The SQL keeps to
plain SELECT, CASE, GROUP BY, JOIN and window functions over one person, so that a reviewer can read it and another
engine can run it; `privacy.bounding_reference` says the same in Python, and property tests hold the two together.

The hash is only a fair lot: the guarantee needs the choice to depend on one person's rows and the salt, not
to be unpredictable. Over the salt each of m units is kept with probability C/m, exactly but for p's remainder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from privacy.abstaining import AbstainReason
from privacy.definition import Definition
from privacy.discovery import keys_sql
from privacy.errors import InvalidParameterError
from privacy.layout import CLIPPED, Layout
from privacy.measures.base import ROWS
from privacy.projection import project
from privacy.rows import ROW_NAMES, ROW_ORDER
from privacy.tracking_plan import Plan
from privacy.units import Window

SALT_BYTES: Final = 32
LOT_PRIME: Final = 2**31 - 1  # products of two numbers below it fit a BIGINT
LOT_MASK: Final = 2**31 - 1  # what a start is drawn from: 31 bits of a pseudonym, which are random already
_RELATION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Binding:
    """A definition bound to a node's plans: the one query of a release.

    Args:
        sql: One SELECT over `window_rows` with the parameters $turn and $shift; its rows are (cell, value), each cell
            at most once, cells without rows left out. `Layout.vector` makes the dense vector. Where keys are discovered
            its rows are (key in hexadecimal, one value a block), for `privacy.discovery`.
        cells: Length of that vector.
        amounts: The part of it that makes the per-person cells: a SELECT over `window_rows` without parameters of
            person, unit and whole amounts, one row per (person, unit). It depends on source, measure, axes and plans,
            not on C, K or price; and of rows parted by person it is the union over the parts.
        pieces: The same with each cell's place among those of its person: lot, nth and units (`privacy.placing`).
        selection: The rest of it, over a relation `pieces`.
    """

    sql: str
    cells: int
    amounts: str = ""
    pieces: str = ""
    selection: str = ""

    def sql_over(self, relation: str) -> str:
        """The query of a release from kept cells: what `pieces` gives, stored in this relation.

        Raises:
            ValueError: no plain name of a relation.
        """
        if _RELATION.fullmatch(relation) is None:
            raise ValueError(f"{relation!r} is no plain name of a relation")
        return f"WITH pieces AS (SELECT * FROM {relation}), {self.selection}"

    @staticmethod
    def parameters(salt: bytes) -> dict[str, int]:
        """The query's parameters for a fresh salt of 32 random bytes."""
        turn, shift = lot_of(salt)
        return {"turn": turn, "shift": shift}


def bind(definition: Definition, layout: Layout, plans: Mapping[int, Plan]) -> Binding | AbstainReason:
    """The bounding query of a definition under these plan versions, or why the node abstains.

    Args:
        definition: What is counted.
        layout: Of this definition, for the window that `window_rows` will hold.
        plans: Every plan version in force at some time of the window, by its number in the rows. Taken from
        the
            node's records, never from the rows: an answer or a refusal must not depend on data.

    Returns:
        A Binding, or not_in_plan, plan_incompatible or unit_too_weak. `abstaining.abstain_for_epoch` has the
        reason that depends on the epoch's length.
    """
    selects = project(definition, layout.by, plans)
    if isinstance(selects, str):
        return selects
    amounts = _amounts(definition, layout, selects)
    pieces = _pieces(definition, layout, amounts)
    selection = _selection(definition, layout)
    return Binding(f"WITH pieces AS (\n{pieces}\n), {selection}", layout.cells, amounts, pieces, selection)


def deduplicate_sql(source: str, window: Window | None = None) -> str:
    """One SELECT of all columns of a row, with one row per (person, event key): the smallest in row order.

    Args:
        source: Name of the relation of sealed rows.
        window: Cut to its hours first, so that what one window reads does not depend on the rows of another.

    Raises:
        ValueError: source is no plain name.
    """
    if _RELATION.fullmatch(source) is None:
        raise ValueError(f"{source!r} is no plain name of a relation")
    row = ", ".join(f'r."{name}"' for name in ROW_NAMES)
    order = ", ".join(f'r."{name}" NULLS FIRST' for name in ROW_ORDER)
    inside = f'r."hour" >= {window.start_hour} AND r."hour" < {window.end_hour}' if window else "true"
    # Repeats are rare: only their rows are sorted.
    return f"""\
WITH repeated AS (
  SELECT r."person", r."event_key" FROM {source} r WHERE {inside}
  GROUP BY r."person", r."event_key" HAVING count(*) > 1
), ranked AS (
  SELECT {row}, row_number() OVER (PARTITION BY r."person", r."event_key" ORDER BY {order}) AS place
  FROM {source} r JOIN repeated d ON d."person" = r."person" AND d."event_key" = r."event_key"
  WHERE {inside}
)
SELECT {row} FROM {source} r
  LEFT JOIN repeated d ON d."person" = r."person" AND d."event_key" = r."event_key"
  WHERE {inside} AND d."person" IS NULL
UNION ALL
SELECT {row} FROM ranked r WHERE r.place = 1"""


def lot_of(salt: bytes) -> tuple[int, int]:
    """(a, b) of the start (a·x + b) mod p: a in 1 … p − 1, b in 0 … p − 1.

    Raises:
        InvalidParameterError: not 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise InvalidParameterError(
            what="Salt refused",
            why=f"expected {SALT_BYTES} random bytes, got {len(salt)}",
            fix="Draw a fresh one for each release",
        )
    half = SALT_BYTES // 2
    return 1 + int.from_bytes(salt[:half]) % (LOT_PRIME - 1), int.from_bytes(salt[half:]) % LOT_PRIME


def _amounts(definition: Definition, layout: Layout, selects: Sequence[str]) -> str:
    """The per-person cells: person, unit and the measure's whole amounts."""
    measure, frame = definition.measure, layout.frame
    seen = "\n  UNION ALL\n".join(selects)
    amounts = "".join(f", CAST({name} AS BIGINT) AS {name}" for name in measure.amounts)
    return f"""\
WITH {ROWS} AS (
  SELECT * FROM (
{seen}
  ) WHERE grp IS NOT NULL
)
SELECT person, unit{amounts} FROM (
{measure.pieces_sql(frame)}
)"""


def _pieces(definition: Definition, layout: Layout, amounts: str) -> str:
    """The per-person cells, each with its place among those of its person."""
    measure, frame = definition.measure, layout.frame
    one_unit = measure.uses_max_cells and measure.units(frame.groups) == 1
    nth = "0" if one_unit else "CAST(row_number() OVER own - 1 AS INTEGER)"
    units = "1" if one_unit else "CAST(count(*) OVER own AS INTEGER)"
    # One window for both, so that the engine sorts once.
    own = "PARTITION BY person ORDER BY unit ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    window = "" if one_unit else f" WINDOW own AS ({own})"
    return f"""\
SELECT *, CAST(person & {LOT_MASK} AS BIGINT) AS lot, {nth} AS nth, {units} AS units FROM (
{amounts}
){window}"""


def _selection(definition: Definition, layout: Layout) -> str:
    """CTEs from `pieces` to the kept ones, and the sums by cell."""
    measure, frame = definition.measure, layout.frame
    most = measure.kept(frame.bounds)
    if layout.discovery is not None:
        return f"{_kept_sql(most)}\n{keys_sql(measure, layout)}"
    offsets = {block.name: layout.offset(block) for block in layout.blocks}
    sums = [
        f"SELECT {offsets[add.block]} + {add.cell} AS cell, CAST(sum({add.value}) AS BIGINT) AS value FROM kept"
        + (f" WHERE {add.where}" if add.where else "")
        + " GROUP BY cell"
        for add in measure.adds_sql(frame)
    ]
    for whole, parts in layout.partitions:
        amounts = " UNION ALL ".join(
            f"SELECT CAST(sum({add.value}) AS BIGINT) AS part FROM kept" + (f" WHERE {add.where}" if add.where else "")
            for add in measure.adds_sql(frame)
            if add.block == parts
        )
        sums.append(
            f"SELECT {offsets[whole]} AS cell, CAST(sum(part) AS BIGINT) AS value FROM ({amounts}) "
            "HAVING count(part) > 0"
        )
    if definition.counts_clipped:
        clipped = f"units > {most} OR {measure.cut_sql(frame)}"
        sums.append(f"SELECT {offsets[CLIPPED]} AS cell, count(DISTINCT person) AS value FROM pieces WHERE {clipped}")
    return f"{_kept_sql(most)}\n{f'{chr(10)}UNION ALL{chr(10)}'.join(sums)}"


def _kept_sql(most: int) -> str:
    """CTEs `drawn` and `kept`: C of a person's units in a row on their circle."""
    return f"""\
drawn AS (
  SELECT p.*, 1 + CAST((p.nth + (CAST(p.lot AS BIGINT) * $turn + $shift) % {LOT_PRIME}) AS BIGINT) % p.units AS place
    FROM pieces p
), kept AS (
  SELECT * FROM drawn WHERE place <= {most}
)"""
