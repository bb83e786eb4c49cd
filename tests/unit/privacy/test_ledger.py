"""The epoch's budget: caps hold at every charge, reservations stand, refusals say what to do."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import BudgetExhausted, InvalidLedger, InvalidParameterError
from privacy.ledger import (
    Balance,
    Charge,
    EpochBudget,
    charge,
    check_delta,
    default_caps,
    nano_rho_of_cap,
    nano_rho_of_charge,
)
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")
METRIC = Charge.of(Fraction(1, 400))


def budget(cap: Fraction = Fraction(1, 40), delta_atto: int = 10**10) -> EpochBudget:
    return EpochBudget(DAY, Balance(nano_rho_of_cap(cap), delta_atto))


def test_default_caps_follow_the_epochs_length() -> None:
    """Day 1/40, week 1/16, month 1/4; δ 1e-8 a day."""
    month = default_caps(Window.parse("2026-11-01/P1M"))
    assert default_caps(DAY) == Balance(25_000_000, 10**10)
    assert default_caps(Window.parse("2026-11-02/P1W")) == Balance(62_500_000, 7 * 10**10)
    assert month == Balance(250_000_000, 30 * 10**10)


@given(st.fractions(min_value=0, max_value=10))
def test_charges_round_up_and_caps_down(rho: Fraction) -> None:
    assert 0 <= nano_rho_of_charge(rho) - rho * 10**9 < 1
    assert 0 <= rho * 10**9 - nano_rho_of_cap(rho) < 1


def test_ten_usual_metrics_fill_a_day_and_the_eleventh_is_refused() -> None:
    """Refused in four parts, and nothing is charged."""
    balance = default_caps(DAY)
    for _ in range(10):
        balance = charge(balance, METRIC.rho_nano, epoch=DAY.text)
    assert balance.free == Charge(0, 10**10)
    with pytest.raises(BudgetExhausted) as refusal:
        charge(balance, METRIC.rho_nano, epoch=DAY.text)
    error = refusal.value
    assert (error.rule, error.deficit) == ("rho of 2026-11-01/P1D", 2_500_000)
    assert error.nearest == "none in 2026-11-01/P1D"
    assert "next epoch" in str(error)
    assert "capped at 1/40" in str(error)


def test_delta_has_its_own_cap() -> None:
    with pytest.raises(BudgetExhausted) as refusal:
        charge(Balance(100, 5), 1, 6)
    assert refusal.value.rule.startswith("delta")
    assert refusal.value.deficit == 1


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 400), st.booleans()), max_size=30),
)
def test_no_order_of_charges_passes_the_cap(cap: int, steps: list[tuple[str, int, bool]]) -> None:
    """I7: whatever is reserved, charged or refused; and the balance is the sum of what was charged."""
    state = EpochBudget(DAY, Balance(cap, 0))
    for slot, rho, reserves in steps:
        if reserves:
            state, _ = state.reserve([(slot, Charge(rho))])
        else:
            try:
                state = state.spend(slot, Charge(rho))
            except (BudgetExhausted, InvalidLedger):
                continue
        kept = sum(c.rho_nano for c in state.reserved.values())
        assert state.balance.rho_nano == sum(c.rho_nano for c in state.charged.values())
        assert state.balance.rho_nano + kept <= cap
        assert not set(state.reserved) & set(state.charged)


def test_a_reservation_keeps_its_room_from_adhoc_charges() -> None:
    """Standing metrics come first; what is left is for others; the reserved slot still gets its charge."""
    state, without = budget(Fraction(3, 400)).reserve([("a", METRIC), ("b", METRIC)])
    assert without == ()
    assert state.free == Charge(2_500_000, 10**10)
    with pytest.raises(BudgetExhausted) as refusal:
        state.spend("adhoc", Charge.of(Fraction(2, 400)))
    assert refusal.value.deficit == 2_500_000
    assert refusal.value.nearest == "rho 1/400"
    assert "2026-11-02/P1D" in refusal.value.returns
    state = state.spend("adhoc", METRIC).spend("a", METRIC).spend("b", METRIC)
    assert state.free == Charge(0, 10**10)


def test_slots_beyond_the_cap_are_named_in_catalogue_order() -> None:
    """A month epoch holds three daily metrics at 1/400: 31 · 3 fit into 100, the fourth does not."""
    month = Window.parse("2026-10-01/P1M")
    state = EpochBudget(month, default_caps(month))
    slots = [(f"{metric} {day}", METRIC) for metric in "abcd" for day in range(31)]
    state, without = state.reserve(slots)
    assert {name[0] for name in without} == {"d"}
    assert len(without) == 24


def test_one_slot_is_charged_once() -> None:
    """The same charge again changes nothing; another cost for it is refused."""
    once = budget().spend("a", METRIC)
    assert once.spend("a", METRIC) == once
    with pytest.raises(InvalidLedger, match="released once"):
        once.spend("a", Charge(1))


def test_an_abstention_gives_its_room_back() -> None:
    state, _ = budget(Fraction(1, 400)).reserve([("a", METRIC)])
    assert state.free.rho_nano == 0
    assert state.give_back("a").free == METRIC + Charge(0, 10**10)


def test_a_lowered_cap_stops_releases_and_takes_nothing_back() -> None:
    """Caps fall, never rise; below what is charged nothing more goes out, reserved or not."""
    state, _ = budget().reserve([("b", METRIC)])
    state = state.spend("a", METRIC)
    lowered = EpochBudget(DAY, state.balance.with_lower_cap(1_000_000, 10**10), state.reserved, state.charged)
    assert lowered.balance.rho_nano == METRIC.rho_nano
    with pytest.raises(BudgetExhausted):
        lowered.spend("b", METRIC)
    assert lowered.balance.with_lower_cap(10**9, 10**18).cap_rho_nano == 1_000_000


def test_two_records_merge_to_the_stricter() -> None:
    own_log, table = Balance(100, 10, 40, 1), Balance(90, 20, 30, 2)
    assert own_log.merged(table) == table.merged(own_log) == Balance(90, 10, 40, 2)


def test_an_epoch_in_doubt_is_spent() -> None:
    assert Balance(100, 10, 40, 1).spent_to_cap().free == Charge(0, 0)
    assert Balance(100, 10, 140, 1).spent_to_cap().rho_nano == 140


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", 2**53, None])
def test_unreadable_balances_are_refused(value: object) -> None:
    with pytest.raises(InvalidLedger):
        Balance(100, 10, value, 0)  # type: ignore[arg-type]
    with pytest.raises(InvalidLedger):
        charge(Balance(100, 10), value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("delta", "population"), [
    (1e-9, None), (Fraction(0), None), (Fraction(-1, 10**9), None), (True, None), (float("nan"), None),
    (Fraction(1, 10**8) + Fraction(1, 10**30), None), (Fraction(1, 10**8), 10_000_001),
])  # fmt: skip
def test_a_delta_that_would_weaken_the_guarantee_is_refused(delta: object, population: int | None) -> None:
    """A float, nothing, above the day's cap of 1e-8, or above a tenth of one in the declared population."""
    with pytest.raises(InvalidParameterError, match="delta refused"):
        check_delta(delta, DAY, population)  # type: ignore[arg-type]


def test_a_delta_at_its_limits_passes() -> None:
    check_delta(Fraction(1, 10**8), DAY, 10_000_000)
    check_delta(Fraction(30, 10**8), Window.parse("2026-11-01/P1M"))
