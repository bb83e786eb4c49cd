"""The operator's words on plans and traffic: lines of mistakes, what a change collects, drafts, what lately came."""

from __future__ import annotations

import json
import time
from importlib.resources import files
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
    tree["apps"] = dict(reversed(tree["apps"].items()))
    del tree["apps"]["visits"]
    assert not alters_stored_form(changes_between(plan(), parse_plan(tree)))  # gone at the end: nothing moves
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
    assert "1 line held no event" in said


def draft(events: list[dict[str, object]]) -> tuple[dict[str, str], str]:
    """(attribute -> its line, what was warned of) of a draft from attributes of one action."""
    lines = "\n".join(json.dumps({"app": "shop", "action": "buy", "attributes": event}) for event in events)
    code, drafted, said = run("plan", "infer", "-", "--person", "session", stdin=lines)
    assert code == 0, said
    from node.yaml import load_strings

    parse_plan(load_strings(drafted, "draft"))
    found = dict(line.strip().split(": ", 1) for line in drafted.splitlines() if line.startswith(" " * 8))
    return found, said


def test_a_draft_proposes_bands_of_equal_size_and_a_range() -> None:
    prices = [round(1.07**number, 2) for number in range(120)]
    found, _ = draft([{"price": price, "stars": number % 5} for number, price in enumerate(prices)])
    assert found["stars"].startswith('{type: band, edges: ["1", "2", "3", "4"]}')
    edges = [float(edge) for edge in found["price"].split("[")[1].split("]")[0].replace('"', "").split(",")]
    assert len(edges) == 7
    sizes = [sum(low <= price < high for price in prices)
             for low, high in zip([0, *edges], [*edges, 1e9], strict=True)]  # fmt: skip
    assert max(sizes) <= 2 * min(sizes)
    assert 'or {type: number, quantum: "0.01", range: ["0", "4000"]}' in found["price"]


def test_a_draft_stands_hostile_samples() -> None:
    """NaN, 10³⁰⁸, ids, free text, times, nested and mixed values: said in words, and what is drafted is a plan."""
    events: list[dict[str, object]] = [
        {"huge": 10.0**308 if number == 7 else number, "nan": float("nan"), "note": f"text {number}", "deep": {"a": 1},
         "when": "2026-11-05T10:00:00Z", "mixed": number if number % 2 else "x", "none": None, "uuid": 1, "blank": "",
         "rare": "seen once" if number == 3 else "often", "ref": 7_000_000 + number, "same": 5, "big": 10**15,
         "half": number / 3, "bidi": "\u202eabc", "neg": -number}
        for number in range(100)
    ]  # fmt: skip
    found, said = draft(events)
    assert found.keys() == {"huge", "rare", "ref", "same", "half", "neg"}
    assert found["rare"] == '{type: category, values: ["often"]}'
    assert "buy.huge: some of its values are no usable numbers" in said
    for name, why in (("note", "a value of its own"), ("deep", "lists or objects"), ("when", "holds times"),
                      ("mixed", "a value of its own"), ("uuid", "hold personal data"), ("bidi", "personal data"),
                      ("big", "never held a number"), ("nan", "never held a number")):  # fmt: skip
        assert any(f"buy.{name} was left out" in line and why in line for line in said.splitlines()), name
    assert "seen once" not in said


@pytest.mark.parametrize("words", [("--name", "Bad Name!"), ("--purpose", "a b"), ("--purpose", "none")])
def test_a_draft_has_names_of_a_plan(words: tuple[str, str]) -> None:
    code, drafted, said = run("plan", "infer", "-", "--person", "user", *words, stdin='{"app":"a","action":"b"}')
    assert (code != 0, drafted) == (True, "")
    assert "no name of a plan" in said


def test_without_an_event_nothing_is_drafted() -> None:
    code, drafted, said = run("plan", "infer", "-", "--person", "user", stdin="5\n{}\n")
    assert (code != 0, drafted) == (True, "")
    assert "2 lines held no event" in said


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe")
    assert "no text in UTF-8" in run("plan", "check", str(path))[2]


def test_a_snippet_is_made_of_what_a_page_can_use() -> None:
    given = {"--url": "https://events.example.org", "--key": "mw_x", "--app": "shop"}
    assert run("snippet", *(word for pair in given.items() for word in pair))[0] == 0
    for wrong in ({"--url": "events.example.org"}, {"--key": "mr_x"}, {"--app": "Shop!"}, {"--page": "a b"}):
        assert run("snippet", *(word for pair in {**given, **wrong}.items() for word in pair))[0] != 0


def test_send_shows_exactly_what_would_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN % "9")
    event = {"app": "shop.example", "action": "buy", "attributes": {"kind": "book", "price": 7, "mail": "a@b.example"},
             "timestamp": time.time(), "session_id": "s-17", "consent": ["analytics"]}  # fmt: skip
    old = {**event, "timestamp": "2026-01-05T10:11:12Z"}
    events = json.dumps([event, {**event, "consent": []}, {}, old])
    code, said, _ = run("send", "-", "--plan", str(path), stdin=events)
    assert code == 0
    first, second, third, fourth = map(json.loads, said.splitlines())
    assert fourth["rejected"]["code"] == "timestamp_out_of_range"
    assert "stored" in json.loads(run("send", "-", "--plan", str(path), "--backfill", stdin=events)[1].splitlines()[3])
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


def test_pages_and_command_make_one_snippet() -> None:
    """The dashboard's generator holds the same inline script as the command's."""
    page = files("node.dashboard").joinpath("static/pages/ingest.js").read_text()
    given = ("--url", "https://events.example.org", "--key", "mw_x", "--app", "shop")
    stub = run("snippet", *given)[1].splitlines()[0].removeprefix("<script>").removesuffix("</script>")
    assert stub in page.replace("' +\n  '", "")
    assert len(run("snippet", *given, "--no-stub")[1].splitlines()) == 1
