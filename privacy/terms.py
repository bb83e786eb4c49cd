"""The `privacy` part of a definition: contribution bounds, price, and how the price is split.

- C and K are stated wherever the measure uses them, and refused where it does not.
- The price is one ρ, or for Laplace noise one ε; `shares` splits it over the blocks, else they share equally.
- `delta` is the price of names that nobody listed: stated where a dimension is discovered, refused where none is.
- `clipped_people: "yes"` adds one paid cell: how many people a bound took something of.
- `whole: "yes"` adds one paid cell: all cells together, with noise of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from privacy.errors import BoundMissing, InvalidDefinition, UnknownMechanism
from privacy.exact import parse_ratio, parse_whole, shown
from privacy.measures import Measure
from privacy.mechanisms import GAUSSIAN, LAPLACE, MECHANISMS

_KNOWN: Final = frozenset(
    {"max_cells", "max_per_cell", "rho", "epsilon", "mechanism", "shares", "clipped_people", "delta", "whole"}
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What `privacy` states.

    Args:
        max_cells, max_per_cell: C and K; 1 where the measure does not use them.
        mechanism: "gaussian" or "laplace".
        rho: The price in zCDP; 0 where the text gives ε, until the layout says what that costs.
        epsilon: The price in pure DP, or None.
        shares: (block, share of the price), or nothing for equal shares.
        counts_clipped: Whether the block `clipped_people` is asked for.
        delta: Price of one release in δ, > 0; None where nothing is discovered.
        has_whole: Whether the block `whole` is asked for.
    """

    max_cells: int
    max_per_cell: int
    mechanism: str
    rho: Fraction
    epsilon: Fraction | None
    shares: tuple[tuple[str, Fraction], ...]
    counts_clipped: bool
    delta: Fraction | None = None
    has_whole: bool = False


def parse_terms(tree: object, measure: Measure, *, discovers: bool = False) -> Terms:
    """The terms of a definition with this measure; `discovers`: whether it has a discovered dimension.

    Raises:
        BoundMissing, InvalidDefinition, InvalidParameterError: as they say.
    """
    if not isinstance(tree, Mapping):
        raise _bad("`privacy` is no mapping", 'Write privacy: {max_cells: "3", max_per_cell: "1", rho: "1/400"}')
    price = "epsilon" if "epsilon" in tree else "rho"
    uses = {"max_cells": measure.uses_max_cells, "max_per_cell": measure.uses_max_per_cell}
    for key in sorted({price, *(key for key, is_used in uses.items() if is_used)} - tree.keys()):
        raise BoundMissing(
            what="Metric refused",
            why=f"privacy states no {key}",
            fix=f"Add {key}; without it one person could move the result without limit",
        )
    for key in sorted(shown(key) for key in tree.keys() - _KNOWN):
        raise _bad(f"`privacy` has an unknown key {key}", f"Use only: {', '.join(sorted(_KNOWN))}")
    bounds = {key: parse_whole(tree.get(key, "1"), key) for key in uses}
    for key, is_used in uses.items():
        if not is_used and bounds[key] != 1:
            raise _bad(f"{measure.word} has no use for {key}", f"Leave {key} out")
    mechanism = _parse_mechanism(tree.get("mechanism", GAUSSIAN))
    if price == "epsilon":
        if "rho" in tree:
            raise _bad("`privacy` gives both rho and epsilon: two prices for one release", "Keep one of them")
        if mechanism != LAPLACE:
            raise _bad(
                f"{mechanism} noise has no pure epsilon; its price is rho",
                "Write mechanism: laplace beside epsilon, or give rho instead",
            )
    return Terms(
        bounds["max_cells"],
        bounds["max_per_cell"],
        mechanism,
        Fraction(0) if price == "epsilon" else parse_ratio(tree["rho"], "rho"),
        parse_ratio(tree["epsilon"], "epsilon") if price == "epsilon" else None,
        _parse_shares(tree.get("shares", {})),
        _parse_yes(tree.get("clipped_people", "no"), "clipped_people"),
        _parse_delta(tree, discovers),
        _parse_yes(tree.get("whole", "no"), "whole"),
    )


def _parse_delta(tree: Mapping[object, object], discovers: bool) -> Fraction | None:
    if not discovers:
        if "delta" in tree:
            raise _bad("`privacy` states a delta, and every cell is listed", "Leave delta out; nothing here costs any")
        return None
    if "delta" not in tree:
        raise BoundMissing(
            what="Metric refused",
            why="privacy states no delta, and keys that nobody listed are to be found",
            fix='Add delta: "1/100000000": how likely a key of one person alone may be shown, at most',
        )
    return parse_ratio(tree["delta"], "delta")


def _parse_mechanism(mechanism: object) -> str:
    if not isinstance(mechanism, str) or mechanism not in MECHANISMS:
        raise UnknownMechanism(
            what="Metric refused",
            why=f"this version does not know the mechanism {shown(mechanism)}",
            fix=f"Use one of: {', '.join(sorted(MECHANISMS))}",
        )
    return mechanism


def _parse_shares(tree: object) -> tuple[tuple[str, Fraction], ...]:
    if not isinstance(tree, Mapping) or not all(isinstance(block, str) for block in tree):
        raise _bad("`shares` is no mapping from a block to its share", 'Write shares: {deviation: "2/3", count: "1/3"}')
    shares = tuple((block, parse_ratio(tree[block], f"the share of {block}")) for block in sorted(tree))
    if shares and sum(share for _, share in shares) != 1:
        raise _bad("the shares do not add up to 1", "Split the whole price, so that what is charged is what is used")
    return shares


def _parse_yes(word: object, key: str) -> bool:
    if word not in ("yes", "no"):
        raise _bad(f"{key} is neither yes nor no", f'Write {key}: "yes", or leave it out')
    return word == "yes"


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Metric refused", why=why, fix=fix)
