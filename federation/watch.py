"""Watching what envelopes say on the side: another charter, another clock.

A charter is believed only when it was fetched and verified (specs/charter.md 3.5); a clock is reported once.
"""

from __future__ import annotations

from federation.batch import Batch
from federation.charter_book import CharterBook
from federation.peers import Peer
from federation.rules import CharterStamp
from federation.settings import Settings


def watch_charter(peer: Peer, stamp: CharterStamp, book: CharterBook, settings: Settings, now_ms: int) -> None:
    """Note the charter an authentic word names; one that is not known here and not shorter is worth fetching."""
    peer.stamp = stamp
    if stamp.hash in book.known or stamp.version < book.chain.charter.version:
        peer.charter_due = False
        return
    peer.charter_due = True
    asked = peer.charter_asked_ms
    due = now_ms if asked is None else max(now_ms, asked + settings.charter_again_ms)
    peer.sync_due_ms = due if peer.sync_due_ms is None else min(peer.sync_due_ms, due)


def report_charter(peer: Peer, book: CharterBook, batch: Batch) -> None:
    """Raise the alarm when a peer was asked for its charter and did not show it whole, once per charter."""
    if not peer.charter_due or peer.stamp is None or peer.stamp.hash in (*book.known, peer.charter_alarm):
        return
    peer.charter_alarm = peer.stamp.hash
    ours = book.chain.tip.hash
    batch.alarm("charter-differs", peer=peer.node.hex(), theirs=peer.stamp.hash.hex(), ours=ours.hex())


def watch_clock(peer: Peer, settings: Settings, batch: Batch) -> None:
    """Raise the alarm when the peer's clock and ours lie too far apart, once until they meet again."""
    skew_ms = peer.skew_ms or 0
    is_off = abs(skew_ms) > settings.fresh_ms
    if is_off and not peer.skew_alarm:
        batch.alarm("clock-skew", peer=peer.node.hex(), skew_ms=skew_ms)
    peer.skew_alarm = is_off
