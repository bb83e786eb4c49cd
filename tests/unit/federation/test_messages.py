"""What a node does for whom (specs/mesh.md 6): strangers, keys that were rotated out, candidates, and answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nacl import bindings

from federation.budget import Rate
from federation.core import Failed
from federation.effects import JoinAsked, SendRequest, StoreEntries
from federation.settings import Settings
from protocol.entries import ABSTAIN
from protocol.identity import create_inception, parse_inception
from protocol.ids import ZERO_FEDERATION, CharterHash
from protocol.join_request import JoinRequest, create_join_request
from protocol.kind_data import AbstainData
from protocol.ops import (
    Announce,
    DocsRequest,
    HeadMark,
    Heads,
    Hello,
    JoinAsk,
    PushReply,
    PushRequest,
    RangeRequest,
    parse_heads,
    parse_join_reply,
    parse_push_reply,
    parse_refusal,
)
from protocol.requests import (
    ANNOUNCE,
    DOCS,
    HEADS,
    HELLO,
    JOIN,
    PUSH,
    RANGE,
    REFUSAL,
    Request,
    parse_request,
    parse_response,
    sign_request,
    sign_response,
)
from tests.simulation.author import Author, day
from tests.simulation.founding import found, key_of
from tests.unit.federation.test_gate import NOW_MS, Bench, answer_to


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The key of every signature that is looked at."""
    seen: list[bytes] = []
    inner = bindings.crypto_sign_open

    def counted(signed: bytes, key: bytes) -> bytes:
        seen.append(key)
        return inner(signed, key)

    monkeypatch.setattr(bindings, "crypto_sign_open", counted)
    return seen


@pytest.fixture
def bench() -> Bench:
    return Bench(found(3))


def grown(bench: Bench, turns: int) -> Author:
    """The peer's log at `bench.me`, with an abstain behind every rotation."""
    author = Author(bench.founding, bench.peer)
    author.born()
    for number in range(turns):
        author.rotate()
        author.write(ABSTAIN, AbstainData(bench.founding.named("calls"), day(number), "paused").encode())
    entries = tuple(parsed.entry.encode() for parsed in author.entries)
    assert bench.status(bench.request(PUSH, PushRequest(entries).encode())) == "ok"
    return author


@pytest.mark.requirement("M-MSG-8", "T-STR-1")
def test_a_stranger_costs_one_verification(bench: Bench, verifications: list[bytes]) -> None:
    """Whatever it asks in whosever name; a hello with a member's record that is not here costs three."""
    thief = key_of("thief")
    asked = {
        HELLO: Hello(bench.peer.inception).encode(), HEADS: Heads(()).encode(), PUSH: PushRequest(()).encode(),
        RANGE: RangeRequest(bench.me.node, 0, 0).encode(), DOCS: DocsRequest(1).encode(),
        ANNOUNCE: Announce(()).encode(), JOIN: JoinAsk(b"\x01").encode(),
    }  # fmt: skip
    for op, payload in asked.items():
        verifications.clear()
        assert bench.ask(bench.request(op, payload), key=thief).body == REFUSAL
        assert len(verifications) <= 1, op
        verifications.clear()
        assert bench.ask(replace(bench.request(op, payload), sender=thief.public_key), key=thief).body == REFUSAL  # type: ignore[arg-type]
        assert len(verifications) == 0, op
    log = bench.core.logs.log(bench.peer.node)
    assert log is not None
    log.inception = None
    verifications.clear()
    assert bench.ask(bench.request(HELLO, asked[HELLO]), key=thief).body == REFUSAL
    assert len(verifications) <= 3


@pytest.mark.requirement("M-MSG-15")
def test_links_known_are_not_verified_again(bench: Bench, verifications: list[bytes]) -> None:
    """A member's chain, shown again by anybody, costs what any stranger's word costs."""
    author = grown(bench, 3)
    links = tuple(parsed.entry.encode() for parsed in author.entries if parsed.header.kind == "rotate")
    hello = Hello(bench.peer.inception, links, 0, len(links)).encode()
    verifications.clear()
    assert bench.ask(bench.request(HELLO, hello), key=key_of("thief")).body == REFUSAL
    assert len(verifications) == 1


