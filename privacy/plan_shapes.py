"""The shapes a tracking plan is read through: each takes a part of the tree and the place it stands at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from privacy.errors import InvalidPlan

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_Parsed = TypeVar("_Parsed")


def mapping(
    tree: object, where: str, *, required: Collection[str] = (), optional: Collection[str] = ()
) -> Mapping[str, object]:
    """The tree as a mapping with all required keys and no key that is neither required nor optional."""
    if not isinstance(tree, Mapping) or not all(isinstance(key, str) for key in tree):
        raise bad_plan(where, "expected a mapping")
    missing = [key for key in required if key not in tree]
    if missing:
        raise bad_plan(where, f"missing {', '.join(sorted(missing))}")
    unknown = [key for key in tree if key not in required and key not in optional]
    if unknown:
        raise bad_plan(where, f"unknown key {unknown[0][:64]!r}")
    return tree


def named_items(tree: object, where: str, parse: Callable[[str, object], _Parsed]) -> tuple[_Parsed, ...]:
    if not isinstance(tree, Mapping):
        raise bad_plan(where, "expected a mapping of names")
    return tuple(parse(plan_name(name, where), item) for name, item in tree.items())


def sequence(tree: object, where: str) -> Sequence[object]:
    if not isinstance(tree, list | tuple):
        raise bad_plan(where, "expected a list")
    return tree


def text_of(item: object, where: str) -> str:
    if not isinstance(item, str):
        raise bad_plan(where, "expected a text")
    return item


def is_plan_name(text: str) -> bool:
    """Whether this may name a plan, a purpose, an app, an action or an attribute."""
    return _NAME.fullmatch(text) is not None


def plan_name(item: object, where: str) -> str:
    text = text_of(item, where)
    if _NAME.fullmatch(text) is None:
        raise bad_plan(where, "a name is a-z first, then up to 63 of a-z, 0-9, _ . and -")
    return text


def check_distinct(items: Sequence[str], where: str) -> None:
    twice = next((item for item, count in Counter(items).items() if count > 1), None)
    if twice is not None:
        raise bad_plan(where, f"{twice[:64]!r} stands twice")


def check_size(items: Sequence[object], where: str, low: int, high: int) -> None:
    if not low <= len(items) <= high:
        raise bad_plan(where, f"expected {low} to {high} entries, got {len(items)}")


def bad_plan(where: str, why: str) -> InvalidPlan:
    return InvalidPlan(
        what=f"Tracking plan refused at {where}",
        why=why,
        fix="Mend the plan (specs/events.md 6) and start again",
    )
