"""Admission: may this entry stand in its author's log?

Pure. Looks at the header, and for `inception`, `rotate` and `recover` also at their data; never at what other entries
say. In order: federation, author named in a charter, the entry it stands on, key in force there, signature. The form,
sizes and the match of header, data and cells were checked by `protocol.entries.parse_entry`.

- the same entry again is `Duplicate`: nothing happens;
- the next entry of the line is `Admitted`;
- an entry on any other known entry is `Forked`: it stands beside the line, and `federation.branches` decides which
  counts. A `recover` usually is one;
- an entry of a branch that a later key has overtaken is `Superseded`: a retired key was used, and nothing else follows;
- an entry beyond the next position, on one not known, is `Behind`: the caller asks for what lies between;
- an entry at a known position on another `prev` is refused as `prev-mismatch`: perhaps there is a fork lower down,
  which comparing positions with the sender shows (federation/session.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.branches import Stub, Turn
from federation.log_state import AuthorLog, Position, with_root
from protocol.entries import INCEPTION, RECOVER, ROTATE, Header, ParsedEntry, verify_entry
from protocol.errors import BadSignature, MalformedMessage, ProtocolError
from protocol.identity import Inception, parse_inception
from protocol.ids import EntryId
from protocol.key_chain import KeyState, advance_chain, start_chain


@dataclass(frozen=True, slots=True)
class Admitted:
    """The entry is the next one of its author's log. `inception` is set for the first entry, `stub` for new keys."""

    inception: Inception | None = None
    stub: Stub | None = None


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
    """The entry stands beside the line: its author signed this and another one, or recovers from an older entry."""

    seq: int
    stub: Stub | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """A key that was rotated out, or recovered from, signed a second entry at an old position."""

    seq: int
    stub: Stub


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry may not stand in this log. `code` is stable, `why` a sentence without its stop."""

    code: str
    why: str


Decision = Admitted | Duplicate | Behind | Forked | Superseded | Refused

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
    if (header.kind == INCEPTION) != (header.position == (0, 0)) or (header.kind != INCEPTION and header.seq == 0):
        return Refused("inception-misplaced", f"{header.kind} at {header.position}; a log starts with its inception")
    if log.holds(parsed.id, header.seq):
        return Duplicate()
    try:
        return _place(parsed, log, is_stored)
    except ProtocolError as error:
        return Refused(error.code, error.why)


def _place(parsed: ParsedEntry, log: AuthorLog, is_stored: bool) -> Decision:
    header = parsed.header
    if header.seq == 0:
        return _first(parsed, log, is_stored)
    is_next = _is_next(header, log)
    below = _below(header.prev, header.seq, log)
    if below is None:
        return _not_on_known(parsed, log, is_stored)
    keys, generation = below
    stub = _stub_of(parsed, keys, generation, log, is_stored)
    if is_next and not log.is_frozen and not log.is_off_the_cut(stub) and (not log.is_cut or stub.turn == "recover"):
        return Admitted(stub=stub if stub.turn else None)
    if is_next and log.is_cut and not is_stored:  # what was stored before the cut is known, and stands beside
        return Refused("cut", f"a charter ended this log at {log.height - 1}; only a recover goes on from there")
    if stub.turn == "" and not log.is_frozen and _is_overtaken(stub, log):
        return Superseded(header.seq, stub)
    return Forked(header.seq, stub)


def _is_next(header: Header, log: AuthorLog) -> bool:
    return header.seq == log.height and header.prev == log.before(log.height)


def _first(parsed: ParsedEntry, log: AuthorLog, is_stored: bool) -> Decision:
    try:
        inception = log.inception if is_stored and log.inception else parse_inception(parsed.entry.data)
    except ProtocolError as error:
        return Refused("bad-inception", error.why)
    if inception.node_id != parsed.header.author:
        return Refused("bad-inception", "the record's hash is not the author's id")
    if not is_stored:
        verify_entry(parsed.header, parsed.entry, (inception.signing_key,))
    if parsed.header.prev != log.before(0):
        return Refused(PREV_MISMATCH, "the first entry stands on the federation id")
    stub = Stub(parsed.id, parsed.header.prev, 0, 0, start_chain(inception, log.federation))
    if log.height or log.is_frozen:
        return Superseded(0, stub) if not log.is_frozen and _is_overtaken(stub, log) else Forked(0, stub)
    return Admitted(inception, stub)


def _below(prev: EntryId, seq: int, log: AuthorLog) -> tuple[KeyState, int] | None:
    """(keys in force, generation) after the known entry that this one stands on."""
    beside = log.sides.get(prev)
    if beside is not None:
        return (beside.keys, beside.generation) if beside.seq == seq - 1 else None
    if seq > log.height or log.ids[seq - 1] != prev:
        return None
    keys = log.keys_after(seq - 1)
    return None if keys is None else (keys, log.generation_at(seq - 1))


def _stub_of(parsed: ParsedEntry, keys: KeyState, generation: int, log: AuthorLog, is_stored: bool) -> Stub:
    """The entry as the log remembers it, verified against the keys below it.

    Raises:
        ProtocolError: a signature fails, or the keys or the generation do not follow.
    """
    header = parsed.header
    turn: Turn = "rotate" if header.kind == ROTATE else "recover" if header.kind == RECOVER else ""
    root = 0
    if turn == "recover":
        keys, root = _recovered(parsed, keys, log, is_stored)
    elif turn == "rotate":
        keys = advance_chain(keys, parsed, is_verified=is_stored)
    else:
        if header.generation != generation:
            raise _misplaced(f"generation {header.generation} stands on generation {generation} without a recover")
        if not is_stored:
            verify_entry(header, parsed.entry, (keys.signing_key,))
    return Stub(parsed.id, header.prev, header.generation, header.seq, keys, turn, root)


def _recovered(parsed: ParsedEntry, keys: KeyState, log: AuthorLog, is_stored: bool) -> tuple[KeyState, int]:
    """The keys after a recover, and which of the author's root keys signed it.

    Never one older than the root that signed the recover below: it may be stolen, and was replaced for that.
    """
    least = log.roots.index(keys.root_key) + 1 if keys.root_key in log.roots else 0
    for place in range(len(log.roots), least, -1):
        try:
            # Verified even when stored: which root signed decides what stands.
            return advance_chain(with_root(keys, log.roots[place - 1]), parsed), place
        except BadSignature:
            continue
    return advance_chain(keys, parsed, is_verified=is_stored and not log.roots), least


def _not_on_known(parsed: ParsedEntry, log: AuthorLog, is_stored: bool) -> Decision:
    """It stands on an entry that is not here: too early, or the logs part lower down."""
    header = parsed.header
    keys = log.keys
    if keys is None:
        return Behind(log.position, verified=False)
    is_plain = header.kind not in (ROTATE, RECOVER) and header.generation == keys.generation
    if is_plain and not is_stored:
        try:
            verify_entry(header, parsed.entry, (keys.signing_key,))
        except ProtocolError:
            is_plain = False  # perhaps of a key that a missing rotate brings
    if header.seq > log.height or log.is_frozen or header.generation > keys.generation:
        return Behind(log.position, verified=is_plain)
    return Refused(PREV_MISMATCH, f"it does not stand on the entry known before {header.seq}")


def _is_overtaken(stub: Stub, log: AuthorLog) -> bool:
    """Whether the line went on to other keys, so that this branch cannot count without a rotate or recover."""
    keys = log.keys
    return keys is not None and keys.position >= (stub.generation, stub.seq) and keys.position > stub.keys.position


def _misplaced(why: str) -> ProtocolError:
    return MalformedMessage(what="entry refused", why=why)
