"""A second implementation, in plain JavaScript and from specs/ alone, agrees with every golden vector."""

from __future__ import annotations

import json
import re
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from federation.answer_proofs import verify_answer_proof
from federation.proofs import ProofRefused, verify_proof
from node.http.kept_answers import KeptAnswers
from protocol.canonical import decode, encode
from tests.interop.mutants import mutant
from tests.unit.node.test_answer_vectors import FILES, commons_of

HERE = Path(__file__).parent
VERIFIER = HERE / "verifier" / "run.mjs"
VECTORS = Path(__file__).parents[2] / "specs" / "vectors" / "v1"
LISTS = ("accepted", "refused", "refused_by_the_key_rule", "order", "cases", "signatures_refused")
LIMIT_S = 120
SINGLE = {"ids.json": ("key_digest", "head_tag", "heads_digest"), "requests.json": ("ops", "statuses", "refusal")}

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")


@dataclass(frozen=True)
class Done:
    """What a run said, as a process of its own would."""

    returncode: int
    stdout: str
    stderr: str


Verify = Callable[..., Done]


@pytest.fixture(scope="module")
def verify() -> Iterator[Verify]:
    """One process for all runs of this file."""
    process = subprocess.Popen(
        ["node", VERIFIER, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(*arguments: Path | str) -> Done:
        stdin.write(json.dumps([str(one) for one in arguments]) + "\n")
        stdin.flush()
        assert select.select([stdout], [], [], LIMIT_S)[0], f"no word within {LIMIT_S} s"
        said = json.loads(stdout.readline())
        return Done(0 if said["isGood"] else 1, "".join(f"{line}\n" for line in said["lines"]), said["error"])

    try:
        yield ask
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def everything() -> subprocess.CompletedProcess[str]:
    """The program as a person runs it, over all vectors."""
    return subprocess.run(["node", VERIFIER], capture_output=True, text=True, timeout=LIMIT_S)


def cases_of(vectors: dict[str, Any]) -> int:
    """Cases in the lists of a file, however deep."""
    inside = [cases_of(value) for value in vectors.values() if isinstance(value, dict)]
    return sum(inside) + sum(len(vectors.get(name, [])) for name in LISTS)


@pytest.mark.requirement("M-ID-6")
def test_every_case_of_every_file_is_checked_and_agrees(everything: subprocess.CompletedProcess[str]) -> None:
    """One line a file, its number of cases counted here again, and not one disagreement."""
    done = everything
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if " cases, " in line]
    expected = []
    for file in sorted(VECTORS.glob("*.json")):
        cases = cases_of(json.loads(file.read_text())) + len(SINGLE.get(file.name, ()))
        expected.append(f"{file.name} {cases} cases, {cases} agree")
    assert expected
    assert said == expected


FLIPS = [
    ("cells.json", ("accepted", 2, "hex"), "accepted / 2: the cells"),
    ("cells.json", ("accepted", 2, "cells_hash"), "accepted / 2: the hash"),
    ("charter.json", ("body", "accepted", 0, "hash"), "body / founding: the hash"),
    ("charter.json", ("founding", "accepted", 0, "document"), "founding / both signed: bad-signature"),
    ("charter.json", ("bundle", "accepted", 0, "bundle"), "bundle / signed by both: malformed"),
    ("charters_later.json", ("chain", "accepted", 1, "documents", 1), "chain / renewal: bad-signature"),
    ("charters_later.json", ("order", 1, "trusted"), "order / the later attempt: the trusted charter"),
    ("charters_later.json", ("suspension", "accepted", 0, "document"), "suspension / by one key, as the charter"),
    ("encoding.json", ("accepted", 7, "hex"), "accepted / 7: the value read"),
    ("entries.json", ("accepted", 2, "wire"), "accepted / abstain: not-canonical"),
    ("entries.json", ("accepted", 1, "wire"), "accepted / summary: parts-mismatch"),
    ("entries.json", ("summary_data", "accepted", 0, "vector"), "summary_data: accepted / two blocks: the cells"),
    ("identity.json", ("inception", "accepted", 0, "wire"), "inception / hare: bad-signature"),
    ("ids.json", ("accepted", 2, "body"), "accepted / entry id: the id"),
    ("ids.json", ("heads_digest", "digest"), "heads_digest: the digest"),
    ("keyed.json", ("accepted", 0, "vector"), "keyed: accepted / five keys: the cells"),
    ("keys.json", ("accepted", 2, "seed"), "accepted / hare's signing key: the key of its seed"),
    ("requests.json", ("request", "accepted", 0, "wire"), "request / push: bad-signature"),
    ("requests.json", ("refusal",), "refusal: the refusal"),
    ("signatures.json", ("accepted", 3, "signature"), "accepted / made by hand: R = rB, S = r + ha: bad-signature"),
]


@pytest.mark.parametrize(("file", "path", "named"), FLIPS, ids=[f"{file} {path}" for file, path, _ in FLIPS])
def test_one_changed_byte_is_named(
    file: str, path: tuple[str | int, ...], named: str, tmp_path: Path, verify: Verify
) -> None:
    """The last byte of one value is another: the verifier fails, and says where and why."""
    vectors = json.loads((VECTORS / file).read_text())
    holder = vectors
    for step in path[:-1]:
        holder = holder[step]
    text = holder[path[-1]]
    holder[path[-1]] = text[:-2] + f"{int(text[-2:], 16) ^ 1:02x}"
    (tmp_path / file).write_text(json.dumps(vectors))
    done = verify(tmp_path)
    assert done.returncode == 1
    assert f"DISAGREES {file}: {named}" in done.stdout


@pytest.mark.parametrize(
    ("file", "taken", "given"),
    [
        ("keys.json", ("refused", 0, "key"), ("accepted", 0, "key")),
        ("signatures.json", ("refused", 0, "message"), ("accepted", 3, "message")),
        ("encoding.json", ("refused", 3, "hex"), ("accepted", 5, "hex")),
        ("charters_later.json", ("chain", "refused", 1, "documents"), ("chain", "accepted", 1, "documents")),
    ],
)
def test_a_good_value_among_the_refused_is_named(
    file: str, taken: tuple[str | int, ...], given: tuple[str | int, ...], tmp_path: Path, verify: Verify
) -> None:
    """A verifier that refused everything would agree with every refused case; this one does not."""
    vectors = json.loads((VECTORS / file).read_text())
    good = vectors
    for step in given:
        good = good[step]
    holder = vectors
    for step in taken[:-1]:
        holder = holder[step]
    holder[taken[-1]] = good
    (tmp_path / file).write_text(json.dumps(vectors))
    done = verify(tmp_path)
    assert done.returncode == 1
    assert f"{holder['name']}: expected a refusal" in done.stdout


def test_another_code_is_named(tmp_path: Path, verify: Verify) -> None:
    """The code of a refusal is part of the agreement."""
    vectors = json.loads((VECTORS / "encoding.json").read_text())
    vectors["refused"][0]["code"] = "too-large"
    (tmp_path / "encoding.json").write_text(json.dumps(vectors))
    done = verify(tmp_path)
    assert done.returncode == 1
    assert "DISAGREES encoding.json: refused / no bytes: the code" in done.stdout


def test_files_and_sections_without_a_check_are_named(tmp_path: Path, verify: Verify) -> None:
    """What nobody looks at never counts as agreement; nor does a folder without vectors."""
    (tmp_path / "later.json").write_text('{"about": "", "accepted": []}')
    (tmp_path / "cells.json").write_text('{"about": "", "accepted": [], "refused": [], "rounded": []}')
    done = verify(tmp_path)
    assert done.returncode == 1
    assert "later.json: (file): malformed" in done.stdout
    assert "cells.json: rounded: malformed" in done.stdout
    (tmp_path / "none").mkdir()
    assert verify(tmp_path / "none").returncode == 1
    code = subprocess.run(["node", VERIFIER, tmp_path], capture_output=True, timeout=LIMIT_S).returncode
    assert code == 1  # of the program itself


@pytest.mark.requirement("M-KEY-3")
def test_nodes_own_verifier_is_laxer_than_the_specification(everything: subprocess.CompletedProcess[str]) -> None:
    """It imports any 32 bytes as a key, takes the identity as key and as R, and knows nothing of mixed orders."""
    lines = [line.split(" (")[0] for line in everything.stdout.splitlines() if line.startswith("Node alone")]
    assert lines == [
        "Node alone takes 56 of 59: keys.json refused",
        "Node alone takes 2 of 76: signatures.json refused",
        "Node alone takes 7 of 7: signatures.json refused_by_the_key_rule",
    ]


def test_noise_is_drawn_alike(verify: Verify) -> None:
    """Thresholds and samples from privacy.md 3 alone; what it does not say in bytes is counted apart."""
    done = verify("--noise")
    assert done.returncode == 0, done.stdout + done.stderr
    unspecified = {"choice.json": 9, "exact.json": 12, "gaussian.json": 3, "laplace.json": 3, "refused.json": 9}
    expected = []
    for file in sorted((VECTORS.parent / "noise").glob("*.json")):
        left = unspecified.get(file.name, 0)
        cases = len(json.loads(file.read_text())) - left
        expected.append(f"{file.name} {cases} cases, {cases} agree, {left} not specified in bytes")
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize(
    ("file", "field"), [("gaussian.json", "key"), ("geometric.json", "sha256"), ("thresholds.json", "sha256")]
)
def test_other_noise_is_named(file: str, field: str, tmp_path: Path, verify: Verify) -> None:
    """One digit of one case is another."""
    cases = json.loads((VECTORS.parent / "noise" / file).read_text())
    cases[1][field] = cases[1][field][:-1] + f"{int(cases[1][field][-1], 16) ^ 1:x}"
    (tmp_path / file).write_text(json.dumps(cases))
    done = verify("--noise", tmp_path)
    assert done.returncode == 1
    assert f"DISAGREES {file}: 1: " in done.stdout


FEDERATION = "9bdffeab26714468a4195cb781fadb83f9e1ed3ce8e93b07f8a99cae42561add"
FEDERATIONS = {
    "journey": FEDERATION,
    "mean": FEDERATION,
    "rotated": "987b22aa3ebb25feb60689e29027046d9271a8357e79e10efb1301272bdabc6f",
    "score": FEDERATION,
}
BUNDLES = sorted((HERE / "proofs").glob("*.murmur-proof"))


@pytest.mark.parametrize("bundle", BUNDLES, ids=[bundle.stem for bundle in BUNDLES])
def test_a_proof_bundle_is_verified(bundle: Path, verify: Verify) -> None:
    """A real node's bundle holds, under the federation id from elsewhere, and under no other."""
    federation = FEDERATIONS[bundle.stem]
    done = verify("--bundle", bundle, federation)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"federation  {federation}\n" in done.stdout
    other = verify("--bundle", bundle, federation[::-1])
    assert other.returncode == 1
    assert "REFUSED malformed: federation" in other.stdout


def test_a_changed_proof_bundle_is_refused(tmp_path: Path, verify: Verify) -> None:
    """Whichever byte is another, no refusal is a crash."""
    whole = BUNDLES[0].read_bytes()
    changed = tmp_path / "changed"
    for at in range(0, len(whole), len(whole) // 12):
        changed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = verify("--bundle", changed)
        assert (done.returncode, done.stdout[:8], done.stderr) == (1, "REFUSED ", ""), at


def bundles_of_answers() -> tuple[str, list[bytes]]:
    vectors = json.loads((VECTORS / "answer_proofs.json").read_text())
    return vectors["federation"], [bytes.fromhex(one["bundle"]) for one in vectors["accepted"]]


def test_a_bundle_of_an_answer_is_verified(tmp_path: Path, verify: Verify) -> None:
    """The answer is computed anew from its entries; under another federation id it is refused."""
    federation, bundles = bundles_of_answers()
    for bundle in bundles[:2]:
        (tmp_path / "answer").write_bytes(bundle)
        done = verify("--bundle", tmp_path / "answer", federation)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"federation  {federation}, charter version 1\n" in done.stdout
        other = verify("--bundle", tmp_path / "answer", federation[::-1])
        assert "REFUSED malformed: federation id: another id" in other.stdout


@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_bundle_that_our_node_makes_is_verified(tmp_path: Path, verify: Verify, place: int) -> None:
    """Asked as anybody asks it, of the federation of `answers.json`."""
    plain = [case for case in FILES["answers"]["accepted"] if not case["parameters"].keys() & {"badges", "compare"}]
    case = plain[place]
    commons = commons_of("answers", case["chain"])
    identity, bundle = KeptAnswers(commons).proof(case["metric"], case["parameters"])
    (tmp_path / "answer").write_bytes(bundle)
    done = verify("--bundle", tmp_path / "answer", commons.federation().id.hex())
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"answer      {identity}\n" in done.stdout


@pytest.mark.parametrize("count", [120, pytest.param(6_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_both_say_the_same_of_bundles_with_something_wrong(tmp_path: Path, verify: Verify, count: int) -> None:
    """Verified or refused alike, and at the same part; no file ends either of them otherwise.

    But for what only a definition's text breaks: the second one leaves out rules of it that no summary can contradict.
    """
    random = Random(count)
    files = [json.loads((VECTORS / name).read_text()) for name in ("proofs.json", "answer_proofs.json")]
    bundles = [[bytes.fromhex(case["bundle"]) for case in file["accepted"]] for file in files]
    said: Counter[str] = Counter()
    for number in range(count):
        kind = random.randrange(2)
        found = mutant(random.choice(bundles[kind]), random.choice(bundles[kind]), random)
        if found is None:
            continue
        (tmp_path / "bundle").write_bytes(found)
        federation = files[kind]["federation"]
        check = (verify_proof, verify_answer_proof)[kind]
        try:
            check(found, bytes.fromhex(federation))
            ours = "verified"
        except ProofRefused as error:
            ours = error.part
        done = verify("--bundle", tmp_path / "bundle", federation)
        assert done.stderr == "", number
        theirs = "verified" if done.returncode == 0 else done.stdout.split(": ")[1]
        assert ours == theirs or ours == "definition", f"{number}: {ours}, {theirs}"
        said[ours] += 1
    assert len(said) > 8
    assert said["verified"] > 0


@pytest.mark.parametrize("step", [251, pytest.param(7, marks=pytest.mark.slow)])
def test_a_changed_bundle_of_an_answer_is_refused(tmp_path: Path, verify: Verify, step: int) -> None:
    """Whichever byte is another, no refusal is a crash; the last two parts are the prover's word, and left out."""
    whole = bundles_of_answers()[1][1]
    words = sum(len(encode(part)) for part in decode(whole)[8:])
    for at in range(0, len(whole) - words, step):
        (tmp_path / "answer").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = verify("--bundle", tmp_path / "answer")
        assert (done.returncode, done.stdout[:8], done.stderr) == (1, "REFUSED ", ""), at


def test_the_verifiers_own_tests() -> None:
    """What no vector covers: reasons of judgement, key chains, which line stands, keys of small order."""
    own = sorted((HERE / "verifier").glob("*.test.mjs"))
    script = "".join(f"import {json.dumps(one.as_uri())};" for one in own)  # one process for all
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 40


def test_definitions_compile_to_the_same(tmp_path: Path, verify: Verify) -> None:
    """Cells, sensitivities, noise and price of each measure, from the text of metrics.md: as our own command says."""
    trees = json.loads((HERE / "definitions.json").read_text())
    files = []
    for tree in trees:
        files.append(tmp_path / f"{tree['metric']}.yaml")
        files[-1].write_text(json.dumps(tree))  # JSON is YAML
    ours = subprocess.run(
        [Path(sys.executable).with_name("murmur"), "metrics", "check", "--json", *files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ours.returncode == 0, ours.stderr
    names = ("name", "cells", "l1", "l2_squared", "mechanism", "sigma_squared", "quantum")
    expected = [
        {
            "metric": metric["metric"],
            "definition": metric["definition"],
            "rho": metric["rho"],
            "blocks": [[block[name] or 0 for name in names] for block in metric["blocks"]],
        }
        for metric in json.loads(ours.stdout)["metrics"]
    ]
    theirs = [json.loads(line) for line in verify("--definitions", HERE / "definitions.json").stdout.splitlines()]
    assert len(theirs) == len(trees)
    assert theirs == expected
