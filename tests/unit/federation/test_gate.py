"""The gate of the mesh: who is let in, who is told what, and what an answer is bound to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from federation.core import Core, Failed
from federation.effects import Effect, Reply, SendRequest
from federation.envelopes import Envelopes
from federation.settings import Settings
from protocol.ids import CharterHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.ops import (
    Announce,
    DocsRequest,
    Heads,
    Hello,
    PushRequest,
    RangeRequest,
    Span,
    SpansRequest,
    parse_heads,
    parse_refusal,
    parse_spans_reply,
)
from protocol.requests import (
    ANNOUNCE,
    DOCS,
    HEADS,
    HELLO,
    JOIN,
    OPS,
    PUSH,
    RANGE,
    REFUSAL,
    Request,
    Response,
    parse_request,
    parse_response,
    sign_request,
    sign_response,
)
from tests.simulation.author import Author
from tests.simulation.founding import Founding, found, key_of
from tests.simulation.world import Disk

NOW_MS = 1_763_600_000_000
HOUR_MS = 3_600_000


class Counter:
    """A deterministic stand-in for randomness."""

    def __init__(self) -> None:
        self._drawn = 0

    def __call__(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(self._drawn.to_bytes(8, "big")).digest(size)


class Bench:
    """One core under test (`me`), and a member that asks it by hand (`peer`)."""

    def __init__(self, founding: Founding, settings: Settings | None = None) -> None:
        self.founding = founding
        self.rng = Counter()
        self.me, self.peer, self.third = founding.members
        self.disk = Disk(definitions=dict(founding.definitions))
        self.disk.append([Author(founding, self.me).born()])
        self.core = self._core(self.me, self.disk, settings)
        self.asker = self._core(self.peer, Disk(), settings)  # for its envelopes only
        self._nonces: Iterator[int] = iter(range(1, 1_000_000))

    def _core(self, who: object, disk: Disk, settings: Settings | None) -> Core:
        member = next(member for member in self.founding.members if member is who)
        return Core(
            member.node, member.key, self.founding.document, self.founding.definitions, self.founding.inceptions, disk,
            disk.all(), settings,
        )  # fmt: skip

    def request(self, op: str = HEADS, payload: bytes | None = None, **wrong: object) -> Request:
        """A good request of the peer, but for what is wrong."""
        payload = Heads(()).encode() if payload is None else payload
        envelopes = Envelopes(self.peer.node, self.peer.key, self.asker.logs)
        nonce = next(self._nonces).to_bytes(16, "big")
        request, _ = envelopes.request(self.me.node, op, payload, nonce, NOW_MS)
        return replace(request, **wrong)  # type: ignore[arg-type]  # each test names real fields

    def ask(self, request: Request, key: SigningKey | None = None, now_ms: int = NOW_MS) -> Reply:
        """The reply to a signed request."""
        return self.reply(self.core.receive(sign_request(key or self.peer.key, request), now_ms, self.rng))

    def status(self, request: Request, now_ms: int = NOW_MS) -> str:
        """The status of the signed answer to a member's request, bound to it."""
        reply = self.ask(request, now_ms=now_ms)
        response = parse_response(reply.body).response
        assert (response.sender, response.recipient) == (self.me.node, self.peer.node)
        assert response.request_hash == parse_request(sign_request(self.peer.key, request)).hash
        return response.status

    def answer(self, request: Request) -> bytes:
        """The payload of a good answer."""
        response = parse_response(self.ask(request).body).response
        assert response.status == "ok"
        return response.payload

    @staticmethod
    def reply(effects: list[Effect]) -> Reply:
        last = effects[-1]
        assert isinstance(last, Reply)
        return last


@pytest.fixture
def bench() -> Bench:
    return Bench(found(3))


def test_a_good_request_is_answered(bench: Bench) -> None:
    assert bench.status(bench.request()) == "ok"


@pytest.mark.requirement("M-MSG-7", "T-STR-1")
def test_strangers_all_get_the_same_bytes(bench: Bench) -> None:
    """Nothing tells a stranger whether it named a member, a federation or a key that exists here."""
    thief = key_of("thief")
    good = bench.request()
    strange = [
        bench.ask(good, thief),
        bench.ask(replace(good, sender=NodeId(b"s" * 32)), thief),
        bench.ask(replace(good, federation=FederationId(b"f" * 32))),
        bench.ask(replace(good, sender=bench.third.node)),
        bench.ask(bench.request(HELLO, Hello(bench.third.inception).encode()), thief),
        *(bench.reply(bench.core.receive(body, NOW_MS, bench.rng)) for body in (b"", b"\x00", b"\xc1" * 99, REFUSAL)),
    ]
    assert {(reply.status, reply.body) for reply in strange} == {(403, REFUSAL)}


