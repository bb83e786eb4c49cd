"""The vault: the only place where events rest, sealed, from the filter until their window is bounded.

Rules (specs/vault.md, DESIGN 4 and 5):
- `append` returns when the rows are durable; what was not returned was not acknowledged.
- Hold `gate` from `admit_hour` to `append`: then no window closes and no key goes in between.
- A window closes once, by a durable record made before anything reads it for a release.
- An epoch's keys are made once. A destroyed or finished epoch takes no row again, whatever crashes or is restored:
  keys are made before the epoch's record and destroyed after it, and at start every key without a living record goes.
- All time comes in as an argument.
- What is done to segments besides adding to them is `upkeep`'s: compaction, forgetting, verification.

Left out on purpose: deduplication (a property of reading, `engine`), and anything that looks at what a row means.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.errors import ConfigError, RejectedInput, StorageError
from node.state import epochs as table
from node.state.database import StateDatabase
from node.state.epochs import EpochRecord, VaultStart
from node.vault import calendar
from node.vault.calendar import HOUR_S, EpochAccess, Refusal, has_key
from node.vault.disk import Disk
from node.vault.epoch_keys import EPOCH_KEY_KINDS, EpochKeyKind, EpochKeyStore, Rng
from node.vault.kept_cells import KeptShelf, source_of
from node.vault.row_columns import RowsInColumns
from node.vault.shelf import SegmentShelf
from node.vault.upkeep import NamedPerson, Upkeep, no_randomness
from node.vault.withdrawals import Withdrawals, delete_withdrawals
from privacy.person_key import Pseudonyms, kind_code
from privacy.rows import Row
from privacy.units import (
    EpochLength,
    Window,
    WindowKind,
    epoch_of,
    window_lies_in_one_epoch,
    windows_between,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from node.vault.frames import DecodedFrame
    from node.vault.opened import OpenedRows

Caps = Callable[[Window], tuple[int, int]]  # epoch -> (rho in 10^-9, delta in 10^-18)

CACHE_BYTES: Final = 64 << 20  # the last epoch read, so that its 25 windows open it once
_MAX_ANSWERS: Final = 4096  # remembered answers of admit_hour


class EpochClosed(StorageError):
    """The epoch's data key is destroyed: its rows are gone, for ever."""

    code = "epoch_closed"


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one epoch as they rest: in which segments, frame by frame."""

    epoch: str
    digest: bytes


class VaultWindow:
    """One window of a vault, for the engine: see `Vault.window`."""

    def __init__(self, vault: Vault, window: Window) -> None:
        self._vault = vault
        self._window = window
        self._source: Source | None = None

    def rows(self) -> OpenedRows:
        rows, self._source = self._vault.open_rows(self._window)
        return rows

    def load(self, amounts: str) -> pa.Table | None:
        return self._vault.load_cells(self._window, amounts)

    def save(self, amounts: str, cells: pa.Table) -> None:
        if self._source is not None:
            self._vault.save_cells(self._window, amounts, self._source, cells)


class Vault:
    """The events of one node. Call `recover` once before anything else; safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        database: StateDatabase,
        *,
        master_key: bytes,
        node_id: bytes,
        length: EpochLength,
        caps: Caps,
        rng: Rng,
        backfill_from_hour: int | None = None,
        window_kinds: Iterable[WindowKind] = (),
        on_epoch: Callable[[sqlite3.Connection, EpochRecord], None] = lambda _connection, _record: None,
        disk: Disk | None = None,
        cache_bytes: int = CACHE_BYTES,
        retiring_master: bytes | None = None,
    ) -> None:
        """Args:
        folder: The data folder; `epochs/` and `segments/` are made in it.
        master_key: 32 bytes that wrap the epoch keys.
        node_id: 32 bytes, bound into each wrapped key.
        length: Length of the epochs; fixed by the first start.
        caps: Called once an epoch, when its keys are made.
        backfill_from_hour: First hour of history to take in, or None; fixed by the first start.
        window_kinds: Kinds of window some metric has; `set_window_kinds` changes them.
        on_epoch: Called with each new epoch's record inside the transaction that makes it, with its connection.
        """
        disk = disk or Disk()
        self.gate = threading.RLock()
        self.releasing = threading.RLock()  # held from reading a window to the last entry made of it; the first of all
        self._files = threading.RLock()  # held while segment files are read or rewritten; taken before the gate
        self._database = database
        self._length = length
        self._caps = caps
        self._backfill_from_hour = backfill_from_hour
        self._kinds = tuple(window_kinds)
        self._on_epoch = on_epoch
        self._keys = EpochKeyStore(
            folder / "epochs",
            master_key=master_key,
            node_id=node_id,
            rng=rng,
            disk=disk,
            retiring_master=retiring_master,
        )
        self._shelf = SegmentShelf(
            folder / "segments", database, data_key=lambda e: self._keys.load(e, "data"), rng=rng, disk=disk
        )
        self._withdrawals = Withdrawals(database, lambda epoch: self._keys.load(epoch, "pseudonym"), rng)
        self._start: VaultStart | None = None
        self._epochs: dict[Window, EpochRecord] = {}
        self._closed: set[Window] = set()
        self._answers: dict[tuple[int, int, bool], EpochAccess | Refusal] = {}
        self._first_open: dict[WindowKind, int] = {}  # every window of the kind before this hour has closed
        self._cache_bytes = cache_bytes
        self._cached: tuple[object, list[DecodedFrame]] | None = None
        self.kept = KeptShelf(
            folder / "segments",
            database,
            data_key=lambda e: self._keys.load(e, "data"),
            rng=rng,
            disk=disk,
            remove_marked=self._shelf.remove_marked,
        )
        self.upkeep = Upkeep(
            gate=self.gate,
            files=self._files,
            releasing=self.releasing,
            shelf=self._shelf,
            kept=self.kept,
            keys=self._keys,
            records=lambda: self._epochs.values(),
            changed=self.drop_cache,
        )

    def recover(self, now_s: float) -> None:
        """Read what is true and finish what a crash interrupted; at the first start, record it.

        Raises:
            ConfigError: the epoch length or `[backfill] from` is not what the first start recorded.
            SegmentDamaged, StorageError: something acknowledged cannot be read any more.
        """
        with self.gate:
            self._start = self._recover_start(now_s)
            self._epochs = {record.epoch: record for record in table.load_epochs(self._database)}
            self._closed = set(table.load_closed_windows(self._database))
            self._keys.keep_only(
                [(r.epoch.text, kind) for r in self._epochs.values() for kind in EPOCH_KEY_KINDS if has_key(r, kind)]
            )
            with_segments = {segment.epoch for segment in table.load_segments(self._database)}
            for record in self._epochs.values():
                if record.data_destroyed_at is not None and record.epoch.text in with_segments:
                    self._shelf.remove_epoch(record.epoch.text)
            for record in self._epochs.values():
                for kind in EPOCH_KEY_KINDS:
                    if has_key(record, kind):
                        self._keys.load(record.epoch.text, kind)  # a lost key is found now, not when it is needed
            self._withdrawals.recover([r.epoch.text for r in self._epochs.values() if has_key(r, "pseudonym")])
            self.kept.recover()
            self._shelf.recover()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def set_window_kinds(self, kinds: Iterable[WindowKind]) -> None:
        """Say which kinds of window the metrics have now; an hour is `late` once all of its own have closed."""
        with self.gate:
            self._kinds = tuple(kinds)
            self._answers.clear()

    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess | Refusal:
        """Whether an event of this hour may be stored now, and the key that makes its pseudonyms.

        Makes the epoch's keys when the first event of the epoch comes. `backfill`: the sender's key has that scope.
        Raises StorageError when the keys cannot be made or read.
        """
        with self.gate:
            answer = self._answers.get((hour, now_hour, backfill))
            if answer is None:
                answer = self._admit(hour, now_hour, backfill)
                if len(self._answers) >= _MAX_ANSWERS:
                    self._answers.clear()
                self._answers[hour, now_hour, backfill] = answer
            return answer

    def append(self, rows_by_epoch: Mapping[Window, Sequence[Row] | RowsInColumns], plan_slots: int) -> None:
        """Seal rows (tuples in the order of privacy/rows.py, `12 + plan_slots` or all columns wide); durable on return.

        Raises:
            ValueError: a row does not fit its columns; nothing was written.
            StorageError: nothing counts as acknowledged. With `fatal`, the caller ends the process.
        """
        with self.gate:
            rows = {epoch: part for epoch, part in rows_by_epoch.items() if part}
            for epoch in rows:
                record = self._epochs.get(epoch)
                if record is None or calendar.is_ended(record):
                    raise StorageError(
                        code="epoch_closed",
                        what=f"Events of epoch {epoch.text} were not stored",
                        why="it takes no rows (any more)",
                        fix="Ask admit_hour and append under one hold of the gate",
                    )
            self._shelf.append({epoch.text: part for epoch, part in rows.items()}, plan_slots)

    def withdraw(
        self,
        said: Sequence[tuple[Sequence[NamedPerson], frozenset[str]]],
        now_s: float,
        *,
        is_given: bool = False,
        is_public: bool = False,
    ) -> Window:
        """Hold that persons withdrew consent to purposes or, `is_given`, gave it again; all in one, durable on return.

        It holds in every epoch that takes rows now: those begun, and those that an event could begin now. Returns the
        running epoch; what begins after it knows nothing of these persons. Raises as `Withdrawals.add`.
        """
        with self.gate:
            now_hour = int(now_s // HOUR_S)
            self._begin_what_could(now_hour)
            found: dict[str, list[tuple[int, frozenset[str]]]] = {}
            for record in self._epochs.values():
                if calendar.is_ended(record):
                    continue
                names = Pseudonyms(self._keys.load(record.epoch.text, "pseudonym"), no_randomness)
                pairs = found[record.epoch.text] = []
                for persons, purposes in said:
                    for one in persons:
                        pairs.append((names.person(kind_code(one.kind), one.id), purposes))
                        if one.kind == "session":
                            pairs.append((names.session(one.id), purposes))
            self._withdrawals.add(found, is_given=is_given, is_public=is_public)
            return epoch_of(self._length, now_hour)

    def withdrawn_by(self, persons: Sequence[NamedPerson]) -> dict[Window, frozenset[str]]:
        """What these persons withdrew, by epoch, where anything is held."""
        with self.gate:
            found: dict[Window, frozenset[str]] = {}
            for record in self._epochs.values():
                if has_key(record, "pseudonym") and (held := self._withdrawals.of(record.epoch.text)):
                    names = Pseudonyms(self._keys.load(record.epoch.text, "pseudonym"), no_randomness, held)
                    theirs = [names.withdrawn_by(names.person(kind_code(one.kind), one.id), None) for one in persons]
                    if any(theirs):
                        found[record.epoch] = frozenset().union(*theirs)
            return found

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def read(self, window: Window) -> pa.Table:
        """Every stored row of the window's hours, with all ROW_COLUMNS, not deduplicated, in no stated order.

        Raises:
            EpochClosed: the window touches an epoch whose data key is destroyed.
            SegmentDamaged: a sealed frame is not what was written.
        """
        from node.vault.frames import table_of

        return table_of(self.window(window).rows().frames)

    def window(self, window: Window) -> VaultWindow:
        """What rests of the window, for a release: its rows, opened when they are first asked for, and kept cells.

        Raises:
            EpochClosed: the window touches an epoch whose data key is destroyed.
        """
        with self.gate:
            for epoch in self._epochs_of(window):
                self._refuse_destroyed(epoch, window)
        return VaultWindow(self, window)

    def open_rows(self, window: Window) -> tuple[OpenedRows, Source | None]:
        """The window's rows, and what they were read from where kept cells may be made of them; raises like `read`."""
        from node.vault.opened import OpenedRows, coalesced

        with self._files:
            with self.gate:
                epochs = self._epochs_of(window)
                for epoch in epochs:
                    self._refuse_destroyed(epoch, window)
                source = self._source(window)
                sealed = [part for epoch in epochs for part in self._shelf.sealed(epoch.text)]
                known = [(part.segment.id, part.extent.frames) for part in sealed]
                cached = self._cached
            if cached is not None and cached[0] == known:
                frames = cached[1]
            else:
                self._cached = None  # let go of the old ones before the new ones are opened
                frames = list(coalesced(frame for part in sealed for frame in part.frames()))
                if sum(frame.nbytes for frame in frames) <= self._cache_bytes:
                    self._cached = (known, frames)
            is_cached = self._cached is not None
        whole = all(window.start_hour <= e.start_hour and e.end_hour <= window.end_hour for e in epochs)
        return OpenedRows(list(frames) if is_cached else frames, None if whole else window), source

    def load_cells(self, window: Window, amounts: str) -> pa.Table | None:
        """The cells kept of the window's rows as they are now, for this query; None without any."""
        with self._files:
            with self.gate:
                source = self._source(window)
            return None if source is None else self.kept.load(window.text, amounts, source.digest)

    def save_cells(self, window: Window, amounts: str, source: Source, cells: pa.Table) -> None:
        """Keep the cells made of these rows, where those are still the window's."""
        with self._files:
            with self.gate:
                is_same = self._source(window) == source
            if is_same:
                self.kept.save(source.epoch, window.text, amounts, source.digest, cells)

    def _source(self, window: Window) -> Source | None:
        """What the window's rows rest in; None while they may still become more, or where no rows can be."""
        epochs = self._epochs_of(window)
        if len(epochs) != 1 or self._epochs[epochs[0]].data_destroyed_at is not None:
            return None
        (epoch,) = epochs
        takes_rows = not calendar.is_ended(self._epochs[epoch]) and not (window == epoch and window in self._closed)
        extents = self._shelf.extents(epoch.text)
        return None if takes_rows or not extents else Source(epoch.text, source_of(extents))

    def _refuse_destroyed(self, epoch: Window, window: Window) -> None:
        if self._epochs[epoch].data_destroyed_at is not None:
            raise EpochClosed(
                what=f"Window {window.text} cannot be read",
                why=f"the data key of epoch {epoch.text} was destroyed when its retention ended",
                fix="Ask for a later window",
            )

    def drop_cache(self) -> None:
        """Let go of the rows kept from the last `read`; call it when a round of releases is done."""
        self._cached = None

    # ── windows ──────────────────────────────────────────────────────────────────────────────────────────

    def due_windows(self, kinds: Iterable[WindowKind], now_s: float, *, clock_trusted: bool = True) -> list[Window]:
        """The windows of these kinds that may close now, by end, start and kind; none while the clock is in doubt."""
        if not clock_trusted:
            return []
        with self.gate:
            found: list[Window] = []
            for kind in set(kinds):
                found += self._due_of_kind(kind, now_s)
            return sorted(found, key=lambda window: (window.end_hour, window.start_hour, window.kind))

    def close_window(self, window: Window, now_s: float) -> None:
        """Close one window, durably: from now on its hours take rows only for longer windows."""
        self.close_windows([window], now_s)

    def close_windows(self, windows: Collection[Window], now_s: float) -> None:
        """Close windows in one transaction. Each gets a record of its epoch, so that it can be charged."""
        with self.gate:
            fresh = [window for window in windows if window not in self._closed]
            for window in fresh:
                if window_lies_in_one_epoch(window, self._length):
                    self._ensure_epoch(epoch_of(self._length, window.start_hour), now_s)
            with self._database.transaction() as connection:
                table.insert_closed_windows(connection, fresh, int(now_s))
            self._closed.update(fresh)
            self._answers.clear()

    def is_closed(self, window: Window) -> bool:
        with self.gate:
            return window in self._closed

    def closed_windows(self) -> list[Window]:
        """All closed windows, by end, start and kind."""
        with self.gate:
            return sorted(self._closed, key=lambda window: (window.end_hour, window.start_hour, window.kind))

    # ── the life of epochs ───────────────────────────────────────────────────────────────────────────────

    def epoch_record(self, epoch: Window) -> EpochRecord | None:
        """What is known of an epoch; None while it has not begun here.

        Takes no lock: a release asks inside a transaction, and whoever begins an epoch takes the gate first and the
        database after. A record is never changed, and one look into a dict sees the old one or the new one.
        """
        return self._epochs.get(epoch)

    def finish_backfill(self, through_day: Window, now_s: float) -> list[Window]:
        """End history through this day, durably: its epochs take no row any more, its windows may close.

        Returns the epochs finished now; those without a row get a record, so that empty windows release too.

        Raises:
            RejectedInput: there is no history, the day is not in it, or no whole epoch ends by then.
        """
        with self.gate:
            start = self._started()
            end = self._last_boundary(start, through_day)
            begun = max(start.finished_hour or 0, start.backfill_from_hour or 0)
            finished = list(windows_between(self._length, begun, end))
            created = [self._keyless(epoch, now_s) for epoch in finished if epoch not in self._epochs]
            ended = [self._epochs[epoch] for epoch in finished if epoch in self._epochs]
            if not finished:
                return []
            with self._database.transaction() as connection:
                for record in created:
                    self._insert_epoch(connection, record)
                for record in ended:
                    table.mark_finished(connection, record.epoch.text, int(now_s))
                table.set_finished_hour(connection, end)
            self._start = replace(start, finished_hour=end)
            for record in created:
                self._epochs[record.epoch] = record
            for record in ended:
                self._epochs[record.epoch] = replace(record, finished_at=int(now_s))
            self._answers.clear()
            for record in ended:
                self._shelf.end_epoch(record.epoch.text)
            return finished

    def destroy_due_keys(self, now_s: float, *, clock_trusted: bool = True) -> list[tuple[Window, EpochKeyKind]]:
        """Destroy every key whose time has come, and with a data key the epoch's segments.

        Recorded first, then done: after a crash in between `recover` does it. Nothing is due while the clock is in
        doubt. Returns what was destroyed.
        """
        if not clock_trusted:
            return []
        with self._files, self.gate:
            due = [(r.epoch, kind) for r in self._epochs.values() for kind in calendar.keys_due(r, now_s)]
            if not due:
                return []
            for epoch, kind in due:
                if kind == "pseudonym":
                    self._shelf.end_epoch(epoch.text)
            with self._database.transaction() as connection:
                for epoch, kind in due:
                    table.mark_destroyed(connection, epoch.text, kind, int(now_s))
                    if kind == "pseudonym":
                        delete_withdrawals(connection, epoch.text)
            for epoch, kind in due:
                record = self._epochs[epoch]
                self._epochs[epoch] = (
                    replace(record, pseudonym_destroyed_at=int(now_s))
                    if kind == "pseudonym"
                    else replace(record, data_destroyed_at=int(now_s))
                )
            self._answers.clear()
            self._cached = None
            for epoch, kind in due:
                self._keys.destroy(epoch.text, kind)
                if kind == "pseudonym":
                    self._withdrawals.drop(epoch.text)
                if kind == "data":
                    self._shelf.remove_epoch(epoch.text)
            return due

    def close(self) -> None:
        """End every open segment with its footer; the last call."""
        with self.gate:
            self._shelf.close()
            self._cached = None

    # ── inside, all under the gate ───────────────────────────────────────────────────────────────────────

    def _recover_start(self, now_s: float) -> VaultStart:
        start = table.load_start(self._database)
        wanted = self._backfill_from_hour
        if start is None:
            if wanted is not None and epoch_of(self._length, wanted).start_hour != wanted:
                raise ConfigError(
                    code="backfill_boundary",
                    what="[backfill] from is refused",
                    why=f"no {self._length} epoch begins on that date",
                    fix="Give the first day of the epoch: a Monday for weeks, the first of a month for months",
                )
            start = calendar.first_start(self._length, wanted, now_s)
            with self._database.transaction() as connection:
                table.insert_start(connection, start, int(now_s))
        if start.length != self._length:
            raise ConfigError(
                code="epoch_length_changed",
                what=f"The epoch length {self._length} is refused",
                why=f"this node began with {start.length} epochs, and epochs tile time",
                fix=f'Write epoch = "{start.length}" in node.toml',
            )
        if wanted not in (None, start.backfill_from_hour) and (wanted or 0) < start.live_from_hour:
            raise ConfigError(
                code="backfill_moved",
                what="[backfill] from was changed",
                why="it is recorded at the first start, and windows since then were released by it",
                fix="Put the old date back, or take the setting out",
            )
        return start

    def _started(self) -> VaultStart:
        if self._start is None:
            raise RuntimeError("recover() comes first")
        return self._start

    def _admit(self, hour: int, now_hour: int, backfill: bool) -> EpochAccess | Refusal:
        if hour < 0 or hour > now_hour + calendar.AHEAD_HOURS:  # beyond what a calendar can hold, too
            return Refusal("timestamp_out_of_range")
        start = self._started()
        epoch = epoch_of(self._length, hour)
        code = calendar.refusal(
            hour,
            now_hour,
            is_backfill_key=backfill,
            start=start,
            record=self._epochs.get(epoch),
            closed=self._closed,
            kinds=self._kinds,
        )
        if code is not None:
            return Refusal(code)
        if epoch not in self._epochs:
            self._begin_epoch(epoch, now_hour * HOUR_S)
        key = self._keys.load(epoch.text, "pseudonym")
        return EpochAccess(epoch, key, self._withdrawals.of(epoch.text))

    def _begin_what_could(self, now_hour: int) -> None:
        """Begin every epoch that an event could begin now."""
        hours = range(now_hour - calendar.GRACE_HOURS, now_hour + calendar.AHEAD_HOURS + 1)
        for hour in hours:
            if hour >= 0 and epoch_of(self._length, hour) not in self._epochs:
                self._admit(hour, now_hour, backfill=False)

    def _begin_epoch(self, epoch: Window, now_s: float) -> None:
        """Make the keys, then the record: a crash in between leaves keys that nothing was sealed with."""
        record = self._record(epoch, now_s)
        self._keys.create(epoch.text)
        with self._database.transaction() as connection:
            self._insert_epoch(connection, record)
        self._epochs[epoch] = record

    def _ensure_epoch(self, epoch: Window, now_s: float) -> None:
        """A record for an epoch whose window closes: with keys while rows may still come, else without."""
        if epoch in self._epochs:
            return
        if epoch.end_hour + calendar.GRACE_HOURS > now_s / HOUR_S:
            self._begin_epoch(epoch, now_s)
            return
        record = self._keyless(epoch, now_s)
        with self._database.transaction() as connection:
            self._insert_epoch(connection, record)
        self._epochs[epoch] = record

    def _insert_epoch(self, connection: sqlite3.Connection, record: EpochRecord) -> None:
        table.insert_epoch(connection, record)
        self._on_epoch(connection, record)

    def _record(self, epoch: Window, now_s: float) -> EpochRecord:
        rho_nano, delta_atto = self._caps(epoch)
        is_backfill = self._started().is_history(epoch.start_hour)
        return EpochRecord(epoch, rho_nano, delta_atto, is_backfill, is_keyless=False, created_at=int(now_s))

    def _keyless(self, epoch: Window, now_s: float) -> EpochRecord:
        record = self._record(epoch, now_s)
        finished_at = int(now_s) if record.is_backfill else None
        return replace(record, is_keyless=True, finished_at=finished_at, pseudonym_destroyed_at=int(now_s))

    def _last_boundary(self, start: VaultStart, through_day: Window) -> int:
        """End of the last whole epoch of history that ends by the end of the day."""
        first = start.backfill_from_hour
        why = ""
        if first is None:
            why = "this node takes in no history"
        elif through_day.end_hour > start.live_from_hour:
            why = f"history ends before {start_text(start.live_from_hour)}; later days close by the clock"
        elif through_day.end_hour <= first:
            why = f"history begins on {start_text(first)}"
        elif epoch_of(self._length, first).end_hour > through_day.end_hour:
            why = f"no whole {self._length} epoch ends by then"
        if why or first is None:
            raise RejectedInput(
                code="backfill_range",
                what=f"The backfill was not finished through {start_text(through_day.start_hour)}",
                why=why,
                fix="Name the last day of the history you sent",
            )
        last = epoch_of(self._length, through_day.start_hour)
        return last.end_hour if last.end_hour <= through_day.end_hour else last.start_hour

    def _due_of_kind(self, kind: WindowKind, now_s: float) -> list[Window]:
        start = self._started()
        first = start.live_from_hour if start.backfill_from_hour is None else start.backfill_from_hour
        found: list[Window] = []
        all_closed = True
        for window in calendar.windows_from(kind, self._first_open.get(kind, first), now_s):
            if window not in self._closed:
                all_closed = False
                if calendar.history_is_finished(window, start):
                    found.append(window)
            elif all_closed:
                self._first_open[kind] = window.end_hour  # closed windows are not looked at again
        return found

    def _epochs_of(self, window: Window) -> list[Window]:
        """The recorded epochs that share an hour with the window, oldest first."""
        first = epoch_of(self._length, window.start_hour)
        last = epoch_of(self._length, window.end_hour - 1)
        epochs = windows_between(self._length, first.start_hour, last.end_hour)
        return [epoch for epoch in epochs if epoch in self._epochs]


def start_text(hour: int) -> str:
    """The date of an hour, for messages."""
    return Window.containing("day", hour).text.removesuffix("/P1D")
