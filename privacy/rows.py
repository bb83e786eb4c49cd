"""The filtered row: names and logical types of the columns that a sealed frame holds and every measure reads.

Names only; the vault turns them into Arrow. Where several rows have one (person, event_key), the smallest
stays: by hour, then sequence, then the other columns in the order below, a null before any value
(`row_order`).

| column | meaning |
|---|---|
| person | keyed 64-bit pseudonym of the epoch |
| person_kind | 0 user, 1 session, 2 address |
| session | keyed pseudonym of the session, or null |
| event_key | keyed hash of (person, event id): one row per (person, event_key) counts |
| hour | UTC hour, hours since 1970-01-01T00Z |
| sequence | order inside the session |
| app, action | index in the plan version that `plan` numbers |
| country | (c0 − 'A')·26 + (c1 − 'A'); ZZ = 675 = unknown |
| purposes | consented purposes, bit i = i-th purpose of the plan |
| plan | plan number, local to the node, from 1 |
| sampling | rate by person in millionths; 1,000,000 = all |
| a0 … a15 | declared attributes of the action in plan order, coded; null = absent |

Attribute codes: category 0…n−1 as listed, n = any other value; band 0 below the first edge, i in [e(i−1),
e(i)), m from the last of m edges; number, the integer in its quantum; flag 0 or 1; key, its UTF-8 bytes, eight
a slot, in as many slots as the plan's longest key needs (specs/decisions/0023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from privacy.errors import InvalidParameterError

LogicalType = Literal["u8", "u16", "u32", "u64", "i64"]
PersonKind = Literal["user", "session", "address"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row: its name, its integer type, and whether it may be null."""

    name: str
    type: LogicalType
    nullable: bool = False


ATTRIBUTE_SLOTS: Final = 16  # attributes per action, a0 … a15
FIXED_COLUMNS: Final[tuple[Column, ...]] = (
    Column("person", "u64"),
    Column("person_kind", "u8"),
    Column("session", "u64", nullable=True),
    Column("event_key", "u64"),
    Column("hour", "u32"),
    Column("sequence", "u32"),
    Column("app", "u16"),
    Column("action", "u16"),
    Column("country", "u16"),
    Column("purposes", "u16"),
    Column("plan", "u16"),
    Column("sampling", "u32"),
)
SLOT_COLUMNS: Final[tuple[Column, ...]] = tuple(
    Column(f"a{slot}", "i64", nullable=True) for slot in range(ATTRIBUTE_SLOTS)
)
ROW_COLUMNS: Final[tuple[Column, ...]] = FIXED_COLUMNS + SLOT_COLUMNS
ROW_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in ROW_COLUMNS)

# A row, in the order of ROW_COLUMNS.
Row = tuple[int | None, ...]

PERSON_KINDS: Final[tuple[PersonKind, ...]] = ("user", "session", "address")
# How strongly a kind stands for a human: a definition's `unit` is a least strength (PRIVACY 6,
# unit_too_weak).
PERSON_STRENGTH: Final[dict[PersonKind, int]] = {"user": 2, "session": 1, "address": 0}

SAMPLING_ALL: Final = 1_000_000
COUNTRY_UNKNOWN: Final = 675  # ZZ

# Ties between rows of one (person, event_key) go to the smallest by (hour, sequence, then every other
# column in schema order, nulls first): DESIGN 4, PRIVACY 3.
ROW_ORDER: Final[tuple[str, ...]] = (
    "hour",
    "sequence",
    *(name for name in ROW_NAMES if name not in ("hour", "sequence")),
)


def country_code(text: str) -> int:
    """Code of two capital letters A–Z.

    Raises:
        InvalidParameterError: any other text.
    """
    if len(text) != 2 or not all("A" <= letter <= "Z" for letter in text):
        raise InvalidParameterError(
            what=f"Country {text[:8]!r} refused",
            why="a country is two capital letters A to Z (ISO 3166-1 alpha-2), or ZZ for unknown",
            fix="Write it as DE, FR or ZZ",
        )
    return (ord(text[0]) - ord("A")) * 26 + (ord(text[1]) - ord("A"))


def country_text(code: int) -> str:
    """The two letters of a code in 0…675."""
    if not 0 <= code <= COUNTRY_UNKNOWN:
        raise InvalidParameterError(
            what=f"Country code {code} refused",
            why=f"codes run from 0 (AA) to {COUNTRY_UNKNOWN} (ZZ)",
            fix="Check how the row was coded",
        )
    first, second = divmod(code, 26)
    return chr(ord("A") + first) + chr(ord("A") + second)


def row_order(row: Row) -> tuple[tuple[bool, int], ...]:
    """Sort key of a row among those of one (person, event_key): nulls first, then the value."""
    values = dict(zip(ROW_NAMES, row, strict=True))
    return tuple((values[name] is not None, values[name] or 0) for name in ROW_ORDER)
