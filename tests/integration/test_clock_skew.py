"""Two real nodes whose clocks disagree: what they do, and what they say of it (PROTOCOL 4, specs/mesh.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.rig import compiled
from tests.integration.small_federation import Federation
from tests.integration.test_own_log import admin, begin, in_step, wait_for

SOURCE = Path(__file__).with_name("clock_skew.c")


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    made = Federation(tmp_path, tick_s=dict.fromkeys(("amber", "birch", "cedar", "dune"), 1))
    yield made
    made.close()


def begin_skewed(federation: Federation, monkeypatch: pytest.MonkeyPatch, name: str, skew_s: int) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(compiled(SOURCE)))
        patched.setenv("SKEW_S", str(skew_s))
        assert "SKEW_S" in os.environ
        begin(federation, name)


@pytest.mark.parametrize(("skew_s", "is_told"), [(300, False), (-1200, True)])
def test_a_skewed_clock_costs_a_round_trip_and_is_told(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, skew_s: int, is_told: bool
) -> None:
    """Five minutes are within the replay window; twenty are answered with a challenge, and a warning to the operator.

    Both ways the logs become equal and releases go on: one peer alone raises no doubt in the own clock.
    """
    begin(federation, "amber")
    begin_skewed(federation, monkeypatch, "birch", skew_s)
    federation.play("amber", 3)
    federation.finish("amber")
    wait_for("amber releases", lambda: admin(federation, "amber", "/v1/admin/status")["releases"]["answered_slots"] > 0)
    wait_for("birch has it", lambda: in_step(federation, "amber", "birch"))
    [peer] = [one for one in admin(federation, "amber", "/v1/admin/status")["peers"] if one["name"] == "birch"]
    assert abs(peer["skew_ms"] / 1000 - skew_s) < 30
    assert peer["in_step"]
    for name in ("amber", "birch"):
        found = {one["name"]: one for one in admin(federation, name, "/v1/admin/mesh/doctor")["checks"]}
        assert found["clocks"]["state"] == ("warn" if is_told else "pass")
        assert ("ten minutes" in found["clocks"]["detail"]) is not is_told
        assert admin(federation, name, "/v1/admin/status")["releases"]["clock"] is None
