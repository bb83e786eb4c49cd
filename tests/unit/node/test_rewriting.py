"""Compaction and forgetting: every row is kept or none of a person's, in little room, and nothing half done is seen."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.vault.calendar import EpochAccess
from node.vault.compaction import MANY_FRAMES, SOME_FRAMES, to_compact
from node.vault.frames import decode_frame, encode_arrays, encode_rows, gather, table_of
from node.vault.rewriting import Persons, merged
from node.vault.segments import Extent, Segment, SegmentId
from node.vault.upkeep import NamedPerson
from node.vault.vault import Vault
from privacy.person_key import Pseudonyms, kind_code
from privacy.rows import ROW_COLUMNS, Row
from privacy.units import Window
from tests.unit.node.test_segments import any_row
from tests.vault_kit import HISTORY, NOW, Faults, full, rows_in, rows_of, seeded, vault_at

TODAY = Window.containing("day", NOW)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "segments").rglob("*.seg"))


def key_of(vault: Vault, hour: int = NOW) -> Pseudonyms:
    access = vault.admit_hour(hour, NOW, backfill=True)
    assert isinstance(access, EpochAccess)
    return Pseudonyms(access.pseudonym_key, seeded(1))


def by_person(rows: list[Row], person: int, session: int | None = None) -> list[Row]:
    """The rows as those of another person."""
    return [(person, row[1], session if session is not None else row[2], *row[3:]) for row in rows]


# ── merging ──────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(data=st.data(), slots=st.integers(0, 16))
def test_merging_keeps_every_row(data: st.DataObject, slots: int) -> None:
    """Any rows of any widths: the same rows come out, as often as they went in."""
    frames = data.draw(st.lists(st.lists(any_row(slots), min_size=1, max_size=6), min_size=1, max_size=5))
    narrow = data.draw(st.lists(any_row(0), max_size=3))
    decoded = [decode_frame(encode_rows(rows, slots), slots) for rows in frames]
    if narrow:
        decoded.append(decode_frame(encode_rows(narrow, 0), 0))
    found = [decode_frame(text, slots) for text, _ in merged(decoded, slots, frame_rows=7)]
    everything = Counter(full(row) for rows in [*frames, narrow] for row in rows)
    assert Counter(rows_in(table_of(found))) == everything


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_merging_without_persons_drops_theirs_alone(data: st.DataObject) -> None:
    """By person and by session; null sessions are nobody's."""
    rows = data.draw(st.lists(any_row(2), min_size=1, max_size=12))
    persons = set(data.draw(st.lists(st.sampled_from([row[0] for row in rows]), max_size=2)))
    sessions = set(data.draw(st.lists(st.sampled_from([row[2] or 0 for row in rows]), max_size=2)))
    text = encode_rows(rows, 2)
    kept = merged([decode_frame(text, 2)], 2, without=Persons(persons, sessions))  # type: ignore[arg-type]
    wanted = Counter(full(row) for row in rows if row[0] not in persons and (row[2] is None or row[2] not in sessions))
    assert Counter(rows_in(table_of([decode_frame(text, 2) for text, _ in kept]))) == wanted


def test_arrays_that_do_not_fit_the_segment_are_refused() -> None:
    """A value in a slot the segment does not hold is never dropped silently."""
    columns = gather([decode_frame(encode_rows(rows_of(3), 4), 4)])
    with pytest.raises(ValueError, match="do not fit"):
        encode_arrays(columns, 3, 2)


def test_within_a_frame_the_order_of_arrival_is_gone() -> None:
    """Rows are sorted by person, so that a frame no longer says who came after whom."""
    rows = rows_of(500)
    ((text, _),) = merged([decode_frame(encode_rows(rows[at : at + 5], 4), 4) for at in range(0, 500, 5)], 4)
    found = [row[0] for row in rows_in(table_of([decode_frame(text, 4)]))]
    assert all(before <= after for before, after in pairwise(found))  # type: ignore[operator]


