"""Contribution bounding in SQL: from the rows of a window to one integer per cell (PRIVACY 3).

1. Reading keeps one row per (person, event key), the smallest in row order: `deduplicate_sql`.
2. Each row finds its kept unit: group, or (group, bin) for a histogram: `privacy.projection`.
3. A person with more than C units keeps the C with the smallest SHA-256(salt ":" person ":" unit), as hex.
   The salt is fresh for each release and the same for all its blocks.
4. In each kept unit the measure turns the number of that person's rows into a value; values are added by
cell.

Nothing before step 4's last sum looks at two persons at once: no global top-N, no first values seen, no
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
from privacy.layout import Layout
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
    """

    sql: str
    cells: int

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
    selects = project(definition, layout.dimensions, plans)
    if isinstance(selects, str):
        return selects
    return Binding(_bounding_sql("\n  UNION ALL\n".join(selects), definition, layout), layout.cells)


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


def _bounding_sql(units: str, definition: Definition, layout: Layout) -> str:
    most = layout.bounds.max_cells
    value = definition.measure.value_sql(layout.bounds)
    return f"""\
WITH units AS (
{units}
), pieces AS (
  SELECT person, unit, count(*) AS events FROM units WHERE unit IS NOT NULL GROUP BY person, unit
), crowded AS (
  SELECT person FROM pieces GROUP BY person HAVING count(*) > {most}
), drawn AS (
  SELECT p.unit, p.events, row_number() OVER (
    PARTITION BY p.person
    ORDER BY sha256($salt || ':' || CAST(p.person AS VARCHAR) || ':' || CAST(p.unit AS VARCHAR)), p.unit
  ) AS place
  FROM pieces p JOIN crowded c ON c.person = p.person
), kept AS (
  SELECT p.unit, p.events FROM pieces p LEFT JOIN crowded c ON c.person = p.person WHERE c.person IS NULL
  UNION ALL
  SELECT unit, events FROM drawn WHERE place <= {most}
)
SELECT unit AS cell, CAST(sum({value}) AS BIGINT) AS value FROM kept GROUP BY unit"""
