"""Names alone: which values of an attribute exist, by the optimal rule of partition selection (specs/privacy.md 4.9).

What an operator asks of the own node before writing a definition that lists values:

- The rows are bounded as for `discover`: at most C keys a person, kept by a keyed hash.
- Candidates pass the patterns of `privacy.pii`, one text at a time.
- A key of n people is kept with probability π(n) of `keep_probability`, at (ε/C, δ/C). A person touches at most C keys,
  so the whole list is (ε, δ)-DP, hence δ-approximate ε²/2-zCDP: that and δ is the price.
- What is told is the list, in the order of the names: no count, no rank, not how many were left out.

```json
{"names": "page", "from": {"app": "shop", "action": "view"},
 "privacy": {"max_cells": "4", "epsilon": "1/10", "delta": "1/1000000000"}}
```

One slot (text, window) has one list, for ever. It stays with the operator: never sent, never joined with another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from privacy.definition import Definition, parse_definition
from privacy.errors import InvalidDefinition, PrivacyError
from privacy.exact import shown
from privacy.ledger import ATTO, Charge
from privacy.mechanisms import rho_of_pure
from privacy.partitions import is_kept, keep_probability

if TYPE_CHECKING:
    from privacy.discovery import ExactKeys
    from privacy.units import WindowKind

_KEYS: Final = frozenset({"names", "from", "privacy"})
_PRICE: Final = frozenset({"max_cells", "epsilon", "delta"})


@dataclass(frozen=True, slots=True)
class NamesAsked:
    """A parsed request for names.

    Args:
        attribute: Whose values are asked for.
        people: The bounded count of people by key that decides; its own price is not charged.
        epsilon, delta: Of the whole list; > 0.
        text: The request in its one spelling, a strings-only tree: what its slot is named by.
    """

    attribute: str
    people: Definition
    epsilon: Fraction
    delta: Fraction
    text: Mapping[str, Any]

    @property
    def cost(self) -> Charge:
        """ρ = ε²/2 and δ, rounded up; follows from the text alone."""
        return Charge.of(rho_of_pure(self.epsilon), ceil(self.delta * ATTO))

    def kept(self, exact: ExactKeys, rng: Callable[[int], bytes]) -> tuple[str, ...]:
        """The names kept, by name: one coin for every candidate. `exact` is emptied.

        Args:
            rng: A stream that was fixed before a row was read.
        """
        probability = keep_probability(self.epsilon, self.delta, self.people.max_cells)
        kept = tuple(key for key in sorted(exact) if is_kept(probability(exact[key][0]), rng))
        exact.clear()
        return kept


def parse_names(tree: object, window: WindowKind) -> NamesAsked:
    """The request that a strings-only tree describes, for a window of this kind.

    Raises:
        PrivacyError: as `parse_definition`; InvalidDefinition: a wrong shape.
    """
    if not isinstance(tree, Mapping):
        raise _bad("a request for names is a mapping", "Begin with names: ATTRIBUTE")
    unknown = sorted(shown(key) for key in tree.keys() ^ _KEYS)
    if unknown:
        raise _bad(f"it has or lacks a key: {unknown[0]}", f"Use exactly: {', '.join(sorted(_KEYS))}")
    attribute, privacy = tree["names"], tree["privacy"]
    if not isinstance(attribute, str):
        raise _bad("it names no attribute", "Begin with names: ATTRIBUTE")
    if not isinstance(privacy, Mapping) or set(privacy) != _PRICE:
        raise _bad("`privacy` states other things than max_cells, epsilon and delta",
                   'Write privacy: {max_cells: "4", epsilon: "1/10", delta: "1/1000000000"}')  # fmt: skip
    try:
        people = parse_definition(
            {
                "metric": "names", "question": "Which names exist?", "from": tree["from"], "measure": "people",
                "by": {attribute: {"discover": "true"}}, "window": window,
                "privacy": {**privacy, "mechanism": "laplace"},
            }
        )  # fmt: skip
    except PrivacyError as error:
        raise type(error)(what="Names refused", why=error.why, fix=error.fix) from None
    assert people.epsilon is not None, "it was given"
    assert people.delta is not None, "it was given"
    price = {"max_cells": str(people.max_cells), "epsilon": str(people.epsilon), "delta": str(people.delta)}
    text = {"names": attribute, "from": tree["from"], "privacy": price}
    return NamesAsked(attribute, people, people.epsilon, people.delta, text)


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Names refused", why=why, fix=fix)
