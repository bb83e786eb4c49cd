"""The four forms, how they are told apart, and that a bad event costs only itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isnan
from typing import Any

import pytest

from node.http.forms import body as body_module
from node.http.forms.body import MAX_EVENTS, MalformedBody, Sent, TooManyEvents, decode_body
from node.http.forms.declared import Declared
from node.http.forms.detection import AMBIGUOUS_FORM, UNKNOWN_FORM
from node.http.forms.timestamps import seconds_of
from privacy.filtering import Event, Rejected
from tests.unit.node.ingest_kit import ANALYTICS, ATTRIBUTES, COMPACT, DOTTED, FORMS, TIME, UNIVERSAL, body
from tests.unit.privacy.filter_kit import HOUR, plan

DECLARED = Declared(plan())


def decoded(content: bytes, **options: Any) -> list[Sent]:
    return decode_body(content, DECLARED, **options)


def only(content: bytes | dict[str, Any]) -> Event:
    sent = decoded(content if isinstance(content, bytes) else json.dumps(content).encode())
    assert len(sent) == 1
    assert isinstance(sent[0], tuple), sent
    return sent[0][1]


def rejection(content: dict[str, Any] | bytes) -> Rejected:
    sent = decoded(content if isinstance(content, bytes) else json.dumps(content).encode())
    assert len(sent) == 1
    assert isinstance(sent[0], Rejected)
    return sent[0]


def parts(event: Event) -> tuple[object, ...]:
    return tuple(getattr(event, name) for name in Event.__struct_fields__)


# -- the forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_each_form_says_the_same_event(name: str) -> None:
    """One event in four forms is one event."""
    assert parts(only(FORMS[name])) == (
        "runway", "calculate", ATTRIBUTES, HOUR * 3600, "u-1", "s-1", "e-1", "DE", frozenset({"analytics"}), 4, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "least", [{"app": "runway", "action": "calculate"}, {"event_category": "runway", "event_name": "calculate"},
              {"type": "runway.calculate", "data": {}}, {"a": "runway", "n": "calculate"}],
)  # fmt: skip
def test_the_required_fields_are_enough_to_tell_a_form(least: dict[str, Any]) -> None:
    event = only(least)
    assert (event.app, event.action, event.attributes, event.purposes) == ("runway", "calculate", {}, None)
    assert isnan(event.timestamp_s)


def test_a_dotted_type_is_cut_at_its_first_dot() -> None:
    assert only({"type": "a.b.c", "data": {}}).action == "b.c"
    assert only({"type": "a", "data": {}}).action == ""


def test_ids_may_be_numbers() -> None:
    event = only({**COMPACT, "u": 17, "s": 18, "i": 19})
    assert (event.user, event.session, event.event_id) == ("17", "18", "19")


def test_empty_consent_is_not_no_answer() -> None:
    assert only({**UNIVERSAL, "consent": []}).purposes == frozenset()
    assert only({**UNIVERSAL, "consent": None}).purposes is None


@pytest.mark.parametrize("form", [{**UNIVERSAL, "context": 5, "t": [1], "type": 7}, {**COMPACT, "type": [], "app": 1}])
def test_fields_of_other_forms_do_not_matter(form: dict[str, Any]) -> None:
    """A stray field that some other form types differently costs nothing."""
    assert only(form).app == "runway"


@pytest.mark.parametrize("form", [{}, {"app": "runway"}, {"action": "x", "type": "x"}, {"event": "x"}])
def test_an_event_of_no_form_is_rejected(form: dict[str, Any]) -> None:
    assert rejection(form) == UNKNOWN_FORM


@pytest.mark.parametrize("pair", [(UNIVERSAL, COMPACT), (UNIVERSAL, ANALYTICS), (DOTTED, COMPACT), (ANALYTICS, DOTTED)])
def test_an_event_of_two_forms_is_rejected(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert rejection({**pair[0], **pair[1]}) == AMBIGUOUS_FORM


@pytest.mark.parametrize(
    ("form", "pointer"),
    [({**UNIVERSAL, "app": 5}, "/app"), ({**UNIVERSAL, "app": None}, "/app"),
     ({**UNIVERSAL, "geo_hint": 5}, "/geo_hint"),
     ({**UNIVERSAL, "consent": "analytics"}, "/consent"), ({**UNIVERSAL, "consent": [1]}, "/consent/0"),
     ({**UNIVERSAL, "sequence": 1.5}, "/sequence"), ({**UNIVERSAL, "timestamp": True}, "/timestamp"),
     ({**ANALYTICS, "context": "DE"}, "/context"), ({**ANALYTICS, "context": {"country": 1}}, "/context/country"),
     ({**COMPACT, "u": []}, "/u"), ({**UNIVERSAL, "attributes": []}, "/attributes"),
     ({**ANALYTICS, "properties": 5}, "/properties"), ({**DOTTED, "data": "x"}, "/data"),
     ({**COMPACT, "p": [1]}, "/p")],
)  # fmt: skip
def test_a_mistyped_field_is_named_as_the_form_spells_it(form: dict[str, Any], pointer: str) -> None:
    found = rejection(form)
    assert (found.code, found.pointer) == ("malformed", pointer)


# -- attributes ----------------------------------------------------------------------------------------------


def test_only_declared_attributes_are_decoded() -> None:
    sent = {"email": "a@b.example", "deep": [[{}]], "remote": False, "industry": "health"}
    assert only({**UNIVERSAL, "attributes": sent}).attributes == {"remote": False, "industry": "health"}
    assert only({**UNIVERSAL, "action": "unknown", "attributes": sent}).attributes == {}
    assert only({**UNIVERSAL, "attributes": None}).attributes == {}


@pytest.mark.parametrize("value", ["[1]", "{}", "1e999", "9" * 5000, '{"a":' * 40 + "1" + "}" * 40])
def test_a_declared_value_that_is_no_scalar_costs_only_itself(value: str) -> None:
    content = f'{{"app":"runway","action":"calculate","attributes":{{"months":{value},"remote":true}}}}'
    assert only(content.encode()).attributes == {"months": None, "remote": True}


# -- bodies --------------------------------------------------------------------------------------------------

WRAPPINGS: dict[str, tuple[Callable[[list[Any]], bytes], bool]] = {
    "list": (lambda events: json.dumps(events).encode(), False),
    "batch": (lambda events: json.dumps({"sentAt": TIME, "batch": events}).encode(), False),
    "ndjson": (lambda events: b"\r\n\n".join(json.dumps(event).encode() for event in events) + b"\n", True),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("mixed", [False, True], ids=["alike", "mixed"])
def test_every_wrapping_holds_the_same_events(wrapping: str, mixed: bool) -> None:
    write, is_ndjson = WRAPPINGS[wrapping]
    events = list(FORMS.values()) if mixed else [COMPACT] * 4
    sent = decoded(write(events), is_ndjson=is_ndjson)
    assert [parts(one[1]) for one in sent if isinstance(one, tuple)] == [parts(only(UNIVERSAL))] * 4


BAD: dict[str, Any] = {
    "null": None, "number": 5, "list": [UNIVERSAL], "no form": {"x": 1}, "two forms": {**UNIVERSAL, **COMPACT},
    "mistyped": {**UNIVERSAL, "app": 1}, "bad attributes": {**UNIVERSAL, "attributes": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_bad_event_never_costs_its_neighbours(wrapping: str, name: str) -> None:
    write, is_ndjson = WRAPPINGS[wrapping]
    sent = decoded(write([UNIVERSAL, BAD[name], UNIVERSAL]), is_ndjson=is_ndjson)
    assert [isinstance(one, Rejected) for one in sent] == [False, True, False]


def test_a_broken_line_never_costs_its_neighbours() -> None:
    line = json.dumps(UNIVERSAL).encode()
    sent = decoded(b"\n".join([line, b'{"app":', line, b"\xff\xfe", line]), is_ndjson=True)
    assert [isinstance(one, Rejected) for one in sent] == [False, True, False, True, False]


@pytest.mark.parametrize("content", [b'{"a":"x",\n"n":"y"}', b'{"a":"x","n":"y"} {"a":"x","n":"y"}'])
def test_a_line_is_one_event(content: bytes) -> None:
    """Neither half an event nor two: positions in the receipt are lines."""
    assert all(isinstance(one, Rejected) for one in decoded(content, is_ndjson=True))


def test_broken_text_costs_only_its_event() -> None:
    """Bytes that are no UTF-8 in one event of a list."""
    whole = body(UNIVERSAL, {**UNIVERSAL, "session_id": "MARK"}, UNIVERSAL).replace(b"MARK", b"\xff\xfe")
    assert [isinstance(one, Rejected) for one in decoded(whole)] == [False, True, False]


@pytest.mark.parametrize(
    "content",
    [b"", b" ", b"[", b"[]", b'{"batch": []}', b'{"batch": {}}', b'{"batch": 5}', b"5", b"null", b'"text"',
     b"\xff", b"\0", b"[1,]", b"{'app': 1}", b"[NaN]", b'\xef\xbb\xbf[]', b"[" * 100_000,
     b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
)  # fmt: skip
def test_a_body_without_events_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedBody) as refused:
        decoded(content)
    assert refused.value.status == 400


def test_too_many_events_are_refused_whole() -> None:
    assert len(decoded(body(*[{}] * MAX_EVENTS))) == MAX_EVENTS
    with pytest.raises(TooManyEvents) as refused:
        decoded(body(*[{}] * (MAX_EVENTS + 1)))
    assert refused.value.status == 413
    with pytest.raises(TooManyEvents):
        decoded(b"{}\n" * (MAX_EVENTS + 1), is_ndjson=True)
    with pytest.raises(TooManyEvents):
        decoded(body(*[1] * (MAX_EVENTS + 1)))


def test_the_usual_body_takes_the_quick_road(monkeypatch: pytest.MonkeyPatch) -> None:
    """Well-typed events of one form are not read one by one: the speed of ingest rests on it."""

    def slow(*_: object) -> None:
        raise AssertionError("read event by event")

    monkeypatch.setattr(body_module, "_read_each", slow)
    for form in FORMS.values():
        assert len(decoded(body(*[form] * 25))) == 25
        assert len(decoded(b"\n".join([json.dumps(form).encode()] * 25), is_ndjson=True)) == 25


def test_half_a_character_costs_nothing() -> None:
    """A text cut inside an emoji reads as U+FFFD, wherever it stands; whole emojis and backslashes stay."""
    halves = {**UNIVERSAL, "session_id": "a\ud83d", "user_id": "\ude00b\\ud83d\U0001f600", "x": ["\udfff"]}
    for content in (body(halves, UNIVERSAL), json.dumps({"batch": [halves, UNIVERSAL]}).encode()):
        first, second = decoded(content)
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        assert (first[1].session, first[1].user) == ("a\ufffd", "\ufffdb\\ud83d\U0001f600")


def test_duplicate_keys_count_once() -> None:
    """The last one stands, as in every common reader; nothing is added up."""
    content = b'{"app":"other","app":"runway","action":"calculate","attributes":{"months":1,"months":2}}'
    event = only(content)
    assert (event.app, event.attributes) == ("runway", {"months": 2})


# -- timestamps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2026-10-24T05:00:00Z", "2026-10-24T05:59Z", "2026-10-24 05:59:59.999999999Z", "2026-10-24T05:59:60Z",
     "2026-10-24T07:30:00+02:00", "2026-10-24T07:30:00+0200", "2026-10-23T19:00:00-10:30", "20261024T053000Z",
     HOUR * 3600, HOUR * 3600 + 3599.9, HOUR * 3_600_000, HOUR * 3_600_000 + 3_599_999.5],
)  # fmt: skip
def test_a_moment_is_read_to_its_hour(text: str | int | float) -> None:
    for _ in range(2):  # the second time from the memory of hours
        assert seconds_of(text) // 3600 == HOUR


@pytest.mark.parametrize(
    "text",
    [None, "", "now", "2026-10-24", "2026-10-24T05:00:00", "2026-10-24T25:00:00Z", "2026-13-24T05:00:00Z",
     "2026-10-24T05:60:00Z", "2026-10-24T05:00:00ZZ", "٢٠٢٦-10-24T05:00:00Z", "\ud800", "2" * 100,
     "2026-10-24T05:00:00+99:00"],
)  # fmt: skip
def test_a_text_that_says_no_moment_is_no_number(text: str | None) -> None:
    assert isnan(seconds_of(text))


@pytest.mark.parametrize("text", ["1900-01-01T00:00:00Z", "3000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_far_years_are_read_and_left_to_the_filter(text: str) -> None:
    seconds = seconds_of(text)
    assert not 0 <= seconds < 4_102_444_800
