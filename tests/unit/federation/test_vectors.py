"""The golden vectors of judgement, played to the real logs in several orders (specs/vectors/v1/README.md)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from federation.admission import Admitted, Behind, Duplicate, Forked, Refused, Superseded
from federation.answer_proofs import verify_answer_proof
from federation.answers import canonical_json
from federation.batch import Batch
from federation.evidence_book import EvidenceBook
from federation.proofs import ProofRefused, verify_proof
from protocol.entries import parse_entry
from tests.unit.federation.replaying import Replay

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "vectors" / "v1"
Case = dict[str, Any]  # JSON, whose shape the README gives
raw = bytes.fromhex


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


FILES = {name: load(name) for name in ("judgement", "lines")}
ORDERS = {False: ("as written", "last first"), True: ("charters last", "last first")}  # by: several charters
CASES = [
    pytest.param(name, case, order, id=f"{name}: {case['name']}, {order}")
    for name in FILES
    for case in FILES[name]["cases"]
    for order in ORDERS[len(case["charters"]) > 1]
]


@pytest.mark.requirement(
    "M-ADM-1", "M-ADM-2", "M-ADM-8", "M-JUD-1", "M-JUD-2", "M-JUD-3", "M-JUD-4", "M-JUD-5", "M-JUD-6", "M-JUD-7",
    "M-JUD-8", "M-JUD-9", "M-JUD-10", "M-JUD-11", "M-LINE-1", "M-LINE-2", "M-LINE-3", "M-LINE-4", "M-LINE-7",
    "M-END-3", "T-LOG-5",
)  # fmt: skip
@pytest.mark.parametrize(("name", "case", "order"), CASES)
def test_every_entry_is_worth_what_the_vector_says(name: str, case: Case, order: str) -> None:
    """Whatever came first (M-ADM-1, M-LINE-7): entries in their order, the other way round, or charters last."""
    file = FILES[name]
    charters = [raw(file["charters"][one]) for one in case["charters"]]
    definitions = [raw(body) for one, body in file["definitions"].items() if one not in case.get("lacks", ())]
    entries = {label: raw(file["entries"][label]) for label in case["states"]}
    node = Replay(charters[:1] if order == "charters last" else charters, definitions)
    node.offer_all(list(entries.values())[:: -1 if order == "last first" else 1])
    if order == "charters last":
        node.follow(charters)
        node.offer_all(entries.values())  # what the old charter refused
    assert {label: node.state(entry) for label, entry in entries.items()} == case["states"]
    for author, (generation, seq, label, frozen_at) in case["heads"].items():
        log = node.logs.log(raw(file["nodes"][author]))
        assert log is not None
        head = log.head
        last = None if label is None else parse_entry(entries[label]).id
        expected = (generation, seq, last, None if frozen_at is None else tuple(frozen_at))
        assert (head.generation, head.seq, head.id, head.frozen_at) == expected


ADMISSION = load("admission")
DECISIONS = {
    Admitted: "extends", Forked: "beside", Duplicate: "have", Superseded: "superseded", Behind: "behind",
    Refused: "refused",
}  # fmt: skip


@pytest.mark.parametrize("case", ADMISSION["cases"], ids=[case["name"] for case in ADMISSION["cases"]])
def test_every_entry_is_admitted_or_refused_as_the_vector_says(case: Case) -> None:
    """With the code of a refusal, the head of what is behind; and what is no new entry changes no head."""
    node = Replay([raw(ADMISSION["charters"][one]) for one in case["charters"]], [])
    for label in case["known"]:
        assert isinstance(node.offer(raw(ADMISSION["entries"][label])), Admitted | Forked), label
    before = node.logs.digest
    decision = node.offer(raw(case["entry"]), is_asked=False)
    assert DECISIONS[type(decision)] == case["decision"], decision
    if isinstance(decision, Refused):
        assert decision.code == case["code"], decision.why
    elif isinstance(decision, Behind):
        assert (list(decision.head) if decision.head[1] >= 0 else None) == case["head"]
    if not isinstance(decision, Admitted | Forked):
        assert node.logs.digest == before


EVIDENCE = load("evidence")


@pytest.mark.parametrize("case", EVIDENCE["cases"], ids=[case["name"] for case in EVIDENCE["cases"]])
def test_evidence_is_believed_or_refused_as_the_vector_says(case: Case) -> None:
    """And what is refused is not kept (M-MSG-30)."""
    node = Replay([raw(EVIDENCE["charters"][one]) for one in case["charters"]], [])
    node.offer_all(raw(EVIDENCE["entries"][label]) for label in case["known"])
    book = EvidenceBook()
    logs = {author: log for author in node.logs.rules.authors if (log := node.logs.log(author)) is not None}
    verdict = book.offer(raw(case["evidence"]), logs, node.logs.rules.authors[0], Batch())
    assert (verdict.verdict, verdict.code) == (case["verdict"], case.get("code"))
    assert [kept.body for kept in book] == ([raw(case["evidence"])] if case["verdict"] == "ok" else [])


PROOFS = load("proofs")


@pytest.mark.parametrize("case", PROOFS["accepted"], ids=[case["name"] for case in PROOFS["accepted"]])
def test_a_good_bundle_proves_what_the_vector_says(case: Case) -> None:
    """Under the federation id from elsewhere."""
    proved = verify_proof(raw(case["bundle"]), raw(PROOFS["federation"]))
    summary = proved.summary
    assert {
        "name": case["name"],
        "bundle": case["bundle"],
        "node": proved.node,
        "charter_version": proved.charter_version,
        "metric": proved.metric,
        "window": summary.window,
        "release": summary.release.hex(),
        "keys": None if summary.keys is None else list(summary.keys),
        "cells": list(proved.cells),
        "charged": proved.charged,
        "cap": proved.cap,
        "others": proved.others,
    } == case


@pytest.mark.parametrize("case", PROOFS["refused"], ids=[case["name"] for case in PROOFS["refused"]])
def test_a_damaged_bundle_is_refused_at_the_part_the_vector_names(case: Case) -> None:
    """And by the rule, where judgement refuses it."""
    with pytest.raises(ProofRefused) as caught:
        verify_proof(raw(case["bundle"]), raw(PROOFS["federation"]))
    assert caught.value.part == case["part"], caught.value.why
    assert case.get("code", "") in caught.value.why


ANSWER_PROOFS = load("answer_proofs")


@pytest.mark.parametrize("case", ANSWER_PROOFS["accepted"], ids=[case["name"] for case in ANSWER_PROOFS["accepted"]])
def test_a_good_bundle_of_an_answer_proves_what_the_vector_says(case: Case) -> None:
    """Under the federation id from elsewhere; the answer is computed from the entries in it."""
    proved = verify_answer_proof(raw(case["bundle"]), raw(ANSWER_PROOFS["federation"]))
    assert proved.charter_version == case["charter_version"]
    assert proved.data["identity"] == case["identity"]
    assert hashlib.sha256(canonical_json(proved.data)).hexdigest() == case["sha256"]
    assert proved.releases <= case["speaking"]  # abstentions speak, too
    assert proved.others == case["others"]


@pytest.mark.parametrize("case", ANSWER_PROOFS["refused"], ids=[case["name"] for case in ANSWER_PROOFS["refused"]])
def test_a_damaged_bundle_of_an_answer_is_refused_at_the_part_the_vector_names(case: Case) -> None:
    """And by the rule, where judgement refuses it."""
    with pytest.raises(ProofRefused) as caught:
        verify_answer_proof(raw(case["bundle"]), raw(ANSWER_PROOFS["federation"]))
    assert caught.value.part == case["part"], caught.value.why
    assert case.get("code", "") in caught.value.why


def test_every_part_of_a_bundle_has_a_case() -> None:
    """Those that specs/proofs.md 2 and 4.5 name."""
    text = (FOLDER.parents[1] / "proofs.md").read_text(encoding="utf-8")
    parts = set(text[text.index("## 2.") : text.index("## 3.")].split("*")[1::2])
    assert parts == {case["part"] for case in PROOFS["refused"]}
    parts = set(text[text.index("4.5 ") : text.index("4.6 ")].split("*")[1::2])
    assert parts == {case["part"] for case in ANSWER_PROOFS["refused"]}


def test_every_code_of_admission_has_a_case() -> None:
    """Those that specs/mesh/judgement.md 8.2 names."""
    text = (FOLDER.parents[1] / "mesh" / "judgement.md").read_text(encoding="utf-8")
    named = text[text.index("**8.2 Admission**") : text.index("The next entry of the line")].split("`")[1::2]
    codes = {word for word in named if "-" in word} | {"malformed", "cut"}
    assert codes == {case["code"] for case in ADMISSION["cases"] if "code" in case} - {
        "parts-mismatch", "unknown-version",
    }  # fmt: skip


def test_every_reason_has_a_case() -> None:
    """No reason of specs/mesh/judgement.md 8.4 is without a vector."""
    found = {state for file in FILES.values() for case in file["cases"] for state in case["states"].values()}
    text = (FOLDER.parents[1] / "mesh" / "judgement.md").read_text(encoding="utf-8")
    [listed] = [line for line in text.splitlines() if line.startswith("The reasons, in all: ")]
    reasons = listed.split("`")[1::2]
    assert len(reasons) == 30
    assert {f"void: {reason}" for reason in reasons} <= found
    assert {"counted", "opaque", "waiting"} <= found
