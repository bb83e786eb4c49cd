"""Judgement: what counts, and the reason for everything that does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from federation.judged_log import JudgedLog
from federation.judgement import judge_again
from federation.rules import Rules, demand_of
from federation.verdicts import COUNTED, OPAQUE, Verdict, Void, Waiting
from privacy.definition import parse_definition
from protocol import canonical
from protocol.entries import ABSTAIN, ENDPOINT, SUMMARY, ParsedEntry
from protocol.ids import DefinitionHash
from protocol.kind_data import AbstainData
from protocol.summaries import Charge, parse_summary
from tests.simulation.author import Author, day
from tests.simulation.founding import FIRST_HOUR, Founding, found, tree

CALLS_NANO = 2_500_000  # 1/400 in units of 10⁻⁹
CAP_NANO = 25_000_000  # 1/40


@pytest.fixture
def founding() -> Founding:
    return found(3)


@pytest.fixture
def author(founding: Founding) -> Author:
    author = Author(founding, founding.members[0])
    author.born()
    return author


def judged(author: Author, rules: Rules | None = None) -> JudgedLog:
    """The author's whole log, judged."""
    log = JudgedLog()
    for parsed in author.entries:
        log.fold(parsed, rules or author.founding.rules())
    return log


def last(author: Author) -> Verdict:
    return judged(author).verdicts[-1]


def test_a_summary_as_defined_counts(author: Author) -> None:
    """It speaks for its slot."""
    calls = author.founding.named("calls")
    parsed = author.summary(calls, day(0))
    log = judged(author)
    assert log.verdicts == [COUNTED, COUNTED]
    outcome = log.slot((calls, day(0)))
    assert outcome is not None
    assert outcome.released is not None
    assert outcome.released.entry == parsed.id


@pytest.mark.requirement("M-ENT-5")
@pytest.mark.parametrize("at", [0, 1, 2**53 - 1])
def test_the_authors_time_decides_nothing(author: Author, at: int) -> None:
    """Not before the charter, not beyond all times, not falling along the log."""
    calls = author.founding.named("calls")
    author.summary(calls, day(0))
    author.summary(calls, day(1), at=at)
    author.summary(calls, day(2), at=5)
    assert judged(author).verdicts == [COUNTED] * 4


def scaled_noise(author: Author) -> ParsedEntry:
    demand = author.founding.rules().demand(author.founding.named("calls"))
    assert demand is not None
    blocks = [replace(demand.blocks[0], sigma2=demand.blocks[0].sigma2 / 4)]
    return author.summary(author.founding.named("calls"), day(0), blocks=blocks)


def other_quantum(author: Author) -> ParsedEntry:
    demand = author.founding.rules().demand(author.founding.named("calls"))
    assert demand is not None
    blocks = [replace(demand.blocks[0], quantum=Fraction(1, 2))]
    return author.summary(author.founding.named("calls"), day(0), blocks=blocks)


def other_mechanism(author: Author) -> ParsedEntry:
    demand = author.founding.rules().demand(author.founding.named("calls"))
    assert demand is not None
    blocks = [replace(demand.blocks[0], mechanism="laplace")]
    return author.summary(author.founding.named("calls"), day(0), blocks=blocks)


def fewer_cells(author: Author) -> ParsedEntry:
    demand = author.founding.rules().demand(author.founding.named("calls"))
    assert demand is not None
    blocks = [replace(demand.blocks[0], cells=3)]
    return author.summary(author.founding.named("calls"), day(0), blocks=blocks)


def cheaper(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(0), rho_nano=CALLS_NANO - 1)


def dearer(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(0), rho_nano=CALLS_NANO + 1)


def weaker_key(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("tips"), day(0), unit="address")


def other_window(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(0).replace("/P1D", "T00/PT1H"))


def outside_the_row(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(400))


def before_it_counts(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(-1))


def epoch_of_another_day(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(0), epoch=day(1))


def over_the_cap(author: Author) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(0), total=CAP_NANO + 1)


def total_too_small(author: Author) -> ParsedEntry:
    author.summary(author.founding.named("visits"), day(0))
    return author.summary(author.founding.named("calls"), day(0), total=2 * CALLS_NANO - 1)


