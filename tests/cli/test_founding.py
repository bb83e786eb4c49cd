"""From four request files to four members: create, sign, accept, and everything that is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.definitions import parse_definition_bytes
from node.cli.charter import INSTALLED
from node.keyfiles import read_key
from protocol.bundle import parse_bundle, verify_bundle
from protocol.charter_document import CharterDocument, sign_charter
from protocol.keys import SigningKey
from tests.cli.commands import KILLED_AT, METRICS, Murmur, init_arguments, tree

FOUNDERS = ("a", "b", "c", "d")


@pytest.fixture
def founders(murmur: Murmur, plan: Path, tmp_path: Path) -> list[str]:
    """Four nodes of four organisations, made by init."""
    for number, name in enumerate(FOUNDERS):
        (tmp_path / name).mkdir()
        assert murmur(*init_arguments(name, plan, listen=f"127.0.0.1:77{number:02d}")).code == 0
    return list(FOUNDERS)


def create(*changes: str | Path, names: tuple[str, ...] = FOUNDERS) -> list[str | Path]:
    """A `federation create` that works, and what is added to it."""
    requests = [part for name in names for part in ("--with", f"{name}/request.murmur")]
    return ["federation", "create", *requests, "--metrics", "metrics", "--name", "four cities", "--counts-from",
            "2026-11-05", "--threshold", "3", "--allow-private", "--out", "charter.murmur", *changes]  # fmt: skip


def sign(name: str) -> list[str]:
    return ["charter", "sign", "charter.murmur", "--governance-key", f"{name}/governance.key"]


def accept(name: str) -> list[str]:
    return ["charter", "accept", "charter.murmur", "--config", f"{name}/node.toml"]


def test_four_founders_become_four_members(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """Create, four signatures, four acceptances: every node holds the same, verified bundle."""
    made = murmur(*create("--json"))
    assert made.code == 0, made.err
    assert (made.json["schema"], made.json["threshold"], made.json["missing_signatures"]) == (
        "murmur.charter/1", 3, founders,
    )  # fmt: skip
    for number, name in enumerate(founders):
        said = murmur(*sign(name), "--json")
        assert said.code == 0, said.err
        assert said.json["missing_signatures"] == founders[number + 1 :]
    federations = set()
    for name in founders:
        said = murmur(*accept(name), "--json")
        assert said.code == 0, said.err
        federations.add(said.json["federation"])
    assert len(federations) == 1

    installed = {(tmp_path / name / "data/charter" / INSTALLED).read_bytes() for name in founders}
    assert installed == {(tmp_path / "charter.murmur").read_bytes()}
    charter, federation = verify_bundle(parse_bundle(installed.pop()))
    assert federation.hex() in federations
    assert (charter.name, len(charter.members), charter.suspend_threshold) == ("four cities", 4, 3)
    assert {epoch: str(cap) for epoch, cap in charter.caps.items()} == {"day": "1/40", "week": "1/16", "month": "1/4"}
    assert (charter.expires - charter.created) // 86_400 == 400
    assert {row.name for row in charter.catalogue} == {"people", "views"}
    assert {row.from_hour for row in charter.catalogue} == {member.counts_from for member in charter.members}


def test_a_definition_keeps_its_text(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """What the charter names by hash is the YAML that was written, characters beyond ASCII included."""
    murmur(*create())
    bundle = parse_bundle((tmp_path / "charter.murmur").read_bytes())
    questions = {parse_definition_bytes(body).question for body in bundle.definitions}
    assert "Which sections are read, auch à la carte?" in questions
    assert "auch à la carte?" in murmur("charter", "show", "charter.murmur").out


def test_show_says_in_words_what_is_signed(murmur: Murmur, founders: list[str], metrics: Path) -> None:
    """Who decides, who has signed, what is released at which price, and the budget."""
    murmur(*create())
    murmur(*sign("b"))
    said = murmur("charter", "show", "charter.murmur")
    assert said.code == 0
    for words in (
        "3 of 4 organisations together", "private ones are allowed", "  b  signed", "  a  has not signed",
        "counts from 2026-11-05T00 UTC", "count per day, rho 1/400, at most 5 in each of 2 cells a person",
        "per day    rho 1/40, epsilon 1.0",
    ):  # fmt: skip
        assert words in said.out


def test_signing_twice_changes_nothing(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """The second time says so and leaves the file's bytes."""
    murmur(*create())
    murmur(*sign("a"))
    before = (tmp_path / "charter.murmur").read_bytes()
    said = murmur(*sign("a"))
    assert (said.code, "had signed" in said.err) == (0, True)
    assert (tmp_path / "charter.murmur").read_bytes() == before


