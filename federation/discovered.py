"""Adding up releases whose cells are named by keys that nobody listed (`discover`).

- A key's number is the plain sum over the releases that name it. A release that does not name it says "below this
  node's threshold here", which is no zero: nothing is added for it, neither a value nor noise.
- So beside each key stands who published it. A sum over some nodes is a part of the whole, and a key close to the
  threshold shows where its noise was lucky: its numbers lean upward.
- The keys of an answer are those of its releases, in the order of their bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from privacy.estimates import Estimate, total
from privacy.estimates.numbers import cell_noise

if TYPE_CHECKING:
    from federation.combine import CountedRelease, WindowInput

NoiseLaw = tuple[Fraction, Fraction | None, Fraction]
"""σ², b, sampling rate: cells of one law have equal noise."""


def keys_of(ordered: Iterable[WindowInput]) -> tuple[str, ...]:
    """Every key that a release names, in the order of their bytes."""
    return tuple(sorted({key for one in ordered for release in one.releases for key in release.keys or ()}))


def publishers_of(ordered: Iterable[WindowInput]) -> dict[str, tuple[bytes, ...]]:
    """For each key the nodes that named it in any window, sorted."""
    found: dict[str, set[bytes]] = {}
    for one in ordered:
        for release in one.releases:
            for key in release.keys or ():
                found.setdefault(key, set()).add(release.node)
    return {key: tuple(sorted(nodes)) for key, nodes in found.items()}


def key_sums(ordered: Iterable[WindowInput], keys: Sequence[str]) -> list[list[Estimate]]:
    """For each block the sum of each of these keys, in order; a key that no release names is a `KeyError`."""
    ordered = list(ordered)
    sums = [_Sums() for _ in ordered[0].layout.blocks]
    for one in ordered:
        for release in one.releases:
            _add(sums, one, release)
    return [block_sums.estimates(keys) for block_sums in sums]


class _Sums:
    """One block's values and noises by key."""

    def __init__(self) -> None:
        self._values: dict[str, Fraction | int] = {}
        self._laws: dict[str, Counter[NoiseLaw]] = {}
        self._made: dict[frozenset[tuple[NoiseLaw, int]], Estimate] = {}  # few laws: each sum of noises is made once

    def add(self, key: str, value: Fraction | int, law: NoiseLaw) -> None:
        self._values[key] = self._values.get(key, 0) + value
        self._laws.setdefault(key, Counter())[law] += 1

    def estimates(self, keys: Sequence[str]) -> list[Estimate]:
        found = []
        for key in keys:
            noise = self._noise(self._laws[key])
            found.append(Estimate(Fraction(self._values[key]), noise.variance, noise.laplace))
        return found

    def _noise(self, laws: Mapping[NoiseLaw, int]) -> Estimate:
        kind = frozenset(laws.items())
        if kind not in self._made:
            self._made[kind] = total(
                cell_noise(sigma_squared, scale).times(1 / sampling).copies(times)
                for (sigma_squared, scale, sampling), times in sorted(laws.items(), key=repr)
            )
        return self._made[kind]


def _add(sums: Sequence[_Sums], one: WindowInput, release: CountedRelease) -> None:
    keys = release.keys or ()
    for number, (block, stated) in enumerate(zip(release.blocks, one.layout.blocks, strict=True)):
        # b is the definition's; judgement has held the stated σ² and mechanism against it.
        law = (block.sigma_squared, stated.scale, release.sampling)
        start = number * len(keys)
        for key, cell in zip(keys, release.cells[start : start + len(keys)], strict=True):
            sums[number].add(key, cell if release.sampling == 1 else cell / release.sampling, law)