@pytest.mark.requirement("M-MSG-8", "T-STR-3")
def test_a_stranger_changes_nothing_but_a_note(bench: Bench) -> None:
    """The member whose name was used keeps its standing; the operator sees what came."""
    bench.ask(bench.request(), key_of("thief"))
    [status] = [status for status in bench.core.peers() if status.node == bench.peer.node]
    assert status.last_success_ms is None
    assert status.refused is not None
    assert (status.refused.what, status.refused.code) == ("request", "bad-signature")


@pytest.mark.requirement("M-MSG-15")
def test_a_hello_brings_its_own_keys() -> None:
    """A member whose record was not installed proves itself by it; another's record proves nothing."""
    bench = Bench(found(3))
    log = bench.core.logs.log(bench.peer.node)
    assert log is not None
    log.inception = None
    assert bench.ask(bench.request()).body == REFUSAL
    assert bench.ask(bench.request(HELLO, Hello(bench.third.inception).encode())).body == REFUSAL
    assert bench.status(bench.request(HELLO, Hello(bench.peer.inception).encode())) == "ok"
    assert bench.status(bench.request()) == "ok"


@pytest.mark.requirement("M-MSG-9", "T-NET-3")
def test_a_request_for_another_node_is_not_taken(bench: Bench) -> None:
    """`to` is signed, so a request cannot be carried to another peer."""
    assert bench.status(bench.request(recipient=bench.third.node)) == "failed"


@pytest.mark.requirement("M-MSG-11", "T-NET-2")
def test_a_request_counts_once(bench: Bench) -> None:
    """The same bytes again are a replay, for as long as they could pass for fresh; another nonce is another request."""
    request = bench.request()
    assert bench.status(request) == "ok"
    assert bench.status(request) == "replayed"
    assert bench.status(request, NOW_MS + 599_000) == "replayed"
    assert bench.status(request, NOW_MS + 25 * 60_000) == "clock-skew"
    assert bench.status(bench.request()) == "ok"


@pytest.mark.requirement("M-MSG-10", "T-CLK-1")
@pytest.mark.parametrize("skew_ms", [-601_000, 601_000, -HOUR_MS, HOUR_MS])
def test_a_wrong_date_is_excused_by_the_challenge_once(bench: Bench, skew_ms: int) -> None:
    """Refused with a challenge; echoed, it lets one request pass, and no other member can use it."""
    request = bench.request(at_ms=NOW_MS + skew_ms)
    challenge = parse_refusal(parse_response(bench.ask(request).body).response.payload).challenge
    assert challenge is not None
    assert bench.status(bench.request(at_ms=NOW_MS + skew_ms, challenge=challenge)) == "ok"
    assert bench.status(bench.request(at_ms=NOW_MS + skew_ms, challenge=challenge)) == "clock-skew"
    assert bench.status(bench.request(at_ms=NOW_MS + skew_ms, challenge=bytes(16))) == "clock-skew"


@pytest.mark.requirement("M-MSG-10")
def test_a_date_within_ten_minutes_is_fresh(bench: Bench) -> None:
    for skew_ms in (-599_000, 599_000):
        assert bench.status(bench.request(at_ms=NOW_MS + skew_ms)) == "ok"


@pytest.mark.requirement("M-MSG-11", "M-MSG-26", "T-MESH-5")
def test_the_memory_of_nonces_is_bounded() -> None:
    """A member that asks too much is told so; when the oldest are forgotten it may ask again."""
    bench = Bench(found(3), Settings(nonces_per_peer=3))
    assert [bench.status(bench.request()) for _ in range(4)] == ["ok", "ok", "ok", "busy"]
    later = NOW_MS + 25 * 60_000
    assert bench.status(bench.request(at_ms=later), later) == "ok"


@pytest.mark.requirement("M-MSG-12", "T-MESH-7")
def test_another_charter_is_named_and_reported(bench: Bench) -> None:
    """No heads are compared across charters; hello and documents still work, so that the two can find together."""
    other = CharterHash(b"c" * 32)
    assert bench.status(bench.request(charter_hash=other)) == "unknown-charter"
    assert bench.status(bench.request(HELLO, Hello(bench.peer.inception).encode(), charter_hash=other)) == "ok"
    assert bench.status(bench.request(DOCS, DocsRequest(1).encode(), charter_hash=other)) == "ok"


GARBAGE = b"\x81\xa1v\x02"


@pytest.mark.requirement("M-MSG-18")
@pytest.mark.parametrize("op", OPS)
def test_a_payload_of_another_form_is_refused_signed(bench: Bench, op: str) -> None:
    """A member learns that its payload was not understood; nothing else happens."""
    before = bench.core.logs.digest
    assert bench.status(bench.request(op, GARBAGE)) == ("unknown-op" if op == JOIN else "malformed")
    assert bench.core.logs.digest == before


