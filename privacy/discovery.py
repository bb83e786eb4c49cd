"""`discover`: a release of keys that nobody listed (specs/privacy.md 2.7, specs/metrics.md 10).

In this order, so that nothing about one person's keys hangs on another's:

1. The stream of noise is fixed (`KeyNoise`, 32 fresh bytes) before a row is read. How many draws it gives is known only
   with the rows: one a candidate key in each block.
2. The SQL gives each key's exact cells, from at most C keys a person (`keys_sql`).
3. Candidates that look personal, are not printable or too long are dropped: a rule about one text, not about people.
4. Each candidate, in the order of their bytes, gets its draws. Its *noised* people decide: below τ it is gone, with
   every other cell of it. Of more than 512 that pass, those of most noised people stay: post-processing.
5. What passed is a layout of its own, and is released like any other.

The number of candidates depends on data. It stays in memory: no log line, count or error holds it; the time a release
takes hangs on it like that of any query, and releases leave at fixed ticks (specs/known-limits.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, final

from privacy.layout import PEOPLE, Layout
from privacy.measures.base import Measure
from privacy.partitions import MAX_KEYS, fit_keys, passes
from privacy.projection import key_of_hex
from privacy.release import ExactVector, Noise, PassedKeys, Release, Slot, draw_blocks, make_release, used_twice

if TYPE_CHECKING:
    from privacy.exact_sampling import Rng

ExactRow = tuple[Any, ...]
"""(key in hexadecimal, one integer a block), as the engine returns it."""


def keys_sql(measure: Measure, layout: Layout) -> str:
    """One row a key: its digits, then one value for each block in layout order, over the relation `kept`."""
    values = {PEOPLE: "count(*)"}
    for add in measure.adds_sql(layout.frame):
        assert (add.cell, add.where) == ("unit", None), "measures that may discover have one cell a key"
        values[add.block] = f"CAST(sum({add.value}) AS BIGINT)"
    columns = ", ".join(f"{values[block.name]} AS v{place}" for place, block in enumerate(layout.blocks))
    return f"SELECT unit, {columns} FROM kept GROUP BY unit"


class ExactKeys(dict[str, tuple[int, ...]]):
    """Exact cells by key: a mapping that shows neither, and is emptied when it was released."""

    def __repr__(self) -> str:
        return "<ExactKeys, hidden>"

    __str__ = __repr__


def read_keys(rows: Iterable[ExactRow]) -> ExactKeys:
    """What the engine found, by text; keys that may not be candidates are left out."""
    found = {key_of_hex(digits): values for digits, *values in rows}
    return ExactKeys({key: tuple(found[key]) for key in fit_keys(found)})


@final
class KeyNoise:
    """Noise for as many keys as there will be, from a stream that was fixed before any row was read; used once."""

    __slots__ = ("_layout", "_stream")

    def __init__(self, layout: Layout, rng: Rng) -> None:
        from privacy.sampling import keystream

        self._layout = layout
        self._stream: Rng | None = keystream(rng)

    def __repr__(self) -> str:
        return "<KeyNoise, hidden>"

    def __reduce__(self) -> str:
        raise TypeError("noise is not copied or stored")

    def take(self, keys: Sequence[str]) -> list[list[int]]:
        """The draws, once: for each block one for each of these candidates.

        Raises:
            ReleaseRefused: used before.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            raise used_twice()
        return draw_blocks(self._layout.with_keys(keys), stream)


def release_keys(
    slot: Slot,
    layout: Layout,
    noise: KeyNoise,
    exact: ExactKeys,
    charges: Iterable[tuple[str, int, int]],
    unit: str,
    sampling: Fraction = Fraction(1),
) -> Release:
    """The release of the keys that pass; `exact` is emptied.

    Raises:
        BoundViolated: a cell out of its bounds. ReleaseRefused: noise used before, or charges below the layout's.
    """
    assert layout.discovery is not None
    tau = layout.discovery.threshold
    candidates = sorted(exact)
    draws = noise.take(candidates)
    passed = _passed(candidates, exact, draws[0], tau)
    keyed = layout.with_keys([candidates[place] for place in passed])
    vector = ExactVector(exact[candidates[place]][block] for block in range(len(keyed.blocks)) for place in passed)
    exact.clear()
    keyed.check_vector(vector)
    kept = Noise.of(keyed, [draws[block][place] for block in range(len(keyed.blocks)) for place in passed])
    keys = PassedKeys(tuple(keyed.by[0].values), tau)
    return make_release(slot, keyed, kept, vector, charges, unit, sampling, keys)


def _passed(
    candidates: Sequence[str], exact: Mapping[str, tuple[int, ...]], draws: Sequence[int], tau: int
) -> list[int]:
    """Places of the candidates whose noised people reach τ, at most 512 of them, in order."""
    noised = [exact[key][0] + draw for key, draw in zip(candidates, draws, strict=True)]
    through = [place for place, people in enumerate(noised) if passes(people, tau)]
    through.sort(key=lambda place: (-noised[place], place))
    return sorted(through[:MAX_KEYS])
