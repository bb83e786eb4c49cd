"""What is played: four parts, their plans and metrics, the windows that will be released, and the day it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from node.config import EpochLength
from node.demo.logs import LOGS, folded_month, log_path, make_log_play
from node.demo.platforms import PLATFORMS
from node.demo.play import make_play
from node.demo.player import Part
from node.demo.problems import DemoFailed
from node.demo.reading import plan_apps
from node.demo.truth import Metric, parse_metric

DAYS: Final = 14  # D−15 … D−2
_HERE: Final = Path(__file__).parent
_EPOCH_START: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is fixed before the first node starts.

    Attributes:
        title: What is played, in a few words.
        parts: One per node, in the order of the ports.
        does: What each platform is, by name.
        people: What a person key is at each platform, in the plural, by name.
        plans: Tracking plan's file, by name.
        metrics_folder: The definitions.
        metrics: The definitions, read by the demo itself.
        epoch: Epoch length of every node.
        counts_from: First day of the history and of the charter's counting.
        through: Last day of the history; the backfill is finished through it.
        windows: Names of the released windows, oldest first.
        told: Names of the metrics whose answers are printed, in this order; the others are named.
    """

    title: str
    parts: tuple[Part, ...]
    does: Mapping[str, str]
    people: Mapping[str, str]
    plans: Mapping[str, Path]
    metrics_folder: Path
    metrics: tuple[Metric, ...]
    epoch: EpochLength
    counts_from: date
    through: date
    windows: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    def metric(self, name: str) -> Metric:
        return next(metric for metric in self.metrics if metric.name == name)


def platforms_stage(today: date, seed: int, scale: float) -> Stage:
    """The four made-up platforms, over fourteen days that end two days before `today` (UTC)."""
    first = today - timedelta(days=DAYS + 1)
    windows = tuple(f"{first + timedelta(days=day)}/P1D" for day in range(DAYS))
    start = (first - _EPOCH_START).days
    metrics = _metrics(_HERE / "metrics")
    plans = {platform.name: _HERE / "plans" / f"{platform.name}.yaml" for platform in PLATFORMS}
    parts = tuple(
        Part(
            platform.name,
            partial(make_play, platform, seed, start, DAYS, scale),
            plan_apps(_tree(plans[platform.name])),
            metrics,
            windows,
        )
        for platform in PLATFORMS
    )
    return Stage(
        title="four made-up platforms, two weeks of their life",
        parts=parts,
        does={platform.name: platform.does for platform in PLATFORMS},
        people={platform.name: platform.person for platform in PLATFORMS},
        plans=plans,
        metrics_folder=_HERE / "metrics",
        metrics=metrics,
        epoch="day",
        counts_from=first,
        through=today - timedelta(days=2),
        windows=windows,
        told=(
            "people",
            "people_by_country",
            "people_by_hour",
            "events_by_app",
            "runway_months",
            "tips_by_category",
            "wage_gap",
            "tool_journeys",
            "activation_funnel",
            "flourishing",
            "top_content",
        ),
    )


def logs_stage(today: date, folder: Path) -> Stage:
    """The four real logs in `folder`, folded into the last month that is over.

    Raises:
        DemoFailed: the folder or one of the files is missing.
    """
    fix = "Give --data the folder of the four Parquet logs, or leave it out"
    if not folder.is_dir():
        raise DemoFailed(f"there is no folder {folder}", fix, what="The logs cannot be read", code="logs_missing")
    missing = [log_path(folder, log).name for log in LOGS if not log_path(folder, log).is_file()]
    if missing:
        why = f"{folder} lacks {', '.join(missing)}"
        raise DemoFailed(why, fix, what="The logs cannot be read", code="logs_missing")
    month = folded_month(today)
    windows = (f"{month}/P1M",)
    metrics = _metrics(_HERE / "logs" / "metrics")
    plans = {log.name: _HERE / "logs" / "plans" / f"{log.name}.yaml" for log in LOGS}
    parts = tuple(
        Part(log.name, partial(make_log_play, log, folder, month), plan_apps(_tree(plans[log.name])), metrics, windows)
        for log in LOGS
    )
    return Stage(
        title="four real logs, folded into one month",
        parts=parts,
        does={log.name: log.does for log in LOGS},
        people={log.name: "users" for log in LOGS},
        plans=plans,
        metrics_folder=_HERE / "logs" / "metrics",
        metrics=metrics,
        epoch="month",
        counts_from=month,
        through=(month + timedelta(days=31)).replace(day=1) - timedelta(days=1),
        windows=windows,
        told=(
            "people",
            "people_by_country",
            "people_by_app",
            "events_by_action",
            "stay_value",
            "order_value",
            "weekly_return",
        ),
    )


def _metrics(folder: Path) -> tuple[Metric, ...]:
    return tuple(parse_metric(_tree(file)) for file in sorted(folder.glob("*.yaml")))


def _tree(file: Path) -> dict[str, Any]:
    """A YAML file with texts as its only scalars. Not `node.yaml`: the truth reads for itself."""
    import yaml

    tree: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - texts only
    return tree
