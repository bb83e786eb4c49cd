"""The tracking plan: what it reads, what it refuses, and that its codes are positions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from privacy.errors import InvalidPlan
from privacy.tracking_plan import Band, Category, Flag, Number, parse_exact, parse_plan
from tests.unit.privacy.filter_kit import plan, plan_tree

Bend = Callable[[dict[str, Any]], object]


def runway(tree: dict[str, Any]) -> dict[str, Any]:
    app: dict[str, Any] = tree["apps"]["runway"]
    return app


def calculate(tree: dict[str, Any]) -> dict[str, Any]:
    action: dict[str, Any] = runway(tree)["actions"]["calculate"]
    return action


def test_codes_are_positions() -> None:
    """App, action, slot and purpose codes are indices in the order of the text."""
    found = plan()
    app = found.app("runway")
    assert app is not None
    assert (found.app_code("waves"), app.action_code("pay"), found.purpose_bit("research")) == (1, 1, 1)
    action = app.action("calculate")
    assert action is not None
    assert [action.slot(name) for name in ("industry", "months", "amount", "remote", "mail")] == [0, 1, 2, 3, None]
    assert found.slots == 6


def test_types_carry_exact_numbers() -> None:
    """Edges, quanta and bounds are Fractions of the text, not of a float."""
    app = plan().app("runway")
    assert app is not None
    action = app.action("calculate")
    assert action is not None
    kinds = [attribute.type for attribute in action.attributes]
    assert kinds == [
        Category(("software", "health")),
        Band((Fraction(0), Fraction(1, 2), Fraction(3), Fraction(12))),
        Number(Fraction(1, 100), Fraction(-5), Fraction(500)),
        Flag(),
    ]
    number = kinds[2]
    assert isinstance(number, Number)
    assert (number.low_quanta, number.high_quanta) == (-500, 50_000)


def test_consent_none_means_no_purpose() -> None:
    found = plan()
    assert [app.required_purpose for app in found.apps] == ["analytics", None, None, None]


def test_sampling_is_kept_in_millionths() -> None:
    assert [app.sampling_millionths for app in plan().apps] == [1_000_000, 1_000_000, 1_000_000, 250_000]


def test_tree_reads_back_as_the_same_plan() -> None:
    """plan -> tree -> plan is the identity, and the tree is the same for every spelling."""
    found = plan()
    assert parse_plan(found.tree()) == found
    respelled = plan_tree()
    calculate(respelled)["amount"]["quantum"] = "0.0100"
    calculate(respelled)["remote"]["required"] = "no"
    runway(respelled)["sampling"] = "1"
    assert parse_plan(respelled).tree() == found.tree()


@pytest.mark.parametrize(
    ("bend", "place"),
    [
        (lambda t: t.update(apps={}), "apps"),
        (lambda t: t.update(version="2"), "the plan"),
        (lambda t: t.pop("plan"), "the plan"),
        (lambda t: t.update(plan="Has Spaces"), "plan"),
        (lambda t: t.update(purposes=["analytics", "analytics"]), "purposes"),
        (lambda t: t.update(purposes=["analytics", "none"]), "purposes"),
        (lambda t: t.update(purposes=["analytics"] + [f"p{i}" for i in range(16)]), "purposes"),
        (lambda t: t.update(purposes="analytics"), "purposes"),
        (lambda t: runway(t).pop("person"), "apps.runway"),
        (lambda t: runway(t).update(person="device"), "apps.runway.person"),
        (lambda t: runway(t).update(person=["user", "session"]), "apps.runway.person"),
        (lambda t: runway(t).pop("consent"), "apps.runway"),
        (lambda t: runway(t).update(consent="marketing"), "apps.runway.consent"),
        (lambda t: runway(t).update(sampling="0"), "apps.runway.sampling"),
        (lambda t: runway(t).update(sampling="2"), "apps.runway.sampling"),
        (lambda t: runway(t).update(sampling="1/3"), "apps.runway.sampling"),
        (lambda t: runway(t).update(sampling=0.5), "apps.runway.sampling"),
        (lambda t: runway(t).update(actions={}), "apps.runway.actions"),
        (lambda t: runway(t).update(actions={"Bad": {}}), "apps.runway.actions"),
        (lambda t: runway(t)["actions"].update(new="text"), "apps.runway.actions.new"),
        (lambda t: calculate(t).update({f"a{i}": {"type": "flag"} for i in range(17)}), "calculate"),
        (lambda t: calculate(t).update(email={"type": "flag"}), "calculate.email"),
        (lambda t: calculate(t).update(user_id={"type": "flag"}), "calculate.user_id"),
        (lambda t: calculate(t)["remote"].update(type="text"), "calculate.remote.type"),
        (lambda t: calculate(t)["remote"].update(values=["a"]), "calculate.remote"),
        (lambda t: calculate(t)["remote"].update(required="maybe"), "calculate.remote.required"),
        (lambda t: calculate(t)["industry"].update(values=[]), "calculate.industry.values"),
        (lambda t: calculate(t)["industry"].update(values=["a", "a"]), "calculate.industry.values"),
        (lambda t: calculate(t)["industry"].update(values=["a@b.example"]), "calculate.industry.values"),
        (lambda t: calculate(t)["industry"].update(values=[" a"]), "calculate.industry.values"),
        (lambda t: calculate(t)["industry"].update(values=[""]), "calculate.industry.values"),
        (lambda t: calculate(t)["industry"].update(values=[1]), "calculate.industry.values"),
        (lambda t: calculate(t)["months"].update(edges=[]), "calculate.months.edges"),
        (lambda t: calculate(t)["months"].update(edges=["1", "1"]), "calculate.months.edges"),
        (lambda t: calculate(t)["months"].update(edges=["1", "inf"]), "calculate.months.edges"),
        (lambda t: calculate(t)["months"].update(edges=["1", "1e3"]), "calculate.months.edges"),
        (lambda t: calculate(t)["months"].update(edges=[1, 2]), "calculate.months.edges"),
        (lambda t: calculate(t)["amount"].update(quantum="0"), "calculate.amount.quantum"),
        (lambda t: calculate(t)["amount"].update(range=["5", "1"]), "calculate.amount.range"),
        (lambda t: calculate(t)["amount"].update(range=["0", "0.001"]), "calculate.amount.range"),
        (lambda t: calculate(t)["amount"].update(range=["0", "1", "2"]), "calculate.amount.range"),
        (lambda t: calculate(t)["amount"].update(range=["0", "999999999999999"]), "calculate.amount.range"),
        (lambda t: calculate(t)["amount"].pop("range"), "calculate.amount"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_at_its_place(bend: Bend, place: str) -> None:
    """Every rule of the module has a plan that breaks it, and the message names where."""
    tree = plan_tree()
    bend(tree)
    with pytest.raises(InvalidPlan) as refused:
        parse_plan(tree)
    assert place in refused.value.what


@pytest.mark.parametrize("tree", [None, "text", [], {}, {"plan": "x", "apps": "y"}, {1: 2}])
def test_what_is_no_plan_is_refused(tree: object) -> None:
    with pytest.raises(InvalidPlan):
        parse_plan(tree)


@pytest.mark.parametrize("text", ["", "1/0", "1e5", "nan", "0x1", "1_000", " 1", "1.", ".5", "--1", "٣", 1, 0.5, None])
def test_only_plain_exact_numbers_are_read(text: object) -> None:
    with pytest.raises(InvalidPlan):
        parse_exact(text, "here")
