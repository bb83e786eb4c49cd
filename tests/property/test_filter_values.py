"""Whatever values an event holds, the filter gives a row that fits its columns, or a reason; it never raises."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from privacy.coding import encoder_of, exact
from privacy.filtering import FILTER_REASONS, REJECT_CODES, Event, Filter, Filtered, Rejected, Signals
from privacy.rows import ROW_COLUMNS
from privacy.tracking_plan import Band, Number
from tests.unit.privacy.filter_kit import epoch, plan

LIMITS = {
    "u8": (0, 1 << 8),
    "u16": (0, 1 << 16),
    "u32": (0, 1 << 32),
    "u64": (0, 1 << 64),
    "i64": (-(1 << 63), 1 << 63),
}
FILTER = Filter(plan(), 1)

numbers = st.integers() | st.floats() | st.decimals(allow_nan=False).map(str) | st.integers().map(str)
texts = st.text() | st.text(alphabet="a1@.:-+ \u200b\u202eé٣") | st.sampled_from(["software", "yes", "0.5", "-1"])
values: Any = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["industry", "months", "amount", "remote", "email", "", "__class__"]) | st.text(max_size=5)
ids = st.none() | st.text(max_size=20)
events = st.builds(
    Event,
    app=st.sampled_from(["runway", "waves", "visits", "other", ""]),
    action=st.sampled_from(["calculate", "pay", "join", "view", "other", ""]),
    attributes=st.dictionaries(names, values, max_size=6),
    timestamp_s=st.integers() | st.floats() | st.integers(0, 4 * 10**9),
    user=ids,
    session=ids,
    event_id=ids,
    country=st.none() | st.text(max_size=3),
    purposes=st.none() | st.frozensets(st.sampled_from(["analytics", "research", "x"]) | st.text(max_size=3)),
    sequence=st.none() | st.integers() | st.booleans(),
    address=ids,
)


@given(
    event=events,
    signals=st.builds(Signals, gpc=st.booleans(), dnt=st.booleans()),
    position=st.integers(0, 499),
    key=st.none() | st.text(max_size=10),
)
def test_hostile_values_bring_only_rows_and_reasons(
    event: Event, signals: Signals, position: int, key: str | None
) -> None:
    """Total, and inside the frame's types."""
    outcome = FILTER.apply(event, signals, lambda hour: epoch(), position, key)
    if isinstance(outcome, Filtered):
        assert outcome.reason in FILTER_REASONS
    elif isinstance(outcome, Rejected):
        assert outcome.code in REJECT_CODES
    else:
        assert not signals.gpc
        assert not signals.dnt
        assert len(outcome) == len(ROW_COLUMNS)
        for column, value in zip(ROW_COLUMNS, outcome, strict=True):
            low, high = LIMITS[column.type]
            assert (value is None and column.nullable) or (type(value) is int and low <= value < high)


@given(value=values, other=values)
def test_undeclared_values_change_nothing(value: object, other: object) -> None:
    """A row depends on declared attributes alone."""

    def slots(**undeclared: object) -> object:
        attributes = {"remote": True, **undeclared}
        event = Event(
            "runway", "calculate", attributes, 0, session="s", event_id="e", purposes=frozenset({"analytics"})
        )
        return FILTER.apply(event, Signals(), lambda hour: epoch(), 0)

    assert slots(email=value, ip=other) == slots()


@given(
    value=st.decimals(min_value=-(10**9), max_value=10**9, places=6),
    quantum=st.sampled_from(["0.01", "0.5", "1", "0.25", "7", "1/3"]),
    as_float=st.booleans(),
)
def test_rounding_equals_decimals_own(value: Decimal, quantum: str, as_float: bool) -> None:
    """The integer arithmetic equals Fraction's round (half-even), and Decimal's where the quantum is a decimal."""
    step = Fraction(quantum)
    wide = Number(step, -step * 10**12, step * 10**12)
    sent: object = float(value) if as_float else str(value)
    text = Decimal(repr(sent)) if as_float else value
    code = encoder_of(wide)(sent)
    if "e" in str(sent).lower():
        return  # a text with an exponent is no number here; Decimal writes 0E-6 so
    assert code == round(Fraction(text) / step)
    if quantum == "0.01":
        assert code == int(text.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN) * 100)


@given(
    edges=st.lists(st.fractions(-1000, 1000, max_denominator=1000), min_size=1, max_size=8, unique=True).map(sorted),
    value=st.integers(-2000, 2000) | st.floats(-2000, 2000) | st.decimals(-2000, 2000, places=3).map(str),
)
def test_a_band_equals_counting_edges(edges: list[Fraction], value: int | float | str) -> None:
    found = exact(value)
    if found is None:
        return
    number = Fraction(*found)
    assert encoder_of(Band(tuple(edges)))(value) == sum(edge <= number for edge in edges)
