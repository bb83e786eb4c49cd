"""liberation-system: who shares what, and how. The dotted form (`resource.distributed`); person keys are users."""

from __future__ import annotations

import numpy as np

from node.demo.crowd import Habits, weights
from node.demo.hostile import Fields
from node.demo.platforms.base import Columns, Platform, by_action, listed

CHANNELS = ("mutual-aid", "food", "housing", "tools", "time", "transport", "")  # transport is in no list

HABITS = Habits(
    people=12_500,
    mean_days=2.8,
    events_per_day=2.7,
    actions=(
        ("resource", "distributed", 34),
        ("resource", "requested", 8),
        ("truth", "spread", 20),
        ("truth", "verified", 6),
        ("mesh", "connected", 11),
        ("health", "checked", 9),
        ("user", "joined", 2),
        ("user", "active", 10),
    ),
    countries=weights("PT:18 ES:15 BR:14 FR:10 DE:9 US:8 IT:7 GB:6 IN:5 KE:3 NL:2 -:3"),
    topics=(26, 24, 12, 15, 15, 4, 4),
)


def _encode(rng: np.random.Generator, columns: Columns) -> list[str]:
    crowd = columns.crowd
    data = [""] * len(crowd)
    channels = listed(CHANNELS, crowd.topic, "channel")
    amounts = np.round(rng.lognormal(2.5, 1.0, len(crowd)), 2).tolist()
    for app, _action, where in by_action(crowd, HABITS):
        if app == "resource":
            for i in where.tolist():
                comma = "," if channels[i] else ""
                data[i] = f'{channels[i]}{comma}"amount":{amounts[i]}'
        elif app == "truth":
            for i in where.tolist():
                data[i] = f'"reach":{int(amounts[i])}'
    types = [f'{{"type":"{app}.{action}","data":{{' for app, action, _ in HABITS.actions]
    return [
        f'{types[action]}{extra}}},"user":"{person}","timestamp":"{iso}","id":"{event}","country":"{country}",'
        f'"consent":[{consent}]}}'
        for action, extra, person, iso, event, country, consent in zip(
            crowd.action.tolist(), data, columns.person, columns.iso, columns.event_id, columns.country,
            ['"analytics"' if yes else "" for yes in columns.consents], strict=True,
        )
    ]  # fmt: skip


PLATFORM = Platform(
    name="liberation-system",
    does="resources distributed, truth spread, mesh, health and user events",
    person="users",
    id_prefix="ls-",
    habits=HABITS,
    encode=_encode,
    fields=Fields(
        app=("type",), action=("type",), attributes=("data",), time=("timestamp",), country=("country",),
        person=("user",), event_id=("id",), consent=("consent",), category="channel", number="amount", dotted=True,
    ),
)  # fmt: skip
