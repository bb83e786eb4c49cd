"""`murmur metrics plan`: an answer without a node, and refusals that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Murmur

TIPS = """\
metric: tips
question: What is tipped for?
from: {app: tips, action: sent}
measure: count
by: {category: [folk, jazz]}
window: day
privacy: {max_cells: "2", max_per_cell: "2", mechanism: laplace, epsilon: "1/10"}
"""


@pytest.fixture
def tips(tmp_path: Path) -> str:
    path = tmp_path / "tips.yaml"
    path.write_text(TIPS)
    return str(path)


def test_a_plan_says_price_interval_budget_and_what_is_cut(murmur: Murmur, tips: str) -> None:
    """And needs no node, no data folder and no network."""
    said = murmur("metrics", "plan", tips, "--accuracy", "±100")
    assert said.code == 0, said.err
    for words in (
        "pure epsilon 1/",
        "at 95 %",
        "of the default cap",
        "of a twin of 10,000 people",
        "Nothing was spent",
    ):
        assert words in said.out
    document = murmur("metrics", "plan", tips, "--accuracy", "±100", "--json").json
    assert document["schema"] == "murmur.metric_plan/1"
    assert document["stated"]["epsilon"] == "1/10"
    assert float(document["accuracy"]["half_width"]) <= 100


def test_a_week_window_is_in_no_day_epoch(murmur: Murmur, tips: str) -> None:
    Path(tips).write_text(TIPS.replace("window: day", "window: week"))
    assert "abstains" in murmur("metrics", "plan", tips, "--accuracy", "5%").out
    assert "1 window a week epoch" in murmur("metrics", "plan", tips, "--accuracy", "5%", "--epoch", "week").out


@pytest.mark.parametrize(("arguments", "code"), [
    (["--accuracy", "0%"], "invalid_parameter"),
    (["--accuracy", "5%", "--events", "0.5"], "invalid_parameter"),
    (["--accuracy", "5%", "--groups", "nan"], "invalid_parameter"),
])  # fmt: skip
def test_what_cannot_be_planned_is_refused(murmur: Murmur, tips: str, arguments: list[str], code: str) -> None:
    said = murmur("metrics", "plan", tips, *arguments)
    assert said.code != 0
    assert f"code  {code}" in said.err
    assert "  do    " in said.err


def test_a_definition_with_a_float_price_is_refused(murmur: Murmur, tips: str) -> None:
    Path(tips).write_text(TIPS.replace('"1/10"', '"0.1"'))
    said = murmur("metrics", "plan", tips, "--accuracy", "5%")
    assert said.code != 0
    assert "decimals" in said.err
