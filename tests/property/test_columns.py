"""The quick way through a group equals the careful one: same rows, same receipts, whatever the bodies hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from node.group import Group, IntakePlan, Submission
from node.http.forms import quick
from node.receipt import Receipt
from node.vault.calendar import EpochAccess, Refusal
from privacy.filtering import Signals
from privacy.person_key import Pseudonyms
from privacy.units import Window
from privacy.withdrawal import Withdrawn
from tests.unit.privacy.filter_kit import EPOCH_KEY, HOUR, plan

PLAN = IntakePlan(plan(), 7)

numbers = (
    st.integers(-(1 << 70), 1 << 70) | st.integers(-3, 30) | st.floats() | st.floats(-2, 600).map(lambda v: round(v, 2))
)
words = st.sampled_from(
    ["software", "health", "yes", "0.5", "", "a-page", "ÿ" * 10, "ÿ" * 11, " x", "a@b.ch", "\ud800"]
)
plain = st.none() | st.booleans() | numbers | st.text(max_size=5) | words
values = plain | st.lists(plain, max_size=2) | st.dictionaries(st.text(max_size=3), plain, max_size=2)
attributes = st.dictionaries(
    st.sampled_from(["industry", "months", "amount", "remote", "email", "topic", "slug", "draft", "tag"])
    | st.text(max_size=3),
    values,
    max_size=6,
)
ids = st.none() | st.sampled_from(["", "a", "b", "c-1", 7, 7.5, "7"])
moments = (
    st.sampled_from([HOUR * 3600, HOUR * 3600 * 1000, (HOUR - 30) * 3600, 0, 1e300, None, True])
    | st.sampled_from(
        ["2026-10-24T05:59:59Z", "2026-10-24T05:10:00.25Z", "2026-10-24T07:59:60+02:00", "2026-10-24T05:0"]
    )
    | st.sampled_from(
        ["2026-10-24T05:59:59Z\n:00Z", "2026-10-24T99:00:00Z", "20261024T050000Z", "", "2026-10-23T05:00Z"]
    )
)
consents = st.sampled_from([None, [], ["analytics"], ["research", "analytics"], ["analytics", "analytics"], ["x"], [1]])
usual = st.fixed_dictionaries(
    {
        "app": st.sampled_from(["runway", "runway", "waves", "visits", "blog", "blog", "other"]),
        "action": st.sampled_from(["calculate", "calculate", "pay", "join", "view", "open", "open", "other"]),
        "attributes": attributes,
        "timestamp": moments,
        "session_id": ids,
        "user_id": ids,
        "event_id": ids,
        "consent": consents,
    },
    optional={"geo_hint": st.sampled_from(["DE", "de", "ı1", "", None, 3]),
              "sequence": st.sampled_from([0, 5, -1, None, 1 << 40]),
              "a": plain, "batch": plain, "data": plain},
)  # fmt: skip
good = usual.map(
    lambda event: {
        **event, "app": "runway", "action": "calculate", "timestamp": HOUR * 3600, "consent": ["analytics"],
        "session_id": "s", "user_id": "u", "attributes": {"industry": "health", "months": 4},
    }
)  # fmt: skip
compact = usual.map(
    lambda e: {"a": e["app"], "n": e["action"], "p": e["attributes"], "t": e["timestamp"], "s": e["session_id"],
               "u": e["user_id"], "i": e["event_id"], "c": e["consent"]}
)  # fmt: skip
dotted = usual.map(
    lambda e: {"type": f"{e['app']}.{e['action']}", "data": e["attributes"], "timestamp": e["timestamp"],
               "session": e["session_id"], "user": e["user_id"], "id": e["event_id"], "consent": e["consent"]}
)  # fmt: skip
analytics = usual.map(
    lambda e: {"event_name": e["action"], "event_category": e["app"], "properties": e["attributes"],
               "timestamp": e["timestamp"], "session_id": e["session_id"], "user_id": e["user_id"],
               "event_id": e["event_id"], "privacy": {"consent": e["consent"]}, "context": {"country": "FR"}}
)  # fmt: skip
events = good | usual | compact | dotted | analytics | plain
lists = st.lists(good, min_size=1, max_size=6) | st.lists(good | usual, max_size=6) | st.lists(events, max_size=4)
bodies = lists | events | lists.map(lambda found: {"batch": found, "sent_at": 3})
submissions = st.builds(
    lambda found, ndjson, **rest: Submission(
        "\n".join(map(json.dumps, found)).encode()
        if ndjson and isinstance(found, list)
        else json.dumps(found).encode(),
        is_ndjson=ndjson,
        **rest,
    ),
    bodies,
    st.booleans(),
    signals=st.sampled_from([Signals(), Signals(), Signals(gpc=True), Signals(dnt=True)]),
    idempotency_key=st.none() | st.just("k"),
    is_backfill=st.booleans(),
    address=st.none() | st.just("198.51.100.7 Browser/1"),
)


class TwoDays:
    """Takes HOUR; from backfill keys the day before, too, which is another epoch."""

    gate = nullcontext()

    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess | Refusal:
        if hour != HOUR and not (backfill and HOUR - 48 < hour < HOUR):
            return Refusal("late" if hour < HOUR else "timestamp_out_of_range")
        day = Window.containing("day", hour)
        key = EPOCH_KEY[:-4] + day.start_hour.to_bytes(4, "big")
        return EpochAccess(day, key, self.withdrawn(key))

    def withdrawn(self, key: bytes) -> Withdrawn:
        return {}

    def append(self, *_: object) -> None:
        raise AssertionError("a group does not write")


class SomeWithdrew(TwoDays):
    """Persons and sessions of the ids above withdrew one thing or another."""

    def withdrawn(self, key: bytes) -> Withdrawn:
        names = Pseudonyms(key, lambda size: b"")
        return {
            names.person(0, "a"): frozenset({"analytics"}), names.person(1, "b"): frozenset({"*"}),
            names.person(1, "7"): frozenset({"research"}), names.session("a"): frozenset({"research"}),
            names.person(0, "u"): frozenset({"research"}), names.person(2, "198.51.100.7 Browser/1"): frozenset({"*"}),
        }  # fmt: skip


def outcome(
    submissions: Sequence[Submission], vault: TwoDays | None = None
) -> tuple[list[object], dict[Window, list[Any]]]:
    """Receipts or refusals in order, and the sorted rows of each epoch; event keys of nothing are left out."""
    group = Group(vault or TwoDays(), PLAN, HOUR, lambda size: b"\xff" * size)
    answers: list[object] = []
    for submission in submissions:
        try:
            group.take(submission)
        except Exception as error:
            answers.append((type(error), str(error)))
        else:
            answers.append(None)
    receipts = iter(group.finish())
    found = [next(receipts) if answer is None else answer for answer in answers]
    assert all(isinstance(one, Receipt | tuple) for one in found), found
    rows = {epoch: sorted(map(repr, rows)) for epoch, rows in group.rows_by_epoch.items()}
    return found, rows


@given(st.lists(submissions, max_size=4))
def test_the_quick_way_equals_the_careful_one(given: list[Submission]) -> None:
    """Same receipts and refusals, same rows in the same epochs."""
    quickly = outcome(given)
    with patch.object(quick, "read", lambda *_args, **_options: None):
        assert quickly == outcome(given)


@given(st.lists(submissions, max_size=4))
def test_the_quick_way_equals_the_careful_one_where_some_withdrew(given: list[Submission]) -> None:
    """And what may be told in public is what would be told if nobody had."""
    quickly = outcome(given, SomeWithdrew())
    with patch.object(quick, "read", lambda *_args, **_options: None):
        assert quickly == outcome(given, SomeWithdrew())
    public = [one.as_public() if isinstance(one, Receipt) else one for one in quickly[0]]
    assert [shown(one) for one in public] == [shown(one) for one in outcome(given)[0]]


def shown(one: object) -> object:
    return one.as_json() if isinstance(one, Receipt) else one


def test_usual_bodies_go_the_quick_way() -> None:
    """Else the test above would compare the careful way with itself."""
    event = {"app": "runway", "action": "calculate", "timestamp": HOUR * 3600, "session_id": "s", "user_id": "u",
             "event_id": "e", "consent": ["analytics"],
             "attributes": {"industry": "health", "months": 4, "email": "x@y.zz"}}  # fmt: skip
    with patch("privacy.filtering.Filter.apply", side_effect=AssertionError("asked the filter")):
        receipts, rows = outcome([Submission(json.dumps([event, event]).encode())])
    assert receipts == [Receipt(2)]
    assert sum(map(len, rows.values())) == 2
