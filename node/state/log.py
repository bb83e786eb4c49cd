"""Every author's log in the state database: admitted entries, evidence of forks, definitions by hash.

Bytes are kept as received; nothing here verifies (that is `federation/admission`), and headers are never updated or
deleted. Bodies may be away (specs/mesh 5.8): the row then has empty data, and stands in `bodies_away`. `LogStore` is
the `EntrySource` of the federation core.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from federation.judgement import JUDGEMENT_VERSION
from node.state.database import StateDatabase
from protocol.entries import RECOVER, SUMMARY, Body, Entry, Header, ParsedEntry, parse_header
from protocol.ids import DefinitionHash, EntryId, NodeId

_SIGNATURE_BYTES = 64
_READ = 64  # entries read by id at once: at most 40 MB of the largest
_BODIES = 250  # bodies read by id at once
_PAGE = 2_000  # entries read at once at start: bounded memory for a log of any length


class LogStore:
    """The logs this node holds, its own among them."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        rows = database.query("SELECT entry, unreadable_by FROM bodies_away")
        self._away = {EntryId(entry): _body(version) for entry, version in rows}

    def append(self, entries: Iterable[ParsedEntry]) -> None:
        """Save entries durably, all or none. One that is there already is passed over."""
        with self._database.transaction() as connection:
            fresh = [entry for entry in entries if insert_entry(connection, entry)]
        self._note_away(fresh)

    def save_bodies(self, entries: Sequence[ParsedEntry]) -> None:
        """What became of bodies that were away: here now, or unreadable to this software."""
        with self._database.transaction() as connection:
            for entry in entries:
                connection.execute("DELETE FROM bodies_away WHERE entry = ?", (entry.id,))
                if entry.has_body:
                    parts = (entry.entry.data, entry.entry.cells, entry.id)
                    connection.execute("UPDATE entries SET data = ?, cells = ? WHERE id = ?", parts)
                else:
                    _insert_away(connection, entry)
        self._note_away(entries)

    def load_entries(self, ids: Sequence[EntryId], max_bytes: int) -> Sequence[Entry]:
        """The entries with these ids, in this order, as many as are stored and fit (`EntrySource`)."""
        found: list[Entry] = []
        size = 0
        for start in range(0, len(ids), _READ):
            part = ids[start : start + _READ]
            marks = ",".join("?" * len(part))
            rows = self._database.query(
                f"SELECT id, header, signatures, data, cells FROM entries WHERE id IN ({marks})",
                part,
            )
            by_id = {entry_id: self._entry(entry_id, parts) for entry_id, *parts in rows}
            for entry_id in part:
                entry = by_id.get(entry_id)
                size += 0 if entry is None else len(entry.encode())
                if entry is None or (found and size > max_bytes):
                    return found
                found.append(entry)
        return found

    def entries_after(
        self, author: NodeId, position: tuple[int, int], max_bytes: int, max_entries: int
    ) -> Sequence[Entry]:
        """The author's entries after a position, in order; at least one where there is one (`EntrySource`)."""
        rows = self._database.query(
            "SELECT generation, seq, id, header, signatures, data, cells FROM entries"
            " WHERE author = ? AND (generation, seq) > (?, ?) ORDER BY generation, seq, id LIMIT ?",
            (author, *position, max_entries + 1),
        )
        found: list[Entry] = []
        places: list[tuple[int, int]] = []
        size = 0
        for generation, seq, entry_id, *parts in rows:
            entry = self._entry(entry_id, parts)
            size += len(entry.encode())
            if found and (size > max_bytes or len(found) == max_entries):
                # Never between the two branches of a fork: the next page begins after a position, not after an id.
                while len(found) > 1 and places[-1] == (generation, seq):
                    found.pop()
                    places.pop()
                break
            found.append(entry)
            places.append((generation, seq))
        return found

    def replay(self, author: NodeId) -> Iterator[ParsedEntry]:
        """All entries of one author in order, for building the federation's state at start."""
        cursor: tuple[int, int, bytes] = (-1, -1, b"")
        while True:
            rows = self._database.query(
                "SELECT generation, seq, id, header, signatures, data, cells FROM entries"
                " WHERE author = ? AND (generation, seq, id) > (?, ?, ?) ORDER BY generation, seq, id LIMIT ?",
                (author, *cursor, _PAGE),
            )
            for generation, seq, entry_id, *parts in rows:
                cursor = (generation, seq, entry_id)
                yield ParsedEntry(EntryId(entry_id), parse_header(parts[0]), self._entry(entry_id, parts))
            if len(rows) < _PAGE:
                return

    def replay_kept(self, author: NodeId) -> Iterator[ParsedEntry]:
        """All entries of one author in order, without those that its last recovery made void."""
        recovers = list(self.of_kind(author, RECOVER))
        if not recovers:
            yield from self.replay(author)
            return
        generation = max(parsed.header.generation for parsed in recovers)
        before: dict[EntryId, EntryId] = {}
        kept: set[EntryId] = set()
        for parsed in self.replay(author):
            before[parsed.id] = parsed.header.prev
            if parsed.header.generation == generation:
                kept.add(parsed.id)
        for entry in list(kept):
            at = before[entry]
            while at in before and at not in kept:
                kept.add(at)
                at = before[at]
        yield from (parsed for parsed in self.replay(author) if parsed.id in kept)

    def summaries_before(self, author: NodeId, generation: int) -> list[EntryId]:
        """Ids of the author's summaries of earlier generations, standing or not, by position."""
        rows = self._database.query(
            "SELECT id FROM entries WHERE author = ? AND kind = ? AND generation < ? ORDER BY generation, seq, id",
            (author, SUMMARY, generation),
        )
        return [EntryId(entry_id) for (entry_id,) in rows]

    def of_kind(self, author: NodeId, kind: str, latest: int | None = None) -> Iterator[ParsedEntry]:
        """The author's entries of one kind with their bodies, those that do not stand too, by position.

        `latest`: only the last so many.
        """
        rows = self._database.query(
            "SELECT id, header, signatures, data, cells FROM entries WHERE author = ? AND kind = ?"
            " AND id NOT IN (SELECT entry FROM bodies_away) ORDER BY generation DESC, seq DESC, id DESC LIMIT ?",
            (author, kind, -1 if latest is None else latest),
        )
        ordered = reversed(rows)
        return (
            ParsedEntry(EntryId(entry_id), parse_header(parts[0]), self._entry(entry_id, parts))
            for entry_id, *parts in ordered
        )

    def read(self, entry_id: EntryId) -> ParsedEntry | None:
        """One entry by id, with its body."""
        rows = self._database.query("SELECT header, signatures, data, cells FROM entries WHERE id = ?", (entry_id,))
        return ParsedEntry(entry_id, parse_header(rows[0][0]), self._entry(entry_id, rows[0])) if rows else None

    def bodies(self, ids: Sequence[EntryId]) -> Iterator[tuple[EntryId, bytes, bytes, bytes | None]]:
        """(id, header, data, cells) of each of these entries that is stored, in any order."""
        for start in range(0, len(ids), _BODIES):
            part = ids[start : start + _BODIES]
            marks = ",".join("?" * len(part))
            for row in self._database.query(f"SELECT id, header, data, cells FROM entries WHERE id IN ({marks})", part):
                yield EntryId(row[0]), row[1], row[2], row[3]

    def head(self, author: NodeId) -> tuple[Header, EntryId] | None:
        """Header and id of an author's last entry, None for an empty log."""
        rows = self._database.query(
            "SELECT header, id FROM entries WHERE author = ? ORDER BY generation DESC, seq DESC LIMIT 1", (author,)
        )
        return (parse_header(rows[0][0]), EntryId(rows[0][1])) if rows else None

    def pen(self, author: NodeId) -> tuple[Header, EntryId] | None:
        """Header and id of the entry this node wrote or adopted last, which its next one stands on.

        Not simply the last one stored: a thief of the signing key may have written beside it.
        """
        rows = self._database.query("SELECT header, id FROM entries JOIN pen ON pen.entry = entries.id")
        return (parse_header(rows[0][0]), EntryId(rows[0][1])) if rows else self.head(author)

    def write_down(self, connection: sqlite3.Connection, entry: ParsedEntry) -> None:
        """Save an entry of the own log inside a running transaction; the next one stands on it."""
        insert_entry(connection, entry)
        connection.execute("INSERT OR REPLACE INTO pen (one, entry) VALUES (1, ?)", (entry.id,))

    def move_pen(self, entry: EntryId) -> None:
        """The next own entry stands on this one, which was adopted."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO pen (one, entry) VALUES (1, ?)", (entry,))

    def _entry(self, entry_id: bytes, row: Sequence[bytes | None]) -> Entry:
        entry, body = _entry(row), self._away.get(EntryId(entry_id))
        return entry if body is None else entry.without_body(body)

    def _note_away(self, entries: Iterable[ParsedEntry]) -> None:
        for entry in entries:
            if entry.has_body:
                self._away.pop(entry.id, None)
            else:
                self._away[entry.id] = entry.entry.body

    def count(self) -> int:
        """Number of entries of all authors."""
        return int(self._database.query("SELECT count(*) FROM entries")[0][0])

    def save_evidence(self, author: NodeId, body: bytes) -> None:
        """Keep a proof that an author signed twice."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO evidence_documents (author, body) VALUES (?, ?)", (author, body))

    def save_told(self, peer: NodeId, digests: Iterable[bytes]) -> None:
        """A member acknowledged these proofs (SHA-256 of each)."""
        rows = [(digest, peer) for digest in digests]
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO evidence_told (digest, peer) VALUES (?, ?)", rows)

    def evidence(self) -> list[tuple[bytes, list[NodeId]]]:
        """Stored proofs in the order they came, each with the members that acknowledged it."""
        told: dict[bytes, list[NodeId]] = {}
        for digest, peer in self._database.query("SELECT digest, peer FROM evidence_told ORDER BY peer"):
            told.setdefault(digest, []).append(NodeId(peer))
        rows = self._database.query("SELECT body FROM evidence_documents ORDER BY number")
        return [(body, told.get(hashlib.sha256(body).digest(), [])) for (body,) in rows]

    def save_definition(self, definition: DefinitionHash, body: bytes) -> None:
        """Keep a definition's canonical bytes."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO definitions (hash, body) VALUES (?, ?)", (definition, body))

    def definitions(self) -> dict[DefinitionHash, bytes]:
        """Stored definitions by hash."""
        return {
            DefinitionHash(hash_): body for hash_, body in self._database.query("SELECT hash, body FROM definitions")
        }


def insert_entry(connection: sqlite3.Connection, entry: ParsedEntry) -> bool:
    """Write one entry inside a running transaction; an entry that is there already is passed over (False)."""
    header = entry.header
    cursor = connection.execute(
        "INSERT OR IGNORE INTO entries (author, generation, seq, id, kind, header, signatures, data, cells)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            header.author,
            header.generation,
            header.seq,
            entry.id,
            header.kind,
            entry.entry.header,
            b"".join(entry.entry.signatures),
            entry.entry.data,
            entry.entry.cells,
        ),
    )
    is_fresh = cursor.rowcount == 1
    if is_fresh and not entry.has_body:
        _insert_away(connection, entry)
    return is_fresh


def _insert_away(connection: sqlite3.Connection, entry: ParsedEntry) -> None:
    version = JUDGEMENT_VERSION if entry.entry.body is Body.UNREADABLE else None
    connection.execute("INSERT OR IGNORE INTO bodies_away (entry, unreadable_by) VALUES (?, ?)", (entry.id, version))


def _body(unreadable_by: int | None) -> Body:
    """What was unreadable to an earlier version of judgement may be readable now: it is asked for again."""
    return Body.UNREADABLE if unreadable_by == JUDGEMENT_VERSION else Body.AWAY


def _entry(row: Sequence[bytes | None]) -> Entry:
    header, signatures, data, cells = row
    if header is None or signatures is None or data is None:
        raise ValueError("the columns are NOT NULL")
    parts = tuple(signatures[start : start + _SIGNATURE_BYTES] for start in range(0, len(signatures), _SIGNATURE_BYTES))
    return Entry(header, parts, data, cells)
