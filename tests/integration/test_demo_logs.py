"""The demo on four real logs, where they are: the true number of people, and one bot that must not matter."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import date
from math import sqrt
from pathlib import Path

import duckdb
import pytest

from node.demo.logs import LOGS, fold_days, folded_month, make_log_play
from node.demo.reading import read_events
from node.demo.stage import logs_stage
from node.demo.truth import count_truth
from node.http.forms.body import decode_body
from node.http.forms.declared import Declared
from node.yaml import load_strings
from privacy.definition import parse_definition
from privacy.filtering import Filter, Filtered, Rejected, Signals
from privacy.layout import compile_layout
from privacy.person_key import Pseudonyms
from privacy.rows import ROW_NAMES, Row
from privacy.tracking_plan import parse_plan
from privacy.units import Window
from tests.integration.demo_command import TIMEOUT_S, demo_command, empty_home
from tests.property.bounding_tables import Case, vector_by_sql

DATA = Path(os.environ.get("MURMUR_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PEOPLE = 96_081  # over the four files, by plain SQL
BOT_EDITS = 3_385
TODAY = date(2026, 11, 20)

needs_logs = pytest.mark.skipif(
    not all((DATA / f"{log.name}.parquet").is_file() for log in LOGS),
    reason=f"the four real logs are not in {DATA}; set MURMUR_TEST_DATA to their folder",
)


@pytest.mark.parametrize(
    ("today", "month"),
    [
        ("2026-11-20", "2026-10-01"),
        ("2026-11-01", "2026-09-01"),
        ("2026-11-02", "2026-10-01"),
        ("2027-01-05", "2026-12-01"),
    ],
)
def test_the_folded_month_ended_more_than_a_day_ago(today: str, month: str) -> None:
    assert str(folded_month(date.fromisoformat(today))) == month


def test_folding_keeps_weekday_and_stays_in_the_first_28_days() -> None:
    import numpy as np

    days = np.arange(14_000, 18_000)
    for month in (date(2026, 2, 1), date(2026, 10, 1), date(2027, 1, 1)):
        first = (month - date(1970, 1, 1)).days
        folded = fold_days(days, month)
        assert ((folded - first) >= 0).all()
        assert ((folded - first) < 28).all()
        assert ((folded - days) % 7 == 0).all()
        assert len(set(folded.tolist())) == 28


@pytest.mark.slow  # the demo below counts the same truth
@needs_logs
def test_the_truth_of_people_is_the_files_own() -> None:
    stage = logs_stage(TODAY, DATA)
    total = 0
    for part in stage.parts:
        truth = count_truth(read_events(part.make().batches, part.apps), stage.metrics, part.apps, stage.windows)
        total += truth["people", stage.windows[0]].bounded[0] or 0
    assert total == PEOPLE


@needs_logs
def test_one_bot_with_thousands_of_edits_moves_no_cell_by_more_than_its_bound() -> None:
    """Before the noise, by the SQL that a node runs: with and without the bot at most C cells differ, by at most K."""
    stage = logs_stage(TODAY, DATA)
    plan = parse_plan(load_strings(stage.plans["wiki-edits"].read_text(), "wiki-edits"))
    rows = _rows_of("wiki-edits", plan)
    person, edits = Counter(row[ROW_NAMES.index("person")] for row in rows).most_common(1)[0]
    assert edits == BOT_EDITS
    quiet = [row for row in rows if row[ROW_NAMES.index("person")] != person]
    total: dict[str, int] = {}
    with duckdb.connect(":memory:", config={"threads": 1}) as engine:
        for file in sorted(stage.metrics_folder.glob("*.yaml")):
            definition = parse_definition(load_strings(file.read_text(), file.name))
            if not stage.metric(definition.metric).is_answered_by(stage.parts[2].apps):
                continue
            layout = compile_layout(definition, Window.parse(stage.windows[0]))
            case = Case(definition, layout, {1: plan}, tuple(rows), bytes(32))
            with_bot = vector_by_sql(engine, case, rows)
            without = vector_by_sql(engine, replace(case, rows=tuple(quiet)), quiet)
            moved = [abs(one - other) for one, other in zip(with_bot, without, strict=True)]
            [block] = layout.blocks
            assert max(moved) <= block.linf
            assert sum(change > 0 for change in moved) <= block.l0
            total[definition.metric] = sum(moved)
    assert len(total) == 6
    assert total["people"] == 1
    assert 0 < total["events_by_action"] <= 24  # of 3,385


def _rows_of(name: str, plan: object) -> list[Row]:
    log = next(log for log in LOGS if log.name == name)
    filter_, declared = Filter(plan, 1), Declared(plan)  # type: ignore[arg-type]
    pseudonyms = Pseudonyms(bytes(32), random.Random(1).randbytes)
    rows = []
    for batch in make_log_play(log, DATA, folded_month(TODAY)).batches:
        for position, sent in enumerate(decode_body(batch.body, declared)):
            assert not isinstance(sent, Rejected)
            outcome = filter_.apply(sent[1], Signals(), lambda hour: pseudonyms, position, batch.key)
            assert not isinstance(outcome, Filtered | Rejected)
            rows.append(outcome)
    return rows


@needs_logs
def test_the_demo_on_real_logs_counts_all_people(tmp_path: Path) -> None:
    """The sum of four platforms lies within z = 4 of the truth (false alarm 6e-5); the check's margins are 5 sigma."""
    finished = subprocess.run(
        demo_command("--once", "--json", "--data", DATA), capture_output=True, text=True, timeout=TIMEOUT_S,
        env=empty_home(tmp_path), cwd=tmp_path, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert [platform["sent"] for platform in document["platforms"]] == [22_221, 204_888, 39_199, 9_999]
    assert all(platform["accepted"] == platform["sent"] for platform in document["platforms"])
    people = next(metric for metric in document["metrics"] if metric["metric"] == "people")["cells"][0]
    assert people["truth"] == PEOPLE
    assert len(people["nodes"]) == 4
    assert abs(people["estimate"] - PEOPLE) <= 4 * people["sigma"]
    check = document["check"]
    share = check["inside"] / check["cells"]
    assert abs(share - check["level"]) <= 5 * sqrt(check["level"] * (1 - check["level"]) / check["cells"])
    assert abs(check["z2"] - 1) <= 5 * sqrt(2 / check["cells"])
    assert document["mesh"]["raw_events_crossed"] == 0
    assert document["answers_equal"] is True
