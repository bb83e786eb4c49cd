"""A sealed governance key: each command that signs with it says how it opens, and opens it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Murmur, init_arguments


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.keyfiles.OPS", 1)
    monkeypatch.setattr("node.keyfiles.KIB", 8)


def test_a_founder_signs_with_a_sealed_governance_key(
    murmur: Murmur, plan: Path, metrics: Path, tmp_path: Path
) -> None:
    """Without the passphrase nothing is signed, and the message names the option; with it the charter holds."""
    (tmp_path / "a").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("six words that nobody guesses\n")
    secret.chmod(0o600)
    assert murmur(*init_arguments("a", plan)).code == 0
    said = murmur(
        "keys", "passwd", "--key", "a/governance.key", "--new-passphrase-file", secret, "--config", "a/node.toml"
    )
    assert said.code == 0, said.err
    assert murmur("federation", "create", "--with", "a/request.murmur", "--metrics", metrics, "--name", "one",
                  "--counts-from", "2026-11-01", "--allow-private", "--out", "charter").code == 0  # fmt: skip
    sign = ("charter", "sign", "charter", "--governance-key", "a/governance.key")
    before = (tmp_path / "charter").read_bytes()
    said = murmur(*sign)
    assert (said.code, "murmur --passphrase-file FILE" in said.err) == (2, True)
    assert (tmp_path / "charter").read_bytes() == before
    said = murmur("--passphrase-file", secret, *sign)
    assert said.code == 0, said.err
    assert (tmp_path / "charter").read_bytes() != before
    assert murmur("charter", "accept", "charter", "--config", "a/node.toml").code == 0
