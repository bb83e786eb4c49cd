"""Plausible's `POST /api/event`: `{n, u, d, r, p, $, …}` as its tracker sends it, or with the long names of its API.

`d` (domain) names the app, `n` the action, both as plan names (`node.http.forms.names`). Attributes are the props, and,
where the plan declares them: `path` (of the URL; query and fragment are cut before anything looks), `referrer` (its
host), `revenue_amount`, `revenue_currency`, and `scroll_depth`, `engagement_ms` of its engagement events. It sends no
time, no id and no consent: an event counts in the hour it comes, an app that asks for consent takes none of it, and the
person is an address or nobody.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from node.http.forms.body import MALFORMED, MalformedBody, Sent, mend_surrogates
from node.http.forms.declared import UNREADABLE, Declared
from node.http.forms.form import NO_ATTRIBUTES, Form
from node.http.forms.names import plan_name_of
from privacy.filtering import Event, Rejected

_Props = dict[str, str | int | float | bool | None]


class Revenue(msgspec.Struct):
    amount: str | int | float | None = None
    currency: str | None = None


class Plausible(msgspec.Struct):
    n: str | None = None
    name: str | None = None
    d: str | None = None
    domain: str | None = None
    u: str | None = None
    url: str | None = None
    r: str | None = None
    referrer: str | None = None
    p: msgspec.Raw = NO_ATTRIBUTES
    props: msgspec.Raw = NO_ATTRIBUTES
    revenue: Revenue | None = None
    dollar: Revenue | None = msgspec.field(default=None, name="$")
    sd: int | float | None = None
    e: int | float | None = None


def _read(sent: Plausible, declared: Declared) -> Event | Rejected:
    raise TypeError("a body of this form is read as a whole")


FORM: Final = Form("plausible", ("n", "d"), Plausible, _read, {"attributes": "p"})
_DECODER: Final = msgspec.json.Decoder(Plausible)
_NO_ONE: Final = Rejected("malformed", "/d", "Send the event's name as n and its domain, one app's name, as d")


def read(body: bytes, declared: Declared, received_s: float) -> list[Sent]:
    """The one event of the body.

    Raises:
        MalformedBody: no JSON object.
    """
    try:
        sent = _DECODER.decode(mend_surrogates(body))
    except msgspec.ValidationError:
        return [MALFORMED]
    except UNREADABLE:
        raise MalformedBody(
            what="The request is refused",
            why="its body is no JSON that this node reads",
            fix="Send one event as Plausible's tracker does",
        ) from None
    name, domain = sent.n or sent.name, sent.d or sent.domain
    if not name or not domain:
        return [_NO_ONE]
    app, action = plan_name_of(domain), plan_name_of(name)
    props = declared.read(app, action, sent.p if sent.p is not NO_ATTRIBUTES else sent.props)
    if props is None:
        return [Rejected("malformed", "/p", "Send props as an object of names and values")]
    known = {key: value for key, value in _own(sent).items() if value is not None}
    return [(FORM, Event(app, action, {**known, **props}, received_s))]


def _own(sent: Plausible) -> dict[str, object]:
    """What the tracker says beside the props, under our names."""
    revenue = sent.revenue or sent.dollar
    return {
        "path": _part(sent.u or sent.url, "path"),
        "referrer": _part(sent.r or sent.referrer, "hostname"),
        "revenue_amount": None if revenue is None else revenue.amount,
        "revenue_currency": None if revenue is None else revenue.currency,
        "scroll_depth": sent.sd,
        "engagement_ms": sent.e,
    }


def _part(url: str | None, part: str) -> str | None:
    if not url:
        return None
    try:
        return getattr(urlsplit(url), part) or None
    except ValueError:
        return None
