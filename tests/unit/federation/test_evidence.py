"""Evidence that comes from others: what proves itself is kept once, what does not costs little, whoever sends it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from federation import evidence as evidence_module
from federation.batch import Batch
from federation.effects import Alarm, EvidenceTold, StoreEvidence
from federation.evidence import make_evidence
from federation.evidence_book import MAX_KEYS, MAX_OF_AUTHOR, EvidenceBook, evidence_digest
from federation.logs import Logs
from federation.settings import Settings
from protocol.entries import ABSTAIN, ParsedEntry
from protocol.ids import FederationId
from protocol.kind_data import AbstainData
from protocol.ops import EvidencePush, PushVerdict, parse_push_reply
from protocol.requests import PUSH, parse_response
from tests.simulation.author import Author, day
from tests.simulation.founding import found, key_of
from tests.simulation.world import Disk
from tests.unit.federation.test_gate import Bench

SENDER = found(3).members[2].node


class Case:
    """An author whose inception is known, and a node's logs."""

    def __init__(self) -> None:
        founding = found(3)
        self.author = Author(founding, founding.members[1])
        self.logs = Logs(founding.rules(), Disk())
        self.logs.offer(self.author.born(), Batch())
        self.calls = founding.named("calls")

    def pair(self, seq: int = 1, **wrong: object) -> bytes:
        """Evidence of two entries at one position."""
        return self.both(*(self.entry(why, seq, **wrong) for why in ("paused", "budget")))

    def both(self, one: ParsedEntry, other: ParsedEntry) -> bytes:
        return make_evidence(one.entry, other.entry).encode()

    def entry(self, why: str, seq: int, **wrong: object) -> ParsedEntry:
        return self.author.sign(ABSTAIN, AbstainData(self.calls, day(0), why).encode(), seq=seq, **wrong)

    def offer(self, body: bytes) -> PushVerdict:
        self.batch = Batch()
        return self.logs.offer_evidence(body, SENDER, self.batch)


@pytest.fixture
def case() -> Case:
    return Case()


@pytest.mark.requirement("M-MSG-30")
def test_what_proves_itself_is_kept_and_said_once(case: Case) -> None:
    """Stored, its sender counted as told, one alert; and it changes nobody's log."""
    body, digest = case.pair(), case.logs.digest
    assert case.offer(body) == PushVerdict("ok")
    assert case.batch.documents == [
        StoreEvidence(case.author.who.node, 1, body), EvidenceTold(SENDER, (evidence_digest(body),))
    ]  # fmt: skip
    assert [notice.code for notice in case.batch.notices if isinstance(notice, Alarm)] == ["equivocation"]
    assert case.offer(body) == PushVerdict("have")
    assert case.batch == Batch()
    assert case.logs.digest == digest


@pytest.mark.requirement("M-MSG-30")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda case: case.both(case.entry("paused", 1), case.entry("paused", 1)), "equivocation"),
        (lambda case: case.both(case.entry("paused", 1), case.entry("budget", 2)), "equivocation"),
        (lambda case: case.pair(signing_key=key_of("somebody else")), "bad-signature"),
        (lambda case: case.pair(federation=FederationId(b"f" * 32)), "equivocation"),
        (lambda case: case.pair(author=found(3, seed=1).members[0].node), "not-a-member"),
        (lambda case: case.pair(author=found(3).members[0].node, signing_key=case.author.key), "no-key"),
        (lambda case: case.pair()[:-1], "not-canonical"),
        (lambda case: b"\x91\x01", "malformed"),
        (lambda case: bytes(4097), "too-large"),
    ],
    ids=["same", "positions", "key", "federation", "stranger", "keys_unknown", "cut", "form", "size"],
)  # fmt: skip
def test_what_proves_nothing_is_refused_by_name(case: Case, make: object, code: str) -> None:
    """A framer has no second signature of its victim: nothing is kept, nothing is said."""
    verdict = case.offer(make(case))  # type: ignore[operator]
    expected = PushVerdict("behind") if code == "no-key" else PushVerdict("refused", code=code)
    assert verdict == expected
    assert case.batch == Batch()
    assert not list(case.logs.evidence)


@pytest.mark.requirement("M-MSG-31", "T-MESH-11")
def test_a_spammer_costs_bounded_work_and_room(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """One document ten thousand times is verified once; a liar's endless forks fill few places; bent ones are cheap."""
    verified = []
    verify = evidence_module.verify_signatures
    monkeypatch.setattr(evidence_module, "verify_signatures", lambda *args: (verified.append(1), verify(*args)))
    body = case.pair()
    for _ in range(10_000):
        case.offer(body)
    assert len(verified) == 2
    for seq in range(2, 40):
        case.offer(case.pair(seq))
    assert len(list(case.logs.evidence)) == MAX_OF_AUTHOR
    assert len(verified) == 2 * MAX_OF_AUTHOR
    other = Case()
    verified.clear()
    drawn = random.Random(19)
    for _ in range(300):
        place = drawn.randrange(len(body))
        bent = body[:place] + bytes([body[place] ^ 1 << drawn.randrange(8)]) + body[place + 1 :]
        assert other.offer(bent).verdict in ("refused", "behind")
    assert len(verified) <= 300 * 2 * MAX_KEYS
    assert not list(other.logs.evidence)


@pytest.mark.requirement("M-MSG-31")
def test_evidence_draws_on_the_budget_of_pushes() -> None:
    """A member that pushes nothing but evidence is told to wait."""
    settings = replace(Settings(), pushed_entries=replace(Settings().pushed_entries, per_s=1, most=500))
    bench = Bench(found(3), settings)
    statuses = []
    for number in range(8):
        garbage = EvidencePush(tuple(bytes([number, place]) for place in range(16))).encode()
        response = parse_response(bench.ask(bench.request(PUSH, garbage)).body).response
        statuses.append(response.status)
        if response.status == "ok":
            assert {one.verdict for one in parse_push_reply(response.payload).verdicts} == {"refused"}
    assert statuses == ["ok"] * 3 + ["busy"] * 5


def test_a_rotation_signed_twice_proves_itself(case: Case) -> None:
    """The header of a rotate carries two signatures; the first, by the key in force, tells who signed."""
    twin = case.author.copy()
    twin.entries = list(case.author.entries)
    case.entry("paused", 1)
    rotated = case.author.rotate()
    evidence = make_evidence(
        rotated.entry, twin.sign(ABSTAIN, AbstainData(case.calls, day(0), "paused").encode()).entry
    )
    assert case.offer(evidence.encode()) == PushVerdict("ok")


def test_who_was_told_is_not_told_again(case: Case) -> None:
    """Acknowledged for good; refused until the next start; what does not fit yet comes again."""
    book = case.logs.evidence
    bodies = [case.pair(seq) for seq in (1, 2, 3)]
    for body in bodies:
        case.offer(body)
    peer = found(3).members[0].node
    assert book.untold(peer) == bodies
    assert book.untold(SENDER) == []
    batch = Batch()
    verdicts = [PushVerdict("ok"), PushVerdict("refused", code="bad-signature"), PushVerdict("behind")]
    book.answered(peer, bodies, verdicts, batch)
    assert batch.documents == [EvidenceTold(peer, (evidence_digest(bodies[0]),))]
    assert book.untold(peer) == bodies[2:]
    again = EvidenceBook()
    again.restore([(bodies[0], [SENDER, peer]), (bodies[1], [SENDER]), (bodies[2], [SENDER])])
    assert again.untold(peer) == bodies[1:]