def extents(*sizes: tuple[int, int]) -> list[tuple[Segment, Extent]]:
    return [
        (Segment(SegmentId(bytes([at]) * 16), TODAY.text, 4), Extent(frames, size, has_footer=True))
        for at, (frames, size) in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "is_over", "chosen"),
    [
        ([], True, 0),
        ([(7, 700)], True, 0),  # too few to be worth a write
        ([(8, 800)], True, 1),
        ([(8, 800)], False, 0),  # the epoch runs: wait for more
        ([(1024, 1 << 20)], False, 1),
        ([(4, 3_000), (5, 3_000)], True, 2),
        ([(10, 20 << 20), (8, 800)], True, 1),  # large frames are left alone
        ([(10, 20 << 20)], True, 0),  # what compaction leaves is never taken up again
        ([(200, 40 << 20), (200, 40 << 20)], True, 1),  # a step is bounded
    ],
)
def test_what_is_worth_compacting(sizes: list[tuple[int, int]], is_over: bool, chosen: int) -> None:
    """Small frames, enough of them, a bounded amount."""
    assert len(to_compact(extents(*sizes), SOME_FRAMES if is_over else MANY_FRAMES)) == chosen


# ── compaction in the vault ──────────────────────────────────────────────────────────────────────────────


def scattered(folder: Path, frames: int = 40, rows_each: int = 5) -> tuple[Vault, Counter[Row]]:
    """A vault with many small frames in several segments, and what it holds."""
    vault = vault_at(folder)
    vault._shelf._rotate_bytes = 6_000
    vault.upkeep.many_frames = 8
    key_of(vault)
    wanted: Counter[Row] = Counter()
    for seed in range(frames):
        rows = rows_of(rows_each, NOW, seed=seed)
        vault.append({TODAY: rows}, 4)
        wanted.update(map(full, rows))
    return vault, wanted


def held(vault: Vault) -> Counter[Row]:
    return Counter(rows_in(vault.read(TODAY)))


def test_compaction_makes_few_large_segments_of_the_same_rows(tmp_path: Path) -> None:
    """One file with one frame; the same after a restart; nothing left to do; old bytes gone."""
    vault, wanted = scattered(tmp_path)
    before = files(tmp_path)
    assert len(before) > 3
    assert vault.upkeep.compact()
    assert not vault.upkeep.compact()
    (path,) = files(tmp_path)
    assert path not in before
    assert held(vault) == wanted
    assert vault.upkeep.verify() == []
    assert held(vault_at(tmp_path)) == wanted


def test_compaction_waits_while_the_epoch_runs_and_little_came(tmp_path: Path) -> None:
    """Forty frames of an epoch that takes rows are left alone; once it takes no more they are merged."""
    vault, wanted = scattered(tmp_path)
    vault.upkeep.many_frames = MANY_FRAMES
    assert not vault.upkeep.compact()
    vault.destroy_due_keys((TODAY.end_hour + 48) * 3600)
    assert vault.upkeep.compact()
    assert held(vault) == wanted


def test_a_damaged_epoch_does_not_keep_others_from_being_compacted(tmp_path: Path) -> None:
    """Its segments stay as they are, its damage is still told, and the next epoch is merged."""
    vault, _ = scattered(tmp_path)
    yesterday = Window.containing("day", NOW - 24)
    key_of(vault, NOW - 24)
    for seed in range(20):
        vault.append({yesterday: rows_of(2, NOW - 24, seed=seed)}, 4)
    vault._shelf.end_epoch(yesterday.text)
    for path in (tmp_path / "segments" / "2026-11-19_P1D").iterdir():
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    for _ in range(2):
        assert vault.upkeep.compact()
    assert not vault.upkeep.compact()
    assert len(list((tmp_path / "segments" / "2026-11-20_P1D").iterdir())) == 1
    assert {damage.epoch for damage in vault.upkeep.verify()} == {yesterday.text}


