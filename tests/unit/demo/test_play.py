"""The made-up history: seeded, believable, hostile where it says so, and ids no search finds by chance."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from node.demo.crowd import RHYTHM
from node.demo.hostile import SPOILERS
from node.demo.platforms import PLATFORMS
from node.demo.platforms.base import Platform
from node.demo.play import NDJSON, Play, make_play

START = (date(2026, 11, 5) - date(1970, 1, 1)).days
SCALE = 0.02


@pytest.fixture(scope="module")
def plays() -> dict[str, Play]:
    return {platform.name: make_play(platform, 3, START, 14, SCALE) for platform in PLATFORMS}


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    one, same, other = (make_play(PLATFORMS[3], seed, START, 14, 0.005) for seed in (1, 1, 2))
    assert [batch.body for batch in one.batches] == [batch.body for batch in same.batches]
    assert one.batches[0].body != other.batches[0].body


def test_size_is_that_of_the_announced_demo() -> None:
    """About 60,000 people; events scale with them (the whole is drawn by the half-shown test)."""
    assert 55_000 < sum(platform.habits.people for platform in PLATFORMS) < 65_000


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_bodies_are_what_a_node_takes(platform: Platform, plays: dict[str, Play]) -> None:
    """At most 500 events and 1 MiB a request; the good ones are JSON."""
    for batch in plays[platform.name].batches:
        assert 0 < batch.events <= 500
        assert len(batch.body) < 1 << 20
        if batch.content_type != NDJSON:
            assert len(json.loads(batch.body)) == batch.events
        else:
            assert batch.body.count(b"\n") + 1 == batch.events


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_every_id_is_long_and_every_time_exact(platform: Platform, plays: dict[str, Play]) -> None:
    texts = plays[platform.name].texts
    for ids in (texts.ids, texts.persons, texts.sessions):
        assert all(len(text) >= 12 for text in ids)
        assert len(set(ids)) == len(ids)
    assert all(len(marker) >= 12 for marker in texts.markers)
    assert not any(time % 1_000 == 0 for time in texts.time_ms.tolist())
    assert not any(time // 1_000 % 3_600 == 0 for time in texts.time_ms.tolist())


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_what_was_sent_is_what_is_searched_for(platform: Platform, plays: dict[str, Play]) -> None:
    """Every id, time and marker in the bodies is a needle, read back from the bytes."""
    play = plays[platform.name]
    texts = play.texts
    sent = b"\n".join(batch.body for batch in play.batches).decode()
    assert set(re.findall(r"e-[0-9a-f]{16}", sent)) <= set(texts.ids)
    assert set(re.findall(rf"(?<![a-z]){platform.id_prefix}[0-9a-f]{{16}}", sent)) <= set(texts.persons)
    assert set(re.findall(r"(?<![a-z])v-[0-9a-f]{16}", sent)) <= set(texts.sessions)
    assert set(re.findall(r"2026-11-\d\dT[\d:.]+Z|(?<=\"t\":)\d{10}", sent)) <= set(texts.times)
    for marker in texts.markers:
        assert marker in sent


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_every_way_to_be_hostile_is_used(platform: Platform, plays: dict[str, Play]) -> None:
    hostile = [batch for batch in plays[platform.name].batches if batch.content_type == NDJSON]
    assert sum(batch.events for batch in hostile) >= 3 * len(SPOILERS)
    assert any(("Sec-GPC", "1") in batch.headers for batch in plays[platform.name].batches)


def test_keys_repeat_only_where_a_request_is_repeated(plays: dict[str, Play]) -> None:
    for play in plays.values():
        keys = Counter(batch.key for batch in play.batches)
        assert [count for count in keys.values() if count > 1] == [2]
        bodies = Counter(batch.body for batch in play.batches)
        assert sum(count - 1 for count in bodies.values()) == 2


def test_days_have_a_rhythm(plays: dict[str, Play]) -> None:
    """The evening is busier than the night, on every day of the fourteen."""
    hours = Counter(time // 3_600_000 % 24 for time in plays["harmonie"].texts.time_ms.tolist())
    assert hours[19] > 3 * hours[3]
    assert len({time // 86_400_000 for time in plays["harmonie"].texts.time_ms.tolist()}) == 14
    assert len(RHYTHM) == 24


def test_no_demo_branch_outside_the_demo() -> None:
    """Nobody else knows that a demo exists: no import, no flag, no word of it in the node's code."""
    root = Path(__file__).parents[3]
    allowed = {root / "node" / "cli" / "demo.py"}
    word = re.compile(r"\bdemo\b|murmur_demo|node\.demo", re.IGNORECASE)
    found = []
    for package in ("node", "federation", "privacy", "protocol"):
        for file in (root / package).rglob("*.py"):
            if file in allowed or (root / "node" / "demo") in file.parents:
                continue
            code = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines())
            found += [f"{file.relative_to(root)}: {match.group()}" for match in word.finditer(_without_prose(code))]
    assert found == []


def _without_prose(code: str) -> str:
    """The code without docstrings and comments, and without help texts that name the command to type."""
    import io
    import tokenize

    kept = []
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        is_docstring = token.type == tokenize.STRING and previous in (tokenize.NEWLINE, tokenize.INDENT, tokenize.NL)
        if token.type != tokenize.COMMENT and not is_docstring and "murmur demo" not in token.string:
            kept.append(token.string)
        previous = token.type
    return " ".join(kept)
