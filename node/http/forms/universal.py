"""The universal form: `{app, action, attributes, timestamp, geo_hint, session_id}`, and more where known."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, Parts, build_event
from privacy.filtering import Event, Rejected


class Universal(msgspec.Struct):
    app: str
    action: str
    attributes: msgspec.Raw = NO_ATTRIBUTES
    timestamp: Moment = None
    geo_hint: str | None = None
    session_id: Id = None
    user_id: Id = None
    event_id: Id = None
    sequence: int | None = None
    consent: tuple[str, ...] | None = None


def read(sent: Universal, declared: Declared) -> Event | Rejected:
    return build_event(
        declared,
        sent.app,
        sent.action,
        sent.attributes,
        sent.timestamp,
        sent.user_id,
        sent.session_id,
        sent.event_id,
        sent.geo_hint,
        sent.consent,
        sent.sequence,
    )


PARTS = Parts(
    target=attrgetter("app", "action"),
    split=tuple,
    attributes=attrgetter("attributes"),
    timestamp=attrgetter("timestamp"),
    user=attrgetter("user_id"),
    session=attrgetter("session_id"),
    event_id=attrgetter("event_id"),
    country=attrgetter("geo_hint"),
    consent=attrgetter("consent"),
    sequence=attrgetter("sequence"),
)
FORM = Form("universal", ("app", "action"), Universal, read, {}, PARTS)
