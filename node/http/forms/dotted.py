"""The dotted form: `{type: "resource.distributed", data, user, timestamp}`. What stands before the first dot
names the app, the rest the action; a type without a dot is an app with an action of no name, so undeclared."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, Parts, build_event
from privacy.filtering import Event, Rejected


class Dotted(msgspec.Struct):
    type: str
    data: msgspec.Raw = NO_ATTRIBUTES
    user: Id = None
    timestamp: Moment = None
    id: Id = None
    session: Id = None
    country: str | None = None
    consent: tuple[str, ...] | None = None
    sequence: int | None = None


def read(sent: Dotted, declared: Declared) -> Event | Rejected:
    app, action = _app_and_action(sent.type)
    return build_event(
        declared,
        app,
        action,
        sent.data,
        sent.timestamp,
        sent.user,
        sent.session,
        sent.id,
        sent.country,
        sent.consent,
        sent.sequence,
    )


def _app_and_action(target: str) -> tuple[str, str]:
    app, _, action = target.partition(".")
    return app, action


PARTS = Parts(
    target=attrgetter("type"),
    split=_app_and_action,
    attributes=attrgetter("data"),
    timestamp=attrgetter("timestamp"),
    user=attrgetter("user"),
    session=attrgetter("session"),
    event_id=attrgetter("id"),
    country=attrgetter("country"),
    consent=attrgetter("consent"),
    sequence=attrgetter("sequence"),
)
FORM = Form("dotted", ("type", "data"), Dotted, read, {"attributes": "data"}, PARTS)
