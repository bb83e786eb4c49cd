"""What one platform's file says about itself, and the columns its encoder works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from node.demo.crowd import Crowd, Habits, Ints
from node.demo.hostile import Fields

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Everything an encoder needs of each event, as lists of equal length in order of time."""

    crowd: Crowd
    person: list[str]  # the person key's id
    session: list[str]
    event_id: list[str]
    country: list[str]  # ISO code or ""
    consents: list[bool]
    iso: list[str]  # 2026-11-08T13:45:12.345Z
    unix_s: list[int]


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform.

    Args:
        name: Also the name of its node, its plan and its folder.
        does: What people do there, in a few words.
        person: What one person key is there, in the plural.
        id_prefix: Start of its person ids.
        habits: The crowd.
        encode: The events as JSON texts, one an event, in order of time.
        fields: Where its form keeps what, so that events can be spoiled.
    """

    name: str
    does: str
    person: str
    id_prefix: str
    habits: Habits
    encode: Callable[[np.random.Generator, Columns], list[str]]
    fields: Fields


def by_action(crowd: Crowd, habits: Habits) -> list[tuple[str, str, Ints]]:
    """(app, action, positions of its events) for each action of the habits."""
    return [
        (app, action, np.flatnonzero(crowd.action == index)) for index, (app, action, _) in enumerate(habits.actions)
    ]


def words(names: tuple[str, ...], indices: Ints) -> list[str]:
    """The names at the indices."""
    return [names[index] for index in indices.tolist()]


def at(column: list[str], positions: list[int]) -> list[str]:
    """The column's values at the positions."""
    return [column[position] for position in positions]


def listed(topics: tuple[str, ...], indices: Ints, key: str) -> list[str]:
    """`"key":"topic"` for each index; nothing for the topic "" (the attribute is absent)."""
    texts = tuple(f'"{key}":"{topic}"' if topic else "" for topic in topics)
    return [texts[index] for index in indices.tolist()]
