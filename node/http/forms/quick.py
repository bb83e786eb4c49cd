"""Bodies of the usual kind, decoded whole: well-typed events that all have one form and no field that tells another.

`read` says nothing about any other body; then `node.http.forms.body` reads it, event by event, and has the last word.
A field that must not be there has a type that nothing can be decoded to, so one pass both reads and checks.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import msgspec

from node.http.forms.body import MAX_EVENTS, mend_surrogates
from node.http.forms.declared import UNREADABLE
from node.http.forms.detection import FORMS
from node.http.forms.form import Form

# Any: the structs are made from the forms at run time.
Decoded = tuple[Form, list[Any]]


class _Never:
    """The type of a field that must not be there."""


def _refuse(kind: type, value: object) -> NoReturn:
    raise ValueError("a field of another form")


class _Quick:
    """The decoders of one form."""

    __slots__ = ("alone", "batch", "form", "line", "listed")

    def __init__(self, form: Form) -> None:
        telling = [(name, _Never, None) for other in FORMS if other is not form for name in other.required]
        event: Any = msgspec.defstruct("Event", telling, bases=(form.struct,), gc=False)
        alone: Any = msgspec.defstruct("Alone", [("batch", _Never, None)], bases=(event,), gc=False)
        batch: Any = msgspec.defstruct("Batch", [("batch", list[event])])
        self.form = form
        self.line = msgspec.json.Decoder(event, dec_hook=_refuse)
        self.alone = msgspec.json.Decoder(alone, dec_hook=_refuse)
        self.listed = msgspec.json.Decoder(list[event], dec_hook=_refuse)
        self.batch = msgspec.json.Decoder(batch, dec_hook=_refuse)

    def read(self, body: bytes, is_ndjson: bool) -> list[Any]:
        """The events; raises one of UNREADABLE where the body is not of this form throughout."""
        if is_ndjson:
            return [self.line.decode(line) for line in body.split(b"\n") if line.strip()]
        if body.startswith(b"["):
            return self.listed.decode(body)
        if _BATCH in body:
            return list(self.batch.decode(body).batch)
        return [self.alone.decode(body)]


_BATCH: Final = b'"batch"'  # a hint only: where it misleads, the decoder refuses
_QUICK: Final = tuple(_Quick(form) for form in FORMS if form.parts is not None)


def read(body: bytes, *, is_ndjson: bool = False) -> Decoded | None:
    """The form of all events of the body and the events decoded, 1 to MAX_EVENTS; None where it is not that simple."""
    body = mend_surrogates(body)
    for quick in _QUICK:
        try:
            events = quick.read(body, is_ndjson)
        except UNREADABLE:
            continue
        return (quick.form, events) if 0 < len(events) <= MAX_EVENTS else None
    return None
