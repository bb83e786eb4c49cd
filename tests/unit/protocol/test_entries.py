"""Entries: header, data and cells belong together, and the header's form never varies."""

from __future__ import annotations

import dataclasses

import pytest

from protocol import canonical
from protocol.entries import (
    KINDS,
    MAX_DATA_BYTES,
    MAX_ENTRY_BYTES,
    Entry,
    build_entry,
    committed_cells,
    data_hash,
    entry_id,
    parse_entry,
    parse_header,
    verify_entry,
)
from protocol.errors import BadSignature, MalformedMessage, PartsMismatch, ProtocolError, TooLarge, UnknownVersion
from protocol.ids import EntryId
from tests.unit.protocol.samples import FEDERATION, HARMONIE, TOOLS, entry, key, summary_entry


def test_entry_round_trips_and_verifies() -> None:
    """Parsed from its wire bytes, it is the entry that was built, and its author signed it."""
    for built in (entry(), summary_entry()):
        parsed = parse_entry(built.encode())
        assert parsed.entry == built
        assert parsed.id == built.id == entry_id(built.header)
        assert parsed.header.encode() == built.header
        assert parsed.header.author == TOOLS.node
        assert parsed.header.position == (0, 1)
        verify_entry(parsed.header, parsed.entry, (TOOLS.signing.public_key,))
        with pytest.raises(BadSignature):
            verify_entry(parsed.header, parsed.entry, (HARMONIE.signing.public_key,))


def test_header_is_the_documented_array() -> None:
    """The order of its items is part of the wire major."""
    built = entry()
    items = canonical.decode(built.header)
    assert isinstance(items, list)
    assert items[:10] == [
        1, FEDERATION, TOOLS.node, 0, 1, bytes(range(32)), 1, 1_795_003_600, "abstain", data_hash(built.data),
    ]  # fmt: skip
    assert items[10] == len(built.data)
    assert len(built.header) <= 400


def test_largest_header_fits() -> None:
    """Every number at its largest and the longest kind stay below 400 bytes."""
    top = 2**53 - 1
    built = entry(generation=top, seq=top, charter_version=top, at=top, kind="k" * 32, data=bytes(MAX_DATA_BYTES))
    assert len(built.header) <= 400


@pytest.mark.requirement("M-ENT-1")
def test_largest_entry_fits() -> None:
    """64 KiB of data and 512 KiB of cells pass under the limit of an entry."""
    largest = Entry(bytes(400), (bytes(64), bytes(64)), bytes(MAX_DATA_BYTES), bytes(512 << 10))
    assert len(largest.encode()) <= MAX_ENTRY_BYTES


@pytest.mark.requirement("M-ENT-2")
@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        (0, 2, UnknownVersion),
        (0, 0, MalformedMessage),
        (1, bytes(31), MalformedMessage),
        (2, "author", MalformedMessage),
        (3, -1, MalformedMessage),
        (3, True, MalformedMessage),
        (4, None, MalformedMessage),
        (5, bytes(33), MalformedMessage),
        (6, 0, MalformedMessage),
        (7, -1, MalformedMessage),
        (8, "Summary", MalformedMessage),
        (8, "a b", MalformedMessage),
        (8, "k" * 33, MalformedMessage),
        (8, "", MalformedMessage),
        (9, bytes(31), MalformedMessage),
        (10, MAX_DATA_BYTES + 1, MalformedMessage),
        (10, -1, MalformedMessage),
    ],
)
def test_bad_header_field_is_refused(position: int, value: canonical.Encodable, error: type[ProtocolError]) -> None:
    """Each of the eleven has a type and a range."""
    items = canonical.decode(entry().header)
    assert isinstance(items, list)
    items[position] = value  # type: ignore[assignment]
    with pytest.raises(error):
        parse_header(canonical.encode(items))


@pytest.mark.requirement("M-ENT-2")
def test_header_of_another_length_is_refused() -> None:
    """An array of ten or twelve is another format."""
    items = canonical.decode(entry().header)
    assert isinstance(items, list)
    for changed in (items[:-1], [*items, 0], [1], []):
        with pytest.raises(MalformedMessage):
            parse_header(canonical.encode(changed))


@pytest.mark.requirement("M-ENT-1")
def test_header_above_400_bytes_is_refused_unread() -> None:
    """The limit stands before the parser."""
    with pytest.raises(TooLarge):
        parse_header(canonical.encode([1, bytes(400)]))


@pytest.mark.requirement("M-ENT-9")
def test_unknown_kind_is_an_entry_all_the_same() -> None:
    """A kind of tomorrow is carried, or upgrading would need a flag day."""
    assert "consent_token" not in KINDS
    assert parse_entry(entry(kind="consent_token", data=b"whatever").encode()).header.kind == "consent_token"


@pytest.mark.requirement("M-ENT-7")
def test_data_must_be_the_data_signed() -> None:
    """Same length or not."""
    built = entry()
    for data in (built.data[:-1] + b"!", built.data + b"!", b""):
        with pytest.raises(PartsMismatch):
            parse_entry(dataclasses.replace(built, data=data).encode())