def test_every_operation_is_served_to_a_member(bench: Bench) -> None:
    payloads = {
        HELLO: Hello(bench.peer.inception).encode(),
        HEADS: Heads(()).encode(),
        RANGE: RangeRequest(bench.me.node, 0, 0).encode(),
        PUSH: PushRequest(()).encode(),
        ANNOUNCE: Announce(()).encode(),
        DOCS: DocsRequest(1, tuple(bench.founding.definitions)).encode(),
    }
    assert set(payloads) == set(OPS) - {JOIN}
    for op, payload in payloads.items():
        assert bench.status(bench.request(op, payload)) == "ok", op


@pytest.mark.requirement("M-MSG-29")
def test_heads_are_told_as_a_vector_and_by_spans_whatever_the_size(bench: Bench) -> None:
    """And a span beyond the last author is refused by name."""
    vector = bench.answer(bench.request(HEADS, Heads(()).encode()))
    told = bench.answer(bench.request(HEADS, SpansRequest(()).encode()))
    assert len(parse_heads(vector).marks) == 3
    assert [len(one.marks) for one in parse_spans_reply(told).stretches] == [3]
    beyond = bench.request(HEADS, SpansRequest((Span(2, 2, bytes(8)),)).encode())
    response = parse_response(bench.ask(beyond).body).response
    assert (response.status, parse_refusal(response.payload).code) == ("malformed", "bad-payload")


# -- answers ----------------------------------------------------------------------------------------------------------


def first_hello(bench: Bench) -> SendRequest:
    """The first request the core makes to the peer."""
    effects = bench.core.start(NOW_MS, bench.rng)
    return next(effect for effect in effects if isinstance(effect, SendRequest) and effect.peer == bench.peer.node)


def answer_to(bench: Bench, sent: SendRequest) -> Response:
    """The peer's good answer to a hello."""
    asked = parse_request(sent.body)
    stamp = bench.core.rules.stamp
    return Response(
        bench.founding.federation, bench.peer.node, bench.me.node, asked.hash, NOW_MS, "ok", stamp.version,
        stamp.attempt, stamp.hash, bench.core.logs.digest, Hello(bench.peer.inception).encode(),
    )  # fmt: skip


def success_of(bench: Bench, sent: SendRequest, answer: bytes | Failed) -> bool:
    """Whether the core takes the answer for the peer's word."""
    bench.core.on_response(sent.token, answer, NOW_MS, bench.rng)
    [status] = [status for status in bench.core.peers() if status.node == bench.peer.node]
    assert (status.last_failure is None) == (status.last_success_ms is not None)
    return status.last_success_ms is not None


def test_a_good_answer_is_taken(bench: Bench) -> None:
    sent = first_hello(bench)
    assert success_of(bench, sent, sign_response(bench.peer.key, answer_to(bench, sent)))


@pytest.mark.requirement("M-MSG-6", "T-NET-3")
@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "third"},
        {"recipient": "third"},
        {"federation": FederationId(b"f" * 32)},
        {"request_hash": bytes(32)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_answer_is_bound_to_its_question(bench: Bench, wrong: dict[str, object]) -> None:
    """Signed by the peer, yet to another question, from or to another node: not taken."""
    wrong = {name: bench.third.node if value == "third" else value for name, value in wrong.items()}
    sent = first_hello(bench)
    response = replace(answer_to(bench, sent), **wrong)  # type: ignore[arg-type]  # each case names a real field
    assert not success_of(bench, sent, sign_response(bench.peer.key, response))


@pytest.mark.requirement("M-MSG-6", "T-NET-5")
def test_an_answer_by_another_key_is_not_taken(bench: Bench) -> None:
    sent = first_hello(bench)
    assert not success_of(bench, sent, sign_response(bench.third.key, answer_to(bench, sent)))


@pytest.mark.requirement("T-MESH-4")
@pytest.mark.parametrize("answer", [b"", b"\xff", bytes(1000), REFUSAL[:-1], Failed("unreachable")])
def test_whatever_comes_back_is_a_failure_with_a_name(bench: Bench, answer: bytes | Failed) -> None:
    assert not success_of(bench, first_hello(bench), answer)


@pytest.mark.requirement("M-MSG-4", "T-MESH-8")
def test_an_answer_after_its_timeout_is_dropped(bench: Bench) -> None:
    sent = first_hello(bench)
    bench.core.tick(NOW_MS + 31_000, bench.rng)
    late = sign_response(bench.peer.key, answer_to(bench, sent))
    assert bench.core.on_response(sent.token, late, NOW_MS + 31_000, bench.rng) == []
    assert bench.core.on_response(10**9, late, NOW_MS, bench.rng) == []
