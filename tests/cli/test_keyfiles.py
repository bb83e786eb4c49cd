"""Key files: one form, owner only, never overwritten, a kind is never mistaken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import ConfigError
from node.keyfiles import KINDS, KeyFile, KeyKind, read_key, write_key

SECRET = bytes(range(32))
PUBLIC = bytes(range(32, 64))


def _key(kind: KeyKind) -> KeyFile:
    return KeyFile(kind, SECRET, None if kind == "master" else PUBLIC)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_written_is_read_again(tmp_path: Path, kind: KeyKind) -> None:
    """Every kind survives the disk, with mode 0600 whatever the umask."""
    old = os.umask(0)
    try:
        write_key(tmp_path / "k", _key(kind))
    finally:
        os.umask(old)
    assert read_key(tmp_path / "k", kind) == _key(kind)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_the_form_is_the_documented_one(tmp_path: Path) -> None:
    """The bytes on disk never change: an older file must stay readable."""
    write_key(tmp_path / "k", _key("signing"))
    assert (tmp_path / "k").read_text() == (
        f"murmur-key 1\nkind signing\nprotection none\npublic {PUBLIC.hex()}\nsecret {SECRET.hex()}\n"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o610])
def test_a_key_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Any bit for group or others refuses the file, and says how to mend it."""
    write_key(tmp_path / "k", _key("root"))
    (tmp_path / "k").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        read_key(tmp_path / "k", "root")
    assert refused.value.code == "key_readable_by_others"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """A file at the path stays as it is, and no temporary file remains."""
    write_key(tmp_path / "k", _key("root"))
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(ConfigError) as refused:
        write_key(tmp_path / "k", KeyFile("root", PUBLIC, SECRET))
    assert refused.value.code == "key_exists"
    assert (tmp_path / "k").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_one_kind_is_not_taken_for_another(tmp_path: Path) -> None:
    """The governance key cannot sign entries by a mix-up of paths."""
    write_key(tmp_path / "k", _key("governance"))
    with pytest.raises(ConfigError) as refused:
        read_key(tmp_path / "k", "signing")
    assert refused.value.code == "key_wrong_kind"


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """What is not a plain file is refused at once."""
    os.mkfifo(tmp_path / "k", 0o600)
    with pytest.raises(ConfigError) as refused:
        read_key(tmp_path / "k", "root")
    assert refused.value.code == "key_malformed"


def test_a_secret_shows_in_no_repr() -> None:
    """Printing a key by accident prints no secret."""
    shown = repr(_key("master")) + str(_key("root"))
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in shown


GOOD = _key("signing").text


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", GOOD[:-1], GOOD + "x", GOOD.replace("murmur-key 1", "murmur-key 2"), GOOD.upper(),
        GOOD.replace("protection none", "protection argon2id"), GOOD.replace("kind signing", "kind other"),
        GOOD + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("secret", "secret "), GOOD + "secret 00\n",
        GOOD.replace(SECRET.hex(), SECRET.hex()[:-2]), GOOD.replace("public", "publik"), "x" * 5000,
    ],
)  # fmt: skip
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing is guessed about a key."""
    path = tmp_path / "k"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        read_key(path, "signing")
    assert refused.value.code in ("key_malformed", "key_wrong_kind")


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_key_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """A hostile file raises only the named family."""
    path = tmp_path_factory.mktemp("key") / "k"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        read_key(path, "signing")
