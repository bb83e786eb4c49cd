"""A country database from file to row: the sender's address becomes a country, and is nowhere afterwards."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.errors import ConfigError
from node.http.origin import open_country_database
from tests.mmdb import database_of
from tests.one_node import OneNode

pytest.importorskip("maxminddb")
ORIGIN = "https://shop.example"
NETWORKS = {
    "192.0.2.0/25": {"country": {"iso_code": "DE"}},  # as MaxMind and DB-IP write
    "198.51.100.0/24": {"country_code": "FR"},  # as ip-location-db writes
    "203.0.113.0/24": {"continent": "EU"},
    "2001:db8::/32": {"country": {"iso_code": "PT"}},
}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(database_of(NETWORKS))
    return path


@pytest.mark.parametrize(
    ("address", "country"),
    [("192.0.2.9", "DE"), ("192.0.2.200", None), ("198.51.100.1", "FR"), ("203.0.113.5", None), ("2001:db8::7", "PT"),
     ("no address", None)],
    ids=["v4", "outside", "flat", "other", "v6", "none"],
)  # fmt: skip
def test_a_database_is_read(file: Path, address: str, country: str | None) -> None:
    assert open_country_database(file)(address) == country


def test_what_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"cannot be read.*\.mmdb file with countries"):
        open_country_database(path)


def test_an_address_becomes_a_country_and_is_gone(tmp_path: Path, file: Path) -> None:
    """Through a trusted proxy into a running node, and from an access log's lines; the event's own hint comes last."""
    node = OneNode(tmp_path / "node")
    config = node.folder / "node.toml"
    said = f'[listen]\ntrusted_proxies = ["127.0.0.1"]\ncountry_database = "{file}"'
    config.write_text(config.read_text().replace("[listen]", said, 1))
    node.start()
    try:
        key = node.key("--origin", ORIGIN)
        for number, address in enumerate(["192.0.2.9", "198.51.100.1", "2001:db8::7", "203.0.113.77"]):
            event = {"app": "shop", "action": "view", "timestamp": datetime.now(UTC).timestamp(), "geo_hint": "IT",
                     "session_id": f"s{number}", "event_id": number}  # fmt: skip
            headers = {"Authorization": f"Bearer {key}", "Origin": ORIGIN, "X-Forwarded-For": f"10.0.0.1, {address}",
                       "Content-Type": "application/json"}  # fmt: skip
            asked = urllib.request.Request(f"{node.url}/v1/events", json.dumps(event).encode(), headers)
            with urllib.request.urlopen(asked) as answer:
                assert json.load(answer)["accepted"] == 1
        log = f'198.51.100.7 - - [{datetime.now(UTC):%d/%b/%Y:%H:%M:%S +0000}] "GET / HTTP/1.1" 200 5\n'
        sent = node.murmur("import", "-", "--format", "log", "--app", "shop", "--action", "view", stdin=log.encode())
        assert "1  accepted" in sent
        found = node.murmur("export-person", "--kind", "session", stdin=b"s0\ns1\ns2\ns3\n")
    finally:
        node.stop()
    assert sorted(json.loads(line)["country"] for line in found.splitlines()) == ["DE", "FR", "IT", "PT"]
    assert sorted(row["country"] for row in node.stored()) == ["DE", "FR", "FR", "IT", "PT"]
    content = b"".join(path.read_bytes() for path in node.folder.rglob("*") if path.is_file())
    for address in (b"192.0.2.9", b"198.51.100", b"203.0.113.77", b"2001:db8::7"):
        assert address not in content
