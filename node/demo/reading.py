"""The demo's own reading of what it sent: which events count, and what each says. Plain Python, on purpose.

It shares no line with the node's forms, filter or bounding: it is what they are checked against. It reads the request
bodies back, as bytes, and knows the rules as a reader of specs/events.md would. Speed comes from caches of texts, not
from the node's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from node.demo.play import NDJSON, Batch

_NOWHERE: Final = "ZZ"
_PERSONAL: Final = re.compile(r"@|\b\d{1,3}(\.\d{1,3}){3}\b")
_LONGEST: Final = 128  # characters of a word; what is longer is free text


class Seen(NamedTuple):
    """One event that counts."""

    hour: int  # hours since 1970-01-01T00Z
    person: str
    app: str
    action: str
    country: str  # ZZ where unknown
    attributes: dict[str, Any]  # as sent
    sequence: int = 0  # its place in the request: what orders events of one hour


@dataclass(frozen=True, slots=True)
class PlanApp:
    """What the truth needs of one app of a tracking plan."""

    person: str
    consent: str
    actions: dict[str, dict[str, Any]]


def plan_apps(tree: Mapping[str, Any]) -> dict[str, PlanApp]:
    """The apps of a plan read as strings-only YAML."""
    return {
        name: PlanApp(app["person"], app["consent"], {action: found or {} for action, found in app["actions"].items()})
        for name, app in tree["apps"].items()
    }


def read_events(batches: Iterable[Batch], apps: Mapping[str, PlanApp]) -> Iterator[Seen]:
    """Every event that counts, once, in the order of sending."""
    known: set[str] = set()
    hours: dict[Any, int | None] = {}
    for batch in batches:
        if ("Sec-GPC", "1") in batch.headers:
            continue
        for position, tree in enumerate(_trees(batch)):
            seen = _read(tree, apps, hours, known, position)
            if seen is not None:
                yield seen


def word(value: object, listed: frozenset[str]) -> str:
    """What remains of a category's value: a listed word, `other`, or `none`."""
    if type(value) is not str or not value:
        return "none"
    if value in listed:
        return value
    return "none" if len(value) > _LONGEST or _PERSONAL.search(value) else "other"


def number(value: object) -> float | None:
    """A number as sent, or None where it is none."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e12 else None  # type: ignore[arg-type]


def _trees(batch: Batch) -> Iterator[Any]:
    if batch.content_type != NDJSON:
        yield from msgspec.json.decode(batch.body)
        return
    for line in batch.body.split(b"\n"):
        try:
            yield msgspec.json.decode(line)
        except msgspec.DecodeError:
            yield None  # it keeps its place


def _read(
    tree: Any, apps: Mapping[str, PlanApp], hours: dict[Any, int | None], known: set[str], position: int
) -> Seen | None:
    fields = _fields(tree)
    if fields is None:
        return None
    app_name, action, attributes, time, country, user, session, event_id, consent = fields
    app = apps.get(app_name)
    if app is None or (app.consent != "none" and app.consent not in (consent or ())) or action not in app.actions:
        return None
    person = session if app.person == "session" else user
    if not person or event_id in known:
        return None
    hour = _hour(time, hours)
    if hour is None:
        return None
    known.add(event_id)
    return Seen(hour, person, app_name, action, _country(country), attributes, position)


def _fields(tree: Any) -> tuple[Any, ...] | None:
    """(app, action, attributes, time, country, user, session, event id, consent), or None for no or several forms."""
    if type(tree) is not dict:
        return None
    universal = "app" in tree and "action" in tree
    analytics = "event_name" in tree and "event_category" in tree
    dotted = "type" in tree and "data" in tree
    compact = "a" in tree and "n" in tree
    if universal + analytics + dotted + compact != 1:
        return None
    get = tree.get
    if universal:
        return (tree["app"], tree["action"], get("attributes", {}), get("timestamp"), get("geo_hint"), get("user_id"),
                get("session_id"), get("event_id"), get("consent"))  # fmt: skip
    if analytics:
        return (tree["event_category"], tree["event_name"], get("properties", {}), get("timestamp"),
                get("context", {}).get("country"), get("user_id"), get("session_id"), get("event_id"),
                get("privacy", {}).get("consent"))  # fmt: skip
    if dotted:
        app, _, action = tree["type"].partition(".")
        return (app, action, tree["data"], get("timestamp"), get("country"), get("user"), get("session"), get("id"),
                get("consent"))  # fmt: skip
    return (tree["a"], tree["n"], get("p", {}), get("t"), get("g"), get("u"), get("s"), get("i"), get("c"))


def _hour(time: Any, hours: dict[Any, int | None]) -> int | None:
    """The UTC hour of a time as sent; a cache, because an hour has many events."""
    key = time[:13] if type(time) is str else time // 3_600 if type(time) is int else None
    if key not in hours:
        hours[key] = _slow_hour(time)
    return hours[key]


def _slow_hour(time: Any) -> int | None:
    if type(time) is int:
        return time // 3_600
    try:
        return int(datetime.fromisoformat(time).timestamp() // 3_600)
    except (TypeError, ValueError):
        return None


def _country(text: Any) -> str:
    return text if type(text) is str and len(text) == 2 and text.isascii() and text.isalpha() else _NOWHERE
