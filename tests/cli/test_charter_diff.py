"""A proposal as people read it before they sign."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from federation.definitions import definition_bytes
from node.charter_diff import difference, late
from node.cli.kit.ballot import make_ballot, parse_ballot
from node.cli.kit.charter_words import charter_lines
from node.cli.kit.failures import CommandRefused
from node.cli.kit.founding import FoundingMetric
from node.cli.kit.proposing import Wishes, next_charter
from privacy.definition import parse_definition
from protocol.bundle import Bundle
from protocol.charter import Charter, Cut
from protocol.charter_chain import NOTICE_S, verify_successor
from protocol.charter_document import CharterDocument
from protocol.errors import ProtocolError
from protocol.ids import EntryId
from protocol.join_request import parse_join_request
from protocol.objects import definition_hash
from tests.simulation.founding import tree
from tests.unit.protocol.charters import DAY_S, VOICES, accepted, founded, signed
from tests.unit.protocol.samples import ALL, FOUNDED, NAMES, cast, key

FIRST = founded().tip
NOW_S = FIRST.charter.created + DAY_S
HOUR = NOW_S // 3600
NEWCOMER = cast("newcomer")
CUT = Cut(0, 41, EntryId(bytes(32)))
METRIC = FoundingMetric(Path("visits.yaml"), parse_definition(tree("visits")), definition_bytes(tree("visits")))


def made(**wishes: object) -> Charter:
    return next_charter([(FIRST.hash, FIRST.charter)], Wishes(**wishes), NOW_S)  # type: ignore[arg-type]


def lines(charter: Charter) -> list[str]:
    found = difference(FIRST.charter, charter, {definition_hash(METRIC.body): METRIC.body})
    return [line for line in found if not line.startswith("holds until")]


def test_a_renewal_changes_nothing_else() -> None:
    """The same rules, a day younger and 400 days long."""
    charter = made()
    assert lines(charter) == []
    assert (charter.version, charter.expires - charter.created) == (2, 400 * DAY_S)


def test_organisations_of_a_sum_are_proposed_told_and_shown() -> None:
    """From the wish to the charter's words; a later charter keeps the number."""
    charter = made(min_organisations=3)
    assert lines(charter) == ["shows an answer from 3 organisations on, instead of 1"]
    kept = next_charter([(FIRST.hash, charter)], Wishes(), NOW_S)
    assert kept.min_organisations == 3
    shown = charter_lines(Bundle(CharterDocument(charter.encode()), (), ()))
    assert "  shows        sums of 3 organisations or more" in shown
    assert not any(
        line.startswith("  shows") for line in charter_lines(Bundle(CharterDocument(made().encode()), (), ()))
    )


def test_a_cap_is_told_in_epsilon_and_with_its_first_day() -> None:
    """As DESIGN asks for: raises … from … to … for epochs that begin after …"""
    [line] = lines(made(caps={"day": Fraction(1, 30)}))
    assert line.startswith("raises the day cap from rho 1/40 (ε 1.")
    assert "to 1/30 (ε 1." in line
    assert line.endswith("UTC")
    [line] = lines(made(caps={"week": Fraction(1, 100)}))
    assert line.startswith("lowers the week cap")


def test_a_new_metric_says_what_it_would_collect_and_from_when() -> None:
    """The question, the measure, the bound and the price; old data are named."""
    old, later = (lines(made(metrics=[(METRIC, hour)])) for hour in (HOUR - 48, HOUR + 48))
    assert old[0].startswith('would newly collect visits: "How many visits?"')
    assert "rho 1/400 (ε" in old[0]
    assert "from data of earlier days, too" in old[1]
    assert len(later) == 1


