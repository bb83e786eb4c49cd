"""addvalue: small good deeds, in rounds and waves. The analytics form; a person key is a user."""

from __future__ import annotations

import numpy as np

from node.demo.crowd import Habits, weights
from node.demo.hostile import Fields
from node.demo.platforms.base import Columns, Platform, by_action, listed

CATEGORIES = ("kindness", "repair", "learning", "sharing", "nature", "protest", "")  # protest is in no list

HABITS = Habits(
    people=14_000,
    mean_days=2.75,
    events_per_day=2.75,
    actions=(
        ("micro-acts", "done", 40),
        ("activation", "round_started", 11),
        ("activation", "round_completed", 7),
        ("community", "post", 9),
        ("community", "reply", 13),
        ("waves", "joined", 12),
        ("waves", "shared", 8),
    ),
    countries=weights("DE:25 FR:14 NL:10 GB:9 ES:8 IT:7 PL:6 SE:4 PT:4 US:5 AT:4 BR:2 IN:1 -:3"),
    topics=(28, 14, 20, 19, 12, 4, 3),
)


def _encode(rng: np.random.Generator, columns: Columns) -> list[str]:
    crowd = columns.crowd
    properties = [""] * len(crowd)
    categories = listed(CATEGORIES, crowd.topic, "category")
    levels = rng.integers(1, 8, len(crowd)).tolist()
    moods = (rng.binomial(4, 0.62, len(crowd)) - 2).tolist()  # how it felt, -2 to 2
    for app, _action, where in by_action(crowd, HABITS):
        for i in where.tolist():
            if app == "micro-acts":
                comma = "," if categories[i] else ""
                properties[i] = f'{categories[i]}{comma}"mood":{moods[i]}'
            else:
                properties[i] = f'"level":{levels[i]}'
    names = [f'"event_name":"{action}","event_category":"{app}"' for app, action, _ in HABITS.actions]
    return [
        f'{{"event_id":"{event}",{names[action]},"user_id":"{person}","session_id":"{session}","timestamp":"{iso}",'
        f'"properties":{{{extra}}},"context":{{"country":"{country}"}},"privacy":{{"consent":[{consent}]}}}}'
        for event, action, person, session, iso, extra, country, consent in zip(
            columns.event_id, crowd.action.tolist(), columns.person, columns.session, columns.iso, properties,
            columns.country, ['"analytics"' if yes else "" for yes in columns.consents], strict=True,
        )
    ]  # fmt: skip


PLATFORM = Platform(
    name="addvalue",
    does="activation rounds, micro-acts, community, waves",
    person="users",
    id_prefix="av-",
    habits=HABITS,
    encode=_encode,
    fields=Fields(
        app=("event_category",), action=("event_name",), attributes=("properties",), time=("timestamp",),
        country=("context", "country"), person=("user_id",), event_id=("event_id",), consent=("privacy", "consent"),
        category="category", number="level",
    ),
)  # fmt: skip
