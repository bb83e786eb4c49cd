"""The tracking plan: what a node may store, and how each value is coded before it is stored.

A plan declares apps, their actions and each action's attributes; what is not declared is never stored. Codes
are positions: an app's in the plan, an action's in its app, an attribute's slot in its action, a category's
value in its list. So a plan's order is part of its meaning, and a stored row names the plan version it was
coded by (specs/events.md 6).

Rules of a plan:
- every scalar is text; numbers are exact decimals (or fractions such as 1/2) and never floats;
- each app has exactly one person kind, and either needs one declared purpose of consent or says "none";
- bounds are whole quanta, so that clamping and rounding commute;
- names and category values that would hold personal data by their look are refused (`privacy.pii`).

Left out on purpose: defaults for the person kind and for consent. The operator decides both, in writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, Protocol, TypeVar

from privacy.pii import is_personal_name, looks_personal
from privacy.plan_shapes import (
    bad_plan,
    check_distinct,
    check_size,
    mapping,
    named_items,
    plan_name,
    sequence,
    text_of,
)
from privacy.rows import ATTRIBUTE_SLOTS, PERSON_KINDS, SAMPLING_ALL, PersonKind

MAX_PURPOSES: Final = 16  # bits of the row's purposes column, u16
MAX_APPS: Final = 1024
MAX_ACTIONS: Final = 1024  # of one app
MAX_VALUES: Final = 4096  # of one category
MAX_EDGES: Final = 1024  # of one band
MAX_VALUE_LENGTH: Final = 128  # characters of one category value
MAX_KEY_BYTES: Final = 64  # UTF-8 of one key: eight slots of a row
KEY_SLOT_BYTES: Final = 8  # bytes of a key in one slot, an i64
MAX_QUANTA: Final = 1 << 52  # either bound of a number, in quanta: sums stay far inside i64

# Wide enough that `str(Fraction)` of any text it takes reads back: plan -> tree -> plan is the identity.
_EXACT: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12}|/[1-9][0-9]{0,29})?")
_YES: Final[dict[str, bool]] = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Category:
    """One of a list of texts. Code: its index; `len(values)` stands for any other value."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A number kept only as the band it lies in. Code: how many edges are <= the number (0 … len(edges))."""

    edges: tuple[Fraction, ...]  # strictly rising, at least one


@dataclass(frozen=True, slots=True)
class Number:
    """A number clamped to [low, high] and rounded half-even to whole quanta. Code: the quanta."""

    quantum: Fraction  # > 0
    low: Fraction  # a whole number of quanta
    high: Fraction  # a whole number of quanta, > low

    @property
    def low_quanta(self) -> int:
        return int(self.low / self.quantum)

    @property
    def high_quanta(self) -> int:
        return int(self.high / self.quantum)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false. Code: 1 or 0."""


@dataclass(frozen=True, slots=True)
class Key:
    """A text that nobody listed, such as a page's slug: stored as it is, when short and without the look of a person.

    Takes `slots` slots of the row: its UTF-8 bytes, eight a slot, big-endian two's complement, filled up with zeros.
    """

    max_bytes: int  # 1 … 64; a longer text is absent, never cut

    @property
    def slots(self) -> int:
        """Slots of a row that it takes, 1 … 8."""
        return -(-self.max_bytes // KEY_SLOT_BYTES)


AttributeType = Category | Band | Number | Flag | Key


def slots_of(kind: AttributeType) -> int:
    """How many slots of a row an attribute of this type takes."""
    return kind.slots if isinstance(kind, Key) else 1


@dataclass(frozen=True, slots=True)
class Attribute:
    """One declared attribute. Where `is_required`, an event without a usable value is rejected."""

    name: str
    type: AttributeType
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One declared action; its attributes take the row's slots 0, 1, … in this order, a key several."""

    name: str
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> Attribute | None:
        return _named(self.attributes, name)

    def slot(self, name: str) -> int | None:
        """First slot of the attribute, 0 … 15, or None where it is not declared."""
        return next((slot for slot, attribute in self.placed if attribute.name == name), None)

    @property
    def placed(self) -> tuple[tuple[int, Attribute], ...]:
        """(first slot, attribute), in plan order."""
        firsts = accumulate((slots_of(attribute.type) for attribute in self.attributes), initial=0)
        return tuple(zip(firsts, self.attributes, strict=False))

    @property
    def slots(self) -> int:
        """Slots that all its attributes take."""
        return sum(slots_of(attribute.type) for attribute in self.attributes)


