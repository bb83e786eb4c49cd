"""The sampler is a pure function of its bytes, and its tables are exact.

Shape and scale of the noise: tests/statistical/test_noise.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import InvalidParameterError, NoiseUnavailable
from privacy.exact_sampling import bernoulli_exp, discrete_gaussian, discrete_laplace, uniform_below
from privacy.noise_table import (
    ETA_TABLE,
    TABLE_BITS,
    TABLE_REACH,
    exp_minus,
    gaussian_table,
    gaussian_thresholds,
)
from privacy.sampling import draw_gaussian, keystream

SIGMAS = [Fraction(200), Fraction(81, 4), Fraction(1, 100), Fraction(10**5, 7), Fraction(3, 1000)]
KEY = bytes(range(32))


def stream_of(data: bytes) -> Callable[[int], bytes]:
    """A stream that gives these bytes and then nothing."""
    rest = iter((data,))
    buffer = bytearray(next(rest))

    def read(size: int) -> bytes:
        part = bytes(buffer[:size])
        del buffer[:size]
        return part

    return read


def fixed_key(size: int) -> bytes:
    assert size == 32
    return KEY


def words(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


@pytest.mark.parametrize("sigma_squared", SIGMAS)
def test_each_threshold_is_the_exact_floor(sigma_squared: Fraction) -> None:
    """Against a sum of the series at 400 bits, which is far beyond what a floor of 127 bits needs."""
    thresholds = gaussian_thresholds(sigma_squared)
    with mpmath.workprec(400):
        half = mpmath.mpf(sigma_squared.denominator) / (2 * sigma_squared.numerator)
        weights = [mpmath.exp(-k * k * half) * (2 if k else 1) for k in range(2 * len(thresholds) + 60)]
        whole, running = mpmath.fsum(weights), mpmath.mpf(0)
        for threshold, weight in zip(thresholds, weights, strict=False):
            running += weight
            assert threshold == int(mpmath.floor(running / whole * mpmath.mpf(2) ** TABLE_BITS))


@pytest.mark.parametrize("sigma_squared", [*SIGMAS, TABLE_REACH])
def test_the_table_is_as_close_to_its_law_as_the_ledger_charges(sigma_squared: Fraction) -> None:
    """(B + 2)/2 · 2^-127 is at most η, up to the largest table."""
    largest = gaussian_table(sigma_squared).largest
    assert Fraction(largest + 2, 2) / 2**TABLE_BITS <= ETA_TABLE


@given(st.fractions(min_value=0, max_value=3000), st.sampled_from([64, 128, 256]))
@settings(max_examples=200, deadline=None)
def test_exp_is_enclosed(x: Fraction, bits: int) -> None:
    lo, hi = exp_minus(x, bits)
    with mpmath.workprec(bits + 5000):
        value = mpmath.exp(-mpmath.mpf(x.numerator) / x.denominator) * mpmath.mpf(2) ** bits
        assert lo <= value <= hi
    assert hi - lo <= 8


def test_a_draw_whose_first_bits_equal_a_threshold_is_settled_by_64_more() -> None:
    """T_k <= u counts, exactly at, one below and one above the threshold."""
    thresholds = gaussian_thresholds(Fraction(200))
    k = 17
    top, low = divmod(thresholds[k], 1 << 64)
    for more, expected in ((low, k + 1), (low - 1, k), (low + 1, k + 1)):
        assert draw_gaussian(Fraction(200), 1, stream_of(words([top << 1, more]))).tolist() == [expected]
        assert draw_gaussian(Fraction(200), 1, stream_of(words([top << 1 | 1, more]))).tolist() == [-expected]


def test_ties_in_the_far_tail_reach_the_largest_value() -> None:
    """Thresholds that share their first 63 bits are told apart by the last 64."""
    thresholds = gaussian_thresholds(Fraction(200))
    all_ones = (1 << 64) - 1
    assert draw_gaussian(Fraction(200), 1, stream_of(words([all_ones - 1, all_ones]))).tolist() == [len(thresholds)]
    beyond = sum(1 for t in thresholds if t >> 64 < (1 << 63) - 1 or t % (1 << 64) <= 0)
    assert draw_gaussian(Fraction(200), 1, stream_of(words([all_ones - 1, 0]))).tolist() == [beyond]


def test_every_word_maps_to_the_number_of_thresholds_at_most_it() -> None:
    """The definition, word by word, on words around each threshold and spread over the range."""
    thresholds = gaussian_thresholds(Fraction(81, 4))
    tops = [t >> 64 for t in thresholds]
    near = {min(max(top + d, 0), (1 << 63) - 1) for top in tops for d in (-1, 0, 1)} - set(tops)
    spread = {i * ((1 << 63) // 997) for i in range(997)} - set(tops)
    compared = sorted(near | spread)
    drawn = draw_gaussian(Fraction(81, 4), len(compared), stream_of(words(v << 1 for v in compared))).tolist()
    assert drawn == [sum(t <= (v << 64) for t in thresholds) for v in compared]


def test_equal_bytes_give_equal_noise() -> None:
    """A golden vector: AES-256-CTR under the key 00 01 … 1f, counter from 0."""
    assert keystream(fixed_key)(16).hex() == "f29000b62a499fd0a9f39a6add2e7780"
    drawn = draw_gaussian(Fraction(200), 1000, keystream(fixed_key)).tolist()
    assert drawn[:8] == GOLDEN
    assert drawn == draw_gaussian(Fraction(200), 1000, keystream(fixed_key)).tolist()


GOLDEN = [19, -10, 23, 4, 16, 12, 3, 6]


def test_the_stream_does_not_depend_on_how_it_is_read() -> None:
    whole = keystream(fixed_key)(20_000)
    in_parts = keystream(fixed_key)
    sizes = [1, 7, 8, 4096, 4095, 1, 0, 5000, 2000, 8, 4784]
    assert b"".join(in_parts(size) for size in sizes) == whole[: sum(sizes)]


def test_no_bytes_no_noise() -> None:
    """A source that gives too little stops the release; it is never padded."""
    with pytest.raises(NoiseUnavailable, match="gave 3 bytes instead of 32"):
        keystream(lambda size: b"abc")
    with pytest.raises(NoiseUnavailable):
        draw_gaussian(Fraction(200), 4, stream_of(bytes(31)))
    with pytest.raises(NoiseUnavailable):
        draw_gaussian(TABLE_REACH + 1, 1, stream_of(b""))


@pytest.mark.parametrize("sigma_squared", [Fraction(0), Fraction(-1), 200.0, 200, "200"])
def test_noise_scales_are_positive_fractions(sigma_squared: object) -> None:
    with pytest.raises(InvalidParameterError):
        draw_gaussian(sigma_squared, 1, stream_of(bytes(8)))  # type: ignore[arg-type]


@given(st.integers(1, 2**70), st.binary(min_size=400, max_size=400))
@settings(max_examples=100, deadline=None)
def test_uniform_below_stays_below(n: int, data: bytes) -> None:
    assert 0 <= uniform_below(n, stream_of(data * 20)) < n


def test_exact_samplers_refuse_scales_that_are_not_positive() -> None:
    for sampler in (discrete_gaussian, discrete_laplace):
        with pytest.raises(InvalidParameterError):
            sampler(Fraction(0), stream_of(b""))


def test_exp_coin_of_zero_is_always_true() -> None:
    assert all(bernoulli_exp(0, 5, stream_of(bytes([i]) * 64)) for i in range(256))


def test_the_table_and_the_draws_are_fast() -> None:
    """A bound ten times the target, against regressions; the targets are measured in tests/bench."""
    gaussian_thresholds(Fraction(16))
    started = time.perf_counter()
    gaussian_thresholds(Fraction(200))
    assert time.perf_counter() - started < 0.2
    draw_gaussian(Fraction(200), 1, keystream(fixed_key))
    started = time.perf_counter()
    draw_gaussian(Fraction(200), 1_000_000, keystream(fixed_key))
    assert time.perf_counter() - started < 2
