"""Names for the operator: which keys of a closed window exist, told once paid (specs/privacy.md 4.9)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import msgspec

from federation.definitions import definition_bytes
from node.jobs.private_answers import PrivateAnswers
from privacy.discovery import read_keys
from privacy.errors import BudgetExhausted
from privacy.layout import compile_layout
from privacy.ledger import ATTO, Charge, fits_population
from privacy.naming import NamesAsked, parse_names
from privacy.sampling import keystream
from privacy.units import Window
from protocol.objects import definition_hash

_SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Named:
    """Names that were asked for.

    Args:
        attribute: Whose values they are.
        window: What they are of.
        names: In their own order; hostile text, printable.
        cost: What the window's epoch was charged for them, once.
        is_new: Whether this call made them.
    """

    attribute: str
    window: Window
    names: tuple[str, ...]
    cost: Charge
    is_new: bool


class Names:
    """Makes and remembers lists of names."""

    def __init__(self, answers: PrivateAnswers, population: int | None) -> None:
        """Make it. `population`: declared number of people, if any."""
        self._answers = answers
        self._population = population

    def make(self, tree: object, window_text: str) -> Named:
        """The names that this text asks for over this window; drawn and charged once, the same for ever.

        Raises:
            PrivacyError: the text or window is refused, the plan cannot answer, or no budget: nothing was charged.
            EpochClosed: its rows are gone.
        """
        window = Window.parse(window_text)
        asked = parse_names(tree, window.kind)
        digest = definition_hash(definition_bytes(asked.text))
        self._answers.check_window(window, "the list of names", window.kind)
        text, is_new = self._answers.once(digest, window, asked.cost, lambda: self._draw(asked, window))
        return Named(asked.attribute, window, msgspec.json.decode(text, type=tuple[str, ...]), asked.cost, is_new)

    def _draw(self, asked: NamesAsked, window: Window) -> str:
        """The names as JSON, drawn from a stream that was fixed before a row was read; nothing is stored or told."""
        self._check_delta(asked.cost)
        layout = compile_layout(asked.people, window)
        bound = self._answers.bound(asked.people, layout, "Names")
        stream = keystream(self._answers.rng)
        with self._answers.rows_of(window) as rows:
            exact = read_keys(rows.keys(bound, self._answers.rng(_SALT_BYTES)))
        return msgspec.json.encode(asked.kept(exact, stream)).decode()

    def _check_delta(self, cost: Charge) -> None:
        """The epoch's cap is the ledger's to hold; this one is about the people who are declared."""
        if fits_population(cost.delta_atto, self._population):
            return
        most = ATTO // (10 * (self._population or 1))
        raise BudgetExhausted(
            what="Names refused",
            rule="delta of one release",
            deficit=cost.delta_atto - most,
            returns="with a smaller delta, or fewer declared people",
            nearest=f"delta {Fraction(most, ATTO)}",
        )
