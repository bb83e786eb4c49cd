"""A platform's whole history as requests, ready to be sent, and the needles it planted.

Good events come in order of time, 500 to a request, as one JSON list, the way a platform plays back its log. After
them come the odd requests: lines of hostile events (NDJSON, so that a broken line costs only itself), people whose
browser says `Sec-GPC: 1`, and some good requests over again, which a node must count once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

import numpy as np

from node.demo.crowd import Crowd, draw_crowd, hex_ids, iso_texts
from node.demo.hostile import SPOILERS, spoil
from node.demo.needles import Needles
from node.demo.platforms.base import Columns, Platform

BATCH: Final = 500  # events; the most a node takes in one request
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

HOSTILE_SHARE: Final = 0.006
GPC_SHARE: Final = 0.004
NO_CONSENT_SHARE: Final = 0.03  # of the people
_ID_PREFIX: Final = "e-"  # so that an id is text to the eye; 18 characters


@dataclass(frozen=True, slots=True)
class Batch:
    """One request's body."""

    body: bytes
    events: int
    key: str  # its Idempotency-Key
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Texts:
    """What was sent that must not be found again, as the sender knows it."""

    ids: list[str]
    persons: list[str]
    sessions: list[str]
    times: list[str]
    time_ms: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    markers: list[str] = field(default_factory=list)

    def needles(self) -> Needles:
        """The search for all of them; ids share their beginnings, so their ends tell them apart."""
        needles = Needles()
        needles.add_texts("event id", self.ids, telling=-8)
        needles.add_texts("person id", self.persons, telling=-8)
        needles.add_texts("session id", self.sessions, telling=-8)
        # In 2026-11-08T13:45:12.345Z the hours and minutes are what a window's name does not have.
        needles.add_texts("time", self.times, telling=8 if self.times and len(self.times[0]) >= 16 else 0)
        needles.add_texts("marker", self.markers)
        needles.add_times(self.time_ms)
        needles.add_times(self.time_ms // 1_000)
        return needles


@dataclass(frozen=True, slots=True)
class Play:
    """One platform's requests in the order of sending."""

    name: str
    people: int
    batches: list[Batch]
    texts: Texts

    @property
    def events(self) -> int:
        return sum(batch.events for batch in self.batches)


def make_play(platform: Platform, seed: int, first_day: int, days: int, scale: float = 1.0) -> Play:
    """Draw and write a platform's history; equal arguments give equal bytes.

    Args:
        platform: Which.
        seed: Of the whole demo; each platform draws its own stream from it.
        first_day: First day, in days since 1970-01-01.
        days: How many.
        scale: Share of the people to draw, > 0.
    """
    rng = np.random.default_rng([seed, *platform.name.encode()])
    with _no_collection():
        crowd = draw_crowd(rng, platform.habits, first_day, days, scale)
        columns, persons, sessions = _columns(rng, platform, crowd)
        lines = platform.encode(rng, columns)
        texts = Texts(columns.event_id, persons, sessions, _times(columns, platform), crowd.time_ms)
        batches = [json_list(lines[start : start + BATCH]) for start in range(0, len(lines), BATCH)]
        odd = _odd(rng, platform, lines, columns.event_id, texts)
    return Play(platform.name, crowd.people, batches + odd + _again(rng, batches), texts)


def _columns(rng: np.random.Generator, platform: Platform, crowd: Crowd) -> tuple[Columns, list[str], list[str]]:
    """The columns the encoder needs, all person ids, all session ids."""
    persons = hex_ids(rng, crowd.people, platform.id_prefix)
    visits = crowd.visit.tolist()
    owners = crowd.person.tolist()
    sessions = hex_ids(rng, crowd.visits, "v-") if platform.habits.mean_days is not None else []
    consenting = (rng.random(crowd.people) >= NO_CONSENT_SHARE).tolist()
    codes = [code for code, _ in platform.habits.countries]
    person = [persons[owner] for owner in owners]
    columns = Columns(
        crowd=crowd,
        person=person,
        session=[sessions[visit] for visit in visits] if sessions else person,
        event_id=hex_ids(rng, len(crowd), _ID_PREFIX),
        country=[codes[index] for index in crowd.country.tolist()],
        consents=[consenting[owner] for owner in owners],
        iso=iso_texts(crowd.time_ms),
        unix_s=(crowd.time_ms // 1_000).tolist(),
    )
    return columns, persons, sessions


def _times(columns: Columns, platform: Platform) -> list[str]:
    """The times as they stand in the requests."""
    return [str(second) for second in columns.unix_s] if platform.fields.time == ("t",) else columns.iso


def _odd(
    rng: np.random.Generator, platform: Platform, lines: Sequence[str], ids: Sequence[str], texts: Texts
) -> list[Batch]:
    """Hostile requests and requests under GPC, made of copies of good events that get ids of their own."""
    hostile = max(int(len(lines) * HOSTILE_SHARE), 3 * len(SPOILERS))
    private = max(int(len(lines) * GPC_SHARE), 20)
    chosen = rng.integers(0, len(lines), hostile + private).tolist()
    fresh = hex_ids(rng, len(chosen), _ID_PREFIX)
    texts.ids.extend(fresh)
    copies = [lines[index].replace(ids[index], new) for index, new in zip(chosen, fresh, strict=True)]
    spoiled = spoil(copies[:hostile], platform.fields, hex_ids(rng, hostile, ""))
    texts.markers.extend(spoiled.markers)
    gpc = (("Sec-GPC", "1"),)
    batches = [_ndjson(spoiled.lines[start : start + 100]) for start in range(0, hostile, 100)]
    quiet = copies[hostile:]
    return batches + [json_list(quiet[start : start + BATCH], gpc) for start in range(0, private, BATCH)]


def _again(rng: np.random.Generator, batches: Sequence[Batch]) -> list[Batch]:
    """Two requests that were sent before: once as a repeat (the same key), once as if it were new."""
    first, second = (batches[index] for index in rng.integers(0, len(batches), 2).tolist())
    return [first, replace(second, key=second.key + "-again")]


def json_list(lines: Sequence[str], headers: tuple[tuple[str, str], ...] = ()) -> Batch:
    """A batch of these events as one JSON list."""
    body = f"[{','.join(lines)}]".encode()
    return Batch(body, len(lines), _key(body), JSON, headers)


def _ndjson(lines: Sequence[str]) -> Batch:
    body = "\n".join(lines).encode()
    return Batch(body, len(lines), _key(body), NDJSON)


def _key(body: bytes) -> str:
    return blake2b(body, digest_size=12).hexdigest()


@contextmanager
def _no_collection() -> Iterator[None]:
    """A million young strings and no cycles: the collector would only walk them again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
