"""Mistakes 7, 8, 9, 18 and 20: every release is paid for once, by the epoch of the rows it counts, for ever.

More crashes, races and clocks: tests/fault/test_publishing_kill.py, test_ledger.py and test_vault_kill.py.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from federation.query import MetricRow
from node.jobs.facts import Facts, Layouts, suffered
from node.state.ledger import LedgerStore
from node.vault.calendar import Refusal
from privacy.abstaining import abstain_for_epoch
from privacy.definition import Definition
from privacy.ledger import Balance, nano_rho_of_cap
from privacy.units import EpochLength, Window, windows_between
from protocol.entries import ABSTAIN, SUMMARY
from tests.evidence.mistakes import rejected
from tests.evidence.releasing import CAP, Node, count_of, digest
from tests.vault_kit import NOW, rows_of, vault_at

DAY = Window.parse("2026-11-02/P1D")
WEEK = Window.parse("2026-11-02/P1W")
PRICE_NANO = 2_500_000  # 1/400
STEPS = ("draw", "bound", "begin", "add", "sign", "insert", "commit", "committed")


# ── 7 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_one_number(ask: Callable[[], int]) -> None:
    """A thousand questions see one noised number: there is nothing to average."""
    first = ask()
    assert all(ask() == first for _ in range(999))


def test_mistake_07_the_same_question_is_never_noised_again(tmp_path: Path) -> None:
    """A thousand requests, one release, one charge; after a restart as well."""
    definition = count_of()
    node = Node(tmp_path)

    def ask() -> int:
        node.answer(definition, DAY)
        (cells,) = node.cells()
        return cells[0]

    check_one_number(ask)
    before = ask()
    node = Node(tmp_path)
    assert ask() == before
    assert [charge.rho_nano for charge in node.charges()] == [PRICE_NANO]
    with rejected("fresh noise on every request"):
        check_one_number(Forgetful(tmp_path).ask)


class Forgetful:
    """A node that forgets its slots: every request is a new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def ask(self) -> int:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        node = Node(folder)
        node.answer(count_of(), DAY)
        return node.cells()[0][0]


# ── 8 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Crash(Exception):
    """The process ends here."""


def check_books(run: Callable[[str], tuple[int, int]]) -> None:
    """Whatever step a crash hits, what was charged covers what can leave."""
    for step in STEPS:
        charged, left = run(step)
        assert charged >= left * PRICE_NANO


def test_mistake_08_the_charge_is_durable_before_a_number_can_leave(tmp_path: Path) -> None:
    """A crash at each step of publishing, then a restart: ledger and log agree, and the next try succeeds."""

    def run(step: str) -> tuple[int, int]:
        folder = tmp_path / step
        folder.mkdir()

        def checkpoint(name: str) -> None:
            if name == step:
                raise Crash

        with pytest.raises(Crash):
            Node(folder, checkpoint=checkpoint).answer(count_of(), DAY)
        node = Node(folder)
        ledger = {line.epoch: line.charged.rho_nano for line in LedgerStore(node.database).lines()}
        assert len(node.cells()) == (step == "committed")
        node.answer(count_of(), DAY)
        assert len(node.cells()) == 1
        return ledger.get(DAY, 0), int(step == "committed")

    check_books(run)

    def charge_afterwards(step: str) -> tuple[int, int]:
        """What leaves at "insert", and is charged in a transaction of its own at "commit"."""
        at = STEPS.index(step)
        return PRICE_NANO * (at > STEPS.index("commit")), int(at > STEPS.index("insert"))

    with rejected("the charge is written after the release"):
        check_books(charge_afterwards)


# ── 9 ────────────────────────────────────────────────────────────────────────────────────────────────────────────

GAUSSIAN = count_of("orders")
LAPLACE = count_of("visits", rho="", epsilon="1/10", mechanism="laplace")
YEAR = list(
    windows_between("day", Window.parse("2026-01-01/P1D").start_hour, Window.parse("2027-01-01/P1D").start_hour)
)


def epsilon_of_a_year(definition: Definition, folder: Path) -> tuple[float, float]:
    """(as this node reports it, by zCDP alone) for somebody active on every day; δ = 10⁻⁶."""
    node = Node(folder)
    for window in YEAR:
        node.answer(definition, window)
    charges = node.charges()
    assert len(charges) == 365
    assert {charge.rho_nano for charge in charges} == {_price_nano(definition)}
    row = MetricRow(definition.metric, digest(definition), definition, YEAR[0].start_hour)
    (told,) = suffered(charges, Layouts([row]))
    (spans,) = Facts().spans([told])
    assert [span.guarantee.epochs for span in spans] == [1, 30, 365]
    assert spans[-1].pld is not None
    return float(spans[-1].epsilon), float(spans[-1].guarantee.epsilon)