@pytest.mark.requirement("M-MSG-16", "T-KEY-6")
def test_a_rotated_out_key_reads_and_says_nothing(bench: Bench) -> None:
    """It says hello with the chain it knows, reads, and is a stranger to every other operation."""
    author = grown(bench, 1)
    old, new = bench.peer.key, author._key(1)
    hello = Hello(bench.peer.inception).encode()
    assert bench.ask(bench.request(), key=old).body == REFUSAL  # not before its hello
    assert bench.ask(bench.request(HELLO, hello), key=key_of("thief")).body == REFUSAL
    assert bench.ask(bench.request(), key=old).body == REFUSAL  # nor after somebody else's
    assert bench.status(bench.request(HELLO, hello)) == "ok"
    for op, payload in (
        (HEADS, Heads(()).encode()),
        (RANGE, RangeRequest(bench.peer.node, 0, 0).encode()),
        (DOCS, DocsRequest(1).encode()),
    ):
        assert bench.status(bench.request(op, payload)) == "ok"
    digest = bench.core.logs.digest
    for op, payload in ((PUSH, PushRequest(()).encode()), (ANNOUNCE, Announce(()).encode())):
        assert bench.ask(bench.request(op, payload), key=old).body == REFUSAL
    assert bench.core.logs.digest == digest
    assert bench.ask(bench.request(), key=new).status == 200


@pytest.mark.requirement("M-MSG-13", "T-NET-2")
def test_every_operation_is_idempotent(bench: Bench) -> None:
    """Asked again under another nonce, each changes nothing."""
    author = Author(bench.founding, bench.peer)
    entries = (author.born(), author.abstain(bench.founding.named("calls"), day(0)))
    pushed = PushRequest(tuple(parsed.entry.encode() for parsed in entries)).encode()
    asked = [
        (PUSH, pushed),
        (HELLO, Hello(bench.peer.inception).encode()),
        (HEADS, Heads(()).encode()),
        (RANGE, RangeRequest(bench.peer.node, 0, 0).encode()),
        (ANNOUNCE, Announce(((bench.peer.node, 0, 1, entries[1].id),)).encode()),
        (DOCS, DocsRequest(1).encode()),
    ]
    for op, payload in asked:
        bench.ask(bench.request(op, payload))
        digest = bench.core.logs.digest
        effects = bench.core.receive(sign_request(bench.peer.key, bench.request(op, payload)), NOW_MS, bench.rng)
        assert not any(isinstance(effect, StoreEntries) for effect in effects), op
        assert bench.core.logs.digest == digest
    again = parse_push_reply(bench.answer(bench.request(PUSH, pushed)))
    assert [verdict.verdict for verdict in again.verdicts] == ["have", "have"]


class Candidate:
    """A node that no charter names, and what it sends."""

    def __init__(self, bench: Bench, name: str = "new") -> None:
        self.bench = bench
        self.key, root, following = key_of(name), key_of(name, "root"), key_of(name, "next")
        inception = create_inception(root, self.key, following.public_key, "neworg", bytes(16))
        self.node = parse_inception(inception).node_id
        request = JoinRequest(inception.encode(), name, "New Org", key_of(name, "governance").public_key)
        self.request = create_join_request(self.key, request).encode()

    def ask(self, **wrong: object) -> Request:
        fields: dict[str, object] = {
            "payload": JoinAsk(self.request).encode(),
            "sender": self.node,
            "charter_hash": CharterHash(self.bench.founding.federation),
            "heads_digest": bytes(32),
            **wrong,
        }
        return replace(self.bench.request(JOIN), **fields)  # type: ignore[arg-type]  # names of real fields


