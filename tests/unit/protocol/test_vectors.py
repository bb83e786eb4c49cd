"""The golden vectors of wire major 1: what their program writes, and what this implementation says of every one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import canonical
from protocol.bundle import parse_bundle, verify_bundle
from protocol.cells import cells_hash, decode_cells, encode_cells
from protocol.charter import charter_hash, parse_charter
from protocol.charter_chain import chain_order, verify_chain
from protocol.charter_document import parse_charter_document, verify_founding
from protocol.entries import parse_entry, verify_entry
from protocol.errors import ProtocolError
from protocol.heads import Head, head_tag, heads_digest
from protocol.identity import parse_inception
from protocol.ids import CharterHash, EntryId, FederationId, NodeId
from protocol.join_request import parse_join_request
from protocol.key_chain import KeyState
from protocol.key_chain import verify_chain as verify_key_chain
from protocol.keys import SigningKey, check_public_key, key_digest, verify
from protocol.kind_data import parse_approve
from protocol.objects import ObjectType, object_id, signature_message
from protocol.requests import (
    OPS,
    REFUSAL,
    STATUSES,
    parse_request,
    parse_response,
    verify_request,
    verify_response,
)
from protocol.summaries import parse_summary, read_cells
from protocol.suspension import parse_suspension_document, verify_suspension
from protocol.token_data import parse_token_key
from specs.vectors.v1 import edwards as ed
from specs.vectors.v1 import generate

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "vectors" / "v1"
Case = dict[str, Any]  # JSON, whose shape the README gives


def load(name: str, *path: str) -> Any:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    for part in path:
        found = found[part]
    return found


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def cases(name: str, *path: str) -> pytest.MarkDecorator:
    found = load(name, *path)
    return pytest.mark.parametrize("case", found, ids=[str(case.get("name", n)) for n, case in enumerate(found)])


def refused(case: Case, act: Callable[[], object]) -> None:
    with pytest.raises(ProtocolError) as caught:
        act()
    assert caught.value.code == case["code"], str(caught.value)


def test_files_are_what_the_generator_writes() -> None:
    """Nobody edited one by hand, and no change of the code changed a byte."""
    assert generate.differences() == []


def test_check_finds_an_edited_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails on one changed character and on a missing file, and writes nothing."""
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.main(["--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    path = tmp_path / "keys.json"
    path.write_text(path.read_text().replace("bad-key", "bad-kex", 1))
    assert generate.differences() == ["keys.json"]


def untagged(value: Any) -> canonical.Value:
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if isinstance(value, dict):
        return raw(value["bin"]) if "bin" in value else {name: untagged(item) for name, item in value["map"]}
    return value  # type: ignore[no-any-return]


@pytest.mark.requirement("M-ENC-1", "M-ID-6")
@cases("encoding", "accepted")
def test_encoding_accepted(case: Case) -> None:
    """Both ways."""
    assert canonical.encode(untagged(case["value"])).hex() == case["hex"]
    assert canonical.decode(raw(case["hex"])) == untagged(case["value"])


@pytest.mark.requirement("M-ENC-1", "M-ENC-2", "M-ENC-5", "M-ID-6")
@cases("encoding", "refused")
def test_encoding_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: canonical.decode(raw(case["hex"])))


@cases("keys", "accepted")
def test_key_accepted(case: Case) -> None:
    """And a seed gives its key."""
    check_public_key(raw(case["key"]))
    if "seed" in case:
        assert SigningKey(raw(case["seed"])).public_key.hex() == case["key"]


@pytest.mark.requirement("M-KEY-1")
@cases("keys", "refused")
def test_key_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: check_public_key(raw(case["key"])))


def test_every_small_order_and_non_canonical_key_is_there() -> None:
    """8 points of small order, 40 second spellings, 7 mixed orders."""
    names = [case["name"].split(",")[0] for case in load("keys", "refused")]
    assert [names.count(name) for name in ("small order", "non-canonical", "mixed order")] == [8, 40, 7]
    assert len({case["key"] for case in load("keys", "refused")}) == len(names)


@cases("signatures", "accepted")
def test_signature_accepted(case: Case) -> None:
    """Verified, made again from its seed, and its message made again from its parts."""
    key, message, signature = raw(case["key"]), raw(case["message"]), raw(case["signature"])
    verify(key, message, signature)
    if "seed" in case:
        assert SigningKey(raw(case["seed"])).sign(message) == signature
    if "body" in case:
        parts = (raw(case["federation"]), raw(case["author"]), raw(case["body"]))
        assert signature_message(ObjectType(case["type"]), *parts) == message


