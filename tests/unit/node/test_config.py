"""node.toml: what it means, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from node.config import Address, load_config, parse_config
from node.errors import ConfigError

PLAIN = """
name = "shop"
anchor = "anchor"
[listen]
public = "127.0.0.1:7700"
[mesh]
advertise = "http://127.0.0.1:7710"
[backfill]
from = "2026-11-05"
"""


def test_defaults_fill_what_is_not_said(tmp_path: Path) -> None:
    """One public address serves all three listeners, and the usual intervals hold."""
    config = parse_config(PLAIN, tmp_path / "node.toml")
    assert config.listen.public == config.listen.mesh == config.listen.research == Address("127.0.0.1", 7700)
    assert config.data == tmp_path.resolve() / "data"
    assert config.backfill_from == date(2026, 11, 5)
    assert (config.epoch, config.release_tick_s, config.mesh.sync_interval_s) == ("day", 300, 90.0)


def test_workers_are_one_to_sixteen_and_not_with_tls(tmp_path: Path) -> None:
    def listen(lines: str) -> int:
        return parse_config(PLAIN.replace("[listen]", f"[listen]\n{lines}"), tmp_path / "node.toml").listen.workers

    assert (listen(""), listen("workers = 2")) == (1, 2)
    for lines in ("workers = 0", "workers = 17", "workers = true", "workers = 2\nself_signed = true"):
        with pytest.raises(ConfigError):
            listen(lines)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ('name = "shop"\nnmae = "x"', "Did you mean name"),
        ("name = 3", '"name" is missing or not text'),
        ('name = "shop"\nepoch = "year"', "epoch"),
        ('name = "shop"\nlog = 3', "not a section"),
    ],
)
def test_bad_lines_are_refused_with_the_key(tmp_path: Path, change: str, part: str) -> None:
    """Each refusal names the key and says what to write."""
    with pytest.raises(ConfigError) as caught:
        parse_config(PLAIN.replace('name = "shop"', change), tmp_path / "node.toml")
    assert part in str(caught.value)
    assert caught.value.code == "config_invalid"


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.0.2.1:7700"])
def test_plain_http_in_the_open_is_refused(tmp_path: Path, address: str) -> None:
    """Without a proxy in front, a listener that others can reach would speak without TLS."""
    with pytest.raises(ConfigError, match="behind_proxy"):
        parse_config(PLAIN.replace("127.0.0.1:7700", address), tmp_path / "node.toml")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", ":7700", "host:port"])
def test_an_address_needs_host_and_port(tmp_path: Path, address: str) -> None:
    """HOST:PORT, nothing else."""
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_config(PLAIN.replace("127.0.0.1:7700", address), tmp_path / "node.toml")


def test_an_anchor_inside_the_data_folder_is_refused(tmp_path: Path) -> None:
    """A restored data folder must not bring its own witness along."""
    with pytest.raises(ConfigError, match="inside the data folder"):
        parse_config(PLAIN.replace('"anchor"', '"data/anchor"'), tmp_path / "node.toml")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """No stack trace for a wrong path."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.toml")
