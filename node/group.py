"""One group of requests on its way into the vault: decoded, filtered, its rows in columns, its receipts.

What is usual goes in columns over all requests at once (`node.http.forms.quick`, `privacy.columns`); what that cannot
show to be kept is read and filtered event by event, and that has the last word. So one odd event costs more time, for
itself, and nothing else. A group is dropped as a whole: no id outlives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import structlog

from node.http.forms import quick
from node.http.forms.body import Sent, decode_body
from node.http.forms.declared import Declared
from node.http.forms.form import Form
from node.http.forms.timestamps import hours_of
from node.receipt import Receipt, ReceiptBuilder, all_accepted
from node.vault.calendar import EpochAccess, Refusal
from node.vault.row_columns import RowsInColumns
from privacy.columns import ColumnFilter, EventColumns, Kept
from privacy.filtering import (
    TIMESTAMP_OUT_OF_RANGE,
    EpochOf,
    Filter,
    Filtered,
    Rejected,
    Signals,
    is_idempotent,
)
from privacy.person_key import Pseudonyms, Rng
from privacy.rows import ATTRIBUTE_SLOTS, FIXED_COLUMNS, Row
from privacy.tracking_plan import Plan
from privacy.units import Window

log = structlog.get_logger()

_HOUR_COLUMN: Final = 4  # of a row (privacy/rows.py)
_NO_SIGNALS: Final = Signals()


class Vault(Protocol):
    """What the way in needs of the vault."""

    @property
    def gate(self) -> AbstractContextManager[object]: ...
    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess | Refusal: ...
    def append(self, rows_by_epoch: Mapping[Window, Rows], plan_slots: int) -> None: ...


class IntakePlan:
    """A tracking plan version, compiled for the way in.

    Args:
        others: The versions that hold for other hours: (from, until, version), in unix seconds, whole hours. Around the
            time when a plan begins with an epoch, each event is read by the plan of its own hour.
    """

    __slots__ = ("columns", "declared", "filter", "kind_of", "needs_address", "others", "slots")

    def __init__(self, plan: Plan, plan_number: int, others: Sequence[tuple[float, float, IntakePlan]] = ()) -> None:
        self.others = others
        self.filter = Filter(plan, plan_number)
        self.columns = ColumnFilter(plan, plan_number)
        self.declared = Declared(plan)
        self.slots: int = max([plan.slots, *(other.slots for _, _, other in others)])
        self.kind_of = {app.name: app.person_kind for app in plan.apps}
        self.needs_address: bool = any(app.person_kind == "address" for app in plan.apps) or any(
            other.needs_address for _, _, other in others
        )

    def of(self, sent: Sent) -> IntakePlan:
        """The version that holds for an event's hour; this one where it has no readable time."""
        if isinstance(sent, tuple):
            for begins_s, ends_s, other in self.others:
                if begins_s <= sent[1].timestamp_s < ends_s:
                    return other
        return self

    def own(self, hours: list[int | None]) -> list[int | None]:
        """These hours, None for each that another version holds for."""
        for begins_s, ends_s, _ in self.others:
            hours = [None if hour is None or begins_s <= hour * 3600 < ends_s else hour for hour in hours]
        return hours


# From a body, what the plan declares, and the time it came, to its events; raises as `decode_body` does.
BodyReader = Callable[[bytes, Declared, float], list[Sent]]


class Submission(msgspec.Struct, frozen=True, gc=False):
    """One request's body, with what its headers and its API key say.

    Args:
        body: As received.
        is_ndjson: One event a line.
        signals: GPC and DNT.
        idempotency_key: The header's value.
        is_backfill: The API key may write past epochs.
        address: IP and user agent, only where the plan has an app of that person kind.
        country: Where somebody more trusted than the event says it; stands in for the event's own hint.
        reader: Reads a body of another tracker's shape; None for the forms of /v1/events.
        received_s: When it came, in seconds since 1970-01-01T00Z, for shapes without timestamps.
    """

    body: bytes
    is_ndjson: bool = False
    signals: Signals = _NO_SIGNALS
    idempotency_key: str | None = None
    is_backfill: bool = False
    address: str | None = None
    country: str | None = None
    reader: BodyReader | None = None
    received_s: float = 0.0

    def __repr__(self) -> str:
        return f"Submission({len(self.body)} bytes)"


