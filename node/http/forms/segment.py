"""Segment's HTTP API: `POST /v1/track`, `/v1/page`, `/v1/batch`, the write key as the user of basic authentication.

The event's name names the action, as a plan name (`page` calls: the action `page`); the app is `context.app.name`, else
the one app of the plan that declares the action. `userId` is the user, `anonymousId` the session, `messageId` the
event's id, `context.consent.categoryPreferences` what was consented to. `identify`, `group`, `alias` and `screen` are
refused: a profile of a person is what this node never keeps.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from node.http.forms.body import (
    MALFORMED,
    MAX_EVENTS,
    MalformedBody,
    Sent,
    TooManyEvents,
    mend_surrogates,
)
from node.http.forms.declared import UNREADABLE, Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, build_event
from node.http.forms.names import plan_name_of
from privacy.filtering import Event, Rejected


class AppInfo(msgspec.Struct):
    name: str | None = None


class Consent(msgspec.Struct):
    categoryPreferences: dict[str, bool] | None = None  # noqa: N815, RUF100 - Segment's word


class Location(msgspec.Struct):
    country: str | None = None


class Context(msgspec.Struct):
    app: AppInfo | None = None
    consent: Consent | None = None
    location: Location | None = None


class Call(msgspec.Struct, rename="camel"):
    type: str | None = None
    event: str | None = None
    name: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    message_id: Id = None
    timestamp: Moment = None
    original_timestamp: Moment = None
    properties: msgspec.Raw = NO_ATTRIBUTES
    context: Context | None = None


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]


NO_PROFILES: Final = Rejected(
    "unknown_form",
    "/type",
    "Only track and page are taken: this node keeps no profile of a person, so it has no use for one",
)
_NO_EVENT: Final = Rejected("malformed", "/event", "Send the name of the event as event")


def _read(sent: Call, declared: Declared) -> Event | Rejected:
    if sent.type not in ("track", "page"):
        return NO_PROFILES
    action = "page" if sent.type == "page" else plan_name_of(sent.event or "")
    if not action:
        return _NO_EVENT
    context = sent.context or Context()
    named = context.app.name if context.app is not None else None
    chosen = context.consent.categoryPreferences if context.consent is not None else None
    return build_event(
        declared,
        plan_name_of(named) if named else declared.app_of(action),
        action,
        sent.properties,
        sent.timestamp if sent.timestamp is not None else sent.original_timestamp,
        sent.user_id,
        sent.anonymous_id,
        sent.message_id,
        None if context.location is None else context.location.country,
        None if chosen is None else [purpose for purpose, is_given in chosen.items() if is_given],
        None,
    )


FORM: Final = Form(
    "segment",
    ("type",),
    Call,
    _read,
    {"attributes": "properties", "session": "anonymousId", "user": "userId"},
)
_BATCH: Final = msgspec.json.Decoder(_Batch)


def read_track(body: bytes, declared: Declared, received_s: float) -> list[Sent]:
    """The event of `POST /v1/track`; raises MalformedBody where the body is no JSON."""
    return [_one(mend_surrogates(body), declared, received_s, "track")]


def read_page(body: bytes, declared: Declared, received_s: float) -> list[Sent]:
    """The event of `POST /v1/page`; raises MalformedBody where the body is no JSON."""
    return [_one(mend_surrogates(body), declared, received_s, "page")]


def read_identify(body: bytes, declared: Declared, received_s: float) -> list[Sent]:
    """`POST /v1/identify`: always refused, with the reason."""
    return [NO_PROFILES]


def read_batch(body: bytes, declared: Declared, received_s: float) -> list[Sent]:
    """The events of `POST /v1/batch`.

    Raises:
        MalformedBody: no JSON object with a list `batch` that holds an event.
        TooManyEvents: more than MAX_EVENTS.
    """
    try:
        found = _BATCH.decode(mend_surrogates(body)).batch
    except UNREADABLE:
        raise _malformed() from None
    if not found:
        raise _malformed()
    if len(found) > MAX_EVENTS:
        raise TooManyEvents(
            what="The request is refused",
            why=f"it holds {len(found)} events, at most {MAX_EVENTS} are taken at once",
            fix="Send smaller batches (maxEventsInBatch)",
        )
    return [_one(raw, declared, received_s, None) for raw in found]


def _one(raw: Any, declared: Declared, received_s: float, kind: str | None) -> Sent:
    """One call; `kind` where the path says it."""
    try:
        sent = FORM.one.decode(raw)
    except msgspec.ValidationError:
        return MALFORMED
    except UNREADABLE:
        if kind is not None:
            raise _malformed() from None
        return MALFORMED
    if kind is not None:
        sent.type = kind
    if sent.timestamp is None and sent.original_timestamp is None:
        sent.timestamp = received_s
    event = _read(sent, declared)
    return FORM.in_own_words(event) if isinstance(event, Rejected) else (FORM, event)


def _malformed() -> MalformedBody:
    return MalformedBody(
        what="The request is refused",
        why="its body is no JSON that this node reads as Segment's",
        fix="Send what Segment's libraries send",
    )
