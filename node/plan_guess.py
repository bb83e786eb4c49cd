"""A first draft of a tracking plan from a sample of events: types, bands and ranges are proposed, with warnings.

The person key is asked for, never guessed: which id stands for a person is a promise to people, not a pattern in data.
Never written into the draft: values that look personal, names of fields that usually hold personal data, values that
only one event brought (in a sample worth the name), and fields in which nearly every event has a value of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from privacy.coding import MAX_MAGNITUDE
from privacy.pii import is_personal_name, looks_personal
from privacy.plan_shapes import is_plan_name
from privacy.rows import ATTRIBUTE_SLOTS

MAX_CATEGORY: Final = 30  # listed values; what is rarer is `other`
MAX_DISTINCT: Final = 10_000  # of one attribute; beyond, its values are its own
SAMPLE: Final = 20  # events of an attribute from which on a value seen once is not listed
BANDS: Final = 8
_FLAGS: Final = {"true", "false", "yes", "no"}
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")


@dataclass(slots=True)
class _Seen:
    """What one attribute held."""

    values: Counter[str | int | float | bool] = field(default_factory=Counter)
    events: int = 0
    nested: int = 0  # lists and objects
    has_more: bool = False  # more distinct values than are kept

    def add(self, value: object) -> None:
        if value is None:
            return
        self.events += 1
        if not isinstance(value, str | int | float | bool):
            self.nested += 1
        elif value in self.values or len(self.values) < MAX_DISTINCT:
            self.values[value] += 1
        else:
            self.has_more = True


@dataclass(slots=True)
class Draft:
    """Apps, actions and what each attribute was seen to hold."""

    seen: dict[str, dict[str, dict[str, _Seen]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, app: str, action: str, attributes: Mapping[str, object]) -> None:
        """Look at one event."""
        found = self.seen.setdefault(app, {}).setdefault(action, {})
        for name, value in attributes.items():
            found.setdefault(name, _Seen()).add(value)

    def lines(self, name: str, person: str, purpose: str | None) -> Iterable[str]:
        """The draft as YAML."""
        yield f"plan: {name}"
        yield f"purposes: [{purpose or ''}]"
        yield "apps:"
        for app, actions in self.seen.items():
            if not self._is_name(app, "app"):
                continue
            yield f"  {app}:"
            yield f"    person: {person}"
            yield f"    consent: {purpose or 'none'}"
            yield "    actions:"
            for action, attributes in actions.items():
                if not self._is_name(action, f"action of {app}"):
                    continue
                drafted = [line for key, seen in attributes.items() if (line := self._attribute(key, seen, action))]
                yield f"      {action}:{'' if drafted else ' {}'}"
                yield from drafted[:ATTRIBUTE_SLOTS]
                if len(drafted) > ATTRIBUTE_SLOTS:
                    self.warnings.append(f"{action}: only {ATTRIBUTE_SLOTS} of {len(drafted)} attributes fit; choose")

    def _is_name(self, name: str, what: str) -> bool:
        if is_plan_name(name):
            return True
        self.warnings.append(f"an {what} was left out: its name is none of a plan (a-z, 0-9, _ . -)")
        return False

    def _attribute(self, name: str, seen: _Seen, action: str) -> str | None:
        if not is_plan_name(name):
            self.warnings.append(f"{action}: an attribute was left out: its name is none of a plan (a-z, 0-9, _ . -)")
            return None
        why = "fields of this name hold personal data" if is_personal_name(name) else _left_out(seen)
        if why:
            self.warnings.append(f"{action}.{name} was left out: {why}")
            return None
        return f"        {name}: {{{self._type(seen, f'{action}.{name}')}"

    def _type(self, seen: _Seen, where: str) -> str:
        values = seen.values
        if all(isinstance(value, bool) or str(value).lower() in _FLAGS for value in values):
            return "type: flag}"
        numbers = _numbers(values)
        if numbers:
            if len(numbers) < len(values):
                self.warnings.append(f"{where}: some of its values are no usable numbers and would be dropped")
            edges = ", ".join(_quoted(edge) for edge in _edges(numbers))
            return f"type: band, edges: [{edges}]}}{_as_number(numbers)}"
        often = [value for value, count in values.most_common() if count > 1 or seen.events < SAMPLE]
        texts = dict.fromkeys(str(value) for value in often if 0 < len(str(value)) == len(str(value).strip()))
        if len(texts) > MAX_CATEGORY or len(often) < len(values):
            self.warnings.append(f"{where}: its rare values would be stored as other")
        return f"type: category, values: [{', '.join(_quoted(text) for text in list(texts)[:MAX_CATEGORY])}]}}"


def _left_out(seen: _Seen) -> str:
    """Why the attribute should not be stored, if so."""
    values = seen.values
    if not values:
        return "it holds lists or objects, which are never stored" if seen.nested else "it never held anything"
    texts = [value for value in values if isinstance(value, str)]
    if texts and any(looks_personal(str(value)) for value in values):
        return "some of its values look like personal data"
    if not any(isinstance(value, str | bool) for value in values) and not _numbers(values):
        return "it never held a number that can be kept"
    if texts and all(_MOMENT.fullmatch(text) for text in texts):
        return "it holds times; an event keeps the hour of its own timestamp only"
    if not _numbers(values) and seen.events >= SAMPLE and (seen.has_more or 2 * len(values) > seen.events):
        return "nearly every event has a value of its own, as ids and free text have"
    if not any(str(value).strip() for value in values):
        return "it never held anything"
    return ""


def _numbers(values: Counter[str | int | float | bool]) -> Counter[Decimal]:
    """The usable numbers and how often each came; empty where texts other than numbers are among the values."""
    found: Counter[Decimal] = Counter()
    for value, count in values.items():
        if isinstance(value, bool) or (isinstance(value, str) and value):
            return Counter()
        if isinstance(value, int | float) and -MAX_MAGNITUDE < value < MAX_MAGNITUDE:
            found[Decimal(str(value))] += count
    return found


def _edges(numbers: Counter[Decimal]) -> list[str]:
    """Round edges that cut the numbers into at most BANDS parts of about one size."""
    whole = sorted(numbers)
    if len(whole) <= BANDS and all(number == number.to_integral_value() for number in whole):
        edges = whole[1:] or whole
    else:
        cuts, edges = set(_quantiles(numbers)), list[Decimal]()
        for digits in (1, 2, 3):
            edges = sorted({_rounded(cut, digits) for cut in cuts})
            if len(edges) == len(cuts):
                break
    return [f"{edge.normalize():f}" for edge in edges]


def _rounded(number: Decimal, digits: int) -> Decimal:
    """The number with so many significant digits."""
    unit = Decimal(1).scaleb(number.adjusted() - digits + 1)
    return (number / unit).to_integral_value() * unit


def _quantiles(numbers: Counter[Decimal]) -> list[Decimal]:
    """The numbers at 1/BANDS … (BANDS − 1)/BANDS of the events."""
    total, passed, cuts = sum(numbers.values()), 0, list[Decimal]()
    for number in sorted(numbers):
        passed += numbers[number]
        while len(cuts) < BANDS - 1 and passed * BANDS > (len(cuts) + 1) * total:
            cuts.append(number)
    return cuts


def _as_number(numbers: Counter[Decimal]) -> str:
    """The same as a number in a range, for sums and means, as a comment: a band says less of a person."""
    low, high = min(numbers), max(numbers)
    places = min(2, max((max(0, -int(number.normalize().as_tuple().exponent)) for number in numbers), default=0))
    size = max(abs(low), abs(high), Decimal(1))
    unit = Decimal(1).scaleb(size.adjusted())
    low = Decimal(0) if low >= 0 else (low / unit).to_integral_value(rounding="ROUND_FLOOR") * unit
    high = Decimal(0) if high <= 0 else (high / unit).to_integral_value(rounding="ROUND_CEILING") * unit
    if low >= high:
        return ""
    quantum = Decimal(1).scaleb(-places)
    return f'  # or {{type: number, quantum: "{quantum:f}", range: ["{low.normalize():f}", "{high.normalize():f}"]}}'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
