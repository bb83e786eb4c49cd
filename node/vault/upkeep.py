"""Work on what rests in the vault: compaction, forgetting, export, verification, a new master key.

Rules (specs/vault.md 3.9, 3.10 and 7):
- Segments are never changed: new ones are written whole, one transaction switches, then the old files are overwritten
  and unlinked. The gate is held for the switch only, so events come in meanwhile.
- `files` is held wherever a segment's file is read, rewritten or removed; lock order: files, gate, state database.
- A person is looked for under the pseudonym key, so in no epoch whose pseudonym key is gone: there nobody can tell
  whose a row is, not even this node.
- Counts of rows leave only in what is returned here; the operator plane alone may show them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from node.state.epochs import EpochRecord
from node.vault import calendar
from node.vault.compaction import MANY_FRAMES, SOME_FRAMES, to_compact
from node.vault.epoch_keys import EPOCH_KEY_KINDS, EpochKeyStore
from node.vault.kept_cells import KeptShelf
from node.vault.segments import SegmentDamaged, SegmentId
from node.vault.shelf import Sealed, SegmentShelf
from node.vault.verifying import Damage, damaged_keys, damages_of
from privacy.person_key import Pseudonyms, kind_code
from privacy.rows import ROW_COLUMNS, ROW_NAMES, PersonKind, Row
from privacy.units import Window

if TYPE_CHECKING:
    from node.vault.frames import ArrayColumn
    from node.vault.rewriting import Persons

_HOUR: Final = ROW_NAMES.index("hour")


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """A person as a sender named them: the kind of id, and the id. Never logged, never in an answer."""

    kind: PersonKind
    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search for persons came to.

    Args:
        rows_by_day: Stored events of theirs by UTC day; days without are left out.
        epochs: The epochs searched.
        out_of_reach: Epochs with events that nobody can tie to a person any more.
    """

    rows_by_day: Mapping[Window, int]
    epochs: Sequence[Window]
    out_of_reach: Sequence[Window]


