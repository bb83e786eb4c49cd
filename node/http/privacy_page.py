"""What a visitor may know: what is tracked, what becomes of it, what it can cost them. Public, no key.

    GET /privacy.json            everything that the page /privacy says, generated from the live configuration
    GET /privacy/request.json    what this very request would leave behind; it looks nobody up and stores nothing
    GET /.well-known/gpc.json    that Global Privacy Control is honoured

Rules:

- Nothing here is written by hand about a particular plan: the examples are made by the encoders that the filter uses,
  the figures by the accounting that the ledger uses.
- No count of events or people, no id of a person, no cookie. Only released, noised summaries are listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from node.commons import Commons, FederationView
from node.jobs.facts import Layouts, standing_delta, suffered
from node.vault.calendar import CLOSE_AFTER_HOURS, GRACE_HOURS, RETENTION_HOURS
from privacy.accounting import DELTA, Guarantee, guarantees
from privacy.coding import encoder_of
from privacy.noise_table import ETA_TABLE
from privacy.quantiles import decimal_text
from privacy.tracking_plan import Attribute, Band, Category, Flag, Key, Number, Plan
from privacy.units import EpochLength

NEWEST_RELEASES: Final = 10
PROMISED_DRAWS: Final = 2**20  # as node.http.research promises
EXAMPLE_HOUR: Final = ("2026-11-18T14:23:51Z", "2026-11-18T14")

DROPPED: Final = (
    "the IP address; at most a country is read from it, in memory",
    "the user agent and every other header of the request",
    "minutes and seconds: a time is kept as its UTC hour",
    "user, session and event ids; a keyed pseudonym stands for them, and its key is destroyed",
    "every field that the plan below does not name, unread",
    "values that look like an e-mail address, a phone number, a card or an account",
)
_KEY_SAMPLE: Final = "my-first-post"
_SEEN: Final = ("User-Agent", "Accept-Language", "Referer", "Cookie", "DNT", "Sec-GPC", "X-Forwarded-For")

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What the page speaks about.

    Args:
        name: The node's name.
        plan: The plan in force; asked each time.
        plan_file: Where it stands; its date is the date of the statement.
        epoch: Length of the epochs.
        commons: Released numbers.
        has_dashboard: True where the other pages stand on the same address.
    """

    name: str
    plan: Callable[[], Plan]
    plan_file: Path
    epoch: EpochLength
    commons: Commons
    has_dashboard: bool


def privacy_routes(disclosed: Disclosed) -> list[web.RouteDef]:
    """The three documents."""

    async def statement(_request: web.Request) -> web.Response:
        return _json(privacy_document(disclosed))

    async def this_request(request: web.Request) -> web.Response:
        return _json(request_document(request))

    async def gpc(_request: web.Request) -> web.Response:
        return _json({"gpc": True, "lastUpdate": _changed(disclosed.plan_file)})

    return [
        web.get("/privacy.json", statement),
        web.get("/privacy/request.json", this_request),
        web.get("/.well-known/gpc.json", gpc),
    ]


def privacy_document(disclosed: Disclosed) -> Json:
    """All that /privacy says."""
    commons, plan = disclosed.commons, disclosed.plan()
    view = commons.federation()
    return {
        "schema": "murmur.privacy/1",
        "name": disclosed.name,
        "dashboard": disclosed.has_dashboard,
        "changed": _changed(disclosed.plan_file),
        "plan": {"name": plan.name, "purposes": list(plan.purposes), "apps": plan_apps(plan)},
        "dropped": list(DROPPED),
        "signals": {
            "gpc": "dropped",
            "dnt": "dropped",
            "no_consent": "dropped where the app needs a purpose",
            "withdrawn": "dropped from then on, whatever an event claims, until the epoch ends",
        },
        "kept": {
            "epoch": disclosed.epoch,
            "pseudonym_key_hours": GRACE_HOURS,
            "data_key_days": RETENTION_HOURS // 24,
            "close_after_hours": dict(CLOSE_AFTER_HOURS),
        },
        "guarantees": _guarantees(disclosed, view),
        "federation": {
            "name": view.name,
            "members": [
                {"name": member.contributor.name, "organisation": member.contributor.organisation}
                for member in view.members
            ],
        },
        "metrics": [
            {"metric": row.name, "question": row.definition.question, "window": row.definition.window}
            for row in commons.rows()
            if row.until_hour is None
        ],
        "releases": [
            {"release": row.release.hex(), "metric": row.metric, "window": row.window.text}
            for row in [row for row in commons.releases() if row.node == commons.node][:NEWEST_RELEASES]
            if view.charter.min_organisations == 1  # else an id could be held against guesses at this member's numbers
        ],
    }


