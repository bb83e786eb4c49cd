"""The filter, step by step: what passes, what is filtered and why, and how each value is coded."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from privacy.coding import divide_half_even, exact
from privacy.filtering import Event, Filter, Filtered, Rejected, Signals, is_idempotent
from privacy.person_key import Pseudonyms
from privacy.rows import ROW_COLUMNS
from tests.unit.privacy.filter_kit import HOUR, epoch, event, filtered, plan, plan_tree, row


def test_a_row_has_every_column() -> None:
    """The whole row of a usual event, by hand."""
    person = epoch().person(1, "session-1")
    assert row(event(sequence=3)) == {
        "person": person,
        "person_kind": 1,
        "session": person,
        "event_key": epoch().event(person, "event-1"),
        "hour": HOUR,
        "sequence": 3,
        "app": 0,
        "action": 0,
        "country": 3 * 26 + 4,
        "purposes": 1,
        "plan": 7,
        "sampling": 1_000_000,
        **{"a0": 1, "a1": 3, "a2": 1250, "a3": 1},
        **{f"a{slot}": None for slot in range(4, 16)},
    }


# -- the order of the steps ----------------------------------------------------------------------------------


STEPS: list[tuple[dict[str, Any], Signals, str]] = [
    ({}, Signals(gpc=True, dnt=True), "gpc"),
    ({}, Signals(dnt=True), "dnt"),
    ({"app": "unknown"}, Signals(), "undeclared_app"),
    ({"purposes": None}, Signals(), "no_consent"),
    ({"purposes": frozenset({"research"})}, Signals(), "no_consent"),
    ({"action": "unknown"}, Signals(), "undeclared_action"),
    ({"session": None}, Signals(), "no_person"),
    ({"session": ""}, Signals(), "no_person"),
]


@pytest.mark.parametrize(("changes", "signals", "reason"), STEPS)
def test_each_step_names_its_reason(changes: dict[str, Any], signals: Signals, reason: str) -> None:
    assert filtered(event(**changes), signals=signals) == Filtered(reason)  # type: ignore[arg-type]


def test_the_senders_will_comes_first() -> None:
    """With everything wrong at once, the reasons come off in the order of the steps."""
    wrong = event(app="unknown", action="unknown", session=None, purposes=None, timestamp_s=nan)
    assert filtered(wrong, signals=Signals(gpc=True)) == Filtered("gpc")
    assert filtered(wrong) == Filtered("undeclared_app")
    wrong = event(action="unknown", session=None, purposes=None, timestamp_s=nan)
    assert filtered(wrong) == Filtered("no_consent")


def test_no_other_kind_stands_in_for_the_person() -> None:
    """An app by session ignores the user, and the other way round."""
    assert filtered(event(session=None, user="u")) == Filtered("no_person")
    assert filtered(event(app="waves", action="join", user=None, session="s")) == Filtered("no_person")
    assert filtered(event(app="visits", action="view", user="u", session="s")) == Filtered("no_person")


def test_the_kind_of_person_is_in_the_row() -> None:
    by_user = row(event(app="waves", action="join", user="x", session="x"))
    by_session = row(event(session="x"))
    assert (by_user["person_kind"], by_session["person_kind"]) == (0, 1)
    assert by_user["person"] != by_session["person"]
    assert by_user["session"] == epoch().session("x")
    assert row(event(app="waves", action="join", user="x", session=None))["session"] is None


def test_the_epoch_is_asked_once_and_only_for_events_that_may_be_kept() -> None:
    """No key is made for an epoch that only refused events touch."""
    asked: list[int] = []

    def epoch_of(hour: int) -> Pseudonyms:
        asked.append(hour)
        return epoch()

    compiled = Filter(plan(), 1)
    compiled.apply(event(purposes=None), Signals(), epoch_of, 0)
    compiled.apply(event(), Signals(gpc=True), epoch_of, 0)
    compiled.apply(event(session=None), Signals(), epoch_of, 0)
    assert asked == []
    compiled.apply(event(), Signals(), epoch_of, 0)
    assert asked == [HOUR]


@pytest.mark.parametrize(
    "answer", [Filtered("late"), Filtered("epoch_closed"), Rejected("timestamp_out_of_range", "", "")]
)
def test_what_the_epoch_refuses_is_refused(answer: Filtered | Rejected) -> None:
    assert Filter(plan(), 1).apply(event(), Signals(), lambda hour: answer, 0) is answer


# -- time, country, sequence, purposes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [(nan, "bad_timestamp"), (inf, "timestamp_out_of_range"), (-inf, "timestamp_out_of_range"),
     (-1, "timestamp_out_of_range"), (4_102_444_800, "timestamp_out_of_range"), (10**400, "timestamp_out_of_range")],
)  # fmt: skip
def test_a_time_that_no_node_lives_in_is_rejected(timestamp: float, code: str) -> None:
    outcome = filtered(event(timestamp_s=timestamp))
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


@pytest.mark.parametrize(("timestamp", "hour"), [(0, 0), (3599.999, 0), (3600, 1), (HOUR * 3600 + 3599, HOUR)])
def test_time_is_cut_to_its_hour(timestamp: float, hour: int) -> None:
    assert row(event(timestamp_s=timestamp))["hour"] == hour


@pytest.mark.parametrize(
    ("text", "code"),
    [("DE", 82), ("de", 82), ("AA", 0), ("ZZ", 675), (None, 675), ("", 675), ("D", 675), ("DEU", 675), ("T1", 675),
     ("ßß", 675), ("ı1", 675), ("ıı", 675), ("ＤＥ", 675)],
)  # fmt: skip
def test_a_country_is_two_letters_or_unknown(text: str | None, code: int) -> None:
    assert row(event(country=text))["country"] == code


@pytest.mark.parametrize(("sent", "kept"), [(None, 4), (0, 0), (2**32 - 1, 2**32 - 1), (2**32, 4), (-1, 4), (True, 4)])
def test_the_sequence_is_the_senders_or_the_position(sent: Any, kept: int) -> None:
    assert row(event(sequence=sent), position=4)["sequence"] == kept


def test_purposes_are_bits_in_plan_order() -> None:
    assert row(event(purposes=frozenset({"research", "analytics", "unknown"})))["purposes"] == 0b11


# -- event keys ----------------------------------------------------------------------------------------------


def test_an_event_key_comes_from_the_id_then_the_place_then_chance() -> None:
    by_id = [row(event(), position=n, key=key)["event_key"] for n, key in ((0, None), (5, "k"))]
    assert by_id[0] == by_id[1]
    by_place = [row(event(event_id=None), position=n, key="k")["event_key"] for n in (0, 1, 0)]
    assert by_place[0] == by_place[2] != by_place[1]
    by_chance = [row(event(event_id=None))["event_key"] for _ in range(2)]
    assert by_chance[0] != by_chance[1]


@pytest.mark.parametrize(
    ("event_id", "key", "known"), [("e", None, True), (None, "k", True), (None, None, False), ("", None, False)]
)
def test_what_is_known_when_sent_again(event_id: str | None, key: str | None, known: bool) -> None:
    assert is_idempotent(event(event_id=event_id), key) is known


# -- sampling ------------------------------------------------------------------------------------------------


def test_sampling_keeps_or_drops_whole_persons() -> None:
    """At 1/4, each person's events share one fate, some persons stay, and the rate is in the row."""
    fates = {}
    for person in range(200):
        outcomes = {
            isinstance(filtered(event(app="visits", action="view", address=str(person), event_id=str(n))), tuple)
            for n in range(3)
        }
        assert len(outcomes) == 1
        fates[person] = outcomes.pop()
    assert 20 < sum(fates.values()) < 80
    kept = next(str(person) for person, fate in fates.items() if fate)
    assert row(event(app="visits", action="view", address=kept))["sampling"] == 250_000
    dropped = next(str(person) for person, fate in fates.items() if not fate)
    assert filtered(event(app="visits", action="view", address=dropped)) == Filtered("sampled_out")