class Upkeep:
    """What the vault does with sealed segments besides adding to them. Safe to use from several threads."""

    def __init__(
        self,
        *,
        gate: threading.RLock,
        files: threading.RLock,
        releasing: threading.RLock,
        shelf: SegmentShelf,
        kept: KeptShelf,
        keys: EpochKeyStore,
        records: Callable[[], Iterable[EpochRecord]],
        changed: Callable[[], None],
    ) -> None:
        """Args:
        records: The epochs, read under the gate.
        changed: Called after rows were taken out, to let go of what was read before.
        """
        self._gate = gate
        self._files = files
        self._releasing = releasing
        self._shelf = shelf
        self._kept = kept
        self._keys = keys
        self._records = records
        self._changed = changed
        self._damaged: set[Window] = set()
        self.many_frames = MANY_FRAMES  # tests of few frames lower it

    # ── compaction ───────────────────────────────────────────────────────────────────────────────────────

    def compact(self) -> bool:
        """One step: merge small frames of one epoch into full ones, every row kept. False when none is worth it.

        Reads at most some 40 MB of segments; raises StorageError and leaves all as it was when the disk fails. An epoch
        with a damaged segment is left alone from then on: reading and `verify` name the damage.
        """
        with self._files:
            with self._gate:
                records = [r for r in self._records() if r.data_destroyed_at is None and r.epoch not in self._damaged]
            for record in records:
                at_least = SOME_FRAMES if calendar.is_ended(record) else self.many_frames
                with self._gate:
                    chosen = to_compact(self._shelf.extents(record.epoch.text), at_least)
                    sources = self._ended(record.epoch, {segment.id for segment, _ in chosen}) if chosen else []
                if sources:
                    try:
                        self._rewrite(record.epoch, sources, None)
                    except SegmentDamaged:
                        self._damaged.add(record.epoch)
                    return True
        return False

    # ── persons ──────────────────────────────────────────────────────────────────────────────────────────

    def forget(self, persons: Sequence[NamedPerson], *, is_dry_run: bool = False) -> Searched:
        """Take every stored event of these persons out of every epoch whose pseudonym key exists; durable on return.

        A window that is being released is finished first: a release has all of a person's events or none, and none
        after this returned. Events that arrive after the call began are not looked for. A crash leaves some epochs done
        and others not: ask again, as nothing is taken out twice.

        Raises:
            SegmentDamaged, StorageError: the epochs before it are done.
        """
        days: Counter[Window] = Counter()
        with nullcontext() if is_dry_run else self._releasing, self._files:
            living, out_of_reach = self._reach()
            for epoch in living:
                theirs = self._pseudonyms(epoch, persons)
                with self._gate:
                    sources = self._shelf.sealed(epoch.text) if is_dry_run else self._ended(epoch)
                holding: list[Sealed] = []
                for sealed in sources:
                    found = _days_of(sealed, theirs)
                    days.update(found)
                    if found:
                        holding.append(sealed)
                for sealed in () if is_dry_run else holding:
                    self._rewrite(epoch, [sealed], theirs)
                    self._changed()
        return Searched(dict(sorted(days.items(), key=lambda day: day[0].start_hour)), living, out_of_reach)

    def rows_of(self, persons: Sequence[NamedPerson]) -> list[Row]:
        """Every stored event of these persons, repeats too, in every epoch whose pseudonym key exists; raises like
        `forget`."""
        from node.vault.rewriting import chunked, taken

        rows: list[Row] = []
        with self._files:
            for epoch in self._reach()[0]:
                theirs = self._pseudonyms(epoch, persons)
                with self._gate:
                    sources = self._shelf.sealed(epoch.text)
                for sealed in sources:
                    for columns in chunked(sealed.frames()):
                        rows += _rows(taken(columns, theirs.rows_in(columns)))
        return rows

    # ── verification ─────────────────────────────────────────────────────────────────────────────────────

    def verify(self) -> list[Damage]:
        """Open every key and every frame that the state database knows of; what is not as it was written."""
        found: list[Damage] = []
        with self._files:
            with self._gate:
                records = list(self._records())
            for record in records:
                with self._gate:
                    keys = damaged_keys(record, self._keys)
                found += keys
                if record.data_destroyed_at is None and not any(one.frame == "data key" for one in keys):
                    with self._gate:
                        sources = self._shelf.sealed(record.epoch.text)
                    for sealed in sources:
                        found += damages_of(sealed)
                    for kept in self._kept.sealed(record.epoch.text):
                        found += damages_of(kept)
        return found

    # ── the master key ───────────────────────────────────────────────────────────────────────────────────

    def wrap_again(self, master_key: bytes, retiring: bytes) -> None:
        """Wrap every epoch key with `master_key`, one file at a time; durable on return.

        After an error some are wrapped with it and some with `retiring`: call again, or start again with both.
        """
        with self._gate:
            self._keys.change_master(master_key, retiring)
            records = list(self._records())
        for record in records:
            for kind in EPOCH_KEY_KINDS:
                with self._gate:  # a key destroyed in between has no file any more
                    if any(calendar.has_key(now, kind) for now in self._records() if now.epoch == record.epoch):
                        self._keys.wrap_again(record.epoch.text, kind)
        with self._gate:
            self._keys.change_master(master_key, None)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────

    def _ended(self, epoch: Window, wanted: set[SegmentId] | None = None) -> list[Sealed]:
        """The epoch's segments, those wanted, none of them open for writing any more."""
        if wanted is None or any(segment.id in wanted for segment in self._shelf.open_segments(epoch.text)):
            self._shelf.end_epoch(epoch.text)
        return [one for one in self._shelf.sealed(epoch.text) if wanted is None or one.segment.id in wanted]

    def _rewrite(self, epoch: Window, sources: Sequence[Sealed], without: Persons | None) -> None:
        from node.vault.rewriting import merged

        slots = max(sealed.segment.slots for sealed in sources)
        frames = (frame for sealed in sources for frame in sealed.frames())
        new = self._shelf.write_new(epoch.text, slots, merged(frames, slots, without=without))
        with self._gate:
            self._shelf.switch(epoch.text, [sealed.segment.id for sealed in sources], new, keeps_rows=without is None)
        self._shelf.remove_marked()

    def _reach(self) -> tuple[list[Window], list[Window]]:
        """Epochs in which persons can be looked for, and those with rows in which they cannot."""
        with self._gate:
            records = [r for r in self._records() if calendar.has_key(r, "data")]
        living = [record.epoch for record in records if calendar.has_key(record, "pseudonym")]
        return living, [r.epoch for r in records if r.epoch not in living and self._shelf.extents(r.epoch.text)]

    def _pseudonyms(self, epoch: Window, persons: Sequence[NamedPerson]) -> Persons:
        from node.vault.rewriting import Persons

        with self._gate:
            names = Pseudonyms(self._keys.load(epoch.text, "pseudonym"), no_randomness)
        return Persons(
            {names.person(kind_code(person.kind), person.id) for person in persons},
            {names.session(person.id) for person in persons if person.kind == "session"},
        )


def _days_of(sealed: Sealed, persons: Persons) -> Counter[Window]:
    """How many rows of these persons a segment holds, by UTC day."""
    import numpy as np

    from node.vault.rewriting import chunked

    found: Counter[Window] = Counter()
    for columns in chunked(sealed.frames()):
        hours = columns[_HOUR][0][persons.rows_in(columns)]
        for day, rows in zip(*np.unique(hours // 24, return_counts=True), strict=True):
            found[Window("day", int(day) * 24)] += int(rows)
    return found


def _rows(columns: Sequence[ArrayColumn]) -> Iterator[Row]:
    """The columns as tuples."""
    import numpy as np

    values: list[list[int | None]] = []
    for (array, valid), column in zip(columns, ROW_COLUMNS, strict=True):
        found = (array.view(np.int64) if column.type == "i64" else array).tolist()
        values.append(
            found if valid is None else [one if is_valid else None for one, is_valid in zip(found, valid, strict=True)]
        )
    return zip(*values, strict=True)


def no_randomness(size: int) -> bytes:
    raise RuntimeError("nothing is drawn here")
