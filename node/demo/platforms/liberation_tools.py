"""liberation-tools: calculators for people who plan to leave a job. The universal form; a person key is a session."""

from __future__ import annotations

import numpy as np

from node.demo.crowd import Habits, weights
from node.demo.hostile import Fields
from node.demo.platforms.base import Columns, Platform, by_action

INDUSTRIES = ("software", "health", "finance", "education", "farming", "")  # farming is in no list, "" is not said
VALUES = ("freedom", "care", "craft", "truth", "beauty")
_MEDIAN_RUNWAY = np.array([9.0, 5.0, 14.0, 4.0, 7.0, 8.0])  # months, by industry

HABITS = Habits(
    people=19_500,
    mean_days=None,
    events_per_day=4.0,
    actions=(
        ("runway-calculator", "calculate", 30),
        ("runway-calculator", "reset", 5),
        ("real-hourly-wage", "calculate", 24),
        ("cognitive-debt", "assess", 15),
        ("values-matcher", "match", 14),
        ("small-bets", "place", 9),
        ("small-bets", "review", 5),
    ),
    countries=weights("US:22 GB:13 DE:14 FR:9 NL:8 ES:6 PT:6 SE:4 PL:4 IT:4 BR:3 IN:4 CA:3 MX:2 -:4"),
    topics=(34, 18, 17, 19, 6, 6),
)


def _encode(rng: np.random.Generator, columns: Columns) -> list[str]:
    crowd = columns.crowd
    _, first = np.unique(crowd.person, return_index=True)
    industry = crowd.topic[first]  # a session plans for one industry
    runway = np.round(_MEDIAN_RUNWAY[industry] * rng.lognormal(0, 0.75, (2, len(industry))), 1)
    wage = np.round(19 * rng.lognormal(0, 0.55, len(industry)), 2)
    gaps = np.round(wage * rng.uniform(0.05, 0.6, len(industry)), 2)[
        crowd.person
    ].tolist()  # what the hours cost unseen
    what_if = (rng.random(len(crowd)) < 0.35).astype(np.int64)
    industry_texts = [f'"industry":"{name}",' if name else "" for name in INDUSTRIES]
    runways = runway[what_if, crowd.person].tolist()
    wages = wage[crowd.person].tolist()
    debts = np.round(rng.beta(2, 3, len(crowd)) * 100).astype(int).tolist()
    topics = crowd.topic.tolist()
    industries = industry[crowd.person].tolist()

    attributes = [""] * len(crowd)
    for app, action, where in by_action(crowd, HABITS):
        positions = where.tolist()
        if app == "runway-calculator" and action == "calculate":
            for i in positions:
                attributes[i] = f'{industry_texts[industries[i]]}"runway_months":{runways[i]}'
        elif app == "real-hourly-wage":
            for i in positions:
                attributes[i] = f'"hourly_wage":{wages[i]},"wage_gap":{gaps[i]}'
        elif app == "cognitive-debt":
            for i in positions:
                attributes[i] = f'"debt":{debts[i]}'
        elif app == "values-matcher":
            for i in positions:
                attributes[i] = (
                    f'"value":"{VALUES[topics[i] % len(VALUES)]}","remote":{"true" if debts[i] > 40 else "false"}'
                )
    starts = [f'{{"app":"{app}","action":"{action}","attributes":{{' for app, action, _ in HABITS.actions]
    return [
        f'{starts[action]}{extra}}},"timestamp":"{iso}","geo_hint":"{country}","session_id":"{session}",'
        f'"event_id":"{event}","consent":[{"" if not consents else _ANALYTICS}]}}'
        for action, extra, iso, country, session, event, consents in zip(
            crowd.action.tolist(), attributes, columns.iso, columns.country, columns.person, columns.event_id,
            columns.consents, strict=True,
        )
    ]  # fmt: skip


_ANALYTICS = '"analytics"'

PLATFORM = Platform(
    name="liberation-tools",
    does="runway calculator, real hourly wage, cognitive debt, values matcher, small bets",
    person="sessions",
    id_prefix="lt-",
    habits=HABITS,
    encode=_encode,
    fields=Fields(
        app=("app",), action=("action",), attributes=("attributes",), time=("timestamp",), country=("geo_hint",),
        person=("session_id",), event_id=("event_id",), consent=("consent",),
        category="industry", number="runway_months",
    ),
)  # fmt: skip