# -- attributes ----------------------------------------------------------------------------------------------


def coded(name: str, value: object) -> int | None:
    slot = {"industry": "a0", "months": "a1", "amount": "a2", "remote": "a3"}[name]
    return row(event(attributes={name: value}))[slot]


UNUSABLE: list[object] = [
    None,
    nan,
    inf,
    -inf,
    10**12,
    -(10**12),
    1e308,
    10**5000,
    [],
    {},
    [1],
    {"a": 1},
    "",
    b"x",
    object(),
]


@pytest.mark.parametrize("name", ["industry", "months", "amount", "remote"])
@pytest.mark.parametrize("value", UNUSABLE, ids=lambda value: type(value).__name__)
def test_an_unusable_value_is_absent(name: str, value: object) -> None:
    assert coded(name, value) is None


@pytest.mark.parametrize("name", ["industry", "months", "amount"])
@pytest.mark.parametrize("value", [True, False])
def test_a_bool_is_no_number_and_no_category(name: str, value: bool) -> None:
    assert coded(name, value) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [("software", 0), ("health", 1), ("Health", 2), ("fishing", 2), (3, 2), ("fishing " * 3, 2), (1.5, None),
     ("ann@example.org", None), ("10.1.2.3", None), (123456789, None), ("x" * 200, None), ("hea\u200blth", None)],
)  # fmt: skip
def test_a_category_is_listed_other_or_absent(value: object, code: int | None) -> None:
    assert coded("industry", value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [(-1, 0), ("-0.01", 0), (0, 1), (-0.0, 1), (0.4999, 1), (0.5, 2), ("0.5", 2), (2.999999, 2), (3, 3), (11.99, 3),
     (12, 4), (12.0, 4), (999_999_999_999, 4), (5e-324, 1), (-5e-324, 0), ("1e3", None), ("٣", None), ("0x1", None),
     ("007", None), (" 1", None), ("+1", None), ("1.", None), ("+49 151 23456789", None)],
)  # fmt: skip
def test_a_band_is_the_number_of_edges_reached(value: object, code: int | None) -> None:
    assert coded("months", value) == code


