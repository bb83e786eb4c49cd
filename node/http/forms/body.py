"""From a request's body to its events: one event, a list, `{"batch": [...]}`, or one event a line (NDJSON).

A bad event costs only itself: it becomes a `Rejected` in its place. Only a body that is no JSON at all, nests
without end, or holds too many events is refused as a whole. The usual body, all of one form and well-typed,
is decoded whole; any other is read event by event, to the same result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from node.errors import RejectedInput
from node.http.forms.declared import UNREADABLE, Declared
from node.http.forms.detection import FORMS, STRANGERS, Probe, form_of
from node.http.forms.form import Form
from privacy.filtering import Event, Rejected

MAX_EVENTS: Final = 500
MAX_BODY_BYTES: Final = 1 << 20

# An event with the form it came in, or why it cannot be read.
Sent = tuple[Form, Event] | Rejected

MALFORMED: Final = Rejected("malformed", "", "Send a JSON object, texts in UTF-8, numbers within 64 bits")


class MalformedBody(RejectedInput):
    """The body is no JSON, or not of a shape that holds events."""

    code = "malformed_body"
    status = 400


class TooManyEvents(RejectedInput):
    """The body holds more events than one request may."""

    code = "too_many_events"
    status = 413


class _Top(Probe):
    """A body that is an object: an event, or a batch of them."""

    batch: msgspec.Raw | UnsetType = UNSET


_TOP: Final = msgspec.json.Decoder(_Top)
_ONE_PROBE: Final = msgspec.json.Decoder(Probe)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
# An escape of any kind, so that an escaped backslash is never taken for the start of one; group 1: a lone half.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_PATH: Final = re.compile(r" - at `\$((?:\.[a-z_]{1,32}|\[[0-9]{1,9}\])+)`$")


def decode_body(body: bytes, declared: Declared, *, is_ndjson: bool = False) -> list[Sent]:
    """The events of a body, each in its place.

    Raises:
        MalformedBody: no JSON, nested too deep, no list or object, or no event in it.
        TooManyEvents: more than MAX_EVENTS.
    """
    body = mend_surrogates(body)
    if is_ndjson:
        return _read_lines(body, declared)
    try:
        top = _TOP.decode(body)
    except msgspec.ValidationError:  # no object: a list, then
        return _read_list(body, declared)
    except UNREADABLE:
        raise _malformed() from None
    return [_read_one(body, declared)] if top.batch is UNSET else _read_list(top.batch, declared)


def mend_surrogates(body: bytes) -> bytes:
    """The body with each escaped half of a character (a text cut inside an emoji) as U+FFFD.

    JSON allows such halves and browsers send them, but the decoder refuses the whole body for one.
    """
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


def _read_list(array: bytes | msgspec.Raw, declared: Declared) -> list[Sent]:
    for form in FORMS:
        try:
            decoded = form.many.decode(array)
        except UNREADABLE:  # for the wrong form, mostly at the first event
            continue
        if STRANGERS[form].are_in_list(array):
            break
        return _read_alike(form, decoded, declared)
    try:
        raws = _RAWS.decode(array)
    except UNREADABLE:
        raise _malformed() from None
    return _read_each(raws, declared)


def _read_lines(body: bytes, declared: Declared) -> list[Sent]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    for form in FORMS:
        try:
            decoded = [form.one.decode(line) for line in lines]
        except UNREADABLE:
            continue
        if STRANGERS[form].are_in_lines(lines):
            break
        return _read_alike(form, decoded, declared)
    return _read_each(lines, declared)


def _read_alike(form: Form, decoded: list[Any], declared: Declared) -> list[Sent]:
    """Events known to have this form. `Any`: see `Form.read`."""
    _check_count(decoded)
    return [_pair(form, form.read(sent, declared)) for sent in decoded]


def _read_each(raws: Sequence[bytes | msgspec.Raw], declared: Declared) -> list[Sent]:
    _check_count(raws)
    return [_read_one(raw, declared) for raw in raws]


def _read_one(raw: bytes | msgspec.Raw, declared: Declared) -> Sent:
    try:
        form = form_of(_ONE_PROBE.decode(raw))
        if isinstance(form, Rejected):
            return form
        sent = form.one.decode(raw)
    except msgspec.ValidationError as error:
        return _mistyped(str(error))
    except UNREADABLE:
        return MALFORMED
    return _pair(form, form.read(sent, declared))


def _pair(form: Form, event: Event | Rejected) -> Sent:
    return form.in_own_words(event) if isinstance(event, Rejected) else (form, event)


def _mistyped(message: str) -> Rejected:
    """Where a field has the wrong type. Only the path is taken from the message: it holds field names alone."""
    match = _PATH.search(message)
    if match is None:
        return MALFORMED
    pointer = match[1].replace(".", "/").replace("[", "/").replace("]", "")
    return Rejected("malformed", pointer, "Send a value of the type that the form asks for")


def _check_count(events: Sequence[object]) -> None:
    if not events:
        raise _malformed("it holds no event")
    if len(events) > MAX_EVENTS:
        raise TooManyEvents(
            what="The request is refused",
            why=f"it holds {len(events)} events, at most {MAX_EVENTS} are taken at once",
            fix="Send smaller batches",
        )


def _malformed(why: str = "its body is no JSON that this node reads") -> MalformedBody:
    return MalformedBody(
        what="The request is refused",
        why=why,
        fix='Send one event, a list, {"batch": [...]}, or one event a line as application/x-ndjson',
    )
