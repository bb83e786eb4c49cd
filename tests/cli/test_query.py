"""`murmur query` and `metrics list`: the node's answer as table, CSV and JSON, with its intervals and its caveats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from federation.answers import CharterView, answer
from federation.badges import badges
from federation.query import parse_query
from node.admin_client import AdminClient, RawAnswer
from node.badge_words import badge_lines
from node.cli.kit.answer import answer_csv, answer_lines
from tests.cli.commands import Murmur
from tests.unit.federation.combining import COUNTRIES, DAY, NAMES, RUNWAY, definition, members, row, window_input
from tests.unit.federation.test_figures import FUNNEL, TOP

Asked = list[tuple[str, dict[str, str] | None]]


def answered(
    tree: Mapping[str, object], vectors: Mapping[str, list[int]], asked: Mapping[str, str] | None = None, **about: Any
) -> dict[str, Any]:
    """What a node answers, computed by the real federation code from made-up releases."""
    query = parse_query(str(tree["metric"]), [row(tree)], {"window": DAY.text, **(asked or {})}, DAY)
    inputs = [window_input(definition(tree), DAY, vectors, **about)] if vectors else []
    data = answer(query, members(), inputs, CharterView(1, bytes(32))).data
    found: dict[str, Any] = json.loads(json.dumps(data))
    return found


FOUR = {name: [1000 + 100 * number, 5000, 1, 3] for number, name in enumerate(NAMES)}  # DE, FR, other, none


@pytest.fixture
def node_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Asked]:
    """Make the admin socket answer with this data; gives what was asked."""

    def prepare(data: dict[str, Any]) -> Asked:
        asked: Asked = []
        envelope = {"status": "ok", "data": data, "metadata": {"served_by": {"name": "addvalue"}}}

        def exchange(
            _client: AdminClient, _method: str, path: str, _body: object = None, *, accept: str = "application/json"
        ) -> RawAnswer:
            place, _, query = path.partition("?")
            asked.append((place, dict(parse_qsl(query)) or None))
            return RawAnswer(json.dumps(envelope).encode(), {"Content-Type": accept})

        monkeypatch.setattr(AdminClient, "exchange", exchange)
        return asked

    return prepare


def test_the_table_shows_estimate_interval_and_members(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    """One line per shown cell, largest first, then hidden, then the total; n of m on top, caveats below."""
    asked = node_says(answered(COUNTRIES, FOUR))
    said = murmur("query", "people_by_country", "--data", tmp_path, "--window", DAY.text)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "people_by_country  2026-11-01  4 of 4 nodes"
    assert [line.split()[0] for line in lines[3:8]] == ["country", "FR", "DE", "hidden", "total"]
    fr = lines[4].split("  ")
    assert fr[0] == "FR"
    assert "20,000" in lines[4]
    assert " – " in lines[4]
    assert "hidden: 2 rows too small to tell from noise, added up." in lines
    assert "Sum over platforms: a person active on two platforms counts twice." in lines
    assert lines[-1] == "The privacy interval explains the noise and nothing else."
    assert asked == [("/v1/insights/people_by_country", {"window": DAY.text, "badges": "1"})]


def test_a_member_that_is_not_in_is_named_with_its_reason(murmur: Murmur) -> None:
    """Missing and abstaining nodes are never silent."""
    three = {name: cells for name, cells in FOUR.items() if name != "harmonie"}
    lines = answer_lines(answered(COUNTRIES, three), 100)
    assert "3 of 4 nodes" in lines[0]
    assert any(line.startswith("harmonie: missing") and DAY.text in line for line in lines)
    two = {name: cells for name, cells in three.items() if name != "addvalue"}
    lines = answer_lines(answered(COUNTRIES, two, abstained={"addvalue": "not_in_plan"}), 100)
    assert "2 of 3 nodes" in lines[0]
    assert f"addvalue: abstained (not in plan), {DAY.text}" in lines


def test_every_line_fits_the_terminal() -> None:
    """At 80 places and at 60, no table line is wider."""
    for width in (60, 80, 120):
        table = [line for line in answer_lines(answered(COUNTRIES, FOUR), width) if line[:3] in ("FR ", "DE ", "hid")]
        assert table
        assert all(len(line) <= width for line in table)


def test_nothing_released_is_said_and_is_no_zero() -> None:
    """Without a release there is no number."""
    lines = answer_lines(answered(COUNTRIES, {}), 80)
    assert "Nothing has been released for these windows yet." in lines
    assert not any("total" in line for line in lines)


def test_a_histogram_has_its_medians() -> None:
    """Bins in their order, then the median of each group that is shown."""
    data = answered(RUNWAY, {name: [400 + 7 * at for at in range(_cells())] for name in NAMES})
    lines = answer_lines(data, 120)
    head = next(number for number, line in enumerate(lines) if "median" in line)
    assert lines[head].split()[:2] == ["industry", "remote"]
    assert len(lines) > head + 2


def _cells() -> int:
    from privacy.layout import compile_layout

    return compile_layout(definition(RUNWAY), DAY).cells


def test_a_lower_end_below_zero_is_shown_as_zero_and_said() -> None:
    """The screen clamps and says so; CSV keeps the number."""
    data = answered(COUNTRIES, {name: [9000, 9000, -3, -4] for name in NAMES})
    text = "\n".join(answer_lines(data, 100))
    assert "Noise can go below zero" in text
    hidden = next(line for line in csv.reader(io.StringIO(answer_csv(data))) if line[0] == "hidden")
    assert int(hidden[3]) < 0


def test_csv_is_tidy(murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path) -> None:
    """One row per cell with its key, then hidden and total; nothing else on stdout."""
    data = answered(COUNTRIES, FOUR)
    node_says(data)
    said = murmur("query", "people_by_country", "--data", tmp_path, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [entry["row"] for entry in rows] == ["cell", "cell", "hidden", "total"]
    assert {entry["country"]: int(entry["estimate"]) for entry in rows[:2]} == {
        cell["key"]["country"]: cell["estimate"] for cell in data["cells"]
    }
    assert said.err == ""


def test_json_passes_the_answer_on(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    """-o json and --json are one document with the node's data unchanged."""
    data = answered(COUNTRIES, FOUR, {"level": "99"})
    asked = node_says(data)
    documents = [
        murmur("query", "m", "--data", tmp_path, "--raw", "--level", "99", "--by", "country", *form).json
        for form in (["-o", "json"], ["--json"])
    ]
    assert documents[0] == documents[1]
    assert documents[0]["schema"] == "murmur.query/1"
    assert documents[0]["data"] == data
    assert asked[0][1] == {"by": "country", "level": "99", "raw": "1", "badges": "1"}


