"""Events nobody should send: broken, personal, undeclared, late, repeated; and the markers planted in them.

Each is an ordinary event of the platform with one thing spoiled, so it works for every form. A marker is a text that
stands nowhere else: whoever finds one in a node's files or between two nodes has found a leak. The names of the
spoilers are for reading; the node is never told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

Tree = dict[str, Any]  # one event as decoded JSON
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a form keeps what; each is a path of keys.

    Args:
        category: Name of an attribute that takes a listed word.
        number: Name of an attribute that takes a number.
        dotted: Whether app and action share one field, `app.action`.
    """

    app: Path
    action: Path
    attributes: Path
    time: Path
    country: Path
    person: Path
    event_id: Path
    consent: Path
    category: str
    number: str
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Hostile lines, and every marker that was planted in them."""

    lines: list[str] = field(default_factory=list)
    markers: list[str] = field(default_factory=list)


def spoil(originals: list[str], fields: Fields, seeds: list[str]) -> Spoiled:
    """Spoil each original in one way, in turn.

    Args:
        originals: JSON texts of good events, each with an event id of its own.
        fields: The platform's form.
        seeds: As many unpredictable texts, for the markers.
    """
    spoiled = Spoiled()
    for position, (text, seed) in enumerate(zip(originals, seeds, strict=True)):
        tree: Tree = json.loads(text)
        line = SPOILERS[position % len(SPOILERS)](tree, fields, seed, spoiled.markers)
        spoiled.lines.append(line if line is not None else json.dumps(tree))
    return spoiled


def _mail_as_value(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)[fields.category] = _mark(markers, f"anna.{seed}@planted.example")


def _address_as_value(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    number = int(seed[-8:], 16)
    address = ".".join(str(100 + (number >> shift) % 150) for shift in (0, 8, 16, 24))
    _attributes(tree, fields)[fields.category] = _mark(markers, address)


def _undeclared_value(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)["note"] = _mark(markers, f"planted value {seed}")


def _undeclared_name(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)[_mark(markers, f"planted_name_{seed}")] = True


def _nested_profile(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)["profile"] = {"email": _mark(markers, f"{seed}@nested.example"), "ips": ["203.0.113.77"]}
    tree["ip"] = "203.0.113.78"
    tree["referrer"] = _mark(markers, f"https://planted.example/?q={seed}")


def _not_a_number(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)[fields.number] = ("NaN", "Infinity", "1e400", "-0x1F")[int(seed[-1], 16) % 4]


def _wrong_type(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    attributes = _attributes(tree, fields)
    attributes[fields.number] = {"value": [1, 2, 3]}
    attributes[fields.category] = [_mark(markers, f"planted-list-{seed}")]


def _long_value(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _attributes(tree, fields)[fields.category] = _mark(markers, f"planted-long-{seed}") * 60


def _strange_country(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _set(tree, fields.country, _mark(markers, f"planted-land-{seed}"))


def _unknown_app(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    name = _mark(markers, f"planted-app-{seed}")
    _set(tree, fields.app, f"{name}.happened" if fields.dotted else name)


def _unknown_action(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    name = _mark(markers, f"planted-act-{seed}")
    app = str(_get(tree, fields.app)).partition(".")[0]
    _set(tree, fields.action, f"{app}.{name}" if fields.dotted else name)


def _nobody(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _set(tree, fields.person, "")


def _no_consent(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _set(tree, fields.consent, ["advertising"])


def _no_time(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _set(tree, fields.time, ("yesterday", "2026-13-45T99:99:99Z", "", "NaN")[int(seed[-1], 16) % 4])


def _far_time(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    _set(tree, fields.time, ("2199-01-01T00:00:01Z", "1999-12-31T23:59:58Z")[int(seed[-1], 16) % 2])


def _cut_short(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> str:
    return json.dumps({"note": _mark(markers, f"planted-cut-{seed}"), **tree})[:-3]


def _not_an_event(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> str:
    return json.dumps([_mark(markers, f"planted-list-{seed}")]) if seed[-1] < "8" else '"hello"'


def _every_form_at_once(tree: Tree, fields: Fields, seed: str, markers: list[str]) -> None:
    for key in ("app", "action", "event_name", "event_category", "type", "data", "a", "n"):
        tree.setdefault(key, "x")


SPOILERS: Final[tuple[Callable[[Tree, Fields, str, list[str]], str | None], ...]] = (
    _mail_as_value, _address_as_value, _undeclared_value, _undeclared_name, _nested_profile, _not_a_number,
    _wrong_type, _long_value, _strange_country, _unknown_app, _unknown_action, _nobody, _no_consent, _no_time,
    _far_time, _cut_short, _not_an_event, _every_form_at_once,
)  # fmt: skip


def _mark(markers: list[str], text: str) -> str:
    markers.append(text)
    return text


def _attributes(tree: Tree, fields: Fields) -> Tree:
    attributes: Tree = _get(tree, fields.attributes)
    return attributes


def _get(tree: Tree, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _set(tree: Tree, path: Path, value: object) -> None:
    _get(tree, path[:-1])[path[-1]] = value
