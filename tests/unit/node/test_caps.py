"""The cap of an epoch: the stricter of charter and operator, split over nodes that share a population."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from node.config import parse_config
from node.errors import ConfigError
from node.jobs.caps import caps_of
from privacy.units import Window

DAY, MONTH = Window.parse("2026-11-01/P1D"), Window.parse("2026-11-01/P1M")
TOML = 'name = "shop"\nanchor = "../anchor"\n'


@dataclass(frozen=True)
class Member:
    organisation: str
    population_group: str | None = None


def caps(own: Member, *others: Member, operator: Fraction | None = None, epoch: Window = DAY) -> tuple[int, int]:
    charter = SimpleNamespace(members=(own, *others), caps={"day": Fraction(1, 40), "month": Fraction(1, 4)})
    return caps_of(charter, own, operator, epoch)  # type: ignore[arg-type]  # what is read of them


def test_a_population_of_ones_own_has_the_whole_cap() -> None:
    """Two nodes of one organisation without a group declare disjoint people."""
    assert caps(Member("acme"), Member("acme")) == (25_000_000, 10**10)
    assert caps(Member("acme"), epoch=MONTH) == (250_000_000, 30 * 10**10)


def test_nodes_that_share_a_population_split_the_cap() -> None:
    """Rounded down, δ too; the same group name at another organisation is another population."""
    own = Member("acme", "shoppers")
    assert caps(own, own, own, Member("other", "shoppers"), Member("acme", "staff")) == (8_333_333, 3_333_333_333)


@pytest.mark.parametrize(("operator", "rho_nano"), [(Fraction(1, 80), 12_500_000), (Fraction(1), 25_000_000)])
def test_the_stricter_of_charter_and_operator_counts(operator: Fraction, rho_nano: int) -> None:
    assert caps(Member("acme"), operator=operator)[0] == rho_nano


def test_the_operators_cap_is_read_exactly(tmp_path: Path) -> None:
    assert parse_config(TOML + '[budget]\ncap = "1/80"\n', tmp_path / "node.toml").budget_cap == Fraction(1, 80)
    assert parse_config(TOML, tmp_path / "node.toml").budget_cap is None


@pytest.mark.parametrize("cap", ["0.0125", '"0.0125"', '"0"', '"-1/80"', '"nan"', "true", '"1/0"'])
def test_a_cap_that_is_no_positive_ratio_is_refused(tmp_path: Path, cap: str) -> None:
    """A float among them: it would decide a guarantee."""
    with pytest.raises(ConfigError, match=r"budget\.cap refused"):
        parse_config(TOML + f"[budget]\ncap = {cap}\n", tmp_path / "node.toml")
