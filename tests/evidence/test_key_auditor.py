"""Keys that nobody listed, attacked: at the threshold, and one person with a key of their own.

20,000 pairs an audit, side by side in 40 releases of 500 keys; a bound is wrong with probability 10⁻⁶ (`auditor`).
That a person's own key is shown at all happens to an honest node at δ = 10⁻¹² once in 5·10⁷ runs, and is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from privacy import discovery
from privacy.errors import ReleaseRefused
from tests.evidence.key_auditor import audit, by_true_count, planted, whatever_exists, without_noise

TRIALS = 20_000
ALONE, AT_THE_THRESHOLD = 0, None


@pytest.mark.parametrize(("measure", "others"), [
    ("people", AT_THE_THRESHOLD), ("people", ALONE), ("count", AT_THE_THRESHOLD),
    pytest.param("count", ALONE, marks=pytest.mark.slow),
])  # fmt: skip
def test_audit_of_discovered_keys(measure: str, others: int | None, tmp_path: Path) -> None:
    """The bound stays under the claim; a person's own key is never seen."""
    found, shown = audit(measure, others, tmp_path, TRIALS)
    assert found.trials >= TRIALS
    assert found.bound <= found.claim
    if others == ALONE:
        assert shown == 0, "20,000 draws at 1e-12 each"
    else:  # 0.70 at sigma 1, 0.64 at sigma 1.4, a standard error of 0.003
        assert 0.6 < shown < 0.75, "keys at the threshold are shown and held back: the audit has something to see"


@pytest.mark.parametrize(("fault", "others"), [
    (by_true_count, AT_THE_THRESHOLD), (without_noise, AT_THE_THRESHOLD), (whatever_exists, ALONE),
])  # fmt: skip
def test_audit_exceeds_for_a_planted_fault(fault: Callable[..., Any], others: int | None, tmp_path: Path) -> None:
    """A threshold on the true count, one without noise, and δ ignored."""
    found, _ = audit("people", others, tmp_path, TRIALS, fault)
    assert found.bound > 2 * found.claim


def test_the_releases_own_look_at_the_threshold_is_a_second_fence(tmp_path: Path) -> None:
    """With the selection broken alone, nothing goes out: the constructor of a release refuses."""
    with (
        planted(None),
        patch.object(discovery, "_passed", whatever_exists),
        pytest.raises(ReleaseRefused, match="fewer"),
    ):
        audit("people", ALONE, tmp_path, 500)
