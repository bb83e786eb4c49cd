"""The operator's words on plans and traffic: lines of mistakes, what a change collects, drafts, what lately came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import _murmur
from node.receipt import Receipt
from node.recent import MAX_REQUESTS, Recent
from privacy.filtering import Rejected
from privacy.plan_changes import alters_stored_form, changes_between
from privacy.tracking_plan import parse_plan
from tests.unit.privacy.filter_kit import plan, plan_tree

PLAN = """plan: shop
purposes: [analytics]
apps:
  shop.example:
    person: session
    consent: analytics
    actions:
      buy:
        kind: {type: category, values: [book]}
        price: {type: band, edges: ["5", "%s"]}
"""


def run(*words: str, stdin: str | bytes | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(_murmur, words, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 1, done.stdout, f"{done.exception}"
    return done.exit_code, done.stdout, done.stderr


def test_a_mistake_in_a_plan_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN % "4")
    code, _, said = run("plan", "check", str(path))
    assert code != 0
    assert "line 10" in said
    assert "rising" in said
    path.write_text(PLAN % "9")
    assert run("plan", "check", str(path))[0] == 0


def bent(**changes: object) -> list[tuple[str, str]]:
    tree = plan_tree()
    runway = tree["apps"]["runway"]
    for name, value in changes.items():
        {"actions": runway["actions"], "calculate": runway["actions"]["calculate"]}.get(name, runway).update(value)  # type: ignore[attr-defined]
    return [(change.kind, change.where) for change in changes_between(plan(), parse_plan(tree))]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"calculate": {"team": {"type": "flag"}}}, [("collects more", "runway.calculate.team")]),
        (
            {"calculate": {"remote": {"type": "category", "values": ["x"]}}},
            [("stores otherwise", "runway.calculate.remote")],
        ),
        ({"actions": {"leave": {}}}, [("collects more", "runway.leave")]),
        ({"app": {"person": "user"}}, [("stores otherwise", "runway")]),
        ({"app": {"consent": "none"}}, [("collects more", "runway")]),
        ({"app": {"sampling": "1/2"}}, [("stores otherwise", "runway")]),
    ],
)  # fmt: skip
def test_a_change_is_said_in_words(changes: dict[str, object], found: list[tuple[str, str]]) -> None:
    assert bent(**changes) == found


def test_what_moves_codes_waits_for_an_epoch() -> None:
    tree = plan_tree()
    tree["apps"] = dict(reversed(tree["apps"].items()))
    assert alters_stored_form(changes_between(plan(), parse_plan(tree)))
    del tree["apps"]["visits"]
    assert ("collects less", "visits") in [(c.kind, c.where) for c in changes_between(plan(), parse_plan(tree))]


def test_a_draft_never_guesses_the_person_and_leaves_personal_data_out() -> None:
    events = [
        {"app": "shop", "action": "buy", "attributes": {"kind": kind, "price": 3 + 7 * number, "gift": number % 2 == 0,
         "email": "a@b.example", "note": "call +49 170 1234567", "Bad Name": 1}}
        for number, kind in enumerate(["book", "tool", "book"])
    ]  # fmt: skip
    lines = "\n".join(map(json.dumps, events)) + "\nno json\n"
    code, _, said = run("plan", "infer", "-", stdin=lines)
    assert code != 0
    assert "never guessed" in said
    code, drafted, said = run("plan", "infer", "-", "--person", "session", "--purpose", "analytics", stdin=lines)
    assert code == 0, said
    from node.yaml import load_strings

    made = parse_plan(load_strings(drafted, "draft"))
    assert [a.name for a in made.apps[0].actions[0].attributes] == ["kind", "price", "gift"]
    assert "1234567" not in drafted + said
    assert "b.example" not in drafted + said
    assert "buy.email was left out" in said
    assert "1 lines were no event" in said


def test_send_shows_exactly_what_would_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN % "9")
    event = {"app": "shop.example", "action": "buy", "attributes": {"kind": "book", "price": 7, "mail": "a@b.example"},
             "timestamp": "2026-11-05T10:11:12Z", "session_id": "s-17", "consent": ["analytics"]}  # fmt: skip
    code, said, _ = run("send", "-", "--plan", str(path), stdin=json.dumps([event, {**event, "consent": []}, {}]))
    assert code == 0
    first, second, third = map(json.loads, said.splitlines())
    assert (first["stored"]["a0"], first["stored"]["a1"]) == (0, 1)
    assert "s-17" not in said
    assert "b.example" not in said
    assert second["filtered"] == "no_consent"
    assert third["rejected"]["code"] == "unknown_form"


def test_recent_holds_reasons_and_shapes_of_a_fixed_number() -> None:
    recent = Recent()
    why = Rejected("attribute_required", "/p/amount", "…")
    for number in range(MAX_REQUESTS + 5):
        recent.add(1000 * number, "k", Receipt(1, {"gpc": 2}, ((0, why), (3, why))))
    recent.add(7000, "k", "malformed_body")
    found = recent.after(MAX_REQUESTS + 4)
    assert [one["number"] for one in found] == [MAX_REQUESTS + 5, MAX_REQUESTS + 6]
    assert found[0]["rejected"] == [{"code": "attribute_required", "pointer": "/p/amount", "events": 2}]
    assert found[1]["error"] == "malformed_body"
    assert len(recent.after(0)) == MAX_REQUESTS
