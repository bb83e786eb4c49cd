"""Every interval and limit of the mesh, in one value. The shell takes what an operator may change from node.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.budget import Rate

PUSHED_BYTES: Final = Rate(2 << 20, 32 << 20)
PUSHED_REQUESTS: Final = Rate(20, 400)
PUSHED_ENTRIES: Final = Rate(500, 8_192)  # each costs a verification, about 0.1 ms


@dataclass(frozen=True, slots=True)
class Settings:
    """Intervals in milliseconds, sizes in bytes. The defaults are those of PROTOCOL 4."""

    sync_interval_ms: int = 90_000  # anti-entropy with one random peer, ± 50 %
    push_delay_ms: int = 20  # own entries committed within this time share a request
    settle_ms: int = 250  # unequal digests heal by themselves while pushes are under way; then we ask
    backoff_first_ms: int = 500
    backoff_most_ms: int = 300_000
    request_timeout_ms: int = 30_000  # after this the core gives a request up, whatever the shell does
    fresh_ms: int = 600_000  # a request's date may differ from ours by this much
    nonce_memory_ms: int = 1_500_000
    nonces_per_peer: int = 8_192  # about 1.5 MB a peer at worst, and 5 requests a second for 25 minutes
    early_per_peer: int = 64  # verified entries that came before the ones they follow
    charter_again_ms: int = 60_000  # a peer that names charters and shows no new one is asked so often at most
    sessions_at_once: int = 8
    request_bytes: int = 1 << 20  # any proxy's default lets this through (notes/mesh.md 1.2)
    payload_bytes: int = (1 << 20) - (16 << 10)  # what is left of a request for its payload
    payload_entries: int = 512
    opaque_bytes: int = 64 << 20  # bodies of one author that this software cannot read; beyond, their headers alone
    headers_at_once: int = 512
    push_up_to: int = 150  # members; above, entries are announced to a few and fetched
    announce_to: int = 8
    spans_above: int = 500  # authors; above, heads are compared by fingerprints of spans
    unreachable_interval_ms: int = 15_000  # a node without an endpoint is pushed nothing: it asks two peers so often
    pushed_bytes: Rate = PUSHED_BYTES  # a peer may push so much a second, and so much at once
    pushed_requests: Rate = PUSHED_REQUESTS
    pushed_entries: Rate = PUSHED_ENTRIES
