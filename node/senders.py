"""What node.toml says about senders: whom to believe about their origin, and how much each may send. Plain values."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class OriginConfig:
    """`[listen] trusted_proxies, country_header, country_database` of node.toml."""

    trusted_proxies: tuple[Network, ...] = ()
    country_header: str | None = None
    country_database: Path | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """`[limits]` of node.toml: requests a second, and ten seconds of them at once.

    Args:
        server: Of one server key.
        browser: Of one browser key, from all addresses.
        address: Of one address, with browser keys.
    """

    server: float = 50_000
    browser: float = 2_000
    address: float = 20


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks such as 127.0.0.1 or 10.0.0.0/8; ValueError otherwise."""
    return tuple(ipaddress.ip_network(text) for text in texts)