class Rows(RowsInColumns):
    """Rows of one epoch, cut after the plan's slots. `settle` before they are sealed."""

    __slots__ = ("_singles",)

    def __init__(self, slots: int) -> None:
        self.columns = [[] for _ in range(len(FIXED_COLUMNS) + slots)]
        self._singles: list[Row] = []

    def __len__(self) -> int:
        return len(self.columns[0]) + len(self._singles)

    def __iter__(self) -> Iterator[Row]:
        self.settle()
        padding = (None,) * (len(FIXED_COLUMNS) + ATTRIBUTE_SLOTS - len(self.columns))
        return (row + padding for row in zip(*self.columns, strict=True))

    def add(self, row: Row) -> None:
        self._singles.append(row)

    def extend(self, columns: Sequence[Sequence[int | None]]) -> None:
        for mine, more in zip(self.columns, columns, strict=False):
            mine += more
        for mine in self.columns[len(columns) :]:  # another plan has more slots
            mine += [None] * len(columns[0])

    def settle(self) -> Rows:
        """Put what was added row by row into the columns."""
        for mine, more in zip(self.columns, zip(*self._singles, strict=True), strict=False):
            mine += more
        self._singles.clear()
        return self


class VaultFailed(Exception):
    """The vault's own error is the cause."""


@dataclass(slots=True)
class _Batch:
    """One request whose body was decoded whole; its events stand at `start` … `stop` of its form's."""

    submission: Submission
    start: int
    stop: int
    held: list[int] = field(default_factory=list)  # positions that are left to the filter, event by event


@dataclass(slots=True)
class _Lane:
    """All requests of one form and one kind of API key that were decoded whole."""

    form: Form
    is_backfill: bool
    events: list[Any] = field(default_factory=list)  # of the form's struct
    positions: list[int] = field(default_factory=list)  # of each event in its request
    batches: list[_Batch] = field(default_factory=list)
    has_keys: bool = False  # some request brings an Idempotency-Key
    has_countries: bool = False  # some request's country is known
    all_named: bool = False  # every event brings an id


