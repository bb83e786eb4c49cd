"""Frames and segments: rows come back exactly, take little room, and no changed byte goes unnoticed."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import StorageError
from node.vault.disk import Disk
from node.vault.frames import decode_frame, encode_rows, table_of
from node.vault.row_columns import FrameError
from node.vault.segments import (
    MAGIC,
    Extent,
    Segment,
    SegmentDamaged,
    SegmentId,
    SegmentWriter,
    read_segment,
    recover_segment,
)
from privacy.rows import ROW_COLUMNS, Row
from tests.vault_kit import Faults, full, rows_in, rows_of

KEY = b"k" * 32
SLOTS = 4
RANGES = {"u8": 255, "u16": 65_535, "u32": 2**32 - 1, "u64": 2**64 - 1}


def any_row(slots: int) -> st.SearchStrategy[Row]:
    """Rows of any value each column can hold, extremes included."""
    columns = []
    for column in ROW_COLUMNS[: 12 + slots]:
        if column.type == "i64":
            value = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
        else:
            top = RANGES[column.type]
            value = st.integers(0, top) | st.sampled_from([0, top])
        columns.append(st.none() | value if column.nullable else value)
    return st.tuples(*columns)


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(data=st.data(), slots=st.integers(0, 16))
def test_rows_come_back_exactly(data: st.DataObject, slots: int) -> None:
    """Encoding and decoding several frames, of different widths, is the identity."""
    frames = [data.draw(st.lists(any_row(slots), min_size=1, max_size=8)) for _ in range(2)]
    wider = data.draw(st.lists(any_row(16), min_size=1, max_size=3))
    decoded = [decode_frame(encode_rows(rows, slots), slots) for rows in frames]
    decoded.append(decode_frame(encode_rows(wider, 16), 16))
    assert rows_in(table_of(decoded)) == [full(row) for row in [*frames[0], *frames[1], *wider]]


def test_rows_as_wide_as_all_columns_fit_a_narrow_segment() -> None:
    """A caller may fill the slots its plan does not need with nulls."""
    rows = rows_of(3)
    assert encode_rows([full(row) for row in rows], SLOTS) == encode_rows(rows, SLOTS)


@pytest.mark.parametrize(
    ("position", "value"),
    [(0, 2**64), (0, -1), (1, 256), (2, "x"), (4, 2**32), (6, 65_536), (6, -1), (6, None), (12, 2**63), (12, 1.5)],
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_value_outside_its_column_is_refused(position: int, value: object, count: int) -> None:
    """In a constant column as in a varying one; never cut to fit."""
    rows = rows_of(3)
    for index in range(count):
        rows[-1 - index] = (*rows[-1][:position], value, *rows[-1][position + 1 :])  # type: ignore[assignment]
    with pytest.raises(ValueError):
        encode_rows(rows[-count:] if count == 1 else rows, SLOTS)


def test_a_value_in_a_slot_the_segment_lacks_is_refused() -> None:
    """Dropping it silently would lose data."""
    row = (*rows_of(1)[0], 7)
    with pytest.raises(ValueError):
        encode_rows([row], SLOTS)
    with pytest.raises(ValueError):
        encode_rows([rows_of(1)[0], row], SLOTS)
    with pytest.raises(ValueError):
        encode_rows([], SLOTS)


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, 400), junk=st.binary(max_size=40), at=st.integers(0, 300))
def test_bytes_that_are_no_frame_raise_one_family(cut: int, junk: bytes, at: int) -> None:
    """A frame cut or overwritten anywhere decodes or raises FrameError, nothing else."""
    plaintext = encode_rows(rows_of(20), SLOTS)
    for damaged in (plaintext[:cut], plaintext[:at] + junk + plaintext[at + len(junk) :], junk):
        with contextlib.suppress(FrameError):
            table_of([decode_frame(damaged, SLOTS)])


@pytest.mark.parametrize("hours", [1, 24])
@pytest.mark.parametrize("count", [100, 250, 1000])
def test_an_event_takes_at_most_45_bytes(tmp_path: Path, count: int, hours: int) -> None:
    """DESIGN 8, on disk, tag and length included, in any frame of at least 100 believable events."""
    for seed in range(5):
        people = count if seed == 0 else None  # everybody different: the least that repeats
        writer = written(tmp_path / f"{seed}.seg", [])
        before = writer.extent.size_bytes
        writer.append(encode_rows(rows_of(count, seed=seed, people=people, hours=hours), SLOTS), count)
        per_event = (writer.extent.size_bytes - before) / count
        assert per_event <= 45
        writer.close()


# ── segments ─────────────────────────────────────────────────────────────────────────────────────────────

SEGMENT = Segment(SegmentId(b"0123456789abcdef"), "2026-11-20/P1D", SLOTS)
GROUPS = [rows_of(count, seed=count) for count in (3, 5, 1, 4)]


def written(path: Path, groups: list[list[Row]], segment: Segment = SEGMENT, key: bytes = KEY) -> SegmentWriter:
    writer = SegmentWriter(Disk(), path, segment, key)
    for rows in groups:
        writer.append(encode_rows(rows, segment.slots), len(rows))
    return writer


def closed(path: Path, groups: list[list[Row]] = GROUPS, segment: Segment = SEGMENT) -> Extent:
    return written(path, groups, segment).finish()


def read(path: Path, extent: Extent, segment: Segment = SEGMENT, key: bytes = KEY) -> list[Row]:
    return rows_in(table_of(list(read_segment(path, segment, key, extent))))


def wanted(groups: list[list[Row]] = GROUPS) -> list[Row]:
    return [full(row) for rows in groups for row in rows]


def spans(content: bytes) -> list[tuple[int, int]]:
    """Where each frame (the footer is the last) begins and ends."""
    position = len(MAGIC) + 4 + struct.unpack_from(">I", content, len(MAGIC))[0]
    found = []
    while position < len(content):
        end = position + 5 + struct.unpack_from(">I", content, position)[0]
        found.append((position, end))
        position = end
    return found


def test_a_closed_segment_reads_back(tmp_path: Path) -> None:
    """Every row of every frame, in order; the file is the owner's alone."""
    path = tmp_path / "a.seg"
    extent = closed(path)
    assert extent == Extent(4, path.stat().st_size, has_footer=True)
    assert read(path, extent) == wanted()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_open_segment_reads_as_far_as_it_is_known(tmp_path: Path) -> None:
    """Bytes behind the known range (a frame being written, a torn tail) are not looked at."""
    path = tmp_path / "a.seg"
    writer = written(path, GROUPS)
    with path.open("ab") as file:
        file.write(b"\0\0\1\0\0 the beginning of a frame")
    assert read(path, writer.extent) == wanted()
    writer.close()


