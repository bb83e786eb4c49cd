"""What a change of the tracking plan would newly collect, stop collecting, or store otherwise, in words.

A change *alters a stored form* when a code that is stored would mean something else, or when persons are counted by
another kind or at another rate: apps and actions by position, attributes by slot and type. Everything that only adds at
the ends of lists alters nothing that is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from privacy.tracking_plan import Action, App, Attribute, Band, Category, Flag, Key, Number, Plan

Kind = Literal["collects more", "collects less", "stores otherwise"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change, said so that somebody who answers for the data can judge it."""

    kind: Kind
    where: str
    words: str


def changes_between(old: Plan, new: Plan) -> list[Change]:
    """Every change, in the order of the new plan, then what is gone."""
    found = list(_order(old, new))
    for app in new.apps:
        before = old.app(app.name)
        if before is None:
            found.append(Change("collects more", app.name, f"a new app: {_app_in_words(app)}"))
        else:
            found += _of_app(before, app)
    found += [
        Change("collects less", app.name, "the app is no longer collected")
        for app in old.apps
        if new.app(app.name) is None
    ]
    return found


def alters_stored_form(changes: list[Change]) -> bool:
    """Whether the change may begin only with an epoch."""
    return any(change.kind == "stores otherwise" for change in changes)


def _order(old: Plan, new: Plan) -> Iterator[Change]:
    if _move(old.purposes, new.purposes):
        yield Change("stores otherwise", "purposes", "the purposes have another order, which gives their bits")
    for purpose in new.purposes:
        if purpose not in old.purposes:
            yield Change(
                "collects more", f"purposes.{purpose}", "whether a person consented to it is kept with an event"
            )
    for name in old.purposes:
        if name not in new.purposes:
            yield Change("collects less", f"purposes.{name}", "whether a person consented to it is no longer kept")
    if _move([app.name for app in old.apps], [app.name for app in new.apps]):
        yield Change("stores otherwise", "apps", "the apps have another order, which gives their codes")


def _move(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether a place that held one name holds another now; what is only added or gone at the end moves nothing."""
    return any(before != after for before, after in zip(old, new, strict=False))


def _of_app(old: App, new: App) -> Iterator[Change]:
    where = new.name
    if old.person_kind != new.person_kind:
        words = f"persons are counted by {new.person_kind}, so far by {old.person_kind}"
        yield Change("stores otherwise", where, words)
    if old.sampling != new.sampling:
        words = f"{_text(new.sampling)} of the persons are counted, so far {_text(old.sampling)}"
        yield Change("stores otherwise", where, words)
    if old.required_purpose != new.required_purpose:
        asked, before = new.required_purpose or "no consent", old.required_purpose or "no consent"
        kind: Kind = "collects more" if new.required_purpose is None else "collects less"
        yield Change(kind, where, f"it asks for {asked}, so far for {before}")
    known = {action.name: action for action in old.actions}
    names = [action.name for action in new.actions]
    if _move(list(known), names):
        yield Change("stores otherwise", where, "its actions have another order, which gives their codes")
    for action in new.actions:
        place = f"{where}.{action.name}"
        if action.name not in known:
            yield Change("collects more", place, f"a new action{_attributes_in_words(action)}")
        else:
            yield from _of_action(place, known[action.name], action)
    for name in known.keys() - set(names):
        yield Change("collects less", f"{where}.{name}", "the action is no longer collected")


def _of_action(where: str, old: Action, new: Action) -> Iterator[Change]:
    before = {attribute.name: (slot, attribute) for slot, attribute in enumerate(old.attributes)}
    for slot, attribute in enumerate(new.attributes):
        place = f"{where}.{attribute.name}"
        found = before.pop(attribute.name, None)
        if found is None:
            needed = "; events without it are rejected" if attribute.is_required else ""
            yield Change("collects more", place, f"a new attribute: {_type_in_words(attribute)}{needed}")
            if slot < len(old.attributes):
                yield Change("stores otherwise", place, "it stands before others, so their places move")
        elif found[1].type != attribute.type:
            words = f"it becomes {_type_in_words(attribute)}; so far {_type_in_words(found[1])}"
            yield Change("stores otherwise", place, words)
        elif found[1].is_required != attribute.is_required:
            words = "events without it are rejected now" if attribute.is_required else "events without it are taken now"
            yield Change("collects less" if attribute.is_required else "collects more", place, words)
    for name, (slot, _) in before.items():
        yield Change("collects less", f"{where}.{name}", "the attribute is no longer collected")
        if slot < len(old.attributes) - 1:
            yield Change("stores otherwise", f"{where}.{name}", "others stood behind it, so their places move")


def _app_in_words(app: App) -> str:
    consent = f"with consent to {app.required_purpose}" if app.required_purpose else "without asking for consent"
    names = ", ".join(f"{action.name}{_attributes_in_words(action)}" for action in app.actions)
    return f"persons by {app.person_kind}, {consent}; {names}"


def _attributes_in_words(action: Action) -> str:
    if not action.attributes:
        return ""
    return " with " + ", ".join(f"{attribute.name} ({_type_in_words(attribute)})" for attribute in action.attributes)


def _type_in_words(attribute: Attribute) -> str:
    match attribute.type:
        case Category(values):
            return f"one of {', '.join(values[:8])}{', …' if len(values) > 8 else ''}, or other"
        case Band(edges):
            return f"a band of {len(edges) + 1}, from below {_text(edges[0])} to {_text(edges[-1])} and more"
        case Number(quantum, low, high):
            return f"a number from {_text(low)} to {_text(high)} in steps of {_text(quantum)}"
        case Flag():
            return "yes or no"
        case Key(max_bytes):
            return f"its own text, as sent, of up to {max_bytes} bytes"


def _text(number: Fraction) -> str:
    """Exactly this number: as a decimal where it is one of a few digits, else as a fraction."""
    if 10**12 % number.denominator:
        return str(number)
    return f"{(Decimal(number.numerator) / number.denominator).normalize():f}"