def epoch_within_an_epoch(author: Author) -> ParsedEntry:
    author.summary(author.founding.named("visits"), day(0))
    return author.summary(author.founding.named("calls"), day(0), epoch="2026-11-01/P1M")


def wrong_release_id(author: Author) -> ParsedEntry:
    data, vector = author.summary_data(author.founding.named("calls"), day(0))
    fields = canonical.decode(data.encode())
    assert isinstance(fields, dict)
    return author.write(SUMMARY, canonical.encode({**fields, "release": bytes(32)}), vector)


def no_summary_at_all(author: Author) -> ParsedEntry:
    return author.write(SUMMARY, b"\x01")


def invented_reason(author: Author) -> ParsedEntry:
    fields = {"v": 1, "definition": author.founding.named("calls"), "window": day(0), "reason": "no_data"}
    return author.write(ABSTAIN, canonical.encode(fields))


def abstain_from_nothing(author: Author) -> ParsedEntry:
    return author.abstain(DefinitionHash(bytes(32)), day(0))


def unwelcome_url(author: Author) -> ParsedEntry:
    return author.write(ENDPOINT, canonical.encode({"v": 1, "endpoints": [{"url": "http://example.org"}]}))


def falling_version(author: Author) -> ParsedEntry:
    author.write(ABSTAIN, AbstainData(author.founding.named("calls"), day(1), "paused").encode(), charter_version=2)
    return author.summary(author.founding.named("calls"), day(0))


VOID: tuple[tuple[Callable[[Author], ParsedEntry], str], ...] = (
    (scaled_noise, "sigma_mismatch"),
    (other_quantum, "quantum_mismatch"),
    (other_mechanism, "mechanism_mismatch"),
    (fewer_cells, "cells_mismatch"),
    (cheaper, "charge_mismatch"),
    (dearer, "charge_mismatch"),
    (weaker_key, "unit_too_weak"),
    (other_window, "window_mismatch"),
    (outside_the_row, "outside_catalogue_row"),
    (before_it_counts, "before_counts_from"),
    (epoch_of_another_day, "not_one_epoch"),
    (over_the_cap, "over_cap"),
    (total_too_small, "total_mismatch"),
    (epoch_within_an_epoch, "epoch_overlap"),
    (wrong_release_id, "malformed"),
    (no_summary_at_all, "malformed"),
    (invented_reason, "malformed"),
    (abstain_from_nothing, "not_in_catalogue"),
    (unwelcome_url, "malformed"),
    (falling_version, "charter_version_fell"),
)


@pytest.mark.requirement("M-JUD-5", "T-LOG-3")
@pytest.mark.parametrize(("write", "reason"), VOID, ids=lambda item: getattr(item, "__name__", item))
def test_what_is_not_as_defined_is_void_by_name(
    author: Author, write: Callable[[Author], ParsedEntry], reason: str
) -> None:
    """One rule broken, one reason; the log goes on, and a good release of the same slot counts."""
    write(author)
    assert last(author) == Void(reason)
    version = 2 if write is falling_version else 1
    author.summary(author.founding.named("visits"), day(5), charter_version=version)
    assert last(author) == (OPAQUE if version == 2 else COUNTED)  # of a charter that is not known here, it waits


@pytest.mark.requirement("M-JUD-10", "T-LOG-4")
def test_a_void_summary_charges_all_the_same(author: Author) -> None:
    """Its noise was drawn and sent, so the next total must include it."""
    calls, visits = author.founding.named("calls"), author.founding.named("visits")
    cheap = {"blocks": None, "unit": "address"}
    author.summary(author.founding.named("tips"), day(0), **cheap)
    author.summary(calls, day(0), total=CALLS_NANO)
    author.summary(visits, day(0), total=3 * CALLS_NANO)
    assert judged(author).verdicts[1:] == [Void("unit_too_weak"), Void("total_mismatch"), COUNTED]