class Group:
    """Requests taken together. `take` each, then `finish` once, all under one hold of the vault's gate."""

    def __init__(self, vault: Vault, plan: IntakePlan, now_hour: int, rng: Rng) -> None:
        self.rows_by_epoch: dict[Window, Rows] = {}
        self.events = 0  # looked at, kept or not
        self._vault = vault
        self._plan = plan
        self._now_hour = now_hour
        self._rng = rng
        self._lanes: dict[tuple[str, bool], _Lane] = {}
        self._receipts: list[Receipt | _Batch] = []  # of each request, in order
        self._lane_of: list[_Lane | None] = []
        self._pseudonyms: dict[Window, Pseudonyms] = {}
        self._rows_of_hour: dict[int, Rows] = {}
        self._known: dict[tuple[int, bool], Pseudonyms | Filtered | Rejected] = {}
        self._epoch_of: dict[bool, EpochOf] = {is_backfill: self._asker(is_backfill) for is_backfill in (False, True)}

    def take(self, submission: Submission) -> None:
        """Decode one request's body; filter it at once where it is not of the usual kind.

        Raises:
            MalformedBody, TooManyEvents: nothing of it is kept, and it has no place among the receipts.
            VaultFailed: the vault could not say whether an hour may be written.
        """
        found = None
        signals = submission.signals
        if submission.reader is None and not signals.gpc and not signals.dnt:
            found = quick.read(submission.body, is_ndjson=submission.is_ndjson)
        if found is None:
            self._receipts.append(self._one_by_one(submission))
            self._lane_of.append(None)
            return
        form, events = found
        lane = self._lanes.get((form.name, submission.is_backfill))
        if lane is None:
            lane = self._lanes[form.name, submission.is_backfill] = _Lane(form, submission.is_backfill)
        start, count = len(lane.events), len(events)
        batch = _Batch(submission, start, start + count)
        lane.events += events
        lane.positions += range(count)
        if submission.idempotency_key is not None:
            lane.has_keys = True
        if submission.country is not None:
            lane.has_countries = True
        lane.batches.append(batch)
        self.events += count
        self._receipts.append(batch)
        self._lane_of.append(lane)

    def finish(self) -> list[Receipt | Exception]:
        """Filter what waits in columns; `rows_by_epoch` is complete then.

        Returns, in order, the receipt of each request taken, or the fault of ours that leaves it without one.

        Raises:
            VaultFailed: the vault could not say whether an hour may be written.
        """
        for lane in self._lanes.values():
            self._filter(lane)
        receipts = [
            found
            if lane is None or not isinstance(found, _Batch)
            else all_accepted(found.stop - found.start)
            if lane.all_named and not found.held
            else self._receipt_of(lane, found)
            for found, lane in zip(self._receipts, self._lane_of, strict=True)
        ]
        self.rows_by_epoch = {epoch: rows.settle() for epoch, rows in self.rows_by_epoch.items() if len(rows)}
        return receipts  # type: ignore[return-value]  # no _Batch is left

    # -- in columns

    def _filter(self, lane: _Lane) -> None:
        """Keep what can be kept in columns, and leave the rest of each request to the filter."""
        kept = bytearray(len(lane.events))
        if lane.form.parts is not None:
            ids = set(map(lane.form.parts.event_id, lane.events))
            lane.all_named = None not in ids and "" not in ids
        owners = [batch for batch in lane.batches for _ in range(batch.start, batch.stop)]
        for places, app, action in _lots(lane):
            try:
                found = list(self._keep(lane, owners, places, app, action))
            except VaultFailed:
                raise
            except Exception as error:  # a fault of ours: the filter looks at each event
                log.error("ingest.columns_failed", error=type(error).__name__)
                continue
            for part, where in found:
                self._rows_of_hour[part.hours[0]].extend(part.columns)
                if len(where) == len(kept):
                    return
                for place in where:
                    kept[place] = 1
        if len(kept) == sum(kept):
            return
        for batch in lane.batches:
            batch.held = [position for position, is_kept in enumerate(kept[batch.start : batch.stop]) if not is_kept]

    def _keep(
        self, lane: _Lane, owners: Sequence[_Batch], places: Sequence[int], app: str, action: str
    ) -> Iterator[tuple[Kept, Sequence[int]]]:
        parts = lane.form.parts
        kind = self._plan.kind_of.get(app)
        if parts is None or kind is None:
            return
        is_all = len(places) == len(lane.events)
        events = lane.events if is_all else [lane.events[place] for place in places]
        mine = owners if is_all else [owners[place] for place in places]
        raws = list(map(parts.attributes, events))
        attributes = self._plan.declared.columns(app, action, raws)
        if attributes is None:
            return
        sessions = _texts(list(map(parts.session, events)))
        if kind == "address":
            persons: Sequence[str | None] = [batch.submission.address for batch in mine]
        else:
            persons = sessions if kind == "session" else _texts(list(map(parts.user, events)))
        columns = EventColumns(
            persons=persons,
            hours=self._plan.own(hours_of(list(map(parts.timestamp, events)))),
            attributes=attributes,
            sessions=sessions,
            event_ids=_texts(list(map(parts.event_id, events))),
            countries=_countries(list(map(parts.country, events)), lane, mine),
            purposes=list(map(parts.consent, events)),
            sequences=list(map(parts.sequence, events)),
            positions=lane.positions if is_all else [lane.positions[place] for place in places],
            idempotency_keys=[batch.submission.idempotency_key for batch in mine]
            if lane.has_keys
            else [None] * len(mine),
        )
        for kept in self._plan.columns.keep(app, action, columns, self._epoch_of[lane.is_backfill]):
            if kept.where:
                yield kept, kept.where if is_all else [places[index] for index in kept.where]

    def _receipt_of(self, lane: _Lane, batch: _Batch) -> Receipt | Exception:
        try:
            return self._receipt(lane, batch)
        except VaultFailed:
            raise
        except Exception as error:  # it costs this request, not its neighbours
            return error

    def _receipt(self, lane: _Lane, batch: _Batch) -> Receipt:
        key = batch.submission.idempotency_key
        events = lane.events[batch.start : batch.stop] if batch.held or not lane.all_named else []
        if not batch.held:
            unnamed = 0 if key is not None or lane.all_named else _unnamed(lane.form, events)
            return Receipt(batch.stop - batch.start, not_idempotent=unnamed)
        receipt = ReceiptBuilder()
        rows: list[Row] = []
        held = set(batch.held)
        for position, sent in enumerate(events):
            if position not in held:
                receipt.accept(is_idempotent=key is not None or bool(lane.form.parts.event_id(sent)))  # type: ignore[union-attr]
                continue
            found = _read(lane.form, sent, self._plan.declared)
            plan = self._plan.of(found)
            if plan is not self._plan:
                found = _read(lane.form, sent, plan.declared)
            self._judge(receipt, batch.submission, position, found, plan, rows)
        self._add(rows)
        return receipt.receipt()

    # -- event by event

    def _one_by_one(self, submission: Submission) -> Receipt:
        """Filter one request's events and keep their rows: all of them, or none where it raises."""
        body = _decoded(submission, self._plan)
        self.events += len(body)
        plans = [self._plan.of(sent) for sent in body] if self._plan.others else [self._plan] * len(body)
        for other in {id(plan): plan for plan in plans if plan is not self._plan}.values():
            again = _decoded(submission, other)  # each plan decodes what it declares, and nothing else
            body = [again[n] if plans[n] is other else sent for n, sent in enumerate(body)]
        receipt = ReceiptBuilder()
        rows: list[Row] = []
        for position, sent in enumerate(body):
            self._judge(receipt, submission, position, sent, plans[position], rows)
        self._add(rows)
        return receipt.receipt()

    def _judge(
        self,
        receipt: ReceiptBuilder,
        submission: Submission,
        position: int,
        sent: Sent,
        plan: IntakePlan,
        rows: list[Row],
    ) -> None:
        if isinstance(sent, Rejected):
            receipt.refuse(position, sent)
            return
        form, event = sent
        if submission.address is not None:
            event = msgspec.structs.replace(event, address=submission.address)
        if submission.country is not None:
            event = msgspec.structs.replace(event, country=submission.country)
        key = submission.idempotency_key
        epoch_of = self._epoch_of[submission.is_backfill]
        outcome = plan.filter.apply(event, submission.signals, epoch_of, position, key)
        if isinstance(outcome, tuple):
            rows.append(outcome)
            receipt.accept(is_idempotent=is_idempotent(event, key))
        else:
            found = form.in_own_words(outcome) if isinstance(outcome, Rejected) else outcome
            receipt.refuse(position, found, is_idempotent=is_idempotent(event, key))

    def _add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            # The filter asked for this hour, so its rows exist.
            self._rows_of_hour[row[_HOUR_COLUMN]].add(row)  # type: ignore[index]

    # -- epochs

    def _asker(self, is_backfill: bool) -> EpochOf:
        known = self._known

        def epoch_of(hour: int) -> Pseudonyms | Filtered | Rejected:
            answer = known.get((hour, is_backfill))
            if answer is None:
                answer = known[hour, is_backfill] = self._ask(hour, is_backfill)
            return answer

        return epoch_of

    def _ask(self, hour: int, is_backfill: bool) -> Pseudonyms | Filtered | Rejected:
        try:
            access = self._vault.admit_hour(hour, self._now_hour, backfill=is_backfill)
        except Exception as error:
            raise VaultFailed from error
        if isinstance(access, Refusal):
            code = access.code
            return TIMESTAMP_OUT_OF_RANGE if code == "timestamp_out_of_range" else Filtered(code)
        epoch = access.epoch
        self._rows_of_hour[hour] = self.rows_by_epoch.setdefault(epoch, Rows(self._plan.slots))
        if epoch not in self._pseudonyms:
            self._pseudonyms[epoch] = Pseudonyms(access.pseudonym_key, self._rng, access.withdrawn)
        return self._pseudonyms[epoch]


