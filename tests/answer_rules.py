"""What every answer has to agree with in itself (specs/answers.md 3.2, 4.3, 5, 6.1; metrics.md 9.7).

`tests/conftest.py` holds every answer that a test makes in its own process against these rules, whatever the test is
about. Written from the specification, without the code that makes answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

EXPECTED = ("included", "partial", "missing", "void", "withheld")
Data = Mapping[str, Any]


class RuleBroken(AssertionError):
    """An answer that contradicts itself."""


def hold(data: Data) -> None:
    """Every rule of an answer's `data`.

    Raises:
        RuleBroken: one does not hold.
    """
    for name, rules in (("members", _members), ("numbers", _numbers), ("sums", _sums), ("consistency", _consistency)):
        for fault in rules(data):
            raise RuleBroken(f"{name} of {data['metric']}: {fault}")


def _members(data: Data) -> Iterator[str]:
    states = [member["state"] for member in data["members"]]
    expected = f"{states.count('included')} of {sum(state in EXPECTED for state in states)}"
    if data["reporting"] != expected:
        yield f"reporting is {data['reporting']}, the members say {expected}"
    for member in data["members"]:
        without = sum(len(part["windows"]) for part in member["without"])
        if member["windows"] + without > data["windows"]["count"]:
            yield f"{member['name']} stands in more windows than there are"


def _numbers(data: Data) -> Iterator[str]:
    """An estimate lies in its interval; a rate between 0 and 1."""
    single = [data[name] for name in ("hidden", "total", "clipped", "whole") if data[name] is not None]
    for number in (*data["cells"], *data["series"], *data["ranking"], *single):
        lower, estimate, upper = (Fraction(number[name]) for name in ("lower", "estimate", "upper"))
        if not lower <= estimate <= upper:
            yield f"{number} is no interval around its estimate"
        if number["wide"] != (2 * (upper - lower) > abs(estimate)):
            yield f"{number} is wide or not"
    for figure in data["figures"]:
        if figure["kind"] == "quantile":
            continue
        ends = [Fraction(figure[name]) for name in ("lower", "estimate", "upper") if figure[name] is not None]
        if ends != sorted(ends):
            yield f"{figure} is no interval around its estimate"
        if figure["kind"] == "rate" and ends and not 0 <= ends[0] <= ends[-1] <= 1:
            yield f"{figure} is no rate"


def _sums(data: Data) -> Iterator[str]:
    """Raw cells add up to the total, those not shown to the hidden row."""
    if not data["raw"] or data["total"] is None:
        return
    near = _nearness(data, len(data["cells"]))
    cells = [cell for cell in data["cells"] if cell["key"].get("age", "0") == "0" or data["measure"] != "retention"]
    if abs(_total(cells) - Fraction(data["total"]["estimate"])) > near:
        yield "the cells do not add up to the total"
    hidden = [cell for cell in data["cells"] if not cell["shown"]]
    if len(hidden) != (data["hidden"]["cells"] if data["hidden"] else 0):
        yield "the hidden row counts other cells"
    if hidden and abs(_total(hidden) - Fraction(data["hidden"]["estimate"])) > near:
        yield "the cells not shown do not add up to the hidden row"


def _consistency(data: Data) -> Iterator[str]:
    told = data["consistency"]
    rule, status, cells = told["rule"], told["status"], data["cells"]
    if (rule == "partition") != (data["whole"] is not None):
        yield f"the rule is {rule}, and the whole is {data['whole']}"
    if rule != "partition" and status != ("adjusted" if told["adjusted"] else "as_released"):
        yield f"{told['adjusted']} cells are adjusted and the status is {status}"
    moved = sum(Fraction(cell["estimate"]) != Fraction(cell["consistent"]) for cell in cells)
    if moved > told["adjusted"] and status != "inconsistent":
        yield f"{moved} cells moved, {told['adjusted']} are told of"
    match rule:
        case "non_negative":
            if any(Fraction(cell["consistent"]) != max(Fraction(cell["estimate"]), Fraction(0)) for cell in cells):
                yield "a consistent count is not its estimate, or 0"
        case "free":
            if moved:
                yield "a free number was moved"
        case "partition":
            yield from _partition(data, moved)
        case "falling":
            yield from _falling(data)
        case _:
            yield f"there is no rule {rule}"


def _partition(data: Data, moved: int) -> Iterator[str]:
    if data["consistency"]["status"] == "inconsistent":
        if moved or data["whole"]["consistent"] != data["whole"]["estimate"]:
            yield "an inconsistent partition was moved"
        return
    parts = sum((Fraction(cell["consistent"]) for cell in data["cells"]), Fraction(0))
    far = abs(parts - Fraction(data["whole"]["consistent"]))
    if data["raw"] and far > Fraction(data["quantum"]) * (len(data["cells"]) + 1) / 2:
        yield f"consistent parts miss their whole by {far}"


def _falling(data: Data) -> Iterator[str]:
    reached: dict[tuple[str, ...], list[Fraction]] = {}
    for figure in data["figures"]:
        if figure["kind"] == "count":
            reached.setdefault(tuple(figure["key"].values()), []).append(Fraction(figure["consistent"]))
    for key, values in reached.items():
        if any(one < other for one, other in pairwise((*values, Fraction(0)))):
            yield f"more of {key} reached a later step"


def _total(cells: Sequence[Data]) -> Fraction:
    return sum((Fraction(cell["estimate"]) for cell in cells), Fraction(0))


def _nearness(data: Data, cells: int) -> Fraction:
    """How far rounded parts may miss a rounded sum: nothing, but where samples make cells that are not whole."""
    sampled = any(member["sampled"] for member in data["members"])
    return Fraction(data["quantum"]) * (cells + 1) / 2 if sampled else Fraction(0)