def request_document(request: web.Request) -> Json:
    """What a request with these headers would leave. Names of headers only, never their values."""
    gpc = "1" in (value.strip() for value in request.headers.getall("Sec-GPC", ()))
    dnt = request.headers.get("DNT", "").strip() == "1"
    return {
        "schema": "murmur.privacy-request/1",
        "gpc": gpc,
        "dnt": dnt,
        "would_be_kept": not gpc and not dnt,
        "headers_dropped": [name for name in _SEEN if name in request.headers and name not in ("DNT", "Sec-GPC")],
        "stored_now": [],
    }


def example_of(attribute: Attribute) -> tuple[str, str]:
    """A value as an app might send it and what is kept of it, by the encoder that the filter uses."""
    if isinstance(attribute.type, Key):
        kept = _KEY_SAMPLE[: attribute.type.max_bytes].rstrip("-")
        return kept, kept
    before = _sample(attribute)
    code = encoder_of(attribute.type)(before)
    if code is None:
        raise ValueError("a sample is made to fit its type")
    return str(before).lower() if isinstance(before, bool) else str(before), _kept(attribute, code)


def _sample(attribute: Attribute) -> str | bool:
    match attribute.type:
        case Category(values):
            return values[0]
        case Band(edges):
            low, high = edges[len(edges) // 2 - 1] if len(edges) > 1 else edges[0] - 1, edges[len(edges) // 2]
            return _text(_hundredths(low + (high - low) * Fraction(37, 100)))
        case Number(quantum, low, high):
            middle = low + (high - low) * Fraction(37, 100)
            return _text(middle - middle % quantum + quantum * Fraction(3, 10))
        case Flag():
            return True
        case Key():
            raise TypeError("a key has no code")


def _kept(attribute: Attribute, code: int) -> str:
    match attribute.type:
        case Category(values):
            return values[code] if code < len(values) else "other"
        case Band(edges):
            if code == 0:
                return f"below {_text(edges[0])}"
            return f"{_text(edges[code - 1])} or more" if code == len(edges) else _between(edges[code - 1], edges[code])
        case Number(quantum):
            return _text(code * quantum)
        case Flag():
            return "yes" if code else "no"
        case Key():
            raise TypeError("a key has no code")


def _hundredths(value: Fraction) -> Fraction:
    return Fraction(round(value * 100), 100)


def _between(low: Fraction, high: Fraction) -> str:
    return f"{_text(low)} to {_text(high)}"


def _text(value: Fraction) -> str:
    text = decimal_text(value, 6)
    return text.rstrip("0").rstrip(".") if "." in text else text


def plan_apps(plan: Plan) -> list[Json]:
    """The plan as anybody may read it: apps, actions, fields, and an example of each before and after the filter."""
    return [
        {
            "app": app.name,
            "person_key": app.person_kind,
            "consent": app.required_purpose,
            "share_of_people": str(app.sampling),
            "actions": [
                {"action": action.name, "fields": [_field(attribute) for attribute in action.attributes]}
                for action in app.actions
            ],
        }
        for app in plan.apps
    ]


def _field(attribute: Attribute) -> Json:
    before, after = example_of(attribute)
    kinds = {Category: "category", Band: "band", Number: "number", Flag: "flag", Key: "key"}
    return {"field": attribute.name, "kept_as": kinds[type(attribute.type)], "before": before, "after": after}


def _guarantees(disclosed: Disclosed, view: FederationView) -> Json:
    """Epsilon at the cap and as charged here, for someone active on this platform only and on all of them."""
    commons = disclosed.commons
    rows = commons.rows()
    length = disclosed.epoch
    own = [one for one in suffered(commons.charges(), Layouts(rows)) if one.node == commons.node]
    cap = view.caps.get(length)
    promised: Json = {}
    if cap is not None:
        for who, platforms in (("one_platform", 1), ("all_platforms", len(view.members))):
            thresholds = platforms * standing_delta(length, rows)
            eta = ETA_TABLE * PROMISED_DRAWS * platforms
            promised[who] = _spans(guarantees(length, cap * platforms, eta=eta, thresholds_delta=thresholds))
    charged = next((_spans(one.guarantees) for one in own if one.length == length), None)
    return {"delta": decimal_text(DELTA, 6), "at_the_cap": promised, "charged_here": charged}


def _spans(told: tuple[Guarantee, ...] | list[Guarantee]) -> list[Json]:
    return [{"days": one.days, "epsilon": f"{one.epsilon:f}", "delta": f"{one.delta:f}"} for one in told]


def _changed(plan_file: Path) -> str:
    try:
        at = plan_file.stat().st_mtime
    except OSError:
        at = 0.0  # the file is gone; the plan in memory stays in force
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _json(document: Json) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=msgspec.json.encode(document), content_type="application/json", headers=headers)
