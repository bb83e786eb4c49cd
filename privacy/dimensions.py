"""Dimensions: the axes of a metric's cells, with their values written in the definition.

A dimension's labels are fixed by the definition (and, for time, by the window), never by data, so every
node has the same coordinates. Implicit last labels stand for what is not listed:

| dimension | labels |
|---|---|
| app, action | the listed names, `other` |
| country, an attribute | the listed values, `other`, `none` (absent; for country: unknown, ZZ) |
| an attribute by edges | below the first edge, the half-open bins, from the last edge, `none` |
| hour | the listed hours of the day that the window contains; rows of other hours are not counted |
| of a measure (`fixed_axis`) | its own labels, nothing implicit |
| an attribute with `discover: true` | those of each release: the keys that passed; rows without one are not counted |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal

from privacy.errors import BoundMissing, InvalidDefinition
from privacy.exact import parse_decimal, shown
from privacy.plain_text import is_plain
from privacy.units import HOURS_PER_DAY, Window

BuiltIn = Literal["app", "action", "country", "hour"]
BUILT_IN: Final[tuple[BuiltIn, ...]] = ("app", "action", "country", "hour")

OTHER: Final = "other"
NONE: Final = "none"
BIN: Final = "bin"  # name of a histogram's own axis

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_MAX_VALUE_CHARS: Final = 128
_MAX_VALUES: Final = 65_536  # no layout holds more cells
_MAX_AXES: Final = 16  # with two labels each they reach the limit on cells
_HOURS: Final = tuple(str(hour) for hour in range(HOURS_PER_DAY))


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis.

    Args:
        name: Its name in a cell's key: a built-in, an attribute, or `bin`.
        source: The built-in, "attribute", "keys" for an attribute whose values are discovered, or "fixed" for an axis
            whose labels a measure makes itself.
        attribute: The attribute read, when source is "attribute" or "keys"; else None.
        values: Listed values in order; empty when the axis has edges. Of keys, those of one release or answer.
        edges: Strictly rising edges, exact; empty when the axis lists values.
        edge_texts: The edges as written, for labels.
    """

    name: str
    source: BuiltIn | Literal["attribute", "keys", "fixed"]
    attribute: str | None = None
    values: tuple[str, ...] = ()
    edges: tuple[Fraction, ...] = ()
    edge_texts: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels in cell order, implicit ones last."""
        if self.edges:
            texts = self.edge_texts
            inner = (f"[{low}, {high})" for low, high in pairwise(texts))
            return (f"< {texts[0]}", *inner, f">= {texts[-1]}", NONE)
        if self.source in ("hour", "keys", "fixed"):
            return self.values
        if self.source in ("app", "action"):
            return (*self.values, OTHER)
        return (*self.values, OTHER, NONE)

    @property
    def size(self) -> int:
        """Number of labels."""
        if self.edges:
            return len(self.edges) + 2
        return len(self.values) + {"hour": 0, "keys": 0, "fixed": 0, "app": 1, "action": 1}.get(self.source, 2)

    @property
    def is_discovered(self) -> bool:
        """Whether its labels come with each release."""
        return self.source == "keys"

    def keyed(self, keys: Sequence[str]) -> Dimension:
        """This discovered axis with these keys for labels, in this order."""
        return replace(self, values=tuple(keys))

    def within(self, window: Window) -> Dimension:
        """This axis with the labels that the window can contain; only `hour` has others."""
        if self.source != "hour" or window.hours >= HOURS_PER_DAY:
            return self
        possible = {str(hour % HOURS_PER_DAY) for hour in range(window.start_hour, window.end_hour)}
        return replace(self, values=tuple(value for value in self.values if value in possible))


def parse_dimensions(tree: object) -> tuple[Dimension, ...]:
    """The axes of a definition's `by`, in the order of their names.

    Not in the order written: a definition's hash covers its canonical form, in which maps are sorted, and
    equal hashes must mean equal coordinates.

    Args:
        tree: A mapping from a built-in or attribute name to a list of values, or (attributes) to
            `{edges: [...]}` or `{discover: true}`.

    Raises:
        InvalidDefinition: a wrong shape, name or value; BoundMissing: an axis without values.
    """
    if not isinstance(tree, Mapping):
        raise _bad("`by` is not a mapping from a dimension to its values", "Write by: {country: [DE, FR]}")
    if len(tree) > _MAX_AXES:
        raise _bad(f"`by` has more than {_MAX_AXES} dimensions", "Use fewer, or split the metric")
    axes = [_parse_dimension(name, values) for name, values in tree.items()]
    return tuple(sorted(axes, key=lambda axis: axis.name))


def parse_banded(name: str, attribute: object, edges: object) -> Dimension:
    """An axis of half-open bins over an attribute.

    Raises:
        InvalidDefinition: edges that are no list or do not rise; BoundMissing: no edges.
        InvalidParameterError: an edge that is no decimal.
    """
    attribute = _name(attribute)
    if not isinstance(edges, Sequence) or isinstance(edges, str) or not edges:
        raise BoundMissing(
            what="Metric refused",
            why=f"{attribute} has no list of edges",
            fix='State them: edges: ["0", "10", "100"]; bins taken from data would tell about persons',
        )
    if len(edges) > _MAX_VALUES:
        raise _bad(f"{attribute} has more than {_MAX_VALUES} edges", "Use fewer")
    exact = tuple(parse_decimal(edge, f"an edge of {attribute}") for edge in edges)
    if any(low >= high for low, high in pairwise(exact)):
        raise _bad(f"the edges of {attribute} do not rise strictly", "List them from small to large, each once")
    return Dimension(name, "attribute", attribute, edges=exact, edge_texts=tuple(str(edge) for edge in edges))


def fixed_axis(name: str, labels: tuple[str, ...]) -> Dimension:
    """An axis that no row is looked up on: steps, cohorts, components."""
    return Dimension(name, "fixed", values=labels)


def _parse_dimension(name: object, values: object) -> Dimension:
    name = _name(name)
    if name == BIN:
        raise _bad(f"{BIN} is the name of a histogram's own axis", "Rename the attribute in the tracking plan")
    if isinstance(values, Mapping):
        if name not in BUILT_IN and values == {"discover": "true"}:
            return Dimension(name, "keys", name)
        if name in BUILT_IN or set(values) != {"edges"}:
            raise _bad(
                f"{name} is neither a list of values nor, for an attribute, {{edges: [...]}} or {{discover: true}}",
                f"List the values of {name}",
            )
        return parse_banded(name, name, values["edges"])
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise BoundMissing(
            what="Metric refused",
            why=f"the dimension {name} lists no values",
            fix=f"List them: by: {{{name}: [...]}}; values taken from data would tell about persons",
        )
    if len(values) > _MAX_VALUES:
        raise _bad(f"{name} lists more than {_MAX_VALUES} values", "Use fewer")
    texts = tuple(_value(name, value) for value in values)
    if len(set(texts)) != len(texts):
        raise _bad(f"{name} lists a value twice", "List each value once")
    for built_in in BUILT_IN:
        if name == built_in:
            return Dimension(name, built_in, values=texts)
    return Dimension(name, "attribute", name, values=texts)


def _name(name: object) -> str:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise _bad(
            f"{shown(name)} is no name of a dimension or attribute",
            "Use app, action, country, hour or an attribute of the tracking plan (a-z, 0-9, _ . -)",
        )
    return name


def _value(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_VALUE_CHARS or not is_plain(value):
        raise _bad(f"a value of {name} is not printable text of 1 to {_MAX_VALUE_CHARS} characters", "Put it in quotes")
    if value in (OTHER, NONE):
        raise _bad(
            f"{name} lists {shown(value)}",
            f"Leave it out: {OTHER} and {NONE} stand at the end of a dimension by themselves",
        )
    if name == "hour" and value not in _HOURS:
        raise _bad(f"hour lists {shown(value)}", 'List hours of the day as "0" to "23", without leading zeros')
    if name == "country" and (_COUNTRY.fullmatch(value) is None or value == "ZZ"):
        raise _bad(f"country lists {shown(value)}", f"List two capital letters such as DE; unknown (ZZ) is {NONE}")
    if name in ("app", "action") and NAME.fullmatch(value) is None:
        raise _bad(f"{name} lists {shown(value)}", "List names of the tracking plan (a-z, 0-9, _ . -)")
    return value


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Metric refused", why=why, fix=fix)
