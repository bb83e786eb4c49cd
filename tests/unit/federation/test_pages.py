"""Fetching a log page by page: the next page is asked for before the one that came is taken in (session.py)."""

from __future__ import annotations

from dataclasses import replace

from federation.caller import Failed
from federation.effects import Effect, SendRequest, StoreEntries
from federation.settings import Settings
from protocol.entries import ParsedEntry
from protocol.ids import EntryId
from protocol.ops import HeadMark, Heads, Hello, RangeReply, parse_range_request
from protocol.requests import HEADS, HELLO, RANGE, Response, parse_request, sign_response
from tests.simulation.author import Author, day
from tests.simulation.founding import found
from tests.unit.federation.test_gate import NOW_MS, Bench

PAGE = 2


class Talk:
    """A core that fetches the log of its `author` from a peer; the pages that the peer shows may be changed."""

    def __init__(self) -> None:
        self.bench = bench = Bench(found(3), Settings(payload_entries=PAGE))
        author = Author(bench.founding, bench.third)
        author.born()
        for number in range(5):
            author.summary(bench.founding.named("calls"), day(number))
        self.entries = author.entries
        self.pages = [list(author.entries[start : start + PAGE]) for start in range(0, 6, PAGE)]
        self.asked: list[tuple[int, EntryId | None]] = []
        self.stored: list[EntryId] = []
        self.in_flight = self._note(bench.core.start(NOW_MS, bench.rng))

    def go_to_pages(self) -> None:
        """Greet and compare: then the first page is asked for."""
        here = self.bench.core.rules.authors
        marks = tuple(
            HeadMark(0, 5, bytes(8)) if author == self.bench.third.node else HeadMark(0, -1) for author in here
        )
        assert self.in_flight.op == HELLO
        self.answer(Hello(self.bench.peer.inception).encode())
        assert self.in_flight.op == HEADS
        self.answer(Heads(marks).encode())
        assert self.asked == [(0, None)]

    def answer(self, payload: bytes | None) -> list[Effect]:
        """Answer the request in flight, None: it fails; what came of it."""
        bench, asked = self.bench, parse_request(self.in_flight.body)
        answer: bytes | Failed = Failed("cut off")
        if payload is not None:
            stamp = bench.core.rules.stamp
            response = Response(
                bench.founding.federation, bench.peer.node, bench.me.node, asked.hash, NOW_MS, "ok", stamp.version,
                stamp.attempt, stamp.hash, bytes(32), payload,
            )  # fmt: skip
            answer = sign_response(bench.peer.key, response)
        effects = bench.core.on_response(self.in_flight.token, answer, NOW_MS, bench.rng)
        self.in_flight = self._note(effects)
        return effects

    def page(self, number: int) -> list[Effect]:
        more = number < len(self.pages) - 1
        return self.answer(RangeReply(tuple(item.entry.encode() for item in self.pages[number]), more=more).encode())

    def tick(self) -> None:
        self._note(self.bench.core.tick(NOW_MS, self.bench.rng))

    def _note(self, effects: list[Effect]) -> SendRequest:
        sent = getattr(self, "in_flight", None)
        for effect in effects:
            if isinstance(effect, StoreEntries):
                self.stored += [parsed.id for parsed in effect.entries]
                self.bench.disk.append(list(effect.entries))
            if isinstance(effect, SendRequest) and effect.peer == self.bench.peer.node:
                sent = effect
                if effect.op == RANGE:
                    wanted = parse_range_request(parse_request(effect.body).request.payload)
                    self.asked.append((wanted.seq, wanted.after))
        assert sent is not None
        return sent


def talk() -> Talk:
    started = Talk()
    started.go_to_pages()
    return started


def ids(entries: list[ParsedEntry]) -> list[EntryId]:
    return [parsed.id for parsed in entries]


def test_the_next_page_is_asked_for_before_the_first_is_taken_in() -> None:
    """And a tick, due at once, takes it in; the last page needs none."""
    one = talk()
    one.page(0)
    assert one.asked == [(0, None), (1, one.entries[1].id)]
    assert one.stored == []
    wakeup = one.bench.core.next_wakeup_ms()
    assert wakeup is not None
    assert wakeup <= NOW_MS
    one.tick()
    assert one.stored == ids(one.entries[:2])
    one.page(1)
    one.tick()
    one.page(2)
    assert one.stored == ids(one.entries)
    assert len(one.asked) == 3


def test_an_answer_that_comes_before_the_tick_finds_its_page_taken_in() -> None:
    """Entries are stored in the order of the log, whatever the timer does."""
    one = talk()
    for number in range(3):
        one.page(number)
    assert one.stored == ids(one.entries)


def test_a_page_outlives_the_failure_of_the_next() -> None:
    """The request for the next page fails: what came before it is kept."""
    one = talk()
    one.page(0)
    one.answer(None)
    assert one.stored == ids(one.entries[:2])


def test_after_a_page_that_does_not_fit_the_next_is_left_unread() -> None:
    """An entry with another's signature ends the page; of the one in flight nothing is stored and no more is asked."""
    one = talk()
    bad = one.pages[0][1]
    twisted = replace(bad.entry, signatures=one.pages[1][0].entry.signatures)
    one.pages[0][1] = replace(bad, entry=twisted)
    one.page(0)
    one.tick()
    assert one.stored == ids(one.entries[:1])
    one.page(1)
    one.tick()
    assert one.stored == ids(one.entries[:1])
    assert len(one.asked) == 2
    [status] = [status for status in one.bench.core.peers() if status.node == one.bench.peer.node]
    assert status.refused is not None
    assert status.refused.code == "bad-signature"
