"""`murmur doctor`: everything at once, in time, each row with what to do; also of a node that does not run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.checkup import Finding, lost_keys, run_checks
from tests.integration.typed import Typed
from tests.node_kit import DAY_S, HandClock, Shop, found_shop, until
from tests.simulation.founding import found

ROWS = {
    "clock", "ingest", "own log", "peers", "in step", "clocks", "frozen logs", "bodies", "refused", "charter",
    "signing key", "key files", "committed key", "root key", "a lost key", "a lost governance key", "anchor", "disk",
    "API keys", "audit log", "backup", "decisions",
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def states(typed: Typed, code: int = 0) -> dict[str, str]:
    told = await typed.json("doctor", code=code)
    assert told["schema"] == "murmur.doctor/1"
    assert all(row["detail"] for row in told["checks"])
    assert all(row["fix"] for row in told["checks"] if row["state"] != "pass")
    return {row["name"]: row["state"] for row in told["checks"]}


async def test_every_check_of_a_well_node(shop: Shop, typed: Typed) -> None:
    """Warnings are of what an operator has not done yet; nothing fails, and it takes well under five seconds."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        begun = time.monotonic()
        found = await states(typed)
        assert time.monotonic() - begun < 5
        assert set(found) >= ROWS
        assert {name for name, state in found.items() if state == "warn"} == {
            "key files", "root key", "a lost governance key", "backup",
        }  # fmt: skip
        assert "all the" not in await typed("doctor", "--quiet-passes")


async def test_what_is_not_well_is_named_with_what_to_do(shop: Shop, typed: Typed) -> None:
    """A readable key, a missing anchor, an old key, an ending token, a lost committed key, an expired charter."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        await typed("tokens", "create", "--read", "--expires", "3d")
        assert (await states(typed))["API keys"] == "warn"
        (shop.data / "keys/next.key").chmod(0o644)
        (shop.folder / "anchor").unlink()
        found = await states(typed, code=1)
        assert (found["key files"], found["anchor"], found["committed key"]) == ("fail", "fail", "fail")
        assert "chmod 600" in await typed("doctor", "--quiet-passes", code=1)
        (shop.data / "keys/next.key").unlink()
        assert (await states(typed, code=1))["committed key"] == "fail"
        clock.pass_time(91 * DAY_S)
        assert (await states(typed, code=1))["signing key"] == "warn"
        clock.pass_time(400 * DAY_S)
        assert (await states(typed, code=1))["charter"] == "fail"
        said = await typed("doctor", code=1)
        assert "nothing is released until it is renewed" in said


async def test_a_node_that_does_not_run_is_looked_at_from_outside(shop: Shop, typed: Typed) -> None:
    """Its files, its disk, and that it does not run."""
    found = await states(typed, code=1)
    assert (found["node"], found["key files"], found["disk"]) == ("fail", "warn", "pass")


async def test_a_check_that_hangs_or_breaks_hides_no_other() -> None:
    """It is a fail of its own, within the time."""

    def hangs() -> Iterator[Finding]:
        time.sleep(1)
        yield Finding("hangs", "pass", "too late")

    def breaks() -> Iterator[Finding]:
        raise ValueError("a value that must not be shown")
        yield Finding("breaks", "pass", "never")

    def good() -> Iterator[Finding]:
        yield Finding("good", "pass", "well")

    begun = time.monotonic()
    found = await run_checks({"hangs": hangs, "breaks": breaks, "good": good}, within_s=0.2)
    assert time.monotonic() - begun < 0.9
    assert [(row.name, row.state) for row in found] == [("hangs", "fail"), ("breaks", "fail"), ("good", "pass")]
    assert "must not be shown" not in str(found)


@pytest.mark.parametrize(
    ("organisations", "threshold", "state", "words"),
    [(1, 1, "warn", "the only one"), (3, 3, "warn", "founded anew"), (3, 2, "pass", "1 may lose theirs")],
)
def test_what_one_lost_governance_key_would_cost(organisations: int, threshold: int, state: str, words: str) -> None:
    """Known before the day on which it is lost."""
    charter = replace(found(organisations).rules().charter, threshold=threshold)
    row = list(lost_keys(charter))[-1]
    assert row.state == state
    assert words in row.detail