def _read(form: Form, sent: Any, declared: Declared) -> Sent:
    event = form.read(sent, declared)
    return form.in_own_words(event) if isinstance(event, Rejected) else (form, event)


def _decoded(submission: Submission, plan: IntakePlan) -> list[Sent]:
    """A request's events by this plan; raises as `decode_body` does."""
    if submission.reader is None:
        return decode_body(submission.body, plan.declared, is_ndjson=submission.is_ndjson)
    return submission.reader(submission.body, plan.declared, submission.received_s)


def _lots(lane: _Lane) -> Iterator[tuple[Sequence[int], str, str]]:
    """The places of the events of each app and action."""
    parts = lane.form.parts
    if parts is None or not lane.events:
        return
    targets = list(map(parts.target, lane.events))
    if targets.count(targets[0]) == len(targets):
        yield range(len(targets)), *parts.split(targets[0])
        return
    places: dict[object, list[int]] = {}
    for place, target in enumerate(targets):
        places.setdefault(target, []).append(place)
    for target, found in places.items():
        yield found, *parts.split(target)


def _countries(hints: list[str | None], lane: _Lane, batches: Sequence[_Batch]) -> list[str | None]:
    """What somebody more trusted says, else the event's own hint."""
    if not lane.has_countries:
        return hints
    return [batch.submission.country or hint for batch, hint in zip(batches, hints, strict=True)]


def _texts(ids: list[Any]) -> list[str | None]:
    """Ids as texts: one sent as a number means its digits."""
    if int not in set(map(type, ids)):
        return ids
    return [found if found is None or type(found) is str else str(found) for found in ids]


def _unnamed(form: Form, events: Sequence[Any]) -> int:
    """How many events bring no id."""
    event_id = form.parts.event_id if form.parts is not None else None
    return 0 if event_id is None else sum(found is None or found == "" for found in map(event_id, events))