def test_a_segment_is_never_written_again(tmp_path: Path) -> None:
    """Neither an existing file nor an ended writer takes a frame."""
    path = tmp_path / "a.seg"
    closed(path)
    before = path.read_bytes()
    with pytest.raises(StorageError):
        written(path, GROUPS)
    assert path.read_bytes() == before
    writer = written(tmp_path / "b.seg", GROUPS)
    writer.finish()
    with pytest.raises(RuntimeError):
        writer.append(encode_rows(GROUPS[0], SLOTS), 3)


def test_no_plain_value_stands_in_the_file(tmp_path: Path) -> None:
    """The pseudonym, session and event key of a row are nowhere in the bytes, in either order."""
    path = tmp_path / "a.seg"
    closed(path)
    content = path.read_bytes()
    for row in (row for rows in GROUPS for row in rows):
        for value in (row[0], row[2], row[3]):
            if value is not None:
                assert value.to_bytes(8, "little") not in content
                assert value.to_bytes(8, "big") not in content


def test_every_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    """One bit of any byte of the file, header, frame or footer: StorageError with the segment's id, no rows."""
    path = tmp_path / "a.seg"
    extent = closed(path)
    content = path.read_bytes()
    frames = spans(content)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(SegmentDamaged) as caught:
            read(path, extent)
        expected = next((i for i, (start, end) in enumerate(frames) if start <= position < end), "header")
        assert caught.value.frame == ("footer" if expected == 4 else expected)
        assert SEGMENT.id.hex() in str(caught.value)


