"""Contribution bounding in SQL: from the rows of a window to one integer per cell (PRIVACY 3).

1. Reading keeps one row per (person, event key), the smallest in row order: `deduplicate_sql`.
2. Each row finds its group and the fields that the measure reads: `privacy.projection`.
3. The measure makes one *piece* of a person's rows for each kept unit (group, or group and bin, pair, session): a few
   integers. These are the per-person cells that a node may keep as a cache (`Binding.pieces`).
4. A person with more than C units keeps the C with the smallest SHA-256(salt ":" person ":" unit), as hex.
   The salt is fresh for each release and the same for all its blocks.
5. Each kept piece adds to the cells that the measure says; values are added by cell.

Nothing before step 5's last sum looks at two persons at once: no global top-N, no first values seen, no
shared LIMIT, no edges, clamps or vocabularies from data. All arithmetic is on integers. The SQL keeps to
plain SELECT, CASE, GROUP BY, JOIN, row_number and sha256, so that a reviewer can read it and another engine
can run it; `privacy.bounding_reference` says the same in Python, and property tests hold the two together.

The hash is only a fair lot: the guarantee needs the choice to depend on one person's rows and the salt, not
to be unpredictable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from privacy.abstaining import AbstainReason
from privacy.definition import Definition
from privacy.errors import InvalidParameterError
from privacy.layout import CLIPPED, Layout
from privacy.measures.base import ROWS
from privacy.projection import project
from privacy.rows import ROW_NAMES, ROW_ORDER
from privacy.tracking_plan import Plan
from privacy.units import Window

SALT_BYTES: Final = 32
_RELATION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Binding:
    """A definition bound to a node's plans: the one query of a release.

    Args:
        sql: One SELECT over `window_rows` with the parameter $salt; its rows are (cell, value), each cell at
            most once, cells without rows left out. `Layout.vector` makes the dense vector.
        cells: Length of that vector.
        pieces: The part of it that makes the per-person cells: a SELECT over `window_rows` without parameters, one
            row per (person, unit). It depends on source, measure, axes and plans, not on C, K or price.
        selection: The rest of it, over a relation `pieces`.
    """

    sql: str
    cells: int
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
    def parameters(salt: bytes) -> dict[str, str]:
        """The query's parameters for a fresh salt of 32 random bytes."""
        return {"salt": salt_text(salt)}


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
    seen = "\n  UNION ALL\n".join(selects)
    pieces = f"WITH {ROWS} AS (\n  SELECT * FROM (\n{seen}\n  ) WHERE grp IS NOT NULL\n)"
    pieces += f"\nSELECT * FROM (\n{definition.measure.pieces_sql(layout.frame)}\n)"
    selection = _selection(definition, layout)
    return Binding(f"WITH pieces AS (\n{pieces}\n), {selection}", layout.cells, pieces, selection)


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


def salt_text(salt: bytes) -> str:
    """The salt as the lower-case hex that is hashed.

    Raises:
        InvalidParameterError: not 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise InvalidParameterError(
            what="Salt refused",
            why=f"expected {SALT_BYTES} random bytes, got {len(salt)}",
            fix="Draw a fresh one for each release",
        )
    return salt.hex()


def _selection(definition: Definition, layout: Layout) -> str:
    """CTEs from `pieces` to the kept ones, and the sums by cell."""
    measure, frame = definition.measure, layout.frame
    most = measure.kept(frame.bounds)
    offsets = {block.name: layout.offset(block) for block in layout.blocks}
    sums = [
        f"SELECT {offsets[add.block]} + {add.cell} AS cell, CAST(sum({add.value}) AS BIGINT) AS value FROM kept"
        + (f" WHERE {add.where}" if add.where else "")
        + " GROUP BY cell"
        for add in measure.adds_sql(frame)
    ]
    if definition.counts_clipped:
        clipped = f"SELECT person FROM crowded UNION SELECT person FROM pieces WHERE {measure.cut_sql(frame)}"
        sums.append(f"SELECT {offsets[CLIPPED]} AS cell, count(*) AS value FROM ({clipped})")
    return f"""\
crowded AS (
  SELECT person FROM pieces GROUP BY person HAVING count(*) > {most}
), drawn AS (
  SELECT p.*, row_number() OVER (
    PARTITION BY p.person
    ORDER BY sha256($salt || ':' || CAST(p.person AS VARCHAR) || ':' || CAST(p.unit AS VARCHAR)), p.unit
  ) AS place
  FROM pieces p JOIN crowded c ON c.person = p.person
), kept AS (
  SELECT p.* FROM pieces p LEFT JOIN crowded c ON c.person = p.person WHERE c.person IS NULL
  UNION ALL
  SELECT * EXCLUDE (place) FROM drawn WHERE place <= {most}
)
{f"{chr(10)}UNION ALL{chr(10)}".join(sums)}"""
