"""The audit log: what is recorded when, and that every cut, edit or swap of it is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.audit import COUNTED_FOR_S, MAX_COUNTED, Audit
from node.audit_chain import AttestedAudit, AuditRecord, problems
from node.errors import RejectedInput, StorageError
from node.state.audit import AuditStore
from node.state.database import StateDatabase
from tests.node_kit import HandClock

NODE = b"n" * 32


@pytest.fixture
def database(tmp_path: Path) -> Iterator[StateDatabase]:
    made = StateDatabase(tmp_path / "state.db")
    yield made
    made.close()


@pytest.fixture
def store(database: StateDatabase) -> AuditStore:
    return AuditStore(database, NODE)


def filled(store: AuditStore, count: int = 6) -> list[AuditRecord]:
    for number in range(count):
        store.append(at_s=1000 + number, actor="operator", action="POST /v1/admin/keys/rotate", subject=str(number))
    return store.records()


def kinds(records: list[AuditRecord], attested: list[AttestedAudit] | None = None) -> list[str]:
    return [one.kind for one in problems(records, NODE, attested or [])]


def test_a_whole_log_has_no_problem_and_equal_records_have_unequal_hashes(store: AuditStore) -> None:
    """The salt keeps an attested hash from confirming a guess."""
    store.append(at_s=1, actor="a", action="b")
    store.append(at_s=1, actor="a", action="b")
    records = [*store.records()]
    assert kinds(records) == []
    assert records[0].expected_hash(NODE) != replace(records[0], salt=bytes(16)).expected_hash(NODE)
    assert store.head() == records[-1].hash


@pytest.mark.parametrize("name", ["at_s", "actor", "action", "subject", "outcome", "salt", "hash"])
def test_every_changed_field_is_named_with_its_record(store: AuditStore, name: str) -> None:
    """T21: an insider with the database file."""
    records = filled(store)
    old = getattr(records[2], name)
    new = old + 1 if isinstance(old, int) else bytes(len(old)) if isinstance(old, bytes) else old + "x"
    third = replace(records[2], **{name: new})  # type: ignore[arg-type]  # each field's own type
    changed = [*records[:2], third, *records[3:]]
    found = problems(changed, NODE)
    assert [one.kind for one in found] == (["changed", "changed"] if name == "hash" else ["changed"])
    assert "record 3" in found[0].words


def test_what_is_taken_out_swapped_or_put_first_is_named(store: AuditStore) -> None:
    """In the middle and at the front."""
    records = filled(store)
    assert kinds([*records[:2], *records[3:]]) == ["missing"]
    assert kinds(records[2:]) == ["missing"]
    assert "missing" in kinds([records[1], records[0], *records[2:]])


def test_a_log_cut_at_its_end_is_named_by_an_attested_head_and_by_nothing_else(store: AuditStore) -> None:
    """The chain alone cannot know what followed; a signed head that others hold can."""
    records = filled(store)
    heads = [AttestedAudit(records[1].hash, 2000, 7), AttestedAudit(records[4].hash, 2086, 9)]
    assert kinds(records, heads) == []
    assert kinds(records[:3]) == []
    assert kinds(records[:3], heads) == ["cut"]
    assert kinds(records, heads[::-1]) == ["order"]


def test_a_log_written_anew_from_its_first_record_is_named(database: StateDatabase, store: AuditStore) -> None:
    """Every hash fits, and yet the attested ones are gone."""
    heads = [AttestedAudit(filled(store)[3].hash, 2000, 7)]
    with database.transaction() as connection:
        connection.execute("DELETE FROM audit")
    anew = filled(store)
    assert kinds(anew) == []
    assert kinds(anew, heads) == ["cut"]


@settings(max_examples=60)
@given(
    texts=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=6),
    place=st.integers(0, 5),
)
def test_any_text_chains_and_any_change_shows(texts: list[tuple[str, str]], place: int) -> None:
    """Whatever stands in a record, moved text between two fields included."""
    before, records = NODE, []
    for number, (one, other) in enumerate(texts, 1):
        blank = AuditRecord(number, 0, one, other, "", "", bytes(16), b"")
        records.append(replace(blank, hash=blank.expected_hash(before)))
        before = records[-1].hash
    assert kinds(records) == []
    at = place % len(records)
    changed = replace(records[at], actor=records[at].actor + records[at].action, action="")
    if changed != records[at]:
        assert kinds([*records[:at], changed, *records[at + 1 :]]) == ["changed"]


def test_records_as_json_and_back(store: AuditStore) -> None:
    """An export holds everything the chain needs."""
    for record in filled(store):
        assert AuditRecord.from_json(record.as_json()) == record
    wrong: list[object] = [{}, [], {"number": True}, {**filled(store)[0].as_json(), "salt": "zz"}, {"number": 2**60}]
    for bad in wrong:
        with pytest.raises(ValueError, match="no audit record"):
            AuditRecord.from_json(bad)


def test_what_changes_something_is_recorded_before_and_after(store: AuditStore) -> None:
    """A crash in between leaves the first; a refusal leaves its code."""
    audit = Audit(store, HandClock())
    with audit.around("operator", "keys.rotate"):
        assert [one.outcome for one in store.records()] == ["begun"]
    with pytest.raises(RejectedInput), audit.around("operator", "tokens.revoke", "ab"):
        raise RejectedInput(code="no_such_key", what="x", why="y", fix="z")
    assert [one.outcome for one in store.records()] == ["begun", "done", "begun", "refused: no_such_key"]


def test_nothing_begins_that_cannot_be_recorded(database: StateDatabase, store: AuditStore) -> None:
    """A closed database refuses the record, and so the action."""
    audit, done = Audit(store, HandClock()), []
    database.close()
    with pytest.raises(StorageError), audit.around("operator", "keys.rotate"):
        done.append(1)
    assert done == []


@pytest.mark.requirement("T-IN-5")
def test_reads_are_recorded_at_first_and_counted_after(store: AuditStore) -> None:
    """A crash hides how often, never that; nobody fills the disk by being refused."""
    clock = HandClock()
    audit = Audit(store, clock)
    for _ in range(1000):
        audit.count("key:ab", "GET /v1/insights/{metric}")
    audit.count("stranger", "write", "refused: key_unknown")
    assert [(one.actor, one.subject) for one in store.records()] == [("key:ab", ""), ("stranger", "")]
    clock.pass_time(COUNTED_FOR_S)
    audit.flush()
    assert [one.subject.partition(" in")[0] for one in store.records()[2:]] == ["999 more times"]
    audit.count("key:ab", "GET /v1/insights/{metric}")
    assert len(store.records()) == 4
    audit.count("key:ab", "GET /v1/insights/{metric}")
    audit.flush(is_end=True)
    assert store.records()[-1].subject.startswith("1 more")
    assert kinds(store.records()) == []


def test_a_clock_set_back_or_many_kinds_lose_no_count(store: AuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted is recorded early rather than kept for ever."""
    monkeypatch.setattr("node.audit.MAX_COUNTED", 2)
    assert MAX_COUNTED > 2
    clock = HandClock()
    audit = Audit(store, clock)
    for _ in range(2):
        audit.count("a", "x")
    clock.set(-7200)
    audit.count("a", "x")
    assert [one.subject.partition(" in")[0] for one in store.records()] == ["", "1 more times", ""]
    for who in "bcd":
        audit.count(who, "x")
    assert len(store.records()) == 6


def test_the_table_is_only_as_good_as_its_chain(database: StateDatabase, store: AuditStore, tmp_path: Path) -> None:
    """An edit with sqlite itself is found: nothing rests on the database's own word."""
    filled(store)
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("UPDATE audit SET actor = 'node' WHERE number = 4")
    other.close()
    assert kinds(store.records()) == ["changed"]