@pytest.mark.parametrize(
    ("value", "quanta"),
    [(0, 0), (1, 100), (12.5, 1250), ("12.50", 1250), (0.1, 10), (0.07, 7), (1.005, 100), (1.015, 102), (0.125, 12),
     (0.135, 14), ("0.115", 12), ("0.005", 0), ("-0.005", 0), ("-0.015", -2), (-0.014999999, -1), (499.996, 50_000),
     (501, 50_000), (10**11, 50_000), (-5.004, -500), (-6, -500), ("-999999999999.99", -500), (1e-300, 0)],
)  # fmt: skip
def test_a_number_is_clamped_and_rounded_half_even_as_decimal(value: object, quanta: int) -> None:
    """1.015 is a tie as written, though not as a binary float; ties go to the even quantum."""
    assert coded("amount", value) == quanta


@pytest.mark.parametrize(
    ("value", "code"),
    [(True, 1), (False, 0), (1, 1), (0, 0), (2, None), (-1, None), ("true", 1), ("no", 0), ("maybe", None),
     (1.0, None)],
)  # fmt: skip
def test_a_flag_is_yes_or_no(value: object, code: int | None) -> None:
    assert coded("remote", value) == code


def test_undeclared_attributes_are_never_looked_at() -> None:
    """Not even their values' methods: an object that explodes when touched passes unseen."""

    class Trap:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    attributes = {"remote": True, "secret": Trap(), "email": Trap()}
    assert row(event(attributes=attributes)) == row(event(attributes={"remote": True}))


@pytest.mark.parametrize("attributes", [{}, {"amount": None}, {"amount": nan}, {"amount": "ann@example.org"}])
def test_a_required_attribute_must_be_usable(attributes: dict[str, object]) -> None:
    outcome = filtered(event(action="pay", attributes=attributes))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.pointer) == ("attribute_required", "/attributes/amount")


def test_no_outcome_holds_content() -> None:
    """Neither the event's repr nor a refusal says what was in the event."""
    secret = event(app="marker-app", session="marker-session", event_id="marker-id", attributes={"marker": "marker"})
    assert "marker" not in repr(secret)
    assert "marker" not in repr(filtered(secret))
    refused = filtered(event(action="pay", attributes={"amount": "marker"}, session="marker-session"))
    assert "marker" not in repr(refused)


def test_the_row_fits_its_columns() -> None:
    limits = {"u8": 1 << 8, "u16": 1 << 16, "u32": 1 << 32, "u64": 1 << 64}
    found = row(event())
    for column in ROW_COLUMNS:
        value = found[column.name]
        assert (value is None and column.nullable) or (
            value is not None and (column.type == "i64" or 0 <= value < limits[column.type])
        )


def test_an_event_is_cheap_and_frozen() -> None:
    with pytest.raises(AttributeError):
        Event("a", "b", {}, 0).app = "c"  # type: ignore[misc]


# -- exact arithmetic ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numerator", "denominator", "whole"),
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (-7, 3, -2), (8, 3, 3), (6, 3, 2)],
)
def test_division_rounds_half_even(numerator: int, denominator: int, whole: int) -> None:
    assert divide_half_even(numerator, denominator) == whole


def test_a_float_means_its_shortest_decimal() -> None:
    found = exact(0.1)
    assert found is not None
    assert found[0] * 10 == found[1]


def test_more_edges_than_values_do_not_matter() -> None:
    """A band of thirds: edges that are no decimals still compare exactly."""
    tree = plan_tree()
    tree["apps"]["runway"]["actions"]["calculate"]["months"]["edges"] = ["1/3", "2/3"]
    codes = [
        row(event(attributes={"months": text}), tree=tree)["a1"] for text in ("0.333333333333333333", "0.34", "0.67")
    ]
    assert codes == [0, 1, 2]
