"""`murmur init`: everything together or nothing at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.anchor import EMPTY_LOG, load_anchor
from node.config import load_config
from node.keyfiles import read_key
from protocol.identity import parse_inception
from protocol.join_request import parse_join_request
from protocol.keys import SigningKey, key_digest
from tests.cli.commands import KILLED_AT, Murmur, init_arguments, tree

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The node's own folder, made beforehand as an operator would."""
    path = tmp_path / "a"
    path.mkdir()
    return path


def test_init_makes_a_node_whose_parts_agree(murmur: Murmur, plan: Path, folder: Path) -> None:
    """Keys, inception record, request, anchor and configuration belong to one node id."""
    said = murmur(*init_arguments("a", plan, population="1200", backfill_from="2026-11-05"), "--json")
    assert (said.code, said.json["schema"]) == (0, "murmur.init/1")

    record = parse_inception((folder / "data/inception").read_bytes())
    assert record.node_id.hex() == said.json["node"]
    assert record.root_key == SigningKey(read_key(folder / "root.key", "root").secret).public_key
    assert record.signing_key == SigningKey(read_key(folder / "data/keys/signing.key", "signing").secret).public_key
    assert record.next_digest == key_digest(read_key(folder / "data/keys/next.key", "next").public or b"")
    assert len(read_key(folder / "data/keys/master.key", "master").secret) == 32

    request = parse_join_request((folder / "request.murmur").read_bytes())
    assert (request.record, request.name, request.population) == (record, "a", 1200)
    assert request.governance_key == read_key(folder / "governance.key", "governance").public

    config = load_config(folder / "node.toml")
    assert (config.data, config.plan, config.name) == (folder / "data", plan, "a")
    assert str(config.backfill_from) == "2026-11-05"
    assert load_anchor(config.anchor) == EMPTY_LOG


def test_no_secret_leaves_its_file(murmur: Murmur, plan: Path, folder: Path) -> None:
    """Secrets are in 0600 files only: not in output, request, configuration or record."""
    said = murmur(*init_arguments("a", plan))
    keys = {"root.key": "root", "governance.key": "governance", "data/keys/signing.key": "signing",
            "data/keys/next.key": "next", "data/keys/master.key": "master"}  # fmt: skip
    secrets = [read_key(folder / name, kind).secret for name, kind in keys.items()]  # type: ignore[arg-type]
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in keys:
            assert not any(
                secret in path.read_bytes() or secret.hex().encode() in path.read_bytes() for secret in secrets
            )
    assert not any(secret.hex() in said.out + said.err for secret in secrets)
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in keys)


def test_anchor_stands_outside_the_data_by_default(murmur: Murmur, plan: Path, folder: Path, tmp_path: Path) -> None:
    """Without --anchor it goes to the state home, named after the node id, and node.toml names it."""
    arguments = init_arguments("a", plan)
    at = arguments.index("--anchor")
    said = murmur(*arguments[:at], *arguments[at + 2 :], "--json")
    expected = tmp_path / ".home/.local/state/murmur" / f"{said.json['node']}.anchor"
    assert load_config(folder / "node.toml").anchor == expected
    assert load_anchor(expected) == EMPTY_LOG


@pytest.mark.parametrize("there", ["data/x", "root.key", "request.murmur", "anchor", "node.toml"])
def test_nothing_that_exists_is_overwritten(
    murmur: Murmur, plan: Path, folder: Path, tmp_path: Path, there: str
) -> None:
    """Whatever stands in the way, init is a conflict (7) and changes nothing."""
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / there).write_text("mine")
    before = tree(tmp_path)
    said = murmur(*init_arguments("a", plan))
    assert said.code == 7
    assert "already_exists" in said.err
    assert tree(tmp_path) == before