def test_at_most_45_bytes_an_event_after_compaction(tmp_path: Path, measured) -> None:  # type: ignore[no-untyped-def]
    """Ten thousand events that came one at a time weigh less than 45 bytes each once compacted."""
    vault = vault_at(tmp_path)
    vault.upkeep.many_frames = 100
    key_of(vault)
    rows = rows_of(10_000, people=2_000)
    for at in range(0, len(rows), 2):
        vault._shelf.append({TODAY.text: rows[at : at + 2]}, 4) if at < 400 else None
    vault.append({TODAY: rows[400:]}, 4)
    assert vault.upkeep.compact()
    size = sum(path.stat().st_size for path in files(tmp_path))
    measured("bytes an event after compaction, 10,000 events", f"{size / len(rows):.1f}", "at most 45", True)
    assert size / len(rows) <= 45


def test_events_that_come_while_compacting_are_kept(tmp_path: Path) -> None:
    """Another thread appends at every disk call that a compaction makes without the gate; none of them waits for it."""
    vault, wanted = scattered(tmp_path)
    main = threading.current_thread()
    faults = Faults()
    appended = []

    def act(action: str, path: Path) -> None:
        if threading.current_thread() is main and not vault.gate._is_owned():  # type: ignore[attr-defined]
            rows = rows_of(1, NOW, seed=1000 + len(appended))
            thread = threading.Thread(target=vault.append, args=({TODAY: rows}, 4))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            appended.extend(rows)

    vault._shelf._disk = faults.disk
    faults.act = act
    assert vault.upkeep.compact()
    faults.act = lambda action, path: None
    assert len(appended) > 10
    assert held(vault) == wanted + Counter(map(full, appended))


# ── persons ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def peopled(tmp_path: Path) -> tuple[Vault, Counter[Row]]:
    """Today and yesterday, with rows of users ann and bob and of the session s1, in open and ended segments."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    others: Counter[Row] = Counter()
    for hour in (NOW - 24, NOW):
        names, epoch = key_of(vault, hour), Window.containing("day", hour)
        for seed in range(3):
            rest = rows_of(4, hour, seed=seed)
            others.update(map(full, rest))
            ann = by_person(rows_of(2, hour, seed=10 + seed), names.person(kind_code("user"), "ann"))
            bob = by_person(
                rows_of(1, hour, seed=20 + seed), names.person(kind_code("user"), "bob"), names.session("s1")
            )
            others.update(map(full, bob))
            vault.append({epoch: rest + ann + bob}, 4)
            if seed == 1:
                vault._shelf.end_epoch(epoch.text)
    return vault, others


def everything(vault: Vault) -> Counter[Row]:
    return Counter(row for hour in (NOW - 24, NOW) for row in rows_in(vault.read(Window.containing("day", hour))))


def test_forgetting_takes_a_person_out_of_every_epoch(peopled: tuple[Vault, Counter[Row]], tmp_path: Path) -> None:
    """Ann's rows are gone from both days, all others stay, counts are by day; again, nothing is found."""
    vault, others = peopled
    before = [path.read_bytes() for path in files(tmp_path)]
    vault.read(TODAY)  # the cache must not keep her
    told = vault.upkeep.forget([NamedPerson("user", "ann")])
    assert told.rows_by_day == {Window.containing("day", NOW - 24): 6, TODAY: 6}
    assert everything(vault) == others
    assert vault.upkeep.forget([NamedPerson("user", "ann")]).rows_by_day == {}
    assert not {path.read_bytes() for path in files(tmp_path)} & set(before)
    vault.close()
    assert everything(vault_at(tmp_path)) == others


def test_a_session_is_forgotten_wherever_it_stands(peopled: tuple[Vault, Counter[Row]]) -> None:
    """Rows of bob in session s1 go when the session is named; ann's stay."""
    vault, _ = peopled
    assert sum(vault.upkeep.forget([NamedPerson("session", "s1")]).rows_by_day.values()) == 6
    assert len(list(vault.upkeep.rows_of([NamedPerson("user", "bob")]))) == 0
    assert len(list(vault.upkeep.rows_of([NamedPerson("user", "ann")]))) == 12


def test_a_dry_run_counts_and_changes_nothing(peopled: tuple[Vault, Counter[Row]], tmp_path: Path) -> None:
    """The same counts, the same files."""
    vault, _ = peopled
    before = {path: path.read_bytes() for path in files(tmp_path)}
    told = vault.upkeep.forget([NamedPerson("user", "ann")], is_dry_run=True)
    assert sum(told.rows_by_day.values()) == 12
    assert {path: path.read_bytes() for path in files(tmp_path)} == before


