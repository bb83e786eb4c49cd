"""The filter, many events at once: events of one app and action in columns, to the columns of their rows.

This is the quick way of `privacy.filtering`, not a second meaning. It keeps an event only where it can show that the
filter keeps it, with the same row; of every other it says nothing but its place, and the caller asks the filter. So
reasons and refusals have one author, and a property test holds the rows equal.

What makes it quick: a value that comes often (a category, a country, a consent, a person) is looked at once, and no
object is made for an event, only for a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, TypeVar

from privacy.coding import MAX_MAGNITUDE, Encoder, encoder_of, key_encoder_of
from privacy.filtering import EpochOf, country_code, sequence_of
from privacy.person_key import Pseudonyms, kind_code
from privacy.rows import SAMPLING_ALL
from privacy.tracking_plan import Action, App, AttributeType, Band, Category, Flag, Key, Number, Plan

_Value = TypeVar("_Value")
Values = Sequence[int | None]
ColumnEncoder = Callable[[Sequence[object]], list[list[int | None]]]
"""One column of values to the columns of its slots."""

_NUMERIC: Final = frozenset({bool, int, float})
_HOUR: Final = 4  # of a row (privacy/rows.py)


@dataclass(frozen=True, slots=True, repr=False)  # repr: it would show content
class EventColumns:
    """Events of one app and action; all columns have one length.

    Args:
        persons: Ids of the app's person kind; None or empty where an event has none.
        hours: Hours since 1970-01-01T00Z, None where the timestamp is none that may be stored.
        attributes: One column for each of the action's attributes, in plan order; None = not sent.
        sessions: Session ids; not looked at where the session is the person.
        event_ids: Ids of the events, None or empty where an event has none.
        countries, purposes, sequences: As in `privacy.filtering.Event`; purposes in the order sent.
        positions: Positions in the requests.
        idempotency_keys: Those of the requests; looked at only for events without an id.
    """

    persons: Sequence[str | None]
    hours: Sequence[int | None]
    attributes: Sequence[Sequence[object]]
    sessions: Sequence[str | None]
    event_ids: Sequence[str | None]
    countries: Sequence[str | None]
    purposes: Sequence[tuple[str, ...] | None]
    sequences: Sequence[int | None]
    positions: Sequence[int]
    idempotency_keys: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.persons)

    def picked(self, kept: Sequence[bool]) -> EventColumns:
        """Those events alone for which `kept` is true."""
        return EventColumns(
            _picked(self.persons, kept),
            _picked(self.hours, kept),
            [_picked(column, kept) for column in self.attributes],
            _picked(self.sessions, kept),
            _picked(self.event_ids, kept),
            _picked(self.countries, kept),
            _picked(self.purposes, kept),
            _picked(self.sequences, kept),
            _picked(self.positions, kept),
            _picked(self.idempotency_keys, kept),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Kept:
    """Rows of one epoch, as columns in the order of ROW_COLUMNS, cut after the plan's slots.

    `where` holds, for each row, the event's place in the columns that were given.
    """

    where: Sequence[int]
    pseudonyms: Pseudonyms
    hours: Sequence[int]
    columns: list[Values]


class ColumnFilter:
    """A tracking plan, compiled for columns. Immutable."""

    __slots__ = ("_lots", "slots")

    def __init__(self, plan: Plan, plan_number: int) -> None:
        bits = {name: 1 << bit for bit, name in enumerate(plan.purposes)}
        self.slots = plan.slots
        self._lots = {
            (app.name, action.name): _Lot(app_code, app, code, action, bits, plan_number, plan.slots)
            for app_code, app in enumerate(plan.apps)
            for code, action in enumerate(app.actions)
        }

    def keep(self, app: str, action: str, events: EventColumns, epoch_of: EpochOf) -> list[Kept]:
        """The events that the filter keeps, as far as this can tell, epoch by epoch; none where it cannot tell.

        `epoch_of` is asked once for each hour of events that passed the steps before (privacy.filtering, 1 to 5).
        """
        lot = self._lots.get((app, action))
        return [] if lot is None else lot.keep(events, epoch_of)


def _picked(column: Sequence[_Value], kept: Sequence[bool]) -> list[_Value]:
    return list(compress(column, kept))


class _Lot:
    """One action of one app."""

    __slots__ = ("_action", "_app", "_bits", "_encoders", "_kind", "_person_code", "_plan", "_purpose", "_rate",
                 "_required", "_slots", "_used")  # fmt: skip

    def __init__(
        self, app_code: int, app: App, code: int, action: Action, bits: dict[str, int], plan: int, slots: int
    ) -> None:
        self._app, self._action, self._plan, self._slots = app_code, code, plan, slots
        self._kind, self._person_code = app.person_kind, kind_code(app.person_kind)
        self._purpose, self._rate, self._bits = app.required_purpose, app.sampling_millionths, bits
        self._encoders = [_column_encoder(attribute.type) for attribute in action.attributes]
        self._required = [slot for slot, attribute in action.placed if attribute.is_required]
        self._used = action.slots

    def keep(self, events: EventColumns, epoch_of: EpochOf) -> list[Kept]:
        where: Sequence[int] = range(len(events))
        masks = self._masks(events.purposes)
        if None in masks or None in events.persons or "" in events.persons or None in events.hours:
            kept = [
                mask is not None and bool(person) and hour is not None
                for mask, person, hour in zip(masks, events.persons, events.hours, strict=True)
            ]
            events, masks, where = events.picked(kept), list(compress(masks, kept)), list(compress(where, kept))
        answers = {hour: epoch_of(hour) for hour in set(events.hours) if hour is not None}
        epochs = {id(answer): answer for answer in answers.values() if isinstance(answer, Pseudonyms)}
        if len(epochs) == 1 and all(isinstance(answer, Pseudonyms) for answer in answers.values()):
            return [self._of_one_epoch(events, masks, where, next(iter(epochs.values())))]
        found = []
        for epoch in epochs.values():
            kept = [answers[hour] is epoch for hour in events.hours]  # type: ignore[index]
            picked, of_epoch = list(compress(where, kept)), list(compress(masks, kept))
            found.append(self._of_one_epoch(events.picked(kept), of_epoch, picked, epoch))
        return found

    def _of_one_epoch(self, events: EventColumns, masks: Values, where: Sequence[int], epoch: Pseudonyms) -> Kept:
        size = len(where)
        persons = epoch.persons(self._person_code, events.persons)  # type: ignore[arg-type]  # none is None here
        countries = {text: country_code(text) for text in set(events.countries)}
        sessions = persons if self._kind == "session" else epoch.sessions(events.sessions)
        columns: list[Values] = [
            persons,
            [self._person_code] * size,
            sessions,
            epoch.event_keys(persons, events.event_ids, events.idempotency_keys, events.positions),
            events.hours,
            _sequences(events.sequences, events.positions),
            [self._app] * size,
            [self._action] * size,
            [countries[text] for text in events.countries],
            masks,
            [self._plan] * size,
            [self._rate] * size,
            *(
                column
                for encode, values in zip(self._encoders, events.attributes, strict=True)
                for column in encode(values)
            ),
            *([None] * size for _ in range(self._slots - self._used)),
        ]
        kept = self._stay(persons, sessions, columns[12:], epoch)
        if kept is not None:
            columns = [list(compress(column, kept)) for column in columns]
            where = list(compress(where, kept))
        return Kept(where, epoch, columns[_HOUR], columns)  # type: ignore[arg-type]  # no hour is None here

    def _masks(self, purposes: Sequence[tuple[str, ...] | None]) -> Values:
        """Bits of the purposes consented to, None where the app's own is not among them."""
        masks: dict[tuple[str, ...] | None, int | None] = {}
        for names in set(purposes):
            if self._purpose is not None and (names is None or self._purpose not in names):
                masks[names] = None
            else:
                masks[names] = sum(self._bits.get(name, 0) for name in set(names or ()))
        return [masks[names] for names in purposes]

    def _stay(
        self, persons: Sequence[int], sessions: Values, slots: Sequence[Values], epoch: Pseudonyms
    ) -> list[bool] | None:
        """Who is in the sample, has every required attribute and withdrew nothing; None where all."""
        kept: list[bool] | None = None
        if self._rate < SAMPLING_ALL:
            kept = [epoch.share(person) < self._rate for person in persons]
        for slot in self._required:
            if None in slots[slot]:
                kept = [k and v is not None for k, v in zip(kept or [True] * len(persons), slots[slot], strict=True)]
        withdrawn = epoch.withdrawn
        if withdrawn and not (withdrawn.keys().isdisjoint(persons) and withdrawn.keys().isdisjoint(sessions)):
            kept = [
                k and person not in withdrawn and session not in withdrawn
                for k, person, session in zip(kept or [True] * len(persons), persons, sessions, strict=True)
            ]
        return kept