@dataclass(frozen=True, slots=True)
class App:
    """One declared app.

    Args:
        name: Its name in events.
        person_kind: The one kind of identifier that stands for a person here.
        required_purpose: The purpose an event's sender must have consented to, or None for none.
        sampling: Share of persons kept, in (0, 1], a whole number of millionths.
        actions: In plan order.
    """

    name: str
    person_kind: PersonKind
    required_purpose: str | None
    sampling: Fraction
    actions: tuple[Action, ...]

    def action(self, name: str) -> Action | None:
        return _named(self.actions, name)

    def action_code(self, name: str) -> int | None:
        return _index(self.actions, name)

    @property
    def sampling_millionths(self) -> int:
        return int(self.sampling * SAMPLING_ALL)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole tracking plan. Two plans with equal `tree()` store equal rows."""

    name: str
    purposes: tuple[str, ...]  # bit i of a row's purposes is purposes[i]
    apps: tuple[App, ...]

    def app(self, name: str) -> App | None:
        return _named(self.apps, name)

    def app_code(self, name: str) -> int | None:
        return _index(self.apps, name)

    def purpose_bit(self, name: str) -> int | None:
        """Index of the purpose's bit, or None where the plan does not know it."""
        return self.purposes.index(name) if name in self.purposes else None

    @property
    def slots(self) -> int:
        """Attribute slots that rows of this plan need, 0 … 16."""
        return max((action.slots for app in self.apps for action in app.actions), default=0)

    def tree(self) -> dict[str, object]:
        """The plan's canonical tree: `parse_plan` reads it back, and spelling differences are gone."""
        return {
            "plan": self.name,
            "purposes": list(self.purposes),
            "apps": {app.name: _app_tree(app) for app in self.apps},
        }


def parse_plan(tree: object) -> Plan:
    """The plan that a tree of mappings, lists and texts describes (specs/events.md 6).

    Raises:
        InvalidPlan: an unknown or missing key, a wrong shape, a name or number that breaks a rule above. The
            message names the place in the plan.
    """
    top = mapping(tree, "the plan", required={"plan", "apps"}, optional={"purposes"})
    purposes = tuple(plan_name(item, "purposes") for item in sequence(top.get("purposes", []), "purposes"))
    check_distinct(purposes, "purposes")
    check_size(purposes, "purposes", 0, MAX_PURPOSES)
    if "none" in purposes:
        raise bad_plan("purposes", "`none` is the word for no consent needed and cannot name a purpose")
    apps = named_items(top["apps"], "apps", lambda name, item: _parse_app(name, item, purposes))
    check_size(apps, "apps", 1, MAX_APPS)
    return Plan(plan_name(top["plan"], "plan"), purposes, apps)


def parse_exact(text: object, where: str) -> Fraction:
    """The exact number a text such as "0.01", "-3" or "1/2" names.

    Raises:
        InvalidPlan: anything else, floats included.
    """
    if not isinstance(text, str) or _EXACT.fullmatch(text) is None:
        raise bad_plan(where, 'expected an exact number in quotes, such as "0.01", "12" or "1/2"')
    return Fraction(text)


def _parse_app(name: str, item: object, purposes: tuple[str, ...]) -> App:
    where = f"apps.{name}"
    tree = mapping(item, where, required={"person", "consent", "actions"}, optional={"sampling"})
    person = tree["person"]
    if person not in PERSON_KINDS:
        raise bad_plan(f"{where}.person", "expected exactly one of user, session, address")
    consent = text_of(tree["consent"], f"{where}.consent")
    if consent != "none" and consent not in purposes:
        raise bad_plan(f"{where}.consent", "expected one of the plan's purposes, or none")
    sampling = parse_exact(tree.get("sampling", "1"), f"{where}.sampling")
    if not 0 < sampling <= 1 or (sampling * SAMPLING_ALL).denominator != 1:
        raise bad_plan(f"{where}.sampling", "expected more than 0, at most 1, in whole millionths")
    actions = named_items(tree["actions"], f"{where}.actions", lambda n, a: _parse_action(n, a, where))
    check_size(actions, f"{where}.actions", 1, MAX_ACTIONS)
    # `person in PERSON_KINDS` proved the literal; mypy does not narrow by membership.
    kind: PersonKind = PERSON_KINDS[PERSON_KINDS.index(person)]
    return App(name, kind, None if consent == "none" else consent, sampling, actions)


def _parse_action(name: str, item: object, app: str) -> Action:
    where = f"{app}.actions.{name}"
    attributes = named_items(item or {}, where, lambda n, a: _parse_attribute(n, a, where))
    check_size(attributes, where, 0, ATTRIBUTE_SLOTS)
    action = Action(name, attributes)
    if action.slots > ATTRIBUTE_SLOTS:
        raise bad_plan(where, f"its attributes take {action.slots} slots of {ATTRIBUTE_SLOTS}; a key takes one for "
                              f"every {KEY_SLOT_BYTES} bytes: lower its max_bytes")  # fmt: skip
    return action


