"""A first draft of a tracking plan from a sample of events: types, bands and ranges are proposed, with warnings.

The person key is asked for, never guessed: which id stands for a person is a promise to people, not a pattern in data.
Values that look personal are never written into the draft, nor are names of fields that usually hold personal data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from privacy.pii import is_personal_name, looks_personal
from privacy.plan_shapes import is_plan_name
from privacy.rows import ATTRIBUTE_SLOTS

MAX_CATEGORY: Final = 30  # listed values; what is rarer is `other`
_FLAGS: Final = {"true", "false", "yes", "no"}


@dataclass(slots=True)
class Draft:
    """Apps, actions and what each attribute was seen to hold."""

    seen: dict[str, dict[str, dict[str, Counter[object]]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, app: str, action: str, attributes: Mapping[str, object]) -> None:
        """Look at one event."""
        found = self.seen.setdefault(app, {}).setdefault(action, {})
        for name, value in attributes.items():
            if isinstance(value, str | int | float | bool):
                found.setdefault(name, Counter())[value] += 1

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
                drafted = [line for key, values in attributes.items() if (line := self._attribute(key, values, action))]
                yield f"      {action}:{'' if drafted else ' {}'}"
                yield from drafted[:ATTRIBUTE_SLOTS]
                if len(drafted) > ATTRIBUTE_SLOTS:
                    self.warnings.append(f"{action}: only {ATTRIBUTE_SLOTS} of {len(drafted)} attributes fit; choose")

    def _is_name(self, name: str, what: str) -> bool:
        if is_plan_name(name):
            return True
        self.warnings.append(f"an {what} was left out: its name is none of a plan (a-z, 0-9, _ . -)")
        return False

    def _attribute(self, name: str, values: Counter[object], action: str) -> str | None:
        if not is_plan_name(name):
            self.warnings.append(f"{action}: an attribute was left out: its name is none of a plan")
            return None
        if is_personal_name(name):
            self.warnings.append(f"{action}.{name} was left out: fields of this name hold personal data")
            return None
        if any(isinstance(value, str) and looks_personal(value) for value in values):
            self.warnings.append(f"{action}.{name} was left out: some of its values look like personal data")
            return None
        return f"        {name}: {{{_type_of(values)}}}"


def _type_of(values: Counter[object]) -> str:
    if all(isinstance(value, bool) or str(value).lower() in _FLAGS for value in values):
        return "type: flag"
    numbers = [Decimal(str(value)) for value in values if isinstance(value, int | float) and value == value]
    if len(numbers) == len(values) and all(abs(number) < 10**9 for number in numbers):
        return f"type: band, edges: [{', '.join(_quoted(edge) for edge in _edges(numbers))}]"
    listed = [str(value) for value, _ in values.most_common(MAX_CATEGORY) if str(value).strip() == str(value) != ""]
    return f"type: category, values: [{', '.join(_quoted(value) for value in listed)}]"


def _edges(numbers: list[Decimal]) -> list[str]:
    """Up to eight round edges between the least and the most."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return [f"{low.normalize():f}"]
    edges: list[Decimal] = []
    step = Decimal(10) ** ((high - low).adjusted() - 1)
    for factor in (1, 2, 5, 10, 20, 50, 100):
        width = step * factor
        first = (low / width).to_integral_value(rounding="ROUND_CEILING") * width
        edges = [first + width * index for index in range(int((high - first) / width) + 1)]
        if len(edges) <= 8:
            break
    return [f"{edge.normalize():f}" for edge in edges or [low]]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
