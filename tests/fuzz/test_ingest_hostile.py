"""Hostile bodies bring receipts or one named family of errors, and no marker of theirs comes back.

Seeds are hypothesis's own; a failure prints how to repeat it.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.errors import RejectedInput
from node.http.forms.body import MalformedBody, Sent, _read_each, decode_body, mend_surrogates
from node.http.forms.declared import Declared
from node.ingest import IngestFailed, Submission
from node.receipt import Receipt
from privacy.filtering import FILTER_REASONS, REJECT_CODES, Rejected
from privacy.rows import ROW_COLUMNS
from tests.unit.node.ingest_kit import ANALYTICS, COMPACT, DOTTED, FORMS, UNIVERSAL, Fixture, body, universal
from tests.unit.privacy.filter_kit import plan

DECLARED = Declared(plan())
LIMITS = {
    "u8": (0, 1 << 8),
    "u16": (0, 1 << 16),
    "u32": (0, 1 << 32),
    "u64": (0, 1 << 64),
    "i64": (-(1 << 63), 1 << 63),
}

# -- what hostile clients send -------------------------------------------------------------------------------

scalars: Any = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
    | st.sampled_from([1e308, -1e308, 5e-324, 2**63, 2**64, 10**400, "NaN", "\u202egnp.exe", "a\u200bb", "\0", "\ud800",
                       "ann@example.org", "1900-01-01T00:00:00Z", "3000-01-01T00:00:00Z", -(10**12)])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    sorted({name for form in FORMS.values() for name in form} | {"batch", "months", "__proto__", ""})
)
strays = st.dictionaries(fields, values, max_size=4)
hostile_events = st.builds(
    lambda form, stray, dropped: {name: value for name, value in {**form, **stray}.items() if name not in dropped},
    st.sampled_from([UNIVERSAL, ANALYTICS, DOTTED, COMPACT]), strays, st.sets(fields, max_size=2),
) | strays | values  # fmt: skip


def outcome_of(content: bytes, *, is_ndjson: bool = False) -> list[Sent] | None:
    """What the body holds, or None where it is refused as a whole by the family that may refuse it."""
    try:
        return decode_body(content, DECLARED, is_ndjson=is_ndjson)
    except RejectedInput as refused:
        if refused.code not in ("malformed_body", "too_many_events"):
            raise
        return None


@given(content=st.binary(max_size=200), is_ndjson=st.booleans())
@example(content=b'{"batch":', is_ndjson=False)
@example(content=b"\n\n", is_ndjson=True)
@example(content=b"[" * 5000, is_ndjson=True)
@example(content=b'"\\ud800', is_ndjson=False)
def test_any_bytes_are_read_or_refused_by_name(content: bytes, is_ndjson: bool) -> None:
    outcome_of(content, is_ndjson=is_ndjson)


@given(content=st.binary(max_size=40), at=st.integers(0, 2000), is_ndjson=st.booleans())
def test_a_body_with_a_wound_is_read_or_refused_by_name(content: bytes, at: int, is_ndjson: bool) -> None:
    """Any bytes written over any place of a good body."""
    whole = (
        body(UNIVERSAL, COMPACT) if not is_ndjson else b"\n".join(json.dumps(one).encode() for one in FORMS.values())
    )
    outcome_of(whole[:at] + content + whole[at + len(content) :], is_ndjson=is_ndjson)


@given(events=st.lists(hostile_events, min_size=1, max_size=4))
def test_both_roads_read_the_same(events: list[Any]) -> None:
    """The quick road for bodies of one form equals reading event by event; neighbours never matter."""
    whole = outcome_of(json.dumps(events).encode())
    if whole is None:
        return  # nested without end
    alone = [_read_each([json.dumps(event).encode("ascii")], DECLARED)[0] for event in mended(events)]
    assert list(map(shown, whole)) == list(map(shown, alone))


def mended(events: list[Any]) -> list[Any]:
    """The events with lone surrogates replaced, as the body's reader does before anything else."""
    found: list[Any] = json.loads(mend_surrogates(json.dumps(events).encode()))
    return found


def shown(sent: Sent) -> str:
    """All parts as text: NaN equals NaN."""
    if isinstance(sent, Rejected):
        return repr(sent)
    form, event = sent
    return repr([form.name, *(getattr(event, name) for name in event.__struct_fields__)])


@settings(deadline=None, max_examples=50)
@given(bodies=st.lists(st.lists(hostile_events, min_size=1, max_size=5), min_size=1, max_size=5), key=st.booleans())
def test_hostile_events_bring_only_receipts(bodies: list[list[Any]], key: bool) -> None:
    """Through queue, thread and filter: each event is in its receipt once, each stored row fits its columns."""

    async def play() -> None:
        async with Fixture() as node:
            for events in bodies:
                try:
                    receipt = await node.send(json.dumps(events).encode(), idempotency_key="k" if key else None)
                except MalformedBody:
                    continue
                check_receipt(receipt, len(events))
            check_rows(node)

    asyncio.run(play())