@pytest.mark.requirement("M-KEY-2")
@cases("signatures", "refused")
def test_signature_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: verify(raw(case["key"]), raw(case["message"]), raw(case["signature"])))


@pytest.mark.requirement("M-KEY-1")
@cases("signatures", "refused_by_the_key_rule")
def test_signature_that_only_the_key_rule_refuses(case: Case) -> None:
    """The equation holds, so whoever checks signatures alone accepts it; the key is refused where it enters."""
    verify(raw(case["key"]), raw(case["message"]), raw(case["signature"]))
    refused(case, lambda: check_public_key(raw(case["key"])))


def key_change(case: Case) -> object:
    return verify_key_chain(
        raw(case["inception"]), [raw(case["bytes"])], FederationId(raw(load(IN_PLACE, "federation")))
    )


IN_PLACE = "keys_in_place"
PLACES: dict[str, Callable[[Case], object]] = {
    "inception root_key": lambda case: parse_inception(raw(case["bytes"])),
    "inception signing_key": lambda case: parse_inception(raw(case["bytes"])),
    "rotate signing_key": key_change,
    "recover signing_key": key_change,
    "join request governance_key": lambda case: parse_join_request(raw(case["bytes"])),
    "charter governance_key": lambda case: verify_founding(parse_charter_document(raw(case["bytes"]))),
    "charter root": lambda case: parse_charter(raw(case["bytes"])),
    "approve governance_key": lambda case: parse_approve(raw(case["bytes"])),
    "token_key keys": lambda case: parse_token_key(raw(case["bytes"])),
}


@cases(IN_PLACE, "refused")
def test_key_refused_where_it_stands(case: Case) -> None:
    """By its code, though every signature beside it holds without the rules about keys."""
    refused(case, lambda: PLACES[case["place"]](case))


def test_the_rule_about_keys_alone_refuses_them_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it libsodium still refuses small order, so only the mixed key's objects pass; all of them do."""
    for module in ("identity", "kind_data", "join_request", "charter", "token_data"):
        monkeypatch.setattr(f"protocol.{module}.check_public_key", lambda key: key)
    for case in load(IN_PLACE, "refused"):
        if "mixed order" in case["name"]:
            PLACES[case["place"]](case)


def follow(case: Case) -> KeyState:
    federation = FederationId(raw(load("key_chains", "federation")))
    return verify_key_chain(raw(case["inception"]), [*map(raw, case["links"])], federation, [*map(raw, case["roots"])])


@cases("key_chains", "accepted")
def test_key_chain_accepted(case: Case) -> None:
    """And leads to its keys."""
    keys = follow(case)
    assert list(keys.position) == case["position"]
    assert (keys.signing_key.hex(), keys.next_digest.hex()) == (case["signing_key"], case["next_digest"])


@cases("key_chains", "refused")
def test_key_chain_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: follow(case))


@cases(IN_PLACE, "signatures_refused")
def test_signature_by_a_small_key_refused(case: Case) -> None:
    """By its code, though S·B = R + k·A holds with an R of prime order: computed here in plain integers."""
    key, signature = int.from_bytes(raw(case["key"]), "little"), raw(case["signature"])
    y, sign = (key & ((1 << 255) - 1)) % ed.P, key >> 255
    point, nonce = ed.recover(y, sign) or ed.recover(y, 0), int.from_bytes(signature[:32], "little")
    start = ed.recover(nonce & ((1 << 255) - 1), nonce >> 255)
    assert point is not None
    assert start is not None
    challenge = ed.challenge(signature[:32], raw(case["key"]), raw(case["message"]))
    right = ed.add(start, ed.multiply(challenge, point))
    assert ed.multiply(int.from_bytes(signature[32:], "little"), ed.BASE) == right
    assert ed.multiply(ed.L, start) == ed.IDENTITY
    refused(case, lambda: verify(raw(case["key"]), raw(case["message"]), raw(case["signature"])))


@pytest.mark.requirement("M-ID-1")
@cases("ids", "accepted")
def test_id_accepted(case: Case) -> None:
    """Over type and body."""
    assert object_id(case["type"], raw(case["body"])).hex() == case["id"]


@cases("ids", "refused")
def test_id_refused(case: Case) -> None:
    """Another type, other bytes, or signatures hashed in."""
    assert object_id(case["type"], raw(case["body"])).hex() != case["id"]


