"""What a form of event is: the fields that tell it apart, and the way from those fields to an `Event`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from node.http.forms.declared import Declared
from node.http.forms.timestamps import seconds_of
from privacy.filtering import Event, Rejected

# Field types that forms share. An id may be sent as a number; it means the same as its digits.
Id = str | int | None
Moment = str | int | float | None
NO_ATTRIBUTES: Final = msgspec.Raw(b"{}")


Getter = Callable[[Any], Any]  # from a form's struct, which only the form knows, to one of its fields


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a form keeps the parts of an event; for reading many at once (`node.http.forms.quick`)."""

    target: Getter  # what names app and action: equal targets, equal app and action
    split: Callable[[Any], tuple[str, str]]  # from a target to app and action
    attributes: Getter
    timestamp: Getter
    user: Getter
    session: Getter
    event_id: Getter
    country: Getter
    consent: Getter
    sequence: Getter


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One way to write an event in JSON. There is one value a form: compared by identity.

    Args:
        name: Its name in specs/events.md.
        required: The fields that tell it apart.
        struct: What it is decoded into.
        read: From the decoded struct to the event, or why it cannot be read.
        words: Its words for the parts of an `Event` where they differ; for the pointers in receipts.
        parts: Where they stand; None for a form that is only read event by event.
    """

    name: str
    required: tuple[str, ...]
    struct: type[msgspec.Struct]
    # Each form reads its own struct; a common parameter type would have to be every one of them at once.
    read: Callable[[Any, Declared], Event | Rejected]
    words: Mapping[str, str] = field(default_factory=dict)
    parts: Parts | None = None
    one: msgspec.json.Decoder[Any] = field(init=False)
    many: msgspec.json.Decoder[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "one", msgspec.json.Decoder(self.struct))
        object.__setattr__(self, "many", msgspec.json.Decoder(list[self.struct]))  # type: ignore[name-defined]

    def in_own_words(self, rejected: Rejected) -> Rejected:
        """The same rejection with the first part of its pointer as this form spells it."""
        _, _, path = rejected.pointer.partition("/")
        first, slash, rest = path.partition("/")
        word = self.words.get(first)
        if word is None:
            return rejected
        return Rejected(rejected.code, f"/{word}{slash}{rest}", rejected.hint)


def build_event(
    declared: Declared,
    app: str,
    action: str,
    attributes: msgspec.Raw,
    timestamp: Moment,
    user: Id,
    session: Id,
    event_id: Id,
    country: str | None,
    consent: Sequence[str] | None,
    sequence: int | None,
) -> Event | Rejected:
    """The event that a form's parts make, or why its attributes cannot be read.

    An unreadable timestamp becomes NaN: the filter rejects it in its turn, after the sender's will.
    """
    values = declared.read(app, action, attributes)
    if values is None:
        return Rejected("malformed", "/attributes", "Send an object of names and values")
    return Event(
        app,
        action,
        values,
        seconds_of(timestamp),
        user if user is None or type(user) is str else str(user),
        session if session is None or type(session) is str else str(session),
        event_id if event_id is None or type(event_id) is str else str(event_id),
        country,
        None if consent is None else frozenset(consent),
        sequence,
    )