def test_founders_who_sign_at_once_all_count(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path
) -> None:
    """Four processes on one file lose no signature."""
    import subprocess
    import sys

    from tests.conftest import ROOT

    murmur(*create())
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    processes = [
        subprocess.Popen([sys.executable, "-m", "node", "-q", *sign(name)], cwd=tmp_path, env=environment)
        for name in founders
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    verify_bundle(parse_bundle((tmp_path / "charter.murmur").read_bytes()))


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (["--out", "a/node.toml"], 7, "already_exists"),
        (["--threshold", "2"], 2, "not more than half"),
        (["--threshold", "5"], 2, "more than all"),
        (["--cap", "day=0.025"], 2, "day=1/40"),
        (["--cap", "year=1/40"], 2, "day=1/40"),
        (["--with", "a/request.murmur"], 2, "founder_twice"),
        (["--with", "plan.yaml"], 6, "plan.yaml is refused"),
        (["--with", "missing"], 3, "no such file"),
        (["--metrics", "a"], 3, "no_metrics"),
        (["--metrics", "nowhere"], 3, "nowhere"),
        (["--counts-from", "soon"], 2, "soon"),
    ],
)
def test_a_refused_create_writes_nothing(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path, changes: list[str], code: int, words: str
) -> None:
    """Each wrong argument has its exit code and sentence, and no file appears or changes."""
    before = tree(tmp_path)
    said = murmur(*create(*changes))
    assert (said.code, words in said.err) == (code, True), said.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("people.yaml", METRICS["people.yaml"].replace("measure: people", "measure: mode"), "people.yaml"),
        ("people.yaml", METRICS["people.yaml"].replace('rho: "1/400"', 'rho: "0.0025"'), "people.yaml"),
        ("people.yaml", METRICS["people.yaml"] + "metric: again\n", "stands twice"),
        ("again.yaml", METRICS["people.yaml"], "metrics/again.yaml defines"),
    ],
)  # fmt: skip
def test_a_metric_that_is_refused_is_named_with_its_file(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path, name: str, text: str, words: str
) -> None:
    """A broken, inexact or doubled definition is a configuration error in one file."""
    (metrics / name).write_text(text, encoding="utf-8")
    before = tree(tmp_path)
    said = murmur(*create())
    assert (said.code, words in said.err) == (78, True), said.err
    assert tree(tmp_path) == before


def test_private_addresses_need_a_word(murmur: Murmur, founders: list[str], metrics: Path) -> None:
    """Loopback endpoints are refused by policy unless --allow-private is given."""
    arguments = [part for part in create() if part != "--allow-private"]
    said = murmur(*arguments)
    assert (said.code, "private_endpoint" in said.err) == (4, True)


def test_metrics_beyond_the_budget_are_said_at_once(murmur: Murmur, founders: list[str], metrics: Path) -> None:
    """Founders learn it now, not at the first refused release."""
    said = murmur(*create("--cap", "day=1/1000"))
    assert said.code == 0
    assert "all metrics together need rho 1/200 per day, the cap is 1/1000" in said.err