def swap(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    (a, b), (_, c) = frames[1], frames[2]
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def drop(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content[: frames[1][0]] + content[frames[1][1] :]


def replay(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content[: frames[2][0]] + content[slice(*frames[1])] + content[frames[2][0] :]


def replay_at_the_end(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content + content[slice(*frames[1])]


def cut_a_byte(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content[:-1]


def cut_the_footer(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content[: frames[-1][0]]


def cut_frames_before_the_footer(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return content[: frames[2][0]] + content[slice(*frames[-1])]


def cut_everything(content: bytes, frames: list[tuple[int, int]]) -> bytes:
    return b""


Damage = Callable[[bytes, list[tuple[int, int]]], bytes]
DAMAGES = [
    swap,
    drop,
    replay,
    replay_at_the_end,
    cut_a_byte,
    cut_the_footer,
    cut_frames_before_the_footer,
    cut_everything,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_swapped_missing_replayed_and_cut_frames_are_found(tmp_path: Path, damage: Damage) -> None:
    """In a closed segment every one of them raises; nothing is read around the hole."""
    path = tmp_path / "a.seg"
    extent = closed(path)
    content = path.read_bytes()
    path.write_bytes(damage(content, spans(content)))
    with pytest.raises(SegmentDamaged):
        read(path, extent)


def test_a_frame_of_another_segment_does_not_open(tmp_path: Path) -> None:
    """Segments of one epoch have keys of their own; a whole file under another's name is named as such."""
    other = replace(SEGMENT, id=SegmentId(b"fedcba9876543210"))
    mine, theirs = tmp_path / "a.seg", tmp_path / "b.seg"
    extent = closed(mine)
    closed(theirs, segment=other)
    content, foreign = mine.read_bytes(), theirs.read_bytes()
    start, end = spans(content)[1]
    mine.write_bytes(content[:start] + foreign[start:end] + content[end:])
    with pytest.raises(SegmentDamaged) as caught:
        read(mine, extent)
    assert caught.value.frame == 1
    mine.write_bytes(foreign)
    with pytest.raises(SegmentDamaged, match="another segment"):
        read(mine, extent)


def test_another_epoch_key_opens_nothing(tmp_path: Path) -> None:
    """Without the epoch's data key the rows are gone."""
    path = tmp_path / "a.seg"
    extent = closed(path)
    with pytest.raises(SegmentDamaged):
        read(path, extent, key=b"x" * 32)


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    """The record says it exists."""
    with pytest.raises(StorageError) as caught:
        read(tmp_path / "a.seg", Extent(1, 100, has_footer=False))
    assert caught.value.code == "file_missing"


# ── recovery ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torn_tail_is_ignored_at_every_length(tmp_path: Path) -> None:
    """Whatever was written of the last frame: the frames before it are found, and no error is raised."""
    path = tmp_path / "a.seg"
    writer = written(path, GROUPS[:2])
    known = writer.extent
    writer.append(encode_rows(GROUPS[2], SLOTS), 1)
    writer.close()
    content = path.read_bytes()
    for size in range(known.size_bytes, len(content)):
        for tail in (content[known.size_bytes : size], bytes(size - known.size_bytes)):  # cut; or never filled in
            path.write_bytes(content[: known.size_bytes] + tail)
            found = recover_segment(path, SEGMENT, KEY)
            assert found == known
            assert read(path, found) == wanted(GROUPS[:2])
    path.write_bytes(content)
    assert recover_segment(path, SEGMENT, KEY).frames == 3


def test_a_segment_that_lost_only_its_record_recovers_as_closed(tmp_path: Path) -> None:
    """The footer was written, the crash came before the state database heard of it."""
    path = tmp_path / "a.seg"
    extent = closed(path)
    assert recover_segment(path, SEGMENT, KEY) == extent


def test_recovery_finds_every_flip_before_the_last_frame(tmp_path: Path) -> None:
    """A flipped byte in an earlier frame, its size and kind included, is damage and not a torn tail."""
    path = tmp_path / "a.seg"
    written(path, GROUPS).close()
    content = path.read_bytes()
    frames = spans(content)
    for position in range(frames[-1][0]):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(SegmentDamaged) as caught:
            recover_segment(path, SEGMENT, KEY)
        named = next((i for i, (start, end) in enumerate(frames) if start <= position < end), "header")
        assert caught.value.frame == named


@pytest.mark.parametrize("damage", [swap, drop, replay])
def test_recovery_finds_swapped_missing_and_replayed_frames(tmp_path: Path, damage: Damage) -> None:
    """An open segment is checked as strictly as its bytes allow."""
    path = tmp_path / "a.seg"
    written(path, GROUPS).close()
    content = path.read_bytes()
    path.write_bytes(damage(content, spans(content)))
    with pytest.raises(SegmentDamaged):
        recover_segment(path, SEGMENT, KEY)


def test_a_failed_write_ends_the_segment_and_keeps_its_frames(tmp_path: Path) -> None:
    """A frame index is never sealed twice: after an error the writer takes nothing more."""
    path = tmp_path / "a.seg"
    faults = Faults()
    writer = SegmentWriter(faults.disk, path, SEGMENT, KEY)
    writer.append(encode_rows(GROUPS[0], SLOTS), 3)

    def full_disk(action: str, path: Path) -> None:
        raise OSError(28, "No space left on device")

    faults.act = full_disk
    with pytest.raises(StorageError) as caught:
        writer.append(encode_rows(GROUPS[1], SLOTS), 5)
    assert (caught.value.code, caught.value.fatal) == ("disk_full", False)
    faults.act = lambda action, path: None
    with pytest.raises(RuntimeError):
        writer.append(encode_rows(GROUPS[1], SLOTS), 5)
    assert read(path, writer.extent) == wanted(GROUPS[:1])
    writer.close()


def test_short_writes_are_continued(tmp_path: Path) -> None:
    """The operating system may take a few bytes at a time."""
    import os

    disk = replace(Disk(), write=lambda descriptor, data: os.write(descriptor, data[: random.randrange(1, 9)]))
    writer = SegmentWriter(disk, tmp_path / "a.seg", SEGMENT, KEY)
    for rows in GROUPS:
        writer.append(encode_rows(rows, SLOTS), len(rows))
    assert read(tmp_path / "a.seg", writer.finish()) == wanted()
