"""The child that carries diffprivlib, scipy and dp-accounting for a node: one JSON line in, one out, until stdin ends.

    {"do": "geometric", "scale": [40, 1], "count": 7, "key": hex}     -> {"draws": [...]}
    {"do": "choose", "utilities": [...], "epsilon": [1, 2], "sensitivity": 1, "key": hex}  -> {"choice": i}
    {"do": "epsilons", "losses": [...], "epochs": [1, 30, 365], "delta": [1, 1000000]}
                                                                      -> {"pld": ["0.94", …], "second": ["1.2", …]}

It holds nobody's data: parameters and key bytes in, noise or figures out. An answer is a pure function of its line.
A failure is a line {"failed": code, "why": text} of the privacy family; anything else ends the process, which the node
reads as no answer. Its memory and its two seconds of imports end with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final, TextIO

from privacy.accounting import DELTA, epsilon_of_rho
from privacy.errors import PrivacyError
from privacy.losses import Loss, Losses
from privacy.mechanisms import GAUSSIAN

_SECOND_SHARE: Final = 2  # the second opinion spends half of δ on the releases, half on their composition

Answer = dict[str, Any]
Question = Mapping[str, Any]  # parsed JSON of our own node; a wrong shape is a mistake in it and ends the child


def serve(lines: TextIO, answers: TextIO) -> None:
    """Answer every line until there are no more."""
    for line in lines:
        question = json.loads(line)
        try:
            answer = _DO[question["do"]](question)
        except PrivacyError as error:
            answer = {"failed": error.code, "why": error.why}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _geometric(question: Question) -> Answer:
    from privacy.diffprivlib_adapter import draw_geometric

    key = bytes.fromhex(question["key"])
    return {"draws": draw_geometric(Fraction(*question["scale"]), question["count"], key)}


def _choose(question: Question) -> Answer:
    from privacy.diffprivlib_adapter import choose

    key = bytes.fromhex(question["key"])
    choice = choose(question["utilities"], Fraction(*question["epsilon"]), question["sensitivity"], key)
    return {"choice": choice}


def _epsilons(question: Question) -> Answer:
    from privacy.pld import pld_epsilons

    losses = {
        Loss(law, Fraction(*scale), shift, times, l2_squared): often
        for law, scale, shift, times, l2_squared, often in question["losses"]
    }
    epochs, delta = question["epochs"], Fraction(*question["delta"])
    tight = [str(epsilon) for epsilon in pld_epsilons(losses, epochs, delta)]
    return {"pld": tight, "second": [_second_opinion(losses, count, delta) for count in epochs]}


def _second_opinion(losses: Losses, epochs: int, delta: Fraction = DELTA) -> str:
    """ε by diffprivlib's accountant: each release as an (ε, δ) pair at its share of δ, composed without its law."""
    from privacy.diffprivlib_adapter import conservative_epsilon

    gaussians = sum(often for loss, often in losses.items() if loss.law == GAUSSIAN)
    share = delta / _SECOND_SHARE / max(gaussians * epochs, 1)
    spends = []
    for loss, often in losses.items():
        pure = loss.pure_epsilon
        pair = (pure, Fraction(0)) if pure is not None else (Fraction(epsilon_of_rho(loss.rho, share)), share)
        spends.append((*pair, often * epochs))
    return f"{conservative_epsilon(spends, delta / _SECOND_SHARE)[0]:.4f}"


_DO: Final[dict[str, Callable[[Question], Answer]]] = {
    "geometric": _geometric,
    "choose": _choose,
    "epsilons": _epsilons,
}

if __name__ == "__main__":
    if sys.argv[1:]:  # ahead of need
        import privacy.diffprivlib_adapter

        privacy.diffprivlib_adapter.load()
    serve(sys.stdin, sys.stdout)
