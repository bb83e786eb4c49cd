"""A seeded crowd: who is active on which day, at what hour, from where, doing what, how often.

Believable, not real: activity is heavy-tailed, hours follow a daily rhythm, weekends are quieter, most people come once
or twice a day and stay with one or two subjects. Two kinds of people are odd on purpose. A *heavy user* sends hundreds
of events in a few places, so that the bound on events (K) bites. A *wanderer* is everywhere at once, so that the bound
on groups (C) bites and the truth of the touched cells becomes unknowable (PRIVACY 7); they are few, because each of
them costs truths.

Draws come from numpy in bulk; the encoders of `platforms/` turn the columns into JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000

# Share of visits that begin in each UTC hour; people in Europe and the Americas, fewer in Asia.
_NIGHT = (14, 10, 8, 7, 7, 9, 15, 27)
_DAY = (40, 47, 49, 50, 52, 50, 49, 50)
_EVENING = (52, 56, 60, 62, 58, 48, 34, 22)
RHYTHM: Final = _NIGHT + _DAY + _EVENING
# Monday … Sunday.
WEEKDAYS: Final = (1.0, 1.02, 1.0, 0.98, 0.92, 0.74, 0.78)

HEAVY_USERS: Final = 6  # per platform; each on three days
HEAVY_EVENTS: Final = (120, 360)  # per heavy day, at least and below
WANDERERS: Final = 2  # person-days per platform
WANDERER_EVENTS: Final = 40


@dataclass(frozen=True, slots=True)
class Habits:
    """What sets one platform's crowd apart.

    Args:
        people: How many person keys there are over the whole time.
        mean_days: Days on which an average person is active; None where a person key is a session, seen on one day.
        events_per_day: Mean events of a person on an active day, > 1.
        actions: (app, action, weight) of everything people do.
        countries: (ISO code, or "" for none given; weight).
        topics: Weights of the platform's topics (industries, categories, channels).
    """

    people: int
    mean_days: float | None
    events_per_day: float
    actions: tuple[tuple[str, str, int], ...]
    countries: tuple[tuple[str, int], ...]
    topics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Events as columns of equal length, in order of time.

    Attributes:
        person: Index of the person, 0 … people − 1.
        visit: Index of the visit, 0 … visits − 1; a visit is one person's, on one day.
        time_ms: Milliseconds since 1970-01-01T00Z; never a whole second, never a whole hour.
        action: Index into `Habits.actions`.
        country: Index into `Habits.countries`.
        topic: Index into `Habits.topics`.
    """

    people: int
    visits: int
    person: Ints
    visit: Ints
    time_ms: Ints
    action: Ints
    country: Ints
    topic: Ints

    def __len__(self) -> int:
        return len(self.person)


def draw_crowd(rng: np.random.Generator, habits: Habits, first_day: int, days: int, scale: float) -> Crowd:
    """Draw one platform's history.

    Args:
        rng: Seeded; equal seeds give equal crowds.
        habits: The platform's.
        first_day: First day, in days since 1970-01-01.
        days: How many days.
        scale: Share of the people to draw, > 0.
    """
    people = max(int(habits.people * scale), 40)
    person, day = _active_days(rng, habits, people, first_day, days)
    counts = 1 + rng.geometric(1 / np.maximum(habits.events_per_day * _intensity(rng, people)[person], 1.01)) - 1
    counts = np.minimum(counts, 24)
    heavy, wandering = _odd_ones(rng, person, counts, people, day, days)

    of = np.repeat(np.arange(len(person)), counts)  # the person-day of each event
    action_app = _apps(habits)
    pick = rng.random(len(of))
    first_app, second_app = _two(rng, _app_weights(habits, action_app), len(person), 0.30)
    app = np.where(pick < 0.72, first_app[of], second_app[of])
    topic = _either(rng, *_two(rng, np.array(habits.topics), len(person), 0.25), of)
    home = _weighted(rng, np.array([weight for _, weight in habits.countries]), people)[person]
    away = np.where(rng.random(len(person)) < 0.006, _weighted_countries(rng, habits, len(person)), home)
    country = _either(rng, home, away, of)
    visit_of_day = (rng.random(len(of)) < 0.4) & (rng.random(len(person)) < 0.25)[of]
    hours = np.stack([_weighted(rng, np.array(RHYTHM), len(person)) for _ in range(2)])
    minute_ms = rng.integers(0, HOUR_MS, size=(2, len(person)))
    start = (hours * HOUR_MS + minute_ms)[visit_of_day.astype(np.int64), of]
    stay = np.minimum(rng.exponential(6 * 60_000, len(of)), 50 * 60_000).astype(np.int64)
    stay = np.where(heavy[of], rng.integers(0, 50 * 60_000, len(of)), stay)
    in_day = np.minimum(start + stay, DAY_MS - 1_000 - rng.integers(0, 60_000, len(of)))

    lost = wandering[of]
    app = np.where(lost, rng.integers(0, action_app.max() + 1, len(of)), app)
    topic = np.where(lost, rng.integers(0, len(habits.topics), len(of)), topic)
    country = np.where(lost, rng.integers(0, len(habits.countries), len(of)), country)
    in_day = np.where(lost, rng.integers(1, 10, len(of)) * HOUR_MS + rng.integers(0, HOUR_MS, len(of)), in_day)
    in_day += (in_day % 1_000 == 0) + 1_000 * (in_day % HOUR_MS < 1_000)  # never whole seconds nor whole hours

    action = _action_of(rng, habits, action_app, app)
    visit = of * 2 + visit_of_day
    time_ms = (first_day + day[of]) * DAY_MS + in_day
    order = np.argsort(time_ms, kind="stable")
    return Crowd(
        people=people,
        visits=2 * len(person),
        person=person[of][order],
        visit=visit[order],
        time_ms=time_ms[order],
        action=action[order],
        country=country[order],
        topic=topic[order],
    )