@pytest.mark.requirement("M-MSG-19", "T-STR-4")
def test_a_candidate_is_told_where_it_stands_and_nothing_follows(bench: Bench) -> None:
    """Whatever its clock and nonce; its request is remembered once, and no log moves."""
    candidate = Candidate(bench)
    digest = bench.core.logs.digest
    message = sign_request(candidate.key, candidate.ask(at_ms=0))
    first = bench.core.receive(message, NOW_MS, bench.rng)
    again = bench.core.receive(message, NOW_MS, bench.rng)
    assert [isinstance(effect, JoinAsked) for effect in first[:-1]] == [True]
    assert len(again) == 1
    for effects in (first, again):
        response = parse_response(Bench.reply(effects).body).response
        assert (response.status, response.recipient) == ("ok", candidate.node)
        assert parse_join_reply(response.payload).state == "pending"
    assert bench.core.logs.digest == digest


@pytest.mark.requirement("M-MSG-19", "T-STR-4")
def test_a_join_that_is_not_the_candidates_own_is_a_strangers(bench: Bench) -> None:
    """Another signer, another sender, another federation or addressee, a broken request."""
    candidate, other = Candidate(bench), Candidate(bench, "other")
    wrong = {
        "signed by another": (other.key, candidate.ask()),
        "another sender": (other.key, candidate.ask(sender=other.node)),
        "in another's name": (candidate.key, candidate.ask(sender=other.node)),
        "another federation": (candidate.key, candidate.ask(federation=ZERO_FEDERATION)),
        "another addressee": (candidate.key, candidate.ask(recipient=bench.third.node)),
        "no request": (candidate.key, candidate.ask(payload=JoinAsk(b"\x01").encode())),
    }
    for name, (key, request) in wrong.items():
        assert bench.ask(request, key=key).body == REFUSAL, name


@pytest.mark.requirement("M-MSG-19", "T-STR-4")
def test_candidates_are_bounded(bench: Bench) -> None:
    """Ten at once, then one a second; 64 are remembered, and the rest told `pending` all the same."""
    candidate = Candidate(bench)
    found_statuses = [bench.ask(candidate.ask(), key=candidate.key).status for _ in range(12)]
    assert found_statuses == [200] * 10 + [403] * 2
    assert bench.ask(candidate.ask(), key=candidate.key, now_ms=NOW_MS + 1000).status == 200
    assert bench.ask(candidate.ask(), key=candidate.key, now_ms=NOW_MS + 1000).status == 403
    for number in range(70):
        one = Candidate(bench, f"n{number}")
        reply = bench.ask(one.ask(), key=one.key, now_ms=NOW_MS + 2000 * (number + 2))
        assert parse_join_reply(parse_response(reply.body).response.payload).state == "pending"
    assert len(bench.core.joins.waiting) == 64


@pytest.mark.requirement("M-MSG-19")
def test_one_that_is_admitted_and_asks_too_often_is_told_to_wait(bench: Bench) -> None:
    """Its command goes on asking until it has the charter that admits it: `busy`, not a charter that differs."""
    wish = JoinRequest(bench.peer.inception, "node1", "Org 1", key_of("voice").public_key)
    own = create_join_request(Author(bench.founding, bench.peer).key, wish).encode()
    asked = replace(
        bench.request(JOIN, JoinAsk(own).encode()),
        charter_version=1, attempt=1, charter_hash=CharterHash(bench.founding.federation),
    )  # fmt: skip
    found_statuses = [bench.status(asked) for _ in range(11)]
    assert found_statuses == ["ok"] * 10 + ["busy"]
    refusal = bench.ask(replace(asked, nonce=bytes(range(16))))
    assert parse_refusal(parse_response(refusal.body).response.payload).retry_after_ms == 1000


def answered(bench: Bench, sent: SendRequest, payload: bytes) -> bytes:
    """The peer's signed answer with this payload, and other heads than ours."""
    return sign_response(bench.peer.key, replace(answer_to(bench, sent), payload=payload, heads_digest=bytes(32)))


def first_heads(bench: Bench) -> SendRequest:
    """The first `heads` that the core asks its peer, after the greeting."""
    effects = bench.core.start(NOW_MS, bench.rng)
    for _ in range(4):
        sent = [item for item in effects if isinstance(item, SendRequest) and item.peer == bench.peer.node]
        if sent and sent[0].op == HEADS:
            return sent[0]
        effects = bench.core.on_response(
            sent[0].token, answered(bench, sent[0], Hello(bench.peer.inception).encode()), NOW_MS, bench.rng
        )
    raise AssertionError("the core compares no heads")


