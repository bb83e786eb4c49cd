"""The core's parts: comparing heads, pauses, what a hostile member can make it do, and the clock going back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.backoff import Backoff
from federation.batch import Batch
from federation.core import Core
from federation.effects import Alarm, Judged, Reply, SendRequest, StoreEntries
from federation.errors import Busy, Equivocation, NotAMember, OwnLogConflict, Replay
from federation.evidence import make_evidence, parse_evidence, verify_evidence
from federation.log_state import AuthorLog
from federation.replay import NonceMemory
from federation.settings import Settings
from federation.sync import Dig, Pull, Send, Todo, compare, marks_of
from protocol.entries import ABSTAIN
from protocol.errors import ProtocolError
from protocol.heads import Head, head_tag
from protocol.ids import EntryId
from protocol.kind_data import AbstainData
from protocol.ops import HeadMark, Heads, PushRequest, RangeReply, SpansReply, Stretch, parse_push_reply
from protocol.requests import (
    HEADS,
    OPS,
    PUSH,
    RANGE,
    STATUSES,
    Response,
    parse_request,
    parse_response,
    sign_request,
    sign_response,
)
from tests.simulation.author import Author, day
from tests.simulation.founding import found, key_of
from tests.simulation.world import Disk
from tests.unit.federation.test_gate import NOW_MS, Bench

NONCE = b"n" * 16
FEDERATION = found(3).federation


def ids(count: int, branch: str = "a") -> list[EntryId]:
    return [EntryId(f"{branch}{place}".encode().ljust(32, b".")) for place in range(count)]


def log(height: int, *, is_frozen: bool = False) -> AuthorLog:
    known = AuthorLog(found(3).members[0].node, FEDERATION, None, ids(height))
    if is_frozen:
        known.branches = (EntryId(b"x" * 32), EntryId(b"y" * 32))
    return known


def mark(height: int, *, branch: str = "a", is_frozen: bool = False) -> HeadMark:
    tag = head_tag(NONCE, ids(height, branch)[-1]) if height else None
    return HeadMark(0, height - 1, tag, (0, height) if is_frozen else None)


AUTHOR = log(0).author
COMPARISONS: tuple[tuple[AuthorLog, HeadMark, tuple[Todo, ...]], ...] = (
    (log(0), mark(0), ()),
    (log(3), mark(3), ()),
    (log(3), mark(5), (Pull(AUTHOR, 3, 2),)),
    (log(0), mark(2), (Pull(AUTHOR, 0, 2),)),
    (log(5), mark(3), (Send(AUTHOR, 3, 2),)),
    (log(5), mark(0), (Send(AUTHOR, 0, 5),)),
    (log(3), mark(3, branch="b"), (Dig(AUTHOR, 0, 2),)),
    (log(5), mark(3, branch="b"), (Dig(AUTHOR, 0, 2),)),
    (log(3, is_frozen=True), mark(3, is_frozen=True), ()),
    (log(3), mark(3, is_frozen=True), (Pull(AUTHOR, 3, 1),)),
    (log(5), mark(3, is_frozen=True), (Pull(AUTHOR, 3, 1), Send(AUTHOR, 3, 2))),
    (log(2), mark(3, is_frozen=True), (Pull(AUTHOR, 2, 1),)),
    (log(5, is_frozen=True), mark(3, is_frozen=True), (Pull(AUTHOR, 3, 1), Send(AUTHOR, 3, 4))),
    (log(3, is_frozen=True), mark(3), (Send(AUTHOR, 3, 2),)),
    (log(3, is_frozen=True), mark(9), (Send(AUTHOR, 3, 2), Pull(AUTHOR, 3, 1))),
    (log(3, is_frozen=True), mark(5, is_frozen=True), (Send(AUTHOR, 3, 2), Pull(AUTHOR, 3, 1))),
    (log(3, is_frozen=True), mark(3, branch="b", is_frozen=True), (Dig(AUTHOR, 0, 2),)),
    (log(3), HeadMark(1, 7, b"t" * 8), (Pull(AUTHOR, 3, 5),)),  # of a later generation
    (log(9), HeadMark(1, 7, b"t" * 8), (Dig(AUTHOR, 0, 7),)),
)


@pytest.mark.requirement("M-LINE-5")
@pytest.mark.parametrize(("ours", "theirs", "todo"), COMPARISONS)
def test_heads_say_what_is_to_be_done(ours: AuthorLog, theirs: HeadMark, todo: tuple[Todo, ...]) -> None:
    assert compare(ours, theirs, NONCE, full=False) == todo


def test_a_vector_travels_under_its_nonce() -> None:
    """Tags of eight bytes, or whole ids when asked."""
    head = Head(0, 0, ids(1)[0], None)
    [short], [whole] = (marks_of([head], NONCE, full=full).marks for full in (False, True))
    assert short.tag == head_tag(NONCE, ids(1)[0])
    assert whole.tag == ids(1)[0]
    assert compare(log(1), whole, NONCE, full=True) == ()


@pytest.mark.requirement("M-MSG-25")
def test_pauses_double_up_to_a_limit_and_end_at_once() -> None:
    backoff = Backoff(500, 300_000)
    pauses = []
    for _ in range(12):
        backoff.failed(1_000)
        pauses.append(backoff.until_ms - 1_000)
    assert pauses == [500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000]
    backoff.reset()
    assert (backoff.until_ms, backoff.failures) == (0, 0)


@pytest.mark.requirement("M-MSG-11")
def test_a_nonce_is_remembered_for_its_time() -> None:
    """Seen twice is a replay; a full memory is busy; old ones and ones of a time that never was make room."""
    memory = NonceMemory(1_000, 2)
    memory.remember(b"a", 0)
    with pytest.raises(Replay):
        memory.remember(b"a", 999)
    memory.remember(b"b", 500)
    with pytest.raises(Busy):
        memory.remember(b"c", 999)
    memory.remember(b"c", 1_000)
    assert len(memory) == 2
    memory.remember(b"d", -10_000)  # the clock was set back
    assert len(memory) == 1


# -- evidence ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("M-MSG-30")
def test_evidence_proves_itself_and_nothing_else() -> None:
    """Two headers of one author at one position; anything less is refused."""
    author, other = (Author(found(3), found(3).members[place]) for place in (0, 1))
    author.born()
    calls = author.founding.named("calls")
    one, two = (author.sign(ABSTAIN, AbstainData(calls, day(0), why).encode()) for why in ("paused", "budget"))
    later = author.sign(ABSTAIN, AbstainData(calls, day(0), "budget").encode(), seq=2)
    key, node = author.who.key.public_key, author.who.node
    proof = make_evidence(two.entry, one.entry)
    assert proof == make_evidence(one.entry, two.entry)
    assert verify_evidence(parse_evidence(proof.encode()), FEDERATION, node, (key,)).position == (0, 1)
    with pytest.raises(Equivocation):
        verify_evidence(make_evidence(one.entry, later.entry), FEDERATION, node, (key,))
    with pytest.raises(Equivocation):
        verify_evidence(make_evidence(one.entry, one.entry), FEDERATION, node, (key,))
    with pytest.raises(Equivocation):
        verify_evidence(proof, FEDERATION, other.who.node, (key,))
    with pytest.raises(ProtocolError):
        verify_evidence(proof, FEDERATION, node, (other.who.key.public_key,))


# -- the core ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench() -> Bench:
    return Bench(found(3))


def own(bench: Bench) -> Author:
    author = Author(bench.founding, bench.me)
    author.born()
    return author


def test_a_node_the_charter_does_not_name_is_not_started() -> None:
    founding, stranger = found(3), found(3, seed=1).members[0]
    with pytest.raises(NotAMember, match="does not name"):
        Core(stranger.node, stranger.key, founding.document, {}, {stranger.node: stranger.inception}, Disk())


@pytest.mark.requirement("M-MSG-14", "T-FLT-2")
def test_effects_store_before_they_tell(bench: Bench) -> None:
    """Entries are stored before verdicts are told, and both before the reply."""
    author = Author(bench.founding, bench.peer)
    author.born()
    author.summary(bench.founding.named("calls"), day(0))
    payload = PushRequest(tuple(parsed.entry.encode() for parsed in author.entries)).encode()
    effects = bench.core.receive(sign_request(bench.peer.key, bench.request(PUSH, payload)), NOW_MS, bench.rng)
    assert [type(effect) for effect in effects] == [StoreEntries, Judged, Reply]
    reply = Bench.reply(effects)
    verdicts = parse_push_reply(parse_response(reply.body).response.payload).verdicts
    assert [verdict.verdict for verdict in verdicts] == ["ok", "ok"]


@pytest.mark.requirement("T-DISK-2")
def test_an_own_entry_is_judged_once_and_pushed_soon(bench: Bench) -> None:
    """Known already: nothing happens. Not on top of the own log: the node must stop signing, and nothing changes."""
    author = own(bench)
    first = author.summary(bench.founding.named("calls"), day(0))
    [judged] = bench.core.own_entry(first, NOW_MS)
    assert isinstance(judged, Judged)
    assert bench.core.next_wakeup_ms() is not None
    assert bench.core.own_entry(first, NOW_MS) == []
    digest = bench.core.logs.digest
    author.entries.pop()
    for wrong in (
        author.sign(ABSTAIN, AbstainData(bench.founding.named("calls"), day(9), "paused").encode()),
        author.sign(ABSTAIN, AbstainData(bench.founding.named("calls"), day(9), "paused").encode(), seq=2),
        author.sign(
            ABSTAIN, AbstainData(bench.founding.named("calls"), day(9), "paused").encode(), seq=2, prev=first.id,
            signing_key=key_of("old"),
        ),
    ):  # fmt: skip
        with pytest.raises(OwnLogConflict):
            bench.core.own_entry(wrong, NOW_MS)
    assert bench.core.logs.digest == digest
    with pytest.raises(ValueError, match="own log"):
        bench.core.own_entry(Author(bench.founding, bench.peer).born(), NOW_MS)


@pytest.mark.requirement("T-CLK-2")
def test_a_clock_set_back_delays_nothing(bench: Bench) -> None:
    """After a year ahead was corrected, peers that failed are asked again within the longest pause."""
    year_ms = 365 * 86_400_000
    bench.core.start(NOW_MS + year_ms, bench.rng)
    bench.core.tick(NOW_MS + year_ms + 40_000, bench.rng)  # every first request failed
    bench.core.tick(NOW_MS, bench.rng)
    wakeup = bench.core.next_wakeup_ms()
    assert wakeup is not None
    assert wakeup <= NOW_MS + 300_000


def test_settings_are_the_protocols() -> None:
    """Defaults of PROTOCOL 4."""
    found_settings = Settings()
    assert (found_settings.sync_interval_ms, found_settings.push_delay_ms) == (90_000, 20)
    assert (found_settings.fresh_ms, found_settings.nonce_memory_ms) == (600_000, 1_500_000)
    assert (found_settings.backoff_first_ms, found_settings.backoff_most_ms) == (500, 300_000)
    assert (found_settings.early_per_peer, found_settings.payload_entries) == (64, 512)
    assert (found_settings.push_up_to, found_settings.spans_above) == (150, 500)


HOSTILE = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.requirement("M-MSG-18", "T-STR-2")
@HOSTILE
@given(op=st.sampled_from(OPS), data=st.data())
def test_any_payload_of_a_member_is_answered(op: str, data: st.DataObject) -> None:
    """Signed garbage, and bent copies of good payloads, get a signed answer of the closed list; nothing is stored."""
    bench = Bench(found(3))
    payload = data.draw(_bent(GOOD[op]) | st.binary(max_size=200))
    effects = bench.core.receive(sign_request(bench.peer.key, bench.request(op, payload)), NOW_MS, bench.rng)
    assert parse_response(Bench.reply(effects).body).response.status in STATUSES
    assert not any(isinstance(effect, StoreEntries) for effect in effects) or op == PUSH


@pytest.mark.requirement("T-MESH-4")
@HOSTILE
@given(data=st.data())
def test_any_answer_of_a_member_is_survived(data: st.DataObject) -> None:
    """A peer that signs whatever it likes, answer after answer, never makes the core raise or loop."""
    by_spans = data.draw(st.booleans())
    bench = Bench(found(3), Settings(spans_above=0) if by_spans else None)
    effects = bench.core.start(NOW_MS, bench.rng)
    for _ in range(12):
        sent = [item for item in effects if isinstance(item, SendRequest) and item.peer == bench.peer.node]
        if not sent:
            break
        asked = parse_request(sent[0].body)
        good = GOOD_SPANS if by_spans and sent[0].op == HEADS else GOOD_ANSWER[sent[0].op]
        stamp = bench.core.rules.stamp
        response = Response(
            bench.founding.federation, bench.peer.node, bench.me.node, asked.hash,
            data.draw(st.sampled_from([NOW_MS, 0, 2**53 - 1])),
            data.draw(st.sampled_from(["ok"] * 8 + list(STATUSES))),
            stamp.version, stamp.attempt, stamp.hash, data.draw(st.sampled_from([bytes(32), b"d" * 32])),
            data.draw(st.just(good) | st.just(good) | _bent(good)),
        )  # fmt: skip
        effects = bench.core.on_response(sent[0].token, sign_response(bench.peer.key, response), NOW_MS, bench.rng)
    assert all(not isinstance(effect, Alarm) or effect.code == "clock-skew" for effect in effects)


def test_a_peer_that_answers_something_else_is_not_asked_on_for_bodies() -> None:
    """It tells other entries of the log than those whose bodies are away, again and again: asked once."""
    bench = Bench(found(3))
    author = Author(bench.founding, bench.third)
    author.born()
    bare = [author.summary(bench.founding.named("calls"), day(number)).without_body() for number in range(3)]
    for parsed in (author.entries[0], *bare):
        bench.core.logs.offer(parsed, Batch())
    assert [entry for entry, _, _ in bench.core.logs.missing_bodies()] == [parsed.id for parsed in bare]
    answers = {**GOOD_ANSWER, RANGE: RangeReply((author.entries[0].entry.encode(),)).encode()}
    effects, asked = bench.core.start(NOW_MS, bench.rng), 0
    for _ in range(12):
        sent = [item for item in effects if isinstance(item, SendRequest) and item.peer == bench.peer.node]
        if not sent:
            break
        asked += sent[0].op == RANGE
        stamp, digest = bench.core.rules.stamp, bench.core.logs.digest
        response = Response(
            bench.founding.federation, bench.peer.node, bench.me.node, parse_request(sent[0].body).hash, NOW_MS, "ok",
            stamp.version, stamp.attempt, stamp.hash, digest, answers[sent[0].op] if sent[0].op != HEADS else EQUAL,
        )  # fmt: skip
        effects = bench.core.on_response(sent[0].token, sign_response(bench.peer.key, response), NOW_MS, bench.rng)
    assert asked == 1


def _bent(good: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with one of them changed, cut short, or with more behind."""

    def bend(place: int, byte: int, how: int) -> bytes:
        at = place % (len(good) + 1)
        return [good[:at], good[:at] + bytes([byte]) + good[at + 1 :], good + bytes([byte])][how]

    return st.builds(bend, st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 2))


