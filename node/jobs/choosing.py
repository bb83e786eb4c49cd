"""Private choices: which listed value most people of a closed window have (specs/privacy.md 4.8).

Charged, stored and told as any private answer (`node.jobs.private_answers`); drawn in a short-lived child.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from federation.definitions import definition_bytes
from node.jobs.private_answers import PrivateAnswers
from node.jobs.workshop import Workshop
from privacy.choosing import SENSITIVITY, Choice, parse_choice
from privacy.layout import compile_layout
from privacy.ledger import Charge
from privacy.release import ExactVector
from privacy.units import Window
from protocol.objects import definition_hash

_BYTES = 32


class Chooser(Protocol):
    """(utilities, ε, sensitivity, 32 bytes) -> the index chosen; `Workshop.choose`."""

    def __call__(self, utilities: list[int], epsilon: Fraction, sensitivity: int, key: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice that was made.

    Args:
        name: Of the choice.
        window: What it is about.
        value: The label chosen.
        cost: What its epoch was charged for it, once.
        is_new: Whether this call made it.
    """

    name: str
    window: Window
    value: str
    cost: Charge
    is_new: bool


class Choices:
    """Makes and remembers private choices."""

    def __init__(self, answers: PrivateAnswers, choose: Chooser | None = None) -> None:
        """Make it. `choose`: for tests; else a child of its own for each choice."""
        self._answers = answers
        self._choose = choose or _in_a_child

    def make(self, tree: object, window_text: str) -> Chosen:
        """The choice of this text over this window; made and charged once, the same for ever.

        Raises:
            PrivacyError: the text or window is refused, the plan cannot answer, no noise, or no budget: nothing was
                charged. EpochClosed: its rows are gone.
        """
        choice, window = parse_choice(tree), Window.parse(window_text)
        digest = definition_hash(definition_bytes(tree))
        self._answers.check_window(window, f"the choice {choice.name}", choice.people.window)
        value, is_new = self._answers.once(digest, window, choice.cost, lambda: self._draw(choice, window))
        return Chosen(choice.name, window, value, choice.cost, is_new)

    def _draw(self, choice: Choice, window: Window) -> str:
        """The value, drawn with fresh bytes from bounded people; nothing is stored or told here."""
        layout = compile_layout(choice.people, window)
        bound = self._answers.bound(choice.people, layout, "Choice")
        key = self._answers.rng(_BYTES)
        with self._answers.rows_of(window) as rows:
            vector = ExactVector(rows.vector(bound, self._answers.rng(_BYTES)))
        layout.check_vector(vector)
        utilities = choice.utilities(layout, vector)
        vector.clear()
        return choice.candidates[self._choose(utilities, choice.epsilon, SENSITIVITY, key)]


def _in_a_child(utilities: list[int], epsilon: Fraction, sensitivity: int, key: bytes) -> int:
    with Workshop() as workshop:
        return workshop.choose(utilities, epsilon, sensitivity, key)