EMPTY = HeadMark(0, -1)


@pytest.mark.requirement("M-MSG-20")
@pytest.mark.parametrize(
    "answer",
    [Heads((EMPTY,) * 2), Heads((EMPTY,) * 4), Heads((EMPTY,) * 3, full=True)],
    ids=["a mark too few", "a mark too many", "full without being asked"],
)
def test_a_vector_of_another_length_or_form_is_refused(bench: Bench, answer: Heads) -> None:
    """The answer is a failure of the peer, and nothing was compared."""
    sent = first_heads(bench)
    assert not parse_heads(parse_request(sent.body).request.payload).full
    bench.core.on_response(sent.token, answered(bench, sent, answer.encode()), NOW_MS, bench.rng)
    status = next(peer for peer in bench.core.peers() if peer.node == bench.peer.node)
    assert status.last_failure == "answer refused: malformed"
    assert bench.peer.node not in bench.core.compared_with


@pytest.mark.requirement("M-MSG-25")
def test_a_failing_peer_is_asked_again_for_ever(bench: Bench) -> None:
    """The pause grows to five minutes and no further, and one authentic word ends it."""
    now_ms, pauses = NOW_MS, []
    effects = bench.core.start(now_ms, bench.rng)
    for _ in range(16):
        for sent in [item for item in effects if isinstance(item, SendRequest)]:
            effects = bench.core.on_response(sent.token, Failed("nobody there"), now_ms, bench.rng)
        status = next(peer for peer in bench.core.peers() if peer.node == bench.peer.node)
        pauses.append(status.paused_until_ms - now_ms)
        now_ms = status.paused_until_ms
        effects = bench.core.tick(now_ms, bench.rng)
        assert any(isinstance(item, SendRequest) and item.peer == bench.peer.node for item in effects)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (500, 300_000)
    assert bench.ask(bench.request(at_ms=now_ms), now_ms=now_ms).status == 200
    assert next(peer for peer in bench.core.peers() if peer.node == bench.peer.node).paused_until_ms == 0


@pytest.mark.requirement("M-MSG-20")
def test_a_push_is_answered_with_one_verdict_an_entry(bench: Bench) -> None:
    """In the order pushed; what is broken is refused by its code, and its neighbours are taken."""
    author = Author(bench.founding, bench.peer)
    born, said = author.born(), author.abstain(bench.founding.named("calls"), day(0))
    pushed = (b"\xc1", born.entry.encode(), said.entry.encode(), said.entry.encode())
    reply = parse_push_reply(bench.answer(bench.request(PUSH, PushRequest(pushed).encode())))
    assert [(one.verdict, one.code) for one in reply.verdicts] == [
        ("refused", "not-canonical"), ("ok", None), ("ok", None), ("have", None),
    ]  # fmt: skip
    assert reply == parse_push_reply(PushReply(reply.verdicts).encode())


@pytest.mark.requirement("M-MSG-26", "T-MESH-10")
def test_what_is_pushed_beyond_the_budget_costs_nothing(verifications: list[bytes]) -> None:
    """`busy`, with the time to wait, and no entry of it is looked at; after that time it is taken."""
    bench = Bench(found(3), Settings(pushed_requests=Rate(1, 1)))
    author = Author(bench.founding, bench.peer)
    born, said = author.born(), author.abstain(bench.founding.named("calls"), day(0))
    assert bench.status(bench.request(PUSH, PushRequest((born.entry.encode(),)).encode())) == "ok"
    pushed = PushRequest((said.entry.encode(),)).encode()
    verifications.clear()
    refused = parse_response(bench.ask(bench.request(PUSH, pushed)).body).response
    assert refused.status == "busy"
    assert len(verifications) == 1  # of the request itself
    wait_ms = parse_refusal(refused.payload).retry_after_ms
    assert wait_ms is not None
    assert 0 < wait_ms <= 1001
    later = bench.request(PUSH, pushed, at_ms=NOW_MS + wait_ms)
    assert bench.status(later, now_ms=NOW_MS + wait_ms) == "ok"
