"""Endpoints: an origin in one spelling, and http only where it cannot leave the machine."""

from __future__ import annotations

import pytest

from protocol import canonical
from protocol.endpoints import Endpoint, check_url, parse_endpoint
from protocol.errors import MalformedMessage

PUBLIC = [
    "https://node.example",
    "https://node.example:8443",
    "https://a.b-c.example",
    "https://8.8.8.8",
    "https://[2001:4860:4860::8888]:444",
]
PRIVATE = [
    "http://127.0.0.1:7700", "http://127.1.2.3", "http://[::1]:7700", "https://127.0.0.1", "https://10.0.0.1",
    "https://192.168.1.1:8443",
    "https://172.16.0.1", "https://169.254.169.254", "https://[fd00::1]", "https://[fe80::1]",
    "https://[2002:7f00:1::1]", "https://[64:ff9b::7f00:1]", "https://[::]",
    "https://100.64.0.1", "https://0.0.0.0",
]  # fmt: skip


@pytest.mark.requirement("M-END-1", "M-END-3")
@pytest.mark.parametrize("url", PUBLIC + PRIVATE)
def test_origins_are_accepted(url: str) -> None:
    """And whether the charter must allow them is told apart."""
    endpoint = Endpoint(url, bytes(32))
    assert parse_endpoint(canonical.decode(canonical.encode(endpoint.value()))) == endpoint
    assert endpoint.needs_private == (url in PRIVATE)


@pytest.mark.requirement("M-END-1", "M-END-2")
@pytest.mark.parametrize(
    "url",
    [
        "", "node.example", "ftp://node.example", "https://", "https://node.example/", "https://node.example/path",
        "https://node.example?x", "https://node.example#x", "https://user@node.example", "https://NODE.example",
        "HTTPS://node.example", "https://node.example:", "https://node.example:0", "https://node.example:080",
        "https://node.example:65536", "https://node.example:443", "http://127.0.0.1:80", "https://node..example",
        "https://-node.example", "https://node.example.", "https://nö.example", "https://1.2.3", "https://0x7f.1",
        "https://127.1", "https://2130706433", "https://010.0.0.1", "https://[::1", "https://[0:0::1]", "https://[::ffff:1]x",
        "https://[::ffff:7f00:1]", "https://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]",
        "https://node.example\n", "https://no de.example", "https://a" + "a" * 300,
        "http://node.example", "http://10.0.0.1", "http://localhost:7700", "http://127.0.0.1.example", "http://0.0.0.0",
    ],
)  # fmt: skip
def test_everything_else_is_refused(url: str) -> None:
    """Paths, users, second spellings of one address, and plain http to another machine."""
    with pytest.raises(MalformedMessage):
        check_url(url)


@pytest.mark.requirement("M-END-1")
@pytest.mark.parametrize(
    "value",
    [
        {},
        {"url": "https://node.example", "path": "/"},
        {"url": b"https://node.example"},
        {"url": "https://node.example", "tls_pin": bytes(31)},
        {"url": "https://node.example", "tls_pin": None},
        ["https://node.example"],
    ],
)
def test_bad_maps_are_refused(value: canonical.Value) -> None:
    """Closed, and the pin is 32 bytes or absent."""
    with pytest.raises(MalformedMessage):
        parse_endpoint(value)