def test_another_kind_of_the_same_id_is_another_person(peopled: tuple[Vault, Counter[Row]]) -> None:
    """A user called s1 and a session called ann are nobody here."""
    vault, _ = peopled
    assert vault.upkeep.forget([NamedPerson("user", "s1"), NamedPerson("session", "ann")]).rows_by_day == {}


def test_an_export_is_what_forgetting_would_take(peopled: tuple[Vault, Counter[Row]]) -> None:
    """The rows come out whole, with nulls where they were."""
    vault, others = peopled
    before = everything(vault)
    exported = Counter(vault.upkeep.rows_of([NamedPerson("user", "ann")]))
    vault.upkeep.forget([NamedPerson("user", "ann")])
    assert exported == before - others
    assert all(len(row) == len(ROW_COLUMNS) for row in exported)


def test_where_the_pseudonym_key_is_gone_nobody_can_be_found(peopled: tuple[Vault, Counter[Row]]) -> None:
    """Such an epoch is named as out of reach, and its rows stay as they are."""
    vault, _ = peopled
    before = everything(vault)
    vault.destroy_due_keys((TODAY.start_hour + 48) * 3600)
    told = vault.upkeep.forget([NamedPerson("user", "ann")])
    assert told.out_of_reach == [Window.containing("day", NOW - 24)]
    assert told.epochs == [TODAY]
    assert sum(before.values()) - sum(everything(vault).values()) == 6


def test_a_whole_segment_of_one_person_leaves_no_file(tmp_path: Path) -> None:
    """Nothing is left to seal, and the empty epoch still reads."""
    vault = vault_at(tmp_path)
    person = key_of(vault).person(kind_code("user"), "ann")
    vault.append({TODAY: by_person(rows_of(3), person)}, 4)
    vault.upkeep.forget([NamedPerson("user", "ann")])
    assert files(tmp_path) == []
    assert vault.read(TODAY).num_rows == 0
    vault.append({TODAY: rows_of(3)}, 4)
    assert vault_at(tmp_path).read(TODAY).num_rows == 3


def test_named_persons_are_not_shown() -> None:
    """An id never stands in a repr."""
    assert "ann" not in repr(NamedPerson("user", "ann"))


def test_random_rewriting_against_a_plain_list(tmp_path: Path) -> None:
    """A random walk of appends, compactions, forgetting and restarts."""
    draw = random.Random(11)
    vault = vault_at(tmp_path)
    vault.upkeep.many_frames = 8
    names = [f"person-{number}" for number in range(5)]
    wanted: Counter[Row] = Counter()
    for step in range(80):
        action = draw.random()
        if action < 0.6:
            name = draw.choice(names)
            rows = by_person(rows_of(draw.randrange(1, 4), seed=step), key_of(vault).person(0, name))
            vault.append({TODAY: rows}, 4)
            wanted.update(map(full, rows))
        elif action < 0.75:
            vault.upkeep.compact()
        elif action < 0.9:
            name = draw.choice(names)
            person = key_of(vault).person(0, name)
            found = sum(vault.upkeep.forget([NamedPerson("user", name)]).rows_by_day.values())
            gone = {row: count for row, count in wanted.items() if row[0] == person}
            assert found == sum(gone.values())
            wanted -= Counter(gone)
        else:
            vault._database.close()
            vault = vault_at(tmp_path)
            vault.upkeep.many_frames = 8
        assert held(vault) == wanted


def test_merging_takes_no_more_memory_for_a_longer_epoch() -> None:
    """Three times the frames, the same peak: what is read is a frame's worth at a time."""
    plaintext = encode_rows(rows_of(5000), 4)

    def peak(frames: int) -> int:
        tracemalloc.start()
        try:
            merged_rows = sum(rows for _, rows in merged((decode_frame(plaintext, 4) for _ in range(frames)), 4))
            assert merged_rows == 5000 * frames
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = peak(28), peak(84)
    assert long < 1.2 * short
