"""Which rows count: those of all apps, of one app, or of one action of it.

A definition names one source in `from`; steps of a funnel and components of a score name narrower ones as text,
`app/action` or `app`, or, where `from` fixes the app, `action` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from privacy.dimensions import NAME
from privacy.errors import InvalidDefinition
from privacy.exact import shown


@dataclass(frozen=True, slots=True)
class Source:
    """Which rows count: all apps (both None), one app, or one action of it."""

    app: str | None = None
    action: str | None = None

    def has(self, app: str, action: str) -> bool:
        """Whether rows of this app's action belong to it."""
        return self.app in (None, app) and self.action in (None, action)

    @property
    def text(self) -> str:
        """`any`, `app` or `app/action`."""
        return "any" if self.app is None else "/".join(part for part in (self.app, self.action) if part)


ANY: Final = Source()


def parse_source(tree: object) -> Source:
    """The source that `from` names.

    Raises:
        InvalidDefinition: neither `any` nor an app with or without an action.
    """
    if tree == "any":
        return Source()
    if not isinstance(tree, Mapping) or "app" not in tree or tree.keys() - {"app", "action"}:
        raise _bad("`from` names no source", "Write from: {app: APP, action: ACTION}, from: {app: APP} or from: any")
    for name in tree.values():
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise _bad(f"`from` names {shown(name)}", "Use names of the tracking plan (a-z, 0-9, _ . -)")
    return Source(tree["app"], tree.get("action"))


def parse_part(text: object, where: str) -> Source:
    """A source inside a measure: `app/action`, or one name, read as an action by `within` where `from` fixes the app.

    Raises:
        InvalidDefinition: no such text.
    """
    names = text.split("/") if isinstance(text, str) else []
    if not 1 <= len(names) <= 2 or any(NAME.fullmatch(name) is None for name in names):
        raise _bad(f"{where} names {shown(text)}", "Write APP/ACTION, or one name of the tracking plan")
    return Source(*names)


def within(part: Source, source: Source) -> Source:
    """A part's source in the light of `from`: one name is an action where `from` fixes the app, else an app.

    Raises:
        InvalidDefinition: the part lies outside `from`.
    """
    if part.app is not None and part.action is None and source.app is not None:
        part = Source(source.app, part.app)
    if not (source.app in (None, part.app) and source.action in (None, part.action)):
        raise _bad(f"{part.text} lies outside `from`", "Name actions of the source, or widen `from`")
    return part


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Metric refused", why=why, fix=fix)
