"""The compact form, for senders that count bytes: `{a app, n action, p attributes, t timestamp, g country,
s session, u user, i event id, q sequence, c consent}`."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.form import NO_ATTRIBUTES, Form, Id, Moment, Parts, build_event
from privacy.filtering import Event, Rejected


class Compact(msgspec.Struct):
    a: str
    n: str
    p: msgspec.Raw = NO_ATTRIBUTES
    t: Moment = None
    g: str | None = None
    s: Id = None
    u: Id = None
    i: Id = None
    q: int | None = None
    c: tuple[str, ...] | None = None


def read(sent: Compact, declared: Declared) -> Event | Rejected:
    return build_event(declared, sent.a, sent.n, sent.p, sent.t, sent.u, sent.s, sent.i, sent.g, sent.c, sent.q)


PARTS = Parts(
    target=attrgetter("a", "n"),
    split=tuple,
    attributes=attrgetter("p"),
    timestamp=attrgetter("t"),
    user=attrgetter("u"),
    session=attrgetter("s"),
    event_id=attrgetter("i"),
    country=attrgetter("g"),
    consent=attrgetter("c"),
    sequence=attrgetter("q"),
)
FORM = Form("compact", ("a", "n"), Compact, read, {"attributes": "p", "timestamp": "t"}, PARTS)