def _parse_attribute(name: str, item: object, action: str) -> Attribute:
    where = f"{action}.{name}"
    if is_personal_name(name):
        raise bad_plan(where, "an attribute of this name would hold personal data; store a band or category instead")
    tree = dict(mapping(item, where, required={"type"},
                        optional={"values", "edges", "quantum", "range", "max_bytes", "required"}))  # fmt: skip
    required = _YES.get(text_of(tree.pop("required", "no"), f"{where}.required"))
    if required is None:
        raise bad_plan(f"{where}.required", "expected yes or no")
    parser = _TYPES.get(text_of(tree.pop("type"), f"{where}.type"))
    if parser is None:
        raise bad_plan(f"{where}.type", f"expected one of {', '.join(_TYPES)}")
    return Attribute(name, parser(tree, where), required)


def _parse_category(tree: Mapping[str, object], where: str) -> Category:
    values = sequence(mapping(tree, where, required={"values"})["values"], f"{where}.values")
    texts = tuple(text_of(value, f"{where}.values") for value in values)
    check_distinct(texts, f"{where}.values")
    check_size(texts, f"{where}.values", 1, MAX_VALUES)
    for text in texts:
        if not text.isprintable() or not 0 < len(text) <= MAX_VALUE_LENGTH or text != text.strip():
            raise bad_plan(
                f"{where}.values", f"a value is 1 to {MAX_VALUE_LENGTH} printable characters, no outer spaces"
            )
        if looks_personal(text):
            raise bad_plan(f"{where}.values", "a value looks like personal data (mail, address, number, token)")
    return Category(texts)


def _parse_band(tree: Mapping[str, object], where: str) -> Band:
    items = sequence(mapping(tree, where, required={"edges"})["edges"], f"{where}.edges")
    edges = tuple(parse_exact(item, f"{where}.edges") for item in items)
    check_size(edges, f"{where}.edges", 1, MAX_EDGES)
    if any(left >= right for left, right in pairwise(edges)):
        raise bad_plan(f"{where}.edges", "expected strictly rising edges")
    return Band(edges)


def _parse_number(tree: Mapping[str, object], where: str) -> Number:
    fields = mapping(tree, where, required={"quantum", "range"})
    quantum = parse_exact(fields["quantum"], f"{where}.quantum")
    bounds = [parse_exact(item, f"{where}.range") for item in sequence(fields["range"], f"{where}.range")]
    if quantum <= 0:
        raise bad_plan(f"{where}.quantum", "expected more than 0")
    if len(bounds) != 2 or bounds[0] >= bounds[1]:
        raise bad_plan(f"{where}.range", "expected [low, high] with low below high")
    if any((bound / quantum).denominator != 1 or abs(bound / quantum) > MAX_QUANTA for bound in bounds):
        raise bad_plan(f"{where}.range", f"expected whole multiples of the quantum, at most {MAX_QUANTA} of them")
    return Number(quantum, bounds[0], bounds[1])


def _parse_flag(tree: Mapping[str, object], where: str) -> Flag:
    mapping(tree, where, required=set())
    return Flag()


def _parse_key(tree: Mapping[str, object], where: str) -> Key:
    text = text_of(mapping(tree, where, required={"max_bytes"})["max_bytes"], f"{where}.max_bytes")
    if not text.isascii() or not text.isdigit() or len(text) > 2 or not 1 <= int(text) <= MAX_KEY_BYTES:
        raise bad_plan(f"{where}.max_bytes", f"expected a whole number from 1 to {MAX_KEY_BYTES}")
    return Key(int(text))


_TYPES: Final[dict[str, Callable[[Mapping[str, object], str], AttributeType]]] = {
    "category": _parse_category,
    "band": _parse_band,
    "number": _parse_number,
    "flag": _parse_flag,
    "key": _parse_key,
}


def _app_tree(app: App) -> dict[str, object]:
    return {
        "person": app.person_kind,
        "consent": app.required_purpose or "none",
        "sampling": str(app.sampling),
        "actions": {
            action.name: {attribute.name: _attribute_tree(attribute) for attribute in action.attributes}
            for action in app.actions
        },
    }


def _attribute_tree(attribute: Attribute) -> dict[str, object]:
    return {**_type_tree(attribute.type), "required": "yes" if attribute.is_required else "no"}


def _type_tree(kind: AttributeType) -> dict[str, object]:
    match kind:
        case Category(values):
            return {"type": "category", "values": list(values)}
        case Band(edges):
            return {"type": "band", "edges": [str(edge) for edge in edges]}
        case Number(quantum, low, high):
            return {"type": "number", "quantum": str(quantum), "range": [str(low), str(high)]}
        case Flag():
            return {"type": "flag"}
        case Key(max_bytes):
            return {"type": "key", "max_bytes": str(max_bytes)}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def _named(items: Sequence[_Item], name: str) -> _Item | None:
    return next((item for item in items if item.name == name), None)


def _index(items: Sequence[_Named], name: str) -> int | None:
    return next((index for index, item in enumerate(items) if item.name == name), None)
