"""Which form an event has: the one whose required fields it brings. Two such forms are one too many."""

from __future__ import annotations

from typing import Final

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


_TELLING: Final = tuple((form, tuple(f'"{name}"'.encode() for name in form.required)) for form in FORMS)


def only_form_in(body: bytes) -> Form | None:
    """The one form that events of this body can have at all, or None where its bytes leave more than one, or none.

    A name that is nowhere in the bytes is no field. It might be there in escapes, so where there are any of the
    kind that could spell a name, nothing is concluded.
    """
    if b"\\u" in body:
        return None
    possible = [form for form, names in _TELLING if all(name in body for name in names)]
    return possible[0] if len(possible) == 1 else None
