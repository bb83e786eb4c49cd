"""Each sampler's own code with one fault in it is caught: the exact one, the table's, diffprivlib's adapter.

`test_noise` and `test_laplace` reject laws that are wrong; here the text of the module that runs is changed in one
place and loaded again. The same road with the text unchanged passes, so what is caught is the fault: five honest
checks at α = 1e-9 for each of three figures, at most 1.5e-8 a run.

Power: the faults move the second moment, the centre or single probabilities by ten standard errors and more at the
number of draws given.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy import diffprivlib_adapter, exact_sampling, sampling
from tests.statistical.test_noise import Law, faults, gaussian_law, laplace_law

SIGMA_SQUARED, B = Fraction(20), Fraction(5)
Draws = NDArray[np.int64]


def mutated(module: ModuleType, old: str, new: str) -> Any:
    """The module with one text for another. Any: what it offers is its own."""
    text = inspect.getsource(module)
    assert text.count(old) == 1, "the mutant no longer applies, or in several places"
    copy = ModuleType(f"{module.__name__}_mutated")
    sys.modules[copy.__name__] = copy
    try:
        exec(compile(text.replace(old, new), module.__file__ or "", "exec"), copy.__dict__)
    finally:
        del sys.modules[copy.__name__]
    return copy


def by_exact(draw: str, parameter: Fraction) -> Callable[[Any], Draws]:
    def sample(module: Any) -> Draws:
        stream = sampling.keystream(os.urandom)
        return np.array([getattr(module, draw)(parameter, stream) for _ in range(20_000)])

    return sample


def by_table(draw: str, parameter: Fraction) -> Callable[[Any], Draws]:
    def sample(module: Any) -> Draws:
        drawn: Draws = getattr(module, draw)(parameter, 200_000, sampling.keystream(os.urandom))
        return drawn

    return sample


def by_diffprivlib(module: Any) -> Draws:
    return np.array(module.draw_geometric(B, 50_000, os.urandom(32)))


GAUSSIAN, LAPLACE = gaussian_law(SIGMA_SQUARED), laplace_law(B)
EXACT_GAUSSIAN, EXACT_LAPLACE = by_exact("discrete_gaussian", SIGMA_SQUARED), by_exact("discrete_laplace", B)
TABLE_GAUSSIAN, TABLE_LAPLACE = by_table("draw_gaussian", SIGMA_SQUARED), by_table("draw_laplace", B)
Road = tuple[ModuleType, Callable[[Any], Draws], Law]
ROADS: dict[str, Road] = {
    "exact Gaussian": (exact_sampling, EXACT_GAUSSIAN, GAUSSIAN),
    "exact Laplace": (exact_sampling, EXACT_LAPLACE, LAPLACE),
    "table of the Gaussian": (sampling, TABLE_GAUSSIAN, GAUSSIAN),
    "table of the Laplace law": (sampling, TABLE_LAPLACE, LAPLACE),
    "diffprivlib": (diffprivlib_adapter, by_diffprivlib, LAPLACE),
}
BROKEN: dict[str, tuple[str, str, str]] = {  # the fault: (road, text, another)
    "minus zero is kept": ("exact Laplace", "if negative and size == 0:", "if False:"),
    "no sign": ("exact Laplace", "negative = bool(rng(1)[0] & 1)", "negative = False"),
    "one block too many": ("exact Laplace", "blocks = 0", "blocks = 1"),
    "the coin has half its exponent": ("exact Gaussian", "2 * p * q * t * t", "4 * p * q * t * t"),
    "the distance is from 0": ("exact Gaussian", "abs(y) * q * t - p", "abs(y) * q * t"),
    "the sign is the top bit": ("table of the Gaussian", "(words & np.uint64(1))", "(words >> np.uint64(63))"),
    "two bits are dropped": ("table of the Gaussian", "words >> np.uint64(1)", "words >> np.uint64(2)"),
    "the next value": ("table of the Laplace law", "return sizes.astype(np.int64, copy=False)",
                       "return (sizes + 1).astype(np.int64, copy=False)"),
    "sizes without signs": ("table of the Laplace law", "1 - 2 * (words", "1 - 0 * (words"),
    "epsilon and sensitivity change places": (
        "diffprivlib", "epsilon=scale.denominator, sensitivity=scale.numerator",
        "epsilon=scale.numerator, sensitivity=scale.denominator",
    ),
    "sensitivity forgotten": ("diffprivlib", "sensitivity=scale.numerator", "sensitivity=1"),
}  # fmt: skip


@pytest.mark.parametrize("road", ROADS)
def test_the_text_as_it_is_passes(road: str) -> None:
    """Loaded the way the mutants are."""
    module, sample, law = ROADS[road]
    assert faults(sample(_same(module)), law) == set()


def _same(module: ModuleType) -> Any:
    first = inspect.getsource(module).splitlines()[0]
    return mutated(module, first, first)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_in_the_code_is_caught(fault: str) -> None:
    road, old, new = BROKEN[fault]
    module, sample, law = ROADS[road]
    assert faults(sample(mutated(module, old, new)), law)