@pytest.mark.requirement("M-ENT-8")
def test_cells_must_be_the_cells_signed() -> None:
    """Changed, missing, or beside an entry that has none."""
    with_cells = summary_entry()
    assert with_cells.cells is not None
    for cells in (with_cells.cells[:-1] + b"!", with_cells.cells + b"!", None):
        with pytest.raises(PartsMismatch):
            parse_entry(dataclasses.replace(with_cells, cells=cells).encode())
    with pytest.raises(PartsMismatch):
        parse_entry(dataclasses.replace(entry(), cells=b"\x01").encode())


@pytest.mark.requirement("M-ENT-8")
def test_cells_are_matched_in_any_data_version() -> None:
    """`cells_hash` has its place in every version of a summary's data, so an old node relays whole new summaries."""
    _, cells = summary_entry().data, summary_entry().cells
    assert cells is not None
    data = canonical.encode({"v": 7, "cells_hash": committed_cells(summary_entry().data), "new": [1, 2]})
    built = entry(kind="summary", data=data, cells=cells)
    assert parse_entry(built.encode()).entry.cells == cells
    with pytest.raises(PartsMismatch):
        parse_entry(dataclasses.replace(built, cells=None).encode())


@pytest.mark.requirement("M-ENT-8")
def test_summary_that_names_no_cells_carries_none() -> None:
    """Whatever its data is; judgement will say what it is worth."""
    for data in (b"", b"\xff", canonical.encode({"cells_hash": 5}), canonical.encode({"cells_hash": b"short"})):
        assert parse_entry(entry(kind="summary", data=data).encode()).entry.cells is None
        with pytest.raises(PartsMismatch):
            entry(kind="summary", data=data, cells=b"\x01")


@pytest.mark.requirement("M-ENT-6")
def test_number_of_signatures_is_fixed_by_kind() -> None:
    """One too many or too few is refused before any is verified."""
    built = entry()
    with pytest.raises(PartsMismatch):
        parse_entry(dataclasses.replace(built, signatures=built.signatures * 2).encode())
    with pytest.raises(MalformedMessage):
        parse_entry(dataclasses.replace(built, signatures=()).encode())
    rotated = entry(kind="rotate", next_key=key("next"), data=b"")
    assert len(rotated.signatures) == 2
    with pytest.raises(PartsMismatch):
        parse_entry(dataclasses.replace(rotated, signatures=rotated.signatures[:1]).encode())


@pytest.mark.requirement("M-ENT-6")
def test_rotate_needs_the_old_key_and_the_new_one_in_order() -> None:
    """Either alone, or the two swapped, is no rotation."""
    rotated = parse_entry(entry(kind="rotate", next_key=TOOLS.next, data=b"").encode())
    old, new = TOOLS.signing.public_key, TOOLS.next.public_key
    verify_entry(rotated.header, rotated.entry, (old, new))
    for keys in ((new, old), (old, old), (old,)):
        with pytest.raises(BadSignature):
            verify_entry(rotated.header, rotated.entry, keys)


def test_next_key_with_another_kind_is_a_programmers_mistake() -> None:
    """And so is a rotation without one."""
    for changes in ({"next_key": key("next")}, {"kind": "rotate"}):
        with pytest.raises(ValueError):
            entry(**changes)


def test_builder_refuses_what_the_parser_would() -> None:
    """Nothing is signed that no peer would take."""
    for changes in ({"data": bytes(MAX_DATA_BYTES + 1)}, {"seq": -1}, {"kind": "No"}, {"charter_version": 0}):
        with pytest.raises(ProtocolError):
            entry(**changes)


@pytest.mark.parametrize(
    "value",
    [
        [],
        [b"h", [bytes(64)], b"d"],
        [b"h", [bytes(64)], b"d", None, None],
        ["h", [bytes(64)], b"d", None],
        [b"h", bytes(64), b"d", None],
        [b"h", [bytes(64)], None, None],
        {"header": b"h"},
    ],
)
def test_other_wire_forms_are_refused(value: canonical.Encodable) -> None:
    """An entry is an array of four parts."""
    with pytest.raises(MalformedMessage):
        parse_entry(canonical.encode(value))


@pytest.mark.requirement("M-ENT-4")
def test_entry_of_one_federation_is_none_of_another() -> None:
    """The signature's domain holds the federation twice: in the header, and before it."""
    parsed = parse_entry(entry().encode())
    moved = dataclasses.replace(parsed.header, federation=b"g" * 32)  # type: ignore[arg-type]
    with pytest.raises(BadSignature):
        verify_entry(moved, parsed.entry, (TOOLS.signing.public_key,))


def test_build_entry_takes_the_header_as_given() -> None:
    """Position, prev and time come from the caller; nothing is invented."""
    built = build_entry(
        TOOLS.signing, federation=FEDERATION, author=TOOLS.node, generation=2, seq=9, prev=EntryId(b"p" * 32),
        charter_version=4, at=7, kind="retire", data=b"",
    )  # fmt: skip
    header = parse_header(built.header)
    assert (header.generation, header.seq, header.prev, header.charter_version, header.at) == (2, 9, b"p" * 32, 4, 7)