@pytest.mark.requirement("M-JUD-11")
def test_a_total_may_hold_more_than_the_log_shows(author: Author) -> None:
    """Private choices and restores charge the ledger without a summary."""
    author.summary(author.founding.named("calls"), day(0), total=CAP_NANO)
    assert last(author) == COUNTED
    author.summary(author.founding.named("visits"), day(0))
    assert last(author) == Void("over_cap")


@pytest.mark.requirement("M-JUD-7", "T-LOG-2")
def test_two_releases_for_one_slot_void_both(author: Author) -> None:
    """In whatever order, and however often one of them is repeated; the rest of the log counts."""
    calls = author.founding.named("calls")
    author.summary(calls, day(0), cells=[1, 0, 0, 0])
    author.summary(calls, day(0), cells=[2, 0, 0, 0])
    author.abstain(calls, day(1))
    log = judged(author)
    assert log.verdicts[1:] == [Void("slot_conflict"), Void("slot_conflict"), COUNTED]
    outcome = log.slot((calls, day(0)))
    assert outcome is not None
    assert (outcome.released, outcome.abstained) == (None, None)
    assert log.void_in((calls, day(0))) == [(1, Void("slot_conflict")), (2, Void("slot_conflict"))]


@pytest.mark.requirement("M-JUD-7", "M-JUD-10")
def test_a_release_published_again_counts_once(author: Author) -> None:
    """Byte for byte, in a new entry: free of charge, and the first entry speaks for the slot."""
    calls = author.founding.named("calls")
    first = author.summary(calls, day(0))
    author.summary(author.founding.named("visits"), day(0))
    author.again(parse_summary(first.entry.data, author.who.node).release)
    log = judged(author)
    assert log.verdicts == [COUNTED] * 4
    outcome = log.slot((calls, day(0)))
    assert outcome is not None
    assert outcome.released is not None
    assert outcome.released.seq == 1


@pytest.mark.requirement("M-JUD-8")
def test_after_an_abstain_one_summary_speaks(author: Author) -> None:
    """And nothing but a summary follows an abstain, nothing new a summary."""
    calls = author.founding.named("calls")
    author.abstain(calls, day(0), "paused")
    author.abstain(calls, day(0), "budget")
    author.summary(calls, day(0))
    author.abstain(calls, day(0), "paused")
    log = judged(author)
    assert log.verdicts[1:] == [COUNTED, Void("follows_abstain"), COUNTED, Void("follows_summary")]
    outcome = log.slot((calls, day(0)))
    assert outcome is not None
    assert outcome.released is not None
    assert outcome.abstained is None


@pytest.mark.requirement("M-JUD-9", "T-MESH-9")
def test_a_full_slot_takes_no_more(author: Author) -> None:
    """64 entries of one slot, void ones included; knowing the definition late changes nothing."""
    calls = author.founding.named("calls")
    author.summary(calls, day(0), rho_nano=1)
    for _ in range(70):
        author.abstain(calls, day(0))
    author.abstain(calls, day(1))
    log = judged(author)
    assert log.verdicts[64] == Void("follows_abstain")
    assert set(log.verdicts[65:-1]) == {Void("slot_full")}
    assert log.verdicts[-1] == COUNTED
    rules = author.founding.rules(without=calls)
    late = judged(author, rules)
    rules.learn(calls, parse_definition(tree("calls")))
    for slot, seq in late.waiting_for(calls):
        late.settle(slot, seq, judge_again(author.entries[seq], rules))
    assert late.verdicts == log.verdicts


def test_an_abstain_alone_says_why(author: Author) -> None:
    author.abstain(author.founding.named("calls"), day(0), "budget")
    outcome = judged(author).slot((author.founding.named("calls"), day(0)))
    assert outcome is not None
    assert outcome.abstained is not None
    assert outcome.abstained.reason == "budget"


@pytest.mark.requirement("M-JUD-1", "M-ENT-9", "T-LOG-6")
def test_what_this_version_does_not_know_is_opaque(author: Author) -> None:
    """A later kind, and a later version of known data: kept, and nothing said about them."""
    author.write("weather", b"\x01")
    author.write(SUMMARY, canonical.encode({"v": 2}))
    author.write(ABSTAIN, canonical.encode({"v": 2}))
    assert judged(author).verdicts[1:] == [OPAQUE] * 3


