"""The filter: from one event as a client sent it to one row that may be stored, or to the reason why not.

Pure and total: any event gives a `Row`, a `Filtered` (lawful, but not to be kept) or a `Rejected` (the sender
can mend it); nothing is raised, and neither outcome holds any content of the event.

In this order, the sender's will first (specs/events.md 4):
1. Global Privacy Control and Do Not Track; 2. declared app; 3. consent to the app's purpose; 4. declared
action; 5. the app's one kind of person key, with no fallback to another; 6. UTC hour, and whether its epoch
still takes events; 7. sampling by person; 8. attributes: declared ones only, each coded by `privacy.coding`;
9. what the person withdrew. That comes last, so that who must not learn whether a person is known can be told what
they would be told of anybody.

What the filter does not do: look at other events. Two copies of one event give two equal event keys, and
reading keeps one row (DESIGN 4, exactly once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import msgspec

from privacy.coding import Encoder, KeyEncoder, encoder_of, key_encoder_of
from privacy.person_key import Pseudonyms, kind_code
from privacy.rows import ATTRIBUTE_SLOTS, COUNTRY_UNKNOWN, SAMPLING_ALL, PersonKind, Row, country_text
from privacy.tracking_plan import Action, App, Key, Plan
from privacy.withdrawal import is_against

FilterReason = Literal[
    "gpc",
    "dnt",
    "no_consent",
    "undeclared_app",
    "undeclared_action",
    "no_person",
    "late",
    "epoch_closed",
    "sampled_out",
    "duplicate",  # named by the ingest path from its memory of Idempotency-Keys, for server keys only
]
RejectCode = Literal[
    "malformed",
    "unknown_form",
    "ambiguous_form",
    "bad_timestamp",
    "timestamp_out_of_range",
    "attribute_required",
]
FILTER_REASONS: Final[tuple[str, ...]] = get_args(FilterReason)
REJECT_CODES: Final[tuple[str, ...]] = get_args(RejectCode)

MAX_HOUR: Final = 1_139_568  # 2100-01-01T00Z, exclusive
_SECONDS_PER_HOUR: Final = 3600
_END_S: Final = MAX_HOUR * _SECONDS_PER_HOUR
_MAX_SEQUENCE: Final = (1 << 32) - 1


class Event(msgspec.Struct, frozen=True):
    """One event, whatever form it came in. A Struct, not a dataclass: one is made per event, ten times faster."""

    app: str
    action: str
    attributes: Mapping[str, object]  # may hold undeclared names; they are never looked at
    timestamp_s: float | int  # seconds since 1970-01-01T00Z, perhaps cut to the hour already; NaN = unreadable
    user: str | None = None
    session: str | None = None
    event_id: str | None = None
    country: str | None = None
    purposes: frozenset[str] | None = None  # what the person consented to; None = nothing was said
    sequence: int | None = None
    address: str | None = None  # IP and user agent, in memory only, for apps of person kind `address`

    def __repr__(self) -> str:
        return "Event(…)"  # its content must not reach a log


@dataclass(frozen=True, slots=True)
class Signals:
    """What the request's headers say about its sender's will: `Sec-GPC: 1`, `DNT: 1`."""

    gpc: bool = False
    dnt: bool = False


@dataclass(frozen=True, slots=True)
class Filtered:
    """Lawfully not kept; the receipt counts it under the reason.

    `is_of_person`: the reason rests on what is known of the person. Who holds a public key must not be told it.
    """

    reason: FilterReason
    is_of_person: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The sender can mend it. `pointer` (RFC 6901) is relative to the event, in the words of `Event`."""

    code: RejectCode
    pointer: str
    hint: str


Outcome = Row | Filtered | Rejected

# What the vault says about an hour: the pseudonyms of its epoch, or why it takes no event of that hour.
EpochOf = Callable[[int], Pseudonyms | Filtered | Rejected]

