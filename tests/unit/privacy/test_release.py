"""A release is the only door: noise is always in it, once, and its charge covers it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction

import pytest

from privacy.errors import BoundViolated, NoiseUnavailable, ReleaseRefused, UnknownMechanism
from privacy.noise_table import ETA_TABLE
from privacy.release import (
    MAX_CELL,
    ExactVector,
    Noise,
    Release,
    Slot,
    draw_noise,
    make_release,
    rho_of_layout,
)
from privacy.sampling import draw_gaussian, keystream
from privacy.units import Window

KEY = bytes(range(32))
SLOT = Slot(bytes(32), Window.parse("2026-11-01/P1D"), b"n" * 32)
CHARGES = (("2026-11-01/P1D", 2_500_000, 0),)


def rng(size: int) -> bytes:
    return KEY[:size]


@dataclass(frozen=True)
class Block:
    cells: int = 5
    l2_squared: int = 1
    sigma_squared: Fraction = Fraction(200)
    mechanism: str = "gaussian"
    quantum: Fraction = Fraction(1)
    scale: Fraction | None = None


@dataclass(frozen=True)
class Layout:
    blocks: tuple[Block, ...] = (Block(),)
    delta_atto: int = 0


def released(vector: list[int] | None = None, layout: Layout | None = None, **changes: object) -> Release:
    layout = layout or Layout()
    arguments = {"charges": CHARGES, "unit": "user", **changes}
    cells = [1000] * sum(b.cells for b in layout.blocks) if vector is None else vector
    return make_release(SLOT, layout, draw_noise(layout, rng), cells, **arguments)  # type: ignore[arg-type]


def test_a_release_is_the_vector_plus_the_drawn_noise() -> None:
    noise = draw_gaussian(Fraction(200), 5, keystream(rng)).tolist()
    assert any(noise)
    release = released([10, 20, 30, 40, 50])
    assert list(release.cells) == [v + n for v, n in zip([10, 20, 30, 40, 50], noise, strict=True)]
    assert release.charges == CHARGES
    assert release.eta == 5 * ETA_TABLE


def test_blocks_are_noised_one_after_the_other_from_one_stream() -> None:
    layout = Layout((Block(3), Block(2, sigma_squared=Fraction(1, 2))))
    stream = keystream(rng)
    noise = [*draw_gaussian(Fraction(200), 3, stream), *draw_gaussian(Fraction(1, 2), 2, stream)]
    release = released([0] * 5, layout, charges=(("2026-11-01/P1D", 10**9 + 2_500_000, 0),))
    assert list(release.cells) == noise
    assert [(b.sigma_squared, b.cells) for b in release.blocks] == [(Fraction(200), 3), (Fraction(1, 2), 2)]


def test_noise_serves_once() -> None:
    """Used again, even on the same vector, it would show the difference of two vectors."""
    noise = draw_noise(Layout(), rng)
    make_release(SLOT, Layout(), noise, [0] * 5, CHARGES, "user")
    assert noise.is_used
    with pytest.raises(ReleaseRefused, match="used before"):
        make_release(SLOT, Layout(), noise, [0] * 5, CHARGES, "user")


def test_a_failed_release_uses_its_noise_up() -> None:
    noise = draw_noise(Layout(), rng)
    with pytest.raises(BoundViolated):
        make_release(SLOT, Layout(), noise, [0] * 4, CHARGES, "user")
    assert noise.is_used


@pytest.mark.parametrize(
    "other", [Layout((Block(4),)), Layout((Block(sigma_squared=Fraction(201)),)), Layout((Block(), Block()))]
)
def test_noise_of_another_layout_is_refused(other: Layout) -> None:
    with pytest.raises(ReleaseRefused, match="another layout"):
        make_release(SLOT, Layout(), draw_noise(other, rng), [0] * 5, CHARGES, "user")


@pytest.mark.parametrize(
    "charges", [(), (("2026-11-01/P1D", 2_499_999, 0),), (("a", 5_000_001, 0), ("b", -1, 0)), (("a", 2_500_000, -1),)]
)
def test_a_charge_below_the_layouts_rho_is_refused(charges: tuple[tuple[str, int, int], ...]) -> None:
    """I7: the charge covers what is released; Σ Δ₂²/(2σ²) = 1/400 here."""
    assert rho_of_layout(Layout()) == Fraction(1, 400)
    with pytest.raises(ReleaseRefused):
        released(charges=charges)


@pytest.mark.parametrize("bad", [1.0, True, None, "1"])
def test_only_integers_are_released(bad: object) -> None:
    with pytest.raises(BoundViolated, match="not a Python int"):
        released([0, 0, bad, 0, 0])  # type: ignore[list-item]


@pytest.mark.parametrize("huge", [MAX_CELL + 10_000, -MAX_CELL - 10_000, 2**63, 2**200])
def test_cells_out_of_range_are_refused_without_showing_them(huge: int) -> None:
    with pytest.raises(BoundViolated) as refusal:
        released([0, huge, 0, 0, 0])
    assert str(huge)[:9] not in str(refusal.value)


def test_unknown_mechanisms_are_refused() -> None:
    with pytest.raises(UnknownMechanism):
        draw_noise(Layout((Block(mechanism="uniform"),)), rng)


def test_a_dry_source_of_randomness_stops_the_release() -> None:
    with pytest.raises(NoiseUnavailable):
        draw_noise(Layout(), lambda size: b"")


def test_exact_numbers_and_noise_do_not_show() -> None:
    """Not in repr, str, format, a pickle of the noise; and the vector is emptied once it is added."""
    vector, noise = ExactVector([123456789] * 5), draw_noise(Layout(), rng)
    draws = [str(abs(int(d))) for d in draw_gaussian(Fraction(200), 5, keystream(rng))]
    for text in (repr(vector), str(vector), f"{vector}", repr(noise), str(noise)):
        assert "123456789" not in text
        assert "hidden" in text
    assert not any(d in repr(noise) for d in draws if len(d) > 1)
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copier(noise)
    release = make_release(SLOT, Layout(), noise, vector, CHARGES, "user")
    assert vector == []
    assert str(release.cells[0]) not in repr(release)


def test_a_release_never_changes() -> None:
    release = released()
    with pytest.raises(AttributeError):
        release.cells = (1,)  # type: ignore[misc]


def test_there_is_no_other_constructor() -> None:
    """Every public callable of the module that gives a Release takes a Noise."""
    with pytest.raises(TypeError):
        Release()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Release(SLOT, Layout(), [0] * 5, [0] * 5, CHARGES, "user")  # type: ignore[arg-type]
    assert not any(isinstance(vars(Release).get(name), (classmethod, staticmethod)) for name in vars(Release))


def test_sampling_rates_lie_above_zero() -> None:
    with pytest.raises(ReleaseRefused):
        released(sampling=Fraction(0))
    assert released(sampling=Fraction(1, 4)).sampling == Fraction(1, 4)


def test_noise_is_drawn_before_the_vector_exists() -> None:
    """`draw_noise` takes a layout and bytes, nothing else: it cannot depend on the data."""
    noise = draw_noise(Layout(), rng)
    assert isinstance(noise, Noise)
    assert not noise.is_used


def test_importing_the_module_is_light() -> None:
    """The CLI and the ledger import it without numpy, OpenSSL or a statistics package."""
    code = (
        "import sys, privacy.release, privacy.estimates, privacy.ledger;"
        "print([m for m in ('numpy', 'cryptography', 'scipy', 'diffprivlib', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
