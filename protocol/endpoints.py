"""Endpoints: where a node answers the mesh. `{url, tls_pin?}` (specs/mesh.md 7).

The URL is an origin and nothing else: `https://host[:port]`, lower case, no path, query, user or fragment, so
that two texts never name one place by accident and nobody steers a request to another path. Plain http only to
a literal loopback address; http and literal private addresses only when the charter allows private addresses.
Names are resolved, and the address checked again, by the node that connects.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol.canonical import Encodable, Value
from protocol.errors import MalformedMessage
from protocol.fields import Fields, without_none

MAX_URL_CHARACTERS: Final = 255

_URL: Final = re.compile(r"(https?)://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?", re.ASCII)
# Our own lists: what `ipaddress` calls private differs between Python versions, and every node must agree.
_PRIVATE_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
            "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V6: Final = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16")))
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An origin, and the SHA-256 of the TLS public key (SPKI) expected there when no system CA vouches for it."""

    url: str
    tls_pin: bytes | None = None

    def value(self) -> Encodable:
        """The wire form: a map."""
        return without_none({"url": self.url, "tls_pin": self.tls_pin})

    @property
    def needs_private(self) -> bool:
        """Whether this endpoint may stand only under a charter with `allow_private`."""
        return self.url.startswith("http://") or _is_private(_URL.fullmatch(self.url))


def parse_endpoint(value: Value, what: str = "endpoint") -> Endpoint:
    """An endpoint from its wire map.

    Raises:
        MalformedMessage: unknown field, not an origin, a port above 65535, or http to anything but a loopback
        address.
    """
    fields = Fields(value, what)
    url = check_url(fields.text("url", MAX_URL_CHARACTERS), what)
    pin = fields.optional("tls_pin", fields.bytes_of)
    fields.done()
    return Endpoint(url, pin)


def check_url(url: str, what: str = "endpoint") -> str:
    """The URL itself, when it is an origin of the one form allowed.

    Raises:
        MalformedMessage: it is not.
    """
    match = _URL.fullmatch(url)
    if match is None or len(url) > MAX_URL_CHARACTERS or int(match[3] or 0) > 65_535:
        raise _refused(what, url, "an endpoint is https://host or https://host:port, lower case, without a path")
    if _address(match) is None and not _is_host_name(match[2]):
        raise _refused(what, url, "the host is neither a name nor an address in its usual form")
    if match[3] == {"https": "443", "http": "80"}[match[1]]:
        raise _refused(what, url, "the port every client assumes is left out")
    if match[1] == "http" and not _is_loopback(match):
        raise _refused(what, url, "plain http is for literal loopback addresses only")
    return url


def is_private_address(text: str) -> bool:
    """Whether a literal IP address, an IPv6 zone perhaps behind it, is on the lists of specs/mesh.md 7.2.

    An IPv4-mapped one is judged as the IPv4 address in it. Raises ValueError for what is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return _is_listed(mapped or address)


def _address(match: re.Match[str]) -> _Address | None:
    """The literal address, when the host is one in its only spelling; IPv4 inside IPv6 has none."""
    host = match[2]
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address if host == f"[{address}]" and address.ipv4_mapped is None else None
    return address if host == str(address) else None


def _is_host_name(host: str) -> bool:
    """A name whose last label is not a number: `1.2.3` and `0x7f.1` are addresses to some resolvers."""
    labels = host.split(".")
    return all(map(_LABEL.fullmatch, labels)) and not labels[-1][0].isdigit()


def _is_loopback(match: re.Match[str]) -> bool:
    address = _address(match)
    return address is not None and address.is_loopback


def _is_private(match: re.Match[str] | None) -> bool:
    address = _address(match) if match else None
    return address is not None and _is_listed(address)


def _is_listed(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _PRIVATE_V4)
    return address not in _GLOBAL_V6 or any(address in network for network in _PRIVATE_V6)


def _refused(what: str, url: str, why: str) -> MalformedMessage:
    return MalformedMessage(what=f"{what} {url!r} refused", why=why, fix="Correct mesh.advertise in node.toml")