def check_receipt(receipt: Receipt, events: int) -> None:
    assert receipt.accepted + sum(receipt.filtered.values()) + len(receipt.rejected) == events
    assert receipt.filtered.keys() <= set(FILTER_REASONS)
    assert {why.code for _, why in receipt.rejected} <= set(REJECT_CODES)
    json.dumps(receipt.as_json())


def check_rows(node: Fixture) -> None:
    assert node.fatal == []
    for row in node.vault.rows:
        for column, value in zip(ROW_COLUMNS, row, strict=True):
            low, high = LIMITS[column.type]
            assert (value is None and column.nullable) or (type(value) is int and low <= value < high)


# -- the named cases -----------------------------------------------------------------------------------------

MARKER = "marker.7f3a@example.org"
NASTY: dict[str, bytes] = {
    "NaN": b'[{"app":"runway","action":"calculate","attributes":{"months":NaN}}]',
    "1e308": body(universal(attributes={"months": 1e308, "amount": -1e308})),
    "2**63": body(universal(attributes={"amount": 2**63}, sequence=2**63, timestamp=2**63)),
    "deep attributes": b'[{"app":"runway","action":"pay","attributes":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}]",
    "deep beyond reading": b"[" * 500_000,
    "a mebibyte of text": body(universal(session_id="x" * (1 << 20))),
    "ten mebibytes of text": body(universal(attributes={"industry": "x" * (10 << 20)})),
    "invalid UTF-8": body(universal(session_id="MARK")).replace(b"MARK", b"\xc3\x28\xff"),
    "duplicate keys": b'[{"app":"runway","app":"waves","app":5,"action":"join","action":"calculate"}]',
    "year 1900": body(universal(timestamp="1900-01-01T00:00:00Z")),
    "year 3000": body(universal(timestamp="3000-01-01T00:00:00Z")),
    "zero width and right to left": body(universal(session_id="a\u200b\u202eb", attributes={"industry": "\u202eabc"})),
    "half a character": body(universal(session_id="\ud83d", attributes={"industry": "\udfff"})),
    "NUL": body(universal(session_id="\0", event_id="\0")),
    "many empty events": b"[" + b"{}," * 499 + b"{}]",
    "a mebibyte of commas": b"[" + b"0," * 500_000 + b"0]",
    "a mebibyte of backslashes": b'["\\ud800' + b"\\\\" * 500_000 + b'"]',
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
async def test_a_nasty_body_leaves_its_neighbours_alone(name: str) -> None:
    """One nasty request between two good ones."""
    async with Fixture() as node:
        outcomes = await asyncio.gather(
            node.send(body(universal(1))),
            node.send(NASTY[name]),
            node.send(body(universal(2))),
            return_exceptions=True,
        )
        check_rows(node)
    assert [getattr(outcomes[n], "accepted", outcomes[n]) for n in (0, 2)] == [1, 1]
    assert isinstance(outcomes[1], Receipt | RejectedInput)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_no_content_comes_back(form: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A marker in each field in turn, and in undeclared names, is in no receipt, error or log line."""
    answers = []
    async with Fixture() as node:
        for field in [*form, MARKER]:
            for value in (MARKER, [MARKER], {MARKER: MARKER}, {"industry": MARKER, MARKER: 1}):
                try:
                    receipt = await node.send(body({**form, field: value}))
                    answers.append(json.dumps(receipt.as_json()))
                except (RejectedInput, IngestFailed) as refused:
                    answers.append(str(refused))
        assert MARKER not in repr(node.vault.rows)
    assert not any("marker" in answer for answer in answers)
    assert "marker" not in caplog.text
    assert "marker" not in repr(Submission(MARKER.encode()))


@pytest.mark.slow
async def test_a_hundred_thousand_hostile_events_bring_only_receipts() -> None:
    """Random nastiness at speed, one seed a run (printed)."""
    seed = random.SystemRandom().getrandbits(64)
    print(f"seed {seed}")
    chance = random.Random(seed)
    nasty = [
        None,
        True,
        -1,
        2**63,
        1e308,
        10**400,
        "",
        "\0",
        "\u202e",
        "\ud800",
        MARKER,
        [],
        {},
        [[[]]],
        {"a": [1]},
        "x" * 5000,
    ]
    async with Fixture() as node:
        for _ in range(1000):
            events = []
            for _ in range(100):
                form = dict(chance.choice(list(FORMS.values())))
                for _ in range(chance.randrange(4)):
                    form[chance.choice([*form, "batch", "x"])] = chance.choice(nasty)
                events.append(form)
            check_receipt(await node.send(json.dumps(events).encode()), len(events))
        check_rows(node)
