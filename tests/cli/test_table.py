"""Tables fit the terminal, keep their numbers whole and show hostile names harmless."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.cli.kit.table import Column, render_table

COLUMNS = (Column("country"), Column("estimate", is_number=True), Column("nodes", is_optional=True))


def test_a_table_that_fits_is_aligned() -> None:
    """Text left, numbers right, no trailing blanks."""
    assert render_table(COLUMNS, [("PT", "30,994", "city"), ("other", "469", "")], 80) == [
        "country  estimate  nodes",
        "PT         30,994  city",
        "other         469",
    ]


def test_a_narrow_terminal_drops_optional_columns_first() -> None:
    """What may be left out goes before anything is cut."""
    lines = render_table(COLUMNS, [("PT", "30,994", "city, shop, wiki")], 20)
    assert lines == ["country  estimate", "PT         30,994"]


def test_then_the_widest_text_is_cut_never_a_number() -> None:
    """A long name ends in an ellipsis; the number beside it stays."""
    lines = render_table(COLUMNS[:2], [("a" * 60, "1,234,567", "")], 30)
    assert lines[1].startswith("aaaaa")
    assert lines[1].endswith("…  1,234,567")
    assert max(map(len, lines)) == 30


def test_names_cannot_move_the_cursor() -> None:
    """Escape sequences and bidi controls in a member's name are shown, not obeyed."""
    text = "\n".join(render_table(COLUMNS[:1], [("\x1b[2Jx\u202eevil\r",)], 80))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\r" not in text
    assert "evil" in text


@given(
    st.lists(st.tuples(st.text(max_size=40), st.integers().map(str), st.text(max_size=40)), max_size=6),
    st.integers(min_value=40, max_value=120),
)
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str, str]], width: int) -> None:
    """Unless a number alone is wider, every line fits."""
    longest = max((len(row[1]) for row in rows), default=0)
    if longest <= width - 12:
        import unicodedata

        for line in render_table(COLUMNS, rows, width):
            places = sum(
                0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line
            )
            assert places <= width