def test_a_changed_request_is_refused(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """One flipped bit anywhere in a request: exit 6 and its file's name."""
    raw = bytearray((tmp_path / "b/request.murmur").read_bytes())
    for at in range(0, len(raw), 37):
        raw[at] ^= 1
        (tmp_path / "b/request.murmur").write_bytes(raw)
        said = murmur(*create())
        assert (said.code, "b/request.murmur is refused" in said.err) == (6, True), at
        raw[at] ^= 1


def test_a_strangers_key_cannot_sign(
    murmur: Murmur, founders: list[str], metrics: Path, plan: Path, tmp_path: Path
) -> None:
    """A governance key of no founder is refused (6) and the file keeps its bytes."""
    (tmp_path / "e").mkdir()
    murmur(*init_arguments("e", plan))
    murmur(*create())
    before = (tmp_path / "charter.murmur").read_bytes()
    said = murmur(*sign("e"))
    assert (said.code, "belongs to no organisation" in said.err) == (6, True)
    assert (tmp_path / "charter.murmur").read_bytes() == before


@pytest.mark.parametrize(
    ("key", "mode", "code", "words"),
    [
        ("governance.key", 0o644, 78, "key_readable_by_others"),
        ("root.key", 0o600, 78, "holds a root key where a governance key is needed"),
        ("data/keys/signing.key", 0o600, 78, "key_wrong_kind"),
        ("nothing.key", None, 78, "key_unreadable"),
    ],
)
def test_a_key_that_must_not_sign_does_not(
    murmur: Murmur,
    founders: list[str],
    metrics: Path,
    tmp_path: Path,
    key: str,
    mode: int | None,
    code: int,
    words: str,
) -> None:
    """Readable by others, of another kind, or missing: the charter stays unsigned."""
    murmur(*create())
    before = (tmp_path / "charter.murmur").read_bytes()
    if mode is not None:
        (tmp_path / "a" / key).chmod(mode)
    said = murmur("charter", "sign", "charter.murmur", "--governance-key", f"a/{key}")
    assert (said.code, words in said.err) == (code, True), said.err
    assert (tmp_path / "charter.murmur").read_bytes() == before


def test_accept_needs_every_founder(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """Three of four are the threshold later, but not at the founding; the missing one is named."""
    murmur(*create())
    for name in ("a", "b", "d"):
        murmur(*sign(name))
    said = murmur(*accept("a"))
    assert said.code == 6
    assert "3 of 4 organisations signed, missing: c" in said.err
    assert not (tmp_path / "a/data/charter").exists()


def test_accept_is_once(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """A second acceptance is a conflict and changes nothing."""
    murmur(*create())
    for name in founders:
        murmur(*sign(name))
    murmur(*accept("a"))
    before = tree(tmp_path)
    said = murmur(*accept("a"))
    assert (said.code, "charter_installed" in said.err) == (7, True)
    assert tree(tmp_path) == before


def test_a_stranger_cannot_accept(
    murmur: Murmur, founders: list[str], metrics: Path, plan: Path, tmp_path: Path
) -> None:
    """A node that the charter does not name is refused by policy."""
    (tmp_path / "e").mkdir()
    murmur(*init_arguments("e", plan))
    murmur(*create())
    for name in founders:
        murmur(*sign(name))
    said = murmur(*accept("e"))
    assert (said.code, "charter_of_others" in said.err) == (4, True)
    assert not (tmp_path / "e/data/charter").exists()


def test_accept_waits_for_no_running_node(murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path) -> None:
    """While a process owns the data folder, accept says who."""
    import fcntl

    murmur(*create())
    for name in founders:
        murmur(*sign(name))
    with (tmp_path / "a/data/lock").open("w") as lock:
        lock.write("4242\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = murmur(*accept("a"))
    assert (said.code, "4242" in said.err) == (7, True), said.err
    assert not (tmp_path / "a/data/charter").exists()


def test_no_bit_of_a_signed_charter_can_change(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path
) -> None:
    """Whatever byte is changed on the way, accept refuses (6) and installs nothing."""
    murmur(*create())
    for name in founders:
        murmur(*sign(name))
    good = (tmp_path / "charter.murmur").read_bytes()
    for at in range(0, len(good), max(1, len(good) // 60)):
        changed = bytearray(good)
        changed[at] ^= 0x01
        (tmp_path / "charter.murmur").write_bytes(changed)
        said = murmur(*accept("a"))
        assert said.code == 6, (at, said.err)
        assert not (tmp_path / "a/data/charter").exists()
    (tmp_path / "charter.murmur").write_bytes(good)
    assert murmur(*accept("a")).code == 0


def test_a_strangers_approval_in_the_file_is_refused(
    murmur: Murmur, founders: list[str], metrics: Path, plan: Path, tmp_path: Path
) -> None:
    """A good signature by a key the charter does not name refuses the file, for signers and acceptors."""
    murmur(*create())
    path = tmp_path / "charter.murmur"
    bundle = parse_bundle(path.read_bytes())
    stranger = SigningKey(bytes(range(32)))
    document: CharterDocument = bundle.document.with_approval(
        stranger.public_key, sign_charter(stranger, bundle.document.body)
    )
    path.write_bytes(type(bundle)(document, bundle.join_requests, bundle.definitions).encode())
    for name in founders:
        murmur(*sign(name))
    assert murmur(*accept("a")).code == 6


def test_an_interrupted_signature_leaves_the_old_file(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails before the rename leaves the charter as it was, and no temporary file."""
    murmur(*create())
    before = tree(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = murmur(*sign("a"))
    monkeypatch.undo()
    assert (said.code, "No space left on device" in said.err) == (1, True)
    assert tree(tmp_path) == before


def test_two_nodes_of_one_organisation_have_one_voice(
    murmur: Murmur, plan: Path, metrics: Path, tmp_path: Path
) -> None:
    """A shared governance key makes one organisation of two members; one signature is enough."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        key = {"governance_key": "a/governance.key", "organisation": "shop"}
        assert murmur(*init_arguments(name, plan, **key)).code == 0
    arguments = create(names=("a", "b"))
    at = arguments.index("--threshold")
    assert murmur(*arguments[:at], *arguments[at + 2 :]).code == 0
    assert murmur(*sign("a")).code == 0
    assert murmur(*accept("a")).code == 0
    assert murmur(*accept("b")).code == 0
    assert len(parse_bundle((tmp_path / "charter.murmur").read_bytes()).charter.organisations) == 1


def test_one_organisation_with_two_governance_keys_is_refused(
    murmur: Murmur, plan: Path, metrics: Path, tmp_path: Path
) -> None:
    """Two keys would be two voices for one organisation."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        murmur(*init_arguments(name, plan, organisation="shop"))
    assert read_key(tmp_path / "a/governance.key", "governance") != read_key(
        tmp_path / "b/governance.key", "governance"
    )
    said = murmur(*create(names=("a", "b")))
    assert (said.code, "two_governance_keys" in said.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["create", "sign", "accept"])
def test_a_killed_command_leaves_nothing_half_done(
    murmur: Murmur, founders: list[str], metrics: Path, tmp_path: Path, verb: str
) -> None:
    """Killed before any one of its disk operations: the old state or the new one, and the next try succeeds."""
    import os
    import subprocess
    import sys

    from tests.conftest import ROOT

    murmur(*create())
    for name in founders if verb == "accept" else ():
        murmur(*sign(name))
    if verb == "create":
        (tmp_path / "charter.murmur").unlink()
    line = {"create": create(), "sign": sign("a"), "accept": accept("a")}[verb]
    target = tmp_path / ("a/data/charter" if verb == "accept" else "charter.murmur")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def state() -> bytes | None:
        path = target / INSTALLED if verb == "accept" else target
        return path.read_bytes() if path.exists() else None

    before, seen = state(), set()
    for steps in range(200):
        command = [sys.executable, "-c", KILLED_AT, str(steps), *map(str, line)]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        code, after = ended.returncode, state()
        if after != before:
            assert parse_bundle(after or b"")
            seen.add(code)
            if code == 0:
                break
            if verb == "sign":
                target.write_bytes(before or b"")
            elif verb == "accept":
                (target / INSTALLED).unlink()
                target.rmdir()
            else:
                target.unlink()
        else:
            assert code == 99, (steps, ended.stderr)
            assert not target.is_dir() or any(target.iterdir()), "an empty folder is half a charter"
    assert 0 in seen
