"""The demo's truth and the node's own meaning of a vector agree, event by hostile event.

The truth shares no code with forms, filter and bounding. Here both see the same bytes: every cell with a truth must be
the cell of the reference bounding, and the sum of the others must be the stated sum. So a hostile event that one side
counts and the other does not shows exactly, which the noise of a real run would hide.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from node.demo.platforms import PLATFORMS
from node.demo.play import NDJSON, Batch, make_play
from node.demo.reading import read_events
from node.demo.stage import Stage, platforms_stage
from node.demo.truth import count_truth
from node.http.forms.body import decode_body
from node.http.forms.declared import Declared
from node.yaml import load_strings
from privacy.bounding_reference import deduplicate, reference_vector
from privacy.definition import parse_definition
from privacy.filtering import Filter, Filtered, Rejected, Signals
from privacy.layout import compile_layout
from privacy.person_key import Pseudonyms
from privacy.rows import Row
from privacy.tracking_plan import Plan, parse_plan
from privacy.units import Window

TODAY = date(2026, 11, 20)
START = (date(2026, 11, 5) - date(1970, 1, 1)).days
SALT = bytes(32)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return platforms_stage(TODAY, seed=5, scale=0.01)


def _rows(batches: Iterable[Batch], plan: Plan) -> list[Row]:
    """What the node's own forms and filter make of the requests."""
    filter_, declared = Filter(plan, 1), Declared(plan)
    pseudonyms = Pseudonyms(bytes(32), random.Random(1).randbytes)
    rows = []
    for batch in batches:
        signals = Signals(gpc=("Sec-GPC", "1") in batch.headers)
        for position, sent in enumerate(decode_body(batch.body, declared, is_ndjson=batch.content_type == NDJSON)):
            if isinstance(sent, Rejected):
                continue
            outcome = filter_.apply(sent[1], signals, lambda hour: pseudonyms, position, batch.key)
            if not isinstance(outcome, Filtered | Rejected):
                rows.append(outcome)
    return rows


@pytest.mark.parametrize("index", range(4), ids=[platform.name for platform in PLATFORMS])
def test_truth_equals_the_reference_bounding(stage: Stage, index: int) -> None:
    part = stage.parts[index]
    play = make_play(PLATFORMS[index], 5, START, 14, 0.01)
    plan = parse_plan(load_strings(stage.plans[part.name].read_text(), part.name))
    rows = _rows(play.batches, plan)
    truth = count_truth(read_events(play.batches, part.apps), stage.metrics, part.apps, stage.windows)
    compared = 0
    for file in sorted(stage.metrics_folder.glob("*.yaml")):
        definition = parse_definition(load_strings(file.read_text(), file.name))
        for text in stage.windows:
            if (definition.metric, text) not in truth:
                continue
            window = Window.parse(text)
            layout = compile_layout(definition, window)
            vector = reference_vector(deduplicate(rows, window), definition, layout, {1: plan}, SALT)
            counted = truth[definition.metric, text]
            metric = stage.metric(definition.metric)
            assert layout.blocks[metric.headline].name == definition.measure.headline
            start = layout.offset(layout.blocks[metric.headline])
            assert [layout.key(start + at) for at in range(len(metric.keys()))] == metric.keys()
            for number, block in enumerate(layout.blocks):
                assert block.sigma_squared == metric.sigma_squared_of(number)
                of_block, cells = counted.block(number), vector[layout.offset(block) :][: block.cells]
                assert len(cells) == len(of_block.bounded)
                lost = 0
                for cell, expected in zip(cells, of_block.bounded, strict=True):
                    lost += cell if expected is None else 0
                    assert expected in (None, cell), (definition.metric, text, block.name)
                if of_block.lost_total is not None:
                    assert lost == of_block.lost_total
                compared += sum(value is not None for value in of_block.bounded)
    assert compared > 1000


def test_every_metric_is_owed_by_somebody_and_three_by_several(stage: Stage) -> None:
    """At most ten a node, at ρ = 1/400 each: together at most the cap of 1/40 a day."""
    owed = {metric.name: [p.name for p in stage.parts if metric.is_answered_by(p.apps)] for metric in stage.metrics}
    assert all(owed.values())
    assert sum(len(nodes) >= 2 for nodes in owed.values()) >= 3
    for part in stage.parts:
        answered = [metric for metric in stage.metrics if part.name in owed[metric.name]]
        assert len(answered) <= 10
        assert sum(metric.rho for metric in answered) <= 1 / 40


def test_plans_and_metrics_are_where_the_package_looks_for_them(stage: Stage) -> None:
    assert all(Path(file).is_file() for file in stage.plans.values())
    assert len(stage.metrics) == 15