def _price_nano(definition: Definition) -> int:
    price = definition.rho * 10**9
    return -(-price.numerator // price.denominator)


def check_year(reported: float, composed: float) -> None:
    """Within 2 % of what privacy loss distributions say of 365 releases over one person's rows."""
    assert abs(reported / composed - 1) <= 0.02


def composed(one: Any, releases: int) -> float:
    """ε at δ = 10⁻⁶ of so many releases of one law, by dp-accounting."""
    return float(one.self_compose(releases).get_epsilon_for_delta(1e-6))


def test_mistake_09_a_year_of_days_adds_up_gaussian(tmp_path: Path) -> None:
    """365 releases at ρ = 1/400 for somebody always active; dp-accounting composes the discrete Gaussian itself."""
    sigma = (4 / float(2 * GAUSSIAN.rho)) ** 0.5  # Δ₂ = 2: two events in one cell
    one = pld.from_discrete_gaussian_mechanism(sigma, 2, use_connect_dots=True)
    year = composed(one, 365)
    reported, by_zcdp = epsilon_of_a_year(GAUSSIAN, tmp_path)
    check_year(reported, year)
    assert 1 <= by_zcdp / year <= 1.1
    with rejected("only the day's ε is told"):
        check_year(composed(one, 1), year)
    with rejected("a budget that resets every month"):
        check_year(composed(one, 31), year)


def test_mistake_09_a_year_of_days_adds_up_laplace(tmp_path: Path) -> None:
    """ε = 0.1 a day is 10.31 a year (notes of the design), and neither 0.1 nor 36.5."""
    year = composed(pld.from_discrete_laplace_mechanism(0.05, 2, use_connect_dots=True), 365)
    assert year == pytest.approx(10.31, rel=0.02)
    check_year(epsilon_of_a_year(LAPLACE, tmp_path)[0], year)
    with rejected("plain sum"):
        check_year(36.5, year)


# ── 18 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_destroyed_day(admit: Callable[[int, int], object]) -> None:
    """Once a day's keys are destroyed no import opens it again, whatever the clock says."""
    end = NOW - NOW % 24 + 24
    for now in (end + 48, end + 1000, end - 1):
        assert admit(NOW, now) == "epoch_closed"


def test_mistake_18_nothing_is_imported_into_a_destroyed_epoch(tmp_path: Path) -> None:
    """Neither live nor by a backfill key: new rows would meet a charged budget and unlinkable persons."""
    vault = vault_at(tmp_path, window_kinds=())
    vault.admit_hour(NOW, NOW, backfill=False)
    vault.append({Window.containing("day", NOW): rows_of(3)}, 4)
    end = Window.containing("day", NOW).end_hour
    vault.destroy_due_keys((end + 48) * 3600)

    def admit(hour: int, now: int) -> object:
        answers = {vault.admit_hour(hour, now, backfill=backfill) for backfill in (False, True)}
        codes = {answer.code if isinstance(answer, Refusal) else "taken" for answer in answers}
        return codes.pop() if len(codes) == 1 else codes

    check_destroyed_day(admit)
    with rejected("a fresh key for a day that was destroyed"):
        check_destroyed_day(lambda hour, now: "epoch_closed" if now > hour + 100 else "taken")


def test_mistake_18_a_window_of_a_destroyed_epoch_is_not_released(tmp_path: Path) -> None:
    """Rows that are gone give an abstention, never a release of zeros."""
    node = Node(tmp_path)
    entry = node.answer(GAUSSIAN, DAY, None)
    assert entry is not None
    assert entry.header.kind == ABSTAIN
    assert node.charges() == []


# ── 20 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_week(charges: dict[Window, int], moved_by: int) -> None:
    """One person of seven day-epochs, K = 2 in each, moves a week's cell by up to 14: ρ is that of Δ = `moved_by`."""
    sigma_squared = Fraction(4) / (2 * Fraction(1, 400))
    owed = Fraction(moved_by**2) / (2 * sigma_squared)
    assert Fraction(sum(charges.values()), 10**9) >= owed


def test_mistake_20_a_week_of_day_epochs_is_not_one_release(tmp_path: Path) -> None:
    """The node abstains: pseudonyms of seven days cannot be bounded together. In a week epoch it is one release."""
    weekly = count_of("weekly", window="week")
    assert answered(tmp_path, weekly, "day") == (ABSTAIN, {})
    kind, charges = answered(tmp_path, weekly, "week")
    assert kind == SUMMARY
    check_week(charges, 2)
    with rejected("one charge for noise that seven keys of one person share"):
        check_week({WEEK: PRICE_NANO}, 14)
    with rejected("a charge to each day, as if each had noise of its own"):
        check_week(dict.fromkeys(windows_between("day", WEEK.start_hour, WEEK.end_hour), PRICE_NANO), 14)


def answered(folder: Path, definition: Definition, length: EpochLength) -> tuple[str, dict[Window, int]]:
    folder = folder / length
    folder.mkdir()
    node = Node(folder, epoch_length=length, cap=Balance(nano_rho_of_cap(Fraction(1, 16)), 0))
    entry = node.answer(definition, WEEK)
    assert entry is not None
    return entry.header.kind, {charge.epoch: charge.rho_nano for charge in node.charges()}


def test_mistake_20_every_pair_of_window_and_epoch_is_decided() -> None:
    """A window is released only where one epoch holds it, and that epoch alone pays."""
    allowed = {
        (kind, length)
        for length in ("day", "week", "month")
        for kind in ("hour", "day", "week", "month")
        if abstain_for_epoch(Window.containing(kind, DAY.start_hour), length) is None
    }
    assert allowed == {
        ("hour", "day"), ("hour", "week"), ("hour", "month"),
        ("day", "day"), ("day", "week"), ("day", "month"),
        ("week", "week"), ("month", "month"),
    }  # fmt: skip
    assert CAP.cap_rho_nano == 25_000_000
