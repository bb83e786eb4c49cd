"""The dotted form: `{type: "resource.distributed", data, user, timestamp}`. What stands before the first dot
names the app, the rest the action; a type without a dot is an app with an action of no name, so undeclared."""

from __future__ import annotations

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, build_event
from privacy.filtering import Event, Rejected


class Dotted(msgspec.Struct):
    type: str
    data: msgspec.Raw = NO_ATTRIBUTES
    user: Id = None
    timestamp: Moment = None
    id: Id = None
    session: Id = None
    country: str | None = None
    consent: list[str] | None = None
    sequence: int | None = None


def read(sent: Dotted, declared: Declared) -> Event | Rejected:
    app, _, action = sent.type.partition(".")
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


FORM = Form("dotted", ("type", "data"), Dotted, read, {"attributes": "data"})
