"""Admission: may this entry stand in its author's log?

Pure. Looks at the header, and for `inception` also at its data; never at what the entry says. In order:
federation, author named in a charter, generation and kind, position, key in force, signature, `prev`. The form,
sizes and the match of header, data and cells were checked by `protocol.entries.parse_entry`.

- the same entry again is `Duplicate`: nothing happens;
- an entry beyond the next position is `Behind`: not part of the log, the caller asks for what lies between;
- a second entry on top of one that already has a successor is `Forked`: the author is frozen there;
- an entry on top of another `prev` is refused as `prev-mismatch`: perhaps there is a fork lower down, which
  comparing positions with the sender shows (federation/session.py);
- beyond a fork everything is refused as `frozen`.

Left out until key rotation and recovery exist: generations above 0, `rotate` and `recover`. They are refused by
name and hold their author's log at that position until the software is newer; nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.log_state import GENERATION, AuthorLog, Position
from protocol.entries import INCEPTION, RECOVER, ROTATE, ParsedEntry, verify_entry
from protocol.errors import ProtocolError
from protocol.identity import Inception, parse_inception

_LATER_KINDS: Final = frozenset({ROTATE, RECOVER})


@dataclass(frozen=True, slots=True)
class Admitted:
    """The entry is the next one of its author's log. `inception` is set for the first entry."""

    inception: Inception | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The log holds exactly this entry."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Entries are missing before this one.

    Args:
        head: The last position known here.
        verified: True when the signature was checked and is good, so that the entry may wait in memory.
    """

    head: Position
    verified: bool


@dataclass(frozen=True, slots=True)
class Forked:
    """The author signed this entry and another one at this position, on top of the same entry."""

    seq: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry may not stand in this log. `code` is stable, `why` a sentence without its stop."""

    code: str
    why: str


Decision = Admitted | Duplicate | Behind | Forked | Refused

PREV_MISMATCH: Final = "prev-mismatch"


def admit(parsed: ParsedEntry, log: AuthorLog | None, *, is_stored: bool = False) -> Decision:
    """What becomes of an entry offered for its author's log.

    Args:
        parsed: The entry, in form.
        log: The log of its author; None when no charter names the author.
        is_stored: True for entries from this node's own database: their signatures were verified when they came.
    """
    header = parsed.header
    if log is None:
        return Refused("not-a-member", f"no charter names {header.author.hex()[:16]}")
    if header.federation != log.federation:
        return Refused("wrong-federation", f"it belongs to federation {header.federation.hex()[:16]}")
    if header.generation != GENERATION or header.kind in _LATER_KINDS:
        return Refused("unsupported", f"this version knows no {header.kind} in generation {header.generation}")
    if (header.kind == INCEPTION) != (header.seq == 0):
        return Refused("inception-misplaced", f"{header.kind} at {header.seq}; a log starts with its one inception")
    if header.seq < log.height and log.ids[header.seq] == parsed.id:
        return Duplicate()
    if log.branches is not None and header.seq >= log.height:
        is_branch = header.seq == log.height and parsed.id in log.branches
        return Duplicate() if is_branch else Refused("frozen", f"its author signed twice at {log.height}")
    return _place(parsed, log, is_stored)


def _place(parsed: ParsedEntry, log: AuthorLog, is_stored: bool) -> Decision:
    header = parsed.header
    inception = log.inception
    if header.seq == 0:
        try:
            inception = parse_inception(parsed.entry.data)
        except ProtocolError as error:
            return Refused("bad-inception", error.why)
        if inception.node_id != header.author:
            return Refused("bad-inception", "the record's hash is not the author's id")
    if inception is None:
        return Behind(log.position, verified=False)
    if not is_stored:
        try:
            verify_entry(header, parsed.entry, (inception.signing_key,))
        except ProtocolError as error:
            return Refused(error.code, error.why)
    if header.seq > log.height:
        return Behind(log.position, verified=True)
    if header.prev != log.before(header.seq):
        return Refused(PREV_MISMATCH, f"it does not stand on the entry known before {header.seq}")
    if header.seq < log.height:
        return Forked(header.seq)
    return Admitted(inception if header.seq == 0 else None)
