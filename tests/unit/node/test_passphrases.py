"""Passphrases of key files: sealed at rest, changed whole or not at all, never guessed and never shown."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from node import keyfiles
from node.errors import ConfigError
from node.key_change import MARKER, change_file, change_folder, finish_change
from node.keyfiles import KINDS, KeyFile, KeyKind, read_key, read_label, write_key
from node.passphrase import Passphrase, passphrase_from, read_passphrase, service_passphrase
from protocol.keys import SigningKey

OLD, NEW = Passphrase(b"old words"), Passphrase(b"new words")
SEED = bytes(range(32))


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess costs 100 ms in earnest; here the least that a file may ask."""
    monkeypatch.setattr("node.keyfiles.OPS", 1)
    monkeypatch.setattr("node.keyfiles.KIB", 8)


def key_of(kind: KeyKind, seed: bytes = SEED) -> KeyFile:
    return KeyFile(kind, seed, None if kind == "master" else SigningKey(seed).public_key)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_key_opens_with_its_passphrase_and_with_nothing_else(tmp_path: Path, kind: KeyKind) -> None:
    """T21: what is on disk holds no secret; the label is readable without."""
    path = tmp_path / "k"
    write_key(path, key_of(kind), OLD)
    text = path.read_text()
    assert SEED.hex() not in text
    assert "old words" not in text
    assert read_key(path, kind, Passphrase(b"old words")) == key_of(kind)
    assert read_label(path).is_sealed
    assert read_label(path).public == key_of(kind).public
    assert code_of(lambda: read_key(path, kind)) == "key_sealed"
    assert code_of(lambda: read_key(path, kind, NEW)) == "passphrase_wrong"


def test_the_cost_is_what_the_specification_says() -> None:
    """64 MiB and three passes, in the file itself."""
    from node.passphrase import KIB, OPS

    assert (OPS, KIB) == (3, 65_536)


@pytest.mark.parametrize("at", range(6))
def test_every_line_of_a_sealed_file_is_bound(tmp_path: Path, at: int) -> None:
    """A changed word in any line: it does not open, or is no key file."""
    path = tmp_path / "k"
    write_key(path, key_of("signing"), OLD)
    lines = path.read_text().split("\n")
    line = lines[at] if at < len(lines) - 1 else lines[2].replace("argon2id 1 8", "argon2id 2 8")
    swapped = line[:-1] + ("0" if line[-1] != "0" else "1") if at < len(lines) - 1 else line
    lines[min(at, 4) if at < len(lines) - 1 else 2] = swapped
    path.write_text("\n".join(lines))
    assert code_of(lambda: read_key(path, "signing", OLD)) in ("passphrase_wrong", "key_malformed")


@pytest.mark.parametrize("cost", ["0 8", "1 7", "17 8", "1 2000000", "x 8", "1 8 8"])
def test_a_file_asks_for_no_more_than_is_fair(tmp_path: Path, cost: str) -> None:
    """A hostile file cannot take the memory of the machine."""
    path = tmp_path / "k"
    write_key(path, key_of("signing"), OLD)
    path.write_text(path.read_text().replace("argon2id 1 8", f"argon2id {cost}"))
    assert code_of(lambda: read_key(path, "signing", OLD)) == "key_malformed"


def test_a_passphrase_shows_in_no_repr_and_no_copy() -> None:
    assert "old" not in repr(OLD)
    with pytest.raises(TypeError):
        pickle.dumps(OLD)


def test_where_a_passphrase_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private file, a descriptor, a systemd credential; one line feed at its end is not part of it."""
    file = tmp_path / "murmur.passphrase"
    file.write_bytes(b"old words\n")
    file.chmod(0o640)
    assert code_of(lambda: read_passphrase(file)) == "passphrase_refused"
    file.chmod(0o600)
    path = tmp_path / "k"
    write_key(path, key_of("root"), OLD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    reading, writing = os.pipe()
    os.write(writing, b"old words\n")
    os.close(writing)
    for found in (read_passphrase(file), service_passphrase(None), service_passphrase(file), passphrase_from(reading)):
        assert read_key(path, "root", found) == key_of("root")
    os.close(reading)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert service_passphrase(None) is None
    for bad in (b"", b"\n", b"x" * 1025):
        file.write_bytes(bad)
        assert code_of(lambda: read_passphrase(file)) == "passphrase_refused"
    assert code_of(lambda: read_passphrase(tmp_path / "none")) == "passphrase_refused"


def test_one_file_is_sealed_and_opened_again(tmp_path: Path) -> None:
    """Wherever it lies; with the wrong old passphrase nothing happens."""
    path = tmp_path / "root.key"
    write_key(path, key_of("root"))
    change_file(path, None, NEW)
    assert code_of(lambda: change_file(path, OLD, None)) == "passphrase_wrong"
    assert read_key(path, "root", NEW) == key_of("root")
    change_file(path, NEW, None)
    assert read_key(path, "root") == key_of("root")
    assert [one.name for one in tmp_path.iterdir()] == ["root.key"]
    assert path.stat().st_mode & 0o777 == 0o600


class Killed(BaseException):
    """The process is gone."""


KEYS: dict[str, KeyKind] = {"signing.key": "signing", "next.key": "next", "master.key": "master"}


def test_killed_at_any_step_all_files_open_with_one_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `finish_change`, as every start makes it: all old or all new, no rest, whatever step was the last."""
    seen = set()
    for last in range(60):
        folder = tmp_path / str(last)
        folder.mkdir()
        for name, kind in KEYS.items():
            write_key(folder / name, key_of(kind), OLD)
        left = [last]
        with monkeypatch.context() as patched:
            for name in ("open", "fsync", "link", "replace", "rename", "unlink", "pwrite"):
                patched.setattr(os, name, _counted(getattr(os, name), left))
            with contextlib.suppress(Killed):
                change_folder(folder, OLD, NEW)
            is_done = left[0] >= 0
        finish_change(folder)
        assert sorted(path.name for path in folder.iterdir()) == sorted(KEYS)
        found = [passphrase for passphrase in (OLD, NEW) if _all_open(folder, passphrase)]
        assert len(found) == 1
        seen.add(found[0] is NEW)
        if is_done:
            assert found == [NEW]
            break
    assert is_done
    assert seen == {True, False}


def _counted(original: Callable[..., object], left: list[int]) -> Callable[..., object]:
    def step(*arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return original(*arguments, **options)

    return step


def _all_open(folder: Path, passphrase: Passphrase) -> bool:
    try:
        return all(read_key(folder / name, kind, passphrase).secret == SEED for name, kind in KEYS.items())
    except ConfigError:
        return False


def test_a_folder_is_not_half_changed_when_one_key_does_not_open(tmp_path: Path) -> None:
    """One file under another passphrase: refused, and nothing was touched."""
    write_key(tmp_path / "signing.key", key_of("signing"), OLD)
    write_key(tmp_path / "next.key", key_of("next"), NEW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert code_of(lambda: change_folder(tmp_path, OLD, NEW)) == "passphrase_wrong"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not (tmp_path / MARKER).exists()
    assert keyfiles.KINDS
