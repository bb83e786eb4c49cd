"""harmonie: music with tips. The compact form, times as whole Unix seconds; a person key is a user."""

from __future__ import annotations

import numpy as np

from node.demo.crowd import Habits, weights
from node.demo.hostile import Fields
from node.demo.platforms.base import Columns, Platform, by_action, listed

CATEGORIES = ("ambient", "folk", "jazz", "electronic", "spoken-word", "noise", "")  # noise is in no list

HABITS = Habits(
    people=14_500,
    mean_days=2.8,
    events_per_day=2.85,
    actions=(
        ("streams", "play", 58),
        ("tips", "sent", 13),
        ("nft", "sold", 4),
        ("likes", "liked", 25),
    ),
    countries=weights("BR:17 US:15 FR:12 DE:11 GB:10 ES:7 IT:6 PT:5 SE:4 PL:3 JP:3 IN:2 NL:2 -:3"),
    topics=(24, 17, 15, 27, 10, 4, 3),
)


def _encode(rng: np.random.Generator, columns: Columns) -> list[str]:
    crowd = columns.crowd
    extras = [""] * len(crowd)
    categories = listed(CATEGORIES, crowd.topic, "category")
    amounts = np.round(rng.lognormal(1.0, 0.8, len(crowd)), 2).tolist()
    seconds = rng.integers(20, 600, len(crowd)).tolist()
    for app, _action, where in by_action(crowd, HABITS):
        for i in where.tolist():
            comma = "," if categories[i] else ""
            if app == "streams":
                extras[i] = f'{categories[i]}{comma}"seconds":{seconds[i]}'
            elif app == "likes":
                extras[i] = categories[i]
            else:
                extras[i] = f'{categories[i]}{comma}"amount":{amounts[i]}'
    starts = [f'{{"a":"{app}","n":"{action}","p":{{' for app, action, _ in HABITS.actions]
    return [
        f'{starts[action]}{extra}}},"t":{time},"g":"{country}","s":"{session}","u":"{person}","i":"{event}","c":[{consent}]}}'
        for action, extra, time, country, session, person, event, consent in zip(
            crowd.action.tolist(), extras, columns.unix_s, columns.country, columns.session, columns.person,
            columns.event_id, ['"analytics"' if yes else "" for yes in columns.consents], strict=True,
        )
    ]  # fmt: skip


PLATFORM = Platform(
    name="harmonie",
    does="streams, tips, NFT sales, likes",
    person="users",
    id_prefix="ha-",
    habits=HABITS,
    encode=_encode,
    fields=Fields(
        app=("a",), action=("n",), attributes=("p",), time=("t",), country=("g",), person=("u",), event_id=("i",),
        consent=("c",), category="category", number="amount",
    ),
)  # fmt: skip
