"""Watching what envelopes say on the side: another charter, another clock. Reported once, and decided nowhere."""

from __future__ import annotations

from federation.batch import Batch
from federation.peers import Peer
from federation.rules import Rules
from federation.settings import Settings


def watch_charter(peer: Peer, charter: bytes, rules: Rules, batch: Batch) -> None:
    """Raise the alarm when an authentic word names another charter than ours, once per charter."""
    ours = rules.stamp.hash
    if charter not in (ours, peer.charter_alarm):
        peer.charter_alarm = charter
        batch.alarm("charter-differs", peer=peer.node.hex(), theirs=charter.hex(), ours=ours.hex())


def watch_clock(peer: Peer, settings: Settings, batch: Batch) -> None:
    """Raise the alarm when the peer's clock and ours lie too far apart, once until they meet again."""
    skew_ms = peer.skew_ms or 0
    is_off = abs(skew_ms) > settings.fresh_ms
    if is_off and not peer.skew_alarm:
        batch.alarm("clock-skew", peer=peer.node.hex(), skew_ms=skew_ms)
    peer.skew_alarm = is_off
