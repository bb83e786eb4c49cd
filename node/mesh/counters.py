"""Bytes of mesh bodies that left and reached this node, by peer: operator plane only."""

from __future__ import annotations

from collections import Counter
from typing import Any

UNKNOWN = "unknown"


class MeshCounters:
    """Request and response bodies as they are on the wire, without HTTP framing and TLS."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()

    def snapshot(self) -> dict[str, Any]:
        """Totals and per peer (node id as hex, or "unknown" for a request that names no peer)."""
        return {
            "sent_bytes": self.sent.total(),
            "received_bytes": self.received.total(),
            "sent": dict(self.sent),
            "received": dict(self.received),
        }