def _column_encoder(kind: AttributeType) -> ColumnEncoder:
    if isinstance(kind, Key):
        return _keys(kind)
    one = _one_column_encoder(kind)
    return lambda values: [one(values)]


def _keys(kind: Key) -> ColumnEncoder:
    encode, empty = key_encoder_of(kind), (None,) * kind.slots

    def columns(values: Sequence[object]) -> list[list[int | None]]:
        texts = {value: encode(value) or empty for value in values if type(value) is str}
        rows: list[tuple[int | None, ...]] = [
            texts[value] if type(value) is str else (encode(value) or empty) for value in values
        ]
        return [[row[slot] for row in rows] for slot in range(kind.slots)]

    return columns


def _one_column_encoder(kind: Category | Band | Number | Flag) -> Callable[[Sequence[object]], list[int | None]]:
    encode: Encoder = encoder_of(kind)
    if isinstance(kind, Number) and kind.quantum.numerator == 1 and kind.quantum.denominator in (1, 10, 100, 1000):
        return _decimals(kind, encode)
    return lambda values: _each_once(values, encode)


def _each_once(values: Sequence[object], encode: Encoder) -> list[int | None]:
    """Code a column, equal values once. True, 1 and 1.0 are equal but not alike: where they mix, one by one."""
    if len(_NUMERIC.intersection(map(type, values))) > 1:
        return [None if value is None else encode(value) for value in values]
    codes = {value: None if value is None else encode(value) for value in set(values)}
    return [codes[value] for value in values]


def _decimals(kind: Number, encode: Encoder) -> Callable[[Sequence[object]], list[int | None]]:
    """For quanta of 1 to 0.001: floats as `privacy.coding` codes them, without a call for each."""
    low, high, up = kind.low_quanta, kind.high_quanta, kind.quantum.denominator

    def column(values: Sequence[object]) -> list[int | None]:
        if set(map(type, values)) != {float}:
            return _each_once(values, encode)
        floats: Sequence[float] = values  # type: ignore[assignment]  # just seen
        try:
            quanta = [round(value * up) for value in floats]
        except (ValueError, OverflowError):  # NaN, infinite
            return [encode(value) for value in floats]
        return [
            (low if found < low else high if found > high else found)
            if found / up == value and -MAX_MAGNITUDE < value < MAX_MAGNITUDE
            else encode(value)
            for found, value in zip(quanta, floats, strict=True)
        ]

    return column


def _sequences(sent: Sequence[int | None], positions: Sequence[int]) -> Sequence[int]:
    if sent.count(None) == len(sent):
        return positions
    return [sequence_of(number, position) for number, position in zip(sent, positions, strict=True)]
