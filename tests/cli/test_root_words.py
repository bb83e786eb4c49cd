"""`murmur init --root-words`: shown once to a person, asked for, and the same key when it is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.cli.kit.failures import CommandRefused
from node.cli.kit.passphrases import seed_of, words_of
from protocol.identity import parse_inception
from protocol.keys import SigningKey
from tests.cli.commands import Murmur, init_arguments, tree
from tests.integration.typed import at_a_terminal


def without_root_key(plan: Path, *more: str | Path) -> list[str | Path]:
    arguments = init_arguments("a", plan)
    at = arguments.index("--root-key")
    return [*arguments[:at], *arguments[at + 2 :], *more]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()


def shown(text: str) -> list[str]:
    """The words in the order of their numbers."""
    pairs = re.findall(r"(\d+) ([a-z]+)", text.partition("not shown again.")[2].partition("Made node")[0])
    return [word for _, word in sorted((int(number), word) for number, word in pairs)]


def test_three_words_are_asked_for_and_the_words_are_the_root_key(
    murmur: Murmur, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file holds it; what was written down recovers the node."""
    said = [""]

    def answer(question: str) -> str:
        said[0] += capsys.readouterr().err
        return shown(said[0])[int(question.split()[1]) - 1].upper()

    asked = at_a_terminal(monkeypatch, answer)
    ended = murmur(*without_root_key(plan, "--root-words"))
    assert ended.code == 0, ended.err
    assert len(asked) == 3
    words = shown(said[0])
    assert len(words) == 24
    record = parse_inception((tmp_path / "a/data/inception").read_bytes())
    assert SigningKey(seed_of(words)).public_key == record.root_key
    seed = seed_of(words)
    assert not any(seed.hex().encode() in (content or b"") for content in tree(tmp_path).values())
    assert not list(tmp_path.rglob("root*"))


def test_a_wrong_word_makes_nothing(
    murmur: Murmur, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever did not write them down has no node."""
    before = tree(tmp_path)
    at_a_terminal(monkeypatch, lambda _text: "zebra zebra")
    ended = murmur(*without_root_key(plan, "--root-words"))
    assert (ended.code, "words_not_written" in ended.err) == (1, True)
    assert tree(tmp_path) == before


def test_without_a_terminal_no_words_are_shown(murmur: Murmur, plan: Path, tmp_path: Path) -> None:
    """They would stand in some log."""
    before = tree(tmp_path)
    ended = murmur(*without_root_key(plan, "--root-words"))
    assert (ended.code, "words_need_a_terminal" in ended.err) == (2, True)
    assert shown(ended.err) == []
    assert tree(tmp_path) == before


def test_the_root_key_goes_to_one_place(murmur: Murmur, plan: Path, tmp_path: Path) -> None:
    """A file or words, one of them."""
    before = tree(tmp_path)
    assert murmur(*without_root_key(plan)).code == 2
    assert murmur(*init_arguments("a", plan), "--root-words").code == 2
    assert tree(tmp_path) == before


def test_a_dry_run_of_init_makes_nothing(murmur: Murmur, plan: Path, tmp_path: Path) -> None:
    """And names every file."""
    before = tree(tmp_path)
    ended = murmur(*init_arguments("a", plan), "--dry-run")
    assert ended.code == 0
    assert ended.out.count("would  make") == 6
    assert tree(tmp_path) == before


def test_words_carry_any_key_and_refuse_any_slip() -> None:
    """A changed, missing or swapped word is named or does not fit."""
    for seed in (bytes(32), b"\xff" * 32, bytes(range(32))):
        words = words_of(seed)
        assert seed_of(words) == seed
        for wrong in (
            words[:-1],
            [*words, "zoo"],
            [*words[:5], "nonsense", *words[6:]],
            [words[1], words[0], *words[2:]],
        ):
            if wrong != words:
                with pytest.raises(CommandRefused) as refused:
                    seed_of(wrong)
                assert refused.value.exit_code == 6