@pytest.mark.requirement("M-KEY-4", "M-MSG-17")
def test_other_hashes() -> None:
    """Key digest, head tag, heads digest."""
    key, tag, heads = load("ids", "key_digest"), load("ids", "head_tag"), load("ids", "heads_digest")
    assert key_digest(raw(key["key"])).hex() == key["digest"]
    assert head_tag(raw(tag["nonce"]), EntryId(raw(tag["id"]))).hex() == tag["tag"]
    held = [
        Head(generation, seq, entry and EntryId(raw(entry)), frozen and tuple(frozen))
        for generation, seq, entry, frozen in heads["heads"]
    ]
    digest = heads_digest(heads["charter_version"], heads["attempt"], CharterHash(raw(heads["charter_hash"])), held)
    assert digest.hex() == heads["digest"]


@cases("identity", "inception", "accepted")
def test_inception_accepted(case: Case) -> None:
    """Every field."""
    record = parse_inception(raw(case["wire"]))
    for name in ("root_key", "signing_key", "next_digest", "nonce"):
        assert getattr(record, name).hex() == case[name]
    assert record.organisation == case["organisation"]
    assert record.node_id.hex() == case["node"]


@pytest.mark.requirement("M-ID-3", "M-ID-5", "M-KEY-5")
@cases("identity", "inception", "refused")
def test_inception_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: parse_inception(raw(case["wire"])))


@cases("identity", "join_request", "accepted")
def test_join_request_accepted(case: Case) -> None:
    """And it names its node and its organisation's key."""
    request = parse_join_request(raw(case["wire"]))
    assert request.record.node_id.hex() == case["node"]
    assert request.governance_key.hex() == case["governance_key"]


@cases("identity", "join_request", "refused")
def test_join_request_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: parse_join_request(raw(case["wire"])))


@cases("cells", "accepted")
def test_cells_accepted(case: Case) -> None:
    """Both ways, and their hash."""
    assert encode_cells(case["cells"]).hex() == case["hex"]
    assert decode_cells(raw(case["hex"]), len(case["cells"])) == tuple(case["cells"])
    assert cells_hash(raw(case["hex"])).hex() == case["cells_hash"]


@cases("cells", "refused")
def test_cells_refused(case: Case) -> None:
    """Any error of the family."""
    with pytest.raises(ProtocolError):
        decode_cells(raw(case["hex"]), case["count"])


def open_entry(case: Case) -> None:
    parsed = parse_entry(raw(case["wire"]))
    verify_entry(parsed.header, parsed.entry, [raw(key) for key in case["keys"]])


@pytest.mark.requirement("M-ENT-3", "M-ENT-4")
@cases("entries", "accepted")
def test_entry_accepted(case: Case) -> None:
    """Every field of the header, the id and the signatures."""
    open_entry(case)
    parsed = parse_entry(raw(case["wire"]))
    assert parsed.id.hex() == case["id"]
    for name, value in case["header"].items():
        found = getattr(parsed.header, name)
        assert (found.hex() if isinstance(found, bytes) else found) == value


@pytest.mark.requirement("M-ADM-3", "M-ENT-1", "M-ENT-2", "M-ENT-6", "M-ENT-7", "M-ENT-8")
@cases("entries", "refused")
def test_entry_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: open_entry(case))


@cases("entries", "summary_data", "accepted")
def test_summary_data_accepted(case: Case) -> None:
    """Release id and cells."""
    summary = parse_summary(raw(case["data"]), NodeId(raw(load("entries", "summary_data", "node"))))
    assert read_cells(summary, raw(case["vector"])) == tuple(case["cells"])
    assert summary.release.hex() == case["release"]


@pytest.mark.requirement("M-ENT-10", "M-ENT-11")
@cases("entries", "summary_data", "refused")
def test_summary_data_refused(case: Case) -> None:
    """By its code."""
    node = NodeId(raw(load("entries", "summary_data", "node")))
    refused(case, lambda: parse_summary(raw(case["data"]), node))


@cases("keyed", "accepted")
def test_keyed_summary_accepted(case: Case) -> None:
    """Keys as text, release id and cells; the same bytes when written again."""
    summary = parse_summary(raw(case["data"]), NodeId(raw(load("keyed", "node"))))
    vector = None if case["vector"] is None else raw(case["vector"])
    assert read_cells(summary, vector) == tuple(case["cells"])
    assert (list(summary.keys or ()), summary.release.hex()) == (case["keys"], case["release"])
    assert summary.encode().hex() == case["data"]


@pytest.mark.requirement("M-ENT-12")
@cases("keyed", "refused")
def test_keyed_summary_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: parse_summary(raw(case["data"]), NodeId(raw(load("keyed", "node")))))


def open_request(case: Case) -> None:
    verify_request(parse_request(raw(case["wire"])), raw(case["key"]))