GPC: Final = Filtered("gpc")
DNT: Final = Filtered("dnt")
NO_CONSENT: Final = Filtered("no_consent")
WITHDRAWN: Final = Filtered("no_consent", is_of_person=True)
UNDECLARED_APP: Final = Filtered("undeclared_app")
UNDECLARED_ACTION: Final = Filtered("undeclared_action")
NO_PERSON: Final = Filtered("no_person")
SAMPLED_OUT: Final = Filtered("sampled_out")
BAD_TIMESTAMP: Final = Rejected(
    "bad_timestamp", "/timestamp", "Send ISO 8601 with Z or an offset, or unix seconds or milliseconds"
)
TIMESTAMP_OUT_OF_RANGE: Final = Rejected(
    "timestamp_out_of_range", "/timestamp", "Check the sender's clock and the unit (seconds or milliseconds)"
)

_COUNTRY_CODES: Final[dict[str, int]] = {country_text(code): code for code in range(COUNTRY_UNKNOWN + 1)}


class Filter:
    """A tracking plan, compiled. Immutable; one serves all requests under that plan version.

    Args:
        plan: What may be stored.
        plan_number: The plan version's number at this node, >= 1; stands in each row.
    """

    __slots__ = ("_apps", "_plan_number", "_purpose_bits", "plan")

    def __init__(self, plan: Plan, plan_number: int) -> None:
        self.plan = plan
        self._plan_number = plan_number
        self._purpose_bits = {name: 1 << bit for bit, name in enumerate(plan.purposes)}
        self._apps = {app.name: _CompiledApp.of(code, app) for code, app in enumerate(plan.apps)}

    def apply(
        self,
        event: Event,
        signals: Signals,
        epoch_of: EpochOf,
        position: int,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Filter one event.

        Args:
            event: The event.
            signals: The request's privacy signals.
            epoch_of: Asked once, with the event's hour, and only for an event that passed steps 1 to 5.
            position: The event's position in its request, from 0; its sequence where it brings none.
            idempotency_key: The request's; with the position it makes the event key where the event has no id.
        """
        if signals.gpc:
            return GPC
        if signals.dnt:
            return DNT
        app = self._apps.get(event.app)
        if app is None:
            return UNDECLARED_APP
        if app.required_purpose is not None and app.required_purpose not in (event.purposes or ()):
            return NO_CONSENT
        action = app.actions.get(event.action)
        if action is None:
            return UNDECLARED_ACTION
        person_id = _person_id(event, app.person_kind)
        if not person_id:
            return NO_PERSON
        hour = _hour(event.timestamp_s)
        if not isinstance(hour, int):
            return hour
        epoch = epoch_of(hour)
        if not isinstance(epoch, Pseudonyms):
            return epoch
        person = epoch.person(app.person_code, person_id)
        if app.rate < SAMPLING_ALL and epoch.share(person) >= app.rate:
            return SAMPLED_OUT
        slots = action.encode(event.attributes)
        if not isinstance(slots, tuple):
            return slots
        session, purposes = _session(epoch, person, app.person_kind, event.session), event.purposes
        if epoch.withdrawn and (withdrawn := epoch.withdrawn_by(person, session)):
            if is_against(withdrawn, app.required_purpose):
                return WITHDRAWN
            purposes = purposes and purposes - withdrawn
        fixed = (
            person,
            app.person_code,
            session,
            _event_key(epoch, person, event.event_id, idempotency_key, position),
            hour,
            sequence_of(event.sequence, position),
            app.code,
            action.code,
            country_code(event.country),
            self._purposes(purposes),
            self._plan_number,
            app.rate,
        )
        return fixed + slots

    def _purposes(self, names: frozenset[str] | None) -> int:
        """Bits of the purposes consented to that the plan knows."""
        mask = 0
        for name in names or ():
            mask |= self._purpose_bits.get(name, 0)
        return mask


@dataclass(frozen=True, slots=True)
class _CompiledAction:
    code: int
    encoders: tuple[tuple[str, Encoder], ...]
    required: tuple[tuple[int, Rejected], ...]  # slot, and what to say where it stays empty
    keys: tuple[tuple[str, int, tuple[None, ...], KeyEncoder], ...]  # name, first slot, the empty key, encoder
    padding: tuple[None, ...]

    @classmethod
    def of(cls, code: int, action: Action) -> _CompiledAction:
        placed = action.placed
        return cls(
            code,
            tuple((a.name, encoder_of(a.type)) for _, a in placed if not isinstance(a.type, Key)),
            tuple((slot, _missing(a.name)) for slot, a in placed if a.is_required),
            tuple(
                (a.name, slot, (None,) * a.type.slots, key_encoder_of(a.type))
                for slot, a in placed
                if isinstance(a.type, Key)
            ),
            (None,) * (ATTRIBUTE_SLOTS - action.slots),
        )

    def encode(self, values: Mapping[str, object]) -> tuple[int | None, ...] | Rejected:
        """The row's sixteen slots, or why a required attribute has no usable value."""
        slots = [None if (value := values.get(name)) is None else encode(value) for name, encode in self.encoders]
        for name, slot, empty, encode_key in self.keys:  # in plan order: what stands before is placed already
            value = values.get(name)
            slots[slot:slot] = (None if value is None else encode_key(value)) or empty
        for slot, missing in self.required:
            if slots[slot] is None:
                return missing
        return tuple(slots) + self.padding


@dataclass(frozen=True, slots=True)
class _CompiledApp:
    code: int
    person_kind: PersonKind
    person_code: int
    required_purpose: str | None
    rate: int  # millionths
    actions: Mapping[str, _CompiledAction]

    @classmethod
    def of(cls, code: int, app: App) -> _CompiledApp:
        actions = {action.name: _CompiledAction.of(index, action) for index, action in enumerate(app.actions)}
        kind = app.person_kind
        return cls(code, kind, kind_code(kind), app.required_purpose, app.sampling_millionths, actions)


def is_idempotent(event: Event, idempotency_key: str | None) -> bool:
    """True when sending the event again would be known as the same event."""
    return bool(event.event_id) or idempotency_key is not None


def _missing(name: str) -> Rejected:
    hint = f"The plan requires {name}; send a value of its declared type"
    return Rejected("attribute_required", f"/attributes/{name}", hint)


def _person_id(event: Event, kind: PersonKind) -> str | None:
    if kind == "user":
        return event.user
    return event.session if kind == "session" else event.address


def _session(epoch: Pseudonyms, person: int, kind: PersonKind, session_id: str | None) -> int | None:
    """Where the session is the person, its pseudonym is the person's: a second one would say no more."""
    if kind == "session":
        return person
    return epoch.session(session_id) if session_id else None


def _event_key(epoch: Pseudonyms, person: int, event_id: str | None, idempotency_key: str | None, position: int) -> int:
    if event_id:
        return epoch.event(person, event_id)
    if idempotency_key is not None:
        return epoch.event_at(person, idempotency_key, position)
    return epoch.event_unique()


def _hour(timestamp_s: float | int) -> int | Rejected:
    if 0 <= timestamp_s < _END_S:
        return int(timestamp_s // _SECONDS_PER_HOUR)
    return BAD_TIMESTAMP if timestamp_s != timestamp_s else TIMESTAMP_OUT_OF_RANGE


def sequence_of(sent: int | None, position: int) -> int:
    """The row's sequence: what the sender says where it is one, else the position in the request."""
    return sent if type(sent) is int and 0 <= sent <= _MAX_SEQUENCE else position


def country_code(text: str | None) -> int:
    """The row's code of a country as sent: two letters A–Z in either case, else unknown."""
    if text is None:
        return COUNTRY_UNKNOWN
    code = _COUNTRY_CODES.get(text)
    if code is None and text.isascii():  # not "ı".upper(), which is an ASCII I
        code = _COUNTRY_CODES.get(text.upper())
    return COUNTRY_UNKNOWN if code is None else code
