"""The few peers of whom something may call for a session: exactly those, whatever happens to them."""

from __future__ import annotations

from federation.roster import Roster
from federation.settings import Settings
from protocol.ids import NodeId

NODES = [NodeId(bytes([place]) * 32) for place in range(5)]


def calm() -> Roster:
    """Five peers of whom nothing is wanted."""
    roster = Roster(NODES, Settings())
    for peer in roster.values():
        peer.sync_due_ms = None
    return roster


def test_new_peers_are_wanted_and_known_ones_stay_what_they_are() -> None:
    roster = Roster(NODES[:4], Settings())
    assert [peer.place for peer in roster.stirred()] == [0, 1, 2, 3]
    first = roster[NODES[0]]
    assert roster.admit(NODES[0]) is first
    assert (roster.admit(NODES[4]).place, list(roster)) == (4, NODES)


def test_whoever_calls_for_a_session_is_found_and_nobody_else() -> None:
    """A session that is due, heads that differ, an announcement; each again when it is gone."""
    roster = calm()
    assert roster.stirred() == []
    due, unequal, announcing = (roster[node] for node in NODES[1:4])
    due.sync_due_ms = 7
    unequal.spoke(5, b"theirs", b"ours", (0, 3))
    announcing.announce(NODES[0])
    assert roster.stirred() == [due, unequal, announcing]
    due.sync_due_ms = None
    unequal.spoke(6, b"ours", b"ours", (0, 3))
    announcing.announced = set()
    assert roster.stirred() == []
    assert unequal.held == (0, 3)
    assert all(peer.wants_sync_at(Settings()) is None for peer in roster.values())