def _good_payloads() -> tuple[dict[str, bytes], dict[str, bytes]]:
    from protocol import ops
    from protocol.requests import ANNOUNCE, DOCS, HELLO, JOIN

    founding = found(3)
    author = Author(founding, founding.members[1])
    author.born()
    author.summary(founding.named("calls"), day(0))
    wire = tuple(parsed.entry.encode() for parsed in author.entries)
    heads = ops.Heads(tuple(HeadMark(0, 1, bytes(8)) for _ in founding.members))
    hello = ops.Hello(founding.members[1].inception, head=(0, 1, author.entries[1].id))
    asked = {
        HELLO: hello.encode(),
        HEADS: heads.encode(),
        RANGE: ops.RangeRequest(author.who.node, 0, 0).encode(),
        PUSH: ops.PushRequest(wire).encode(),
        ANNOUNCE: ops.Announce(((author.who.node, 0, 1, author.entries[1].id),)).encode(),
        DOCS: ops.DocsRequest(1, tuple(founding.definitions)).encode(),
        JOIN: ops.JoinAsk(b"x").encode(),
    }
    answers = {
        HELLO: hello.encode(),
        HEADS: replace(heads, full=False).encode(),
        RANGE: ops.RangeReply(wire, more=True).encode(),
        PUSH: ops.PushReply((ops.PushVerdict("behind"), ops.PushVerdict("refused", "prev-mismatch"))).encode(),
        DOCS: ops.DocsReply(()).encode(),
    }
    return asked, answers


GOOD, GOOD_ANSWER = _good_payloads()
EQUAL = Heads(()).encode()
GOOD_SPANS = SpansReply((), (Stretch(0, (HeadMark(0, 1, bytes(8)),) * 3),)).encode()
