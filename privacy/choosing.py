"""Private choices inside a node: which listed value most people have (PermuteAndFlip, specs/privacy.md 4.8).

- A *choice* is a text like a definition: where from, among which values, over which window, at which pure ε.
- A value's utility is its bounded number of people: one person moves each by at most 1, whatever C is, so the whole
  choice is ε-DP and costs ρ = ε²/2.
- One slot (text, window) has one choice, for ever. It stays with the operator: it is never sent, never summed.

```yaml
choice: usual_country
from: any
among: {country: [DE, FR, CH]}        # one dimension: values, or {edges: [...]} for the fullest bin
window: day
privacy: {max_cells: "1", epsilon: "1/10"}
```

`other` and `none` are no candidates. Left out on purpose: discovered keys (their names need a δ), sums, quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from privacy.definition import Definition, parse_definition
from privacy.dimensions import NAME, NONE, OTHER
from privacy.errors import InvalidDefinition
from privacy.exact import shown
from privacy.layout import Layout
from privacy.ledger import ATTO, Charge
from privacy.mechanisms import rho_of_pure

SENSITIVITY: Final = 1  # people: one person moves each value by at most one
ETA_PER_CANDIDATE: Final = Fraction(1, 2**48)
"""How far diffprivlib's floats may move the law of a choice, a candidate. A candidate's coin takes seven uniforms of 53
bits on average (1.6 coins of e⁻¹, e uniforms each, and one more), its place in the permutation one, and a uniform and
its rounded bound are each off by at most 2⁻⁵³: 16 · 2⁻⁵³ in all, and twice that again as a reserve."""

_KEYS: Final = frozenset({"choice", "from", "among", "window", "privacy"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A parsed choice.

    Args:
        name: Its name.
        people: The count of people that its utilities are; its own price is not charged.
        epsilon: Pure ε of the choice, > 0.
    """

    name: str
    people: Definition
    epsilon: Fraction

    @property
    def candidates(self) -> tuple[str, ...]:
        """The labels that may be chosen, in the order of the definition."""
        return tuple(label for label in self.people.by[0].labels if label not in (OTHER, NONE))

    @property
    def cost(self) -> Charge:
        """ρ = ε²/2, and (1 + e^ε)·η as δ for the floats of the draw; rounded up. Follows from the text alone."""
        growth = 3 ** ceil(self.epsilon)
        eta = (1 + growth) * ETA_PER_CANDIDATE * len(self.candidates)
        return Charge.of(rho_of_pure(self.epsilon), ceil(eta * ATTO))

    def utilities(self, layout: Layout, vector: Sequence[int]) -> list[int]:
        """The candidates' people, from the exact vector of `people`; for `choose` only."""
        [axis] = layout.by
        chosen = set(self.candidates)
        return [vector[place] for place, label in enumerate(axis.labels) if label in chosen]


def parse_choice(tree: object) -> Choice:
    """The choice that a strings-only tree describes.

    Raises:
        PrivacyError: as `parse_definition`; InvalidDefinition: a wrong shape, or nothing to choose from.
    """
    if not isinstance(tree, Mapping):
        raise _bad("a choice is a mapping", "Begin with choice: NAME")
    unknown = sorted(shown(key) for key in tree.keys() ^ _KEYS)
    if unknown:
        raise _bad(f"it has or lacks a key: {unknown[0]}", f"Use exactly: {', '.join(sorted(_KEYS))}")
    name, privacy = tree["choice"], tree["privacy"]
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise _bad("it has no name", "Begin with choice: NAME, of a-z, 0-9, _ . - and beginning with a letter")
    if not isinstance(privacy, Mapping) or set(privacy) != {"max_cells", "epsilon"}:
        raise _bad("`privacy` states other things than max_cells and epsilon",
                   'Write privacy: {max_cells: "1", epsilon: "1/10"}')  # fmt: skip
    people = parse_definition(
        {
            "metric": name, "question": "Which value do most people have?", "from": tree["from"], "measure": "people",
            "by": tree["among"], "window": tree["window"],
            "privacy": {**privacy, "mechanism": "laplace"},
        }
    )  # fmt: skip
    assert people.epsilon is not None, "it was given"
    choice = Choice(name, people, people.epsilon)
    if len(people.by) != 1 or len(choice.candidates) < 2:
        raise _bad("`among` names no one dimension with two values or more", "Write among: {country: [DE, FR]}")
    return choice


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Choice refused", why=why, fix=fix)
