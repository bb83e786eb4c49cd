"""Exact numbers from text, country codes, the order of rows, and errors in three parts."""

from __future__ import annotations

import inspect
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import errors
from privacy.errors import BudgetExhausted, InvalidParameterError, PrivacyError
from privacy.exact import parse_decimal, parse_ratio, parse_whole
from privacy.rows import ROW_COLUMNS, ROW_NAMES, ROW_ORDER, country_code, country_text, row_order


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=10**9, max_denominator=10**9))
def test_a_ratio_reads_back(value: Fraction) -> None:
    """Text and value agree exactly."""
    assert parse_ratio(f"{value.numerator}/{value.denominator}", "rho") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", Fraction(0)), ("-12", Fraction(-12)), ("0.01", Fraction(1, 100)), ("-0.50", Fraction(-1, 2))],
)
def test_a_decimal_is_exact(text: str, value: Fraction) -> None:
    """0.01 is one hundredth, not the float nearby."""
    assert parse_decimal(text, "edge") == value


@pytest.mark.parametrize("text", ["", ".5", "5.", "1e3", "+1", "01", "1_000", "NaN", "∞", "1" * 19, " 1", "1\n", "1/2"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    """One form of a number."""
    with pytest.raises(InvalidParameterError):
        parse_decimal(text, "edge")


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.none()))
def test_any_value_is_exact_or_refused(value: object) -> None:
    """Nothing but the family's error."""
    for parse in (parse_whole, parse_ratio, parse_decimal):
        try:
            number = parse(value, "n")
        except PrivacyError:
            continue
        assert isinstance(number, int | Fraction)


def test_country_codes_are_one_to_one() -> None:
    """676 codes, ZZ the last."""
    texts = [country_text(code) for code in range(676)]
    assert [country_code(text) for text in texts] == list(range(676))
    assert texts[0] == "AA"
    assert texts[-1] == "ZZ"


@pytest.mark.parametrize("text", ["", "D", "de", "DEU", "D1", "ÄÖ"])
def test_what_is_no_country_is_refused(text: str) -> None:
    """Two capital letters."""
    with pytest.raises(InvalidParameterError):
        country_code(text)


@pytest.mark.parametrize("code", [-1, 676])
def test_a_code_without_country_is_refused(code: int) -> None:
    """Instead of another country."""
    with pytest.raises(InvalidParameterError):
        country_text(code)


def test_the_frame_schema_is_frozen() -> None:
    """Sealed frames on disk hold these columns in this order."""
    assert [f"{column.name} {column.type}" for column in ROW_COLUMNS] == [
        "person u64",
        "person_kind u8",
        "session u64",
        "event_key u64",
        "hour u32",
        "sequence u32",
        "app u16",
        "action u16",
        "country u16",
        "purposes u16",
        "plan u16",
        "sampling u32",
        *(f"a{slot} i64" for slot in range(16)),
    ]
    assert {column.name for column in ROW_COLUMNS if column.nullable} == {"session", *ROW_NAMES[12:]}
    assert sorted(ROW_ORDER) == sorted(ROW_NAMES)


def test_rows_are_ordered_by_hour_then_sequence() -> None:
    """Then by the other columns as they stand, a null before any value."""
    base = dict.fromkeys(ROW_NAMES, 5)
    rows = [
        {**base, "hour": 4, "sequence": 9, "person": 9},
        {**base, "sequence": 4, "app": 9},
        {**base, "session": None, "a15": 9},
        {**base, "a15": None},
        base,
    ]
    keys = [row_order(tuple(row[name] for name in ROW_NAMES)) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


FAMILY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PrivacyError)]


def test_codes_are_unique() -> None:
    """A code names one kind of refusal in REST, the CLI and logs."""
    codes = [kind.code for kind in FAMILY]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize("kind", FAMILY)
def test_an_error_has_three_parts_and_survives_a_process(kind: type[PrivacyError]) -> None:
    """What, why, what to do; pickled by a child process it is the same error."""
    if issubclass(kind, BudgetExhausted):
        error: PrivacyError = kind(rule="rho of 2026-11-01/P1D", deficit=5, returns="tomorrow", nearest="rho 1/500")
    else:
        error = kind(what="It failed", why="of a reason", fix="Mend it")
        assert str(error) == "It failed: of a reason. Mend it."
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
