"""What judgement says about one admitted entry.

`Counted` and `Void` are final for the entries and charters known; `Opaque` waits for newer software,
`Waiting` for a definition's body, which is fetched by hash. None of them holds up the author's log.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counted:
    """The entry means what it says."""


@dataclass(frozen=True, slots=True)
class Void:
    """The entry stands in its author's log and counts for nothing.

    Args:
        reason: A code of the closed list in specs/mesh.md, e.g. "sigma_mismatch".
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """This version does not know the kind or its data's version; kept, relayed, judged after an upgrade."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not judged yet: the body of the definition it names is not known here; where it names none, its own body."""

    definition: bytes


Verdict = Counted | Void | Opaque | Waiting

COUNTED = Counted()
OPAQUE = Opaque()
BODY_AWAY = Waiting(b"")


def verdict_text(verdict: Verdict) -> str:
    """One word for logs and tables: counted, void, opaque or waiting."""
    return type(verdict).__name__.lower()
