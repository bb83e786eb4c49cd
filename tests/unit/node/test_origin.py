"""Who a browser's request comes from: proxies are walked from right to left, and only trusted ones are believed."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from node.http.origin import Origins
from node.senders import OriginConfig, parse_networks

PROXIES = parse_networks(["127.0.0.1", "10.0.0.0/8"])


def request(peer: str | None, *forwarded: str, **headers: str):  # type: ignore[no-untyped-def]
    named = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])
    named.extend({name.replace("_", "-"): value for name, value in headers.items()})
    return make_mocked_request("POST", "/", headers=named).clone(remote=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # no proxy of ours: its header is its own invention
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),  # what stands further left is not read
        ("127.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("127.0.0.1", ["198.51.100.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (None, ["198.51.100.1"], None),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
    ],
)
def test_the_first_address_that_is_no_proxy_of_ours_counts(
    peer: str | None, forwarded: list[str], address: str | None
) -> None:
    assert Origins(OriginConfig(PROXIES)).address(request(peer, *forwarded)) == address


@pytest.mark.parametrize(
    ("peer", "said", "country"),
    [("127.0.0.1", "de", "DE"), ("127.0.0.1", "XX", "FR"), ("127.0.0.1", "1x", "FR"), ("203.0.113.9", "DE", "FR")],
)
def test_a_country_is_believed_from_a_trusted_proxy_then_from_the_database(peer: str, said: str, country: str) -> None:
    origins = Origins(OriginConfig(PROXIES, "X-Country"), lambda address: "FR")
    assert origins.country(request(peer, X_Country=said), "198.51.100.1") == country


def test_without_proxy_and_database_nobody_says_a_country() -> None:
    assert Origins(OriginConfig()).country(request("203.0.113.9", CF_IPCountry="DE"), "203.0.113.9") is None