@pytest.mark.requirement("M-JUD-2", "T-FLT-4")
def test_a_summary_waits_for_its_definition(author: Author) -> None:
    """Not void: once the body is known it is judged as if it had been known before."""
    calls = author.founding.named("calls")
    author.summary(calls, day(0))
    bad = author.summary(calls, day(1), rho_nano=CALLS_NANO + 1)
    author.abstain(calls, day(0))
    rules = author.founding.rules(without=calls)
    log = judged(author, rules)
    assert log.verdicts[1:] == [Waiting(calls)] * 3
    rules.learn(calls, parse_definition(tree("calls")))
    for slot, seq in log.waiting_for(calls):
        log.settle(slot, seq, judge_again(author.entries[seq], rules))
    assert log.verdicts == judged(author).verdicts
    assert log.verdicts[1:] == [COUNTED, Void("charge_mismatch"), Void("follows_summary")]
    assert dict(log.slots()) == dict(judged(author).slots())
    assert bad.id


@pytest.mark.requirement("M-JUD-1")
def test_a_definition_of_a_later_version_makes_its_summaries_opaque(author: Author) -> None:
    calls = author.founding.named("calls")
    author.summary(calls, day(0))
    rules = author.founding.rules(without=calls)
    rules.learn(calls, None)
    assert judged(author, rules).verdicts[-1] == OPAQUE


@pytest.mark.requirement("M-JUD-6")
def test_an_endpoint_entry_replaces_the_charters(author: Author) -> None:
    author.endpoint("http://127.0.0.1:7799")
    author.endpoint()
    log = judged(author)
    assert log.endpoints == ()
    log.fork_from(2)
    assert log.endpoints is not None
    assert log.endpoints[0].url == "http://127.0.0.1:7799"


def test_what_changes_is_told_once(author: Author) -> None:
    """Every fold returns exactly the verdicts that changed; replaying them gives the final state."""
    calls = author.founding.named("calls")
    author.abstain(calls, day(0))
    author.summary(calls, day(0), cells=[1, 0, 0, 0])
    author.summary(calls, day(0), cells=[2, 0, 0, 0])
    told: dict[int, Verdict] = {}
    log = JudgedLog()
    rules = author.founding.rules()
    for parsed in author.entries:
        for seq, verdict in log.fold(parsed, rules):
            assert told.get(seq) != verdict
            told[seq] = verdict
    assert [told[seq] for seq in sorted(told)] == log.verdicts


def test_the_demand_is_the_definitions(author: Author) -> None:
    """Cells, exact variance and price follow from the definition alone: 4 cells, σ² = Δ₂²/2ρ = 200, ρ = 1/400."""
    demand = demand_of(parse_definition(tree("calls")))
    [block] = demand.blocks
    assert (block.cells, block.sigma2, block.mechanism, demand.rho_nano) == (4, 200, "gaussian", CALLS_NANO)


def test_every_window_of_a_kind_has_the_same_demand() -> None:
    """What rules.demand_of relies on when it compiles one sample window."""
    from privacy.layout import compile_layout
    from privacy.units import Window

    for kind, by in itertools.product(("hour", "day", "week", "month"), ({}, {"hour": [str(h) for h in range(24)]})):
        definition = parse_definition({**tree("calls", window=kind), "by": {"country": ["DE"], **by}})
        layouts = [
            compile_layout(definition, Window.containing(definition.window, FIRST_HOUR + 5 * n)) for n in range(40)
        ]
        seen = {tuple((b.cells, b.sigma_squared, b.quantum) for b in layout.blocks) for layout in layouts}
        assert len(seen) == 1


def test_a_cap_in_the_ledgers_units(founding: Founding) -> None:
    """Rounded down, with δ of 1e-8 a day."""
    from protocol.windows import parse_window

    rules = founding.rules()
    assert rules.cap_of(parse_window("2026-11-01/P1D")) == Charge("2026-11-01/P1D", CAP_NANO, 10**10)
    assert rules.cap_of(parse_window("2026-11-01T00/PT1H")) is None