def test_a_metric_name_cannot_leave_its_path(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    """What is typed is one path segment."""
    asked = node_says(answered(COUNTRIES, FOUR))
    murmur("query", "../admin/tokens?x=1", "--data", tmp_path)
    assert asked[0][0] == "/v1/insights/..%2Fadmin%2Ftokens%3Fx%3D1"


def test_metrics_list_shows_the_catalogue(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    """Name, measure, newest window; the question is cut, not lost."""
    node_says(
        {
            "schema": "murmur.metrics/1",
            "metrics": [
                {
                    "metric": "people", "question": "How many people are active? " * 5, "measure": "people",
                    "newest": DAY.text, "dimensions": [{"name": "country", "labels": []}], "privacy": {"rho": "1/400"},
                }
            ],
        }
    )  # fmt: skip
    said = murmur("metrics", "list", "--data", tmp_path)
    assert said.code == 0, said.err
    assert "people" in said.out
    assert DAY.text in said.out
    assert all(len(line) <= 100 for line in said.out.splitlines())
    assert murmur("metrics", "list", "--data", tmp_path, "--json").json["schema"] == "murmur.metrics/1"


def test_figures_and_ranks_stand_below_the_cells() -> None:
    """A funnel's rates with their intervals; a ranking with what its leads are worth."""
    lines = answer_lines(answered({**FUNNEL, "metric": "m"}, {NAMES[0]: [600, 300, 100]}), 100)
    [rate] = [line for line in lines if "rate order" in line]
    assert rate.split() == ["all", "rate", "order", "0.400", "0.373", "–", "0.425"]
    lines = answer_lines(answered({**TOP, "metric": "m"}, {NAMES[0]: [480, 500, 300, 0]}), 100)
    ranks = [line.split() for line in lines if line[:1] in ("1", "2")]
    assert ranks == [["1", "b", "could", "be", "noise"], ["2", "a", "surely"]]


# ── badges, and what a charter withholds ─────────────────────────────────────────────────────────────────


def with_badges(tree: Mapping[str, object], vectors: Mapping[str, list[int]], demanded: int = 1) -> dict[str, Any]:
    query = parse_query(str(tree["metric"]), [row(tree)], {"window": DAY.text}, DAY)
    inputs, charter = [window_input(definition(tree), DAY, vectors)], CharterView(1, bytes(32), demanded)
    data = answer(query, members(), inputs, charter).data
    found: dict[str, Any] = json.loads(json.dumps({**data, "badges": badges(query, members(), inputs, charter, data)}))
    return found


def test_a_table_names_who_drives_it(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    """In words, with what the total would be; a quiet answer has no line more."""
    liar = {name: [1000, 500, 0, 0] if name != NAMES[1] else [100_000, 500, 0, 0] for name in NAMES}
    asked = node_says(with_badges(COUNTRIES, liar))
    shown = murmur("query", "m", "--data", tmp_path).out
    assert asked[0][1] == {"badges": "1"}
    assert f"driven by one: {NAMES[1]} is 96 % of the total; without it 4,500." in shown
    assert "With nobody above 40 % the total is 7,500; without the 2 organisations at both ends 3,000." in shown
    assert "Badges exclude nobody" in shown
    assert "105,000" in shown
    node_says(with_badges(COUNTRIES, {name: [1000, 500, 0, 0] for name in NAMES}))
    assert "driven" not in murmur("query", "m", "--data", tmp_path).out


def test_a_table_says_what_the_charter_withholds(
    murmur: Murmur, node_says: Callable[[dict[str, Any]], Asked], tmp_path: Path
) -> None:
    node_says(with_badges(COUNTRIES, {name: [1000, 500, 0, 0] for name in NAMES[:2]}, demanded=3))
    shown = murmur("query", "m", "--data", tmp_path).out
    assert "Withheld (too_few_organisations): 2026-11-01/P1D. Fewer organisations than the 3 of the charter" in shown
    assert "Nothing has been released" not in shown
    assert "1,000" not in shown


@pytest.mark.parametrize(
    ("alarm", "words"),
    [
        (
            {"badge": "change_point", "names": ["a"], "window": "2026-11-01/P1D", "before": 1000, "after": 5900},
            "change point: a changed its level about 2026-11-01/P1D, from 1,000 to 5,900.",
        ),
        (
            {"badge": "too_exact", "names": ["a"], "still": 240, "of": 240},
            "too exact: 240 of 240 cells of a stand still",
        ),
        ({"badge": "a_later_one", "names": ["a", "b\x1b[1m"]}, "a_later_one: a and b"),
    ],
)
def test_each_alarm_has_words(alarm: dict[str, Any], words: str) -> None:
    """Also one that a newer node sends; names are harmless on a screen."""
    [line, _] = badge_lines({"badges": {"alarms": [alarm], "sums": None}})
    assert words in line
    assert "\x1b" not in line
