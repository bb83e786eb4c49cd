"""The analytics form: `{event_id, event_name, event_category, user_id, session_id, timestamp, properties,
context{country}, privacy{consent}}`. The category names the app, the name the action."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, Parts, build_event
from privacy.filtering import Event, Rejected


class Context(msgspec.Struct):
    country: str | None = None


class Privacy(msgspec.Struct):
    consent: tuple[str, ...] | None = None


class Analytics(msgspec.Struct):
    event_name: str
    event_category: str
    event_id: Id = None
    user_id: Id = None
    session_id: Id = None
    timestamp: Moment = None
    properties: msgspec.Raw = NO_ATTRIBUTES
    context: Context | None = None
    privacy: Privacy | None = None
    sequence: int | None = None


def read(sent: Analytics, declared: Declared) -> Event | Rejected:
    return build_event(
        declared,
        sent.event_category,
        sent.event_name,
        sent.properties,
        sent.timestamp,
        sent.user_id,
        sent.session_id,
        sent.event_id,
        _country(sent),
        _consent(sent),
        sent.sequence,
    )


def _country(sent: Analytics) -> str | None:
    return None if sent.context is None else sent.context.country


def _consent(sent: Analytics) -> tuple[str, ...] | None:
    return None if sent.privacy is None else sent.privacy.consent


PARTS = Parts(
    target=attrgetter("event_category", "event_name"),
    split=tuple,
    attributes=attrgetter("properties"),
    timestamp=attrgetter("timestamp"),
    user=attrgetter("user_id"),
    session=attrgetter("session_id"),
    event_id=attrgetter("event_id"),
    country=_country,
    consent=_consent,
    sequence=attrgetter("sequence"),
)
FORM = Form("analytics", ("event_name", "event_category"), Analytics, read, {"attributes": "properties"}, PARTS)