def test_members_and_votes_are_told_with_fingerprints() -> None:
    """Admitted with a key, removed with an entry and a vote, a root and a key replaced."""
    request = parse_join_request(NEWCOMER.join_request)
    admitted = lines(made(add=[(request, HOUR + 24)]))
    assert any(line.startswith("gives newcomer (") for line in admitted)
    assert any(line.startswith("admits newcomer of newcomer (") for line in admitted)
    assert "lets 3 of 5 organisations decide, instead of 3 of 4" in admitted
    removed = lines(made(remove={"harmonie": CUT}))
    assert any("after entry 41 of its log" in line for line in removed)
    assert "takes the vote of harmonie away" in removed
    assert any(
        line.startswith("replaces the root key of") for line in lines(made(roots={"harmonie": key("r").public_key}))
    )
    assert any(
        line.startswith("replaces the governance key") for line in lines(made(keys={"harmonie": key("g").public_key}))
    )


def test_an_ended_metric_is_told_and_needs_notice() -> None:
    """48 hours after the charter was made, or later."""
    [line] = lines(made(ends={"people_by_app": HOUR + 72}))
    assert line.startswith("would stop to collect people_by_app")
    with pytest.raises(CommandRefused, match="48 hours"):
        made(ends={"people_by_app": HOUR + 24})


@pytest.mark.parametrize(
    "wishes",
    [
        {"remove": {"nobody": CUT}}, {"readmit": ["nobody"]}, {"roots": {"nobody": bytes(32)}},
        {"keys": {"nobody": bytes(32)}}, {"ends": {"nothing": HOUR + 72}}, {"threshold": 2},
        {"add": [(parse_join_request(ALL["harmonie"].join_request), HOUR)]},
        {"add": [(parse_join_request(cast("a", governance_key=key("x").public_key).join_request), HOUR)],
         "threshold": 2},
    ],
    ids=range(8),
)  # fmt: skip
def test_what_cannot_follow_is_refused_before_anybody_is_asked(wishes: dict[str, object]) -> None:
    """By name, with something to do."""
    with pytest.raises(CommandRefused):
        made(**wishes)


def test_a_healing_charter_keeps_what_either_side_added() -> None:
    """A metric of the one, a member of the other."""
    one = accepted(FIRST, *NAMES[:3], catalogue=made(metrics=[(METRIC, HOUR)]).catalogue)
    body = made(add=[(parse_join_request(NEWCOMER.join_request), HOUR + 24)]).encode()
    keys = [*VOICES.values(), NEWCOMER.governance]
    other = verify_successor(signed(body, keys, FOUNDED), {FIRST.hash: FIRST}, FOUNDED)
    for parents in ((one, other), (other, one)):
        charter = next_charter([(item.hash, item.charter) for item in parents], Wishes(), NOW_S)
        assert {row.name for row in charter.catalogue} == {"people_by_app", "visits"}
        assert charter.member(NEWCOMER.node) is not None
        assert (len(charter.organisations), len(charter.previous), charter.version) == (5, 2, 3)


def test_whoever_signs_late_is_told() -> None:
    """Caps and ends that would judge days which have begun."""
    charter = made(caps={"day": Fraction(1, 30)})
    assert late(FIRST.charter, charter, charter.created + NOTICE_S - 1) is None
    assert "have begun" in str(late(FIRST.charter, charter, charter.created + NOTICE_S))
    assert late(FIRST.charter, made(name="other"), NOW_S + 10 * NOTICE_S) is None


def test_a_ballot_carries_everything_and_trusts_nobody() -> None:
    """Signed offline; every changed byte is refused; a stranger's key is."""
    body = made(caps={"day": Fraction(1, 30)}).encode()
    ballot = make_ballot([FIRST.document.encode()], CharterDocument(body), [])
    for name in NAMES[:3]:
        ballot = parse_ballot(ballot.encode()).sign(VOICES[name])
    assert ballot.document == signed(body, [VOICES[name] for name in NAMES[:3]], FOUNDED)
    raw = ballot.encode()
    for place in range(0, len(raw), 97):
        bad = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(ProtocolError):
            parse_ballot(bad)
    with pytest.raises(CommandRefused, match="no organisation"):
        ballot.sign(key("stranger"))
    unrelated = replace(FIRST.charter, version=3, previous=(FIRST.hash,))
    with pytest.raises(ProtocolError):
        make_ballot([FIRST.document.encode()], CharterDocument(unrelated.encode()), [])
