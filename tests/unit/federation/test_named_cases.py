"""Attacks that specs/threat-model.md names, on one node's end of the mesh: cases 1, 2, 3, 5 and 16."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from time import process_time

import pytest

from federation.core import Failed
from federation.effects import SendRequest, StoreCharter, StoreDefinition, StoreEntries, StoreEvidence
from federation.errors import PeerError
from federation.evidence import make_evidence, parse_evidence, verify_evidence
from protocol import canonical, ops
from protocol.attestation import parse_attest
from protocol.bundle import parse_bundle
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document, sign_charter, verify_founding
from protocol.entries import ABSTAIN, MAX_ENTRY_BYTES, Entry, build_entry, parse_entry, parse_header, verify_entry
from protocol.errors import ProtocolError
from protocol.identity import parse_inception
from protocol.ids import FederationId
from protocol.join_request import parse_join_request
from protocol.kind_data import AbstainData, parse_abstain, parse_approve, parse_rotate
from protocol.objects import CHARTER, ENTRY, REQUEST, object_id, parse_object
from protocol.requests import (
    HEADS,
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    PUSH,
    REFUSAL,
    parse_request,
    parse_response,
    sign_request,
)
from protocol.summaries import parse_summary
from protocol.suspension import parse_suspension
from tests.conftest import ROOT
from tests.simulation.author import Author, day
from tests.simulation.founding import found
from tests.unit.federation.test_gate import NOW_MS, Bench
from tests.unit.protocol import samples

STORED = (StoreEntries, StoreCharter, StoreDefinition, StoreEvidence)


@pytest.fixture
def bench() -> Bench:
    return Bench(found(3))


def flips(good: bytes) -> list[bytes]:
    """The bytes with each one changed once."""
    return [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(len(good))]


def pushed(bench: Bench, *entries: bytes) -> bytes:
    """A signed push of the peer."""
    return sign_request(bench.peer.key, bench.request(PUSH, ops.PushRequest(entries).encode()))


def log_of(bench: Bench) -> list[bytes]:
    author = Author(bench.founding, bench.peer)
    author.born()
    author.abstain(bench.founding.named("calls"), day(0))
    return [parsed.entry.encode() for parsed in author.entries]


# ── case 1: every byte changed once ─────────────────────────────────────────────────────────────────────────────


def test_case_1_a_request_with_any_byte_changed_is_a_strangers(bench: Bench) -> None:
    """The constant refusal, nothing stored, no head moved; the true request is taken afterwards."""
    request = pushed(bench, *log_of(bench))
    before = bench.core.logs.digest
    for wrong in flips(request):
        effects = bench.core.receive(wrong, NOW_MS, bench.rng)
        assert Bench.reply(effects).body == REFUSAL
        assert not any(isinstance(effect, STORED) for effect in effects)
    assert bench.core.logs.digest == before
    taken = parse_response(Bench.reply(bench.core.receive(request, NOW_MS, bench.rng)).body).response
    assert [verdict.verdict for verdict in ops.parse_push_reply(taken.payload).verdicts] == ["ok", "ok"]


def test_case_1_an_answer_with_any_byte_changed_is_a_failure(bench: Bench) -> None:
    """Nothing of it is stored, no head moves, and the peer is asked again later."""
    other = bench.asker
    before = bench.core.logs.digest
    now_ms = NOW_MS
    sent = [item for item in bench.core.start(now_ms, bench.rng) if isinstance(item, SendRequest)]
    first = next(item for item in sent if item.peer == bench.peer.node)
    good = Bench.reply(other.receive(first.body, now_ms, bench.rng)).body
    assert parse_response(good).response.status == "ok"
    ask: SendRequest | None = first
    for place in range(len(good)):
        if ask is None:  # after a failure the peer is left alone for a while
            now_ms += 600_000
            found_ = bench.core.tick(now_ms, bench.rng)
            ask = next((i for i in found_ if isinstance(i, SendRequest) and i.peer == bench.peer.node), None)
            assert ask is not None, "the peer is asked no more"
        answer = Bench.reply(other.receive(ask.body, now_ms, bench.rng)).body
        wrong = answer[:place] + bytes([answer[place] ^ 0x20]) + answer[place + 1 :] if place < len(answer) else b""
        effects = bench.core.on_response(ask.token, wrong, now_ms, bench.rng)
        assert not any(isinstance(effect, STORED) for effect in effects)
        ask = next((i for i in effects if isinstance(i, SendRequest) and i.peer == bench.peer.node), None)
    assert bench.core.logs.digest == before


def test_case_1_an_entry_with_any_byte_changed_is_never_stored(bench: Bench) -> None:
    """A member carries it, with a good envelope: refused with a code of the closed list; then the true ones are."""
    born, said = log_of(bench)
    assert bench.reply(bench.core.receive(pushed(bench, born), NOW_MS, bench.rng))
    before = bench.core.logs.digest
    codes = set()
    for wrong in flips(said):
        effects = bench.core.receive(pushed(bench, wrong), NOW_MS, bench.rng)
        assert not any(isinstance(effect, STORED) for effect in effects)
        (verdict,) = ops.parse_push_reply(parse_response(Bench.reply(effects).body).response.payload).verdicts
        assert verdict.verdict in ("refused", "behind")
        codes.add(verdict.code)
    assert {"bad-signature", "parts-mismatch", "not-canonical"} <= codes
    assert bench.core.logs.digest == before
    effects = bench.core.receive(pushed(bench, said), NOW_MS, bench.rng)
    assert any(isinstance(effect, StoreEntries) for effect in effects)


def test_case_1_a_charter_with_any_byte_changed_founds_nothing() -> None:
    """Body or approval: refused by name."""
    good = samples.bundle(*samples.NAMES).document.encode()
    verify_founding(parse_charter_document(good))
    for wrong in flips(good)[::5]:  # each byte of charters: tests/property/test_protocol_parsers.py
        with pytest.raises(ProtocolError):
            verify_founding(parse_charter_document(wrong))


# ── case 2: replays ─────────────────────────────────────────────────────────────────────────────────────────────


def test_case_2_a_request_repeated_anywhere_is_no_request(bench: Bench) -> None:
    """To the same node, at once, later and much later; to another node; by another op; each changes nothing."""
    message = pushed(bench, *log_of(bench))
    first = bench.core.receive(message, NOW_MS, bench.rng)
    assert any(isinstance(effect, StoreEntries) for effect in first)
    digest = bench.core.logs.digest
    for later_ms, status in (
        (0, "replayed"),
        (599_000, "replayed"),
        (601_000, "clock-skew"),
        (90_000_000, "clock-skew"),
    ):
        effects = bench.core.receive(message, NOW_MS + later_ms, bench.rng)
        assert parse_response(Bench.reply(effects).body).response.status == status
        assert not any(isinstance(effect, STORED) for effect in effects)
    assert bench.core.logs.digest == digest

    third = bench._core(bench.third, bench.disk, None)
    elsewhere = third.receive(message, NOW_MS, bench.rng)
    assert parse_response(Bench.reply(elsewhere).body).response.status == "failed"
    assert not any(isinstance(effect, STORED) for effect in elsewhere)

    request = parse_request(message)
    renamed = canonical.decode(request.signed.body)
    assert isinstance(renamed, list)
    renamed[5] = "heads"  # the op is signed; the one in the path decides nothing
    forged = replace(request.signed, body=canonical.encode(renamed)).encode()
    assert Bench.reply(bench.core.receive(forged, NOW_MS, bench.rng)).body == REFUSAL


def test_case_2_an_answer_to_another_question_is_not_taken(bench: Bench) -> None:
    """A true, signed answer of the same peer, to a question asked before."""
    sent = [item for item in bench.core.start(NOW_MS, bench.rng) if isinstance(item, SendRequest)]
    asked = next(item for item in sent if item.peer == bench.peer.node)
    old = Bench.reply(bench.asker.receive(asked.body, NOW_MS, bench.rng)).body
    effects = bench.core.on_response(asked.token, Failed("it was lost"), NOW_MS, bench.rng)
    now_ms = NOW_MS + 600_000
    effects = bench.core.tick(now_ms, bench.rng)
    again = next(item for item in effects if isinstance(item, SendRequest) and item.peer == bench.peer.node)
    greeted = [peer.last_success_ms for peer in bench.core.peers() if peer.node == bench.peer.node]
    bench.core.on_response(again.token, old, now_ms, bench.rng)
    assert [peer.last_success_ms for peer in bench.core.peers() if peer.node == bench.peer.node] == greeted == [None]


# ── case 3: hostile encodings at every door ─────────────────────────────────────────────────────────────────────

DOORS: dict[str, Callable[[bytes], object]] = {
    "entry": parse_entry, "header": parse_header, "inception": parse_inception, "charter": parse_charter,
    "charter document": parse_charter_document, "join request": parse_join_request, "bundle": parse_bundle,
    "evidence": parse_evidence, "suspension": parse_suspension, "request": parse_request, "response": parse_response,
    "summary": lambda data: parse_summary(data, samples.TOOLS.node), "abstain": parse_abstain, "approve": parse_approve,
    "rotate": parse_rotate, "attest": parse_attest, "hello": ops.parse_hello, "heads": ops.parse_heads,
    "range": ops.parse_range_request, "range reply": ops.parse_range_reply, "push": ops.parse_push_request,
    "push reply": ops.parse_push_reply, "announce": ops.parse_announce, "docs": ops.parse_docs_request,
    "docs reply": ops.parse_docs_reply, "join": ops.parse_join_ask, "join reply": ops.parse_join_reply,
}  # fmt: skip
MIB = 1 << 20
BOMBS = {
    "nils": b"\xdd" + (MIB - 5).to_bytes(4, "big") + b"\xc0" * (MIB - 5),
    "empty maps": b"\xdd" + (MIB - 5).to_bytes(4, "big") + b"\x80" * (MIB - 5),
    "nested arrays": b"\x91" * (MIB - 1) + b"\xc0",
    "nested claims": (b"\xdd\x00\x0f\x00\x00" * (MIB // 5))[:MIB],
    "nested claims in an entry": b"\x94" + (b"\xdc\xff\xff" * (MIB // 3))[: MIB - 1],
    "a map of claims": (b"\xdf\x00\x0f\x00\x00" * (MIB // 5))[:MIB],
    "a claim of four gigabytes": b"\xc6\xff\xff\xff\xff" + bytes(MIB - 5),
    "an array of four billion": b"\xdd\xff\xff\xff\xff" + b"\xc0" * (MIB - 5),
    "signatures without end": b"\x94\xc4\x01\x00\xdd\x00\x0f\xff\x00" + b"\xc4\x00" * (MIB // 2 - 8),
}


def test_case_3_every_hostile_encoding_is_refused_by_name_at_every_door(bench: Bench) -> None:
    """The refused vectors, alone and as what a good thing holds; a refusal costs less than a millisecond."""
    hostile = [bytes.fromhex(one["hex"]) for one in json.loads(
        (ROOT / "specs/vectors/v1/encoding.json").read_text(encoding="utf-8"))["refused"] if "hex" in one]  # fmt: skip
    assert len(hostile) >= 20
    began = process_time()
    for data in hostile:
        for name, parse in DOORS.items():
            with pytest.raises(ProtocolError):
                parse(data)
            assert name
    assert process_time() - began < len(hostile) * len(DOORS) * 0.001, "a refusal costs more than a millisecond"
    for data in hostile:
        status = bench.status(bench.request(HEADS, data))
        assert status == "malformed"
        effects = bench.core.receive(pushed(bench, data or b"\xc1"), NOW_MS, bench.rng)
        (verdict,) = ops.parse_push_reply(parse_response(Bench.reply(effects).body).response.payload).verdicts
        assert verdict.verdict == "refused"


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_case_3_a_mebibyte_of_claims_costs_little_memory(bomb: bytes) -> None:
    """Each door refuses it, and never holds more than eight MiB beside it."""
    for name, parse in DOORS.items():
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError):
                parse(bomb)
            assert tracemalloc.get_traced_memory()[1] < 8 * MIB, name
        finally:
            tracemalloc.stop()


# ── case 5: a signature of one thing shown as another's ─────────────────────────────────────────────────────────


def test_case_5_no_signature_is_good_for_another_kind_of_thing() -> None:
    """One key signs the same bytes as entry, request and charter: three signatures, none of them exchangeable."""
    founding = found(3)
    author = Author(founding, founding.members[0])
    author.born()
    entry = author.abstain(founding.named("calls"), day(0))
    key, who = founding.members[0].key, founding.members[0].node
    approval = sign_charter(key, entry.entry.header, founding.federation)
    with pytest.raises(ProtocolError):  # an approval as the signature of a log entry
        verify_entry(entry.header, replace(entry.entry, signatures=(approval,)), (key.public_key,))
    document = CharterDocument(founding.document.body).with_approval(key.public_key, entry.entry.signatures[0])
    with pytest.raises(ProtocolError):  # an entry's signature as an approval of a charter
        verify_founding(document)
    envelope = Bench(founding).request()
    message = sign_request(key, replace(envelope, sender=who))
    with pytest.raises(ProtocolError):  # a transport envelope as a stored object
        parse_object(message, CHARTER)
    with pytest.raises(ProtocolError):
        parse_entry(message)
    ids = {object_id(type_, entry.entry.header) for type_ in (ENTRY, REQUEST, CHARTER)}
    assert len(ids) == 3


def test_case_5_half_an_evidence_from_another_federation_proves_nothing() -> None:
    """The same keys signed at one position in two federations: that is no double signature."""
    founding = found(3)
    who = founding.members[0]
    halves: list[Entry] = []
    for federation in (founding.federation, FederationId(bytes(31) + b"\x01")):
        data = AbstainData(founding.named("calls"), day(len(halves)), "paused").encode()
        halves.append(build_entry(
            who.key, federation=federation, author=who.node, generation=0, seq=1, prev=federation, charter_version=1,
            at=1, kind=ABSTAIN, data=data,
        ))  # fmt: skip
    evidence = make_evidence(*halves)
    for federation in (founding.federation, FederationId(bytes(31) + b"\x01")):
        with pytest.raises(PeerError):
            verify_evidence(parse_evidence(evidence.encode()), federation, who.node, (who.key.public_key,))


# ── case 16: floods ─────────────────────────────────────────────────────────────────────────────────────────────


def test_case_16_entries_far_ahead_wait_in_bounded_number(bench: Bench) -> None:
    """A member pushes six hundred good entries whose log begins elsewhere: 64 wait, and nothing is stored."""
    author = Author(bench.founding, bench.peer)
    author.born()
    calls = bench.founding.named("calls")
    ahead = [author.abstain(calls, day(number % 300)).entry.encode() for number in range(600)]
    bench.core.logs.learn_inception(bench.peer.inception, bench.peer.node)
    for start in range(0, len(ahead), 100):
        effects = bench.core.receive(pushed(bench, *ahead[start + 1 : start + 100]), NOW_MS, bench.rng)
        assert not any(isinstance(effect, STORED) for effect in effects)
    assert sum(len(peer.early) for peer in bench.core._peers.values()) == bench.core.settings.early_per_peer == 64


def test_case_16_strangers_nonces_are_not_remembered(bench: Bench) -> None:
    """Forged requests under a member's name leave no trace in the memory of nonces; the member is heard as before."""
    forged = bench.founding.members[2].key
    for _ in range(500):
        assert bench.ask(bench.request(), forged).body == REFUSAL
    peer = bench.core._peers[bench.peer.node]
    assert len(peer.nonces) == 0
    assert bench.status(bench.request()) == "ok"
    assert len(peer.nonces) == 1


def test_case_16_what_is_too_large_is_refused_before_it_is_read(bench: Bench) -> None:
    """One byte above each limit, in the message, its payload and an entry."""
    assert Bench.reply(bench.core.receive(bytes(MAX_MESSAGE_BYTES + 1), NOW_MS, bench.rng)).body == REFUSAL
    with pytest.raises(ProtocolError):
        sign_request(bench.peer.key, bench.request(PUSH, bytes(MAX_PAYLOAD_BYTES + 1)))
    with pytest.raises(ProtocolError):
        parse_entry(bytes(MAX_ENTRY_BYTES + 1))
