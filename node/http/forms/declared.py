"""Decodes the attributes that the tracking plan declares for an action, and no others.

An undeclared name or value never becomes a Python object: the decoder steps over its bytes. Nor does a
declared value that is no scalar; it counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypedDict

import msgspec

from privacy.tracking_plan import Action, Plan

Scalar = str | int | float | bool | None

# A text that is no UTF-8 or a lone surrogate, a number out of every range, nesting without end.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)

_SCALAR: Final = msgspec.json.Decoder(Scalar)
MAX_AT_ONCE_BYTES: Final = 512 << 10

_NOTHING: Final[Mapping[str, object]] = {}


class Declared:
    """A plan's attributes, compiled to one decoder for each action. Immutable."""

    __slots__ = ("_apps_of", "_columns", "_readers")

    def __init__(self, plan: Plan) -> None:
        self._apps_of: dict[str, list[str]] = {}
        for app in plan.apps:
            for action in app.actions:
                self._apps_of.setdefault(action.name, []).append(app.name)
        self._columns = {(app.name, action.name): _ColumnReader(action) for app in plan.apps for action in app.actions}
        self._readers = {
            app.name: {action.name: _Reader(action) for action in app.actions if action.attributes} for app in plan.apps
        }

    def read(self, app: str, action: str, raw: msgspec.Raw) -> Mapping[str, object] | None:
        """The declared attributes among those sent, scalars only; None where `raw` is no JSON
        object (null counts as an empty one)."""
        actions = self._readers.get(app)
        reader = None if actions is None else actions.get(action)
        return _NOTHING if reader is None else reader.read(raw)

    def app_of(self, action: str) -> str:
        """The one app that declares this action; empty where none or several do. For senders that name no app."""
        apps = self._apps_of.get(action, ())
        return apps[0] if len(apps) == 1 else ""

    def columns(self, app: str, action: str, raws: Sequence[msgspec.Raw]) -> list[list[Scalar]] | None:
        """What `read` gives for each of `raws`, as one column for each declared attribute in plan order, None where
        one is not sent; or None where the action is undeclared or one of `raws` must be read with care."""
        reader = self._columns.get((app, action))
        return None if reader is None else reader.read(raws)


class _ColumnReader:
    __slots__ = ("_decoder", "_getters")

    def __init__(self, action: Action) -> None:
        names = {f"a{slot}": attribute.name for slot, attribute in enumerate(action.attributes)}
        # Any: the struct is made from the plan at run time.
        shape: Any = msgspec.defstruct("Attributes", [(field, Scalar, None) for field in names], rename=names, gc=False)
        self._decoder = msgspec.json.Decoder(list[shape])
        self._getters = [attrgetter(field) for field in names]

    def read(self, raws: Sequence[msgspec.Raw]) -> list[list[Scalar]] | None:
        sent: list[Any] = []
        try:
            for some in _portions(raws):
                # Each of `raws` is one whole value: the decoder that cut it out has seen its end.
                sent += self._decoder.decode(b"[" + b",".join(some) + b"]")
        except UNREADABLE:
            return None
        return [list(map(get, sent)) for get in self._getters]


def _portions(raws: Sequence[msgspec.Raw]) -> Iterator[Sequence[msgspec.Raw]]:
    """So many at a time that one call of the decoder, which lets no other thread in, takes a millisecond or so."""
    sizes = list(map(len, raws))
    if sum(sizes) <= MAX_AT_ONCE_BYTES:
        yield raws
        return
    start = total = 0
    for place, size in enumerate(sizes):
        total += size
        if total > MAX_AT_ONCE_BYTES:
            yield raws[start : place + 1]
            start, total = place + 1, 0
    yield raws[start:]


class _Reader:
    __slots__ = ("_careful", "_quick")

    def __init__(self, action: Action) -> None:
        names = [attribute.name for attribute in action.attributes]
        self._quick = _decoder(names, Scalar)
        self._careful = _decoder(names, msgspec.Raw)

    def read(self, raw: msgspec.Raw) -> Mapping[str, object] | None:
        try:
            return self._quick.decode(raw)
        except UNREADABLE:  # one value at least is no scalar: look at each alone
            pass
        try:
            sent = self._careful.decode(raw)
        except UNREADABLE:
            return _NOTHING if bytes(raw) == b"null" else None
        return {name: _scalar(value) for name, value in sent.items()}


def _decoder(names: list[str], kind: Any) -> msgspec.json.Decoder[dict[str, Any]]:
    """A decoder of objects that keeps these names only. `Any`: the types are made from the plan at run time."""
    shape: Any = TypedDict("Attributes", dict.fromkeys(names, kind), total=False)  # type: ignore[misc]
    return msgspec.json.Decoder(shape)


def _scalar(raw: msgspec.Raw) -> Scalar:
    try:
        value: Scalar = _SCALAR.decode(raw)
    except UNREADABLE:
        return None
    return value