def test_a_governance_key_that_is_there_is_shared(murmur: Murmur, plan: Path, folder: Path, tmp_path: Path) -> None:
    """A second node of one organisation uses its governance key."""
    murmur(*init_arguments("a", plan))
    (tmp_path / "b").mkdir()
    key = folder / "governance.key"
    before = key.read_bytes()
    said = murmur(*init_arguments("b", plan, governance_key=key))
    assert said.code == 0
    assert key.read_bytes() == before
    assert (
        parse_join_request((tmp_path / "b/request.murmur").read_bytes()).governance_key
        == read_key(key, "governance").public
    )


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"name": "Shop EU"}, 2, "refused"),
        ({"advertise": "http://shop.example.org"}, 2, "plain http"),
        ({"listen": "0.0.0.0:7700", "advertise": "https://shop.example.org"}, 78, "behind_proxy"),
        ({"root-key": "a/data/root.key"}, 2, "inside the data folder"),
        ({"root-key": "a/nowhere/root.key"}, 3, "there is no folder"),
        ({"root-key": "a/request.murmur"}, 2, "two different files"),
        ({"plan": "missing.yaml"}, 3, "no such file"),
        ({"anchor": "a/data/anchor"}, 78, "anchor"),
        ({"epoch": "year"}, 2, "epoch"),
    ],
)
def test_a_refused_init_leaves_nothing(
    murmur: Murmur, plan: Path, folder: Path, tmp_path: Path, changes: dict[str, str], code: int, words: str
) -> None:
    """Each wrong argument has its exit code and its sentence, and nothing is made."""
    before = tree(tmp_path)
    said = murmur(*init_arguments("a", plan, **changes))
    assert (said.code, words in said.err) == (code, True), said.err
    assert said.out == ""
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plan: shop\nplan: shop\n", "stands twice"),
        ("- a\n- b\n", "refused"),
        ("plan: shop\npurposes: []\napps:\n  site: {person: email, consent: none, actions: {}}\n", "apps.site.person"),
    ],
)
def test_a_broken_plan_is_refused_before_anything_is_made(
    murmur: Murmur, plan: Path, folder: Path, tmp_path: Path, text: str, words: str
) -> None:
    """The plan is read whole first: exit 78 and a sentence about it."""
    plan.write_text(text, encoding="utf-8")
    before = tree(tmp_path)
    said = murmur(*init_arguments("a", plan))
    assert (said.code, words in said.err) == (78, True), said.err
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_killed_init_is_taken_back_by_the_next(plan: Path, folder: Path, tmp_path: Path) -> None:
    """Killed before any one of its disk operations: the next init succeeds, or the dead one had finished."""
    environment = {**os.environ, "HOME": str(tmp_path / ".home"), "PYTHONPATH": str(ROOT)}

    def init(steps: int) -> int:
        command = [sys.executable, "-c", KILLED_AT, str(steps), *map(str, init_arguments("a", plan))]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode

    finished = 0
    for steps in range(0, 400, 3):
        first = init(steps)
        second = init(10**6)
        assert (first, second) in ((99, 0), (99, 7), (0, 7)), steps
        if second == 7:  # the killed one had published: then it published all of it
            finished += 1
        parse_inception((folder / "data/inception").read_bytes())
        load_config(folder / "node.toml")
        leftovers = [name for name in tree(tmp_path) if "murmur-init" in name]
        assert leftovers == []
        if first == 0:
            break
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert finished >= 1


def test_a_killed_init_between_two_files_is_taken_back(plan: Path, folder: Path, tmp_path: Path) -> None:
    """The quick form of the slow test: killed when some files had their names and the folder had not."""
    environment = {**os.environ, "HOME": str(tmp_path / ".home"), "PYTHONPATH": str(ROOT)}
    kill_at_third_link = KILLED_AT.replace(
        '("open", "mkdir", "link", "rename", "replace", "unlink", "fsync")', '("link",)'
    )
    arguments = [*map(str, init_arguments("a", plan))]
    command = [sys.executable, "-c", kill_at_third_link, "2", *arguments]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 99
    assert (folder / "root.key").exists()
    assert not (folder / "data").exists()
    old_root = (folder / "root.key").read_bytes()
    again = subprocess.run([sys.executable, "-m", "node", *arguments], cwd=tmp_path, env=environment, check=False)
    assert again.returncode == 0
    assert (folder / "root.key").read_bytes() != old_root
    assert [name for name in tree(tmp_path) if "murmur-init" in name] == []
