"""`vault verify` names every flipped byte and every cut, swapped, replayed or missing frame; a whole vault is whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from node.vault.calendar import EpochAccess
from node.vault.segments import _FRAME, _SIZE, MAGIC
from node.vault.vault import Vault
from node.vault.verifying import Damage
from privacy.units import Window
from tests.vault_kit import NOW, rows_of, vault_at

TODAY = Window.containing("day", NOW)
FRAMES = 6


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Vault, Path]:
    """A closed segment of six frames, alone in the vault."""
    vault = vault_at(tmp_path)
    assert isinstance(vault.admit_hour(NOW, NOW, backfill=False), EpochAccess)
    for seed in range(FRAMES):
        vault.append({TODAY: rows_of(3, NOW, seed=seed)}, 4)
    vault._shelf.end_epoch(TODAY.text)
    (path,) = (tmp_path / "segments").rglob("*.seg")
    return vault, path


def pieces(data: bytes) -> list[bytes]:
    """The header, each frame, the footer."""
    start = len(MAGIC) + _SIZE.size
    end = start + _SIZE.unpack_from(data, len(MAGIC))[0]
    found = [data[:end]]
    while end < len(data):
        size = _FRAME.size + _FRAME.unpack_from(data, end)[0]
        found.append(data[end : end + size])
        end += size
    return found


def named(vault: Vault) -> list[tuple[int | str, str]]:
    return [(damage.frame, damage.why) for damage in vault.upkeep.verify()]


def test_a_whole_vault_is_whole(whole: tuple[Vault, Path]) -> None:
    """Nothing is named, open segments included."""
    vault, _ = whole
    vault.append({TODAY: rows_of(3, NOW, seed=99)}, 4)
    assert vault.upkeep.verify() == []


def test_any_flipped_byte_is_named_at_its_frame(whole: tuple[Vault, Path]) -> None:
    """Every byte of the file; frame and footer by place, also where the length is hit."""
    vault, path = whole
    data = path.read_bytes()
    places = [at for at, piece in enumerate(pieces(data)) for _ in piece]
    for position in random.Random(4).sample(range(len(data)), 300):
        changed = bytearray(data)
        changed[position] ^= 1 << random.Random(position).randrange(8)
        path.write_bytes(changed)
        place = places[position]
        wanted = "header" if place == 0 else "footer" if place == FRAMES + 1 else place - 1
        assert wanted in {frame for frame, _ in named(vault)}, position


@pytest.mark.parametrize(
    ("change", "frame", "word"),
    [
        (lambda p: [*p[:3], p[4], p[3], *p[5:]], 2, "swapped"),
        (lambda p: [*p[:4], p[2], *p[5:]], 1, "replayed"),
        (lambda p: [*p[:4], p[2], *p[5:]], 3, "missing"),
        (lambda p: [*p[:3], *p[4:]], 2, "missing"),
        (lambda p: [*p[:5], p[5][:-4]], 4, "cut"),
        (lambda p: p[:-1], "footer", "missing"),
        (lambda p: [*p, p[2]], "footer", "follow"),
        (lambda p: [*p[:5], *p[6:]], 4, "missing"),
        (lambda p: [p[0]], 0, "missing"),
    ],
)
def test_frames_out_of_place_are_named(
    whole: tuple[Vault, Path], change: Callable[[list[bytes]], list[bytes]], frame: int | str, word: str
) -> None:
    """Which frame, and what became of it."""
    vault, path = whole
    path.write_bytes(b"".join(change(pieces(path.read_bytes()))))
    found = named(vault)
    assert any(one == frame and word in why for one, why in found), found
    assert len(found) <= 3 or word == "missing"


def test_two_flipped_frames_are_both_named(whole: tuple[Vault, Path]) -> None:
    """It reads on after a damage."""
    vault, path = whole
    parts = pieces(path.read_bytes())
    for at in (2, 5):
        parts[at] = parts[at][:-1] + bytes([parts[at][-1] ^ 1])
    path.write_bytes(b"".join(parts))
    assert [frame for frame, _ in named(vault)] == [1, 4]


def test_a_missing_file_and_a_missing_key_are_named(whole: tuple[Vault, Path], tmp_path: Path) -> None:
    """By the file, and by the key; nothing else is said of an epoch whose data key is lost."""
    vault, path = whole
    content = path.read_bytes()
    path.unlink()
    assert named(vault)[0][0] == "file"
    path.write_bytes(content)
    for kind in ("pseudonym", "data"):
        (key,) = (tmp_path / "epochs").glob(f"*.{kind}.key")
        key.write_bytes(bytes(len(key.read_bytes())))
        assert (f"{kind} key" in {frame for frame, _ in named(vault)}) is True
    assert {frame for frame, _ in named(vault)} == {"pseudonym key", "data key"}


def test_a_segment_in_place_of_another_is_named(whole: tuple[Vault, Path]) -> None:
    """Swapped files: the header names another segment."""
    vault, path = whole
    vault.append({TODAY: rows_of(3, NOW, seed=50)}, 4)
    vault._shelf.end_epoch(TODAY.text)
    (other,) = set(path.parent.glob("*.seg")) - {path}
    ours, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(ours)
    assert {frame for frame, _ in named(vault)} == {"header"}
    assert len(named(vault)) == 2


def test_a_damage_says_where_and_never_what() -> None:
    """Its JSON has place and reason alone."""
    damage = Damage("2026-11-20/P1D", "ab", 3, "why")
    assert damage.as_json() == {"epoch": "2026-11-20/P1D", "segment": "ab", "frame": 3, "why": "why"}
