"""What the calendar allows: which hours may still be written, which windows may close, which keys must go.

Pure functions of records and the time; the vault acts on them. The rules (specs/vault.md 5, DESIGN 4 and 5):

- **History and live.** The first start fixes `live_from_hour`: the start of the epoch of 24 hours earlier, so that
  nothing before it could still have been open. From there on windows close by the clock. What `[backfill] from` adds
  before it is history: it takes any hour of any age from a backfill key, and ends when the operator says so.
- **A key may write** an hour from 48 hours ago to one hour ahead, in an epoch that is not over by 48 hours.
- **A window closes** at its end + `close_after`; in history once the whole window is finished. Live windows never wait
  for history.
- **Late** is an hour all of whose configured windows that can be released have closed.
- **Keys go** 48 hours (pseudonym) and 90 days (data) after the epoch's end; for history, after its finish.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from node.state.epochs import EpochRecord, VaultStart
from node.vault.epoch_keys import EpochKeyKind
from privacy.units import EpochLength, Window, WindowKind, epoch_of, window_lies_in_one_epoch
from privacy.withdrawal import NOBODY, Withdrawn

RefusalCode = Literal["late", "epoch_closed", "timestamp_out_of_range"]

GRACE_HOURS: Final = 48
AHEAD_HOURS: Final = 1  # a sender's clock may be a little fast
CLOSE_AFTER_HOURS: Final[dict[WindowKind, int]] = {"hour": 2, "day": 24, "week": 24, "month": 24}
RETENTION_HOURS: Final = 90 * 24
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class EpochAccess:
    """The hour may be written: its epoch, the key that makes pseudonyms in it, and what persons withdrew in it."""

    epoch: Window
    pseudonym_key: bytes = field(repr=False)
    withdrawn: Withdrawn = field(default_factory=lambda: NOBODY, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The hour may not be written, and the filter reason or reject code to answer."""

    code: RefusalCode


def first_start(length: EpochLength, backfill_from_hour: int | None, now_s: float) -> VaultStart:
    """What a first start at `now_s` records. `backfill_from_hour` is an epoch's boundary or None."""
    live_from = epoch_of(length, int(now_s // HOUR_S) - 24).start_hour
    if backfill_from_hour is not None and backfill_from_hour >= live_from:
        backfill_from_hour = None  # all of it is live
    return VaultStart(length, backfill_from_hour, live_from)


def refusal(
    hour: int,
    now_hour: int,
    *,
    is_backfill_key: bool,
    start: VaultStart,
    record: EpochRecord | None,
    closed: Collection[Window],
    kinds: Iterable[WindowKind],
) -> RefusalCode | None:
    """Why `hour` may not be written now, or None. `record` is that of the hour's epoch, `kinds` the configured."""
    if record is not None and is_ended(record):
        return "epoch_closed"
    if hour > now_hour + AHEAD_HOURS:
        return "timestamp_out_of_range"
    is_recent = hour >= now_hour - GRACE_HOURS
    if start.is_history(hour):
        if start.finished_hour is not None and hour < start.finished_hour:
            return "epoch_closed"
        if not is_backfill_key and not is_recent:
            return "timestamp_out_of_range"
    else:
        if record is not None and record.epoch.end_hour + GRACE_HOURS <= now_hour:
            return "epoch_closed"
        if not is_recent:
            return "timestamp_out_of_range"
        if hour < start.live_from_hour:
            return "late"  # its windows would have closed before this node began
    windows = [Window.containing(kind, hour) for kind in kinds]
    released = [window for window in windows if window_lies_in_one_epoch(window, start.length)]
    if released and all(window in closed for window in released):
        return "late"
    return None


def is_ended(record: EpochRecord) -> bool:
    """Whether the epoch takes no row ever again."""
    return (
        record.finished_at is not None
        or record.pseudonym_destroyed_at is not None
        or record.data_destroyed_at is not None
    )


def has_key(record: EpochRecord, kind: EpochKeyKind) -> bool:
    """Whether the record says that this key exists."""
    destroyed = record.pseudonym_destroyed_at if kind == "pseudonym" else record.data_destroyed_at
    return not record.is_keyless and destroyed is None


def windows_from(kind: WindowKind, hour: int, now_s: float) -> Iterator[Window]:
    """Windows of the kind that begin at or after `hour` and whose `close_after` has passed, oldest first."""
    window = Window.containing(kind, hour)
    if window.start_hour < hour:
        window = window.next
    while (window.end_hour + CLOSE_AFTER_HOURS[kind]) * HOUR_S <= now_s:
        yield window
        window = window.next


def history_is_finished(window: Window, start: VaultStart) -> bool:
    """Whether the part of the window that lies in history, if any, is finished."""
    if not start.is_history(window.start_hour):
        return True
    return (start.finished_hour or 0) >= min(window.end_hour, start.live_from_hour)


def keys_due(record: EpochRecord, now_s: float) -> list[EpochKeyKind]:
    """The keys of this epoch that must go now."""
    if record.is_backfill:
        if record.finished_at is None:
            return []
        over_s: float = record.finished_at
    else:
        over_s = record.epoch.end_hour * HOUR_S
    due: list[EpochKeyKind] = []
    if record.pseudonym_destroyed_at is None and over_s + GRACE_HOURS * HOUR_S <= now_s:
        due.append("pseudonym")
    if record.data_destroyed_at is None and over_s + RETENTION_HOURS * HOUR_S <= now_s:
        due.append("data")
    return due
