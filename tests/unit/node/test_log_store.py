"""The stored logs: paging never splits a fork, and reading at start brings back every entry once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from node.state import log as module
from node.state.database import StateDatabase
from node.state.log import LogStore
from protocol.entries import ENDPOINT, Body, ParsedEntry, build_entry, parse_header
from protocol.ids import EntryId, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.kind_data import EndpointData

KEY = SigningKey(b"k" * 32)
AUTHOR = NodeId(b"a" * 32)
FEDERATION = FederationId(b"f" * 32)
FORK = 5  # the position with two branches


def entry(seq: int, at: int) -> ParsedEntry:
    built = build_entry(
        KEY, federation=FEDERATION, author=AUTHOR, generation=0, seq=seq, prev=EntryId(b"p" * 32), charter_version=1,
        at=at, kind=ENDPOINT, data=EndpointData(()).encode(),
    )  # fmt: skip
    return ParsedEntry(built.id, parse_header(built.header), built)


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    store = LogStore(StateDatabase(tmp_path / "state.db"))
    store.append([*(entry(seq, at=0) for seq in range(10)), entry(FORK, at=1)])
    return store


def test_proofs_and_who_acknowledged_them_are_kept(tmp_path: Path) -> None:
    """Over a restart, in the order they came; twice is once."""
    bodies = [b"one", b"two"]
    store = LogStore(StateDatabase(tmp_path / "state.db"))
    for body in (*bodies, bodies[0]):
        store.save_evidence(AUTHOR, body)
    for _ in range(2):
        store.save_told(NodeId(b"n" * 32), [hashlib.sha256(bodies[1]).digest()])
    assert LogStore(StateDatabase(tmp_path / "state.db")).evidence() == [(b"one", []), (b"two", [b"n" * 32])]


def test_bodies_go_and_come_and_headers_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreadable is said of the version of judgement that looked: to a later one the body is away, and is asked for."""
    store = LogStore(StateDatabase(tmp_path / "state.db"))
    whole = [entry(seq, at=0) for seq in range(3)]
    store.append([whole[0].without_body(Body.UNREADABLE), whole[1].without_body(), whole[2]])

    def bodies() -> list[Body]:
        found = LogStore(StateDatabase(tmp_path / "state.db"))
        for opened in (store, found):
            assert [parsed.id for parsed in opened.replay(AUTHOR)] == [parsed.id for parsed in whole]
        assert list(store.replay(AUTHOR)) == list(found.replay(AUTHOR))
        return [parsed.entry.body for parsed in found.replay(AUTHOR)]

    store.append([whole[2].without_body()])  # held whole already
    assert bodies() == [Body.UNREADABLE, Body.AWAY, Body.HERE]
    assert list(store.of_kind(AUTHOR, ENDPOINT)) == whole[2:]
    store.save_bodies([whole[1]])
    assert list(store.load_entries([parsed.id for parsed in whole], 1 << 20))[1:] == [one.entry for one in whole[1:]]
    monkeypatch.setattr(module, "JUDGEMENT_VERSION", module.JUDGEMENT_VERSION + 1)
    store = LogStore(StateDatabase(tmp_path / "state.db"))
    assert bodies() == [Body.AWAY, Body.HERE, Body.HERE]


@pytest.mark.parametrize("page", [1, 2, 3, 5, 6, 7, 100])
def test_pages_bring_every_entry_once_and_both_branches_together(store: LogStore, page: int) -> None:
    """Whatever the size of a page, going on after its last position misses nothing and repeats nothing."""
    found: list[EntryId] = []
    position = (0, -1)
    while entries := store.entries_after(AUTHOR, position, 1 << 20, page):
        if page > 1:
            assert len(entries) <= page
        found += [one.id for one in entries]
        position = parse_header(entries[-1].header).position
    if page == 1:  # one entry a page cannot hold a fork; the second branch waits for a larger page
        assert len(found) == 10
    else:
        assert sorted(found) == sorted(one.id for one in store.replay(AUTHOR))
        assert len(found) == len(set(found)) == 11


def test_bytes_limit_a_page_too_but_never_the_first_entry(store: LogStore) -> None:
    """At least one entry comes, however large."""
    assert len(store.entries_after(AUTHOR, (0, -1), 1, 100)) == 1
    size = len(entry(0, at=0).entry.encode())
    assert len(store.entries_after(AUTHOR, (0, -1), 3 * size, 100)) == 3


def test_reading_at_start_is_in_order_and_whole(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a page of the reader ends between two branches."""
    for page in (1, 2, 3, 6, 100):
        monkeypatch.setattr(module, "_PAGE", page)
        seqs = [one.header.seq for one in store.replay(AUTHOR)]
        assert seqs == sorted([*range(10), FORK])


def test_an_entry_is_stored_once(store: LogStore) -> None:
    """Appending again changes nothing; the head is the last position."""
    store.append([entry(3, at=0)])
    assert store.count() == 11
    head = store.head(AUTHOR)
    assert head is not None
    assert head[0].seq == 9
    read = store.read(head[1])
    assert read is not None
    assert read.id == head[1]
    assert store.read(EntryId(b"x" * 32)) is None