def hex_ids(rng: np.random.Generator, count: int, prefix: str, digits: int = 16) -> list[str]:
    """`count` different-looking ids of `len(prefix) + digits` characters; `digits` is even."""
    text = rng.bytes(count * digits // 2).hex()
    return [prefix + text[at : at + digits] for at in range(0, count * digits, digits)]


def iso_texts(time_ms: Ints) -> list[str]:
    """The times as texts such as `2026-11-08T13:45:12.345Z`."""
    texts: list[str] = np.datetime_as_string(time_ms.astype("datetime64[ms]"), unit="ms").tolist()
    return [text + "Z" for text in texts]


def weights(text: str) -> tuple[tuple[str, int], ...]:
    """Names with weights from a text such as `DE:25 FR:14 -:3`; `-` is the empty name."""
    pairs = (item.split(":") for item in text.split())
    return tuple(("" if name == "-" else name, int(weight)) for name, weight in pairs)


def _active_days(rng: np.random.Generator, habits: Habits, people: int, first_day: int, days: int) -> tuple[Ints, Ints]:
    """(person, day) of every day on which somebody is active."""
    weekday = (first_day + np.arange(days) + 3) % 7  # 1970-01-01 was a Thursday
    shares = np.array(WEEKDAYS)[weekday]
    if habits.mean_days is None:
        return np.arange(people), _weighted(rng, shares, people)
    rate = rng.gamma(1.1, habits.mean_days / days / 1.1, people)
    active = rng.random((people, days)) < np.minimum(rate, 0.95)[:, None] * shares[None, :]
    never = np.flatnonzero(~active.any(axis=1))
    active[never, _weighted(rng, shares, len(never))] = True
    person, day = np.nonzero(active)
    return person, day


def _intensity(rng: np.random.Generator, people: int) -> NDArray[np.float64]:
    return rng.lognormal(-0.125, 0.5, people)  # mean 1


def _odd_ones(
    rng: np.random.Generator, person: Ints, counts: Ints, people: int, day: Ints, days: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose heavy and wandering person-days and set their numbers of events in `counts`."""
    heavy = np.zeros(len(person), dtype=bool)
    order = rng.permutation(len(person))
    heavy[order[: 3 * HEAVY_USERS]] = True
    counts[heavy] = rng.integers(*HEAVY_EVENTS, int(heavy.sum()))
    wandering = np.zeros(len(person), dtype=bool)
    wandering[order[3 * HEAVY_USERS : 3 * HEAVY_USERS + WANDERERS]] = True
    counts[wandering] = WANDERER_EVENTS
    return heavy, wandering


def _apps(habits: Habits) -> Ints:
    """Index of the app of each action; apps count in order of appearance."""
    names = list(dict.fromkeys(app for app, _, _ in habits.actions))
    return np.array([names.index(app) for app, _, _ in habits.actions])


def _app_weights(habits: Habits, action_app: Ints) -> Ints:
    weights = np.array([weight for _, _, weight in habits.actions])
    return np.bincount(action_app, weights=weights).astype(np.int64)


def _action_of(rng: np.random.Generator, habits: Habits, action_app: Ints, app: Ints) -> Ints:
    """One of the app's actions for each event."""
    weights = np.array([weight for _, _, weight in habits.actions])
    action = np.zeros(len(app), dtype=np.int64)
    for index in range(int(action_app.max()) + 1):
        mine = np.flatnonzero(app == index)
        choices = np.flatnonzero(action_app == index)
        action[mine] = choices[_weighted(rng, weights[choices], len(mine))]
    return action


def _two(rng: np.random.Generator, weights: Ints, size: int, share: float) -> tuple[Ints, Ints]:
    """A first choice each, and a second one that differs only for about `share` of them."""
    first = _weighted(rng, weights, size)
    second = np.where(rng.random(size) < share, _weighted(rng, weights, size), first)
    return first, second


def _either(rng: np.random.Generator, first: Ints, second: Ints, of: Ints) -> Ints:
    return np.where(rng.random(len(of)) < 0.7, first[of], second[of])


def _weighted_countries(rng: np.random.Generator, habits: Habits, size: int) -> Ints:
    return _weighted(rng, np.array([weight for _, weight in habits.countries]), size)


def _weighted(rng: np.random.Generator, weights: NDArray[Any], size: int) -> Ints:
    edges = np.cumsum(weights / weights.sum())
    return np.minimum(np.searchsorted(edges, rng.random(size), side="right"), len(weights) - 1).astype(np.int64)
