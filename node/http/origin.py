"""Who is on the other end of a browser's request: its address, its country, its user agent. In memory only.

- Behind proxies the address is found by walking X-Forwarded-For from right to left past `trusted_proxies`; the first
  address that is no trusted proxy is the sender's. What stands further left was written by the sender and is not read.
- Country: the trusted proxy's header, else the operator's country database (mmdb), else nothing: then the event's own
  hint counts. An address leaves this module as a country, as a bucket's key, or as the input of a person's pseudonym.
- Only browser keys are looked at: a server's own address says nothing about its users.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from multidict import CIMultiDictProxy

from node.errors import ConfigError
from node.senders import OriginConfig

CountryOf = Callable[[str], str | None]


class Asked(Protocol):
    """A request without its body, as `aiohttp.web.Request` has it."""

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def query_string(self) -> str: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def remote(self) -> str | None: ...


_MAX_HOPS: Final = 16
_MAX_AGENT: Final = 256  # characters


class Origins:
    """Reads a request's origin.

    Args:
        config: What to trust.
        country_of: From an address to its country, from the operator's database.
    """

    def __init__(self, config: OriginConfig, country_of: CountryOf | None = None) -> None:
        self._trusted = config.trusted_proxies
        self._header = config.country_header
        self._country_of = country_of

    def address(self, request: Asked) -> str | None:
        """The sender's IP address, None where it has none (a unix socket)."""
        peer = request.remote
        if peer is None or not self._trusted or not self._is_trusted(peer):
            return peer if peer is None else _address(peer) or peer
        hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
        found = _address(peer) or peer
        for hop in reversed(hops[-_MAX_HOPS:]):
            address = _address(hop)
            if address is None:
                break
            found = address
            if not self._is_trusted(address):
                break
        return found

    def country(self, request: Asked, address: str | None) -> str | None:
        """Two letters, or None where nobody who is trusted says."""
        peer = request.remote
        if self._header is not None and peer is not None and self._is_trusted(peer):
            said = request.headers.get(self._header, "").strip()
            if len(said) == 2 and said.isascii() and said.isalpha() and said.upper() not in ("XX", "ZZ"):
                return said.upper()
        if self._country_of is not None and address is not None:
            return self._country_of(address)
        return None

    def person(self, request: Asked, address: str | None) -> str | None:
        """What an app of person kind `address` hashes: address and user agent."""
        if address is None:
            return None
        return f"{address}\n{request.headers.get('User-Agent', '')[:_MAX_AGENT]}"

    def _is_trusted(self, text: str) -> bool:
        found = _address(text)
        if found is None:
            return False
        address = ipaddress.ip_address(found)
        return any(address in network for network in self._trusted)


def open_country_database(path: Path) -> CountryOf:
    """Look countries up in a MaxMind-format database.

    Raises:
        ConfigError: the package `maxminddb` is not installed, or the file cannot be read.
    """
    try:
        import maxminddb  # type: ignore[import-not-found, unused-ignore]  # optional
    except ImportError as error:
        raise ConfigError(
            code="country_database",
            what="The country database cannot be used",
            why="the Python package maxminddb is not installed",
            fix='Install "murmur[country]", or take country_database out of node.toml',
        ) from error
    try:
        reader: Any = maxminddb.open_database(str(path))
    except Exception as error:
        raise ConfigError(
            code="country_database",
            what=f"The country database {path} cannot be read",
            why=type(error).__name__,
            fix="Give the path of an .mmdb file with countries",
        ) from error

    def country_of(address: str) -> str | None:
        try:
            found = reader.get(address)
        except ValueError:
            return None
        record = found if isinstance(found, dict) else {}
        country = record.get("country")
        code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code")
        return code if isinstance(code, str) else None

    return country_of


def _address(text: str) -> str | None:
    """The address in one entry of X-Forwarded-For: bare, with a port, or in brackets. One of IPv4 in IPv6 is IPv4."""
    bare = text.removeprefix("[").partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
        return str(getattr(address, "ipv4_mapped", None) or address)
    except ValueError:
        return None
