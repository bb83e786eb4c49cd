"""Four real event logs instead of made-up platforms (`--data DIR`): one Parquet file, one node.

The logs are old and of different years. So that they share one window, every row's date is folded into the first 28
days of the last month that is over: the weekday stays, the week becomes the original one modulo four, the time of day
stays. Nothing else is changed, and nothing is copied: a row becomes an event of the universal form, and that is all.

Ids get the log's name in front: an id of six characters would be found everywhere by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from node.demo.crowd import DAY_MS, Ints, iso_texts
from node.demo.play import BATCH, Batch, Play, Texts, json_list

FOLDED_DAYS: Final = 28  # four whole weeks, in every month
_MONDAY: Final = 3  # days from a Monday to 1970-01-01


@dataclass(frozen=True, slots=True)
class Log:
    """One file: its name without `.parquet` is its node's, its plan's and its platform's name."""

    name: str
    does: str
    app: str
    columns: tuple[str, ...]  # beside user_id, ts, event, country and value
    attributes: Callable[[str, Any, Mapping[str, Any]], str]  # (action, value, other columns) -> JSON members


def _named(key: str) -> Callable[[str, Any, Mapping[str, Any]], str]:
    return lambda action, value, row: f'"{key}":{value}'


def _booking(action: str, value: Any, row: Mapping[str, Any]) -> str:
    paid = f'"stay_value":{value},' if action == "book" else ""
    return f'{paid}"channel":"{row["channel"]}"'


def _visit(action: str, value: Any, row: Mapping[str, Any]) -> str:
    return f'"response_bytes":{value},"bot":{"true" if row["bot"] else "false"}'


LOGS: Final = (
    Log("shop-orders", "a web shop, one event an invoice", "orders", (), _named("order_value")),
    Log("hotel-city", "travel bookings", "bookings", ("channel",), _booking),
    Log("wiki-edits", "one day of a wiki, bots and all", "edits", (), _named("bytes_added")),
    Log("web-log", "a plain web site", "visits", ("bot",), _visit),
)


def log_path(folder: Path, log: Log) -> Path:
    """Where the log's file is expected."""
    return folder / f"{log.name}.parquet"


def folded_month(today: date) -> date:
    """First day of the last month that ended more than 24 hours before `today` begins."""
    last = (today - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    return last.replace(day=1)


def fold_days(days: Ints, month: date) -> Ints:
    """Days since 1970-01-01, each moved to a day of equal weekday among the first 28 of the month."""
    first = (month - date(1970, 1, 1)).days
    weekday = (days + _MONDAY) % 7
    week = (days + _MONDAY) // 7 % 4
    offset = (weekday - (first + _MONDAY) % 7) % 7
    folded: Ints = first + offset + 7 * week
    return folded


def make_log_play(log: Log, folder: Path, month: date) -> Play:
    """Read a log and write it as requests.

    Raises:
        OSError, pyarrow.ArrowInvalid: the file is missing or is not Parquet.
        KeyError: it lacks a column.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(log_path(folder, log))
    columns = {name: table[name].to_pylist() for name in ("user_id", "event", "country", "value", *log.columns)}
    time_ms = table["ts"].cast("timestamp[ms]").to_numpy().astype(np.int64)
    time_ms = fold_days(time_ms // DAY_MS, month) * DAY_MS + time_ms % DAY_MS
    order = np.argsort(time_ms, kind="stable").tolist()
    times = iso_texts(time_ms)
    persons = [f"{log.name}:{user}" for user in columns["user_id"]]
    ids = [f"{log.name}/{row:08d}" for row in range(len(order))]
    lines = []
    for row in order:
        action, country = columns["event"][row], columns["country"][row] or ""
        others = {name: columns[name][row] for name in log.columns}
        attributes = log.attributes(action, columns["value"][row], others)
        lines.append(
            f'{{"app":"{log.app}","action":"{action}","attributes":{{{attributes}}},"timestamp":"{times[row]}",'
            f'"geo_hint":"{country}","user_id":"{persons[row]}","event_id":"{ids[row]}"}}'
        )
    people = sorted(set(persons))
    texts = Texts(ids, people, [], times, time_ms)
    batches: list[Batch] = [json_list(lines[start : start + BATCH]) for start in range(0, len(lines), BATCH)]
    return Play(log.name, len(people), batches, texts)