@cases("requests", "request", "accepted")
def test_request_accepted(case: Case) -> None:
    """Every field."""
    open_request(case)
    parsed = parse_request(raw(case["wire"]))
    request = parsed.request
    assert parsed.hash.hex() == case["hash"]
    assert (request.federation.hex(), request.sender.hex(), request.recipient.hex()) == (
        case["federation"],
        case["from"],
        case["to"],
    )
    assert (request.op, request.at_ms, request.nonce.hex()) == (case["op"], case["at_ms"], case["nonce"])
    assert (request.challenge and request.challenge.hex()) == case["challenge"]
    assert request.payload.hex() == case["payload"]


@pytest.mark.requirement("M-MSG-5", "M-ID-4")
@cases("requests", "request", "refused")
def test_request_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: open_request(case))


def open_response(case: Case) -> None:
    asked = parse_request(raw(load("requests", "request", "accepted")[0]["wire"]))
    verify_response(parse_response(raw(case["wire"])), raw(case["key"]), asked.request, asked.hash)


@cases("requests", "response", "accepted")
def test_response_accepted(case: Case) -> None:
    """To the first request."""
    open_response(case)
    response = parse_response(raw(case["wire"])).response
    assert (response.request_hash.hex(), response.status) == (case["request_hash"], case["status"])
    assert response.payload.hex() == case["payload"]


@pytest.mark.requirement("M-MSG-5", "M-MSG-6")
@cases("requests", "response", "refused")
def test_response_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: open_response(case))


def test_closed_lists() -> None:
    """Ops, statuses and the strangers' refusal."""
    found = load("requests")
    assert (found["ops"], found["statuses"], found["refusal"]) == (list(OPS), list(STATUSES), REFUSAL.hex())


@cases("charter", "body", "accepted")
def test_charter_body_accepted(case: Case) -> None:
    """Read, written again to the same bytes, and hashed."""
    body = raw(case["body"])
    assert parse_charter(body).encode() == body
    assert charter_hash(body).hex() == case["hash"]


@cases("charter", "body", "refused")
def test_charter_body_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: parse_charter(raw(case["body"])))


@cases("charter", "founding", "accepted")
def test_founding_accepted(case: Case) -> None:
    """And it gives the federation its id."""
    assert verify_founding(parse_charter_document(raw(case["document"])))[1].hex() == case["federation"]


@cases("charter", "founding", "refused")
def test_founding_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: verify_founding(parse_charter_document(raw(case["document"]))))


@cases("charters_later", "chain", "accepted")
def test_chain_accepted(case: Case) -> None:
    """And leads to its tip."""
    chain = verify_chain([parse_charter_document(raw(one)) for one in case["documents"]])
    assert (chain.tip.hash.hex(), chain.federation.hex()) == (case["tip"], case["federation"])


@pytest.mark.requirement("T-GOV-3", "M-MSG-21")
@cases("charters_later", "chain", "refused")
def test_chain_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: verify_chain([parse_charter_document(raw(one)) for one in case["documents"]]))


@pytest.mark.requirement("M-MSG-21")
@cases("charters_later", "order")
def test_order_of_chains(case: Case) -> None:
    """Every chain is good; one is trusted."""
    chains = [verify_chain([parse_charter_document(raw(one)) for one in chain]) for chain in case["chains"]]
    assert max(chains, key=chain_order).tip.hash.hex() == case["trusted"]


@cases("charters_later", "suspension", "accepted")
def test_suspension_accepted(case: Case) -> None:
    """Under the charter that stands beside it."""
    document = parse_suspension_document(raw(case["document"]))
    charter, federation = verify_founding(parse_charter_document(raw(load("charters_later", "suspension", "charter"))))
    verify_suspension(document, charter, CharterHash(federation), federation)
    assert document.hash.hex() == case["hash"]


@cases("charters_later", "suspension", "refused")
def test_suspension_refused(case: Case) -> None:
    """By its code."""
    charter, federation = verify_founding(parse_charter_document(raw(load("charters_later", "suspension", "charter"))))
    document = parse_suspension_document(raw(case["document"]))
    refused(case, lambda: verify_suspension(document, charter, CharterHash(federation), federation))


@cases("charter", "bundle", "accepted")
def test_bundle_accepted(case: Case) -> None:
    """Whole."""
    assert verify_bundle(parse_bundle(raw(case["bundle"])))[1].hex() == case["federation"]


@cases("charter", "bundle", "refused")
def test_bundle_refused(case: Case) -> None:
    """By its code."""
    refused(case, lambda: verify_bundle(parse_bundle(raw(case["bundle"]))))
