"""Bounded truths of the demo's platforms and of the real logs, as the node's own filter and SQL make them; and noise.

Rows go through the real filter once and through the bounding SQL once a window and definition; after that only noise
is drawn anew, by the release path, so a test can see hundreds of runs of one federation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from hashlib import sha256
from math import isqrt
from pathlib import Path
from typing import Any

import duckdb

from federation.combine import BlockNoise, Contributor, CountedRelease, WindowInput
from federation.query import MetricRow
from node.demo.logs import LOGS, folded_month, make_log_play
from node.demo.platforms import PLATFORMS
from node.demo.play import Batch, make_play
from node.demo.stage import logs_stage, platforms_stage
from node.http.forms.body import decode_body
from node.http.forms.declared import Declared
from node.yaml import load_strings
from privacy.bounding import Binding, bind, deduplicate_sql
from privacy.definition import Definition, parse_definition
from privacy.diffprivlib_adapter import draw_geometric
from privacy.exact_sampling import Rng
from privacy.filtering import Filter, Filtered, Signals
from privacy.layout import Layout, compile_layout
from privacy.ledger import nano_rho_of_charge
from privacy.mechanisms import GAUSSIAN
from privacy.person_key import Pseudonyms
from privacy.release import Noise, Slot, draw_noise, make_release
from privacy.rows import Row
from privacy.sampling import draw_gaussian, draw_laplace, keystream
from privacy.tracking_plan import Plan, parse_plan
from privacy.units import Window
from tests.property.bounding_tables import load

TODAY = date(2026, 11, 20)
EPOCH = date(1970, 1, 1)
SALT = bytes(range(32))  # of every release: which events are kept of a person is part of the truth

Vectors = Mapping[Window, Mapping[str, tuple[int, ...]]]
Draw = Callable[[Layout, Rng], Noise]


@dataclass(frozen=True)
class Truths:
    """One metric: what each node that answers it would release of each window without noise."""

    definition: Definition
    vectors: Vectors

    @property
    def row(self) -> MetricRow:
        first = min(window.start_hour for window in self.vectors)
        return MetricRow(
            self.definition.metric, sha256(self.definition.metric.encode()).digest(), self.definition, first
        )


@dataclass(frozen=True)
class Federation:
    """Some nodes and what they owe."""

    contributors: tuple[Contributor, ...]
    metrics: tuple[Truths, ...]
    layouts: dict[tuple[str, Window], Layout] = field(default_factory=dict)

    def layout(self, truths: Truths, window: Window) -> Layout:
        key = truths.definition.metric, window
        if key not in self.layouts:
            self.layouts[key] = compile_layout(truths.definition, window)
        return self.layouts[key]

    def inputs(self, truths: Truths, draw: Draw, stream: Rng) -> list[WindowInput]:
        """What the federation knows of a metric after one run: every release with fresh noise."""
        made = []
        row = truths.row
        for window, vectors in truths.vectors.items():
            layout = self.layout(truths, window)
            blocks = tuple(BlockNoise(b.cells, b.mechanism, b.quantum, b.sigma_squared) for b in layout.blocks)
            price = [(window.text, nano_rho_of_charge(layout.rho), layout.delta_atto)]
            releases = []
            for name, vector in vectors.items():
                node = node_id(name)
                slot = Slot(row.definition_hash, window, node)
                cells = make_release(slot, layout, draw(layout, stream), vector, price, "user").cells
                release = sha256(f"{name} {window.text} {row.name}".encode()).digest()
                releases.append(CountedRelease(node, window, cells, blocks, "user", release))
            made.append(WindowInput(window, row.definition_hash, layout, tuple(releases)))
        return made


def node_id(name: str) -> bytes:
    return sha256(name.encode()).digest()


# -- noise


def right(layout: Layout, stream: Rng) -> Noise:
    """The noise of a release, by the code that draws it."""
    return draw_noise(layout, stream, draw_geometric)


def wrong(size: Fraction = Fraction(1), shift: Fraction = Fraction(0)) -> Draw:
    """Noise of another size than it is stated, or moved by a share of its σ."""

    def draw(layout: Layout, stream: Rng) -> Noise:
        drawn: list[int] = []
        for block in layout.blocks:
            if block.mechanism == GAUSSIAN:
                cells = draw_gaussian(block.sigma_squared * size**2, block.cells, stream)
            else:
                assert block.scale is not None
                cells = draw_laplace(block.scale * size, block.cells, stream)
            moved = round(isqrt(int(block.sigma_squared * 10**6)) * shift / 1000)
            drawn += [cell + moved for cell in cells.tolist()]
        return Noise.of(layout, drawn)

    return draw


def stream_of(seed: int, metric: str) -> Rng:
    """Bytes that only the seed and the metric decide: no run fails by chance, and no two metrics share noise."""
    return keystream(lambda size: sha256(f"coverage {seed} {metric}".encode()).digest()[:size].ljust(size, b"\0"))


# -- rows and vectors


def demo(scale: float, days: int, extra: Iterable[Mapping[str, Any]], only: Iterable[str] = ()) -> Federation:
    """The four made-up platforms over some days; all metrics of the demo, or some, and more of one's own."""
    stage = platforms_stage(TODAY, seed=5, scale=scale)
    start = (stage.counts_from - EPOCH).days
    parts = {
        platform.name: (
            _plan(stage.plans[platform.name]),
            make_play(platform, 5, start, days, scale).batches,
        )
        for platform in PLATFORMS
    }
    return _federation(parts, _definitions(stage.metrics_folder, extra, only), stage.windows[:days])


