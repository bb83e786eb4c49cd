"""The measures this version computes, one file each.

Adding one: a file beside these with a `WORD`, a frozen class that is a `base.Measure`, and `parse`; name it
below. A test finds a file that is not named here. (Listing the folder at run time would be I/O; `privacy/`
does none.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from privacy.errors import InvalidDefinition, UnknownMeasure
from privacy.exact import shown
from privacy.measures import count, funnel, histogram, journey, mean, people, retention, score, sum, top
from privacy.measures.base import Bounds, Measure, Sensitivity

__all__ = ["MEASURES", "Bounds", "Measure", "Sensitivity", "parse_measure"]

MEASURES: Final[Mapping[str, Callable[[Mapping[str, object]], Measure]]] = {
    count.WORD: count.parse,
    funnel.WORD: funnel.parse,
    histogram.WORD: histogram.parse,
    journey.WORD: journey.parse,
    mean.WORD: mean.parse,
    people.WORD: people.parse,
    retention.WORD: retention.parse,
    score.WORD: score.parse,
    sum.WORD: sum.parse,
    top.WORD: top.parse,
}
_BARE: Final = frozenset({count.WORD, people.WORD})  # written as a word, without options


def parse_measure(tree: object) -> Measure:
    """The measure that a definition's `measure` names: a word, or a mapping with the word among its keys.

    Raises:
        UnknownMeasure: not one of `MEASURES`. InvalidDefinition: a wrong shape. BoundMissing: edges missing.
    """
    if isinstance(tree, str):
        if tree in MEASURES and tree not in _BARE:
            raise InvalidDefinition(
                what="Metric refused",
                why=f"the measure {tree} needs options",
                fix='Write it as a mapping, such as measure: {histogram: ATTRIBUTE, edges: ["0", "10"]}',
            )
        tree = {tree: ""}
    elif isinstance(tree, Mapping) and not _BARE.isdisjoint(tree):
        # One way to write one thing: `{count: ...}` would be a second text, with a second hash, of `count`.
        raise InvalidDefinition(
            what="Metric refused",
            why="count and people take no options",
            fix="Write measure: count, or measure: people",
        )
    if not isinstance(tree, Mapping) or not all(isinstance(key, str) for key in tree):
        raise InvalidDefinition(
            what="Metric refused",
            why="`measure` is neither a word nor a mapping",
            fix=f"Use one of: {', '.join(sorted(MEASURES))}",
        )
    words = [word for word in MEASURES if word in tree]
    if len(words) != 1:
        raise UnknownMeasure(
            what="Metric refused",
            why=f"measure not known to this version: {shown(', '.join(sorted(tree)))}",
            fix=f"Use exactly one of: {', '.join(sorted(MEASURES))}",
        )
    return MEASURES[words[0]](tree)
