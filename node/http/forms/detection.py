"""Which form an event has: the one whose required fields it brings. Two such forms are one too many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from node.http.forms import analytics, compact, dotted, universal
from node.http.forms.form import Form
from privacy.filtering import Rejected

FORMS: Final[tuple[Form, ...]] = (universal.FORM, analytics.FORM, dotted.FORM, compact.FORM)

UNKNOWN_FORM: Final = Rejected(
    "unknown_form",
    "",
    "Send the fields of one form: app and action, event_name and event_category, type and data, or a and n",
)
AMBIGUOUS_FORM: Final = Rejected("ambiguous_form", "", "Send the required fields of one form only")

_Seen = msgspec.Raw | UnsetType


class Probe(msgspec.Struct):
    """Which of the telling fields an event brings; their values stay bytes."""

    app: _Seen = UNSET
    action: _Seen = UNSET
    event_name: _Seen = UNSET
    event_category: _Seen = UNSET
    type: _Seen = UNSET
    data: _Seen = UNSET
    a: _Seen = UNSET
    n: _Seen = UNSET


def form_of(probe: Probe) -> Form | Rejected:
    """The event's one form, or UNKNOWN_FORM, or AMBIGUOUS_FORM."""
    found: Form | None = None
    for fits, form in (
        (probe.app is not UNSET and probe.action is not UNSET, universal.FORM),
        (probe.event_name is not UNSET and probe.event_category is not UNSET, analytics.FORM),
        (probe.type is not UNSET and probe.data is not UNSET, dotted.FORM),
        (probe.a is not UNSET and probe.n is not UNSET, compact.FORM),
    ):
        if fits:
            if found is not None:
                return AMBIGUOUS_FORM
            found = form
    return UNKNOWN_FORM if found is None else found


class Strangers:
    """Sees, for one form, whether events bring any field that tells another form: quick, and only a first look.

    Where none does, the events have this form or none. Where one does, `form_of` decides for each event.
    """

    __slots__ = ("_list", "_none", "_one")

    def __init__(self, form: Form) -> None:
        telling = [(name, _Seen, UNSET) for other in FORMS if other is not form for name in other.required]
        shape: Any = msgspec.defstruct("Strangers", telling)  # made at run time, so no type to name
        self._none = shape()
        self._one = msgspec.json.Decoder(shape)
        self._list = msgspec.json.Decoder(list[shape])

    def are_in_list(self, array: bytes | msgspec.Raw) -> bool:
        found = self._list.decode(array)
        return bool(found.count(self._none) != len(found))

    def are_in_lines(self, lines: Iterable[bytes]) -> bool:
        return any(self._one.decode(line) != self._none for line in lines)


STRANGERS: Final = {form: Strangers(form) for form in FORMS}