def logs(
    folder: Path, names: Sequence[str], extra: Iterable[Mapping[str, Any]], only: Iterable[str] = ()
) -> Federation:
    """Some of the four real logs, folded into one month."""
    stage = logs_stage(TODAY, folder)
    parts = {
        log.name: (_plan(stage.plans[log.name]), make_log_play(log, folder, folded_month(TODAY)).batches)
        for log in LOGS
        if log.name in names
    }
    return _federation(parts, _definitions(stage.metrics_folder, extra, only), stage.windows)


def _plan(file: Path) -> Plan:
    return parse_plan(load_strings(file.read_text(), file.name))


def _definitions(folder: Path, extra: Iterable[Mapping[str, Any]], only: Iterable[str]) -> list[Definition]:
    wanted = frozenset(only)
    found = [parse_definition(load_strings(file.read_text(), file.name)) for file in sorted(folder.glob("*.yaml"))]
    return [one for one in found if not wanted or one.metric in wanted] + [parse_definition(tree) for tree in extra]


def _federation(
    parts: Mapping[str, tuple[Plan, Sequence[Batch]]], definitions: Sequence[Definition], days: Sequence[str]
) -> Federation:
    windows = [Window.parse(text) for text in days]
    vectors: dict[str, dict[Window, dict[str, tuple[int, ...]]]] = {one.metric: {} for one in definitions}
    for name, (plan, batches) in parts.items():
        with duckdb.connect(":memory:", config={"threads": 1}) as engine:
            load(engine, "sealed", _rows(plan, batches))
            for kind in dict.fromkeys(one.window for one in definitions):
                for window in dict.fromkeys(Window.containing(kind, one.start_hour) for one in windows):
                    engine.execute(f"CREATE OR REPLACE TABLE window_rows AS {deduplicate_sql('sealed', window)}")
                    for definition in definitions:
                        if definition.window != kind:
                            continue
                        layout = compile_layout(definition, window)
                        binding = bind(definition, layout, {1: plan})
                        if isinstance(binding, Binding):
                            found = engine.execute(binding.sql, Binding.parameters(SALT)).fetchall()
                            mine = vectors[definition.metric].setdefault(window, {})
                            mine[name] = tuple(layout.vector(found))
    start = min(window.start_hour for found in vectors.values() for window in found)
    who = tuple(Contributor(node_id(name), name, f"{name}-org", start) for name in parts)
    return Federation(who, tuple(Truths(one, vectors[one.metric]) for one in definitions if vectors[one.metric]))


def _rows(plan: Plan, batches: Sequence[Batch]) -> list[Row]:
    """Every event that the filter lets through."""
    filter_, declared, pseudonyms = Filter(plan, 1), Declared(plan), Pseudonyms(bytes(32), random.Random(1).randbytes)
    rows: list[Row] = []
    for batch in batches:
        if batch.content_type != "application/json" or batch.headers:
            continue  # hostile lines and people who asked not to be counted: other tests' business
        for position, sent in enumerate(decode_body(batch.body, declared)):
            if isinstance(sent, tuple):
                outcome = filter_.apply(sent[1], Signals(), lambda hour: pseudonyms, position, batch.key)
                if isinstance(outcome, tuple) and not isinstance(outcome, Filtered):
                    rows.append(outcome)
    return rows
