"""`murmur metrics check` and `plan`: every shipped definition passes both; what would weaken a promise is refused.

Each refusal names what happened, why and what to do, and carries its code; nothing is spent and no node is asked.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import Murmur

DEMO = Path(__file__).parents[2] / "node" / "demo"
SHIPPED = sorted([*DEMO.glob("metrics/*.yaml"), *DEMO.glob("logs/metrics/*.yaml")])

GOOD = """\
metric: tipped
question: How much is tipped?
from: {app: tips, action: sent}
measure: {sum: amount, range: ["0", "20"], quantum: "0.5"}
by: {category: [a, b]}
window: day
privacy: {max_cells: "2", max_per_cell: "3", rho: "1/400"}
"""
SUM = '{sum: amount, range: ["0", "20"], quantum: "0.5"}'


HOURS = json.dumps([str(hour) for hour in range(24)])


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


REFUSED: dict[str, tuple[str, str, str]] = {  # what is wrong: (text, code, words of the refusal)
    "no max_cells": (changed('max_cells: "2", ', ""), "bound_missing", "max_cells"),
    "no max_per_cell": (changed('max_per_cell: "3", ', ""), "bound_missing", "max_per_cell"),
    "no range": (changed(', range: ["0", "20"]', ""), "bound_missing", "range"),
    "no quantum": (changed(', quantum: "0.5"', ""), "bound_missing", "quantum"),
    "no edges": (changed(SUM, "{histogram: amount}"), "bound_missing", "edges"),
    "no domain": (changed("[a, b]", "[]"), "bound_missing", "category"),
    "no values of a journey": (changed(SUM, "{journey: category}"), "bound_missing", "values"),
    "a bound of zero": (changed('max_per_cell: "3"', 'max_per_cell: "0"'), "invalid_parameter", "max_per_cell"),
    "no cells at all": (changed('max_cells: "2"', 'max_cells: "0"'), "invalid_parameter", "max_cells"),
    "rho of zero": (changed('"1/400"', '"0"'), "invalid_parameter", "rho"),
    "rho below zero": (changed('"1/400"', '"-1/400"'), "invalid_parameter", "rho"),
    "rho as a float": (changed('"1/400"', '"0.0025"'), "invalid_parameter", "rho"),
    "rho as a power": (changed('"1/400"', '"2.5e-3"'), "invalid_parameter", "rho"),
    "rho over zero": (changed('"1/400"', '"1/0"'), "invalid_parameter", "rho"),
    "epsilon as a float": (
        changed('rho: "1/400"', 'mechanism: laplace, epsilon: "0.1"'), "invalid_parameter", "epsilon",
    ),
    "epsilon of Gaussian noise": (changed('rho: "1/400"', 'epsilon: "1/10"'), "invalid_definition", "epsilon"),
    "two prices": (
        changed('rho: "1/400"', 'rho: "1/400", mechanism: laplace, epsilon: "1/10"'), "invalid_definition", "rho",
    ),
    "a clamp that is no number": (changed('["0", "20"]', '["0", nan]'), "invalid_parameter", "'nan'"),
    "an endless clamp": (changed('["0", "20"]', '["0", inf]'), "invalid_parameter", "'inf'"),
    "clamps that cross": (changed('["0", "20"]', '["20", "0"]'), "invalid_definition", "range"),
    "a quantum of zero": (changed('quantum: "0.5"', 'quantum: "0"'), "invalid_definition", "quantum"),
    "an unknown mechanism": (
        changed('rho: "1/400"', 'rho: "1/400", mechanism: snapping'), "unknown_mechanism", "snapping",
    ),
    "a seed": (changed('rho: "1/400"', 'rho: "1/400", seed: "1"'), "invalid_definition", "seed"),
    "an unknown measure": (changed(SUM, "{variance: amount}"), "unknown_measure", "variance"),
    "a whole of one cell": (
        changed('rho: "1/400"', 'rho: "1/400", whole: "yes"').replace("by: {category: [a, b]}\n", ""),
        "invalid_definition", "its one cell is the whole",
    ),
    "a whole of a mean": (
        changed(SUM, SUM.replace("sum", "mean")).replace('"1/400"', '"1/400", whole: "yes"'),
        "invalid_definition", "no parts of one whole",
    ),
    "too many cells": (
        changed("category: [a, b]", f"hour: {HOURS}, category: [" + ", ".join(f"v{n}" for n in range(3000)) + "]"),
        "too_many_cells", "65536",
    ),
    "a sum that may overflow": (changed('["0", "20"]', '["0", "90000000"]'), "overflow_possible", "2^53"),
}  # fmt: skip


@pytest.mark.parametrize("path", SHIPPED, ids=[f"{path.parent.parent.name} {path.stem}" for path in SHIPPED])
def test_every_shipped_definition_is_checked_and_planned(murmur: Murmur, path: Path) -> None:
    """By a share and by a width, of whatever measure; the interval narrows as more is counted."""
    epoch = "month" if "window: month" in path.read_text() else "day"
    said = murmur("metrics", "check", path, "--epoch", epoch, "-o", "json")
    assert said.code == 0
    (one,) = json.loads(said.out)["metrics"]
    assert one["metric"] == path.stem
    assert sum(block["cells"] for block in one["blocks"]) == one["cells"]
    for accuracy in ("20%", "±400" if one["measure"] not in ("mean", "score") else "±2"):
        said = murmur("metrics", "plan", path, "--accuracy", accuracy, "--epoch", epoch, "-o", "json")
        assert said.code == 0, said.err
        plan = json.loads(said.out)
        assert 0 < float(plan["accuracy"]["half_width"]) <= float(plan["accuracy"]["wanted"])
        assert [each["days"] for each in plan["epoch"]["guarantees"]] == [1, 30, 365]
        shares = [float(row["share"]) for row in plan["by_size"] if row["share"] is not None]
        assert len(shares) >= 3
        assert shares == sorted(shares, reverse=True)
    assert "Nothing was spent" in murmur("metrics", "plan", path, "--accuracy", "20%", "--epoch", epoch).out


@pytest.mark.parametrize("name", REFUSED)
def test_a_definition_that_would_weaken_a_promise_is_refused(murmur: Murmur, tmp_path: Path, name: str) -> None:
    text, code, words = REFUSED[name]
    path = tmp_path / "metric.yaml"
    path.write_text(text)
    for verb in (("check", path), ("plan", path, "--accuracy", "5%")):
        said = murmur("metrics", *verb)
        assert said.code != 0
        assert said.out == ""
        what, do, last = said.err.strip().splitlines()[-3:]
        assert "tipped refused" in what
        assert words in what
        assert do.startswith("  do ")
        assert last.split() == ["code", code]


def test_the_definition_that_the_refused_ones_are_made_from_passes(murmur: Murmur, tmp_path: Path) -> None:
    path = tmp_path / "metric.yaml"
    path.write_text(GOOD)
    said = murmur("metrics", "check", path)
    assert said.code == 0
    assert "rho 1/400" in said.out
    assert "2 cells of a person, 3 events in each" in said.out
    assert "1,600" not in said.out  # 240² · 2 is the square that stands there
    assert "28,800" in said.out


FITS = {
    ("hour", "day"), ("hour", "week"), ("hour", "month"), ("day", "day"), ("day", "week"), ("day", "month"),
    ("week", "week"), ("month", "month"),
}  # fmt: skip


@pytest.mark.parametrize("epoch", ["day", "week", "month"])
@pytest.mark.parametrize("window", ["hour", "day", "week", "month"])
def test_an_epoch_too_short_is_refused(murmur: Murmur, tmp_path: Path, window: str, epoch: str) -> None:
    """Hour and day windows in any epoch, weeks in weeks, months in months."""
    path = tmp_path / "metric.yaml"
    path.write_text(changed("window: day", f"window: {window}"))
    said = murmur("metrics", "check", path, "--epoch", epoch)
    planned = murmur("metrics", "plan", path, "--accuracy", "50%", "--epoch", epoch)
    if (window, epoch) in FITS:
        assert said.code == 0
        assert f"a {epoch} epoch: rho" in planned.out
    else:
        assert said.code != 0
        assert "invalid_window" in said.err
        assert "lies in no one" in said.err
        assert f"a node with {epoch} epochs abstains" in planned.out


DISCOVER = """\
metric: top_pages
question: Which pages are opened by most people?
from: {app: blog, action: open}
measure: {top: "10"}
by: {page: {discover: true}}
window: day
privacy: {max_cells: "4", max_per_cell: "2", rho: "1/400", delta: "1/100000000"}
"""


def test_check_says_how_many_people_a_discovered_key_needs(murmur: Murmur, tmp_path: Path) -> None:
    """σ = 40 for people; the 0.95 and 0.99 points stand 1.64 and 2.33 σ above the threshold."""
    (tmp_path / "top.yaml").write_text(DISCOVER)
    told = json.loads(murmur("metrics", "check", tmp_path / "top.yaml", "-o", "json").out)
    [metric] = told["metrics"]
    found = metric["discovery"]
    assert (found["dimension"], found["delta"], found["threshold"]) == ("page", "1/100000000", 236)
    assert [(one["probability"], one["people"]) for one in found["passes"]] == [
        ("0.50", 236), ("0.95", 302), ("0.99", 329),
    ]  # fmt: skip
    words = murmur("metrics", "check", tmp_path / "top.yaml").out
    assert "a key passes with 236 people at 50%" in words


def test_plan_charges_delta_and_says_when_an_epoch_has_no_room(murmur: Murmur, tmp_path: Path) -> None:
    (tmp_path / "top.yaml").write_text(DISCOVER.replace("window: day", "window: hour"))
    told = json.loads(murmur("metrics", "plan", tmp_path / "top.yaml", "--accuracy", "40", "-o", "json").out)
    assert (told["epoch"]["delta"], told["epoch"]["default_delta_cap"]) == ("3/12500000", "1/100000000")
    assert told["discovery"]["threshold"] < 236, "the accuracy asked for costs more, so less noise"
    words = murmur("metrics", "plan", tmp_path / "top.yaml", "--accuracy", "40").out
    assert "a node would abstain, budget" in words
